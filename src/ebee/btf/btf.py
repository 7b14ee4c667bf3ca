"""BTF bytes -> types, each decoded when it is asked for.

A kernel's BTF holds 126,000 types of which a program names five. So opening one only notes where
each type begins, in one pass over 32-bit words, and decodes a type at its first use.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator

from ebee.btf.types import (
    MODIFIERS,
    VOID,
    ByteOrder,
    Enumerator,
    Kind,
    Member,
    Parameter,
    SectionVariable,
    Type,
)
from ebee.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf.scalars import Codec

MAGIC = 0xEB9F
_HEADER_BYTES = 24
_HEADER_WORDS = 3
_DEEPEST = 64
"""How many modifiers may stand in a row; the kernel takes 32 (MAX_RESOLVE_DEPTH)."""

# Words that follow the three of the common header: a fixed number, and so many per item.
_FIXED_WORDS = [0] * 32
_ITEM_WORDS = [0] * 32
for _kind, _words in ((Kind.INT, 1), (Kind.ARRAY, 3), (Kind.VAR, 1), (Kind.DECL_TAG, 1)):
    _FIXED_WORDS[_kind] = _words
for _kind, _words in (
    (Kind.STRUCT, 3),
    (Kind.UNION, 3),
    (Kind.ENUM, 2),
    (Kind.FUNC_PROTO, 2),
    (Kind.DATASEC, 3),
    (Kind.ENUM64, 3),
):
    _ITEM_WORDS[_kind] = _words

_SIZED = frozenset((Kind.INT, Kind.FLOAT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.DATASEC))


class Btf:
    """The types of one BTF section.

    Type 0 is void. A split BTF (a kernel module's) continues the ids and the strings of its base.

    Args:
        words: the type section as 32-bit numbers in host order.
        strings: the string section.
        byte_order: `little` or `big`, the order that the bytes of its values have.
        base: the BTF that this one continues.
    """

    __slots__ = (
        "_first_id",
        "_known",
        "_names",
        "_positions",
        "_words",
        "base",
        "byte_order",
        "codecs",
        "strings",
    )

    def __init__(
        self, words: array[int], strings: bytes, byte_order: ByteOrder, base: Btf | None = None
    ) -> None:
        self.base = base
        self.byte_order = byte_order
        self.strings = strings
        self._words = words
        self._first_id = 1 if base is None else len(base)
        self._positions = _positions(words)
        self._known: dict[int, Type] = {0: VOID}
        self._names: array[int] | None = None
        self.codecs: dict[int, Codec] = {}
        """Codecs of values that `btf.values` has made, by type id."""

    def __len__(self) -> int:
        """Return how many types there are, void and the base's included; ids run below it."""
        return self._first_id + len(self._positions)

    def type(self, type_id: int) -> Type:
        """Return the type with an id.

        Raises:
            FormatError: there is no such type.
        """
        known = self._known.get(type_id)
        if known is not None:
            return known
        if type_id < self._first_id and self.base is not None:
            return self.base.type(type_id)
        if not self._first_id <= type_id < len(self):
            raise FormatError(f"BTF: type {type_id} is named, expected one below {len(self)}")
        decoded = self._decode(self._positions[type_id - self._first_id])
        self._known[type_id] = decoded
        return decoded

    def __iter__(self) -> Iterator[tuple[int, Type]]:
        """Go through ids and types of this section (not of its base), void left out."""
        for type_id in range(self._first_id, len(self)):
            yield type_id, self.type(type_id)

    def string(self, offset: int) -> str:
        """Return the string that begins at an offset of the string section."""
        if self.base is not None:
            inherited = len(self.base.strings)
            if offset < inherited:
                return self.base.string(offset)
            offset -= inherited
        end = self.strings.find(b"\0", offset)
        if offset < 0 or end < 0:
            raise FormatError(f"BTF: string at {offset}, expected one below {len(self.strings)}")
        return self.strings[offset:end].decode("utf-8", "surrogateescape")

    def find(self, name: str, *kinds: Kind) -> int | None:
        """Return the id of the first type of that name (and of one of these kinds), or None."""
        for type_id in self.find_all(name):
            if not kinds or self.type(type_id).kind in kinds:
                return type_id
        return None

    def find_all(self, name: str) -> list[int]:
        """Return the ids of all types of that name, those of the base first."""
        inherited = [] if self.base is None else self.base.find_all(name)
        return inherited + self._ids_named(name)

    def find_flavours(self, name: str) -> list[int]:
        """Return the ids of this section's types (not the base's) called `name` or `name___…`."""
        return self._ids_at(self._offsets_of(name.encode("utf-8", "surrogateescape"), b"\0", b"___"))

    def _ids_named(self, name: str) -> list[int]:
        """Return this section's ids of a name."""
        return self._ids_at(self._offsets_of(name.encode("utf-8", "surrogateescape"), b"\0"))

    def _offsets_of(self, name: bytes, *ends: bytes) -> list[int]:
        """Return where strings that begin with a name and go on with one of `ends` may stand."""
        inherited = 0 if self.base is None else len(self.base.strings)
        own = [place + inherited for end in ends for place in _places(self.strings, name + end)]
        if self.base is None:
            return own
        return own + [place for end in ends for place in _places(self.base.strings, name + end)]

    def _ids_at(self, offsets: list[int]) -> list[int]:
        """Return this section's ids whose names stand at one of these offsets.

        One offset is quickest found as four bytes; of many (`sock` also ends 40 other strings), which
        a section may use or not, a walk over all names is quicker.
        """
        if self._names is None:
            words = self._words
            self._names = array("I", [words[place] for place in self._positions])
        names, first = self._names, self._first_id
        if len(offsets) > 4:
            wanted = set(offsets)
            return [first + index for index, offset in enumerate(names) if offset in wanted]
        needles = (offset.to_bytes(4, sys.byteorder) for offset in offsets)
        places = (place for needle in needles for place in _places(names.tobytes(), needle))
        return sorted(first + place // 4 for place in places if place % 4 == 0)

    def resolve(self, type_id: int) -> tuple[int, Type]:
        """Return the type behind typedefs and qualifiers, with its id.

        Raises:
            FormatError: they go in a circle.
        """
        for _ in range(_DEEPEST):
            found = self.type(type_id)
            if found.kind not in MODIFIERS:
                return type_id, found
            type_id = found.type_id
        raise FormatError(f"BTF: type {type_id} is a typedef of itself")

    def size_bytes(self, type_id: int) -> int:
        """Return how many bytes a value takes.

        Raises:
            FormatError: values of this type have no size (void, a function, a forward declaration).
        """
        count = 1
        for _ in range(_DEEPEST):
            _, found = self.resolve(type_id)
            if found.kind is Kind.ARRAY:
                count *= found.length
                type_id = found.type_id
            elif found.kind is Kind.PTR:
                return 8 * count
            elif found.kind is Kind.VAR:
                type_id = found.type_id
            elif found.kind in _SIZED:
                return found.size_bytes * count
            else:
                name = f" {found.name}" if found.name else ""
                raise FormatError(f"BTF: {found.kind.name.lower()}{name} has no size")
        raise FormatError(f"BTF: type {type_id} is an array of itself")

    def _name(self, offset: int) -> str:
        return self.string(offset) if offset else ""

    def _decode(self, place: int) -> Type:
        words = self._words
        info, size_or_type = words[place + 1], words[place + 2]
        number = info >> 24 & 0x1F
        try:
            kind = Kind(number)
        except ValueError:
            raise FormatError(f"BTF: kind {number}, expected one up to {max(Kind)}") from None
        name, flag, tail = self._name(words[place]), bool(info >> 31), place + _HEADER_WORDS
        if kind in _SIZED:
            return self._decode_sized(Type(kind, name, size_or_type, flag=flag), info & 0xFFFF, tail)
        base = Type(kind, name, type_id=size_or_type, flag=flag)
        if kind is Kind.ARRAY:
            element, index, length = words[tail : tail + 3]
            return base._replace(type_id=element, index_type_id=index, length=length)
        if kind is Kind.FUNC:
            return base._replace(linkage=info & 0xFFFF)
        if kind is Kind.VAR:
            return base._replace(linkage=words[tail])
        if kind is Kind.DECL_TAG:
            return base._replace(component=_signed(words[tail], 32))
        if kind is Kind.FUNC_PROTO:
            items = self._items(tail, info & 0xFFFF, 2)
            return base._replace(parameters=tuple(Parameter(self._name(n), t) for n, t in items))
        return base

    def _decode_sized(self, base: Type, count: int, tail: int) -> Type:
        kind, flag = base.kind, base.flag
        if kind is Kind.INT:
            word = self._words[tail]
            return base._replace(
                encoding=word >> 24 & 0xF, bit_offset=word >> 16 & 0xFF, bit_size=word & 0xFF
            )
        if kind in (Kind.STRUCT, Kind.UNION):
            triples = self._items(tail, count, 3)
            return base._replace(members=tuple(self._member(n, t, o, flag) for n, t, o in triples))
        if kind is Kind.ENUM:
            pairs = self._items(tail, count, 2)
            values = tuple(Enumerator(self._name(n), _signed(v, 32) if flag else v) for n, v in pairs)
            return base._replace(enumerators=values)
        if kind is Kind.ENUM64:
            triples = self._items(tail, count, 3)
            wide = ((n, low | high << 32) for n, low, high in triples)
            values = tuple(Enumerator(self._name(n), _signed(v, 64) if flag else v) for n, v in wide)
            return base._replace(enumerators=values)
        if kind is Kind.DATASEC:
            triples = self._items(tail, count, 3)
            return base._replace(variables=tuple(SectionVariable(*item) for item in triples))
        return base

    def _member(self, name: int, type_id: int, offset: int, flag: bool) -> Member:
        if flag:
            return Member(self._name(name), type_id, offset & 0xFFFFFF, offset >> 24)
        return Member(self._name(name), type_id, offset)

    def _items(self, tail: int, count: int, width: int) -> Iterator[tuple[int, ...]]:
        words = iter(self._words[tail : tail + count * width])
        return zip(*[words] * width, strict=True)


def decode(data: bytes, base: Btf | None = None) -> Btf:
    """Return the types of a BTF section.

    Args:
        data: the section's bytes: header, types, strings; of either byte order.
        base: the BTF that it continues, for a kernel module's.

    Raises:
        FormatError: the bytes are not BTF.
    """
    if len(data) < _HEADER_BYTES:
        raise FormatError(f"BTF: {len(data)} bytes, expected a header of {_HEADER_BYTES}")
    byte_order = _byte_order(data)
    version, header_len = data[2], _u32(data, 4, byte_order)
    if version != 1:
        raise FormatError(f"BTF: version {version}, expected 1")
    if not _HEADER_BYTES <= header_len <= len(data):
        raise FormatError(f"BTF: a header of {header_len} bytes in {len(data)}")
    types = _part(data, header_len, 8, "types", byte_order)
    strings = _part(data, header_len, 16, "strings", byte_order)
    if len(types) % 4:
        raise FormatError(f"BTF: {len(types)} bytes of types, expected a multiple of 4")
    if strings[-1:] != b"\0" or (base is None and strings[:1] != b"\0"):
        raise FormatError("BTF: the strings do not begin and end with a zero byte")
    words = array("I", types)
    if byte_order != sys.byteorder:
        words.byteswap()
    return Btf(words, strings, byte_order, base)


def _byte_order(data: bytes) -> ByteOrder:
    orders: tuple[ByteOrder, ...] = ("little", "big")
    for byte_order in orders:
        if data[:2] == MAGIC.to_bytes(2, byte_order):
            return byte_order
    raise FormatError(f"BTF: begins with {data[:2].hex()}, expected 9feb or eb9f")


def _u32(data: bytes, offset: int, byte_order: ByteOrder) -> int:
    return int.from_bytes(data[offset : offset + 4], byte_order)


def _part(data: bytes, header_len: int, field: int, what: str, byte_order: ByteOrder) -> bytes:
    start = header_len + _u32(data, field, byte_order)
    length = _u32(data, field + 4, byte_order)
    if start + length > len(data):
        raise FormatError(f"BTF: {what} end at {start + length}, expected within {len(data)} bytes")
    return data[start : start + length]


def _positions(words: array[int]) -> array[int]:
    """Return where each type begins, by walking the section once."""
    lengths: dict[int, int] = {}
    positions = array("I")
    place, last = 0, len(words) - _HEADER_WORDS
    while place <= last:
        positions.append(place)
        info = words[place + 1]
        length = lengths.get(info)
        if length is None:
            length = lengths[info] = _words_of(info, len(positions))
        place += length
    if place != len(words):
        raise FormatError("BTF: the last type is cut short")
    return positions


def _words_of(info: int, type_id: int) -> int:
    """Return how many words a type takes, which its `info` word alone tells."""
    kind = info >> 24 & 0x1F
    if kind == 0 or kind > Kind.ENUM64:
        raise FormatError(f"BTF: type {type_id} has kind {kind}, which is not known")
    return _HEADER_WORDS + _FIXED_WORDS[kind] + _ITEM_WORDS[kind] * (info & 0xFFFF)


def _places(data: bytes, needle: bytes) -> Iterator[int]:
    """Go through the offsets at which some bytes stand in others."""
    place = data.find(needle)
    while place >= 0:
        yield place
        place = data.find(needle, place + 1)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
