"""What programs print: lines as tracefs writes them, through a pipe of the operating system's."""

from __future__ import annotations

import errno
import os
from collections import deque

from ebee.errors import KernelError
from ebee.vm.machine import Machine

_CHUNK_BYTES = 1 << 16
_MOST_LINES = 100_000
"""How many lines wait for a reader; as in the kernel's buffer, the oldest are lost first."""
_NS_PER_S = 1_000_000_000


class TraceBuffer:
    """Lines that nobody has read yet, and the one reader there may be."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._reader: TraceReader | None = None
        self.cpu = 0

    def print(self, message: str) -> None:
        """Add the lines of one bpf_printk(): task, pid, CPU, flags and time stand before each."""
        task = self._machine.task
        at_ns = self._machine.clock_ns()
        seconds, rest = divmod(at_ns, _NS_PER_S)
        head = f"{task.comm[:15]:>16}-{task.pid:<7d} [{self.cpu:03d}] ....1 {seconds:5d}.{rest // 1000:06d}: "
        self._add(f"{head}bpf_trace_printk: {message}".encode("utf-8", "surrogateescape") + b"\n")

    def _add(self, line: bytes) -> None:
        if len(self._lines) == _MOST_LINES:
            self._lines.popleft()
            self._lost += 1
        self._lines.append(line)
        if self._reader is not None:
            self._reader.fill()

    def take(self) -> bytes:
        """Take the next line away; nothing where there is none."""
        if self._lost:
            lost, self._lost = self._lost, 0
            return f"CPU:{self.cpu} [LOST {lost} EVENTS]\n".encode()
        return self._lines.popleft() if self._lines else b""

    def open(self) -> TraceReader:
        """Return the reader.

        Raises:
            KernelError: EBUSY, there is one already.
        """
        if self._reader is not None:
            raise KernelError(
                "open trace_pipe of the userspace machine: it is being read already (EBUSY)",
                errno=errno.EBUSY,
                hint="the trace pipe has one reader at a time: close the other one first",
            )
        self._reader = TraceReader(self)
        self._reader.fill()
        return self._reader

    def forget_reader(self) -> None:
        """Let another one read."""
        self._reader = None


class TraceReader:
    """The reading end: bytes go through a pipe, so that a reader can wait for its descriptor.

    A pipe holds 64 KiB. What does not fit waits, and follows as soon as there is room.
    """

    def __init__(self, lines: TraceBuffer) -> None:
        self._lines = lines
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self._rest = b""

    def fill(self) -> None:
        """Move what there is into the pipe, as much as fits."""
        while data := self._rest or self._lines.take():
            try:
                written = os.write(self._write_fd, data)
            except BlockingIOError:
                written = 0
            self._rest = data[written:]
            if self._rest:
                return

    def read(self) -> bytes:
        """Return what is there, without waiting."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return b""
        self.fill()
        return data

    def close(self) -> None:
        """Stop reading; lines that come are kept for the next reader."""
        os.close(self.fd)
        os.close(self._write_fd)
        self._lines.forget_reader()
