"""The interpreter: runs programs one instruction after the other."""

from __future__ import annotations

from collections.abc import Sequence

from ebee.vm.code import Code
from ebee.vm.contexts import enter
from ebee.vm.interpreter.decode import Steps, decode
from ebee.vm.interpreter.processor import Processor
from ebee.vm.machine import DEFAULT_BUDGET, Context, Machine, Outcome, Run, function_address

_MOST_KEPT = 256
"""Programs whose steps are kept."""


class Visited:
    """Which instructions runs have reached, program by program."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[Code, set[int]]] = {}

    def of(self, code: Code) -> set[int]:
        """Return the slots of a program that were reached; of a wide load the first one."""
        return self._slots.setdefault(id(code), (code, set()))[1]

    def programs(self) -> list[Code]:
        """Return the programs that were looked at."""
        return [code for code, _ in self._slots.values()]


class Interpreter:
    """An engine that is the definition of what a program does; others are held against it.

    Args:
        machine: what programs run on.

    Attributes:
        visited: None, or what is told which instructions are reached: settable between runs. It
            costs nothing where it is None.
    """

    name = "interpreter"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.visited: Visited | None = None
        self._processor = Processor(machine, self._steps_of)
        self._steps: dict[int, Steps] = {}
        self._watched: dict[int, tuple[Visited, Steps]] = {}
        self._running: Run | None = None

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

        Args:
            budget: how many instructions each run may take.
            cpu: whose values per-CPU maps give.
            repeat: how often; the packet and the context stay as a run leaves them.

        Raises:
            MachineError: it did what it must not, or took more than its budget; with its line.
        """
        enter(self.machine.memory, context)
        taken, redirected = 0, None
        for _ in range(repeat):
            run = self._new_run(code, context, budget, cpu)
            taken = self._start(run, function_address(0), (context.region.address(),), budget)
            redirected = run.redirected
        return Outcome(self._processor.registers[0], taken, redirected)

    def _new_run(self, code: Code, context: Context, budget: int, cpu: int) -> Run:
        def call(address: int, arguments: Sequence[int]) -> int:
            if self._running is run:
                return self._processor.call_back(address, arguments)
            # The run is over: a timer's function, say, begins a run of its own.
            self._start(run, address, arguments, budget)
            return self._processor.registers[0]

        run = Run(self.machine, code, context, call, cpu=cpu)
        return run

    def _start(self, run: Run, address: int, arguments: Sequence[int], budget: int) -> int:
        assert self._running is None, "one run at a time"
        self._running = run
        try:
            return self._processor.start(run, address, arguments, budget)
        finally:
            self._running = None

    def _steps_of(self, code: Code) -> Steps:
        """Return a program's steps, which are kept: they keep the program, so that its id stays its own."""
        key = id(code)
        if key not in self._steps:
            if len(self._steps) == _MOST_KEPT:
                self._steps.clear()
                self._watched.clear()
            self._steps[key] = decode(code, self._processor)
        return self._steps[key] if self.visited is None else self._watched_steps(key, self.visited)

    def _watched_steps(self, key: int, visited: Visited) -> Steps:
        """Return steps that say where they are, kept as long as the same one is to be told."""
        if key not in self._watched or self._watched[key][0] is not visited:
            steps = self._steps[key]
            self._watched[key] = (visited, steps.watched(visited.of(steps.code)))
        return self._watched[key][1]
