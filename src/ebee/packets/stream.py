"""Bytes from a file or a pipe, counted, and the complaints of those who read packets from them."""

from __future__ import annotations

from ebee.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_PIECE_BYTES = 1 << 16
LONGEST_LINE_BYTES = 1 << 20


class Stream:
    """A file that is read from its begin to its end, once.

    Attributes:
        name: what messages call it.
        position: how many bytes were taken.
        packets: how many packets were read whole.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.position = 0
        self.packets = 0
        self._file = file
        self._ahead = b""

    def peek(self, count_bytes: int) -> bytes:
        """Return the next bytes without taking them; fewer where the file ends."""
        self._ahead += self._read(count_bytes - len(self._ahead))
        return self._ahead[:count_bytes]

    def take(self, count_bytes: int) -> bytes:
        """Return the next bytes; fewer where the file ends."""
        data, self._ahead = self._ahead[:count_bytes], self._ahead[count_bytes:]
        if len(data) < count_bytes:
            data += self._read(count_bytes - len(data))
        self.position += len(data)
        return data

    def skip(self, count_bytes: int) -> int:
        """Pass over bytes; return how many there were."""
        left = count_bytes
        while left:
            passed = len(self.take(min(left, _PIECE_BYTES)))
            if not passed:
                break
            left -= passed
        return count_bytes - left

    def line(self) -> bytes:
        """Return the next line with its end, at most LONGEST_LINE_BYTES of it; nothing past the last."""
        head, end, rest = self._ahead.partition(b"\n")
        self._ahead = rest
        line = head + end if end else head + self._file.readline(LONGEST_LINE_BYTES - len(head))
        self.position += len(line)
        return line

    def _read(self, count_bytes: int) -> bytes:
        # Pipes give what they have; only an empty answer is the end.
        parts = []
        while count_bytes > 0:
            part = self._file.read(count_bytes)
            if not part:
                break
            parts.append(part)
            count_bytes -= len(part)
        return b"".join(parts)

    def broken(self, place: str, at_byte: int, found: str, hint: str | None = None) -> FormatError:
        """Return the error for something at a byte."""
        return FormatError(f"read {self.name}: {place} (at byte {at_byte}): {found}", hint=hint)

    def broken_packet(self, at_byte: int, found: str, hint: str | None = None) -> FormatError:
        """Return the error for the packet after those that were read whole."""
        return self.broken(f"packet {self.packets + 1}", at_byte, found, hint or self.whole_before())

    def whole_before(self) -> str:
        """Return a hint that says what can still be had of a damaged file."""
        count = self.packets
        if not count:
            return "no packet before it is whole; capture it again"
        whole = "the packet before it is whole" if count == 1 else f"the {count} packets before it are whole"
        return f"{whole}: `--count {count}` stops after {'it' if count == 1 else 'them'}"
