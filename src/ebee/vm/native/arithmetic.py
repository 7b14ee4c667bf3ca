"""Arithmetic and comparisons as C: strings of expressions on u64 variables r0 to r10.

Every expression is defined for all values: shifts are masked, divisions go through functions of
program.h, sums are of numbers without a sign.
"""

from __future__ import annotations

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import CLASS_MASK, OPERATION_MASK, SOURCE_MASK, Alu, Class, Jump, Source

_PLAIN = {Alu.ADD: "+", Alu.SUB: "-", Alu.MUL: "*", Alu.OR: "|", Alu.AND: "&", Alu.XOR: "^"}
_DIVISIONS = {Alu.DIV: "div", Alu.MOD: "mod"}
_COMPARISONS = {
    Jump.JEQ: "==",
    Jump.JGT: ">",
    Jump.JGE: ">=",
    Jump.JNE: "!=",
    Jump.JSGT: ">",
    Jump.JSGE: ">=",
    Jump.JLT: "<",
    Jump.JLE: "<=",
    Jump.JSLT: "<",
    Jump.JSLE: "<=",
}
_SIGNED = (Jump.JSGT, Jump.JSGE, Jump.JSLT, Jump.JSLE)


def alu(instruction: Instruction) -> str | None:
    """Return the new value of the destination; None for an operation that there is not."""
    operation = instruction.opcode & OPERATION_MASK
    wide = instruction.opcode & CLASS_MASK == Class.ALU64
    if operation == Alu.END:
        return _swapped(instruction, wide)
    by_register = instruction.opcode & SOURCE_MASK == Source.X
    if operation == Alu.MOV and by_register and instruction.offset:
        return _sign_extended(instruction, wide)
    left = f"r{instruction.dst}"
    right = f"r{instruction.src}" if by_register else number(instruction.imm)
    bits = 64 if wide else 32
    if not wide:
        left, right = f"(u32){left}", f"(u32){right}"
    result = _binary(operation, left, right, bits, signed=instruction.offset == 1)
    return result if wide or result is None else f"(u32)({result})"


def condition(instruction: Instruction) -> str | None:
    """Return when a jump is taken; None for a jump that there is not."""
    operation = instruction.opcode & OPERATION_MASK
    left = f"r{instruction.dst}"
    by_register = instruction.opcode & SOURCE_MASK == Source.X
    right = f"r{instruction.src}" if by_register else number(instruction.imm)
    bits = 64 if instruction.opcode & CLASS_MASK == Class.JMP else 32
    cast = f"({'s' if operation in _SIGNED else 'u'}{bits})"
    if operation == Jump.JSET:
        return f"({cast}{left} & {cast}{right}) != 0"
    if operation not in _COMPARISONS:
        return None
    return f"{cast}{left} {_COMPARISONS[operation]} {cast}{right}"


def number(value: int) -> str:
    """Return a number, its sign drawn out to 64 bits, as C."""
    return f"{value & (1 << 64) - 1:#x}ul"


def _binary(operation: int, left: str, right: str, bits: int, *, signed: bool) -> str | None:
    if operation in _PLAIN:
        return f"{left} {_PLAIN[operation]} {right}"
    if operation in _DIVISIONS:
        return f"{'s' * signed}{_DIVISIONS[operation]}{bits}({left}, {right})"
    if operation == Alu.MOV:
        return right
    if operation == Alu.NEG:
        return f"-{left}"
    by = f"({right} & {bits - 1})"
    if operation == Alu.LSH:
        return f"{left} << {by}"
    if operation == Alu.RSH:
        return f"{left} >> {by}"
    if operation == Alu.ARSH:
        return f"(u{bits})((s{bits}){left} >> {by})"
    return None


def _sign_extended(instruction: Instruction, wide: bool) -> str | None:
    if instruction.offset not in ((8, 16, 32) if wide else (8, 16)):
        return None
    extended = f"(s{instruction.offset})r{instruction.src}"
    return f"(u64)(s64){extended}" if wide else f"(u32)(s32){extended}"


def _swapped(instruction: Instruction, wide: bool) -> str | None:
    """Return a byte swap; machines here are little-endian, so a conversion to that only cuts off."""
    bits = instruction.imm
    if bits not in (16, 32, 64):
        return None
    value = f"(u{bits})r{instruction.dst}"
    if wide or instruction.opcode & SOURCE_MASK == Source.X:
        return f"__builtin_bswap{bits}({value})"
    return value
