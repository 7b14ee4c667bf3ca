"""The numbers instructions are made of, held against whole opcodes known from the kernel's documents."""

from __future__ import annotations

from ebee.asm import opcodes
from ebee.asm.opcodes import Alu, Class, Endian, Jump, Mode, Size, Source


def test_parts_make_the_opcodes_that_the_instruction_set_document_lists() -> None:
    assert Class.ALU64 | Alu.MOV | Source.X == 0xBF
    assert Class.ALU | Alu.END | Endian.BE == 0xDC
    assert Class.JMP32 | Jump.JSLE | Source.X == 0xDE
    assert Class.LDX | Mode.MEMSX | Size.B == 0x91
    assert Class.STX | Mode.ATOMIC | Size.DW == 0xDB


def test_whole_opcodes_are_those_of_the_instruction_set_document() -> None:
    assert opcodes.LD_IMM64 == 0x18
    assert (opcodes.CALL, opcodes.CALLX, opcodes.EXIT) == (0x85, 0x8D, 0x95)
    assert (opcodes.GOTO, opcodes.GOTOL, opcodes.GOTOX, opcodes.MAY_GOTO) == (0x05, 0x06, 0x0D, 0xE5)


def test_every_operation_but_negation_and_swapping_has_a_sign() -> None:
    operations = {value for name, value in vars(Alu).items() if name.isupper()}
    assert operations - set(opcodes.ALU_SIGNS) == {Alu.NEG, Alu.END}


def test_every_comparison_has_a_sign() -> None:
    jumps = {value for name, value in vars(Jump).items() if name.isupper()}
    assert jumps - set(opcodes.JUMP_SIGNS) == {Jump.JA, Jump.CALL, Jump.EXIT, Jump.JCOND}
