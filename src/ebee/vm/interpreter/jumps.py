"""Jumps: what each compares, on numbers of 32 or 64 bits without a sign."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from ebee.asm.opcodes import GOTO, GOTOL, MAY_GOTO, Class, Jump, Source
from ebee.vm.interpreter.form import Form, Site, Step
from ebee.vm.interpreter.numbers import U32, U64

Condition = Callable[[int, int], bool]


def _conditions(bits: int) -> dict[int, Condition]:
    """Return what each jump holds for, of numbers of so many bits."""
    sign = 1 << (bits - 1)
    # With its sign bit turned over a number has the same place among the numbers without a sign.
    return {
        Jump.JEQ: operator.eq,
        Jump.JNE: operator.ne,
        Jump.JGT: operator.gt,
        Jump.JGE: operator.ge,
        Jump.JLT: operator.lt,
        Jump.JLE: operator.le,
        Jump.JSET: lambda a, b: a & b != 0,
        Jump.JSGT: lambda a, b: a ^ sign > b ^ sign,
        Jump.JSGE: lambda a, b: a ^ sign >= b ^ sign,
        Jump.JSLT: lambda a, b: a ^ sign < b ^ sign,
        Jump.JSLE: lambda a, b: a ^ sign <= b ^ sign,
    }


CONDITIONS = {32: _conditions(32), 64: _conditions(64)}


def _register_64(site: Site) -> Step:
    registers, following, target = site.registers, site.following, site.target(site.instruction.offset)
    dst, src, holds = site.instruction.dst, site.instruction.src, CONDITIONS[64][site.operation]

    def step() -> int:
        return target if holds(registers[dst], registers[src]) else following

    return step


def _number_64(site: Site) -> Step:
    registers, following, target = site.registers, site.following, site.target(site.instruction.offset)
    dst, number, holds = site.instruction.dst, site.instruction.imm & U64, CONDITIONS[64][site.operation]

    def step() -> int:
        return target if holds(registers[dst], number) else following

    return step


def _register_32(site: Site) -> Step:
    registers, following, target = site.registers, site.following, site.target(site.instruction.offset)
    dst, src, holds = site.instruction.dst, site.instruction.src, CONDITIONS[32][site.operation]

    def step() -> int:
        return target if holds(registers[dst] & U32, registers[src] & U32) else following

    return step


def _number_32(site: Site) -> Step:
    registers, following, target = site.registers, site.following, site.target(site.instruction.offset)
    dst, number, holds = site.instruction.dst, site.instruction.imm & U32, CONDITIONS[32][site.operation]

    def step() -> int:
        return target if holds(registers[dst] & U32, number) else following

    return step


def _goto(site: Site) -> Step:
    target = site.target(site.instruction.offset)
    return lambda: target


def _goto_long(site: Site) -> Step:
    target = site.target(site.instruction.imm)
    return lambda: target


def _may_goto(site: Site) -> Step:
    """Go on, and jump only once this function has passed here and its like too often."""
    processor, following, target = site.processor, site.following, site.target(site.instruction.offset)

    def step() -> int:
        return following if processor.may_loop() else target

    return step


def _forms() -> Mapping[int, Form]:
    forms = {
        GOTO: Form(_goto, "offset"),
        GOTOL: Form(_goto_long, "imm"),
        MAY_GOTO: Form(_may_goto, "offset"),
    }
    for kind in CONDITIONS[64]:
        forms[Class.JMP | kind | Source.X] = Form(_register_64, "dst src offset")
        forms[Class.JMP | kind | Source.K] = Form(_number_64, "dst imm offset")
        forms[Class.JMP32 | kind | Source.X] = Form(_register_32, "dst src offset")
        forms[Class.JMP32 | kind | Source.K] = Form(_number_32, "dst imm offset")
    return forms


FORMS = _forms()
