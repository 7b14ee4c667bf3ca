"""Helpers of strings: numbers in text, comparison.

Source: kernel/bpf/helpers.c, __bpf_strtoull(), and lib/kstrtox.c, as to which bytes count.
"""

from __future__ import annotations

from ebee.vm.helpers.common import EINVAL, ERANGE, block, put_number, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

_SPACES = b" \t\n\v\f\r\xa0"
_MOST_DIGITS = 63
"""The kernel looks at no more bytes than that, after spaces and sign."""
_DIGITS = b"0123456789abcdef"


@helper("strtol")
def strtol(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the signed number that a text begins with; how many bytes it takes."""
    put_number(run, r4, 8, 0)
    consumed, value, negative = parse_number(block(run, r1, r2), r3)
    if consumed < 0:
        return consumed
    if value > (1 << 63) - (not negative):
        return -ERANGE
    put_number(run, r4, 8, -value if negative else value)
    return consumed


@helper("strtoul")
def strtoul(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the unsigned number that a text begins with; how many bytes it takes."""
    put_number(run, r4, 8, 0)
    consumed, value, negative = parse_number(block(run, r1, r2), r3)
    if consumed < 0:
        return consumed
    if negative:
        return -EINVAL
    put_number(run, r4, 8, value)
    return consumed


def parse_number(text: bytes, flags: int) -> tuple[int, int, bool]:
    """Return how many bytes a number takes (or a negative errno), its magnitude, whether it is negative.

    Args:
        flags: the base: 8, 10, 16, or 0 for what the prefix says.
    """
    if not text or flags not in (0, 8, 10, 16):
        return -EINVAL, 0, False
    rest = text.lstrip(_SPACES)
    negative = rest.startswith(b"-")
    rest = rest[negative:]
    if not rest:
        return -EINVAL, 0, False
    digits, base = _without_prefix(rest[:_MOST_DIGITS].partition(b"\0")[0], flags)
    count, value = _leading_number(digits, base)
    if value >= 1 << 64:
        return -ERANGE, 0, False
    if not count:
        return -EINVAL, 0, False
    begin = len(text) - len(rest) + len(rest[:_MOST_DIGITS].partition(b"\0")[0]) - len(digits)
    return begin + count, value, negative


def _without_prefix(text: bytes, base: int) -> tuple[bytes, int]:
    """Return the digits and their base."""
    hexadecimal = text[:2].lower() == b"0x"
    if base == 0:
        base = 10 if text[:1] != b"0" else 16 if hexadecimal and text[2:3].lower() in _hex_digits() else 8
    return (text[2:], base) if base == 16 and hexadecimal else (text, base)


def _hex_digits() -> set[bytes]:
    return {bytes((digit,)) for digit in _DIGITS}


def _leading_number(text: bytes, base: int) -> tuple[int, int]:
    """Return how many digits stand in front, and the number they make."""
    value = count = 0
    for character in text.lower():
        digit = _DIGITS.find(character)
        if not 0 <= digit < base:
            break
        value, count = value * base + digit, count + 1
    return count, value


@helper("strncmp")
def strncmp(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Compare a text of so many bytes with one that a zero ends: -1, 0 or 1."""
    size = u32(r2)
    ours = block(run, r1, size)
    return compare(ours, run.memory.read_string(r3, max(size, 1)) + b"\0")


def compare(ours: bytes, theirs: bytes) -> int:
    """Return -1, 0 or 1 as the first text is less, equal or greater, up to its length or its zero."""
    for left, right in zip(ours, theirs, strict=False):
        if left != right:
            return -1 if left < right else 1
        if not left:
            break
    return 0
