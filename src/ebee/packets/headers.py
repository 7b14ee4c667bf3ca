"""Headers of Ethernet, ARP, IPv4, IPv6, TCP, UDP and ICMP, with their checksums."""

from __future__ import annotations

import struct

ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD
IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_ICMPV6 = 58
LEAST_FRAME_BYTES = 60
"""Of an Ethernet frame without its check sequence; shorter ones are filled up with zeros."""


def checksum(data: bytes) -> int:
    """Return the Internet checksum: the complement of the sum of 16-bit words (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination: bytes, source: bytes, protocol: int, payload: bytes) -> bytes:
    """Return a frame, filled up to its least size."""
    frame = destination + source + struct.pack(">H", protocol) + payload
    return frame.ljust(LEAST_FRAME_BYTES, b"\0")


def arp_request(sender_mac: bytes, sender: bytes, wanted: bytes) -> bytes:
    """Return the question who has an IPv4 address (RFC 826)."""
    return struct.pack(">HHBBH", 1, ETH_P_IP, 6, 4, 1) + sender_mac + sender + bytes(6) + wanted


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes, *, number: int = 0) -> bytes:
    """Return an IPv4 packet without options, not to be fragmented (RFC 791)."""
    length = 20 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x45, 0, length, number, 0x4000, 64, protocol, 0) + source + destination
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(source: bytes, destination: bytes, protocol: int, payload: bytes, *, hops: int = 64) -> bytes:
    """Return an IPv6 packet without extensions (RFC 8200)."""
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, hops) + source + destination + payload


def tcp(
    source: bytes, destination: bytes, ports: tuple[int, int], payload: bytes, *, flags: int, sequence: int
) -> bytes:
    """Return a TCP segment between two addresses of one family (RFC 9293)."""
    acknowledged = sequence + 1 & 0xFFFF_FFFF if flags & 0x10 else 0
    head = struct.pack(">HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, flags, 64240, 0, 0)
    return _summed(head + payload, 16, source, destination, IPPROTO_TCP)


def udp(source: bytes, destination: bytes, ports: tuple[int, int], payload: bytes) -> bytes:
    """Return a UDP datagram between two addresses of one family (RFC 768)."""
    head = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    return _summed(head + payload, 6, source, destination, IPPROTO_UDP)


def icmp_echo(number: int, payload: bytes) -> bytes:
    """Return an ICMP echo request (RFC 792)."""
    body = struct.pack(">BBHHH", 8, 0, 0, 0xEBEE, number) + payload
    return body[:2] + struct.pack(">H", checksum(body)) + body[4:]


def icmpv6_echo(source: bytes, destination: bytes, number: int, payload: bytes) -> bytes:
    """Return an ICMPv6 echo request (RFC 4443)."""
    body = struct.pack(">BBHHH", 128, 0, 0, 0xEBEE, number) + payload
    return _summed(body, 2, source, destination, IPPROTO_ICMPV6)


def _summed(segment: bytes, place: int, source: bytes, destination: bytes, protocol: int) -> bytes:
    """Return a segment with its checksum, which covers the addresses, too."""
    layout = ">HH" if len(source) == 4 else ">II"
    sizes = (protocol, len(segment)) if len(source) == 4 else (len(segment), protocol)
    value = checksum(source + destination + struct.pack(layout, *sizes) + segment)
    # UDP has 0 for "no checksum"; all ones mean the same number.
    value = value or 0xFFFF if protocol == IPPROTO_UDP else value
    return segment[:place] + struct.pack(">H", value) + segment[place + 2 :]
