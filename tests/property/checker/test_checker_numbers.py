"""What is known of numbers holds for every number that it was learned from."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.asm.opcodes import Alu, Jump
from ebee.checker.arithmetic import compute, cut, extended, truncated
from ebee.checker.comparisons import holds, ways
from ebee.checker.scalars import (
    ALL,
    M32,
    M64,
    Bounds,
    Scalar,
    constant,
    settled,
    signed,
)

NUMBERS = st.one_of(
    st.integers(0, M64),
    st.integers(0, 255),
    st.integers(0, M32),
    st.integers(1, 300).map(lambda number: -number & M64),
    st.integers(0, 63).map(lambda bit: 1 << bit),
)
OPERATIONS = [Alu.ADD, Alu.SUB, Alu.MUL, Alu.DIV, Alu.OR, Alu.AND, Alu.XOR, Alu.MOD]
SHIFTS = [Alu.LSH, Alu.RSH, Alu.ARSH]
COMPARISONS = [
    Jump.JEQ,
    Jump.JNE,
    Jump.JSET,
    Jump.JGT,
    Jump.JGE,
    Jump.JLT,
    Jump.JLE,
    Jump.JSGT,
    Jump.JSGE,
    Jump.JSLT,
    Jump.JSLE,
]


@st.composite
def knowledge(draw: st.DrawFn) -> tuple[Scalar, list[int]]:
    """Draw numbers, and something that is known of all of them."""
    numbers = draw(st.lists(NUMBERS, min_size=1, max_size=3))
    longs, shorts = [signed(number) for number in numbers], [signed(number, 32) for number in numbers]
    lows = [number & M32 for number in numbers]
    mask = 0
    for number in numbers:
        mask |= number ^ numbers[0]
    whole: list[int] = list(ALL)
    for places, values in (
        ((0, 1), (numbers[0] & ~mask, mask)),
        ((2, 3), (min(numbers), max(numbers))),
        ((4, 5), (min(longs), max(longs))),
        ((6, 7), (min(lows), max(lows))),
        ((8, 9), (min(shorts), max(shorts))),
    ):
        if draw(st.booleans()):
            whole[places[0]], whole[places[1]] = values
    found = settled(tuple(whole))
    assert found is not None
    return Scalar(found), numbers


def fits(known: Scalar, number: int) -> bool:
    """Return whether a number is one of those that something is known of."""
    return (
        number & ~known.mask == known.value
        and known.umin <= number <= known.umax
        and known.smin <= signed(number) <= known.smax
        and known.vmin <= number & M32 <= known.vmax
        and known.wmin <= signed(number, 32) <= known.wmax
    )


def exact(operation: int, left: int, right: int, *, wide: bool) -> int:
    """Return an operation's result on two numbers."""
    return compute(operation, constant(left), constant(right), wide=wide).value


@given(knowledge())
def test_bounds_that_learn_from_each_other_lose_no_number(drawn: tuple[Scalar, list[int]]) -> None:
    known, numbers = drawn
    assert all(fits(known, number) for number in numbers)


@given(knowledge())
def test_bounds_that_agree_stay_as_they_are(drawn: tuple[Scalar, list[int]]) -> None:
    bounds: Bounds = drawn[0].bounds
    assert settled(bounds) == bounds


@given(st.sampled_from(OPERATIONS), knowledge(), knowledge(), st.booleans())
@settings(max_examples=500)
def test_results_are_within_what_is_known_of_them(
    operation: int, left: tuple[Scalar, list[int]], right: tuple[Scalar, list[int]], wide: bool
) -> None:
    known = compute(operation, left[0], right[0], wide=wide)
    for a in left[1]:
        for b in right[1]:
            assert fits(known, exact(operation, a, b, wide=wide))


@given(st.sampled_from(SHIFTS), knowledge(), st.integers(0, 63), st.booleans())
def test_shifted_numbers_are_within_what_is_known_of_them(
    operation: int, drawn: tuple[Scalar, list[int]], by: int, wide: bool
) -> None:
    by &= 63 if wide else 31
    known = compute(operation, drawn[0], constant(by), wide=wide)
    assert all(fits(known, exact(operation, number, by, wide=wide)) for number in drawn[1])


@given(knowledge(), st.sampled_from([1, 2, 4, 8]))
def test_parts_of_numbers_are_within_what_is_known_of_them(
    drawn: tuple[Scalar, list[int]], size: int
) -> None:
    known, numbers = drawn
    assert all(fits(cut(known, size), number & ((1 << 8 * size) - 1)) for number in numbers)
    assert all(fits(truncated(known), number & M32) for number in numbers)
    if size < 8:
        assert all(fits(extended(known, 8 * size), signed(number, 8 * size) & M64) for number in numbers)


@given(st.sampled_from(COMPARISONS), knowledge(), knowledge(), st.booleans())
@settings(max_examples=500)
def test_the_way_that_numbers_take_is_open_and_knows_them(
    operation: int, left: tuple[Scalar, list[int]], right: tuple[Scalar, list[int]], wide: bool
) -> None:
    yes, no = ways(operation, left[0], right[0], wide=wide)
    for a in left[1]:
        for b in right[1]:
            taken = yes if holds(operation, a, b, wide=wide) else no
            assert taken is not None
            assert fits(taken[0], a)
            assert fits(taken[1], b)
