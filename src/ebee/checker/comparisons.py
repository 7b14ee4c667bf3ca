"""What a comparison tells of the numbers compared, on either way that it may go.

Source: kernel/bpf/verifier.c, is_scalar_branch_taken(), regs_refine_cond_op().
"""

from __future__ import annotations

from collections.abc import Callable

from ebee.asm.opcodes import Jump
from ebee.checker.scalars import M32, M64, Scalar, narrowed

Pair = tuple[Scalar, Scalar]
"""What is known of both numbers."""


def ways(operation: int, left: Scalar, right: Scalar, *, wide: bool) -> tuple[Pair | None, Pair | None]:
    """Return what both numbers are where a comparison holds, and where it does not; None for never."""
    if not left.mask and not right.mask:
        pair = (left, right)
        return (pair, None) if holds(operation, left.value, right.value, wide=wide) else (None, pair)
    if operation == Jump.JEQ:
        return _equal(left, right, wide=wide), _unequal(left, right, wide=wide)
    if operation == Jump.JNE:
        return _unequal(left, right, wide=wide), _equal(left, right, wide=wide)
    if operation == Jump.JSET:
        return _bits(left, right, wide=wide)
    strict, swapped, is_signed = _ORDERS[operation]
    a, b = (right, left) if swapped else (left, right)
    # a < b, and b <= a where it is not; or a <= b, and b < a.
    yes = _ordered(a, b, strict=strict, is_signed=is_signed, wide=wide)
    no = _turned(_ordered(b, a, strict=not strict, is_signed=is_signed, wide=wide))
    return (_turned(yes), _turned(no)) if swapped else (yes, no)


# By operation: whether it is strict, whether it says `right < left`, whether it is signed.
_ORDERS = {
    Jump.JGT: (True, True, False),
    Jump.JGE: (False, True, False),
    Jump.JLT: (True, False, False),
    Jump.JLE: (False, False, False),
    Jump.JSGT: (True, True, True),
    Jump.JSGE: (False, True, True),
    Jump.JSLT: (True, False, True),
    Jump.JSLE: (False, False, True),
}


def holds(operation: int, left: int, right: int, *, wide: bool) -> bool:
    """Return whether a comparison of two known numbers holds."""
    whole = M64 if wide else M32
    left, right = left & whole, right & whole
    if operation in (Jump.JSGT, Jump.JSGE, Jump.JSLT, Jump.JSLE):
        half = (whole >> 1) + 1
        left, right = left ^ half, right ^ half
    return _TESTS[operation](left, right)


_TESTS: dict[int, Callable[[int, int], bool]] = {
    Jump.JEQ: lambda a, b: a == b,
    Jump.JNE: lambda a, b: a != b,
    Jump.JSET: lambda a, b: bool(a & b),
    Jump.JGT: lambda a, b: a > b,
    Jump.JGE: lambda a, b: a >= b,
    Jump.JLT: lambda a, b: a < b,
    Jump.JLE: lambda a, b: a <= b,
    Jump.JSGT: lambda a, b: a > b,
    Jump.JSGE: lambda a, b: a >= b,
    Jump.JSLT: lambda a, b: a < b,
    Jump.JSLE: lambda a, b: a <= b,
}


def _turned(pair: Pair | None) -> Pair | None:
    return None if pair is None else (pair[1], pair[0])


# -- equality ---------------------------------------------------------------------------------------
def _equal(a: Scalar, b: Scalar, *, wide: bool) -> Pair | None:
    low = 0 if wide else M64 & ~M32
    mask_a, mask_b = a.mask | low, b.mask | low
    if (a.value ^ b.value) & ~mask_a & ~mask_b:
        return None
    both = (a.value & ~low | b.value & ~low, mask_a & mask_b)
    left, right = _shared(a, b, both, wide=wide), _shared(b, a, both, wide=wide)
    return None if left is None or right is None else (left, right)


def _shared(number: Scalar, other: Scalar, both: tuple[int, int], *, wide: bool) -> Scalar | None:
    """Return a number that equals another, whole or in its low half."""
    value, mask = (number.value | both[0]), number.mask & both[1]
    (_, _, umin, umax, smin, smax, vmin, vmax, wmin, wmax) = number.bounds
    if wide:
        umin, umax = max(umin, other.umin), min(umax, other.umax)
        smin, smax = max(smin, other.smin), min(smax, other.smax)
    vmin, vmax = max(vmin, other.vmin), min(vmax, other.vmax)
    wmin, wmax = max(wmin, other.wmin), min(wmax, other.wmax)
    return narrowed(number, (value & ~mask, mask, umin, umax, smin, smax, vmin, vmax, wmin, wmax))


def _unequal(a: Scalar, b: Scalar, *, wide: bool) -> Pair | None:
    left, right = _except(a, b, wide=wide), _except(b, a, wide=wide)
    return None if left is None or right is None else (left, right)


def _except(number: Scalar, other: Scalar, *, wide: bool) -> Scalar | None:
    """Take a known number from the ends of another's bounds."""
    (value, mask, umin, umax, smin, smax, vmin, vmax, wmin, wmax) = number.bounds
    if wide:
        if other.mask:
            return number
        umin, umax = _trimmed(umin, umax, other.umin)
        smin, smax = _trimmed(smin, smax, other.smin)
    else:
        if other.vmin != other.vmax:
            return number
        vmin, vmax = _trimmed(vmin, vmax, other.vmin)
        wmin, wmax = _trimmed(wmin, wmax, other.wmin)
    return narrowed(number, (value, mask, umin, umax, smin, smax, vmin, vmax, wmin, wmax))


def _trimmed(low: int, high: int, without: int) -> tuple[int, int]:
    return low + (low == without), high - (high == without)


# -- order ------------------------------------------------------------------------------------------
def _ordered(a: Scalar, b: Scalar, *, strict: bool, is_signed: bool, wide: bool) -> Pair | None:
    """Return both where a < b, or a <= b."""
    low, high = (4 if is_signed else 2) + (0 if wide else 4), (5 if is_signed else 3) + (0 if wide else 4)
    left, right = list(a.bounds), list(b.bounds)
    left[high] = min(left[high], right[high] - strict)
    right[low] = max(right[low], left[low] + strict)
    if left[low] > left[high] or right[low] > right[high]:
        return None
    first = narrowed(a, tuple(left))  # type: ignore[arg-type]  # ten numbers, as they were
    second = narrowed(b, tuple(right))  # type: ignore[arg-type]
    return None if first is None or second is None else (first, second)


# -- bits -------------------------------------------------------------------------------------------
def _bits(a: Scalar, b: Scalar, *, wide: bool) -> tuple[Pair | None, Pair | None]:
    """Return both where they share a bit, and where they do not."""
    if b.mask:
        b_way, a_way = (a, b), (a, b)
        if a.mask:
            return b_way, a_way
        yes, no = _bits(b, a, wide=wide)
        return _turned(yes), _turned(no)
    tested = b.value & (M64 if wide else M32)
    yes_pair: Pair | None = (a, b)
    no_pair: Pair | None = (a, b)
    if a.value & tested:
        no_pair = None
    else:
        cleared = narrowed(a, (a.value & ~tested, a.mask & ~tested, *a.bounds[2:]))
        no_pair = None if cleared is None else (cleared, b)
    if not (a.value | a.mask) & tested:
        yes_pair = None
    elif tested & (tested - 1) == 0:
        known = narrowed(a, (a.value | tested, a.mask & ~tested, *a.bounds[2:]))
        yes_pair = None if known is None else (known, b)
    return yes_pair, no_pair
