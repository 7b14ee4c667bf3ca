"""One run of a program of the simulated kernel, counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ebee.kernel.simulated.state import State
from ebee.kernel.simulated.things import ProgramThing
from ebee.record import NamedTuple
from ebee.vm.contexts import release
from ebee.vm.machine import Context, Outcome

_U32 = 0xFFFF_FFFF


class Ran(NamedTuple):
    """What a run gave.

    Attributes:
        mean_ns: the mean time of a run.
    """

    outcome: Outcome
    mean_ns: int

    @property
    def return_value(self) -> int:
        """The lower half of r0, without a sign, as the kernel hands it on."""
        return self.outcome.return_value & _U32


def run(state: State, program: ProgramThing, context: Context, *, cpu: int = 0, repeat: int = 1) -> Ran:
    """Run a program and count it.

    Raises:
        MachineError: it did what it must not.
    """
    with state.running:
        state.trace.cpu = cpu
        began_ns = time.perf_counter_ns()
        try:
            outcome = state.engine.run(program.code, context, budget=state.budget, cpu=cpu, repeat=repeat)
        finally:
            taken_ns = time.perf_counter_ns() - began_ns
            program.run_count += repeat
            program.run_time_ns += taken_ns
    return Ran(outcome, taken_ns // max(1, repeat))


@contextmanager
def lent(state: State, context: Context) -> Iterator[Context]:
    """Give a context's memory back in the end."""
    try:
        yield context
    finally:
        release(state.machine.memory, context)
