"""Files of packets: told apart by their first bytes, written by their names, refused in words."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from ebee.errors import EbeeError, SpecError
from ebee.packets import (
    LinkType,
    Packet,
    as_packet,
    format_of,
    generate,
    link_name,
    open_writer,
    read_packets,
    write_packets,
)

PACKETS = list(generate(3))


def complaint(path: Path | str) -> tuple[str, str | None]:
    """Return what is said of a file that is no file of packets."""
    with pytest.raises(EbeeError) as caught:
        read_packets(path)
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize("name", ["a.pcap", "a.cap", "a.pcapng", "a.hex", "a.txt", "a.unknown"])
def test_an_ending_says_how_a_file_is_written(name: str, tmp_path: Path) -> None:
    """And the first bytes how it is read."""
    path = tmp_path / name
    assert write_packets(path, PACKETS) == 3
    with read_packets(path) as packets:
        assert packets.format.name == (format_of(name) or "pcap")
        assert [packet.data for packet in packets] == [packet.data for packet in PACKETS]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-`, any format, from a pipe that cannot go back."""
    out = io.BytesIO()
    write_packets(out, PACKETS, "pcapng")
    reading, writing = os.pipe()
    os.write(writing, out.getvalue())
    os.close(writing)
    with open(reading, encoding="latin-1") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        with read_packets("-") as packets:
            assert packets.name == "standard input"
            assert list(packets) == PACKETS
        assert not pipe.closed


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "hex"])
def test_packets_come_as_they_are_written(kind: str) -> None:
    """From a pipe that stays open, as from a capture that goes on."""
    reading, writing = os.pipe()
    with open(writing, "wb") as end, open(reading, "rb") as begin, open_writer(end, kind) as writer:
        writer.write(PACKETS[0])
        packets = read_packets(begin)
        assert next(packets).data == PACKETS[0].data
        writer.write(PACKETS[1])
        assert next(packets).data == PACKETS[1].data


def test_a_big_file_takes_no_memory(tmp_path: Path) -> None:
    """Packets are read as they are asked for."""
    import tracemalloc

    path = tmp_path / "big.pcap"
    write_packets(path, (Packet(bytes(1500), number) for number in range(20_000)))
    tracemalloc.start()
    try:
        with read_packets(path) as packets:
            assert sum(1 for _ in packets) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("begin", "message", "hint"),
    [
        (b"\x1f\x8b\x08\0", "is gzip, expected pcap, pcapng or hex", "gunzip unpacks it"),
        (b"\x28\xb5\x2f\xfd", "is zstd, expected pcap, pcapng or hex", "unzstd unpacks it"),
        (
            b"\x7fELF",
            "is ELF, an object or a program, expected pcap, pcapng or hex",
            "the object comes first: ebee run FILE --pcap PACKETS",
        ),
        (
            b"snoo\0",
            None,
            None,
        ),
        (
            b"\0\1\2\3",
            "begins with 00 01 02 03, expected pcap, pcapng or hex",
            "tcpdump -w, Wireshark and editcap write pcap and pcapng",
        ),
    ],
)
def test_other_files_are_told(begin: bytes, message: str | None, hint: str | None, tmp_path: Path) -> None:
    """What it is, where that is known."""
    path = tmp_path / "x.pcap"
    path.write_bytes(begin)
    if message is not None:
        assert complaint(path) == (f"read {path}: {message}", hint)
    else:
        with read_packets(path) as packets, pytest.raises(EbeeError, match="is not hex"):
            next(packets)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the one that was meant."""
    (tmp_path / "trace.pcap").touch()
    path = tmp_path / "trcae.pcap"
    assert complaint(path) == (
        f"read {path}: no such file or directory, expected a file of packets",
        "did you mean 'trace.pcap'?",
    )
    path = tmp_path / "no" / "trace.pcap"
    assert complaint(path)[1] == f"there is no folder {tmp_path}/no"
    assert complaint(tmp_path) == (f"read {tmp_path}: is a directory, expected a file of packets", None)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The place, or the format."""
    path = tmp_path / "no" / "out.pcap"
    with pytest.raises(SpecError) as caught:
        open_writer(path)
    assert (str(caught.value), caught.value.hint) == (
        f"write {path}: no such file or directory",
        f"there is no folder {tmp_path}/no",
    )
    with pytest.raises(SpecError) as caught:
        open_writer(tmp_path / "x", "pcpa")
    assert (str(caught.value), caught.value.hint) == (
        "write packets: format 'pcpa', expected pcap, pcapng or hex",
        "did you mean 'pcap'?",
    )


def test_an_empty_file_has_no_packets(tmp_path: Path) -> None:
    """As a file of hex lines without lines."""
    (tmp_path / "x.hex").touch()
    assert list(read_packets(tmp_path / "x.hex")) == []
    write_packets(tmp_path / "x.pcap", [])
    assert list(read_packets(tmp_path / "x.pcap")) == []


class Ether:
    """A packet as scapy has them: bytes() gives its bytes."""

    def __bytes__(self) -> bytes:
        return bytes(14)


class IP(Ether):
    """One that begins with an IP header."""


def test_packets_of_other_libraries_are_taken() -> None:
    """Whatever has __bytes__; one of scapy's without Ethernet is known by its class."""
    assert as_packet(Ether()) == Packet(bytes(14))
    assert as_packet(IP()).link_type is LinkType.RAW
    assert as_packet(bytearray(b"ab")) == as_packet(memoryview(b"ab")) == as_packet(b"ab") == Packet(b"ab")
    assert as_packet(PACKETS[0]) is PACKETS[0]


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ("4500", "packet: found str, expected bytes or a packet", "bytes.fromhex() makes bytes of hex"),
        (12, "packet: found int, expected bytes or a packet", None),
    ],
)
def test_what_is_no_packet_is_told(value: object, message: str, hint: str | None) -> None:
    """A number of bytes is not one."""
    with pytest.raises(SpecError) as caught:
        as_packet(value)  # type: ignore[arg-type]
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_changed_packets_keep_what_they_are() -> None:
    """Time and link type stay, and so does what the capture cut off."""
    cut = Packet(bytes(20), 5, 113, 100)
    assert cut.with_data(bytes(22)) == Packet(bytes(22), 5, 113, 102)
    assert Packet(bytes(20), 5).with_data(bytes(30)) == Packet(bytes(30), 5)
    assert cut.with_data(bytes(20)) is cut
    assert (cut.wire_bytes, Packet(b"ab").wire_bytes) == (100, 2)


def test_link_types_have_names() -> None:
    """Where they are known."""
    assert (link_name(1), link_name(101), link_name(999)) == ("ETHERNET (1)", "RAW (101)", "number 999")
