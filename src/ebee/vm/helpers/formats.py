"""The kernel's formats, as far as programs may use them.

Source: kernel/bpf/helpers.c, bpf_bprintf_prepare(), as to what is taken; lib/vsprintf.c and
Documentation/core-api/printk-formats.rst as to what it looks like.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from ebee.record import NamedTuple
from ebee.vm.faults import Refusal
from ebee.vm.helpers.common import EINVAL, s32, s64, u32, u64
from ebee.vm.helpers.probing import any_string, kernel_bytes, kernel_string, user_string
from ebee.vm.machine import Run

MOST_ARGUMENTS = 12
"""MAX_BPRINTF_VARARGS."""
_MOST_STRING_BYTES = 512
"""Of all strings of one call together; the kernel's buffer for them."""
_SPACES = b" \t\n\v\f\r"
_FLAGS = b"0+- "
_POINTER_KINDS = b"KxsSB"
_HEX = "0123456789abcdef"


class Piece(NamedTuple):
    """Text as it is (`conversion` is empty), or the conversion of an argument.

    Attributes:
        conversion: `d`, `lld`, `s`, `pI4`, and their like.
        flags, width: what stands before it; a width of 0 for none.
    """

    text: bytes
    conversion: str = ""
    flags: bytes = b""
    width: int = 0


def printed(run: Run, text: bytes, arguments: Sequence[int]) -> bytes:
    """Return a format with its arguments in place.

    Raises:
        Refusal: EINVAL, what the kernel does not take; the detail says which part.
    """
    pieces = parsed(text)
    wanted = sum(1 for piece in pieces if piece.conversion)
    if wanted > len(arguments):
        raise Refusal(EINVAL, f"format {_shown(text)}: {wanted} conversions, {len(arguments)} arguments")
    values = iter(arguments)
    return b"".join(
        _convert(run, piece, next(values)) if piece.conversion else piece.text for piece in pieces
    )


@lru_cache(maxsize=256)
def parsed(text: bytes) -> tuple[Piece, ...]:
    """Return the pieces of a format.

    Raises:
        Refusal: EINVAL, a byte or a conversion that the kernel does not take.
    """
    for character in text:
        if (character < 32 and character not in _SPACES) or character == 127:
            raise Refusal(EINVAL, f"format {_shown(text)}: byte {character:#04x}, expected no control byte")
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        percent = text.find(b"%", at)
        if percent < 0:
            pieces.append(Piece(text[at:]))
            break
        pieces.append(Piece(text[at:percent]))
        if text[percent + 1 : percent + 2] == b"%":
            pieces.append(Piece(b"%"))
            at = percent + 2
        else:
            piece, at = _conversion(text, percent + 1)
            pieces.append(piece)
    return tuple(pieces)


def _conversion(text: bytes, at: int) -> tuple[Piece, int]:
    """Return the conversion that begins behind a percent sign, and where it ends."""
    begin = at
    while text[at : at + 1] and text[at] in _FLAGS:
        at += 1
    flags, digits = text[begin:at], at
    if text[at : at + 1].isdigit():
        while text[at : at + 1].isdigit():
            at += 1
    width = int(text[digits:at] or b"0")
    kind, end = _kind(text, at)
    if not kind:
        found = _shown(text[begin - 1 :])
        raise Refusal(EINVAL, f"format {_shown(text)}: {found} begins with no conversion that programs have")
    return Piece(b"", kind, flags, width), end


def _kind(text: bytes, at: int) -> tuple[str, int]:
    """Return a conversion without flags and width, and where it ends; empty for one that is not taken."""
    letter = text[at : at + 1]
    if letter == b"p":
        return _pointer_kind(text, at)
    if letter == b"s":
        return ("s", at + 1) if _ends_word(text, at + 1) else ("", at)
    if letter == b"c":
        return "c", at + 1
    begin = at
    while at - begin < 2 and text[at : at + 1] == b"l":
        at += 1
    if text[at : at + 1] and text[at] in b"diuxX":
        return text[begin : at + 1].decode(), at + 1
    return "", at


def _pointer_kind(text: bytes, at: int) -> tuple[str, int]:
    if _ends_word(text, at + 1):
        return "p", at + 1
    for kind in (b"pks", b"pus"):
        if text[at : at + 3] == kind:
            return (kind.decode(), at + 3) if _ends_word(text, at + 3) else ("", at)
    if text[at + 1] in _POINTER_KINDS:
        return text[at : at + 2].decode(), _word_end(text, at + 2)
    if text[at + 1 : at + 2] in (b"i", b"I") and text[at + 2 : at + 3] in (b"4", b"6"):
        return text[at : at + 3].decode(), _word_end(text, at + 3)
    return "", at


def _ends_word(text: bytes, at: int) -> bool:
    """Return whether no letter and no digit stands there."""
    return not text[at : at + 1].isalnum()


def _word_end(text: bytes, at: int) -> int:
    """Return where letters and digits end: the kernel takes them all for part of a pointer's conversion."""
    while text[at : at + 1].isalnum():
        at += 1
    return at


def _convert(run: Run, piece: Piece, value: int) -> bytes:
    kind = piece.conversion
    if kind in _STRINGS:
        found = _STRINGS[kind](run, value, _MOST_STRING_BYTES - 1) or b""
        return _padded(found, piece)
    if kind == "c":
        return _padded(bytes((value & 0xFF,)), piece)
    if kind in ("pI4", "pi4", "pI6", "pi6"):
        return _address(run, kind, value)
    if kind.startswith("p"):
        return _pointer(kind, value, piece)
    return _number(kind, value, piece)


_STRINGS: dict[str, Callable[[Run, int, int], bytes | None]] = {
    "s": any_string,
    "pks": kernel_string,
    "pus": user_string,
}


def _number(kind: str, value: int, piece: Piece) -> bytes:
    wide = "l" in kind
    signed = kind[-1] in "di"
    taken = (s64 if wide else s32) if signed else (u64 if wide else u32)
    number = taken(value)
    digits = f"{abs(number):{'x' if kind[-1] in 'xX' else 'd'}}"
    digits = digits.upper() if kind[-1] == "X" else digits
    sign = "-" if number < 0 else "+" if signed and b"+" in piece.flags else ""
    sign = sign or (" " if signed and b" " in piece.flags else "")
    if b"0" in piece.flags and b"-" not in piece.flags:
        digits = digits.rjust(piece.width - len(sign), "0")
    return _padded((sign + digits).encode(), piece)


def _pointer(kind: str, value: int, piece: Piece) -> bytes:
    """Return a pointer: hashed (by a hash of our own), as it is, or as a symbol, of which there are none."""
    if kind in ("ps", "pS", "pB"):
        text = f"0x{value:x}".encode()
        return text if kind == "pB" else _padded(text, piece)
    shown = value if kind == "px" or value == 0 or value >= (1 << 64) - 4095 else _hashed(value)
    if piece.width == 0:
        return f"{shown:016x}".encode()
    return _number("lx", shown, piece)


def _hashed(value: int) -> int:
    return zlib.crc32(value.to_bytes(8, "little")) or 1


def _address(run: Run, kind: str, value: int) -> bytes:
    """Return an IP address as the kernel writes it beforehand: width and flags have no effect on it."""
    size = 4 if kind.endswith("4") else 16
    data = kernel_bytes(run, value, size) or bytes(size)
    if kind == "pI4":
        return ".".join(map(str, data)).encode()
    if kind == "pi4":
        return ".".join(f"{part:03d}" for part in data).encode()
    groups = [data[at : at + 2].hex() for at in range(0, 16, 2)]
    return (":" if kind == "pI6" else "").join(groups).encode()


def _padded(text: bytes, piece: Piece) -> bytes:
    return text.ljust(piece.width) if b"-" in piece.flags else text.rjust(piece.width)


def _shown(text: bytes) -> str:
    return '"' + text.decode("ascii", "backslashreplace").replace("\n", "\\n") + '"'
