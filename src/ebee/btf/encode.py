"""Types -> the bytes of a BTF section; and what a loader must fill in before the kernel takes one."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Mapping

from ebee.btf.btf import MAGIC, Btf
from ebee.btf.types import (
    ByteOrder,
    FuncLinkage,
    IntEncoding,
    Kind,
    Member,
    SectionVariable,
    Type,
    VarLinkage,
)
from ebee.errors import FormatError, SpecError

_HEADER = "HBBIIIII"
_WORD = 0xFFFFFFFF
_SIZED = frozenset((Kind.INT, Kind.FLOAT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.DATASEC))


class Strings:
    """A string section that grows: what it began with keeps its place.

    Args:
        data: what it begins with; its first byte is zero, so that offset 0 is the empty string.
    """

    __slots__ = ("_added", "_first", "_places", "data")

    def __init__(self, data: bytes = b"\0") -> None:
        if data[:1] != b"\0" or data[-1:] != b"\0":
            raise FormatError("BTF: the strings do not begin and end with a zero byte")
        self.data = bytearray(data)
        self._places: dict[bytes, int] = {}
        place = 0
        for piece in data[:-1].split(b"\0"):
            self._places.setdefault(piece, place)
            place += len(piece) + 1

    def offset(self, text: str) -> int:
        """Return where a string stands, put at the end if it stood nowhere."""
        raw = text.encode("utf-8", "surrogateescape")
        place = self._places.get(raw)
        if place is None:
            if b"\0" in raw:
                raise SpecError(f"BTF: the name {text!r} holds a zero byte")
            place = self._places[raw] = len(self.data)
            self.data += raw + b"\0"
        return place


def encode(types: Iterable[Type], *, strings: bytes = b"\0", byte_order: ByteOrder = "little") -> bytes:
    """Return a BTF section.

    Args:
        types: those with ids 1, 2, … in their order; void, type 0, is not among them.
        strings: a string section whose offsets stay good, because .BTF.ext points into it; names that
            are not in it are added at its end.
        byte_order: `little` or `big`.

    Raises:
        SpecError: a number does not fit its field.
    """
    pool = Strings(strings)
    words = array("I")
    for type_id, item in enumerate(types, 1):
        try:
            words.extend(_words(item, pool))
        except OverflowError:
            what = item.name or item.kind.name.lower()
            raise SpecError(f"BTF: type {type_id} ({what}) has numbers too large for the format") from None
    if byte_order != sys.byteorder:
        words.byteswap()
    return _section(words.tobytes(), bytes(pool.data), byte_order)


def _section(types: bytes, strings: bytes, byte_order: ByteOrder) -> bytes:
    prefix = "<" if byte_order == "little" else ">"
    size = struct.calcsize(prefix + _HEADER)
    header = struct.pack(prefix + _HEADER, MAGIC, 1, 0, size, 0, len(types), len(types), len(strings))
    return header + types + strings


def _words(item: Type, pool: Strings) -> list[int]:
    """Return a type as the 32-bit numbers of the format: three common ones, and its tail."""
    kind, count, tail = item.kind, 0, list[int]()
    if kind is Kind.INT:
        tail = [item.encoding << 24 | item.bit_offset << 16 | item.bit_size]
    elif kind is Kind.ARRAY:
        tail = [item.type_id, item.index_type_id, item.length]
    elif kind is Kind.VAR:
        tail = [item.linkage]
    elif kind is Kind.DECL_TAG:
        tail = [item.component & _WORD]
    elif kind is Kind.FUNC:
        count = item.linkage
    else:
        count, tail = _items(item, pool)
    if count > 0xFFFF:
        raise OverflowError
    info = int(item.flag) << 31 | kind << 24 | count
    size_or_type = item.size_bytes if kind in _SIZED else 0 if kind is Kind.ARRAY else item.type_id
    return [pool.offset(item.name), info, size_or_type, *tail]


def _items(item: Type, pool: Strings) -> tuple[int, list[int]]:
    kind = item.kind
    if kind in (Kind.STRUCT, Kind.UNION):
        rows = [(pool.offset(m.name), m.type_id, _member_offset(m, item.flag)) for m in item.members]
        return len(rows), [word for row in rows for word in row]
    if kind is Kind.ENUM:
        pairs = [(pool.offset(e.name), _fitting(e.value, 32, item.flag)) for e in item.enumerators]
        return len(pairs), [word for pair in pairs for word in pair]
    if kind is Kind.ENUM64:
        wide = [(pool.offset(e.name), _fitting(e.value, 64, item.flag)) for e in item.enumerators]
        return len(wide), [word for name, value in wide for word in (name, value & _WORD, value >> 32)]
    if kind is Kind.FUNC_PROTO:
        return len(item.parameters), [w for p in item.parameters for w in (pool.offset(p.name), p.type_id)]
    return len(item.variables), [word for variable in item.variables for word in variable]


def _member_offset(member: Member, flag: bool) -> int:
    if not flag:
        if member.bit_size:
            raise OverflowError
        return member.bit_offset
    if member.bit_size > 0xFF or member.bit_offset > 0xFFFFFF:
        raise OverflowError
    return member.bit_size << 24 | member.bit_offset


def _fitting(value: int, bits: int, signed: bool) -> int:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= value <= high:
        raise OverflowError
    return value & (1 << bits) - 1


# -- for the kernel --------------------------------------------------------------------------------


def complete_datasecs(btf: Btf, sizes: Mapping[str, int], offsets: Mapping[tuple[str, str], int]) -> bytes:
    """Return the section with what only the ELF file knows filled in, as BPF_BTF_LOAD wants it.

    Compilers leave a DATASEC's size and its global variables' offsets zero, and write externs as such,
    all of which the kernel refuses. Afterwards variables are in order; externs count as allocated; of
    `.ksyms`, variables are ints in a row and functions are stood for by a variable `dummy_ksym`. Names
    with other characters than the kernel's oldest rule allows have `_` in their place.

    Args:
        btf: the object's types.
        sizes: of ELF sections by name, in bytes.
        offsets: symbol values by section and variable, in bytes from the section's begin. Externs may
            be given too (a layout of `.kconfig`), else they lie in a row, each at its alignment.

    Returns:
        a BTF section in which type ids and the offsets of strings are what they were; types may have
        been added at the end.

    Raises:
        FormatError: a global variable is not in `offsets`, or its section not in `sizes`.

    Source: kernel/bpf/btf.c, btf_datasec_check_meta(), btf_datasec_resolve(), btf_var_check_meta(),
        btf_func_check_meta().
    """
    return _Completion(btf, sizes, offsets).encode()


class _Completion:
    """The types of an object while they are made ready for the kernel."""

    def __init__(self, btf: Btf, sizes: Mapping[str, int], offsets: Mapping[tuple[str, str], int]) -> None:
        self.btf = btf
        self.sizes = sizes
        self.offsets = offsets
        self.types = [found for _, found in btf]

    def encode(self) -> bytes:
        for index, found in enumerate(list(self.types)):
            if found.kind is Kind.DATASEC:
                self.types[index] = self._section(found)
        for index, found in enumerate(self.types):
            self.types[index] = _acceptable(found)
        return encode(self.types, strings=self.btf.strings, byte_order=self.btf.byte_order)

    def _get(self, type_id: int) -> Type:
        if not 0 < type_id <= len(self.types):
            raise FormatError(f"BTF: type {type_id} is named, expected one up to {len(self.types)}")
        return self.types[type_id - 1]

    def _put(self, type_id: int, changed: Type) -> None:
        self.types[type_id - 1] = changed

    def _section(self, section: Type) -> Type:
        if section.name == ".ksyms":
            return self._ksyms(section)
        if section.name not in self.sizes and all(self._is_extern(v.type_id) for v in section.variables):
            return self._externs(section)
        size = self.sizes.get(section.name, section.size_bytes)
        if not size:
            raise FormatError(f"BTF: section {section.name} has no size, expected one of the ELF file's")
        placed = [v._replace(offset_bytes=self._offset(section, v)) for v in section.variables]
        return _ordered(section, placed, size)

    def _offset(self, section: Type, variable: SectionVariable) -> int:
        named = self._get(variable.type_id)
        known = self.offsets.get((section.name, named.name))
        if known is not None:
            return known
        # A static variable may have no symbol of its own: its offset stands in the section already.
        if named.linkage == VarLinkage.STATIC or variable.offset_bytes or section.size_bytes:
            return variable.offset_bytes
        raise FormatError(f"BTF: variable {named.name} of section {section.name} has no ELF symbol")

    def _is_extern(self, type_id: int) -> bool:
        found = self._get(type_id)
        return found.kind is Kind.FUNC or found.linkage == VarLinkage.GLOBAL_EXTERN

    def _externs(self, section: Type) -> Type:
        """Lay externs out in a row, where nobody has said how."""
        placed, place = list[SectionVariable](), 0
        for variable in section.variables:
            size = self.btf.size_bytes(variable.type_id)
            name = self._get(variable.type_id).name
            step = min(8, size & -size) or 1
            start = self.offsets.get((section.name, name), -(-place // step) * step)
            placed.append(SectionVariable(variable.type_id, start, size))
            place = max(place, start + size)
        return _ordered(section, placed, max(place, self.sizes.get(section.name, 0)))

    def _ksyms(self, section: Type) -> Type:
        """Make every ksym an int: the kernel wants a size, and ksyms may be void or functions."""
        int_id, dummy_id, placed = self._int(), 0, list[SectionVariable]()
        for index, variable in enumerate(section.variables):
            type_id, found = variable.type_id, self._get(variable.type_id)
            if found.kind is Kind.FUNC:
                self._name_parameters(found.type_id)
                dummy_id = dummy_id or self._add(Type(Kind.VAR, "dummy_ksym", type_id=int_id, linkage=1))
                type_id = dummy_id
            else:
                self._put(type_id, found._replace(type_id=int_id))
            placed.append(SectionVariable(type_id, 4 * index, 4))
        return section._replace(variables=tuple(placed), size_bytes=4 * len(placed))

    def _name_parameters(self, prototype_id: int) -> None:
        """Give a kfunc's parameters a name, without which the kernel takes no FUNC."""
        prototype = self._get(prototype_id)
        named = [
            p if p.name or not p.type_id else p._replace(name="dummy_ksym") for p in prototype.parameters
        ]
        self._put(prototype_id, prototype._replace(parameters=tuple(named)))

    def _int(self) -> int:
        for index, found in enumerate(self.types):
            if found.kind is Kind.INT and found.size_bytes == 4 and found.encoding == IntEncoding.SIGNED:
                return index + 1
        return self._add(Type(Kind.INT, "int", 4, encoding=IntEncoding.SIGNED, bit_size=32))

    def _add(self, added: Type) -> int:
        self.types.append(added)
        return len(self.types)


def _ordered(section: Type, placed: list[SectionVariable], size_bytes: int) -> Type:
    """Return a section with its variables in order; those without a byte are left out."""
    kept = sorted((variable for variable in placed if variable.size_bytes), key=lambda v: v.offset_bytes)
    return section._replace(variables=tuple(kept), size_bytes=size_bytes)


def _acceptable(found: Type) -> Type:
    """Return a type whose name and linkage the kernel takes."""
    if found.kind in (Kind.VAR, Kind.DATASEC, Kind.FUNC):
        found = found._replace(name="".join(map(_acceptable_letter, found.name)))
    if found.kind is Kind.VAR and found.linkage == VarLinkage.GLOBAL_EXTERN:
        return found._replace(linkage=VarLinkage.GLOBAL_ALLOCATED)
    if found.kind is Kind.FUNC and found.linkage == FuncLinkage.EXTERN:
        return found._replace(linkage=FuncLinkage.GLOBAL)
    return found


def _acceptable_letter(letter: str) -> str:
    return letter if letter.isascii() and (letter.isalnum() or letter in "_.") else "_"
