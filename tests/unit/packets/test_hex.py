"""Hex: lines, and dumps as the usual tools print them."""

from __future__ import annotations

import io
import shutil
import subprocess

import pytest

from ebee.packets import Packet, write_packets
from tests.unit.packets.build import read, refused

FRAME = bytes(range(0x41, 0x41 + 40))
_HINT = "write a packet as one line of hex, or as hexdump -C or tcpdump -xx print it"


@pytest.mark.parametrize(
    "text",
    [
        "45 00 00 1c",
        "4500001c",
        "0x4500001c",
        "0x45 0x00 0x00 0x1c",
        "{ 0x45, 0x00, 0x00, 0x1c };",
        '"\\x45\\x00\\x00\\x1c"',
        "45:00:00:1c",
        "45-00-00-1C",
        "4500 001c",
        "45 0 0 1c",
        "  45 00 00 1c  # an IP header begins so",
    ],
)
def test_a_line_is_a_packet(text: str) -> None:
    """However its bytes are written."""
    assert read(f"{text}\n\n# nothing\n{text}".encode()) == [Packet(b"\x45\0\0\x1c")] * 2


HEXDUMP = """\
00000000  41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50  |ABCDEFGHIJKLMNOP|
00000010  51 52 53 54 55 56 57 58  59 5a 5b 5c 5d 5e 5f 60  |QRSTUVWXYZ[\\]^_`|
00000020  61 62 63 64 65 66 67 68                           |abcdefgh|
00000028
"""
XXD = """\
00000000: 4142 4344 4546 4748 494a 4b4c 4d4e 4f50  ABCDEFGHIJKLMNOP
00000010: 5152 5354 5556 5758 595a 5b5c 5d5e 5f60  QRSTUVWXYZ[\\]^_`
00000020: 6162 6364 6566 6768                      abcdefgh
"""
OD = """\
000000 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50
000010 51 52 53 54 55 56 57 58 59 5a 5b 5c 5d 5e 5f 60
000020 61 62 63 64 65 66 67 68
000028
"""
TCPDUMP = """\
12:00:01.123456 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto UDP (17), length 26)
    192.0.2.1.4000 > 198.51.100.1.53: UDP, length 12
\t0x0000:  4142 4344 4546 4748 494a 4b4c 4d4e 4f50  ABCDEFGHIJKLMNOP
\t0x0010:  5152 5354 5556 5758 595a 5b5c 5d5e 5f60  QRSTUVWXYZ[\\]^_`
\t0x0020:  6162 6364 6566 6768                      abcdefgh
"""
WIRESHARK = """\
0000  41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50   ABCDEFGHIJKLMNOP
0010  51 52 53 54 55 56 57 58 59 5a 5b 5c 5d 5e 5f 60   QRSTUVWXYZ[\\]^_`
0020  61 62 63 64 65 66 67 68                           ab cd fg
"""


@pytest.mark.parametrize(
    "dump",
    [HEXDUMP, XXD, OD, TCPDUMP, WIRESHARK, HEXDUMP.lower(), TCPDUMP.replace("\n", "\r\n")],
    ids=["hexdump -C", "xxd", "od", "tcpdump -v -XX", "wireshark", "lower case", "from Windows"],
)
def test_dumps_with_offsets_are_packets(dump: str) -> None:
    """An offset of 0 begins the next one."""
    assert read((dump * 3).encode()) == [Packet(FRAME)] * 3


def test_a_star_repeats() -> None:
    """hexdump leaves out lines that are like the one before."""
    dump = """\
00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000040  01 02                                             |..|
00000042
00000000  07 07 07 07 07 07 07 07  07 07 07 07 07 07 07 07  |................|
*
00000024
"""
    assert read(dump.encode()) == [Packet(bytes(64) + b"\1\2"), Packet(b"\7" * 0x24)]


@pytest.mark.parametrize("line", ["hexdump -C", "xxd", "od -Ax -tx1", "od -Ax -tx1z"])
def test_the_tools_of_this_machine_are_understood(line: str) -> None:
    """Bytes of all values, a run of zeros, and an odd end."""
    command = line.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    data = bytes(range(256)) + bytes(100) + b"12 34|56"
    printed = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    assert read(printed) == [Packet(data)]


def test_what_is_written_is_read() -> None:
    """A line for each packet; times are not kept."""
    out = io.BytesIO()
    assert write_packets(out, [Packet(FRAME, 7), Packet(b"\0\1")], "hex") == 2
    assert out.getvalue().splitlines()[1] == b"00 01"
    assert read(out.getvalue()) == [Packet(FRAME), Packet(b"\0\1")]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("45 00\n45 zz", "packet 2 (line 2): 'zz' is not hex, expected two digits for each byte", _HINT),
        ("450", "packet 1 (line 1): '450' has 3 digits, expected two for each byte", _HINT),
        (
            "0" * 63,
            "packet 1 (line 1): '00000000000000000...' has 63 digits, expected two for each byte",
            _HINT,
        ),
        (
            XXD.replace("00000020", "00000030"),
            "packet 1 (line 3): offset 0x30, expected 0x20",
            "the offsets of a packet's lines begin at 0 and follow each other",
        ),
        (
            "0x0010: 4500",
            "packet 1 (line 1): offset 0x10, expected 0x0",
            "the offsets of a packet's lines begin at 0 and follow each other",
        ),
        (
            "0000000 0045 1c00 0000\n",
            "packet 1 (line 1): hexdump without -C shows numbers of two bytes, in this machine's byte order",
            "hexdump -C shows bytes",
        ),
        (
            "00000000  00 01\n*\n",
            "packet 1 (line 2): ends after a `*`, expected the offset at which the packet ends",
            _HINT,
        ),
        (
            "00000000  00 01\n*\n7fffffff\n",
            "packet 1 (line 3): offset 0x7fffffff after a `*`, expected at most 0x40000 more",
            _HINT,
        ),
        (
            "caf\xe9",
            "packet 1 (line 1): bytes that are no text, expected hex digits",
            "files of packets are pcap, pcapng, or lines of hex digits",
        ),
        ("0" * (1 << 20) + "00", "packet 1 (line 1): the line has more than 1048576 bytes", _HINT),
    ],
)
def test_a_wrong_line_is_named(text: str, message: str, hint: str) -> None:
    """With the packet and the line."""
    _, found, advice = refused(text.encode("latin-1"))
    assert (found, advice) == (f"read packets: {message}", hint)
