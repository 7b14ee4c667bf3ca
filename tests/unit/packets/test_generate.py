"""Made traffic: the same for the same seed, of all kinds, and right to the last checksum."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ebee.packets import generate, write_packets


def words(data: bytes) -> int:
    """Return the ones' complement sum of 16-bit words; 0xffff for what carries a right checksum."""
    total = 0
    for place in range(0, len(data), 2):
        total += int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def kind(frame: bytes) -> str:
    """Return what a frame is; fails where a length or a checksum in it is wrong."""
    (protocol,) = struct.unpack_from(">H", frame, 12)
    if protocol == 0x0806:
        assert frame[14:22] == bytes.fromhex("0001080006040001")
        return "arp"
    if protocol == 0x0800:
        (length,) = struct.unpack_from(">H", frame, 16)
        packet, upper, addresses = frame[14 : 14 + length], frame[34 : 14 + length], frame[26:34]
        assert words(packet[:20]) == 0xFFFF
        number = packet[9]
        pseudo = addresses + struct.pack(">HH", number, len(upper))
        family = "ipv4"
    else:
        assert protocol == 0x86DD
        (length,) = struct.unpack_from(">H", frame, 18)
        upper, number = frame[54 : 54 + length], frame[20]
        pseudo = frame[22:54] + struct.pack(">II", length, number)
        family = "ipv6"
    assert len(upper) == (length if family == "ipv6" else length - 20)
    name = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}[number]
    assert words(upper if name == "icmp" else pseudo + upper) == 0xFFFF
    return f"{family} {name}"


def test_all_kinds_come_and_all_are_right() -> None:
    """Lengths and checksums, held against another way of adding."""
    kinds = Counter(kind(packet.data) for packet in generate(600))
    assert set(kinds) == {
        "arp",
        "ipv4 tcp",
        "ipv4 udp",
        "ipv4 icmp",
        "ipv6 tcp",
        "ipv6 udp",
        "ipv6 icmpv6",
    }
    assert kinds["ipv4 tcp"] > kinds["arp"] > 20


def test_a_dozen_has_all_kinds() -> None:
    """A newcomer who asks for few packets sees each kind."""
    assert len({kind(packet.data) for packet in generate(12, seed=3)}) == 7


def test_the_same_seed_gives_the_same_packets() -> None:
    """On every machine and every Python: the sum of the first hundred is known."""
    assert list(generate(50, seed=7)) == list(generate(50, seed=7)) == list(generate(80, seed=7))[:50]
    assert list(generate(5, seed=1)) != list(generate(5, seed=2))
    packets = b"".join(packet.data for packet in generate(100))
    assert hashlib.sha256(packets).hexdigest()[:16] == "362ec1a5e1957257"


def test_frames_are_of_ethernets_size_and_in_order() -> None:
    """From 60 bytes to the usual MTU; time goes on."""
    packets = list(generate(500))
    assert min(len(packet.data) for packet in packets) >= 60
    assert max(len(packet.data) for packet in packets) <= 1514
    times = [packet.timestamp_ns for packet in packets]
    assert times == sorted(times)


def test_tcpdump_finds_nothing_wrong(tmp_path: Path) -> None:
    """Held against another reader, where it is installed."""
    if shutil.which("tcpdump") is None:
        pytest.skip("tcpdump is not installed")
    path = tmp_path / "made.pcap"
    write_packets(path, generate(200))
    said = subprocess.run(
        ["tcpdump", "-nvvr", path], capture_output=True, text=True, check=True
    ).stdout.lower()
    assert "incorrect" not in said
    assert "bad" not in said
