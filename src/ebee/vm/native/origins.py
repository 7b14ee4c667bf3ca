"""What registers probably hold: which region a pointer points at, so that it is looked for there first.

Only one answer has to be right: a pointer that is the frame pointer plus a number, for what it reaches is
reached unchecked. Registers hold it by moves and additions of numbers alone, which are followed exactly.
All others are guesses, tested when the program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    FRAME_POINTER,
    LD_IMM64,
    MODE_MASK,
    OPERATION_MASK,
    SIZE_MASK,
    SOURCE_MASK,
    Alu,
    Class,
    Mode,
    PseudoCall,
    Size,
    Source,
)
from ebee.record import NamedTuple, Record
from ebee.vm.memory import CODE, CONTEXT, KERNEL_REGIONS, MAPS, REGION_SHIFT
from ebee.vm.native.shape import Block, wide_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

U64: Final = (1 << 64) - 1


class Origin(NamedTuple):
    """What a register holds.

    Attributes:
        kind: `frame` (the frame pointer plus a number), `region` (somewhere in a region), `number`.
        value: the number that is added, the region's number, the number.
    """

    kind: str
    value: int


class Array(NamedTuple):
    """An array map.

    Attributes:
        region: that its values lie in.
        copy_step: how many elements the value of a CPU is from that of the next; 0 for one that all share.
    """

    region: int
    entries: int
    copy_step: int


class Facts(Record):
    """What is known before a program is looked at.

    Attributes:
        context_pointers: offsets of the context's pointer fields, with the regions they point into.
        found_in: gives the region that lookups in a map, by its address, point into; 0 for others.
        array_at: gives the array at an address; None for others.
    """

    context_pointers: Mapping[int, int]
    found_in: Callable[[int], int]
    array_at: Callable[[int], Array | None]


Registers = tuple["Origin | None", ...]

_START: Final[Registers] = (None, Origin("region", CONTEXT), *[None] * 8, Origin("frame", 0))
_LOOKUPS = (1, 195)
"""bpf_map_lookup_elem, bpf_map_lookup_percpu_elem."""
_OPAQUE = (0, MAPS, CODE)


def region_of(origin: Origin | None) -> int:
    """Return the number of the region that a register points into; 0 where nothing is known."""
    if origin is None or origin.kind == "frame":
        return 0
    if origin.kind == "region":
        return origin.value
    # Numbers that look like the kernel's addresses are negative ones.
    number = origin.value >> REGION_SHIFT
    return number if number < KERNEL_REGIONS else 0


def is_frame(origin: Origin | None) -> bool:
    """Return whether a register points into the function's own frame, at a known place."""
    return origin is not None and origin.kind == "frame"


class Origins:
    """What registers hold before each instruction of a function.

    Args:
        start: what r0 to r10 hold at its begin.

    Attributes:
        forgets_frame: somewhere a register may point into the frame or not, so that where is not known.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        blocks: Mapping[int, Block],
        begin: int,
        facts: Facts,
        start: Registers = _START,
    ) -> None:
        self._instructions = instructions
        self._facts = facts
        # What is spilled to the stack, by offset, wherever in the function.
        self._spilled: dict[int, Origin | None] = {}
        self._before: dict[int, Registers] = {begin: start}
        waiting = [begin]
        while waiting:
            block = blocks[waiting.pop()]
            after = self._through(block)
            for slot in filter(blocks.__contains__, block.successors()):
                joined = _join(self._before.get(slot), after)
                if joined != self._before.get(slot):
                    self._before[slot] = joined
                    waiting.append(slot)
        self._by_slot: dict[int, Registers] = {}
        self.forgets_frame = False
        for leader in self._before:
            self._finish(blocks[leader], blocks)

    def before(self, slot: int) -> Registers:
        """Return what r0 to r10 hold before an instruction."""
        return self._by_slot[slot]

    def _through(self, block: Block, seen: dict[int, Registers] | None = None) -> Registers:
        registers = self._before[block.slots[0]]
        for slot in block.slots:
            if seen is not None:
                seen[slot] = registers
            registers = self._after(slot, registers)
        return registers

    def _finish(self, block: Block, blocks: Mapping[int, Block]) -> None:
        after = self._through(block, self._by_slot)
        for slot in filter(blocks.__contains__, block.successors()):
            for now, then in zip(after, self._before[slot], strict=True):
                self.forgets_frame |= now != then and is_frame(now)

    def _after(self, slot: int, registers: Registers) -> Registers:
        instruction = self._instructions[slot]
        kind = instruction.opcode & CLASS_MASK
        if instruction.opcode in (CALL, CALLX):
            return (self._result(instruction, registers), *[None] * 5, *registers[6:])
        if instruction.opcode == LD_IMM64:
            return _set(registers, instruction.dst, Origin("number", wide_number(self._instructions, slot)))
        if kind == Class.ALU64:
            return _set(registers, instruction.dst, _computed(instruction, registers))
        if kind == Class.ALU:
            moved = instruction.opcode == Class.ALU | Alu.MOV | Source.K
            number = Origin("number", instruction.imm & 0xFFFFFFFF) if moved else None
            return _set(registers, instruction.dst, number)
        if kind == Class.LDX:
            return _set(registers, instruction.dst, self._loaded(instruction, registers))
        if kind == Class.STX:
            return self._stored(instruction, registers)
        if kind == Class.LD:
            return (None, *registers[1:])
        return registers

    def _result(self, instruction: Instruction, registers: Registers) -> Origin | None:
        held = registers[1]
        helper = instruction.opcode == CALL and instruction.src == PseudoCall.HELPER
        if not helper or instruction.imm not in _LOOKUPS or held is None or held.kind != "number":
            return None
        region = self._facts.found_in(held.value)
        return Origin("region", region) if region else None

    def _loaded(self, instruction: Instruction, registers: Registers) -> Origin | None:
        base, size = registers[instruction.src], instruction.opcode & SIZE_MASK
        if base == Origin("region", CONTEXT) and size in (Size.W, Size.DW):
            region = self._facts.context_pointers.get(instruction.offset, 0)
            return Origin("region", region) if region else None
        if base is not None and is_frame(base) and size == Size.DW:
            spilled = self._spilled.get(base.value + instruction.offset)
            # What lies in memory may have been changed by whoever has a pointer to it.
            return None if is_frame(spilled) else spilled
        return None

    def _stored(self, instruction: Instruction, registers: Registers) -> Registers:
        base, held = registers[instruction.dst], registers[instruction.src]
        mode = instruction.opcode & MODE_MASK
        if mode == Mode.MEM:
            if base is not None and is_frame(base) and instruction.opcode & SIZE_MASK == Size.DW:
                place = base.value + instruction.offset
                known = self._spilled.get(place, held)
                self._spilled[place] = held if known == held else _either(known, held)
            return registers
        # Atomic operations that fetch write the source register, or r0.
        return _set(_set(registers, instruction.src, None), 0, None)


def _computed(instruction: Instruction, registers: Registers) -> Origin | None:
    operation, left = instruction.opcode & OPERATION_MASK, registers[instruction.dst]
    by_register = instruction.opcode & SOURCE_MASK == Source.X
    right = registers[instruction.src] if by_register else Origin("number", instruction.imm & U64)
    if operation == Alu.MOV:
        return right if instruction.offset == 0 else None
    if operation == Alu.ADD:
        return _sum(left, right)
    if operation == Alu.SUB:
        if right is not None and right.kind == "number":
            return _sum(left, Origin("number", -right.value & U64))
        return None if region_of(right) or is_frame(left) else left
    return None


def _sum(left: Origin | None, right: Origin | None) -> Origin | None:
    for one, other in ((left, right), (right, left)):
        if one is not None and is_frame(one):
            if other is not None and other.kind == "number":
                return Origin("frame", one.value + _signed(other.value))
            return None
    if left is not None and right is not None and left.kind == right.kind == "number":
        return Origin("number", left.value + right.value & U64)
    for origin in (left, right):
        if region_of(origin):
            return Origin("region", region_of(origin))
    return None


def _join(known: Registers | None, new: Registers) -> Registers:
    return new if known is None else tuple(map(_either, known, new))


def _either(one: Origin | None, other: Origin | None) -> Origin | None:
    if one == other:
        return one
    if one is None or other is None or is_frame(one) or is_frame(other):
        return None
    if region_of(one) == region_of(other):
        return Origin("region", region_of(one)) if region_of(one) else None
    # A pointer or null is a pointer: only one of them is ever used.
    for pointer, null in ((one, other), (other, one)):
        if region_of(null) == 0 and region_of(pointer) not in _OPAQUE:
            return Origin("region", region_of(pointer))
    return None


def _set(registers: Registers, number: int, origin: Origin | None) -> Registers:
    if number >= FRAME_POINTER:
        return registers
    return (*registers[:number], origin, *registers[number + 1 :])


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
