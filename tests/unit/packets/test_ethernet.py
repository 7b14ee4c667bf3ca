"""Packets of other links as Ethernet frames, and back."""

from __future__ import annotations

import pytest

from ebee.packets import LinkType, Packet, as_frame, from_frame
from ebee.packets import headers as h

IPV4 = h.ipv4(bytes(4), bytes(4), 17, b"four")
IPV6 = h.ipv6(bytes(16), bytes(16), 17, b"six")
SLL = bytes.fromhex("0000 0001 0006 020000000001 0000 0800")
SLL2 = bytes.fromhex("86dd 0000 00000003 0001 00 06 020000000001 0000")


@pytest.mark.parametrize(
    ("packet", "protocol", "payload"),
    [
        (Packet(IPV4, 1, LinkType.RAW), b"\x08\0", IPV4),
        (Packet(IPV6, 1, LinkType.RAW), b"\x86\xdd", IPV6),
        (Packet(IPV4, 1, LinkType.IPV4), b"\x08\0", IPV4),
        (Packet(IPV6, 1, LinkType.IPV6), b"\x86\xdd", IPV6),
        (Packet(SLL + IPV4, 1, LinkType.LINUX_SLL), b"\x08\0", IPV4),
        (Packet(b"\2\0\0\0" + IPV4, 1, LinkType.NULL), b"\x08\0", IPV4),
        (Packet(b"\0\0\0\x1e" + IPV6, 1, LinkType.LOOP), b"\x86\xdd", IPV6),
        (Packet(SLL2 + IPV6, 1, LinkType.LINUX_SLL2), b"\x86\xdd", IPV6),
    ],
)
def test_a_header_without_addresses_is_put_in_front(packet: Packet, protocol: bytes, payload: bytes) -> None:
    """And taken off again, with what a program changed behind it."""
    frame = as_frame(packet)
    assert frame == bytes(12) + protocol + payload
    assert from_frame(packet, frame) == packet
    assert from_frame(packet, frame + b"!") == packet.with_data(packet.data + b"!")


def test_a_protocol_that_was_changed_goes_into_the_header_that_has_one() -> None:
    """A cooked header tells it, too."""
    packet = Packet(SLL + IPV4, 1, LinkType.LINUX_SLL)
    assert from_frame(packet, bytes(12) + b"\x86\xdd" + IPV6).data == SLL[:14] + b"\x86\xdd" + IPV6


def test_frames_stay_as_they_are() -> None:
    """Those of Ethernet."""
    packet = Packet(bytes(60))
    assert as_frame(packet) is packet.data
    assert from_frame(packet, packet.data) is packet


@pytest.mark.parametrize(
    "packet",
    [
        Packet(b"", link_type=LinkType.RAW),
        Packet(b"\x99", link_type=LinkType.RAW),
        Packet(b"\2\0\0\0", link_type=LinkType.NULL),
        Packet(SLL[:9], link_type=LinkType.LINUX_SLL),
        Packet(bytes(60), link_type=LinkType.NFLOG),
        Packet(bytes(60), link_type=4711),
    ],
)
def test_what_is_no_network_packet_becomes_none(packet: Packet) -> None:
    """None says so."""
    assert as_frame(packet) is None
