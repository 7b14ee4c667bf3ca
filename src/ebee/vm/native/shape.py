"""Programs as graphs: which functions there are, which blocks they are made of, who follows whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    EXIT,
    GOTO,
    GOTOL,
    GOTOX,
    LD_IMM64,
    MODE_MASK,
    Class,
    Mode,
    PseudoCall,
)
from ebee.record import Record
from ebee.vm.machine import function_slot


class Block(Record):
    """Instructions that are executed one after the other, without calls but at the end.

    Attributes:
        slots: where its instructions begin.
        next: the slot that follows where no jump is taken; None where none does.
        target: the slot that the jump at its end goes to, where it may be taken or not; else None.
    """

    slots: list[int]
    next: int | None = None
    target: int | None = None

    @property
    def last(self) -> int:
        """The slot of its last instruction."""
        return self.slots[-1]

    def successors(self) -> list[int]:
        """Return the slots that may follow, those outside of the program too."""
        return [slot for slot in (self.next, self.target) if slot is not None]


def functions_of(instructions: Sequence[Instruction], known: Collection[int]) -> list[int]:
    """Return the slots at which functions begin: the program, those that are known, those that are called."""
    begins = {0, *known}
    for slot, instruction in enumerate(instructions):
        if instruction.opcode == CALL and instruction.src == PseudoCall.CALL:
            begins.add(slot + 1 + instruction.imm)
        if instruction.opcode == LD_IMM64:
            pointed = function_slot(wide_number(instructions, slot))
            begins.update(() if pointed is None else (pointed,))
    return sorted(slot for slot in begins if 0 <= slot < len(instructions))


def blocks_of(instructions: Sequence[Instruction], begin: int) -> dict[int, Block]:
    """Return the blocks that can be reached from a slot, by their first slots."""
    leaders = _leaders(instructions, begin)
    blocks = {}
    for leader in leaders:
        block = blocks[leader] = Block([])
        slot: int | None = leader
        while slot is not None:
            block.slots.append(slot)
            block.next, block.target, ends = _ways(instructions, slot)
            slot = None if ends or block.next in leaders else block.next
    return blocks


def width(instruction: Instruction) -> int:
    """Return how many slots an instruction takes."""
    return 2 if instruction.opcode == LD_IMM64 else 1


def is_legacy_load(instruction: Instruction) -> bool:
    """Return whether it is one that reads the packet, or ends the program."""
    mode = instruction.opcode & MODE_MASK
    return instruction.opcode & CLASS_MASK == Class.LD and mode in (Mode.ABS, Mode.IND)


def wide_number(instructions: Sequence[Instruction], slot: int) -> int:
    """Return the number that a wide load loads."""
    upper = instructions[slot + 1].imm if slot + 1 < len(instructions) else 0
    return (upper & 0xFFFFFFFF) << 32 | instructions[slot].imm & 0xFFFFFFFF


def _leaders(instructions: Sequence[Instruction], begin: int) -> set[int]:
    """Return where blocks begin: at the begin, at targets, behind jumps and calls."""
    leaders, seen, waiting = {begin}, set(), [begin]
    while waiting:
        slot = waiting.pop()
        if slot in seen:
            continue
        seen.add(slot)
        following, target, ends = _ways(instructions, slot)
        ways = [way for way in (following, target) if way is not None and 0 <= way < len(instructions)]
        waiting += ways
        if ends:
            leaders.update(ways)
    return leaders


def _ways(instructions: Sequence[Instruction], slot: int) -> tuple[int | None, int | None, bool]:
    """Return what follows an instruction, where it may jump, and whether a block ends with it."""
    instruction = instructions[slot]
    opcode, following = instruction.opcode, slot + width(instruction)
    if opcode in (EXIT, GOTOX):
        return None, None, True
    if opcode in (GOTO, GOTOL):
        return slot + 1 + (instruction.offset if opcode == GOTO else instruction.imm), None, True
    if opcode in (CALL, CALLX) or is_legacy_load(instruction):
        return following, None, True
    if opcode & CLASS_MASK in (Class.JMP, Class.JMP32):
        return following, slot + 1 + instruction.offset, True
    return following, None, following >= len(instructions)
