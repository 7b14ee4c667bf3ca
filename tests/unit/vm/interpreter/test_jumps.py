"""Jumps: every condition on 64 and on 32 bits, with a register and with a number; goto, gotol, may_goto."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction
from ebee.asm.opcodes import EXIT, GOTO, GOTOL, Alu, Class
from tests.support.vm import result, run

U64 = (1 << 64) - 1

# left, condition, right; whether it holds for 64 bits and for the lower 32.
CONDITIONS = [
    (5, "==", 5, True, True),
    (0x1_0000_0005, "==", 5, False, True),
    (5, "==", 6, False, False),
    (5, "!=", 6, True, True),
    (0x1_0000_0005, "!=", 5, True, False),
    (6, ">", 5, True, True),
    (5, ">", 5, False, False),
    (U64, ">", 5, True, True),
    (0x1_0000_0000, ">", 5, True, False),
    (5, ">=", 5, True, True),
    (4, ">=", 5, False, False),
    (U64, ">=", U64, True, True),
    (4, "<", 5, True, True),
    (5, "<", 5, False, False),
    (0x1_0000_0000, "<", 5, False, True),
    (5, "<=", 5, True, True),
    (6, "<=", 5, False, False),
    (0, "<=", U64, True, True),
    (0b110, "&", 0b010, True, True),
    (0b110, "&", 0b001, False, False),
    (1 << 40, "&", 1 << 40, True, False),
    (5, "s>", U64, True, True),
    (U64, "s>", 5, False, False),
    (0x7FFF_FFFF, "s>", 0x8000_0000, False, True),
    (5, "s>=", U64, True, True),
    (U64, "s>=", U64, True, True),
    (U64 - 1, "s>=", U64, False, False),
    (U64, "s<", 0, True, True),
    (0, "s<", U64, False, False),
    (0x8000_0000, "s<", 0, False, True),
    (1 << 63, "s<", (1 << 63) - 1, True, False),
    (U64, "s<=", U64, True, True),
    (0, "s<=", U64, False, False),
    (U64 - 1, "s<=", U64, True, True),
]


@pytest.mark.parametrize(("left", "sign", "right", "wide", "narrow"), CONDITIONS)
def test_a_condition_on_registers_looks_at_64_bits_or_at_the_lower_32(
    left: int, sign: str, right: int, wide: bool, narrow: bool
) -> None:
    assert _taken(f"r2 {sign} r3", left, right) is wide
    assert _taken(f"w2 {sign} w3", left, right) is narrow


# left, condition, the instruction's number; whether it holds for 64 bits and for the lower 32.
WITH_NUMBERS = [
    (U64, "==", -1, True, True),
    (0xFFFF_FFFF, "==", -1, False, True),
    (0xFFFF_FFFF, "!=", -1, True, False),
    (U64, ">", -2, True, True),
    (0xFFFF_FFFF, ">", -2, False, True),
    (U64, ">=", -1, True, True),
    (0xFFFF_FFFF, ">=", -1, False, True),
    (0xFFFF_FFFF, "<", -1, True, False),
    (U64, "<", 7, False, False),
    (U64, "<=", -1, True, True),
    (8, "<=", 7, False, False),
    (1 << 63, "&", -1 << 31, True, False),
    (0x80, "&", 0x80, True, True),
    (0, "s>", -1, True, True),
    (0xFFFF_FFFF, "s>", -1, True, False),
    (U64, "s>=", -1, True, True),
    (U64 - 1, "s>=", -1, False, False),
    (U64 - 1, "s<", -1, True, True),
    (0xFFFF_FFFE, "s<", -1, False, True),
    (U64, "s<=", -1, True, True),
    (0, "s<=", -1, False, False),
]


@pytest.mark.parametrize(("left", "sign", "right", "wide", "narrow"), WITH_NUMBERS)
def test_a_conditions_number_is_drawn_out_to_64_bits_with_its_sign(
    left: int, sign: str, right: int, wide: bool, narrow: bool
) -> None:
    assert _taken(f"r2 {sign} {right & 0xFFFF_FFFF:#x}", left, 0) is wide
    assert _taken(f"w2 {sign} {right & 0xFFFF_FFFF:#x}", left, 0) is narrow


def _taken(condition: str, left: int, right: int) -> bool:
    text = f"""
        r2 = {left} ll
        r3 = {right} ll
        r0 = 1
        if {condition} goto end
        r0 = 0
    end:
        exit
    """
    return result(text) == 1


def test_goto_goes_forwards_and_back() -> None:
    text = """
        r0 = 1
        goto second
    first:
        r0 *= 10
        exit
    second:
        r0 += 1
        goto first
    """

    assert result(text) == 20


def test_gotol_reaches_further_than_16_bits() -> None:
    filler = [Instruction(Class.ALU64 | Alu.MOV, 0, imm=9)] * 40_000
    program = [
        Instruction(Class.ALU64 | Alu.MOV, 0, imm=1),
        Instruction(GOTOL, imm=40_000),
        *filler,
        Instruction(EXIT),
    ]

    assert run(program)[:2] == (1, 3)


def test_a_loop_of_a_program_counts_its_instructions() -> None:
    text = """
        r0 = 0
    more:
        r0 += 2
        if r0 < 10 goto more
        exit
    """

    assert run(text)[:2] == (10, 1 + 5 * 2 + 1)


def test_may_goto_passes_8_million_times_and_then_jumps() -> None:
    text = """
        r0 = 0
    more:
        may_goto end
        r0 += 1
        goto more
    end:
        exit
    """
    from ebee.vm.interpreter import processor

    before = processor.MOST_LOOPS
    assert before == 8 * 1024 * 1024
    try:
        processor.MOST_LOOPS = 100  # type: ignore[misc]
        assert result(text) == 100
    finally:
        processor.MOST_LOOPS = before  # type: ignore[misc]


def test_a_goto_to_the_next_instruction_changes_nothing() -> None:
    assert result([Instruction(Class.ALU64 | Alu.MOV, 0, imm=3), Instruction(GOTO), Instruction(EXIT)]) == 3
