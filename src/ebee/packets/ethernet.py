"""Packets of other links as Ethernet frames, which network programs expect, and back again.

What begins with IP, and what `tcpdump -i any` or BSD's loopback captures, gets an Ethernet header
without addresses in the place of its own; the way back puts its own there again.
"""

from __future__ import annotations

from ebee.packets.link_types import LinkType
from ebee.packets.packet import Packet

HEADER_BYTES = 14
_IP_LINKS = frozenset((LinkType.RAW, LinkType.RAW_BSD, LinkType.IPV4, LinkType.IPV6))
_PROTOCOLS = {4: b"\x08\x00", 6: b"\x86\xdd"}
_COOKED: dict[int, tuple[int, int]] = {LinkType.LINUX_SLL: (16, 14), LinkType.LINUX_SLL2: (20, 0)}
"""Of what `tcpdump -i any` writes: the header's length, and where the protocol stands in it."""
_LOOPBACK = frozenset((LinkType.NULL, LinkType.LOOP))
"""BSD's loopback interfaces: four bytes of an address family, whose numbers differ by system, then IP."""
_FAMILY_BYTES = 4


def as_frame(packet: Packet) -> bytes | None:
    """Return a packet as an Ethernet frame; None for link types that do not become one."""
    data = packet.data
    if packet.link_type == LinkType.ETHERNET:
        return data
    if packet.link_type in _LOOPBACK:
        return _ip_frame(data[_FAMILY_BYTES:])
    if packet.link_type in _IP_LINKS:
        return _ip_frame(data)
    header_bytes, place = _COOKED.get(packet.link_type, (0, 0))
    if not header_bytes or len(data) < header_bytes:
        return None
    return bytes(12) + data[place : place + 2] + data[header_bytes:]


def _ip_frame(data: bytes) -> bytes | None:
    protocol = _PROTOCOLS.get(data[0] >> 4 if data else 0)
    return None if protocol is None else bytes(12) + protocol + data


def from_frame(packet: Packet, frame: bytes) -> Packet:
    """Return the packet that a frame came from, with what became of the frame.

    Args:
        packet: as it was before `as_frame`.
    """
    if packet.link_type == LinkType.ETHERNET:
        return packet.with_data(frame)
    payload = frame[HEADER_BYTES:]
    if packet.link_type in _IP_LINKS:
        return packet.with_data(payload)
    if packet.link_type in _LOOPBACK:
        return packet.with_data(packet.data[:_FAMILY_BYTES] + payload)
    header_bytes, place = _COOKED[packet.link_type]
    header = bytearray(packet.data[:header_bytes])
    header[place : place + 2] = frame[12:14]
    return packet.with_data(bytes(header) + payload)
