"""Numbers of a fixed width in Python's numbers of any width. None has a sign unless its name says so."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

U32: Final = (1 << 32) - 1
U64: Final = (1 << 64) - 1


def signed(value: int, bits: int) -> int:
    """Return what a number of so many bits is when its highest bit is a sign."""
    return value - (1 << bits) if value >> (bits - 1) else value


def extended(value: int, bits: int, width: int) -> int:
    """Return the lower bits of a number with their sign drawn out to a width."""
    return signed(value & ((1 << bits) - 1), bits) & ((1 << width) - 1)


def swapped(value: int, bits: int) -> int:
    """Return the lower 16, 32 or 64 bits of a number with their bytes the other way round."""
    low = value & ((1 << bits) - 1)
    return int.from_bytes(low.to_bytes(bits // 8, "little"), "big")
