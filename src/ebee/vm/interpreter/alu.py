"""Arithmetic: what each operation does, on numbers of 32 or 64 bits without a sign.

The tables here are the definition: ordinary functions of ordinary numbers. Around them stand the forms an
instruction comes in: 32 or 64 bits wide, with a register or a number on the right.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from ebee.asm.opcodes import SIGN_EXTENSIONS, Alu, Class, Endian, Offset, Source
from ebee.vm.faults import Fault
from ebee.vm.interpreter.form import Form, Site, Step
from ebee.vm.interpreter.numbers import U32, U64, extended, signed, swapped

Operation = Callable[[int, int], int]


def _operations(bits: int) -> dict[int, Operation]:
    """Return the operations on numbers of so many bits; results are of as many bits."""
    mask = (1 << bits) - 1
    widest_shift = bits - 1
    return {
        Alu.ADD: lambda a, b: a + b & mask,
        Alu.SUB: lambda a, b: a - b & mask,
        Alu.MUL: lambda a, b: a * b & mask,
        # Whatever is divided by zero is zero, and keeps its value as a remainder.
        Alu.DIV: lambda a, b: a // b if b else 0,
        Alu.MOD: lambda a, b: a % b if b else a,
        Alu.OR: operator.or_,
        Alu.AND: operator.and_,
        Alu.XOR: operator.xor,
        Alu.LSH: lambda a, b: a << (b & widest_shift) & mask,
        Alu.RSH: lambda a, b: a >> (b & widest_shift),
        Alu.ARSH: lambda a, b: signed(a, bits) >> (b & widest_shift) & mask,
        Alu.MOV: lambda a, b: b,
    }


def _signed_operations(bits: int) -> dict[int, Operation]:
    """Return the operations that take their numbers for signed: a quotient is cut off towards zero."""
    mask = (1 << bits) - 1

    def divide(a: int, b: int) -> int:
        if b == 0:
            return 0
        quotient = abs(signed(a, bits)) // abs(signed(b, bits))
        # The least number by -1 is one more than there is, and comes round to itself.
        return (quotient if (a ^ b) >> (bits - 1) == 0 else -quotient) & mask

    def remainder(a: int, b: int) -> int:
        if b == 0:
            return a
        rest = abs(signed(a, bits)) % abs(signed(b, bits))
        return (rest if a >> (bits - 1) == 0 else -rest) & mask

    return {Alu.DIV: divide, Alu.MOD: remainder}


OPERATIONS = {32: _operations(32), 64: _operations(64)}
SIGNED_OPERATIONS = {32: _signed_operations(32), 64: _signed_operations(64)}


def _operation_of(site: Site, bits: int) -> Operation:
    """Return what an instruction does; its offset tells signed division from the other."""
    instruction, kind = site.instruction, site.operation
    if kind not in (Alu.DIV, Alu.MOD):
        site.must_be_zero("offset")
        return OPERATIONS[bits][kind]
    if instruction.offset not in (0, Offset.SIGNED):
        raise site.wrong("offset", "0 or 1 (signed)")
    return (SIGNED_OPERATIONS if instruction.offset else OPERATIONS)[bits][kind]


def _register_64(site: Site) -> Step:
    registers, following = site.registers, site.following
    dst, src, operation = site.instruction.dst, site.instruction.src, _operation_of(site, 64)

    def step() -> int:
        registers[dst] = operation(registers[dst], registers[src])
        return following

    return step


def _number_64(site: Site) -> Step:
    registers, following = site.registers, site.following
    dst, number, operation = site.instruction.dst, site.instruction.imm & U64, _operation_of(site, 64)

    def step() -> int:
        registers[dst] = operation(registers[dst], number)
        return following

    return step


def _register_32(site: Site) -> Step:
    registers, following = site.registers, site.following
    dst, src, operation = site.instruction.dst, site.instruction.src, _operation_of(site, 32)

    def step() -> int:
        registers[dst] = operation(registers[dst] & U32, registers[src] & U32)
        return following

    return step


def _number_32(site: Site) -> Step:
    registers, following = site.registers, site.following
    dst, number, operation = site.instruction.dst, site.instruction.imm & U32, _operation_of(site, 32)

    def step() -> int:
        registers[dst] = operation(registers[dst] & U32, number)
        return following

    return step


def _move_number(site: Site) -> Step:
    registers, following, dst = site.registers, site.following, site.instruction.dst
    number = site.instruction.imm & (U64 if site.is_64 else U32)

    def step() -> int:
        registers[dst] = number
        return following

    return step


def _move_register(site: Site) -> Step:
    """Move a register, whole or from its lower bits with their sign."""
    registers, following = site.registers, site.following
    dst, src, offset = site.instruction.dst, site.instruction.src, site.instruction.offset
    width = 64 if site.is_64 else 32
    if offset == 0:
        mask = U64 if site.is_64 else U32

        def move() -> int:
            registers[dst] = registers[src] & mask
            return following

        return move
    if offset == Offset.ADDR_SPACE_CAST and site.is_64:
        raise Fault(f"{site.text()}: the userspace machine has no arenas")
    if offset not in SIGN_EXTENSIONS or offset >= width:
        raise site.wrong("offset", "0, 8, 16 or 32" if site.is_64 else "0, 8 or 16")

    def extend() -> int:
        registers[dst] = extended(registers[src], offset, width)
        return following

    return extend


def _negate(site: Site) -> Step:
    registers, following, dst = site.registers, site.following, site.instruction.dst
    mask = U64 if site.is_64 else U32

    def step() -> int:
        registers[dst] = -registers[dst] & mask
        return following

    return step


def _to_byte_order(site: Site) -> Step:
    """Convert to little or big endian (class ALU), or swap whatever the order (class ALU64).

    The machine is little endian wherever it runs, so that converting to that only cuts off.
    """
    registers, following, dst = site.registers, site.following, site.instruction.dst
    bits = site.instruction.imm
    if bits not in (16, 32, 64):
        raise site.wrong("imm", "16, 32 or 64")
    mask = (1 << bits) - 1

    def cut() -> int:
        registers[dst] &= mask
        return following

    def swap() -> int:
        registers[dst] = swapped(registers[dst], bits)
        return following

    return cut if site.instruction.opcode == Class.ALU | Alu.END | Endian.LE else swap


def _forms() -> Mapping[int, Form]:
    forms = {}
    for kind in OPERATIONS[64]:
        forms[Class.ALU64 | kind | Source.X] = Form(_register_64, "dst src offset", "dst")
        forms[Class.ALU64 | kind | Source.K] = Form(_number_64, "dst imm offset", "dst")
        forms[Class.ALU | kind | Source.X] = Form(_register_32, "dst src offset", "dst")
        forms[Class.ALU | kind | Source.K] = Form(_number_32, "dst imm offset", "dst")
    for width in (Class.ALU, Class.ALU64):
        forms[width | Alu.MOV | Source.X] = Form(_move_register, "dst src offset", "dst")
        forms[width | Alu.MOV | Source.K] = Form(_move_number, "dst imm", "dst")
        forms[width | Alu.NEG] = Form(_negate, "dst", "dst")
    for opcode in (Class.ALU | Alu.END | Endian.LE, Class.ALU | Alu.END | Endian.BE, Class.ALU64 | Alu.END):
        forms[opcode] = Form(_to_byte_order, "dst imm", "dst")
    return forms


FORMS = _forms()
