"""`ebee run FILE`: compile, load, attach, show what programs print, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from ebee.cli.call import Answer, Call
from ebee.cli.failures import complain
from ebee.cli.words import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.sessions.c import Running

MODES = ("xdp", "xdpdrv", "xdpgeneric", "xdpoffload")


def main(call: Call) -> Answer | None:
    """Run a C file or an object."""
    path = call.words.take("FILE")
    call.words.finish()
    mode = call.text("mode") or "xdp"
    if mode not in MODES:
        raise UsageError(f"ebee run: mode '{mode}', expected {', '.join(MODES)}")
    duration_s = _duration_s(call)
    from ebee.sessions.c import open_spec, start

    began_s = monotonic()
    spec = open_spec(path)
    with start(spec, device=call.text("dev"), xdp_family=mode, kernel=call.kernel()) as running:
        _say_what_runs(running, (monotonic() - began_s) * 1000)
        with _until_interrupted():
            for line in running.lines(duration_s):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        values = _variables(running)
    complain(f"detached {_listed(running)}{''.join(values)}")
    return None


def _duration_s(call: Call) -> float | None:
    text = call.text("duration")
    if text is None:
        return None
    try:
        duration_s = float(text)
    except ValueError:
        duration_s = -1
    if not 0 <= duration_s < float("inf"):
        raise UsageError(f"ebee run: duration '{text}', expected a number of seconds")
    return duration_s


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Let Ctrl-C, and a polite kill, end what stands inside rather than the program."""
    import signal

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


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
