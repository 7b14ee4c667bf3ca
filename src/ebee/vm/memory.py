"""Memory with bounds and provenance: an address says which region it came from.

    63        52 51          28 27           0
    |  region   |   element    |   offset    |

Pointers are plain 64-bit numbers, so arithmetic and comparison are the instruction set's own. A
region is an array of elements of one size (the values of a map, the frames of the stack) or a single
stretch (a packet); an offset that leaves its element is out of bounds, whatever lies beyond.

Region 0 is nothing: the null pointer, and what looks like an address of user space. From
KERNEL_REGIONS on an address looks like one of the kernel's. Both are told apart from the machine's own
memory by their value alone, and only the probe_read helpers (and typed kernel pointers) reach them, in
`SparseMemory`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from struct import Struct

from ebee.vm.arena import Arena
from ebee.vm.faults import AccessFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

OFFSET_BITS: Final = 28
ELEMENT_BITS: Final = 24
ELEMENT_SHIFT: Final = OFFSET_BITS
REGION_SHIFT: Final = OFFSET_BITS + ELEMENT_BITS
OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1
ELEMENT_MASK: Final = (1 << ELEMENT_BITS) - 1
REGIONS: Final = 1 << (64 - REGION_SHIFT)
KERNEL_REGIONS: Final = 0xF00
"""From this region on, addresses are the kernel's: 0xffff8881… and their like."""

# Regions that every machine has, and what they hold.
NOTHING: Final = 0
CONTEXT: Final = 1
PACKET: Final = 2
STACK: Final = 3
MAPS: Final = 4
CODE: Final = 5
FIRST_FREE: Final = 16

_NUMBERS = {size: Struct(f"<{letter}") for size, letter in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))}
_READ = {size: number.unpack_from for size, number in _NUMBERS.items()}
_WRITE = {size: number.pack_into for size, number in _NUMBERS.items()}
_POINTER_LOAD_BYTES: Final = 4
"""From this size on, a load of a context's pointer field gives the pointer."""
_HALF: Final = 1 << (OFFSET_BITS - 1)


def address_of(region: int, element: int = 0, offset: int = 0) -> int:
    """Return the address of a byte of a region."""
    return region << REGION_SHIFT | element << ELEMENT_SHIFT | offset


class Region:
    """A stretch of memory that one kind of pointer may reach.

    Attributes:
        number: its place in addresses.
        name: how a message calls it: `the stack`, `map 'counts'`.
        data: its bytes; None for what may not be read or written at all (maps, code).
        start: where it begins in the arena, in bytes.
        elements, element_bytes, stride_bytes: how many elements, how much of each may be reached,
            how far they are apart.
        low, high: the offsets, within an element, that may be reached: [low, high).
        writable: whether programs may write there.
        writable_parts: where only some ranges of offsets may be written, those.
        pointers: offsets at which a load of 32 bits gives 64: the pointer fields of a context, which
            the kernel's own headers declare as 32-bit numbers.
    """

    __slots__ = (
        "data",
        "element_bytes",
        "elements",
        "high",
        "low",
        "name",
        "number",
        "pointers",
        "start",
        "stride_bytes",
        "writable",
        "writable_parts",
    )

    def __init__(
        self,
        number: int,
        name: str,
        data: memoryview | None,
        *,
        start: int = 0,
        elements: int = 1,
        element_bytes: int = 0,
        stride_bytes: int = 0,
        writable: bool = True,
    ) -> None:
        self.number = number
        self.name = name
        self.data = data
        self.start = start
        self.elements = elements
        self.element_bytes = element_bytes
        self.stride_bytes = stride_bytes or element_bytes
        self.low = 0
        self.high = element_bytes
        self.writable = writable
        self.writable_parts: tuple[tuple[int, int], ...] | None = None
        self.pointers: dict[int, int] = {}

    def address(self, element: int = 0, offset: int = 0) -> int:
        """Return the address of a byte."""
        return address_of(self.number, element, offset)

    def element(self, index: int) -> memoryview:
        """Return the bytes of an element, for helpers and for user space; writable."""
        assert self.data is not None
        begin = index * self.stride_bytes
        return self.data[begin : begin + self.element_bytes]

    def may_write(self, offset: int, size_bytes: int) -> bool:
        """Return whether a program may write bytes that lie within its bounds."""
        if self.writable_parts is None:
            return self.writable
        return any(begin <= offset and offset + size_bytes <= end for begin, end in self.writable_parts)


class Memory:
    """All that the programs of one machine can reach."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.regions: dict[int, Region] = {}
        self._next = FIRST_FREE
        # Numbers are used again late, so that a pointer to what is gone finds nothing for long.
        self._given_back: deque[int] = deque()
        self.user = SparseMemory("user space")
        self.kernel = SparseMemory("the kernel")

    def add(
        self,
        name: str,
        element_bytes: int,
        *,
        elements: int = 1,
        number: int | None = None,
        writable: bool = True,
        stride_bytes: int = 0,
    ) -> Region:
        """Make a region of zeros.

        Args:
            number: one of the regions that every machine has; else a free one is taken.
            stride_bytes: how far elements are apart; rounded up to 8 where it is not given.
        """
        stride = stride_bytes or (element_bytes + 7) & ~7
        start, data = self.arena.allocate(stride * elements)
        return self.place(
            Region(
                self._take() if number is None else number,
                name,
                data,
                start=start,
                elements=elements,
                element_bytes=element_bytes,
                stride_bytes=stride,
                writable=writable,
            )
        )

    def add_opaque(self, name: str, number: int) -> Region:
        """Make a region that is pointed at and never read: maps, functions."""
        return self.place(Region(number, name, None, elements=1 << ELEMENT_BITS))

    def place(self, region: Region) -> Region:
        """Put a region where its number says; engines learn of it by `changed`."""
        self.regions[region.number] = region
        self.changed(region)
        return region

    def changed(self, region: Region) -> None:
        """Tell whoever mirrors the regions that one has new bounds: the arena knows them."""
        self.arena.changed(region)

    def remove(self, region: Region) -> None:
        """Take a region away; pointers to it are dangling from now on."""
        del self.regions[region.number]
        self._given_back.append(region.number)
        if region.data is not None:
            self.arena.free(region.start, region.stride_bytes * region.elements)
        self.changed(Region(region.number, region.name, None, elements=0))

    def find(self, address: int) -> Region | None:
        """Return the region that an address names; None for null and addresses of no region."""
        return self.regions.get(address >> REGION_SHIFT)

    def load(self, address: int, size_bytes: int) -> int:
        """Return the number at an address, as an instruction of the program loads it.

        Raises:
            AccessFault: the bytes are not all of one element, or may not be read.
        """
        region = self.regions.get(address >> REGION_SHIFT)
        offset = address & OFFSET_MASK
        element = address >> ELEMENT_SHIFT & ELEMENT_MASK
        end = offset + size_bytes
        if region is None or element >= region.elements or offset < region.low or end > region.high:
            raise self._refused(address, size_bytes)
        if offset in region.pointers and size_bytes >= _POINTER_LOAD_BYTES:
            return region.pointers[offset]
        # What has no data has no offsets in its bounds either.
        data: memoryview = region.data  # type: ignore[assignment]
        number: int = _READ[size_bytes](data, element * region.stride_bytes + offset)[0]
        return number

    def store(self, address: int, size_bytes: int, value: int) -> None:
        """Write a number to an address; its upper bits are cut off.

        Raises:
            AccessFault: the bytes are not all of one element, or may not be written.
        """
        region = self.regions.get(address >> REGION_SHIFT)
        offset = address & OFFSET_MASK
        element = address >> ELEMENT_SHIFT & ELEMENT_MASK
        if (
            region is None
            or element >= region.elements
            or offset < region.low
            or offset + size_bytes > region.high
            or (
                (region.writable_parts is not None or not region.writable)
                and not region.may_write(offset, size_bytes)
            )
        ):
            raise self._refused(address, size_bytes, writing=True)
        data: memoryview = region.data  # type: ignore[assignment]
        low_bits = value & (1 << 8 * size_bytes) - 1
        _WRITE[size_bytes](data, element * region.stride_bytes + offset, low_bits)

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return bytes that lie in one element.

        Raises:
            AccessFault: they do not.
        """
        return bytes(self.view(address, size_bytes))

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Write bytes into one element.

        Raises:
            AccessFault: they do not fit, or may not be written.
        """
        self.view(address, len(data), writing=True)[:] = data

    def view(self, address: int, size_bytes: int, *, writing: bool = False) -> memoryview:
        """Return the bytes at an address, without copying.

        Raises:
            AccessFault: the address is of no region, or the bytes are not all within an element.
        """
        region = self.regions.get(address >> REGION_SHIFT)
        offset = address & OFFSET_MASK
        element = address >> ELEMENT_SHIFT & ELEMENT_MASK
        if (
            region is None
            or region.data is None
            or element >= region.elements
            or offset < region.low
            or offset + size_bytes > region.high
            or (writing and not region.may_write(offset, size_bytes))
        ):
            raise self._refused(address, size_bytes, writing=writing)
        begin = element * region.stride_bytes + offset
        return region.data[begin : begin + size_bytes]

    def read_string(self, address: int, most_bytes: int) -> bytes:
        """Return the bytes before the first zero, at most so many; the zero is not among them.

        Raises:
            AccessFault: the string leaves its element before it ends.
        """
        region = self.find(address)
        room = 0 if region is None else region.high - (address & OFFSET_MASK)
        text = self.read(address, max(1, min(most_bytes, room)))
        end = text.find(b"\0")
        if end < 0 and room < most_bytes:
            raise AccessFault(
                f"string at {self.describe(address)}: no zero byte ends it", address, most_bytes
            )
        return text if end < 0 else text[:end]

    def describe(self, address: int) -> str:
        """Return what an address is, in words: `map 'counts', element 3 + 12`."""
        number, element, offset = _parts(address)
        region = self.regions.get(number)
        if region is None:
            return _outside(address)
        # A packet begins somewhere in its buffer, and its first byte is byte 0 to people.
        distance = offset - region.low
        sign = "-" if distance < 0 else "+"
        place = f", element {element}" if region.elements > 1 and region.data is not None else ""
        return f"{region.name}{place} {sign} {abs(distance)}"

    def complaint(self, address: int, size_bytes: int, *, writing: bool) -> str:
        """Return why an access is refused: the pointer's origin, its offset, the bounds."""
        verb, passive = ("write", "written") if writing else ("read", "read")
        tried = f"{verb} of {size_bytes} byte{'s' * (size_bytes != 1)} at {self.describe(address)}"
        number, element, offset = _parts(address)
        region = self.regions.get(number)
        if region is None:
            return f"{tried}: no memory of this program is there"
        if region.data is None:
            return f"{tried}: it cannot be {passive} through a pointer"
        if element >= region.elements:
            return f"{tried}: it has {region.elements} elements"
        if offset < region.low or offset + size_bytes > region.high:
            return f"{tried}: {region.high - region.low} bytes may be reached, from 0"
        return f"{tried}: it may not be {passive}"

    def _refused(self, address: int, size_bytes: int, *, writing: bool = False) -> AccessFault:
        complaint = self.complaint(address, size_bytes, writing=writing)
        return AccessFault(complaint, address, size_bytes, _advice(self.find(address), address))

    def _take(self) -> int:
        if self._next < KERNEL_REGIONS:
            self._next += 1
            return self._next - 1
        return self._given_back.popleft()


class SparseMemory:
    """Bytes here and there in a large address space: what probe_read finds.

    Args:
        name: whose it is, in messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._starts: list[int] = []
        self._pieces: dict[int, bytearray] = {}

    def put(self, address: int, data: bytes) -> None:
        """Set bytes; what was there before is written over, neighbours grow together."""
        start, whole = address, bytearray(data)
        for old in [
            s for s in self._starts if s <= address + len(data) and s + len(self._pieces[s]) >= address
        ]:
            piece = self._pieces.pop(old)
            self._starts.remove(old)
            if old < start:
                whole = piece[: start - old] + whole
                start = old
            beyond = old + len(piece) - (start + len(whole))
            if beyond > 0:
                whole += piece[-beyond:]
        self._starts.insert(bisect_right(self._starts, start), start)
        self._pieces[start] = whole

    def read(self, address: int, size_bytes: int) -> bytes | None:
        """Return bytes; None where one of them was never set."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        piece = self._pieces[start][address - start : address - start + size_bytes]
        return bytes(piece) if len(piece) == size_bytes else None

    def read_string(self, address: int, most_bytes: int) -> bytes | None:
        """Return the bytes before the first zero, or so many; None where one was never set."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        piece = self._pieces[start][address - start : address - start + most_bytes]
        end = piece.find(b"\0")
        if end < 0 and len(piece) < most_bytes:
            return None
        return bytes(piece if end < 0 else piece[:end])

    def clear(self) -> None:
        """Forget all."""
        self._starts.clear()
        self._pieces.clear()


def is_kernel_address(address: int) -> bool:
    """Return whether an address looks like one of the kernel's."""
    return address >> REGION_SHIFT >= KERNEL_REGIONS


def _parts(address: int) -> tuple[int, int, int]:
    """Return region, element and offset; an offset just below an element's begin is negative."""
    number = address >> REGION_SHIFT
    element = address >> ELEMENT_SHIFT & ELEMENT_MASK
    offset = address & OFFSET_MASK
    if offset >= OFFSET_MASK + 1 - _HALF:
        whole = (address + (1 << OFFSET_BITS)) & ((1 << 64) - 1)
        return whole >> REGION_SHIFT, whole >> ELEMENT_SHIFT & ELEMENT_MASK, offset - (1 << OFFSET_BITS)
    return number, element, offset


def _advice(region: Region | None, address: int) -> str | None:
    """Return what is to be done so that an address is not reached any more."""
    if region is not None:
        return _ADVICE.get(region.number)
    if address < _NULL_PAGE_BYTES:
        return "compare what may be null with NULL before it is used"
    if is_kernel_address(address):
        return "bpf_probe_read_kernel() reads the kernel's memory; nothing writes there"
    if address >> REGION_SHIFT == NOTHING:
        return "bpf_probe_read_user() reads memory of user space, bpf_probe_write_user() writes it"
    return "a pointer is good until what it points at was submitted, discarded or released"


_ADVICE = {
    PACKET: "compare the end of what is reached with data_end before",
    STACK: "a function has 512 bytes of stack, below r10",
    MAPS: "helpers such as bpf_map_lookup_elem() reach into a map",
}
_NULL_PAGE_BYTES: Final = 4096
"""Below this address a pointer is null with an offset."""


def _outside(address: int) -> str:
    if address < _NULL_PAGE_BYTES:
        return f"null + {address}" if address else "null"
    if is_kernel_address(address):
        return f"kernel address {address:#x}"
    if address >> REGION_SHIFT == NOTHING:
        return f"{address:#x}, no pointer of this program"
    return f"{address:#x}, memory that is gone"
