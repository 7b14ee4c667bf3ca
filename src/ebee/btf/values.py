"""Values as C lays them out in memory <-> Python values, by their BTF type.

    C                           Python
    integers, chars, enums      int
    bool                        bool
    float, double               float; bytes where Python has no float of that size
    pointer                     int, its address
    char[N]                     str, up to the first zero byte
    T[N]                        list
    struct, union, DATASEC      StructValue, a dict whose keys are attributes too

A codec is made once per type and kept with the Btf, so that the second record of a type costs no
more than one `struct.unpack` and one dict.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from ebee.btf.btf import Btf
from ebee.btf.scalars import (
    Codec,
    bool_codec,
    bounds,
    enum_codec,
    enumerator_value,
    exact_bytes,
    float_codec,
    integer_codec,
    struct_prefix,
    text_codec,
    whole_number,
)
from ebee.btf.types import VOID, ByteOrder, IntEncoding, Kind, Type
from ebee.errors import FormatError, SpecError
from ebee.record import NamedTuple
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEEPEST = 32
_LARGEST_BYTES = 1 << 32


class StructValue(dict[str, "Any"]):
    """A struct's or union's members by name; `value.pid` and `value["pid"]` are the same.

    Members of an anonymous struct or union inside stand beside the others, as in C. A member called
    like a method of dict (`items`, `keys`, …) can only be reached as `value["items"]`.

    A union that was decoded remembers its bytes: encoded again after one member was changed, the
    change is laid over them.
    """

    __slots__ = ("_data",)
    _data: bytes

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(_no_member("struct value", name, self)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_data":
            object.__setattr__(self, name, value)
        elif name in self:
            self[name] = value
        else:
            raise AttributeError(_no_member("struct value", name, self))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        return f"StructValue({', '.join(f'{name}={value!r}' for name, value in self.items())})"


class _Field(NamedTuple):
    """A member of a struct: its place in bytes, or in bits where `bit_size` is not 0."""

    name: str
    codec: Codec
    start: int
    end: int
    bit_offset: int = 0
    bit_size: int = 0

    @property
    def is_open_ended(self) -> bool:
        """Whether it takes all bytes from its begin on."""
        return self.codec.open_ended


def decode_value(btf: Btf, type_id: int, data: bytes) -> Any:
    """Return the Python value of bytes.

    Args:
        btf: the types.
        type_id: the value's type; typedefs, qualifiers and VARs stand for what they name.
        data: exactly as many bytes as the type has, in the byte order of `btf`; a struct that ends
            in a flexible array takes more, which become the array's elements.

    Raises:
        FormatError: another number of bytes, or a type that has no values (void, a function).
    """
    codec = btf.codecs.get(type_id) or codec_of(btf, type_id)
    if len(data) != codec.size_bytes and (len(data) < codec.size_bytes or not codec.open_ended):
        raise FormatError(f"{_label(btf, type_id)}: {len(data)} bytes, expected {_expected(codec)}")
    return codec.decode(data)


def encode_value(btf: Btf, type_id: int, value: Any) -> bytes:
    """Return the bytes of a Python value, padding zeroed.

    Args:
        btf: the types.
        type_id: the value's type.
        value: what `decode_value` returns for the type. Besides: for any type, bytes of exactly its
            size; for an enum, an enumerator's name; for `char[N]`, str (UTF-8) or bytes, filled up
            with zeros; for an array, a shorter sequence; for a struct, a mapping or any object with
            attributes, where members that are missing become zero; for a union, one member.

    Raises:
        SpecError: the value does not fit; the message begins with the path of the member.
        FormatError: a type that has no values.
    """
    return codec_of(btf, type_id).encode(value, _label(btf, type_id))


def codec_of(btf: Btf, type_id: int) -> Codec:
    """Return the codec of a type, made at the first call.

    Raises:
        FormatError: the type has no values, or its layout contradicts itself.
    """
    return _codec(btf, type_id, 0)


def _codec(btf: Btf, type_id: int, depth: int) -> Codec:
    known = btf.codecs.get(type_id)
    if known is not None:
        return known
    if depth > _DEEPEST:
        raise FormatError(f"BTF: {_label(btf, type_id)} is nested more than {_DEEPEST} deep")
    _, found = btf.resolve(type_id)
    codec = _make(btf, found, depth)
    if codec.size_bytes > _LARGEST_BYTES or codec.leaves > 64 * codec.size_bytes + 4096:
        raise FormatError(
            f"BTF: {_label(btf, type_id)} holds {codec.leaves} values in {codec.size_bytes} bytes, "
            f"more than can be decoded"
        )
    btf.codecs[type_id] = codec
    return codec


def _make(btf: Btf, found: Type, depth: int) -> Codec:
    kind, order = found.kind, btf.byte_order
    if kind is Kind.INT:
        signed, is_bool = bool(found.encoding & IntEncoding.SIGNED), bool(found.encoding & IntEncoding.BOOL)
        return (
            bool_codec(found.size_bytes, order) if is_bool else integer_codec(found.size_bytes, signed, order)
        )
    if kind is Kind.PTR:
        return integer_codec(8, False, order)
    if kind in (Kind.ENUM, Kind.ENUM64):
        return enum_codec(found, order)
    if kind is Kind.FLOAT:
        return float_codec(found.size_bytes, order)
    if kind is Kind.ARRAY:
        return _array(btf, found, depth)
    if kind in (Kind.STRUCT, Kind.UNION, Kind.DATASEC):
        return _composite(btf, found, depth)
    if kind is Kind.VAR:
        return _codec(btf, found.type_id, depth + 1)
    raise FormatError(f"BTF: {kind.name.lower()}{' ' + found.name if found.name else ''} has no values")


# -- arrays ----------------------------------------------------------------------------------------


def _array(btf: Btf, found: Type, depth: int) -> Codec:
    element = _closed(_codec(btf, found.type_id, depth + 1))
    size_bytes = found.length * element.size_bytes
    if size_bytes > _LARGEST_BYTES:
        raise FormatError(f"BTF: an array of {size_bytes} bytes, expected at most {_LARGEST_BYTES}")
    if _is_char(btf, found.type_id):
        return text_codec(found.length)
    decode = _elements(element, btf.byte_order, found.length)

    def encode(value: Any, path: str) -> bytes:
        if isinstance(value, bytes):
            return exact_bytes(value, size_bytes, path)
        return _encode_elements(element, value, path, found.length).ljust(size_bytes, b"\0")

    return Codec(size_bytes, decode, encode, leaves=1 + found.length * element.leaves)


def _closed(codec: Codec) -> Codec:
    """Return the codec of a value inside another, where a flexible array at its end has no room."""
    if not codec.open_ended:
        return codec
    return codec._replace(
        open_ended=False,
        encode=lambda value, path: exact_bytes(codec.encode(value, path), codec.size_bytes, path),
    )


def _is_char(btf: Btf, type_id: int) -> bool:
    _, element = btf.resolve(type_id)
    is_byte = element.kind is Kind.INT and element.size_bytes == 1
    return is_byte and (element.name == "char" or bool(element.encoding & IntEncoding.CHAR))


def _elements(element: Codec, order: ByteOrder, length: int | None) -> Callable[[bytes], list[Any]]:
    """Return the decoder of an array; of a flexible one where no length is given."""
    size, decode = element.size_bytes, element.decode
    if not size:
        return lambda data: [decode(b"") for _ in range(length or 0)]
    if element.format and length is not None:
        unpack = struct.Struct(f"{struct_prefix(order)}{length}{element.format}").unpack
        return lambda data: list(unpack(data))
    return lambda data: [decode(data[at : at + size]) for at in range(0, len(data) - size + 1, size)]


def _encode_elements(element: Codec, value: Any, path: str, length: int | None) -> bytes:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SpecError(f"{path}: {value!r} ({type(value).__name__}), expected a list")
    if length is not None and len(value) > length:
        raise SpecError(f"{path}: {len(value)} elements, expected at most {length}")
    if isinstance(value, bytes):
        return value
    encode = element.encode
    return b"".join(encode(item, f"{path}[{index}]") for index, item in enumerate(value))


# -- structs and unions ----------------------------------------------------------------------------


def _composite(btf: Btf, found: Type, depth: int) -> Codec:
    fields = list(_fields(btf, found, depth))
    names = tuple(name for field in fields for name in ([field.name] if field.name else field.codec.names))
    is_union = found.kind is Kind.UNION
    has_union = is_union or any(field.codec.has_union for field in fields if not field.name)
    decode = _unpack_all(btf, found, fields) or _read_each(btf, fields)
    if has_union:
        decode = _remembering(decode)
    codec = Codec(
        found.size_bytes,
        decode,
        lambda value, path: _encode_composite(codec, encode_members, value, path),
        open_ended=bool(fields) and fields[-1].is_open_ended,
        names=names,
        has_union=has_union,
        leaves=1 + sum(field.codec.leaves for field in fields),
    )
    encode_members = _union_encoder(codec, fields, btf) if is_union else _struct_encoder(codec, fields, btf)
    return codec


def _fields(btf: Btf, found: Type, depth: int) -> Iterator[_Field]:
    """Go through the members that have a value: nameless bit fields are padding."""
    if found.kind is Kind.DATASEC:
        for variable in found.variables:
            named = btf.type(variable.type_id)
            yield _field(btf, found, named.name, variable.type_id, 8 * variable.offset_bytes, 0, depth)
        return
    last = len(found.members) - 1
    for index, member in enumerate(found.members):
        _, behind = btf.resolve(member.type_id)
        if not member.name and behind.kind not in (Kind.STRUCT, Kind.UNION):
            continue
        if index == last and behind.kind is Kind.ARRAY and behind.length == 0 and found.kind is Kind.STRUCT:
            yield _flexible(btf, found, member.name, behind, member.bit_offset // 8, depth)
            continue
        offset, bits = member.bit_offset, member.bit_size
        if behind.kind is Kind.INT and not bits and behind.bit_size != 8 * behind.size_bytes:
            # Before 4.20 a bit field's width and place stood in an INT of its own.
            offset, bits = offset + behind.bit_offset, behind.bit_size
        yield _field(btf, found, member.name, member.type_id, offset, bits, depth)


def _field(btf: Btf, owner: Type, name: str, type_id: int, offset: int, bits: int, depth: int) -> _Field:
    codec = _closed(_codec(btf, type_id, depth + 1))
    start = offset // 8
    end = start + codec.size_bytes
    if bits:
        end = (offset + bits + 7) // 8
        codec = _bit_codec(btf, type_id, bits, codec)
    elif offset % 8:
        raise FormatError(f"BTF: {owner.name}.{name} begins at bit {offset}, expected a whole byte")
    if end > owner.size_bytes:
        raise FormatError(f"BTF: {owner.name}.{name} ends at {end}, expected within {owner.size_bytes} bytes")
    return _Field(name, codec, start, end, offset, bits)


def _flexible(btf: Btf, owner: Type, name: str, array: Type, start: int, depth: int) -> _Field:
    element = _closed(_codec(btf, array.type_id, depth + 1))
    if start > owner.size_bytes:
        raise FormatError(f"BTF: {owner.name}.{name} begins at {start}, past {owner.size_bytes} bytes")
    if _is_char(btf, array.type_id):
        codec = text_codec(None)
    else:
        codec = Codec(
            0,
            _elements(element, btf.byte_order, None),
            lambda value, path: _encode_elements(element, value, path, None),
        )
    return _Field(name, codec._replace(open_ended=True), start, start)


def _bit_codec(btf: Btf, type_id: int, bits: int, whole: Codec) -> Codec:
    """Return the codec of a bit field, whose bytes are those of its number of `bits` bits."""
    _, found = btf.resolve(type_id)
    if found.kind not in (Kind.INT, Kind.ENUM, Kind.ENUM64) or bits > 8 * found.size_bytes:
        raise FormatError(f"BTF: a bit field of {bits} bits has type {found.kind.name.lower()} {found.name}")
    is_int, order = found.kind is Kind.INT, btf.byte_order
    is_bool = is_int and bool(found.encoding & IntEncoding.BOOL)
    signed = bool(found.encoding & IntEncoding.SIGNED) if is_int else found.flag
    low, high = bounds(bits, signed)

    def decode(data: bytes) -> int:
        number = int.from_bytes(data, order)
        number = number - (1 << bits) if signed and number >> bits - 1 else number
        return bool(number) if is_bool else number

    def encode(value: Any, path: str) -> bytes:
        if isinstance(value, str) and not is_int:
            value = enumerator_value(found, value, path)
        number = whole_number(value, low, high, path)
        return (number & (1 << bits) - 1).to_bytes(whole.size_bytes, order)

    return Codec(whole.size_bytes, decode, encode)


def _unpack_all(btf: Btf, found: Type, fields: list[_Field]) -> Callable[[bytes], StructValue] | None:
    """Return a decoder by one `struct.unpack`, or None where members overlap, are bits or open-ended."""
    layout, place = [struct_prefix(btf.byte_order)], 0
    for field in fields:
        if field.start < place or field.bit_size or field.is_open_ended:
            return None
        size = field.codec.size_bytes
        layout.append(f"{field.start - place}x{field.codec.format or f'{size}s'}")
        place = field.end
    unpack = struct.Struct("".join([*layout, f"{found.size_bytes - place}x"])).unpack
    names = [field.name for field in fields]
    if all(field.codec.format for field in fields):
        return lambda data: StructValue(zip(names, unpack(data), strict=True))
    if not all(names):
        steps = [(field.name, None if field.codec.format else field.codec.decode) for field in fields]
        return lambda data: _collect(steps, unpack(data))
    later = [(field.name, field.codec.decode) for field in fields if not field.codec.format]

    def decode(data: bytes) -> StructValue:
        value = StructValue(zip(names, unpack(data), strict=True))
        for name, finish in later:
            value[name] = finish(value[name])
        return value

    return decode


def _collect(steps: list[tuple[str, Callable[[bytes], Any] | None]], raw: tuple[Any, ...]) -> StructValue:
    value = StructValue()
    for (name, finish), item in zip(steps, raw, strict=True):
        whole = item if finish is None else finish(item)
        if name:
            value[name] = whole
        else:
            value.update(whole)
    return value


def _read_each(btf: Btf, fields: list[_Field]) -> Callable[[bytes], StructValue]:
    """Return a decoder that cuts each member out of the bytes."""
    order = btf.byte_order

    def decode(data: bytes) -> StructValue:
        value = StructValue()
        for field in fields:
            end = None if field.is_open_ended else field.end
            part = data[field.start : end]
            whole = field.codec.decode(_bits(field, part, order) if field.bit_size else part)
            if field.name:
                value[field.name] = whole
            else:
                value.update(whole)
        return value

    return decode


def _remembering(decode: Callable[[bytes], StructValue]) -> Callable[[bytes], StructValue]:
    def decode_and_remember(data: bytes) -> StructValue:
        value = decode(data)
        value._data = bytes(data)
        return value

    return decode_and_remember


def _shift(field: _Field, order: ByteOrder) -> int:
    """Return how far a bit field stands above the lowest bit of its bytes.

    Big-endian compilers count bits from the highest one.
    """
    below = field.bit_offset % 8
    return below if order == "little" else 8 * (field.end - field.start) - below - field.bit_size


def _bits(field: _Field, part: bytes, order: ByteOrder) -> bytes:
    number = int.from_bytes(part, order) >> _shift(field, order) & (1 << field.bit_size) - 1
    return number.to_bytes(field.codec.size_bytes, order)


def _put(target: bytearray, field: _Field, data: bytes, order: ByteOrder) -> None:
    """Lay a member's bytes over those of its owner."""
    if not field.bit_size:
        target[field.start : field.start + len(data)] = data
        return
    shift = _shift(field, order)
    mask = (1 << field.bit_size) - 1 << shift
    around = int.from_bytes(target[field.start : field.end], order) & ~mask
    number = around | int.from_bytes(data, order) << shift
    target[field.start : field.end] = number.to_bytes(field.end - field.start, order)


_MemberEncoder = Callable[[Mapping[str, "Any"], "bytes | None", str], bytes]


def _encode_composite(codec: Codec, encode_members: _MemberEncoder, value: Any, path: str) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        longer = codec.open_ended and len(value) > codec.size_bytes
        return bytes(value) if longer else exact_bytes(value, codec.size_bytes, path)
    given = value if isinstance(value, Mapping) else _attributes(value, codec, path)
    for name in given:
        if name not in codec.names:
            raise SpecError(_no_member(path, name, codec.names), hint=did_you_mean(str(name), codec.names))
    return encode_members(given, getattr(given, "_data", None), path)


def _struct_encoder(codec: Codec, fields: list[_Field], btf: Btf) -> _MemberEncoder:
    order = btf.byte_order

    def encode(given: Mapping[str, Any], before: bytes | None, path: str) -> bytes:
        target = bytearray(codec.size_bytes)
        for field in fields:
            if not field.name:
                _put(target, field, _encode_nameless(field, given, before, path), order)
            elif field.name in given:
                _put(target, field, field.codec.encode(given[field.name], f"{path}.{field.name}"), order)
        return bytes(target)

    return encode


def _encode_nameless(field: _Field, given: Mapping[str, Any], before: bytes | None, path: str) -> bytes:
    part = StructValue((name, given[name]) for name in field.codec.names if name in given)
    if before is not None and field.codec.has_union:
        part._data = before[field.start : field.end]
    return field.codec.encode(part, path)


def _union_encoder(codec: Codec, fields: list[_Field], btf: Btf) -> _MemberEncoder:
    order = btf.byte_order

    def encode(given: Mapping[str, Any], before: bytes | None, path: str) -> bytes:
        if before is not None:
            old = codec.decode(before)
            given = {name: item for name, item in given.items() if old[name] != item}
        chosen = [field for field in fields if not given.keys().isdisjoint(_names(field))]
        drafts = [(field, _draft(field, given, before, path)) for field in chosen]
        _agree([(_names(field)[0], data) for field, data in drafts], path)
        target = bytearray(codec.size_bytes if before is None else before)
        for field, data in sorted(drafts, key=lambda draft: len(draft[1])):
            _put(target, field, data, order)
        return bytes(target)

    def _draft(field: _Field, given: Mapping[str, Any], before: bytes | None, path: str) -> bytes:
        if field.name:
            return field.codec.encode(given[field.name], f"{path}.{field.name}")
        if before is not None:
            # An anonymous struct in a union: what was not changed keeps what it was.
            given = {**field.codec.decode(before[field.start : field.end]), **given}
        return _encode_nameless(field, given, before, path)

    return encode


def _names(field: _Field) -> tuple[str, ...]:
    return (field.name,) if field.name else field.codec.names


def _agree(drafts: list[tuple[str, bytes]], path: str) -> None:
    """Check that members given for one union say the same."""
    longest = max((data for _, data in drafts), key=len, default=b"")
    if any(not longest.startswith(data) for _, data in drafts):
        names = " and ".join(name for name, _ in drafts)
        raise SpecError(f"{path}: members {names} of a union are given, expected one")


def _attributes(value: Any, codec: Codec, path: str) -> Mapping[str, Any]:
    """Return the members that an object has as attributes."""
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    if hasattr(value, "__dict__"):
        return {name: item for name, item in vars(value).items() if not name.startswith("_")}
    found = {name: getattr(value, name) for name in codec.names if hasattr(value, name)}
    if not found:
        raise SpecError(
            f"{path}: {value!r} ({type(value).__name__}), expected a dict, an object with attributes "
            f"or {codec.size_bytes} bytes"
        )
    return found


# -- messages --------------------------------------------------------------------------------------


def _expected(codec: Codec) -> str:
    return f"{codec.size_bytes} or more" if codec.open_ended else str(codec.size_bytes)


def _no_member(path: str, name: object, known: Sequence[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
    return f"{path}: no member '{name}', expected one of {shown}" if known else f"{path}: no members at all"


def _label(btf: Btf, type_id: int) -> str:
    """Return what messages call a type: the first name on the way to it."""
    found = VOID
    for _ in range(_DEEPEST):
        found = btf.type(type_id)
        if found.name or not found.type_id or found.kind in (Kind.PTR, Kind.ARRAY):
            break
        type_id = found.type_id
    return found.name or found.kind.name.lower()
