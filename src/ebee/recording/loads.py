"""What typed programs (tp_btf) read of the kernel without a helper that reads: a call of the recorder before.

These are direct loads through the kernel's pointers, and strings of the kernel's that are printed.
What stands before a load:

    *(u64 *)(r10 - 64) = r1        what a call would lose, and is set here
    r1 = r7; r2 = 2480; r3 = 4     the pointer, the offset, the size; of a string 0
    call ebee_load
    r1 = *(u64 *)(r10 - 64)

and then the load itself. Whether a pointer may be the kernel's, `registers` knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ebee.asm import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    FRAME_POINTER,
    GOTOL,
    GOTOX,
    SIZE_MASK,
    Alu,
    Class,
    Mode,
    Size,
    Source,
)
from ebee.btf.ext import CoreRelocation
from ebee.errors import SpecError, notify
from ebee.record import NamedTuple
from ebee.recording.registers import Held, State, is_jump, is_load, states
from ebee.spec import Function
from ebee.spec.programs import FunctionReference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_STACK_BYTES: Final = 512
_TRACE_PRINTK: Final = 6
_PRINTED: Final = (3, 4, 5)
_ADD_NUMBER = Class.ALU64 | Alu.ADD | Source.K
_MOVE = Class.ALU64 | Alu.MOV
_BYTES = {Size.B: 1, Size.H: 2, Size.W: 4, Size.DW: 8}
_STORE = Class.STX | Mode.MEM | Size.DW
_LOAD = Class.LDX | Mode.MEM | Size.DW


def with_loads_recorded(function: Function, recorder: str) -> Function:
    """Return a program's main function with a call of the recorder before its direct loads.

    Args:
        recorder: the function that is called with a pointer, an offset and a size.
    """
    before = states(function.instructions)
    wanted = {slot: reads for slot, state in before.items() if (reads := _reads(function, slot, state))}
    if not wanted or any(i.opcode in (CALLX, GOTOX) for i in function.instructions):
        return function
    depth = _depth(function.instructions, before)
    if depth + 8 * max(len(_to_save(before[slot])) for slot in wanted) > _STACK_BYTES:
        notify(
            f"record {function.name}: its direct loads are not recorded, "
            f"because {depth} of 512 bytes of stack are in use"
        )
        return function
    added = {
        slot: [one for read in reads for one in _call(read, before[slot], depth)]
        for slot, reads in wanted.items()
    }
    return _Moved(function, added).function(recorder)


class _Read(NamedTuple):
    """Bytes of the kernel's that an instruction reads: so many at a place, or a string (size 0)."""

    register: int
    offset: int
    size_bytes: int


def _reads(function: Function, slot: int, state: State) -> list[_Read]:
    instruction = function.instructions[slot]
    if is_load(instruction) and state[instruction.src] is Held.FOREIGN:
        return [_Read(instruction.src, instruction.offset, _BYTES[instruction.opcode & SIZE_MASK])]
    if instruction.opcode == CALL and instruction.src == 0 and instruction.imm == _TRACE_PRINTK:
        return [_Read(register, 0, 0) for register in _PRINTED if state[register] is Held.FOREIGN]
    return []


def _to_save(state: State) -> list[int]:
    return [register for register in range(6) if state[register]]


def _call(read: _Read, state: State, depth: int) -> Iterator[Instruction]:
    saved = {register: -depth - 8 * (index + 1) for index, register in enumerate(_to_save(state))}
    for register, place in saved.items():
        yield Instruction(_STORE, FRAME_POINTER, register, place)
    yield Instruction(_MOVE | Source.X, 1, read.register)
    yield Instruction(_MOVE, 2, imm=read.offset)
    yield Instruction(_MOVE, 3, imm=read.size_bytes)
    yield Instruction(CALL, src=1, imm=-1)
    for register, place in saved.items():
        yield Instruction(_LOAD, register, FRAME_POINTER, place)


def _depth(instructions: Sequence[Instruction], before: dict[int, State]) -> int:
    """Return how many bytes of its stack a function uses, rounded up to 8."""
    places = [_place_on_stack(instructions[slot], state) for slot, state in before.items()]
    return (-min(places, default=0) + 7) & ~7


def _place_on_stack(instruction: Instruction, state: State) -> int:
    """Return the place below the frame's end that an instruction names; 0 where it names none."""
    kind = instruction.opcode & CLASS_MASK
    base = instruction.src if kind == Class.LDX else instruction.dst
    if base > FRAME_POINTER or state[base] is not Held.STACK:
        return 0
    if kind in (Class.ST, Class.STX, Class.LDX):
        return instruction.offset
    return instruction.imm if instruction.opcode == _ADD_NUMBER else 0


class _Moved:
    """A function with instructions put before some of its own; what names a slot is moved along."""

    def __init__(self, function: Function, added: dict[int, list[Instruction]]) -> None:
        self._function = function
        self._added = added
        self._starts = []
        place = 0
        for slot in range(len(function.instructions) + 1):
            self._starts.append(place)
            place += len(added.get(slot, ())) + 1

    def function(self, recorder: str) -> Function:
        """Return it."""
        function = self._function
        calls = [
            FunctionReference(self._starts[slot] + index, recorder)
            for slot, added in self._added.items()
            for index, instruction in enumerate(added)
            if instruction.opcode == CALL
        ]
        moved = [r._replace(slot=self._place(r.slot)) for r in function.references]
        return function.replaced(
            instructions=list(self._instructions()),
            references=sorted([*moved, *calls], key=lambda reference: reference.slot),
            lines=[line._replace(slot=self._starts[line.slot]) for line in function.lines],
            core_relocations=sorted(self._core_relocations(), key=lambda entry: entry.slot),
        )

    def _place(self, slot: int) -> int:
        """Return where an instruction itself stands now, behind what was put before it."""
        return self._starts[slot] + len(self._added.get(slot, ()))

    def _instructions(self) -> Iterator[Instruction]:
        for slot, instruction in enumerate(self._function.instructions):
            yield from self._added.get(slot, ())
            yield self._aimed(slot, instruction)

    def _aimed(self, slot: int, instruction: Instruction) -> Instruction:
        """Return a jump with its distance as it is now; jumps to a load go to what stands before it."""
        if instruction.opcode == GOTOL:
            return instruction._replace(imm=self._distance(slot, instruction.imm))
        if not is_jump(instruction):
            return instruction
        distance = self._distance(slot, instruction.offset)
        if not -(1 << 15) <= distance < 1 << 15:
            raise SpecError(
                f"record {self._function.name}: with the recorder's calls a jump goes over {distance} slots, "
                "expected at most 32767",
                hint="make the program smaller, or split it",
            )
        return instruction._replace(offset=distance)

    def _distance(self, slot: int, distance: int) -> int:
        return self._starts[slot + 1 + distance] - self._place(slot) - 1

    def _core_relocations(self) -> Iterator[CoreRelocation]:
        for entry in self._function.core_relocations:
            yield entry._replace(slot=self._place(entry.slot))
            added = self._added.get(entry.slot)
            if added:
                # The offset is told twice: by the load, and to the recorder before it.
                index = next(i for i, instruction in enumerate(added) if instruction[:2] == (_MOVE, 2))
                yield entry._replace(slot=self._starts[entry.slot] + index)
