"""`ebee record FILE`: what the hooks of a program see, into a file that runs anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ebee.cli.call import Answer, Call
from ebee.cli.failures import complain
from ebee.cli.waiting import duration_s, until_interrupted
from ebee.cli.words import UsageError
from ebee.errors import SpecError
from ebee.text import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from ebee.recording.session import Progress, Recorder

_COMM_BYTES = 15
_STDOUT = "-"


def main(call: Call) -> Answer | None:
    """Record until Ctrl-C, for so long, or so many events."""
    path = call.words.take("FILE")
    call.words.finish()
    seconds, count, pid = duration_s(call), _number(call, "count"), _number(call, "pid")
    comm = call.text("comm")
    if comm is not None and not 0 < len(comm.encode()) <= _COMM_BYTES:
        raise UsageError(f"ebee record: comm '{comm}', expected a task's name, 1 to {_COMM_BYTES} bytes")
    output = call.text("output") or f"{os.path.basename(path.replace(':', '-')).partition('.')[0]}.ebee"
    if output == _STDOUT and call.settings.json:
        raise UsageError("ebee record: -o - and -j, expected one of them on standard output")
    from ebee.recording.examples import program_path
    from ebee.recording.session import start_recording
    from ebee.sessions.c import open_spec

    spec = open_spec(program_path(path))
    with _written(output) as file, start_recording(spec, file, call.kernel(), pid=pid, comm=comm) as recorder:
        with until_interrupted(), _meter() as tell:
            _say_what_is_recorded(recorder, output)
            recorder.run(duration_s=seconds, count=count, tell=tell)
        end = recorder.stop()
    if end.lost:
        complain(f"note: {_lost(end)}: they came faster than they could be written")
    if output == _STDOUT:
        complain(f"wrote {_told(end)}")
        return None
    return Answer({"output": output} | end._asdict(), lambda: [f"wrote {output}: {_told(end)}"])


def _number(call: Call, name: str) -> int | None:
    text = call.text(name)
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) < 1 << 31:
        raise UsageError(f"ebee record: {name} '{text}', expected a number, 1 or more")
    return int(text)


def _say_what_is_recorded(recorder: Recorder, output: str) -> None:
    hooks = ", ".join(dict.fromkeys(program.hook for program in recorder.header.programs))
    place = "" if output == _STDOUT else f" into {output}"
    complain(f"recording {hooks}{place}; Ctrl-C ends it")


def _told(progress: Progress) -> str:
    events = f"{progress.events} event{'s' * (progress.events != 1)}"
    lost = f", {_lost(progress)}" if progress.lost else ""
    return f"{events}, {size(progress.event_bytes)}{lost}"


def _lost(progress: Progress) -> str:
    return f"{progress.lost} event{'s' * (progress.lost != 1)} lost"


@contextmanager
def _meter() -> Iterator[Callable[[Progress], None]]:
    """Show the progress in one line, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def tell(progress: Progress) -> None:
        sys.stderr.write(f"\r\x1b[K{_told(progress)}")
        sys.stderr.flush()

    try:
        yield tell
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


@contextmanager
def _written(path: str) -> Iterator[BinaryIO]:
    """Open what a recording is written to: beside its place, which it takes only once it is whole.

    A file that was there before stays where the recording fails.
    """
    if path == _STDOUT:
        yield sys.stdout.buffer
        return
    if os.path.exists(path) and not os.path.isfile(path):
        with _opened(path, path) as file:  # a pipe, a device
            yield file
        return
    partial = f"{path}.part"
    try:
        with _opened(partial, path) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def _opened(place: str, path: str) -> BinaryIO:
    try:
        return open(place, "wb")
    except OSError as error:
        folder = os.path.dirname(path)
        raise SpecError(
            f"write {path}: {(error.strerror or str(error)).lower()}",
            hint=f"there is no folder {folder}" if folder and not os.path.isdir(folder) else None,
        ) from None
