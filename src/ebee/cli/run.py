"""`ebee run FILE`: compile, load, attach, show what programs print, until Ctrl-C; or run it on packets."""

from __future__ import annotations

import sys
from time import monotonic

from ebee.cli.call import Answer, Call
from ebee.cli.failures import complain
from ebee.cli.waiting import duration_s, until_interrupted
from ebee.cli.words import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.kernel.protocol import Kernel
    from ebee.sessions.c import Running
    from ebee.spec import ObjectSpec

MODES = ("xdp", "xdpdrv", "xdpgeneric", "xdpoffload")
ENGINES = ("interpreter", "native")


def main(call: Call) -> Answer | None:
    """Run a C file or an object."""
    path = call.words.take("FILE")
    call.words.finish()
    _check_options(call)
    from ebee.sessions.c import open_spec

    began_s = monotonic()
    spec = open_spec(path)
    kernel = _kernel(call)
    if call.text("pcap") is not None or kernel.label == "vm":
        from ebee.cli.run_packets import run

        run(call, spec, kernel)
    else:
        _attach(call, spec, kernel, began_s)
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
    if any(call.text(name) is not None for name in ("pcap", "out", "count", "program")):
        from ebee.cli.run_packets import check_options

        check_options(call)


def _attach(call: Call, spec: ObjectSpec, kernel: Kernel, began_s: float) -> None:
    """Attach all programs, and show what they print."""
    from ebee.sessions.c import start

    family = call.text("mode") or "xdp"
    with start(spec, device=call.text("dev"), xdp_family=family, kernel=kernel) as running:
        _say_what_runs(running, (monotonic() - began_s) * 1000)
        with until_interrupted():
            for line in running.lines(duration_s(call)):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        values = _variables(running)
    complain(f"detached {_listed(running)}{''.join(values)}")


def _kernel(call: Call) -> Kernel:
    return call.kernel()


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
