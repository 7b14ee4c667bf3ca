"""System calls by number, and addresses of Python's buffers.

glibc has no bpf(2) and no perf_event_open(2), so they go through syscall(3) by their number on this
architecture.
"""

from __future__ import annotations

import ctypes
import errno as _errno
from functools import cache

from ebee.abi.arch import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_MOST_ARGUMENTS = 6
# Without types ctypes passes 32-bit ints, and addresses lose their upper half.
_syscall.argtypes = (ctypes.c_long,) * (1 + _MOST_ARGUMENTS)


class Buffer(Protocol):
    """Memory that the kernel may write to: a ctypes array of char."""

    raw: bytes

    def __len__(self) -> int: ...


@cache
def numbers() -> dict[str, int]:
    """Return this architecture's numbers of system calls, by name.

    Raises:
        NotSupportedError: ebee does not know the architecture.
    """
    return host().syscalls


def call(number: int, *arguments: int) -> int:
    """Make a system call and return its result; signals that interrupt it are dealt with and it goes on.

    Raises:
        OSError: it failed; the errno is its only content.
    """
    padded = arguments + (0,) * (_MOST_ARGUMENTS - len(arguments))
    while True:
        result: int = _syscall(number, *padded)
        if result >= 0:
            return result
        number_of_error = ctypes.get_errno()
        if number_of_error != _errno.EINTR:
            raise OSError(number_of_error, "")


def buffer(size_bytes: int) -> Buffer:
    """Return zeroed memory that the kernel may write to."""
    made: Buffer = ctypes.create_string_buffer(size_bytes)
    return made


def address(data: bytes | bytearray | Buffer) -> int:
    """Return the address of a buffer, 0 for an empty one.

    It holds while the caller keeps the buffer, and keeps a bytearray's size.
    """
    if len(data) == 0:
        return 0
    if isinstance(data, bytes):
        # ctypes.cast() says the same in four times as long.
        return ctypes.c_void_p.from_buffer(ctypes.c_char_p(data)).value or 0
    if isinstance(data, bytearray):
        return ctypes.addressof(ctypes.c_char.from_buffer(data))
    return ctypes.addressof(data)  # type: ignore[arg-type]


def c_string(data: bytes) -> str:
    """Return the text up to the first zero byte; bytes that are no UTF-8 stay as surrogates."""
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
