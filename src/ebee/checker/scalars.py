"""What is known of a number: which bits, and its bounds read as unsigned and signed, 64 and 32 bits wide.

The verifier decides by these which way a branch may go. A value here must never be known less well than
there, or a path would be followed that the verifier knows to be dead; where it may be, it is `vague`.

Source: kernel/bpf/verifier.c, reg_bounds_sync(); kernel/bpf/tnum.c.
"""

from __future__ import annotations

from functools import lru_cache

M64 = (1 << 64) - 1
M32 = (1 << 32) - 1
S64_MIN, S64_MAX = -(1 << 63), (1 << 63) - 1
S32_MIN, S32_MAX = -(1 << 31), (1 << 31) - 1
_SIGN64, _SIGN32 = 1 << 63, 1 << 31

Bounds = tuple[int, int, int, int, int, int, int, int, int, int]


def signed(value: int, bits: int = 64) -> int:
    """Read the low bits of a number as a signed one."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Scalar:
    """A number. Never changed: what changes it gives another.

    Attributes:
        value, mask: the bits known; a bit of the mask is not known, and 0 in `value`.
        umin, umax, smin, smax: bounds of all 64 bits, unsigned and signed.
        vmin, vmax, wmin, wmax: bounds of the low 32 bits, unsigned and signed.
        id, delta: numbers of one id differ by their deltas; 0 for a number that stands alone.
        narrow: that was computed in 32 bits, so that only the low 32 differ by it.
        vague: the kernel may know more of it.
    """

    __slots__ = (
        "delta",
        "id",
        "mask",
        "narrow",
        "smax",
        "smin",
        "umax",
        "umin",
        "vague",
        "value",
        "vmax",
        "vmin",
        "wmax",
        "wmin",
    )

    kind = "scalar"
    maybe_null = False

    def __init__(
        self, bounds: Bounds, *, vague: bool = False, id: int = 0, delta: int = 0, narrow: bool = False
    ) -> None:
        (
            self.value,
            self.mask,
            self.umin,
            self.umax,
            self.smin,
            self.smax,
            self.vmin,
            self.vmax,
            self.wmin,
            self.wmax,
        ) = bounds
        self.vague = vague
        self.id = id
        self.delta = delta
        self.narrow = narrow

    @property
    def bounds(self) -> Bounds:
        return (
            self.value,
            self.mask,
            self.umin,
            self.umax,
            self.smin,
            self.smax,
            self.vmin,
            self.vmax,
            self.wmin,
            self.wmax,
        )

    def linked(self, id: int, delta: int = 0, *, narrow: bool = False) -> Scalar:
        """Return the same number as one of a family."""
        return Scalar(self.bounds, vague=self.vague, id=id, delta=delta, narrow=narrow)

    def covers(self, other: Scalar) -> bool:
        """Whether every value of another number is one of this."""
        return self is other or (
            self.umin <= other.umin
            and other.umax <= self.umax
            and self.smin <= other.smin
            and other.smax <= self.smax
            and self.vmin <= other.vmin
            and other.vmax <= self.vmax
            and self.wmin <= other.wmin
            and other.wmax <= self.wmax
            and not (self.value ^ other.value) & ~self.mask
            and not other.mask & ~self.mask
            and other.vague <= self.vague
        )

    @property
    def text(self) -> str:
        """The number as the verifier's log shows it."""
        if not self.mask:
            small = signed(self.value)
            return str(small) if -(1 << 15) < small < 1 << 16 else f"{self.value:#x}"
        return f"scalar({', '.join(limits(self))})".replace(", ", ",")


def constant(value: int) -> Scalar:
    """Return a number that is known."""
    value &= M64
    small = value & M32
    long, short = signed(value), signed(small, 32)
    return Scalar((value, 0, value, value, long, long, small, small, short, short))


ALL: Bounds = (0, M64, 0, M64, S64_MIN, S64_MAX, 0, M32, S32_MIN, S32_MAX)
UNKNOWN = Scalar(ALL)
VAGUE = Scalar(ALL, vague=True)
ZERO = constant(0)


def of_bytes(size: int) -> Scalar:
    """Return any number of so many bytes, zeros above."""
    return _OF_BYTES[size]


def between(low: int, high: int) -> Scalar:
    """Return any number between two, inclusive; both are signed."""
    found = settled((0, M64, 0, M64, low, high, 0, M32, S32_MIN, S32_MAX))
    assert found is not None
    return Scalar(found)


def limits(number: Scalar) -> list[str]:
    """Return the bounds that are worth telling, as the verifier's log writes them; equal ones chained."""
    named = (
        ("smin", number.smin, S64_MIN),
        ("smax", number.smax, S64_MAX),
        ("umin", number.umin, 0),
        ("umax", number.umax, M64),
    )
    told: dict[int, list[str]] = {}
    for name, value, least in named:
        if value != least:
            told.setdefault(value, []).append(name)
    parts = [f"{'='.join(names)}={_short(value)}" for value, names in told.items()]
    if number.mask != M64 and number.mask:
        parts.append(f"var_off=({number.value:#x}; {number.mask:#x})")
    return parts


def _short(value: int) -> str:
    return str(value) if -(1 << 15) < value < 1 << 16 else f"{value:#x}" if value >= 0 else str(value)


# -- bounds that agree ------------------------------------------------------------------------------
@lru_cache(maxsize=2048)
def settled(bounds: Bounds) -> Bounds | None:
    """Let each bound learn from the others; None where no number fits them all."""
    for _ in range(4):
        found = _round(*bounds)
        if found is None or found == bounds:
            return found
        bounds = found
    return bounds


def _round(
    value: int,
    mask: int,
    umin: int,
    umax: int,
    smin: int,
    smax: int,
    vmin: int,
    vmax: int,
    wmin: int,
    wmax: int,
) -> Bounds | None:
    umin, umax, smin, smax = _by_bits(value, mask, umin, umax, smin, smax, 64)
    vmin, vmax, wmin, wmax = _by_bits(value & M32, mask & M32, vmin, vmax, wmin, wmax, 32)
    if umin >> 32 == umax >> 32:
        vmin, vmax = max(vmin, umin & M32), min(vmax, umax & M32)
    if smin >> 32 == smax >> 32:
        vmin, vmax = max(vmin, smin & M32), min(vmax, smax & M32)
    if smin >= S32_MIN and smax <= S32_MAX:
        wmin, wmax = max(wmin, smin), min(wmax, smax)
        smin, smax = max(smin, wmin), min(smax, wmax)
    umin, umax, smin, smax = _by_sign(umin, umax, smin, smax, M64)
    vmin, vmax, wmin, wmax = _by_sign(vmin, vmax, wmin, wmax, M32)
    umin, umax = max(umin, umin & ~M32 | vmin), min(umax, umax & ~M32 | vmax)
    smin, smax = max(smin, smin & ~M32 | vmin), min(smax, smax & ~M32 | vmax)
    if umin > umax or smin > smax or vmin > vmax or wmin > wmax:
        return None
    bits = _bits_of_range(value, mask, umin, umax, 64)
    if bits is None or (bits := _bits_of_range(*bits, vmin, vmax, 32)) is None:
        return None
    return (*bits, umin, umax, smin, smax, vmin, vmax, wmin, wmax)


def _by_bits(
    value: int, mask: int, umin: int, umax: int, smin: int, smax: int, width: int
) -> tuple[int, int, int, int]:
    """Tighten bounds by the bits that are known: to the nearest numbers that have them."""
    whole, sign = (1 << width) - 1, 1 << (width - 1)
    low, high = _next(value, mask, umin), _next(~value & ~mask & whole, mask, whole - umax)
    # With the sign turned over, signed numbers are in the order of unsigned ones.
    turned = value ^ (sign & ~mask)
    signed_low = _next(turned, mask, smin + sign)
    signed_high = _next(~turned & ~mask & whole, mask, whole - (smax + sign))
    return low, whole - high, signed_low - sign, whole - signed_high - sign


def _next(value: int, mask: int, low: int) -> int:
    """Return the least number from `low` on that has the known bits; one too large where there is none."""
    wrong = (low ^ value) & ~mask
    if not wrong:
        return low
    top = wrong.bit_length()
    if value >> (top - 1) & 1:
        return low >> top << top | value & ((1 << top) - 1)
    free = mask & ~low & ~((1 << top) - 1)
    if not free:
        return 1 << 65
    bit = free & -free
    return low & ~(2 * bit - 1) | bit | value & (bit - 1)


def _by_sign(umin: int, umax: int, smin: int, smax: int, whole: int) -> tuple[int, int, int, int]:
    """Tighten unsigned and signed bounds by each other."""
    top = (whole >> 1) + 1
    if (umin < top) == (umax < top):
        shift = 0 if umin < top else whole + 1
        smin, smax = max(smin, umin - shift), min(smax, umax - shift)
    if smin >= 0 or smax < 0:
        umin, umax = max(umin, smin & whole), min(umax, smax & whole)
    elif umax < smin & whole:
        smin, umax = max(smin, umin), min(umax, smax)
    elif umin > smax:
        smax, umin = min(smax, umax - whole - 1), max(umin, smin & whole)
    return umin, umax, smin, smax


def _bits_of_range(value: int, mask: int, low: int, high: int, width: int) -> tuple[int, int] | None:
    """Learn the leading bits that a range's ends share; None where they contradict what is known."""
    different = (1 << (low ^ high).bit_length()) - 1
    known = low & ~different
    open_bits = different | (M64 & ~((1 << width) - 1))
    if (value ^ known) & ~mask & ~open_bits:
        return None
    mask &= open_bits
    return (value | known) & ~mask, mask


def narrowed(number: Scalar, bounds: Bounds) -> Scalar | None:
    """Return a number with other bounds, of the same family; None where none fits."""
    if bounds == number.bounds:
        return number
    found = settled(bounds)
    if found is None:
        return None
    return Scalar(found, vague=number.vague, id=number.id, delta=number.delta, narrow=number.narrow)


_OF_BYTES = {size: Scalar(settled((0, (1 << 8 * size) - 1, *ALL[2:])) or ALL) for size in (1, 2, 4)} | {
    8: UNKNOWN
}
