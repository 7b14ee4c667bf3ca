"""Arithmetic: every operation in every form, where its numbers are ordinary and where they are not."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction
from ebee.asm.opcodes import Alu, Class, Source
from tests.support.vm import result

U64 = (1 << 64) - 1
LEAST_64 = 1 << 63
LEAST_32 = 1 << 31

# left, operation, right, and r0 afterwards: as 64 bits and as 32 bits.
OPERATIONS = [
    (5, "+=", 3, 8, 8),
    (U64, "+=", 1, 0, 0),
    (0xFFFF_FFFF, "+=", 1, 0x1_0000_0000, 0),
    (0x1_0000_0005, "+=", 3, 0x1_0000_0008, 8),
    (5, "-=", 7, U64 - 1, 0xFFFF_FFFE),
    (0, "-=", LEAST_64, LEAST_64, 0),
    (7, "*=", 6, 42, 42),
    (0x1_0000_0001, "*=", 0x1_0000_0001, 0x2_0000_0001, 1),
    (U64, "*=", U64, 1, 1),
    (42, "/=", 5, 8, 8),
    (U64, "/=", 2, LEAST_64 - 1, LEAST_32 - 1),
    (0x1_0000_0006, "/=", 0x1_0000_0002, 1, 3),
    (42, "/=", 0, 0, 0),
    (0x7_0000_0009, "/=", 0x1_0000_0000, 7, 0),
    (42, "%=", 5, 2, 2),
    (U64, "%=", 10, 5, 5),
    (0x5_0000_002A, "%=", 0, 0x5_0000_002A, 42),
    (0x5_0000_002A, "%=", 0x3_0000_0000, 0x2_0000_002A, 42),
    (0b1100, "|=", 0b1010, 0b1110, 0b1110),
    (0xF0_0000_0001, "|=", 0x0F_0000_0002, 0xFF_0000_0003, 3),
    (0b1100, "&=", 0b1010, 0b1000, 0b1000),
    (0xFF_0000_0003, "&=", 0x0F_0000_0001, 0x0F_0000_0001, 1),
    (0b1100, "^=", 0b1010, 0b0110, 0b0110),
    (0xFF_0000_0003, "^=", 0x0F_0000_0001, 0xF0_0000_0002, 2),
    (1, "<<=", 4, 16, 16),
    (1, "<<=", 31, LEAST_32, LEAST_32),
    (3, "<<=", 63, LEAST_64, LEAST_32),
    (1, "<<=", 64, 1, 1),
    (1, "<<=", 33, 1 << 33, 2),
    (LEAST_64, ">>=", 63, 1, 0),
    (0xF000_0000_F000_0000, ">>=", 4, 0x0F00_0000_0F00_0000, 0x0F00_0000),
    (0xF0, ">>=", 36, 0, 0xF),
    (16, ">>=", 64, 16, 16),
    (LEAST_64, "s>>=", 63, U64, 0),
    (LEAST_32, "s>>=", 4, 0x0800_0000, 0xF800_0000),
    (U64 - 15, "s>>=", 2, U64 - 3, 0xFFFF_FFFC),
    (0x7000_0000, "s>>=", 4, 0x0700_0000, 0x0700_0000),
    (0x8000_0000_8000_0000, "s>>=", 68, 0xF800_0000_0800_0000, 0xF800_0000),
    (U64 - 6, "s/=", 2, U64 - 2, 0xFFFF_FFFD),
    (7, "s/=", U64 - 1, U64 - 2, 0xFFFF_FFFD),
    (U64 - 6, "s/=", U64 - 1, 3, 3),
    (U64 - 6, "s/=", 0, 0, 0),
    (LEAST_64, "s/=", U64, LEAST_64, 0),
    (LEAST_32, "s/=", U64, (1 << 64) - LEAST_32, LEAST_32),
    (U64 - 6, "s%=", 3, U64, 0xFFFF_FFFF),
    (7, "s%=", U64 - 2, 1, 1),
    (U64 - 6, "s%=", U64 - 2, U64, 0xFFFF_FFFF),
    (0xAB_FFFF_FFF9, "s%=", 0, 0xAB_FFFF_FFF9, 0xFFFF_FFF9),
    (LEAST_64, "s%=", U64, 0, 0),
    (LEAST_32, "s%=", U64, 0, 0),
    (1, "=", 0xFEDC_BA98_7654_3210, 0xFEDC_BA98_7654_3210, 0x7654_3210),
]


@pytest.mark.parametrize(("left", "sign", "right", "wide", "narrow"), OPERATIONS)
def test_an_operation_with_a_register_gives_64_bits_or_32_with_zeros_above(
    left: int, sign: str, right: int, wide: int, narrow: int
) -> None:
    numbers = f"r0 = {left} ll\nr2 = {right} ll\n"

    assert result(numbers + f"r0 {sign} r2\nexit") == wide
    assert result(numbers + f"w0 {sign} w2\nexit") == narrow


# left, operation, the instruction's number, and r0 afterwards: as 64 bits and as 32 bits.
WITH_NUMBERS = [
    (5, "+=", -1, 4, 4),
    (5, "-=", -1, 6, 6),
    (3, "*=", -2, U64 - 5, 0xFFFF_FFFA),
    (U64, "/=", -1, 1, 1),
    (100, "/=", 7, 14, 14),
    (100, "/=", 0, 0, 0),
    (U64, "%=", -2, 1, 1),
    (0x1_0000_0064, "%=", 0, 0x1_0000_0064, 100),
    (0, "|=", -1, U64, 0xFFFF_FFFF),
    (0x1234_5678_9ABC_DEF0, "&=", -16, 0x1234_5678_9ABC_DEF0, 0x9ABC_DEF0),
    (0x1234_5678_9ABC_DEF0, "&=", 0x7FFF_FFFF, 0x1ABC_DEF0, 0x1ABC_DEF0),
    (0, "^=", -1, U64, 0xFFFF_FFFF),
    (1, "<<=", 63, LEAST_64, LEAST_32),
    (1, "<<=", -1, LEAST_64, LEAST_32),
    (U64, ">>=", 60, 15, 15),
    (LEAST_64 | LEAST_32, "s>>=", 31, 0xFFFF_FFFF_0000_0001, 0xFFFF_FFFF),
    (100, "s/=", -7, U64 - 13, 0xFFFF_FFF2),
    (100, "s/=", 0, 0, 0),
    (LEAST_64, "s/=", -1, LEAST_64, 0),
    (LEAST_32, "s/=", -1, U64 - LEAST_32 + 1, LEAST_32),
    (U64 - 99, "s%=", -7, U64 - 1, 0xFFFF_FFFE),
    (U64 - 99, "s%=", 0, U64 - 99, 0xFFFF_FF9C),
    (1, "=", -5, U64 - 4, 0xFFFF_FFFB),
]


@pytest.mark.parametrize(("left", "sign", "right", "wide", "narrow"), WITH_NUMBERS)
def test_an_operations_number_is_drawn_out_to_64_bits_with_its_sign(
    left: int, sign: str, right: int, wide: int, narrow: int
) -> None:
    assert result(f"r0 = {left} ll\nr0 {sign} {right}\nexit") == wide
    assert result(f"r0 = {left} ll\nw0 {sign} {right}\nexit") == narrow


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r0 = 5\nr0 = -r0", U64 - 4),
        ("r0 = 0\nr0 = -r0", 0),
        (f"r0 = {LEAST_64} ll\nr0 = -r0", LEAST_64),
        ("r0 = 5\nw0 = -w0", 0xFFFF_FFFB),
        ("r0 = 0x700000005 ll\nw0 = -w0", 0xFFFF_FFFB),
        (f"r0 = {LEAST_32}\nw0 = -w0", LEAST_32),
    ],
)
def test_negation_comes_round_at_the_least_number(text: str, expected: int) -> None:
    assert result(text + "\nexit") == expected


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        ("r0 = (s8)r2", 0xFFFF_FFFF_FFFF_FFF4),
        ("r0 = (s16)r2", 0x7EF4),
        ("r0 = (s32)r2", 0xFFFF_FFFF_8765_7EF4),
        ("w0 = (s8)w2", 0xFFFF_FFF4),
        ("w0 = (s16)w2", 0x7EF4),
        ("r0 = r2", 0x1234_5678_8765_7EF4),
        ("w0 = w2", 0x8765_7EF4),
    ],
)
def test_a_move_can_draw_out_the_sign_of_the_lower_bits(move: str, expected: int) -> None:
    assert result(f"r2 = 0x1234567887657ef4 ll\n{move}\nexit") == expected


@pytest.mark.parametrize(
    ("swap", "expected"),
    [
        ("r0 = le16 r0", 0x7788),
        ("r0 = le32 r0", 0x5566_7788),
        ("r0 = le64 r0", 0x1122_3344_5566_7788),
        ("r0 = be16 r0", 0x8877),
        ("r0 = be32 r0", 0x8877_6655),
        ("r0 = be64 r0", 0x8877_6655_4433_2211),
        ("r0 = bswap16 r0", 0x8877),
        ("r0 = bswap32 r0", 0x8877_6655),
        ("r0 = bswap64 r0", 0x8877_6655_4433_2211),
    ],
)
def test_a_byte_swap_leaves_zeros_above_what_it_swaps(swap: str, expected: int) -> None:
    assert result(f"r0 = 0x1122334455667788 ll\n{swap}\nexit") == expected


def test_a_wide_load_gives_all_64_bits() -> None:
    assert result("r0 = 0xfedcba9876543210 ll\nexit") == 0xFEDC_BA98_7654_3210
    assert result("r0 = -1 ll\nexit") == U64


@pytest.mark.parametrize("opcode_class", [Class.ALU, Class.ALU64])
@pytest.mark.parametrize("source", [Source.K, Source.X])
def test_every_operation_takes_every_register(opcode_class: int, source: int) -> None:
    for register in range(10):
        other = (register + 1) % 10
        added = Instruction(opcode_class | Alu.ADD | source, register, other if source else 0)
        moved = Instruction(Class.ALU64 | Alu.MOV | Source.X, 0, register)
        numbers = [Instruction(Class.ALU64 | Alu.MOV, number, imm=100 + number) for number in range(10)]

        expected = 100 + register + (100 + other if source else 0)
        assert result([*numbers, added, moved, Instruction(0x95)]) == expected
