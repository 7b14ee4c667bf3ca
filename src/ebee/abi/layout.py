"""Structs of the kernel's interface: names and values <-> bytes, in the host's byte order.

The tables of fields are plain tuples, which cost an import next to nothing; what packing needs is
made from them at a layout's first use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property

from ebee.errors import InternalError, SpecError

Value = int | str | bytes
Row = tuple[str, int, str, int]
"""Name, offset in bytes, type, mask. Types are spelt as the kernel's: `u32`, `s64`, `char[16]`,
`u8[8]`. The mask is 0 but for a bit field, where it says which bits of the word are its own."""

_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s8": "b", "s16": "h", "s32": "i", "s64": "q"}


class Field:
    """One field of a struct.

    Attributes:
        name: the kernel's; a field of a named inner struct has that one's name and `_` before it.
        offset_bytes: of the field, or of the word that a bit field lies in.
        size_bytes: of the field, or of that word.
        type: `u8` to `u64`, `s8` to `s64`, `char[N]` or `u8[N]`.
        mask: the bits of a bit field within its word; 0 for any other field.
    """

    __slots__ = ("_coder", "_shift", "mask", "name", "offset_bytes", "size_bytes", "type")

    def __init__(self, row: Row) -> None:
        self.name, self.offset_bytes, self.type, self.mask = row
        element, _, count = self.type.rstrip("]").partition("[")
        self._coder = struct.Struct("=" + (f"{count}s" if count else _CODES[element]))
        self.size_bytes = self._coder.size
        self._shift = (self.mask & -self.mask).bit_length() - 1 if self.mask else 0

    def put(self, buffer: bytearray, value: Value) -> None:
        """Write a value to its place.

        Raises:
            SpecError: the value does not fit.
        """
        if "[" in self.type:
            self._coder.pack_into(buffer, self.offset_bytes, self._as_bytes(value))
            return
        if not isinstance(value, int):
            raise InternalError(f"field {self.name}: a {type(value).__name__}, expected a number")
        try:
            self._coder.pack_into(buffer, self.offset_bytes, self._as_word(buffer, value))
        except struct.error:
            raise SpecError(f"field {self.name}: {value}, expected a number that fits {self.type}") from None

    def get(self, buffer: bytes | bytearray | memoryview) -> Value:
        """Return the value that stands in its place."""
        found: Value = self._coder.unpack_from(buffer, self.offset_bytes)[0]
        if self.mask:
            return (int(found) & self.mask) >> self._shift
        if isinstance(found, bytes) and self.type.startswith("char"):
            return found.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return found

    def _as_word(self, buffer: bytearray, value: int) -> int:
        if not self.mask:
            return value
        if not 0 <= value <= self.mask >> self._shift:
            raise SpecError(f"field {self.name}: {value}, expected 0 to {self.mask >> self._shift}")
        word: int = self._coder.unpack_from(buffer, self.offset_bytes)[0]
        return word & ~self.mask | value << self._shift

    def _as_bytes(self, value: Value) -> bytes:
        is_text = self.type.startswith("char")
        if isinstance(value, int) or isinstance(value, str) != is_text:
            expected = "a string" if is_text else "bytes"
            raise InternalError(f"field {self.name}: a {type(value).__name__}, expected {expected}")
        raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        room_bytes = self.size_bytes - 1 if is_text else self.size_bytes
        if len(raw) > room_bytes:
            shown = f"{value!r} takes {len(raw)} bytes" if is_text else f"{len(raw)} bytes"
            raise SpecError(f"field {self.name}: {shown}, expected {room_bytes} or fewer")
        if is_text and b"\0" in raw:
            raise SpecError(f"field {self.name}: {value!r} holds a zero byte, which would end it")
        return raw


class Layout:
    """Where the fields of a struct stand.

    Args:
        name: the struct's, as the kernel spells it.
        size_bytes: of the whole struct.
        rows: its fields; those of a union overlap.
    """

    __slots__ = ("__dict__", "name", "rows", "size_bytes")

    def __init__(self, name: str, size_bytes: int, rows: tuple[Row, ...]) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self.rows = rows

    def __repr__(self) -> str:
        return f"Layout({self.name!r}, {self.size_bytes}, {len(self.rows)} fields)"

    def __iter__(self) -> Iterator[Field]:
        """Go through the fields in order."""
        return iter(self.fields.values())

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The fields by name."""
        return {row[0]: Field(row) for row in self.rows}

    def pack(self, **values: Value) -> bytearray:
        """Return the struct's bytes; what is not named is zero.

        Args:
            values: numbers; strings for char arrays, which get their terminating zero; bytes for
                arrays of u8, filled up with zeros.

        Raises:
            SpecError: a value does not fit its field.
            InternalError: there is no field of that name, or it takes another type.
        """
        buffer = bytearray(self.size_bytes)
        fields = self.fields
        for name, value in values.items():
            field = fields.get(name)
            if field is None:
                raise InternalError(f"struct {self.name}: field '{name}' is set, which it has not")
            field.put(buffer, value)
        return buffer

    def unpack(self, data: bytes | bytearray | memoryview) -> dict[str, Value]:
        """Return the values of all fields that lie within the data.

        An older kernel knows fewer fields and answers with fewer bytes; the fields past them are
        left out rather than given as zero.
        """
        length = len(data)
        return {
            name: field.get(data)
            for name, field in self.fields.items()
            if field.offset_bytes + field.size_bytes <= length
        }
