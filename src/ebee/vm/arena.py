"""Where the machine's bytes lie: in this process alone, or in memory that another process sees too."""

from __future__ import annotations

import errno
import os
from struct import Struct

from ebee.vm.faults import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from typing import Final

    from ebee.vm.memory import Region
    from ebee.vm.native.process import RunnerProcess


_SPARSE_BYTES: Final = 1 << 20


class Arena:
    """Bytes of this process."""

    def allocate(self, size_bytes: int) -> tuple[int, memoryview]:
        """Return zeros, and where they begin in the arena; aligned to 16 bytes.

        Raises:
            MemoryError: the system has no more.
        """
        if size_bytes < _SPARSE_BYTES:
            return 0, memoryview(bytearray(size_bytes))
        # Large maps are mostly empty. These pages take no memory before they are written; a bytearray's do.
        import mmap

        try:
            return 0, memoryview(mmap.mmap(-1, size_bytes))
        except (OSError, OverflowError):
            raise MemoryError from None

    def free(self, start: int, size_bytes: int) -> None:
        """Give bytes back. Here Python does."""

    def changed(self, region: Region) -> None:
        """Learn that a region has new bounds. Nobody but this process needs to know here."""


# How a shared arena is laid out; state.h of the native engine says the same in C.
REGION_TABLE_AT: Final = 0
CONTROL_AT: Final = 0x40000
CONTEXT_AT: Final = 0x41000
MAP_TABLE_AT: Final = 0x100000
CODE_AT: Final = 0x1000000
DATA_AT: Final = 0x10000000
SEEN_AT: Final = 1 << 36
"""Where the other process has the arena: an address that every 64-bit system has free."""

_SIZES_BYTES = (16 << 30, 4 << 30, 1 << 30)
_SMALLEST_BYTES = 64
# The largest page of the processors here. A page of code is written before it is first run, and never again.
_CODE_PAGE_BYTES = 1 << 16
# From this size on, bytes that are given back go to the system, which gives zeros for them.
_PUNCHED_BYTES = 1 << 16

# base, stride, elements, low, reading room for 1, 2, 4, 8 bytes, the same for writing, high.
_REGION = Struct("<QIII4I4II")
_REGION_BYTES = 64
_ACCESS_BYTES = (1, 2, 4, 8)
# The context's pointer fields, and the parts of it that may be written.
_CONTEXT = 1
_MOST_PAIRS = 16
_LIST_BYTES = 8 + 16 * _MOST_PAIRS


class SharedArena(Arena):
    """Bytes that another process can map: a nameless file in memory, with a table of the regions in it.

    The file has holes: what was never written takes no memory.

    Attributes:
        descriptor: the file.
        runner: the process that has it mapped and runs programs; None where there is none yet.

    Raises:
        OSError: the system has no such files, or no room for one among its addresses.
    """

    def __init__(self) -> None:
        if not hasattr(os, "memfd_create"):
            raise OSError(errno.ENOSYS, "files in memory (memfd_create) exist on Linux only")
        self.descriptor = os.memfd_create("ebee-machine")
        try:
            self._map, self.size_bytes = _map_file(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            self.descriptor = -1
            raise
        self._bytes = memoryview(self._map)
        self._next, self._next_code = DATA_AT, CODE_AT
        self.runner: RunnerProcess | None = None
        self._free: dict[int, list[int]] = {}

    def __del__(self) -> None:
        if getattr(self, "descriptor", -1) >= 0:
            os.close(self.descriptor)

    def place_code(self, code: bytes) -> int:
        """Put machine code where the other process can run it, on pages of its own; return where it is there.

        Raises:
            Refusal: ENOMEM, there is no room for more.
        """
        start, room = self._next_code, -(-len(code) // _CODE_PAGE_BYTES) * _CODE_PAGE_BYTES
        if start + room > DATA_AT:
            raise Refusal(errno.ENOMEM, f"{DATA_AT - CODE_AT >> 20} MiB of code")
        self._next_code += room
        self._bytes[start : start + len(code)] = code
        return SEEN_AT + start

    def window(self, start: int, size_bytes: int) -> memoryview:
        """Return bytes of the arena, writable."""
        return self._bytes[start : start + size_bytes]

    def allocate(self, size_bytes: int) -> tuple[int, memoryview]:
        """Return zeros, and where they begin in the arena; aligned to 64 bytes.

        Raises:
            Refusal: ENOMEM, the arena is full.
        """
        room = _rounded(size_bytes)
        given_back = self._free.get(room)
        start = given_back.pop() if given_back else self._fresh(room)
        return start, self.window(start, size_bytes)

    def _fresh(self, room: int) -> int:
        start = self._next
        if start + room > self.size_bytes:
            raise Refusal(errno.ENOMEM, f"the machine's memory of {self.size_bytes >> 30} GiB is full")
        self._next += room
        return start

    def free(self, start: int, size_bytes: int) -> None:
        """Give bytes back; who still holds a view of them sees them become something else's."""
        room = _rounded(size_bytes)
        if room >= _PUNCHED_BYTES:
            import mmap

            first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            last = (start + room) // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_REMOVE, first, last - first)
            self._bytes[start:first] = bytes(first - start)
            self._bytes[last : start + room] = bytes(start + room - last)
        else:
            self._bytes[start : start + room] = bytes(room)
        self._free.setdefault(room, []).append(start)

    def changed(self, region: Region) -> None:
        """Write a region's row of the table.

        Where reading or writing asks more than the bounds (pointer fields, parts that may be written),
        the room is 0: the other process then asks this one.
        """
        reachable = region.data is not None and region.elements > 0
        reading = _room(region) if reachable and not region.pointers else (0, 0, 0, 0)
        writable = region.writable and region.writable_parts is None
        writing = _room(region) if reachable and writable else (0, 0, 0, 0)
        base = SEEN_AT + region.start if reachable else 0
        row = (base, region.stride_bytes, region.elements if reachable else 0, region.low)
        place = REGION_TABLE_AT + region.number * _REGION_BYTES
        _REGION.pack_into(self._bytes, place, *row, *reading, *writing, region.high)
        if region.number == _CONTEXT:
            self._special(CONTEXT_AT, list(region.pointers.items()))
            self._special(CONTEXT_AT + _LIST_BYTES, list(region.writable_parts or ()))

    def _special(self, place: int, pairs: list[tuple[int, int]]) -> None:
        """Write a list of pairs; where its length says that not all found room, this process is asked."""
        numbers = [len(pairs), *(number for pair in pairs[:_MOST_PAIRS] for number in pair)]
        self._bytes[place : place + 8 * len(numbers)] = b"".join(n.to_bytes(8, "little") for n in numbers)


def _room(region: Region) -> tuple[int, int, int, int]:
    """Return how many offsets, from the lowest, an access of each size may begin at."""
    reach = region.high - region.low
    one, two, four, eight = (max(0, reach - size + 1) for size in _ACCESS_BYTES)
    return one, two, four, eight


def _rounded(size_bytes: int) -> int:
    return max(_SMALLEST_BYTES, 1 << (size_bytes - 1).bit_length())


def _map_file(descriptor: int) -> tuple[mmap.mmap, int]:
    """Return the mapped file, as large as the limits of this process allow."""
    import mmap

    for size_bytes in _SIZES_BYTES:
        os.ftruncate(descriptor, size_bytes)
        try:
            return mmap.mmap(descriptor, size_bytes), size_bytes
        except (OSError, ValueError, OverflowError):
            continue
    raise OSError(errno.ENOMEM, f"no room for {_SIZES_BYTES[-1] >> 30} GiB of addresses")
