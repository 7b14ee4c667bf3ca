"""Traffic that nobody captured: a small mix as an office's line has it, the same for the same seed.

Addresses are those set aside for documentation (RFC 5737, RFC 3849), Ethernet addresses are locally
administered, and every checksum is right.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from ebee.packets import headers as h
from ebee.packets.packet import Packet

_BEGIN_NS = 1_700_000_000 * 1_000_000_000
_ROUTER_MAC = bytes.fromhex("0200c0000201")
_HOSTS = 12
_SERVERS = 5
_SYN, _ACK, _PUSH_ACK, _FIN_ACK = 0x02, 0x10, 0x18, 0x11
_NAMES = (b"example", b"www", b"mail", b"api", b"cdn")
_TCP_PORTS = (443, 443, 443, 80, 22, 5432)


class _Draw:
    """What a packet's parts are drawn from."""

    def __init__(self, seed: int) -> None:
        from random import Random  # which hashes, and with it OpenSSL, come with

        self._random = Random(seed)

    def below(self, end: int) -> int:
        return int(self._random.random() * end)

    def bytes(self, count: int) -> bytes:
        return self._random.getrandbits(8 * count).to_bytes(count, "big") if count else b""

    def gap_ns(self) -> int:
        return int(self._random.expovariate(1 / 800_000))


class _Pair:
    """Two ends that speak to each other: a host of this network's and a server somewhere."""

    def __init__(self, draw: _Draw, *, version: int) -> None:
        host, server = 10 + draw.below(_HOSTS), 1 + draw.below(_SERVERS)
        self.version = version
        self.mac = bytes((0x02, 0, 0xC0, 0, 0x02, host))
        if version == 4:
            self.host, self.server = bytes((192, 0, 2, host)), bytes((198, 51, 100, server))
        else:
            network = bytes.fromhex("20010db8")
            self.host = network + bytes(11) + bytes((host,))
            self.server = network + b"\x01\x00" + bytes(9) + bytes((server,))

    def frame(self, protocol: int, payload: bytes, number: int) -> bytes:
        """Return the frame that carries a payload to the router."""
        if self.version == 4:
            packet = h.ipv4(self.host, self.server, protocol, payload, number=number)
            return h.ethernet(_ROUTER_MAC, self.mac, h.ETH_P_IP, packet)
        packet = h.ipv6(self.host, self.server, protocol, payload)
        return h.ethernet(_ROUTER_MAC, self.mac, h.ETH_P_IPV6, packet)


def generate(count: int, seed: int = 0) -> Iterator[Packet]:
    """Go through made packets: Ethernet with IPv4 and IPv6, TCP, UDP, ICMP and ARP.

    Args:
        count: how many.
        seed: the same gives the same packets, on every machine.
    """
    draw, time_ns = _Draw(seed), _BEGIN_NS
    for number in range(count):
        # Each kind comes among the first few, whatever the seed, and then as often as its share.
        maker = _MIX[number % len(_MIX)] if number < len(_MIX) else _MIX[draw.below(len(_MIX))]
        time_ns += draw.gap_ns()
        yield Packet(maker(draw, number & 0xFFFF), time_ns)


def _tcp(draw: _Draw, number: int, version: int) -> bytes:
    pair = _Pair(draw, version=version)
    ports = (32768 + draw.below(28000), _TCP_PORTS[draw.below(len(_TCP_PORTS))])
    flags = (_SYN, _ACK, _PUSH_ACK, _PUSH_ACK, _FIN_ACK)[draw.below(5)]
    payload = _request(draw, ports[1]) if flags == _PUSH_ACK else b""
    sequence = draw.below(1 << 32)
    segment = h.tcp(pair.host, pair.server, ports, payload, flags=flags, sequence=sequence)
    return pair.frame(h.IPPROTO_TCP, segment, number)


def _request(draw: _Draw, port: int) -> bytes:
    if port == 80:
        name = _NAMES[draw.below(len(_NAMES))].decode()
        return f"GET /{name} HTTP/1.1\r\nHost: {name}.example\r\nAccept: */*\r\n\r\n".encode()
    if port == 443:
        return b"\x17\x03\x03" + struct.pack(">H", length := 32 + draw.below(1100)) + draw.bytes(length)
    return draw.bytes(16 + draw.below(200))


def _dns(draw: _Draw, number: int, version: int) -> bytes:
    pair = _Pair(draw, version=version)
    name = _NAMES[draw.below(len(_NAMES))]
    question = (
        bytes((len(name),)) + name + b"\x07example\0" + struct.pack(">HH", 1 if version == 4 else 28, 1)
    )
    query = struct.pack(">HHHHHH", draw.below(1 << 16), 0x0100, 1, 0, 0, 0) + question
    datagram = h.udp(pair.host, pair.server, (32768 + draw.below(28000), 53), query)
    return pair.frame(h.IPPROTO_UDP, datagram, number)


def _quic(draw: _Draw, number: int, version: int) -> bytes:
    pair = _Pair(draw, version=version)
    payload = b"\x40" + draw.bytes(24 + draw.below(1200))
    datagram = h.udp(pair.host, pair.server, (32768 + draw.below(28000), 443), payload)
    return pair.frame(h.IPPROTO_UDP, datagram, number)


def _ping(draw: _Draw, number: int, version: int) -> bytes:
    pair = _Pair(draw, version=version)
    payload = bytes(range(0x10, 0x40))
    if version == 4:
        return pair.frame(h.IPPROTO_ICMP, h.icmp_echo(number, payload), number)
    echo = h.icmpv6_echo(pair.host, pair.server, number, payload)
    return pair.frame(h.IPPROTO_ICMPV6, echo, number)


def _arp(draw: _Draw, number: int, version: int) -> bytes:
    pair = _Pair(draw, version=version)
    question = h.arp_request(pair.mac, pair.host, bytes((192, 0, 2, 10 + draw.below(_HOSTS))))
    return h.ethernet(b"\xff" * 6, pair.mac, h.ETH_P_ARP, question)


def _of(maker: Callable[[_Draw, int, int], bytes], version: int) -> Callable[[_Draw, int], bytes]:
    return lambda draw, number: maker(draw, number, version)


_MIX = (
    _of(_tcp, 4),
    _of(_dns, 4),
    _of(_tcp, 6),
    _of(_ping, 4),
    _of(_arp, 4),
    _of(_dns, 6),
    _of(_tcp, 4),
    _of(_quic, 4),
    _of(_tcp, 6),
    _of(_ping, 6),
    _of(_quic, 6),
    _of(_tcp, 4),
)
"""Kinds of packets by their share; also the order in which the first ones come."""
