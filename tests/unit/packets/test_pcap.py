"""pcap: what others wrote is read, and what is damaged names its packet."""

from __future__ import annotations

import io

import pytest

from ebee.errors import SpecError
from ebee.packets import FileFormat, LinkType, Packet, open_writer, read_packets, write_packets
from tests.unit.packets.build import pcap, read, refused

FRAME = bytes(range(64))


@pytest.mark.parametrize("mark", ["<", ">"])
def test_both_byte_orders_are_read(mark: str) -> None:
    """A capture from a big-endian router is as good as one from here."""
    data = pcap((1700000000, 5, FRAME, 64), (1700000001, 999_999, FRAME[:20], 64), mark=mark)
    assert read(data) == [
        Packet(FRAME, 1_700_000_000_000_005_000, LinkType.ETHERNET),
        Packet(FRAME[:20], 1_700_000_001_999_999_000, LinkType.ETHERNET, 64),
    ]


@pytest.mark.parametrize("mark", ["<", ">"])
def test_nanoseconds_are_kept(mark: str) -> None:
    """The magic number says in which unit times are."""
    (packet,) = read(pcap((7, 123_456_789, FRAME, 64), mark=mark, magic=0xA1B23C4D))
    assert packet.timestamp_ns == 7_123_456_789


@pytest.mark.parametrize("link_type", [0, 1, 101, 113, 276, 4711])
def test_any_link_type_is_read(link_type: int) -> None:
    """Also one that has no name here; what stands above 16 bits is something else."""
    (packet,) = read(pcap((0, 0, FRAME, 64), link_type=link_type | 0x5400_0000))
    assert packet.link_type == link_type


def test_a_file_without_packets_is_empty() -> None:
    """A header alone is a whole file."""
    assert read(pcap()) == []


@pytest.mark.parametrize("mark", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_what_is_read_is_written_to_the_byte(mark: str, magic: int) -> None:
    """Written in the format of the file it came from, it is the same file."""
    data = pcap((1, 2, FRAME, 64), (3, 4, FRAME[:9], 1500), mark=mark, magic=magic, snap_bytes=96)
    out = io.BytesIO()
    with read_packets(io.BytesIO(data)) as packets, open_writer(out, packets.format) as writer:
        for packet in packets:
            writer.write(packet)
    assert out.getvalue() == data


def test_a_packet_that_is_cut_short_is_named() -> None:
    """Those before it are given, and the hint says how to have them alone."""
    whole = pcap((0, 0, FRAME, 64), (0, 0, FRAME, 64))
    assert refused(whole[:-3]) == (
        1,
        "read packets: packet 2 (at byte 104): 64 bytes announced, 61 left",
        "the packet before it is whole: `--count 1` stops after it",
    )
    assert refused(pcap((0, 0, FRAME, 64), (0, 0, FRAME, 64), (0, 0, FRAME, 64))[:-70]) == (
        2,
        "read packets: packet 3 (at byte 184): its header has 10 bytes, expected 16",
        "the 2 packets before it are whole: `--count 2` stops after them",
    )


def test_a_length_out_of_reason_is_no_length() -> None:
    """Three gigabytes are not read to find that they are not there."""
    data = bytearray(pcap((0, 0, FRAME, 64)))
    data[32:36] = b"\xff\xff\xff\xbf"
    assert refused(bytes(data)) == (
        0,
        "read packets: packet 1 (at byte 24): 3221225471 bytes announced, expected at most 262144",
        "no packet before it is whole; capture it again",
    )


def test_a_header_that_is_cut_short_is_told() -> None:
    """Before any packet."""
    assert refused(pcap()[:13]) == (
        0,
        "read packets: the file header has 13 bytes, expected 24",
        "the file is cut short; capture it again",
    )


def test_other_versions_are_refused() -> None:
    """None but 2 was ever in use."""
    assert refused(pcap(version=(3, 1)))[1:] == (
        "read packets: is of version 3.1 of the pcap format, expected 2.4",
        "editcap -F pcap in.pcap out.pcap converts it",
    )
    assert refused(pcap(magic=0xA1B2CD34))[1:] == (
        "read packets: is of the modified pcap format (magic number 0xa1b2cd34), expected pcap",
        "editcap -F pcap in.pcap out.pcap converts it",
    )


def complaint(*packets: Packet, kind: FileFormat | str = "pcap") -> tuple[str, str | None]:
    """Return what is said of packets that cannot be written."""
    with pytest.raises(SpecError) as caught:
        write_packets(io.BytesIO(), packets, kind)
    return str(caught.value), caught.value.hint


def test_a_file_has_one_link_type() -> None:
    """A second one has no place in the format."""
    assert complaint(Packet(FRAME), Packet(FRAME, link_type=113)) == (
        "write packets: packet 2 is of link type LINUX_SLL (113), the file of ETHERNET (1)",
        "pcapng takes several: name the file with the ending .pcapng",
    )


def test_what_does_not_fit_is_refused() -> None:
    """Times are 32 bits of seconds, link types 16 bits."""
    assert complaint(Packet(FRAME, -1)) == (
        "write packets: packet 1 is of -1 s after 1970, expected 32 bits",
        "pcapng takes any time: name the file with the ending .pcapng",
    )
    assert complaint(Packet(FRAME, link_type=70000)) == (
        "write packets: packet 1 is of link type 70000, expected a number of 16 bits",
        None,
    )
    assert complaint(Packet(FRAME, -1), kind="pcapng") == (
        "write packets: a packet of -1 ns after 1970, expected 64 bits without a sign",
        None,
    )
