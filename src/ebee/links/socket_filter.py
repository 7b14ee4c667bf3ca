"""Socket filters: a program that sees what a socket receives and says how much of it to keep."""

from __future__ import annotations

import os

from ebee.errors import KernelError
from ebee.kernel.protocol import Kernel
from ebee.links.devices import find_device, warn_if_down
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint


def attach(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    """Attach to a socket of this process, `socket:FD`, or to all that an interface receives, `socket:eth0`.

    For an interface a packet socket of the link's own is opened. The filter goes with its socket, or
    when the link is closed.

    Raises:
        AttachError: there is no such interface, or the descriptor is no socket's.
    """
    if not point.target.isdigit():
        return _attach_to_device(kernel, program, point)
    socket_fd = int(point.target)
    kernel.socket_attach(socket_fd, program.fd)
    identity = _identity(socket_fd)
    return Link(kernel, point, program.name, undo=lambda: _detach(kernel, socket_fd, identity))


def _attach_to_device(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    device = find_device(kernel, program.name, point)
    warn_if_down(device)
    try:
        fd = kernel.packet_socket(device.name, program.fd)
    except KernelError as error:
        tried = "open a packet socket"
        raise error.about(tried, f"attach {program.name} to {point}: {tried}") from None
    return Link(kernel, point, program.name, others=(fd,))


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _detach(kernel: Kernel, socket_fd: int, identity: tuple[int, int] | None) -> None:
    """Take the filter off, unless the socket was closed and its number went to something else."""
    if _identity(socket_fd) == identity:
        kernel.socket_attach(socket_fd, None)
