"""How much of a function's frame has to be zeros at its begin: what it can reach."""

from __future__ import annotations

from collections.abc import Sequence

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    EXIT,
    MODE_MASK,
    OPERATION_MASK,
    SOURCE_MASK,
    Alu,
    Class,
    Mode,
    PseudoCall,
    Source,
)
from ebee.vm.machine import STACK_BYTES
from ebee.vm.native.origins import Origins, is_frame

# Helpers that give what r1 to r5 point at to a function of the program, which may look around there.
_CALLING_BACK = (164, 169, 180, 181, 209)
"""bpf_for_each_map_elem, bpf_timer_init, bpf_find_vma, bpf_loop, bpf_user_ringbuf_drain."""
_ARGUMENTS = range(1, 6)


def frame_bytes(instructions: Sequence[Instruction], slots: Sequence[int], origins: Origins) -> int:
    """Return how many bytes below the frame pointer a function reaches, a multiple of 8.

    All, where a pointer into the frame goes where it cannot be followed.
    """
    lowest = 0
    for slot in slots:
        place = _lowest_at(instructions[slot], slot, origins)
        if place is None or not place >= -STACK_BYTES:
            return STACK_BYTES
        lowest = min(lowest, place)
    return STACK_BYTES if origins.forgets_frame else (7 - lowest) & ~7


def _lowest_at(instruction: Instruction, slot: int, origins: Origins) -> int | None:
    """Return the lowest place in the frame that an instruction reaches or points at; None if not known."""
    before, opcode = origins.before(slot), instruction.opcode
    kind = opcode & CLASS_MASK
    if opcode in (CALL, CALLX):
        held = [origin.value for origin in map(before.__getitem__, _ARGUMENTS) if origin and is_frame(origin)]
        followed = (
            opcode == CALL and instruction.src == PseudoCall.HELPER and instruction.imm not in _CALLING_BACK
        )
        return min(held, default=0) if followed or not held else None
    if kind in (Class.JMP, Class.JMP32):
        return None if opcode == EXIT and is_frame(before[0]) else 0
    if kind == Class.LDX:
        base = before[instruction.src]
    elif kind in (Class.ST, Class.STX):
        if kind == Class.STX and is_frame(before[instruction.src]):
            return None
        if opcode & MODE_MASK == Mode.ATOMIC and is_frame(before[0]):
            return None
        base = before[instruction.dst]
    else:
        return 0 if _is_followed(instruction, slot, origins) else None
    return base.value + instruction.offset if base and is_frame(base) else 0


def _is_followed(instruction: Instruction, slot: int, origins: Origins) -> bool:
    """Return whether arithmetic leaves no number that is a pointer into the frame, unknown to be one."""
    before, operation = origins.before(slot), instruction.opcode & OPERATION_MASK
    by_register = instruction.opcode & SOURCE_MASK == Source.X and operation != Alu.END
    left = is_frame(before[instruction.dst]) and operation != Alu.MOV
    right = by_register and is_frame(before[instruction.src])
    if (not left and not right) or instruction.opcode & CLASS_MASK == Class.LD:
        return True
    wide = instruction.opcode & CLASS_MASK == Class.ALU64
    if operation == Alu.MOV:
        return wide and instruction.offset == 0
    return wide and operation in (Alu.ADD, Alu.SUB) and not by_register
