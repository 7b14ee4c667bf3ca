"""bpf(2): one command with its attributes."""

from __future__ import annotations

import os
from collections.abc import Callable

from ebee.abi.bpf import Command
from ebee.abi.layout import Layout, Value
from ebee.errors import KernelError
from ebee.kernel.live.syscall import address, call, numbers
from ebee.kernel.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def bpf(command: Command, attributes: bytearray) -> int:
    """Call bpf(2) and return its result; what the kernel writes stands in `attributes` afterwards.

    A file descriptor that it returns is close-on-exec: the kernel makes no others.

    Raises:
        OSError: it failed; only the errno is told.
    """
    return call(numbers()["bpf"], command, address(attributes), len(attributes))


def explained(
    error: OSError,
    tried: str,
    operation: Operation,
    *,
    subject: str = "",
    needs: tuple[str, ...] = (),
    detail: str = "",
    hint: str | None = None,
) -> KernelError:
    """Return the KernelError for an error of a system call."""
    from ebee.kernel.errors import explain

    number = error.errno or 0
    return explain(
        number,
        tried,
        operation,
        subject=subject,
        needs=needs,
        detail=detail,
        hint=hint,
        filtered=is_filtered(number),
    )


def complaint(error: OSError, name: str, *arguments: Any, **more: Any) -> KernelError:
    """Return what a function of `ebee.kernel.complaints` says of a failed system call.

    By its name, for that module is read only when something fails.
    """
    from ebee.kernel import complaints

    number = error.errno or 0
    say: Callable[..., KernelError] = getattr(complaints, name)
    return say(number, *arguments, filtered=is_filtered(number), **more)


def is_filtered(number: int) -> bool | None:
    """Return whether a seccomp filter refuses bpf(2); None where the errno raises no such question.

    A command that no kernel has is answered with EINVAL by the kernel, and with EPERM by a filter.
    """
    from errno import EACCES, EPERM

    if number not in (EPERM, EACCES):
        return None
    attributes = bytearray(8)
    try:
        call(numbers()["bpf"], 0xFFFF, address(attributes), len(attributes))
    except OSError as error:
        return error.errno in (EPERM, EACCES)
    return None


def number_of(values: dict[str, Value], name: str) -> int:
    """Return a number the kernel told, 0 where it is too old to tell it."""
    value = values.get(name, 0)
    return value if isinstance(value, int) else 0


def unpacked(layout: Layout, attributes: bytearray) -> dict[str, Value]:
    """Return what stands in attributes after a command."""
    return layout.unpack(bytes(attributes))


def close(fd: int) -> None:
    """Close a file descriptor.

    Raises:
        KernelError: EBADF: it was closed before.
    """
    try:
        os.close(fd)
    except OSError as error:
        raise complaint(error, "close_error", fd) from None
