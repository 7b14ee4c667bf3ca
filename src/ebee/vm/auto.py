"""Which engine, program by program: the interpreter until machine code is worth its compilation."""

from __future__ import annotations

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import CALL, CLASS_MASK, GOTOL, Class, PseudoCall
from ebee.errors import ToolError, notify
from ebee.record import Record
from ebee.vm.code import Code
from ebee.vm.interpreter import Interpreter, Visited
from ebee.vm.machine import DEFAULT_BUDGET, Context, Engine, Machine, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ebee.vm.native import Native

WORTH_INSTRUCTIONS: Final = 200_000
"""So many take the interpreter as long as the compiler takes for a small program: some 40 ms."""
WORTH_PER_INSTRUCTION: Final = 1000
"""And so many more for each instruction that is to be compiled."""
SHORT_INSTRUCTIONS: Final = 250
"""A run of fewer is as fast on the interpreter: a message to the other process and back takes as long."""
_REPEATING = (164, 181)
"""bpf_for_each_map_elem, bpf_loop."""


class _Taken(Record):
    """What a program took so far.

    Attributes:
        code: it is kept, so that its id stays its own.
        loops: whether nobody knows from the program how much a run takes.
    """

    code: Code
    loops: bool
    runs: int = 0
    instructions: int = 0


class Auto:
    """An engine of both: native code for programs that loop or that run often, else the interpreter.

    Where there is no compiler, or the process cannot be started, all runs on the interpreter, and a
    Notice says so once.

    Args:
        machine: its memory has to be a `SharedArena`.

    Attributes:
        visited: as the interpreter's; where it is set, all programs run there.
    """

    name = "auto"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.visited: Visited | None = None
        self._interpreter = Interpreter(machine)
        self._native: Native | None = None
        self._can_be_native = True
        self._taken: dict[int, _Taken] = {}

    def close(self) -> None:
        """End the process of the native engine, where there is one."""
        if self._native is not None:
            self._native.close()

    def run(
        self,
        code: Code,
        context: Context,
        *,
        budget: int = DEFAULT_BUDGET,
        cpu: int = 0,
        repeat: int = 1,
    ) -> Outcome:
        """Run a program from its first instruction with r1 at the context; the last run's outcome.

        Raises:
            MachineError: it did what it must not, or took more than its budget; with its line.
        """
        engine = self._engine_for(code, repeat)
        try:
            outcome = engine.run(code, context, budget=budget, cpu=cpu, repeat=repeat)
        except ToolError as error:
            if engine is not self._native:
                raise
            self._native, self._can_be_native = None, False
            notify(f"{error}; programs run on the interpreter, which is slower")
            return self.run(code, context, budget=budget, cpu=cpu, repeat=repeat)
        taken = self._taken_by(code)
        taken.runs += repeat
        taken.instructions += repeat * outcome.instructions
        return outcome

    def _engine_for(self, code: Code, repeat: int) -> Engine:
        self._interpreter.visited = self.visited
        if not self._can_be_native or self.visited is not None or not self._is_worth(code, repeat):
            return self._interpreter
        if self._native is None:
            from ebee.vm.native import Native

            self._native = Native(self.machine)
        return self._native

    def _is_worth(self, code: Code, repeat: int) -> bool:
        taken = self._taken_by(code)
        if taken.loops:
            return True
        each = taken.instructions // taken.runs if taken.runs else len(code.instructions)
        expected = taken.instructions + each * repeat
        price = WORTH_INSTRUCTIONS + WORTH_PER_INSTRUCTION * len(code.instructions)
        return expected > price and (each > SHORT_INSTRUCTIONS or repeat > 1)

    def _taken_by(self, code: Code) -> _Taken:
        found = self._taken.get(id(code))
        if found is None:
            found = self._taken[id(code)] = _Taken(code, _loops(code))
        return found


def _loops(code: Code) -> bool:
    """Return whether a program goes backwards anywhere, or calls a helper that repeats."""
    return any(_goes_back(one) for one in code.instructions)


def _goes_back(instruction: Instruction) -> bool:
    if instruction.opcode == CALL:
        return instruction.src == PseudoCall.HELPER and instruction.imm in _REPEATING
    if instruction.opcode == GOTOL:
        return instruction.imm < 0
    return instruction.opcode & CLASS_MASK in (Class.JMP, Class.JMP32) and instruction.offset < 0
