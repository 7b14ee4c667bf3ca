"""What steps work on: registers, frames, the budget; and how functions begin and end."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import length_hint

from ebee.abi.bpf import MapType
from ebee.asm.opcodes import FRAME_POINTER
from ebee.vm.code import Code
from ebee.vm.faults import AccessFault, BudgetFault, Fault, stopped
from ebee.vm.interpreter.form import Returned
from ebee.vm.interpreter.numbers import U64
from ebee.vm.machine import MOST_FRAMES, MOST_TAIL_CALLS, STACK_BYTES, Machine, Run, function_slot
from ebee.vm.memory import is_kernel_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ebee.vm.interpreter.decode import Steps

MOST_LOOPS: Final = 8 * 1024 * 1024
"""How often may_goto lets one call of a function pass (BPF_MAX_LOOPS)."""
_FIRST_SAVED = 6
"""r6 to r9 are a function's own, and r10 with them."""
_ZEROS = bytes(STACK_BYTES)
_BUDGET_HINT = "see that the loop's condition can become false, or give the run a larger budget"
_SKF_NET_OFF: Final = -0x100000
_SKF_LL_OFF: Final = -0x200000


class _TailCall(Exception):  # noqa: N818  # how a step goes on in another program
    def __init__(self, code: Code) -> None:
        super().__init__()
        self.code = code


class Processor:
    """A processor of the machine: it runs one program at a time.

    Attributes:
        registers: r0 to r10, 64 bits without a sign. Steps hold the list: it stays the same one.
        run: the run that goes on, or went on last.
        budget, ticks: how many instructions the run may take; yields once for each that is left.
        frame: the number of the function's frame; 0 is the program's own.
        program: what the function belongs to.
    """

    run: Run
    budget: int
    ticks: Iterator[None]
    program: Steps

    def __init__(self, machine: Machine, steps_of: Callable[[Code], Steps]) -> None:
        self.machine = machine
        self.memory = machine.memory
        self.registers = [0] * (FRAME_POINTER + 1)
        self.frame = 0
        self._steps_of = steps_of
        self._tail_calls = 0
        self._loops = [0] * MOST_FRAMES

    # -- functions -------------------------------------------------------------------------------
    def start(self, run: Run, address: int, arguments: Sequence[int], budget: int) -> int:
        """Run the function at an address, with r0 as its result; return how many instructions it took.

        Raises:
            MachineError: it did what it must not, or took more than its budget.
        """
        budget = min(budget, sys.maxsize)
        self.run, self.budget, self.ticks = run, budget, repeat(None, budget)
        self._tail_calls = 0
        self.program = self._steps_of(run.code)
        self._set_arguments(arguments)
        self._enter(0)
        try:
            slot = self.function_at(address)
        except Fault as fault:
            raise stopped(fault, run.code, 0) from None
        self._execute(self.program, slot)
        return budget - length_hint(self.ticks)

    def call(self, slot: int, arguments: Sequence[int] | None = None) -> None:
        """Run a function of the program, in a frame of its own, until it returns.

        Args:
            arguments: for r1 and what follows it, where the registers do not hold them already.
        """
        if self.frame + 1 == MOST_FRAMES:
            name = self.program.code.functions.get(slot, f"the function at slot {slot}")
            others = "and there are no more (the program's own is one)"
            raise Fault(f"call of {name}: {MOST_FRAMES} frames are in use, {others}")
        program, saved = self.program, self.registers[_FIRST_SAVED:]
        if arguments is not None:
            self._set_arguments(arguments)
        self._enter(self.frame + 1)
        self._execute(program, slot)
        self.frame -= 1
        self.registers[_FIRST_SAVED:] = saved
        self._become(program)

    def call_back(self, address: int, arguments: Sequence[int]) -> int:
        """Run the function at an address, for a helper; return its r0."""
        self.call(self.function_at(address), arguments)
        return self.registers[0]

    def function_at(self, address: int) -> int:
        """Return the slot at which the function with an address begins.

        Raises:
            Fault: there is none.
        """
        slot, code = function_slot(address), self.program.code
        # Where nobody said which functions there are, any slot may begin one.
        begins = code.functions or range(len(code.instructions))
        if slot is None or (slot and slot not in begins):
            raise Fault(f"call of {self.memory.describe(address)}: no function of the program begins there")
        return slot

    def tail_call(self, map_address: int, index: int) -> None:
        """Go on in another program instead of this function; return where there is none."""
        code = self._program_in(map_address, index)
        if code is None or self._tail_calls == MOST_TAIL_CALLS:
            self.registers[0] = -errno.ENOENT & U64
            return
        self._tail_calls += 1
        raise _TailCall(code)

    def may_loop(self) -> bool:
        """Return whether may_goto lets this function pass once more."""
        self._loops[self.frame] += 1
        return self._loops[self.frame] <= MOST_LOOPS

    def _execute(self, program: Steps, slot: int) -> None:
        """Take steps until the function returns."""
        while True:
            self._become(program)
            steps = program.steps
            try:
                for _ in self.ticks:
                    slot = steps[slot]()
                raise BudgetFault(f"stopped after {self.budget:,} instructions, in a loop?", _BUDGET_HINT)
            except Returned:
                return
            except _TailCall as call:
                program, slot = self._steps_of(call.code), 0
                self._enter(self.frame)
                self._set_arguments(self.registers[1:2])
            except Fault as fault:
                raise stopped(fault, program.code, program.slot_of(slot)) from None

    def _become(self, program: Steps) -> None:
        self.program = program
        self.run.code = program.code

    def _enter(self, frame: int) -> None:
        """Let a frame be the function's; what others left in it is gone."""
        stack = self.machine.stack
        stack.element(frame)[:] = _ZEROS
        self.frame = frame
        self.registers[FRAME_POINTER] = stack.address(frame, STACK_BYTES)
        self._loops[frame] = 0

    def _set_arguments(self, arguments: Sequence[int]) -> None:
        """Set r1 and what follows it; all others are zeros, so that runs can be repeated."""
        values = [0, *(argument & U64 for argument in arguments)]
        self.registers[:FRAME_POINTER] = values + [0] * (FRAME_POINTER - len(values))

    def _program_in(self, map_address: int, index: int) -> Code | None:
        """Return the program that a map holds at an index."""
        programs = self.machine.map_at(map_address)
        if programs is None or programs.setup.type is not MapType.PROG_ARRAY:
            what = self.memory.describe(map_address) if programs is None else f"map '{programs.setup.name}'"
            raise Fault(f"call of bpf_tail_call: r2 is {what}, expected a map of programs")
        if index >= programs.setup.max_entries:
            return None
        return self.machine.programs.get(programs.find(index.to_bytes(4, "little")))

    # -- memory ----------------------------------------------------------------------------------
    def load(self, address: int, size_bytes: int) -> int:
        """Return the number at an address; the kernel's memory is zeros where nothing is known of it."""
        try:
            return self.memory.load(address, size_bytes)
        except AccessFault:
            if not is_kernel_address(address):
                raise
        return int.from_bytes(self._kernel_bytes(address, size_bytes), "little")

    def _kernel_bytes(self, address: int, size_bytes: int) -> bytes:
        kernel = self.memory.kernel
        known = kernel.read(address, size_bytes)
        if known is not None:
            return known
        return b"".join(kernel.read(address + index, 1) or b"\0" for index in range(size_bytes))

    def packet_bytes(self, offset: int, size_bytes: int) -> bytes | None:
        """Return bytes of the packet by the offset of a packet load; None where they are not all there.

        Negative offsets count from its Ethernet header (SKF_LL_OFF) or its network header (SKF_NET_OFF).

        Raises:
            Fault: this run has no packet.
        """
        packet = self.run.context.packet
        if packet is None:
            raise Fault("load from the packet: there is none in this run")
        mac = getattr(self.run.context.event, "mac", 0)
        if offset < _SKF_NET_OFF:
            offset += mac - _SKF_LL_OFF
        elif offset < 0:
            offset += getattr(self.run.context.event, "network", 0) - _SKF_NET_OFF
        if offset < mac or offset + size_bytes > len(packet):
            return None
        # Headers before the packet's begin are there, though no pointer reaches them.
        begin = packet.begin + offset
        return bytes(packet.region.element(0)[begin : begin + size_bytes])
