"""pcapng: sections, interfaces and the blocks that carry packets; what is damaged is named."""

from __future__ import annotations

import io
import struct

import pytest

from ebee.packets import Packet, open_writer, read_packets, write_packets
from tests.unit.packets.build import block, enhanced, interface, option, pcap, read, refused, section

FRAME = bytes(range(62))
_BYTES = "read packets: packet 1 (at byte 48): "


@pytest.mark.parametrize("mark", ["<", ">"])
def test_both_byte_orders_are_read(mark: str) -> None:
    """Times are microseconds where the interface says nothing."""
    data = section(mark) + interface(mark) + enhanced(FRAME, 1_700_000_000_000_001, mark, wire=99)
    assert read(data) == [Packet(FRAME, 1_700_000_000_000_001_000, 1, 99)]


@pytest.mark.parametrize(
    ("resolution", "units", "expected_ns"),
    [
        (9, 1_234_567_890, 1_234_567_890),
        (3, 1_234, 1_234_000_000),
        (0, 12, 12_000_000_000),
        (0x80 | 10, 1024 + 512, 1_500_000_000),
        (12, 1_234_567, 1_234),
        (0x80 | 63, 1 << 62, 500_000_000),
    ],
)
def test_times_are_in_the_interfaces_unit(resolution: int, units: int, expected_ns: int) -> None:
    """if_tsresol: powers of ten, and of two where the upper bit is set."""
    options = option(2, b"eth0") + option(9, bytes((resolution,))) + option(0, b"")
    (packet,) = read(section() + interface(options=options) + enhanced(FRAME, units))
    assert packet.timestamp_ns == expected_ns


def test_an_interfaces_clock_may_begin_elsewhere() -> None:
    """if_tsoffset: seconds that are added to each time."""
    options = option(14, struct.pack("<q", -100))
    (packet,) = read(section() + interface(options=options) + enhanced(FRAME, 101_000_000))
    assert packet.timestamp_ns == 1_000_000_000


def test_packets_know_their_interface() -> None:
    """Two interfaces of two link types, and a second section whose interfaces begin again."""
    data = (
        section()
        + interface(link_type=1)
        + interface(link_type=113, options=option(9, b"\x09"))
        + enhanced(FRAME, 5, number=1)
        + enhanced(FRAME, 5, number=0)
        + section(">")
        + interface(">", link_type=276)
        + enhanced(FRAME, 7, ">")
    )
    assert [(packet.link_type, packet.timestamp_ns) for packet in read(data)] == [
        (113, 5),
        (1, 5000),
        (276, 7000),
    ]


def test_simple_packets_have_no_time() -> None:
    """Their length is the interface's limit, where the packet was longer."""
    data = section() + interface(snap_bytes=16) + block(3, struct.pack("<I", 62) + FRAME[:16])
    assert read(data) == [Packet(FRAME[:16], 0, 1, 62)]
    assert read(section() + interface() + block(3, struct.pack("<I", 62) + FRAME)) == [Packet(FRAME, 0, 1)]


def test_obsolete_packet_blocks_are_read() -> None:
    """Old captures have them still."""
    body = struct.pack("<HHIIII", 0, 3, 0, 2_000_000, 62, 70) + FRAME
    assert read(section() + interface() + block(2, body)) == [Packet(FRAME, 2_000_000_000, 1, 70)]


def test_other_blocks_are_passed_over() -> None:
    """Names, statistics, secrets and blocks of one's own, however long."""
    other = block(4, bytes(40)) + block(5, bytes(12)) + block(0x0BAD, bytes(200_000)) + block(0xA, b"key")
    assert read(section() + other + interface() + other + enhanced(FRAME)) == [Packet(FRAME, 0, 1)]


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (enhanced(FRAME)[:-9], _BYTES + "a block of 96 bytes announced, 87 left"),
        (enhanced(FRAME)[:5], _BYTES + "its block's header has 5 bytes, expected 8"),
        (enhanced(FRAME, announced=1200), _BYTES + "1200 bytes announced, 64 left in its block"),
        (enhanced(FRAME, number=1), _BYTES + "is of interface 1, and 1 is described before it"),
        (enhanced(FRAME)[:-4] + bytes(4), _BYTES + "a block of 96 bytes at its begin, of 0 at its end"),
        (block(6, bytes(16)), _BYTES + "has 16 bytes, expected at least 20"),
        (block(3, b""), _BYTES + "has 0 bytes, expected at least 4"),
        (
            block(3, struct.pack("<I", 90) + FRAME),
            _BYTES + "90 bytes announced, 64 left in its block",
        ),
        (
            struct.pack("<II", 6, 97) + FRAME,
            _BYTES + "a block of 97 bytes announced, expected a multiple of 4 from 12 to 16777216",
        ),
    ],
)
def test_a_damaged_packet_is_named(damaged: bytes, message: str) -> None:
    """With its number and where it begins."""
    whole = section() + interface()
    assert refused(whole + damaged) == (0, message, "no packet before it is whole; capture it again")


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (block(1, b"\1\0"), "interface description (at byte 28): has 4 bytes, expected at least 8"),
        (
            interface(options=option(9, b"\6\6")),
            "interface description (at byte 28): option 9 has 2 bytes, expected 1",
        ),
        (
            block(1, bytes(8) + struct.pack("<HH", 9, 400)),
            "interface description (at byte 28): option 9 of 400 bytes announced, 0 left",
        ),
        (
            block(0xBAD, bytes(8))[:-6],
            "block of type 0xbad (at byte 28): a block of 20 bytes announced, 14 left",
        ),
        (section(version=(7, 0)), "section header (at byte 28): is of version 7.0 of pcapng, expected 1.0"),
        (
            block(0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D)),
            "section header (at byte 28): has 4 bytes, expected at least 16",
        ),
    ],
)
def test_damage_between_packets_is_named(damaged: bytes, message: str) -> None:
    """What the block is, and where."""
    assert refused(section() + damaged)[1] == f"read packets: {message}"


def test_a_section_without_byte_order_is_no_section() -> None:
    """Nothing after it could be read."""
    assert refused(b"\x0a\x0d\x0d\x0a" + bytes(24)) == (
        0,
        "read packets: section header (at byte 0): byte-order magic 00 00 00 00, "
        "expected 4d 3c 2b 1a or 1a 2b 3c 4d",
        "the file is cut short or damaged",
    )


@pytest.mark.parametrize("order", ["little", "big"])
def test_what_is_written_is_read(order: str) -> None:
    """Every field of a packet, several link types, in both byte orders."""
    packets = [
        Packet(FRAME, 1_700_000_000_123_456_789),
        Packet(b"", 0, 113),
        Packet(FRAME[:7], 1, 1, 1500),
        Packet(FRAME, 2, 276),
    ]
    mark = "<" if order == "little" else ">"
    out = io.BytesIO()
    with read_packets(io.BytesIO(section(mark))) as pattern:
        write_packets(out, packets, pattern.format)
    assert pattern.format.byte_order == order
    assert out.getvalue().startswith(section(mark))
    assert read(out.getvalue()) == packets


def test_pcap_becomes_pcapng() -> None:
    """A format's name is enough."""
    out = io.BytesIO()
    with read_packets(io.BytesIO(pcap((1, 2, FRAME, 62)))) as packets, open_writer(out, "pcapng") as writer:
        for packet in packets:
            writer.write(packet)
    assert read(out.getvalue()) == [Packet(FRAME, 1_000_002_000, 1)]
