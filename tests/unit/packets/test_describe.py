"""A packet in a few words, whatever it is."""

from __future__ import annotations

import pytest

from ebee.packets import LinkType, Packet, describe, generate
from ebee.packets import headers as h

MAC = bytes(6)
HOST, SERVER = bytes((192, 0, 2, 1)), bytes((198, 51, 100, 9))


def ether(protocol: int, payload: bytes) -> Packet:
    """Return a frame."""
    return Packet(MAC + MAC + protocol.to_bytes(2, "big") + payload)


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (ether(0x0806, h.arp_request(MAC, HOST, SERVER)), "ARP who has 198.51.100.9, tell 192.0.2.1"),
        (
            ether(0x0806, bytes.fromhex("0001080006040002 020000000001 c0000201") + MAC + SERVER),
            "ARP 192.0.2.1 is at 02:00:00:00:00:01",
        ),
        (ether(0x0806, b"\0\7"), "ARP"),
        (ether(0x88B5, bytes(46)), "protocol 0x88b5"),
        (ether(0x0020, bytes(46)), "802.3 of length 32"),
        (
            ether(0x8100, b"\0\x2a\x88\xa8\0\7\x08\0" + h.ipv4(HOST, SERVER, 47, b"")),
            "VLAN 42 VLAN 7 IPv4 protocol 47 192.0.2.1 > 198.51.100.9",
        ),
        (Packet(b"\0" * 13), "cut short"),
        (ether(0x0800, b"\x45\0"), "IP, cut short"),
        (ether(0x0800, b"\x25\0"), "no IP header"),
        (
            Packet(h.ipv4(HOST, SERVER, 1, b"\x08"), link_type=LinkType.RAW),
            "IPv4 ICMP 192.0.2.1 > 198.51.100.9 echo request",
        ),
        (Packet(b"abc", link_type=LinkType.NFLOG), "link type NFLOG (239)"),
        (Packet(b"abc", link_type=4711), "link type number 4711"),
    ],
)
def test_packets_are_told_in_words(packet: Packet, words: str) -> None:
    """Addresses, ports and what stands out."""
    assert describe(packet) == words


def test_fragments_are_told() -> None:
    """The upper header is in the first one only."""
    fragment = bytearray(h.ipv4(HOST, SERVER, 17, bytes(20)))
    fragment[6:8] = b"\x20\x03"
    assert describe(ether(0x0800, bytes(fragment))) == "IPv4 fragment 192.0.2.1 > 198.51.100.9"


def test_made_traffic_is_told() -> None:
    """One of each kind."""
    told = [describe(packet) for packet in generate(6)]
    assert [words.split(" 1")[0].split(" [")[0] for words in told] == [
        "IPv4 TCP",
        "IPv4 UDP",
        "IPv6 TCP",
        "IPv4 ICMP",
        "ARP who has",
        "IPv6 UDP",
    ]
    assert told[2].split()[2].startswith("[2001:db8::")
