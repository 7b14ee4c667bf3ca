"""Arithmetic with what is known of numbers.

Source: kernel/bpf/verifier.c, adjust_scalar_min_max_vals().
"""

from __future__ import annotations

from collections.abc import Callable

from ebee.asm.opcodes import Alu
from ebee.checker.scalars import (
    ALL,
    M32,
    M64,
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    UNKNOWN,
    VAGUE,
    Bounds,
    Scalar,
    constant,
    settled,
    signed,
)


def compute(operation: int, left: Scalar, right: Scalar, *, wide: bool, is_signed: bool = False) -> Scalar:
    """Return what is known of a result.

    Args:
        operation: of `Alu`, not MOV, NEG or END.
        wide: 64 bits; otherwise the low 32 are computed with and the rest is cleared.
        is_signed: of a division.
    """
    if not left.mask and not right.mask:
        return constant(_exact(operation, left.value, right.value, wide=wide, is_signed=is_signed))
    if operation in (Alu.DIV, Alu.MOD):
        return _divided(operation, left if wide else truncated(left), right, wide=wide, is_signed=is_signed)
    if operation in _SHIFTS:
        if right.mask:
            # Even the kernel knows nothing of a shift by what is not known.
            return UNKNOWN if wide else truncated(UNKNOWN)
        by = right.value & (63 if wide else 31)
        if not wide and operation != Alu.LSH:
            left = truncated(left) if operation == Alu.RSH else extended(left, 32)
        found = _SHIFTS[operation](left, by)
    else:
        found = _PLAIN[operation](left, right)
    vague = left.vague or right.vague or _better_known(operation, left, right, wide=wide)
    return _finished(found, vague=vague, wide=wide)


def _better_known(operation: int, left: Scalar, right: Scalar, *, wide: bool) -> bool:
    """Whether the kernel may know more of a result than is computed here."""
    if operation == Alu.MUL:
        return bool(left.mask) and bool(right.mask)
    if operation in (Alu.AND, Alu.OR):
        # What is all ones or all zeros it takes for either, on two ways.
        return (left.smin, left.smax) == (-1, 0) or (not wide and (left.wmin, left.wmax) == (-1, 0))
    return False


def _finished(bounds: Bounds, *, vague: bool, wide: bool) -> Scalar:
    result = Scalar(settled(bounds) or ALL, vague=vague)
    return result if wide else truncated(result)


def _exact(operation: int, left: int, right: int, *, wide: bool, is_signed: bool) -> int:
    width = 64 if wide else 32
    whole = M64 if wide else M32
    left, right = left & whole, right & whole
    if operation in (Alu.DIV, Alu.MOD):
        return _exact_division(operation, left, right, width, is_signed=is_signed) & whole
    if operation == Alu.ARSH:
        return (signed(left, width) >> (right & (width - 1))) & whole
    return _EXACT[operation](left, right, width) & whole


_EXACT: dict[int, Callable[[int, int, int], int]] = {
    Alu.ADD: lambda a, b, _: a + b,
    Alu.SUB: lambda a, b, _: a - b,
    Alu.MUL: lambda a, b, _: a * b,
    Alu.OR: lambda a, b, _: a | b,
    Alu.AND: lambda a, b, _: a & b,
    Alu.XOR: lambda a, b, _: a ^ b,
    Alu.LSH: lambda a, b, width: a << (b & (width - 1)),
    Alu.RSH: lambda a, b, width: a >> (b & (width - 1)),
}


def _exact_division(operation: int, left: int, right: int, width: int, *, is_signed: bool) -> int:
    if right == 0:
        return 0 if operation == Alu.DIV else left
    if not is_signed:
        return left // right if operation == Alu.DIV else left % right
    a, b = signed(left, width), signed(right, width)
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient if operation == Alu.DIV else a - quotient * b


def _divided(operation: int, left: Scalar, right: Scalar, *, wide: bool, is_signed: bool) -> Scalar:
    """Return more than kernels before 7.0 know, which is nothing."""
    divisor = right.value & (M64 if wide else M32)
    if is_signed or right.mask or divisor == 0:
        return VAGUE if wide else truncated(VAGUE)
    if operation == Alu.DIV:
        low, high = left.umin // divisor, left.umax // divisor
    elif left.umax < divisor:
        return left
    else:
        low, high = 0, divisor - 1
    return _finished((0, M64, low, high, *ALL[4:]), vague=left.vague, wide=True)


def truncated(number: Scalar) -> Scalar:
    """Return the low 32 bits, zeros above."""
    if not number.umax >> 32:
        return Scalar(number.bounds, vague=number.vague)
    bounds = (
        number.value & M32,
        number.mask & M32,
        number.vmin,
        number.vmax,
        number.vmin,
        number.vmax,
        number.vmin,
        number.vmax,
        number.wmin,
        number.wmax,
    )
    return Scalar(settled(bounds) or (0, M32, *ALL[2:]), vague=number.vague)


def cut(number: Scalar, size: int) -> Scalar:
    """Return the low bytes of a number, zeros above."""
    if not number.umax >> 8 * size:
        # The same number, and it stays in its family.
        return number
    low = truncated(number)
    if size == 4:
        return low
    whole = (1 << 8 * size) - 1
    if low.umin >> 8 * size == low.umax >> 8 * size:
        bounds: Bounds = (low.value & whole, low.mask & whole, low.umin & whole, low.umax & whole, *ALL[4:])
    else:
        bounds = (low.value & whole, low.mask & whole, *ALL[2:])
    return Scalar(settled(bounds) or (0, whole, *ALL[2:]), vague=number.vague)


def extended(number: Scalar, bits: int) -> Scalar:
    """Return the low bits with their sign in all bits above."""
    low = cut(number, bits // 8)
    value, mask = signed(low.value, bits) & M64, signed(low.mask, bits) & M64
    smin, smax = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if bits == 32:
        smin, smax = number.wmin, number.wmax
    elif low.umax <= smax or low.umin > smax:
        smin, smax = signed(low.umin, bits), signed(low.umax, bits)
    bounds = (value & ~mask, mask, 0, M64, smin, smax, 0, M32, S32_MIN, S32_MAX)
    return Scalar(settled(bounds) or ALL, vague=number.vague)


def negated(number: Scalar, *, wide: bool) -> Scalar:
    """Return 0 minus a number."""
    return compute(Alu.SUB, constant(0), number, wide=wide)


# -- operations -------------------------------------------------------------------------------------
def _unsigned(low: int, high: int, whole: int) -> tuple[int, int]:
    """Bring exact bounds back into a width: as they are, or all, where only one of them wraps."""
    width = whole.bit_length()
    return (low & whole, high & whole) if low >> width == high >> width else (0, whole)


def _signed(low: int, high: int, whole: int) -> tuple[int, int]:
    half = (whole >> 1) + 1
    low, high = _unsigned(low + half, high + half, whole)
    return low - half, high - half


def _add(a: Scalar, b: Scalar) -> Bounds:
    value = a.value + b.value
    mask = (a.mask + b.mask + value) ^ value | a.mask | b.mask
    return (
        value & ~mask & M64,
        mask & M64,
        *_unsigned(a.umin + b.umin, a.umax + b.umax, M64),
        *_signed(a.smin + b.smin, a.smax + b.smax, M64),
        *_unsigned(a.vmin + b.vmin, a.vmax + b.vmax, M32),
        *_signed(a.wmin + b.wmin, a.wmax + b.wmax, M32),
    )


def _sub(a: Scalar, b: Scalar) -> Bounds:
    value = a.value - b.value
    mask = ((value + a.mask) ^ (value - b.mask)) | a.mask | b.mask
    return (
        value & ~mask & M64,
        mask & M64,
        *_unsigned(a.umin - b.umax, a.umax - b.umin, M64),
        *_signed(a.smin - b.smax, a.smax - b.smin, M64),
        *_unsigned(a.vmin - b.vmax, a.vmax - b.vmin, M32),
        *_signed(a.wmin - b.wmax, a.wmax - b.wmin, M32),
    )


def _mul(a: Scalar, b: Scalar) -> Bounds:
    def corners(low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
        products = [x * y for x in (low, high) for y in (other_low, other_high)]
        return min(products), max(products)

    def fitting(low: int, high: int, least: int, most: int) -> tuple[int, int]:
        return (low, high) if least <= low and high <= most else (least, most)

    return (
        *_times(a, b),
        *fitting(a.umin * b.umin, a.umax * b.umax, 0, M64),
        *fitting(*corners(a.smin, a.smax, b.smin, b.smax), S64_MIN, S64_MAX),
        *fitting(a.vmin * b.vmin, a.vmax * b.vmax, 0, M32),
        *fitting(*corners(a.wmin, a.wmax, b.wmin, b.wmax), S32_MIN, S32_MAX),
    )


def _times(a: Scalar, b: Scalar) -> tuple[int, int]:
    """Return the known bits of a product: exact sums of shifts where one factor is known."""
    if b.mask and a.mask:
        zeros = _trailing_zeros(a.value | a.mask) + _trailing_zeros(b.value | b.mask)
        return 0, M64 & ~((1 << min(zeros, 64)) - 1)
    known, other = (a, b) if b.mask else (b, a)
    value = mask = 0
    for shift in range(known.value.bit_length()):
        if known.value >> shift & 1:
            more, more_mask = other.value << shift, other.mask << shift
            total = value + more
            mask = ((mask + more_mask + total) ^ total) | mask | more_mask
            value = total & ~mask
    return value & M64 & ~mask, mask & M64


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1 if number else 64


def _and(a: Scalar, b: Scalar) -> Bounds:
    value = a.value & b.value
    mask = (a.value | a.mask) & (b.value | b.mask) & ~value
    return (
        value,
        mask,
        value,
        min(a.umax, b.umax),
        S64_MIN,
        S64_MAX,
        value & M32,
        min(a.vmax, b.vmax),
        S32_MIN,
        S32_MAX,
    )


def _or(a: Scalar, b: Scalar) -> Bounds:
    value = a.value | b.value
    mask = (a.mask | b.mask) & ~value
    return (
        value,
        mask,
        max(a.umin, b.umin),
        M64,
        S64_MIN,
        S64_MAX,
        max(a.vmin, b.vmin),
        M32,
        S32_MIN,
        S32_MAX,
    )


def _xor(a: Scalar, b: Scalar) -> Bounds:
    mask = a.mask | b.mask
    return ((a.value ^ b.value) & ~mask, mask, *ALL[2:])


def _left(a: Scalar, by: int) -> Bounds:
    umin, umax = (a.umin << by, a.umax << by) if not a.umax << by >> 64 else (0, M64)
    vmin, vmax = (a.vmin << by, a.vmax << by) if not a.vmax << by >> 32 else (0, M32)
    smin, smax = a.smin << by, a.smax << by
    if by == 32:
        smin, smax = a.wmin << 32, a.wmax << 32
    if smin < S64_MIN or smax > S64_MAX:
        smin, smax = S64_MIN, S64_MAX
    wmin, wmax = a.wmin << by, a.wmax << by
    if wmin < S32_MIN or wmax > S32_MAX:
        wmin, wmax = S32_MIN, S32_MAX
    return a.value << by & M64, a.mask << by & M64, umin, umax, smin, smax, vmin, vmax, wmin, wmax


def _right(a: Scalar, by: int) -> Bounds:
    return (a.value >> by, a.mask >> by, a.umin >> by, a.umax >> by, *ALL[4:])


def _right_signed(a: Scalar, by: int) -> Bounds:
    mask = signed(a.mask) >> by & M64
    return (
        signed(a.value) >> by & M64 & ~mask,
        mask,
        0,
        M64,
        a.smin >> by,
        a.smax >> by,
        0,
        M32,
        S32_MIN,
        S32_MAX,
    )


_PLAIN: dict[int, Callable[[Scalar, Scalar], Bounds]] = {
    Alu.ADD: _add,
    Alu.SUB: _sub,
    Alu.MUL: _mul,
    Alu.AND: _and,
    Alu.OR: _or,
    Alu.XOR: _xor,
}
_SHIFTS: dict[int, Callable[[Scalar, int], Bounds]] = {
    Alu.LSH: _left,
    Alu.RSH: _right,
    Alu.ARSH: _right_signed,
}
