"""The trace pipe: lines that programs write by bpf_printk().

One reader takes a line away from all others: two `tracelog`s at a time see half each.

Source: Documentation/trace/ftrace.rst, "trace_pipe".
"""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Callable, Iterator

from ebee.errors import GoneError
from ebee.kernel.protocol import Kernel, TraceSource
from ebee.record import NamedTuple

# `task-pid     [cpu] flags timestamp: bpf_trace_printk: message`. The task's name takes 16 columns and
# may hold spaces, dashes and brackets. With the option record-tgid the thread group's id, or dashes,
# stands in parentheses behind the pid.
_LINE = (
    r"(?P<task>.{1,16}?)-(?P<pid>[0-9]{1,10})\s+(?:\(\s*[-0-9]+\)\s+)?\[(?P<cpu>[0-9]{1,5})\]\s+"
    r"(?:(?P<flags>\S+)\s+)?(?P<time>[0-9]{1,12}\.[0-9]{1,9}): bpf_trace_printk: (?P<message>.*)"
)
"""Compiled when the first line comes, and kept by the standard library."""


class TraceLine(NamedTuple):
    """One line of the trace pipe.

    Attributes:
        task: the name of the task that was running, at most 15 characters.
        pid: its thread's id; 0 is the idle task.
        cpu: on which CPU.
        flags: five characters or so: interrupts, need to reschedule, hard or soft interrupt, depth.
        timestamp_s: seconds of the tracing clock.
        message: what the program wrote.
        raw: the line as it came.
    """

    task: str
    pid: int
    cpu: int
    flags: str
    timestamp_s: float
    message: str
    raw: str

    def __str__(self) -> str:
        return self.raw


class TracePipe:
    """Lines of the trace pipe, as an iterator and as an async iterator.

        with ebee.trace_pipe() as lines:
            for line in lines:
                print(line.message)

    It waits for lines for ever; `read_available` does not wait.

    Args:
        source: the pipe's bytes, as a kernel gives them; it is closed with this.
    """

    _source: TraceSource | None = None

    def __init__(self, source: TraceSource) -> None:
        self._source = source
        self._rest = b""
        self._waiting: list[Callable[[], None]] = []

    @property
    def fd(self) -> int:
        """Its descriptor, ready for reading when lines are there.

        Raises:
            GoneError: it was closed.
        """
        return self._open.fd

    @property
    def _open(self) -> TraceSource:
        if self._source is None:
            raise GoneError("trace pipe: used after it was closed")
        return self._source

    def read_available(self) -> list[TraceLine]:
        """Return the lines that are there now, without waiting."""
        *lines, self._rest = (self._rest + self._open.read()).split(b"\n")
        return [parse_line(line.decode("utf-8", "replace")) for line in lines]

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until lines are there; return False when the time ran out first."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        return bool(poller.poll(None if timeout_s is None else max(0, timeout_s) * 1000))

    def __iter__(self) -> Iterator[TraceLine]:
        while self._source is not None:
            self.wait()
            yield from self.read_available()

    async def __aiter__(self) -> AsyncIterator[TraceLine]:
        while self._source is not None:
            for line in self.read_available():
                yield line
            if self._source is not None:
                await self._readable(self._source.fd)

    async def _readable(self, fd: int) -> None:
        """Wait until lines are there or the pipe is closed."""
        import asyncio

        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        # Listened to only while somebody waits: a reader who is busy elsewhere must not keep the
        # loop turning because lines are there.
        loop.add_reader(fd, ready.set)

        def stop() -> None:
            loop.remove_reader(fd)
            ready.set()

        self._waiting.append(stop)
        try:
            await ready.wait()
        finally:
            if stop in self._waiting:
                self._waiting.remove(stop)
                loop.remove_reader(fd)

    def close(self) -> None:
        """Stop reading; whoever iterates ends. Closing twice does nothing."""
        if self._source is not None:
            while self._waiting:
                self._waiting.pop()()
            self._source.close()
            self._source = None

    def __del__(self) -> None:
        # A loop over a pipe that nobody named leaves nobody to close it, and it has one reader.
        self.close()

    def __enter__(self) -> TracePipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_line(raw: str) -> TraceLine:
    """Return the parts of a line; a line of another shape is all message."""
    import re

    found = re.fullmatch(_LINE, raw, re.DOTALL)
    if found is None:
        return TraceLine("", 0, 0, "", 0.0, raw, raw)
    return TraceLine(
        task=found["task"].strip(),
        pid=int(found["pid"]),
        cpu=int(found["cpu"]),
        flags=found["flags"] or "",
        timestamp_s=float(found["time"]),
        message=found["message"],
        raw=raw,
    )


def open_trace_pipe(kernel: Kernel) -> TracePipe:
    """Open the trace pipe; mount tracefs where it is not mounted, and say so.

    Raises:
        KernelError: it is being read already, here or by another process, and the kernel lets only one.
        NotPermittedError: reading it needs root.
        NotSupportedError: this kernel has no tracefs.
    """
    return TracePipe(kernel.open_trace_pipe())
