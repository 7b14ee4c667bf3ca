"""The .BTF.ext section: which function and which C line code comes from, and CO-RE relocations.

Source: Documentation/bpf/btf.rst, section 3.4; include/uapi/linux/bpf.h, struct bpf_core_relo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ebee.btf.btf import MAGIC, Btf
from ebee.errors import FormatError
from ebee.record import NamedTuple, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Record = TypeVar("_Record")


class FuncInfo(NamedTuple):
    """At this byte of its section begins the function of that FUNC type."""

    offset_bytes: int
    type_id: int


class LineInfo(NamedTuple):
    """From this instruction on, code comes from this place.

    Attributes:
        slot: of the instruction; counted from its section's or function's begin, as the owner says.
        file_offset, text_offset: where the file's name and the line's text stand in BTF's strings.
        line, column: counted from 1.
    """

    slot: int
    file_offset: int
    text_offset: int
    line: int
    column: int


class CoreRelocation(NamedTuple):
    """A CO-RE relocation: the instruction in `slot` depends on how the kernel lays out a type.

    Attributes:
        type_id: the root type in the object's own BTF.
        access: the path within it, such as `0:1:2`, or an enumerator's number, or `0`.
        kind: number of enum bpf_core_relo_kind.
    """

    slot: int
    type_id: int
    access: str
    kind: int


class Ext(Record):
    """What .BTF.ext says, by the name of the code section; slots count from the section's begin."""

    functions: dict[str, list[FuncInfo]] = {}
    lines: dict[str, list[LineInfo]] = {}
    core_relocations: dict[str, list[CoreRelocation]] = {}


def decode_ext(data: bytes, btf: Btf) -> Ext:
    """Return what a .BTF.ext section says.

    Args:
        data: the section's bytes.
        btf: the object's types, whose strings the section points into.

    Raises:
        FormatError: the bytes are not .BTF.ext.
    """
    order = btf.byte_order

    def u32(offset: int) -> int:
        if offset + 4 > len(data):
            raise FormatError(f".BTF.ext: a number at {offset}, expected within {len(data)} bytes")
        return int.from_bytes(data[offset : offset + 4], order)

    if len(data) < 24 or data[:2] != MAGIC.to_bytes(2, order):
        raise FormatError(f".BTF.ext: begins with {data[:2].hex()}, expected BTF's magic number")
    header_bytes = u32(4)

    def table(field_offset: int, smallest: int, make: Callable[[int], _Record]) -> dict[str, list[_Record]]:
        if field_offset + 8 > header_bytes:
            return {}
        start, length = header_bytes + u32(field_offset), u32(field_offset + 4)
        return dict(_sections(u32, btf, start, length, smallest, make)) if length else {}

    return Ext(
        functions=table(8, 8, lambda at: FuncInfo(u32(at), u32(at + 4))),
        lines=table(16, 16, lambda at: _line(u32, at)),
        core_relocations=table(
            24,
            16,
            lambda at: CoreRelocation(u32(at) // 8, u32(at + 4), btf.string(u32(at + 8)), u32(at + 12)),
        ),
    )


def _line(u32: Callable[[int], int], at: int) -> LineInfo:
    place = u32(at + 12)
    return LineInfo(u32(at) // 8, u32(at + 4), u32(at + 8), place >> 10, place & 0x3FF)


def _sections(
    u32: Callable[[int], int],
    btf: Btf,
    start: int,
    length: int,
    smallest: int,
    make: Callable[[int], _Record],
) -> Iterator[tuple[str, list[_Record]]]:
    """Go through the sections of one table: a record size, then name, count and records of each."""
    record_bytes, place, end = u32(start), start + 4, start + length
    if record_bytes < smallest or record_bytes % 4:
        raise FormatError(f".BTF.ext: records of {record_bytes} bytes, expected {smallest} or more")
    while place < end:
        name, count = btf.string(u32(place)), u32(place + 4)
        place += 8
        if place + count * record_bytes > end:
            raise FormatError(f".BTF.ext: {count} records for {name} do not fit into {length} bytes")
        yield name, [make(place + index * record_bytes) for index in range(count)]
        place += count * record_bytes
