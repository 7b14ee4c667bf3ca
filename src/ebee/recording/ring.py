"""The ring buffer of the running kernel, read through mapped memory.

Source: Documentation/bpf/ringbuf.rst.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from ebee.kernel.protocol import Kernel

_BUSY = 1 << 31
_DISCARDED = 1 << 30
_HEADER_BYTES = 8


class RingReader:
    """Takes records out of a ring buffer, in the order in which programs reserved them.

    Args:
        kernel: the door it is mapped through.
        fd: the map's descriptor; borrowed.
        size_bytes: the map's max_entries, a power of two.
    """

    def __init__(self, kernel: Kernel, fd: int, size_bytes: int) -> None:
        page_bytes = os.sysconf("SC_PAGESIZE")
        self._mask = size_bytes - 1
        self._page_bytes = page_bytes
        self._consumer = kernel.map_memory(fd, page_bytes, writable=True)
        # The data are mapped twice in a row, so that a record at the end goes on without a break.
        self._producer = kernel.map_memory(
            fd, page_bytes + 2 * size_bytes, writable=False, offset_bytes=page_bytes
        )
        self._taken = self._consumer[:8].cast("Q")
        self._given = self._producer[:8].cast("Q")

    def records(self) -> Iterator[bytes]:
        """Go through the records that are there now; each is given back once the next is asked for."""
        place = self._taken[0]
        while place < self._given[0]:
            begin = self._page_bytes + (place & self._mask)
            (length,) = struct.unpack_from("=I", self._producer, begin)
            if length & _BUSY:
                return
            size_bytes = length & ~(_BUSY | _DISCARDED)
            data = begin + _HEADER_BYTES
            if not length & _DISCARDED:
                yield bytes(self._producer[data : data + size_bytes])
            place += (_HEADER_BYTES + size_bytes + 7) & ~7
            self._taken[0] = place

    def close(self) -> None:
        """Give the memory back. Closing twice does nothing."""
        for view in (self._taken, self._given, self._consumer, self._producer):
            view.release()

    def __enter__(self) -> RingReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
