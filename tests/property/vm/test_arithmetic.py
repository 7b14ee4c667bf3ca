"""Arithmetic and conditions are those of Python's whole numbers, taken modulo a power of two."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from math import trunc

from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.asm import Instruction
from ebee.asm.opcodes import EXIT, LD_IMM64, Alu, Class, Jump, Source
from tests.support.vm import result

U64 = (1 << 64) - 1
_EDGES = (
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    U64,
)

values = st.one_of(st.sampled_from(_EDGES), st.integers(0, U64), st.integers(0, 100))
numbers = st.one_of(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-3, 70))
widths = st.sampled_from([32, 64])

Operation = Callable[[int, int, int], int]


def _signed(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def _quotient(a: int, b: int) -> int:
    return trunc(Fraction(a, b))


# What each operation gives of two numbers of so many bits, before it is cut to that many.
UNSIGNED: dict[int, Operation] = {
    Alu.ADD: lambda a, b, bits: a + b,
    Alu.SUB: lambda a, b, bits: a - b,
    Alu.MUL: lambda a, b, bits: a * b,
    Alu.DIV: lambda a, b, bits: 0 if b == 0 else _quotient(a, b),
    Alu.MOD: lambda a, b, bits: a if b == 0 else a - b * _quotient(a, b),
    Alu.OR: lambda a, b, bits: a | b,
    Alu.AND: lambda a, b, bits: a & b,
    Alu.XOR: lambda a, b, bits: a ^ b,
    Alu.MOV: lambda a, b, bits: b,
    Alu.LSH: lambda a, b, bits: a * 2 ** (b % bits),
    Alu.RSH: lambda a, b, bits: a // 2 ** (b % bits),
    Alu.ARSH: lambda a, b, bits: _signed(a, bits) // 2 ** (b % bits),
}
SIGNED: dict[int, Operation] = {
    Alu.DIV: lambda a, b, bits: 0 if b == 0 else _quotient(_signed(a, bits), _signed(b, bits)),
    Alu.MOD: lambda a, b, bits: (
        a if b == 0 else _signed(a, bits) - _signed(b, bits) * _quotient(_signed(a, bits), _signed(b, bits))
    ),
}
CONDITIONS: dict[int, tuple[Callable[[int, int], bool], bool]] = {
    Jump.JEQ: (operator.eq, False),
    Jump.JNE: (operator.ne, False),
    Jump.JGT: (operator.gt, False),
    Jump.JGE: (operator.ge, False),
    Jump.JLT: (operator.lt, False),
    Jump.JLE: (operator.le, False),
    Jump.JSET: (lambda a, b: bool(a & b), False),
    Jump.JSGT: (operator.gt, True),
    Jump.JSGE: (operator.ge, True),
    Jump.JSLT: (operator.lt, True),
    Jump.JSLE: (operator.le, True),
}


def _loaded(register: int, value: int) -> list[Instruction]:
    low, high = _signed(value, 32), _signed(value >> 32, 32)
    return [Instruction(LD_IMM64, register, imm=low), Instruction(0, imm=high)]


@settings(deadline=None)
@given(st.sampled_from(sorted(UNSIGNED)), widths, st.booleans(), values, values)
def test_an_operation_on_registers_is_that_of_whole_numbers(
    kind: int, bits: int, signed: bool, left: int, right: int
) -> None:
    is_signed = signed and kind in SIGNED
    model = (SIGNED if is_signed else UNSIGNED)[kind]
    opcode = kind | (Class.ALU64 if bits == 64 else Class.ALU) | Source.X
    operation = Instruction(opcode, 0, 2, int(is_signed))

    modulus = 1 << bits
    expected = model(left % modulus, right % modulus, bits) % modulus
    assert result([*_loaded(0, left), *_loaded(2, right), operation, Instruction(EXIT)]) == expected


@settings(deadline=None)
@given(st.sampled_from(sorted(UNSIGNED)), widths, st.booleans(), values, numbers)
def test_an_operation_with_a_number_is_that_of_whole_numbers(
    kind: int, bits: int, signed: bool, left: int, right: int
) -> None:
    is_signed = signed and kind in SIGNED
    model = (SIGNED if is_signed else UNSIGNED)[kind]
    opcode = kind | (Class.ALU64 if bits == 64 else Class.ALU) | Source.K
    operation = Instruction(opcode, 0, 0, int(is_signed), right)

    modulus = 1 << bits
    expected = model(left % modulus, right % modulus, bits) % modulus
    assert result([*_loaded(0, left), operation, Instruction(EXIT)]) == expected


@settings(deadline=None)
@given(st.sampled_from(sorted(CONDITIONS)), widths, values, values)
def test_a_condition_holds_where_it_does_of_whole_numbers(
    kind: int, bits: int, left: int, right: int
) -> None:
    holds, signed = CONDITIONS[kind]
    opcode = kind | (Class.JMP if bits == 64 else Class.JMP32) | Source.X
    program = [
        *_loaded(2, left),
        *_loaded(3, right),
        Instruction(Class.ALU64 | Alu.MOV | Source.K, 0, imm=1),
        Instruction(opcode, 2, 3, 1),
        Instruction(Class.ALU64 | Alu.MOV | Source.K, 0, imm=0),
        Instruction(EXIT),
    ]

    a, b = left % (1 << bits), right % (1 << bits)
    expected = holds(_signed(a, bits), _signed(b, bits)) if signed else holds(a, b)
    assert result(program) == int(expected)


@settings(deadline=None)
@given(st.sampled_from([8, 16, 32]), widths, values)
def test_a_move_with_a_sign_keeps_the_number(bits: int, width: int, value: int) -> None:
    if bits == 32 and width == 32:
        return
    opcode = Alu.MOV | Source.X | (Class.ALU64 if width == 64 else Class.ALU)
    program = [*_loaded(2, value), Instruction(opcode, 0, 2, bits), Instruction(EXIT)]

    assert result(program) == _signed(value % (1 << bits), bits) % (1 << width)


@settings(deadline=None)
@given(st.sampled_from([16, 32, 64]), values)
def test_a_swap_turns_the_bytes_round(bits: int, value: int) -> None:
    low = value % (1 << bits)
    turned = int.from_bytes(low.to_bytes(bits // 8, "little"), "big")

    def swapped(opcode: int) -> int:
        return result([*_loaded(0, value), Instruction(opcode, 0, imm=bits), Instruction(EXIT)])

    assert swapped(Class.ALU64 | Alu.END) == turned
    assert swapped(Class.ALU | Alu.END | Source.X) == turned
    assert swapped(Class.ALU | Alu.END | Source.K) == low
