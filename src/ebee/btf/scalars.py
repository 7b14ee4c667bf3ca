"""Codecs of what has no parts: numbers, pointers, enums, text."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable

from ebee.btf.types import ByteOrder, Type
from ebee.errors import FormatError, SpecError
from ebee.record import NamedTuple
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST_INT_BYTES = 16
_INT_FORMATS = {1: "b", 2: "h", 4: "i", 8: "q"}
_FLOAT_FORMATS = {2: "e", 4: "f", 8: "d"}


class Codec(NamedTuple):
    """How values of one type are read and written.

    Attributes:
        size_bytes: of a value.
        decode: bytes of exactly that size -> value; more bytes where `open_ended`.
        encode: value and its path for messages -> bytes.
        format: the character by which `struct` gives the value itself; empty where there is none.
        open_ended: it ends in a flexible array.
        names: the members of a struct or union.
        has_union: it is a union, or holds an anonymous one.
        leaves: how many Python values a decoded one is made of.
    """

    size_bytes: int
    decode: Callable[[bytes], Any]
    encode: Callable[[Any, str], bytes]
    format: str = ""
    open_ended: bool = False
    names: tuple[str, ...] = ()
    has_union: bool = False
    leaves: int = 1


def integer_codec(size_bytes: int, signed: bool, order: ByteOrder) -> Codec:
    """Return the codec of an integer of any size."""
    if size_bytes > _LARGEST_INT_BYTES:
        raise FormatError(f"BTF: an integer of {size_bytes} bytes, expected at most {_LARGEST_INT_BYTES}")
    low, high = bounds(8 * size_bytes, signed)

    def encode(value: Any, path: str) -> bytes:
        if isinstance(value, bytes):
            return exact_bytes(value, size_bytes, path)
        return whole_number(value, low, high, path).to_bytes(size_bytes, order, signed=signed)

    letter = _INT_FORMATS.get(size_bytes, "")
    letter = letter if signed else letter.upper()
    if not letter:
        return Codec(size_bytes, lambda data: int.from_bytes(data, order, signed=signed), encode)
    return Codec(size_bytes, _unpack_one(order, letter), encode, letter)


def bool_codec(size_bytes: int, order: ByteOrder) -> Codec:
    """Return the codec of a bool; every number but 0 is True."""
    plain = integer_codec(size_bytes, False, order)
    decode = plain.decode

    def encode(value: Any, path: str) -> bytes:
        return plain.encode(value if isinstance(value, bytes) else whole_number(value, 0, 1, path), path)

    return Codec(size_bytes, lambda data: bool(decode(data)), encode, "?" if size_bytes == 1 else "")


def enum_codec(found: Type, order: ByteOrder) -> Codec:
    """Return the codec of an enum: numbers, and names where values are encoded."""
    plain = integer_codec(found.size_bytes, found.flag, order)

    def encode(value: Any, path: str) -> bytes:
        if isinstance(value, str):
            value = enumerator_value(found, value, path)
        return plain.encode(value, path)

    return plain._replace(encode=encode)


def float_codec(size_bytes: int, order: ByteOrder) -> Codec:
    """Return the codec of a floating-point number; of bytes where Python has none of that size."""
    letter = _FLOAT_FORMATS.get(size_bytes, "")
    if not letter:
        return Codec(size_bytes, bytes, lambda value, path: exact_bytes(value, size_bytes, path))
    pack = struct.Struct(struct_prefix(order) + letter).pack

    def encode(value: Any, path: str) -> bytes:
        if isinstance(value, bytes):
            return exact_bytes(value, size_bytes, path)
        try:
            return pack(value)
        except (struct.error, OverflowError):
            raise SpecError(f"{path}: {value!r}, expected a number of {8 * size_bytes} bits") from None

    return Codec(size_bytes, _unpack_one(order, letter), encode, letter)


def _unpack_one(order: ByteOrder, letter: str) -> Callable[[bytes], Any]:
    unpack = struct.Struct(struct_prefix(order) + letter).unpack
    return lambda data: unpack(data)[0]


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    """Return the least and the greatest number of so many bits."""
    if bits == 0:
        return 0, 0
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def whole_number(value: Any, low: int, high: int, path: str) -> int:
    """Return a value as an int, checked."""
    try:
        number = operator.index(value)
    except TypeError:
        raise SpecError(f"{path}: {value!r} ({type(value).__name__}), expected a whole number") from None
    if not low <= number <= high:
        raise SpecError(f"{path}: {number}, expected {low} to {high}")
    return number


def enumerator_value(found: Type, name: str, path: str) -> int:
    """Return the value of an enumerator by its name."""
    for enumerator in found.enumerators:
        if enumerator.name == name:
            return enumerator.value
    hint = did_you_mean(name, (enumerator.name for enumerator in found.enumerators))
    raise SpecError(f"{path}: enum {found.name or '(anonymous)'} has no '{name}'", hint=hint)


def text_codec(length: int | None) -> Codec:
    """Return the codec of `char[N]`; of `char[]` where no length is given."""

    def decode(data: bytes) -> str:
        return bytes(data).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def encode(value: Any, path: str) -> bytes:
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogateescape")
        if not isinstance(value, (bytes, bytearray)):
            raise SpecError(f"{path}: {value!r} ({type(value).__name__}), expected str or bytes")
        if length is not None and len(value) > length:
            raise SpecError(f"{path}: {len(value)} bytes, expected at most {length}")
        return bytes(value).ljust(length or 0, b"\0")

    return Codec(length or 0, decode, encode)


def exact_bytes(value: Any, size_bytes: int, path: str) -> bytes:
    """Return bytes as they are, checked to be so many."""
    if not isinstance(value, (bytes, bytearray)):
        raise SpecError(f"{path}: {value!r} ({type(value).__name__}), expected {size_bytes} bytes")
    if len(value) != size_bytes:
        raise SpecError(f"{path}: {len(value)} bytes, expected {size_bytes}")
    return bytes(value)


def struct_prefix(order: ByteOrder) -> str:
    """Return the character that tells `struct` a byte order, and to add no padding."""
    return "<" if order == "little" else ">"
