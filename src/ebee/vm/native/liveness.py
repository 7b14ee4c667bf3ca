"""Which registers may still be read from a place on; where the budget has to be looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    EXIT,
    LD_IMM64,
    MODE_MASK,
    OPERATION_MASK,
    SOURCE_MASK,
    Alu,
    Atomic,
    Class,
    Mode,
    Source,
)
from ebee.vm.native.shape import Block

_GIVEN = frozenset(range(1, 6))
_NONE: frozenset[int] = frozenset()


def live_registers(
    instructions: Sequence[Instruction], blocks: Mapping[int, Block]
) -> dict[int, frozenset[int]]:
    """Return, for each block, the registers whose values at its begin may be read."""
    live = dict.fromkeys(blocks, _NONE)
    waiting = sorted(blocks)
    before: dict[int, set[int]] = {leader: set() for leader in blocks}
    for leader, block in blocks.items():
        for slot in filter(blocks.__contains__, block.successors()):
            before[slot].add(leader)
    while waiting:
        leader = waiting.pop()
        block = blocks[leader]
        found = _NONE.union(*(live[slot] for slot in block.successors() if slot in blocks))
        for slot in reversed(block.slots):
            reads, writes = reads_and_writes(instructions[slot])
            found = (found - writes) | reads
        if found != live[leader]:
            live[leader] = found
            waiting += sorted(before[leader])
    return live


def reads_and_writes(instruction: Instruction) -> tuple[frozenset[int], frozenset[int]]:
    """Return the registers that an instruction reads, and those that it writes whatever they held."""
    opcode, kind = instruction.opcode, instruction.opcode & CLASS_MASK
    dst, src = frozenset({instruction.dst}), frozenset({instruction.src})
    if opcode == EXIT:
        return frozenset({0}), _NONE
    if opcode == CALL:
        return _GIVEN, frozenset({0})
    if opcode == CALLX:
        return _GIVEN | {instruction.dst or instruction.imm}, frozenset({0})
    if opcode == LD_IMM64:
        return _NONE, dst
    if kind == Class.LD:
        return src, frozenset({0})
    if kind == Class.LDX:
        return src, dst
    if kind == Class.ST:
        return dst, _NONE
    if kind == Class.STX:
        return _stored(instruction)
    return _computed(instruction)


def _stored(instruction: Instruction) -> tuple[frozenset[int], frozenset[int]]:
    both = frozenset({instruction.dst, instruction.src})
    if instruction.opcode & MODE_MASK == Mode.ATOMIC and instruction.imm == Atomic.CMPXCHG:
        return both | {0}, _NONE
    return both, _NONE


def _computed(instruction: Instruction) -> tuple[frozenset[int], frozenset[int]]:
    by_register = instruction.opcode & SOURCE_MASK == Source.X
    right = frozenset({instruction.src}) if by_register else _NONE
    left = frozenset({instruction.dst})
    if instruction.opcode & CLASS_MASK in (Class.JMP, Class.JMP32):
        return left | right, _NONE
    moves = instruction.opcode & OPERATION_MASK == Alu.MOV
    return (right, left) if moves else (left | right, _NONE)


def budget_checks(blocks: Mapping[int, Block], begin: int, after_calls: Collection[int]) -> dict[int, int]:
    """Return the blocks that look at the budget, and how many instructions may follow until the next one.

    Every way round passes one of them, for a way round has a jump backwards.

    Args:
        after_calls: blocks behind calls that may have used up the budget.
    """
    backwards = {way for block in blocks.values() for way in block.successors() if way <= block.last}
    checked = {begin, *after_calls, *backwards}
    longest: dict[int, int] = {}
    for leader in sorted(blocks, reverse=True):
        ways = [way for way in blocks[leader].successors() if way in blocks and way not in checked]
        longest[leader] = len(blocks[leader].slots) + max((longest[way] for way in ways), default=0)
    return {leader: longest[leader] for leader in checked if leader in blocks}
