"""Steps on behalf of the process that runs a program: it sends registers, the interpreter does the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from operator import length_hint

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import CALL, CALLX, CLASS_MASK, FRAME_POINTER, MODE_MASK, Atomic, Class, Mode
from ebee.vm.code import Code
from ebee.vm.faults import Fault
from ebee.vm.interpreter.decode import FORMS, Steps
from ebee.vm.interpreter.form import Returned, Site
from ebee.vm.interpreter.numbers import U64
from ebee.vm.interpreter.processor import Processor
from ebee.vm.machine import MOST_FRAMES, STACK_BYTES, Machine, Run, function_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NO_PACKET_BYTES: Final = U64
"""The answer to a packet load that ends its function."""


class AwayProcessor(Processor):
    """A processor whose registers are elsewhere: it takes single steps, and has functions called there.

    Args:
        call_there: calls the function at an address in the other process and returns its r0.
    """

    def __init__(
        self,
        machine: Machine,
        steps_of: Callable[[Code], Steps],
        call_there: Callable[[int, Sequence[int]], int],
    ) -> None:
        super().__init__(machine, steps_of)
        self._call_there = call_there

    def stand(self, run: Run, program: Steps, frame: int, budget: int, left: int) -> None:
        """Be where the other process is."""
        self.run, self.program, self.frame = run, program, frame
        self.budget, self.ticks = budget, repeat(None, left)
        run.code = program.code

    def call(self, slot: int, arguments: Sequence[int] | None = None) -> None:
        if self.frame + 1 == MOST_FRAMES:
            super().call(slot, arguments)  # which says why not
        given = self.registers[1:6] if arguments is None else arguments
        # The function may ask for steps, which use these registers.
        saved, program, frame = self.registers[:], self.program, self.frame
        result = self._call_there(function_address(slot), given)
        self.registers[:] = [result, *saved[1:]]
        self.frame = frame
        self._become(program)

    def take(self, slot: int, sent: Sequence[int]) -> int:
        """Take the step at a slot; return what of its result the other process waits for.

        Args:
            sent: what the instruction reads of registers, in the order that runner.c sends it.

        Raises:
            Fault: the program did what it must not.
        """
        instruction = self.program.code.instructions[slot]
        self._receive(instruction, sent)
        try:
            self.program.steps[slot]()
        except Returned:
            return NO_PACKET_BYTES
        return self.registers[_result_register(instruction)]

    def program_in(self, map_address: int, index: int) -> Code | None:
        """Return the program that a tail call goes to, or None.

        Raises:
            Fault: the map is not one of programs.
        """
        return self._program_in(map_address, index)

    def complain_outside(self, slot: int, *, fell: bool) -> None:
        """Raise the Fault of a jump to nowhere, or of the end without an exit."""
        steps = self.program
        end = len(steps.code.instructions)
        step = next((i for i, origin in steps.origins.items() if origin == slot and (i == end) == fell), end)
        steps.steps[step]()

    def finish(self, slot: int, registers: Sequence[int], loops: int, tail_calls: int) -> int:
        """Run a function from a slot to its end; return its r0."""
        self.registers[:FRAME_POINTER] = registers
        self.registers[FRAME_POINTER] = self.machine.stack.address(self.frame, STACK_BYTES)
        self._loops[self.frame], self._tail_calls = loops, tail_calls
        self._execute(self.program, slot)
        return self.registers[0]

    @property
    def tail_calls(self) -> int:
        """How many tail calls the run has taken."""
        return self._tail_calls

    @property
    def left(self) -> int:
        """How many instructions the run may still take."""
        return length_hint(self.ticks)

    def _receive(self, instruction: Instruction, sent: Sequence[int]) -> None:
        registers, kind = self.registers, instruction.opcode & CLASS_MASK
        _, dst, src, offset, imm = instruction
        if instruction.opcode == CALL:
            registers[1:6] = sent[:5]
        elif instruction.opcode == CALLX:
            registers[1:6] = sent[1:6]
            registers[dst or min(imm & U64, FRAME_POINTER)] = sent[0]
        elif kind == Class.LD:
            registers[src] = sent[0]
        elif kind == Class.LDX or _loads(instruction):
            registers[src] = sent[0] - offset & U64
        elif kind in (Class.ST, Class.STX):
            registers[0] = sent[2]
            registers[src] = sent[1]
            registers[dst] = sent[0] - offset & U64


def refused_slots(code: Code, processor: Processor) -> set[int]:
    """Return the slots of instructions that no kernel takes: the step at such a slot says why."""
    return {slot for slot in range(len(code.instructions)) if _is_refused(code, slot, processor)}


def _is_refused(code: Code, slot: int, processor: Processor) -> bool:
    site = Site(code, slot, processor, lambda distance: distance)
    form = FORMS.get(site.instruction.opcode)
    if form is None:
        return True
    try:
        form.step(site)
    except Fault:
        return True
    return False


def _loads(instruction: Instruction) -> bool:
    atomic = instruction.opcode & (CLASS_MASK | MODE_MASK) == Class.STX | Mode.ATOMIC
    return atomic and instruction.imm == Atomic.LOAD_ACQ


def _result_register(instruction: Instruction) -> int:
    """Return the register that an instruction leaves something in, 0 for one that leaves nothing."""
    kind = instruction.opcode & CLASS_MASK
    if kind == Class.LDX or _loads(instruction):
        return instruction.dst
    fetches = instruction.opcode & (CLASS_MASK | MODE_MASK) == Class.STX | Mode.ATOMIC
    return instruction.src if fetches and instruction.imm != Atomic.CMPXCHG else 0
