"""Runs the compiler: no shell, no temporary names on disk, never longer than it may."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ebee.errors import ToolError
from ebee.record import NamedTuple

# Through this path clang writes its list of included files; number 3 is ours to give.
DEPENDENCIES_PATH = "/proc/self/fd/3"

# Variables by which clang or zig would compile something else than what the arguments say.
_IGNORED_VARIABLES = frozenset(
    {
        "CCC_OVERRIDE_OPTIONS",
        "CLANG_CONFIG_FILE_SYSTEM_DIR",
        "COMPILER_PATH",
        "CPATH",
        "CPLUS_INCLUDE_PATH",
        "C_INCLUDE_PATH",
        "DEPENDENCIES_OUTPUT",
        "OBJC_INCLUDE_PATH",
        "QA_OVERRIDE_GCC3_OPTIONS",
        "SOURCE_DATE_EPOCH",
        "SUNPRO_DEPENDENCIES",
    }
)

_SIGKILL = 9


class Finished(NamedTuple):
    """What a compiler run left behind.

    Attributes:
        status: the exit code, or a signal's number negated.
        output: its standard output: the object.
        messages: its standard error.
        dependencies: a make rule that names every file read.
    """

    status: int
    output: bytes
    messages: bytes
    dependencies: bytes


def run_compiler(words: Sequence[str], *, stdin: bytes, timeout_s: float) -> Finished:
    """Run a compiler until it ends, and return what it wrote.

    The four streams are files in memory: nothing can block on a full pipe, and no folder has to
    be writable. `posix_spawn` saves the 10 ms that importing `subprocess` costs.

    Raises:
        ToolError: it cannot be started, or did not end within `timeout_s`.
    """
    files: list[int] = []
    try:
        files.extend(_scratch_file() for _ in range(4))
        _write_all(files[0], stdin)
        os.lseek(files[0], 0, os.SEEK_SET)
        status = _spawn_and_wait(words, files, timeout_s)
        return Finished(status, *[_read_all(descriptor) for descriptor in files[1:]])
    finally:
        for descriptor in files:
            os.close(descriptor)


def _spawn_and_wait(words: Sequence[str], files: Sequence[int], timeout_s: float) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(files)]
    try:
        # A process group of its own, so that a wrapper script's children end with it.
        pid = os.posix_spawn(
            words[0], list(words), _environment(os.environ), file_actions=actions, setpgroup=0
        )
    except OSError as error:
        raise ToolError(
            f"starting the compiler {words[0]}: {error.strerror}, expected a program that can be run",
            hint="set EBEE_CLANG to a clang that runs on this machine, or reinstall the ziglang package",
        ) from error
    status: int | None = None
    try:
        status = _wait(pid, timeout_s)
    finally:
        if status is None:
            _kill_group(pid)
    if status is None:
        raise ToolError(
            f"compiling: {words[0]} did not end within {timeout_s:g} s, expected it to finish",
            hint="macros or headers that include themselves can keep clang busy; try smaller parts",
        )
    return status


def _wait(pid: int, timeout_s: float) -> int | None:
    """Return the exit status, or None when the time is over."""
    try:
        ended = os.pidfd_open(pid)
    except (AttributeError, OSError):  # before Linux 5.3, or a Python built without it
        return _wait_by_asking(pid, timeout_s)
    try:
        from select import POLLIN, poll

        poller = poll()
        poller.register(ended, POLLIN)
        if not poller.poll(timeout_s * 1000):
            return None
    finally:
        os.close(ended)
    return _collect(pid, 0)


def _wait_by_asking(pid: int, timeout_s: float) -> int | None:
    from time import monotonic, sleep

    end = monotonic() + timeout_s
    while (status := _collect(pid, os.WNOHANG)) is None and monotonic() < end:
        sleep(0.001)
    return status


def _collect(pid: int, flags: int) -> int | None:
    """Return the status of a child that ended; None where it still runs."""
    try:
        found, status = os.waitpid(pid, flags)
    except ChildProcessError:  # the caller ignores SIGCHLD, so the kernel kept no status
        return 0
    return os.waitstatus_to_exitcode(status) if found else None


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, _SIGKILL)
    except ProcessLookupError:
        return
    _collect(pid, 0)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _IGNORED_VARIABLES}


def _scratch_file() -> int:
    """Return a nameless file that can be read, written and sought, numbered above 3.

    Numbers up to 3 are what the child's streams become; a source among them would be overwritten
    before it is copied. So while we hold a low number we ask for the next one.
    """
    descriptor = _nameless_file()
    if descriptor > 3:
        return descriptor
    try:
        return _scratch_file()
    finally:
        os.close(descriptor)


def _nameless_file() -> int:
    try:
        return os.memfd_create("ebee")
    except (AttributeError, OSError):  # a Python built for an old C library, or a strict sandbox
        from tempfile import TemporaryFile

        with TemporaryFile() as file:
            return os.dup(file.fileno())


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
