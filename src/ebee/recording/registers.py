"""What each register may hold before each instruction: whether it may point into the kernel's memory.

A flow analysis over one function, far simpler than the verifier's: of a register it knows whether it
was set on all paths, and whether what it holds can be a pointer that came out of memory. It errs to one
side: what it calls FOREIGN may be the program's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

from ebee.abi.helpers import number_of
from ebee.asm import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    EXIT,
    FRAME_POINTER,
    GOTO,
    GOTOL,
    GOTOX,
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Held(IntEnum):
    """What a register holds."""

    UNSET = 0
    OWN = 1
    STACK = 2
    FOREIGN = 3


State = tuple[Held, ...]
_CALLER_SAVED: Final = range(6)
_ARGUMENTS: Final = range(1, 6)


def _numbers(*names: str) -> frozenset[int | None]:
    return frozenset(number_of(name) for name in names)


# Helpers whose result is the program's own memory, or none.
_GIVING_OWN = _numbers("map_lookup_elem", "map_lookup_percpu_elem", "ringbuf_reserve", "get_local_storage")


def is_load(instruction: Instruction) -> bool:
    """Return whether an instruction loads from memory through a register."""
    mode = instruction.opcode & MODE_MASK
    return instruction.opcode & CLASS_MASK == Class.LDX and mode in (Mode.MEM, Mode.MEMSX)


def states(instructions: Sequence[Instruction]) -> dict[int, State]:
    """Return what the registers hold before each slot that can be reached.

    Args:
        instructions: of a program's main function, whose r1 is its context; calls of functions in it
            have src 1.
    """
    start = [Held.UNSET] * (FRAME_POINTER + 1)
    start[1], start[FRAME_POINTER] = Held.OWN, Held.STACK
    found: dict[int, State] = {0: tuple(start)}
    waiting = [0]
    while waiting:
        slot = waiting.pop()
        after = _after(instructions[slot], found[slot])
        for following in successors(instructions, slot):
            joined = _joined(found.get(following, after), after)
            if following < len(instructions) and found.get(following) != joined:
                found[following] = joined
                waiting.append(following)
    return found


def successors(instructions: Sequence[Instruction], slot: int) -> Iterator[int]:
    """Go through the slots that may come after one."""
    instruction = instructions[slot]
    if instruction.opcode in (EXIT, GOTOX):
        return
    if instruction.opcode in (GOTO, GOTOL):
        yield slot + 1 + (instruction.offset if instruction.opcode == GOTO else instruction.imm)
        return
    yield slot + 2 if instruction.opcode == LD_IMM64 else slot + 1
    if is_jump(instruction):
        yield slot + 1 + instruction.offset


def is_jump(instruction: Instruction) -> bool:
    """Return whether an instruction may go elsewhere within its function, by its offset."""
    is_jump_class = instruction.opcode & CLASS_MASK in (Class.JMP, Class.JMP32)
    return is_jump_class and instruction.opcode not in (CALL, CALLX, EXIT, GOTOL, GOTOX)


def _joined(one: State, other: State) -> State:
    return tuple(
        a if a == b else Held.FOREIGN if a and b else Held.UNSET for a, b in zip(one, other, strict=True)
    )


def _after(instruction: Instruction, before: State) -> State:
    after = list(before)
    kind = instruction.opcode & CLASS_MASK
    if instruction.opcode in (CALL, CALLX):
        for register in _ARGUMENTS:
            after[register] = Held.UNSET
        own = instruction.opcode == CALL and instruction.src == 0 and instruction.imm in _GIVING_OWN
        after[0] = Held.OWN if own else Held.FOREIGN
    elif kind in (Class.ALU, Class.ALU64):
        after[instruction.dst] = _result(instruction, before)
    elif kind == Class.LDX:
        after[instruction.dst] = Held.FOREIGN
    elif kind == Class.LD:
        _load_number_or_packet(instruction, after)
    elif kind == Class.STX and instruction.opcode & MODE_MASK == Mode.ATOMIC:
        _exchange(instruction, after)
    return tuple(after)


def _result(instruction: Instruction, before: State) -> Held:
    operation = instruction.opcode & OPERATION_MASK
    by_register = instruction.opcode & SOURCE_MASK == Source.X and operation != Alu.END
    if operation == Alu.MOV:
        is_copy = by_register and instruction.opcode & CLASS_MASK == Class.ALU64
        return before[instruction.src] if is_copy else Held.OWN
    if operation not in (Alu.ADD, Alu.SUB):
        return Held.OWN
    return max(before[instruction.dst], before[instruction.src] if by_register else Held.OWN)


def _load_number_or_packet(instruction: Instruction, after: list[Held]) -> None:
    if instruction.opcode == LD_IMM64:
        after[instruction.dst] = Held.OWN
        return
    for register in _ARGUMENTS:  # packets: as a call of a helper
        after[register] = Held.UNSET
    after[0] = Held.OWN


def _exchange(instruction: Instruction, after: list[Held]) -> None:
    if instruction.imm == Atomic.CMPXCHG:
        after[0] = Held.FOREIGN
    elif instruction.imm & Atomic.FETCH:
        after[instruction.src] = Held.FOREIGN
    elif instruction.imm == Atomic.LOAD_ACQ:
        after[instruction.dst] = Held.FOREIGN
