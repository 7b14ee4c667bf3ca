"""What runs programs, by its name."""

from __future__ import annotations

from ebee.abi.arch import host
from ebee.errors import NotSupportedError, SpecError
from ebee.vm.arena import SharedArena
from ebee.vm.machine import Engine, Machine

ENGINES = ("auto", "interpreter", "native")


def make_engine(name: str, cpus: int) -> tuple[Machine, Engine]:
    """Return a machine and an engine that runs programs on it.

    Raises:
        SpecError: there is no such engine.
        NotSupportedError: it is `native`, and this system has none.
    """
    if name not in ENGINES:
        raise SpecError(f"userspace machine: engine '{name}', expected {', '.join(ENGINES)}")
    machine = _shared_machine(name, cpus)
    if machine is None:
        from ebee.vm.interpreter import Interpreter

        machine = Machine(cpus=cpus)
        return machine, Interpreter(machine)
    if name == "auto":
        from ebee.vm.auto import Auto

        return machine, Auto(machine)
    from ebee.vm.native import Native

    return machine, Native(machine)


def _shared_machine(name: str, cpus: int) -> Machine | None:
    """Return a machine whose memory native code can reach; None where the interpreter is to run all.

    Raises:
        NotSupportedError: native code is asked for, and this system has none.
    """
    if name == "interpreter":
        return None
    try:
        host()
        return Machine(SharedArena(), cpus=cpus)
    except (OSError, NotSupportedError) as error:
        if name == "auto":
            return None
        raise NotSupportedError(
            f"native engine: {error}, expected memory that two processes share, and a known processor",
            hint='engine="interpreter" runs the same programs everywhere, slower',
        ) from error
