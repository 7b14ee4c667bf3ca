"""What commands share that go on until they are told to stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ebee.cli.call import Call
from ebee.cli.words import UsageError


def duration_s(call: Call) -> float | None:
    """Return the option --duration as seconds; None where it was not given."""
    text = call.text("duration")
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found < float("inf"):
        raise UsageError(f"ebee {' '.join(call.command)}: duration '{text}', expected a number of seconds")
    return found


@contextmanager
def until_interrupted() -> Iterator[None]:
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
