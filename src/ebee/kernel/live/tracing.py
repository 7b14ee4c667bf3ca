"""The trace pipe: a file of tracefs."""

from __future__ import annotations

import os

from ebee.errors import KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.kernel.protocol import Kernel, TraceSource

_CHUNK_BYTES = 1 << 16


class TraceFile:
    """A file whose bytes are lines: tracefs's `trace_pipe`.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def read(self) -> bytes:
        """read(2), without waiting."""
        try:
            return os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """close(2)."""
        os.close(self.fd)


class Tracing:
    """The part of the live kernel that reads what programs print."""

    def open_trace_pipe(self: Kernel) -> TraceSource:
        """Open it in tracefs, which is mounted where it is not."""
        from ebee.host.tracefs import trace_pipe_path

        path = trace_pipe_path(self)
        try:
            return TraceFile(path)
        except OSError as error:
            raise _refused(error.errno or 0, path) from None


def _refused(number: int, path: str) -> KernelError:
    from errno import EBUSY

    from ebee.kernel.errors import explain

    if number == EBUSY:
        return KernelError(
            f"open {path}: it is being read already (EBUSY)",
            errno=EBUSY,
            hint=f"the trace pipe has one reader at a time; see which it is: fuser {path}",
        )
    return explain(number, f"open {path}")
