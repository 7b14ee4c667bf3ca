"""`ebee run FILE`: compile, load, attach, show what programs print, until Ctrl-C.

Or, with nothing attached, run it on packets or over a recording.
"""

from __future__ import annotations

import sys
from time import monotonic

from ebee.cli.call import Answer, Call
from ebee.cli.failures import complain
from ebee.cli.waiting import duration_s, until_interrupted
from ebee.cli.words import UsageError
from ebee.errors import NotPermittedError, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.kernel.protocol import Kernel
    from ebee.sessions.c import Running
    from ebee.sessions.kernels import Wanted
    from ebee.spec import ObjectSpec

MODES = ("xdp", "xdpdrv", "xdpgeneric", "xdpoffload")
ENGINES = ("interpreter", "native")
_PACKET_OPTIONS = ("pcap", "out", "count", "program")


def main(call: Call) -> Answer | None:
    """Run a C file or an object."""
    path = call.words.take("FILE")
    call.words.finish()
    _check_options(call)
    from ebee.recording.examples import is_example, program_path
    from ebee.sessions.c import open_spec

    began_s = monotonic()
    spec = open_spec(program_path(path))
    events = call.text("events")
    if (
        events is None
        and not _is_on_packets(call)
        and _attach(call, spec, began_s, elsewhere=is_example(path))
    ):
        return None
    if events is not None or is_example(path):
        from ebee.cli.run_events import run as run_over

        run_over(call, spec, events or path)
        return None
    from ebee.cli.run_packets import run

    run(call, spec, _where(call))
    return None


def _is_on_packets(call: Call) -> bool:
    """Whether nothing is to be attached: packets of a file, or made ones, go through the programs."""
    return _is_on_machine(call) or any(call.text(name) is not None for name in _PACKET_OPTIONS)


def _is_on_machine(call: Call) -> bool:
    return call.switch("vm") or call.text("engine") is not None


def _where(call: Call) -> Wanted:
    """Return the kernel for packets; None for the running one, or else the userspace machine."""
    from ebee.sessions.kernels import choose_kernel

    if call.switch("live"):
        return call.kernel()
    if _is_on_machine(call) or not _is_on_packets(call):  # or this kernel took nothing
        return choose_kernel("vm", engine=call.text("engine"))
    return None


def _check_options(call: Call) -> None:
    """Say what is wrong with the options before anything is compiled."""
    mode = call.text("mode")
    if mode is not None and mode not in MODES:
        raise UsageError(f"ebee run: mode '{mode}', expected {', '.join(MODES)}")
    duration_s(call)
    engine = call.text("engine")
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"ebee run: engine '{engine}', expected {' or '.join(ENGINES)}")
    if call.switch("vm") and call.switch("live"):
        raise UsageError("ebee run: --vm and --live, expected one of them")
    if call.switch("live") and engine is not None:
        raise UsageError(
            f"ebee run: --engine {engine} and --live, expected one of them",
            hint="the kernel runs programs itself; engines are of the userspace machine: --vm",
        )
    if call.text("events") is not None:
        from ebee.cli.run_events import check_options as check_events

        check_events(call)
    elif _is_on_packets(call):
        from ebee.cli.run_packets import check_options

        check_options(call)


def _attach(call: Call, spec: ObjectSpec, began_s: float, *, elsewhere: bool) -> bool:
    """Attach all programs, and show what they print; return False where this kernel does not take them.

    Args:
        elsewhere: there is something else to run them on: a recording of their own.

    Raises:
        KernelError: this kernel refused programs to which nothing arrives on the userspace machine.
    """
    from ebee.sessions.kernels import on_kernel

    stays = call.switch("live") or not (elsewhere or _sees_packets(spec))
    try:
        running = on_kernel("live" if stays else None, lambda kernel: _start(call, spec, kernel))
    except NotPermittedError as error:
        if "CAP_" in error.message and not call.switch("live"):
            error.hint = (
                f"{error.hint}; or run it over a recording, which needs no rights: --events RECORDING"
            )
        raise
    if running is None:
        return False
    with running:
        _say_what_runs(running, (monotonic() - began_s) * 1000)
        with until_interrupted():
            for line in running.lines(duration_s(call)):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        values = _variables(running)
    complain(f"detached {_listed(running)}{''.join(values)}")
    return True


def _sees_packets(spec: ObjectSpec) -> bool:
    from ebee.programs.verdicts import PACKET_PROGRAMS

    return not spec.programs or any(program.type in PACKET_PROGRAMS for program in spec.programs.values())


def _start(call: Call, spec: ObjectSpec, kernel: Kernel) -> Running | None:
    """Attach all programs to a kernel; nothing arrives at the userspace machine, so not there."""
    from ebee.sessions.c import start

    if kernel.label == "vm":
        return None
    if not call.settings.mount:
        kernel = call.kernel()
    try:
        return start(spec, device=call.text("dev"), xdp_family=call.text("mode") or "xdp", kernel=kernel)
    except SpecError:
        from ebee.sessions.kernels import choose_kernel

        # Who names no interface because nothing can be attached anyway needs no advice on interfaces.
        if call.switch("live") or choose_kernel().label == "live":
            raise
        return None


def _say_what_runs(running: Running, took_ms: float) -> None:
    """Tell on standard error what is attached where, so that standard output is the programs' own."""
    for link in running.links:
        program = running.loaded.programs[link.program]
        complain(
            f"attached {link.program} to {link.point} (id {program.id}, {took_ms:.0f} ms); Ctrl-C detaches"
        )
    if not running.links:
        complain("no program attaches by itself; loaded until Ctrl-C")


def _listed(running: Running) -> str:
    return ", ".join(f"{link.program} from {link.point}" for link in running.links) or "nothing"


def _variables(running: Running) -> list[str]:
    """Return the numbers that global variables hold in the end."""
    return [
        f"; {name} = {variable.value}"
        for name, variable in running.loaded.variables.items()
        if not variable.spec.read_only and "." not in name and isinstance(variable.value, int)
    ]
