"""Packets as hex: one packet a line, or dumps with offsets as hexdump -C, xxd, od and tcpdump -xx print them.

    45 00 00 1c …               a packet; also 4500001c, 0x45, 45:00:00, "\\x45\\x00"
    00000000  45 00 00 1c  |E…|   hexdump -C; a `*` repeats the line before it
    00000000: 4500 001c  E...     xxd
            0x0000:  4500 001c    tcpdump -xx, its lines of text between packets included

What stands behind a `#` is a comment; an empty line ends a packet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from ebee.errors import FormatError
from ebee.packets.packet import Packet
from ebee.packets.stream import LONGEST_LINE_BYTES, Stream
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_COLON = re.compile(r"\s*(?:0x)?([0-9a-fA-F]{4,8}):\s+(.*)")
_COLUMN = re.compile(r"([0-9a-fA-F]{4,8})  +(.*)")
_OD = re.compile(r"([0-9a-fA-F]{6,8})((?: [0-9a-fA-F]{2})+)\s*(?:[|>].*)?")
_LENGTH = re.compile(r"[0-9a-fA-F]{6,8}")
_WORDS = re.compile(r"[0-9a-fA-F]{7}(?: [0-9a-fA-F]{4}){1,8}\s*")
_TCPDUMP = re.compile(r"\s*(?:\d{4}-\d\d-\d\d )?(?:\d\d:\d\d:\d\d|\d{9,10})\.\d+ \D.*|\s*\d+ packets? .*")
_FIRST_COLUMN = re.compile(r"(?:[0-9a-fA-F]{2} )*[0-9a-fA-F]{2}(?=\s|$)")
_FILLING = re.compile(r"[\s,:;{}\"'-]+|\\x|0x", re.IGNORECASE)
_MOST_BYTES = 262_144


class _Line(NamedTuple):
    """A line of a dump: where its bytes stand in the packet."""

    offset: int
    data: bytes


class _Reader:
    """Puts lines together to packets."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._number = 0
        self._first_line = 0
        self._data = bytearray()
        self._last = b""
        self._repeats = False
        self._in_text = False

    def packets(self) -> Iterator[Packet]:
        while line := self._stream.line():
            self._number += 1
            yield from self._line(self._text(line))
        yield from self._flush()

    def _text(self, line: bytes) -> str:
        if len(line) >= LONGEST_LINE_BYTES:
            raise self._broken(f"the line has more than {LONGEST_LINE_BYTES} bytes")
        try:
            return line.decode("utf-8-sig" if self._number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise self._broken(
                "bytes that are no text, expected hex digits",
                "files of packets are pcap, pcapng, or lines of hex digits",
            ) from None

    def _line(self, text: str) -> Iterator[Packet]:
        if _TCPDUMP.fullmatch(text):
            self._in_text = True
            yield from self._flush()
            return
        dumped = self._dump_line(text)
        if dumped is not None:
            yield from self._add(dumped)
        elif text.strip() == "*" and self._data:
            self._repeats = True
        elif self._ends(text):
            yield from self._flush()
        elif not self._in_text:  # with tcpdump -v, text goes on over several lines
            yield from self._flush()
            yield from self._plain(text)

    def _ends(self, text: str) -> bool:
        """Return whether a line ends a dump: it is empty, a comment, or tells the length."""
        if not text.partition("#")[0].strip():
            return True
        if not self._data or not _LENGTH.fullmatch(text.strip()):
            return False
        length = int(text, 16)
        self._repeat(length)
        return length == len(self._data)

    def _dump_line(self, text: str) -> _Line | None:
        found = _COLON.fullmatch(text)
        if found is not None:
            # What stands behind two spaces are the same bytes as text.
            digits = found[2].partition("  ")[0]
            return self._offset_line(found[1], digits)
        found = _COLUMN.fullmatch(text)
        if found is not None and (self._data or int(found[1], 16) == 0):
            return self._offset_line(found[1], _column_digits(found[2]))
        found = _OD.fullmatch(text)
        if found is not None and (int(found[1], 16) in (0, len(self._data)) or self._repeats):
            return self._offset_line(found[1], found[2])
        if _WORDS.fullmatch(text):
            raise self._broken(
                "hexdump without -C shows numbers of two bytes, in this machine's byte order",
                "hexdump -C shows bytes",
            )
        return None

    def _offset_line(self, offset: str, digits: str) -> _Line:
        return _Line(int(offset, 16), self._bytes(digits))

    def _add(self, line: _Line) -> Iterator[Packet]:
        self._in_text = False
        if line.offset == 0:
            yield from self._flush()
        self._repeat(line.offset)
        if line.offset != len(self._data):
            raise self._broken(f"offset {line.offset:#x}, expected {len(self._data):#x}", self._order_hint())
        self._first_line = self._first_line or self._number
        self._last = line.data
        self._data += line.data

    def _order_hint(self) -> str:
        return "the offsets of a packet's lines begin at 0 and follow each other"

    def _repeat(self, end: int) -> None:
        """Do what a `*` means: the line before it again and again, up to an offset."""
        if not self._repeats:
            return
        self._repeats = False
        room = end - len(self._data)
        if not 0 <= room <= _MOST_BYTES:
            raise self._broken(f"offset {end:#x} after a `*`, expected at most {_MOST_BYTES:#x} more")
        if self._last:
            self._data += (self._last * (room // len(self._last) + 1))[:room]

    def _plain(self, text: str) -> Iterator[Packet]:
        self._first_line = self._number
        self._data += self._bytes(text.partition("#")[0])
        yield from self._flush()

    def _bytes(self, digits: str) -> bytes:
        with suppress(ValueError):
            return bytes.fromhex(digits)
        parts = [part for part in _FILLING.split(digits) if part]
        for part in parts:
            if not re.fullmatch("[0-9a-fA-F]+", part):
                raise self._broken(f"'{_shortened(part)}' is not hex, expected two digits for each byte")
            if len(part) % 2 and not (len(part) == 1 and len(parts) > 1):
                raise self._broken(f"'{_shortened(part)}' has {len(part)} digits, expected two for each byte")
        return bytes.fromhex("".join(part.zfill(2) for part in parts))

    def _flush(self) -> Iterator[Packet]:
        if self._repeats:
            raise self._broken("ends after a `*`, expected the offset at which the packet ends")
        if self._data:
            data = bytes(self._data)
            self._data.clear()
            self._first_line = 0
            self._stream.packets += 1
            yield Packet(data)
        self._last = b""

    def _broken(self, found: str, hint: str | None = None) -> FormatError:
        place = f"packet {self._stream.packets + 1} (line {self._number})"
        return FormatError(f"read {self._stream.name}: {place}: {found}", hint=hint or _HINT)


_HINT = "write a packet as one line of hex, or as hexdump -C or tcpdump -xx print it"


def _column_digits(text: str) -> str:
    """Return the digits of a line whose bytes stand in one column, or in two of eight bytes."""
    if "|" in text:
        return text.partition("|")[0]
    first = _FIRST_COLUMN.match(text)
    if first is None:
        return text
    rest = text[first.end() :]
    second = _FIRST_COLUMN.match(rest[2:]) if rest[:2] == "  " else None
    return first[0] + (" " + second[0] if second is not None and len(first[0]) == 23 else "")


def _shortened(word: str) -> str:
    return word if len(word) <= 20 else f"{word[:17]}..."


def read_records(stream: Stream) -> Iterator[Packet]:
    """Go through the packets; they have no time and are of Ethernet.

    Raises:
        FormatError: a line is none of a packet's.
    """
    return _Reader(stream).packets()


class HexWriter:
    """Writes one packet a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, packet: Packet) -> None:
        """Add a packet; its time and link type are not written."""
        self._file.write(packet.data.hex(" ").encode() + b"\n")

    def finish(self) -> None:
        """Nothing is left to say."""
