"""What runs programs, by its name."""

from __future__ import annotations

from ebee.errors import SpecError
from ebee.vm.machine import Engine, Machine

ENGINES = ("auto", "interpreter", "native")


def make_engine(name: str, cpus: int) -> tuple[Machine, Engine]:
    """Return a machine and an engine that runs programs on it.

    Raises:
        SpecError: there is no such engine.
    """
    if name not in ENGINES:
        raise SpecError(f"userspace machine: engine '{name}', expected {', '.join(ENGINES)}")
    from ebee.vm.interpreter import Interpreter

    machine = Machine(cpus=cpus)
    return machine, Interpreter(machine)
