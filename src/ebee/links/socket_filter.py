"""Socket filters: a program that sees what a socket receives and says how much of it to keep."""

from __future__ import annotations

import os

from ebee.errors import KernelError
from ebee.kernel.errors import explain
from ebee.kernel.protocol import Kernel
from ebee.links.devices import find_device, warn_if_down
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint

_ETH_P_ALL = 3


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
    import socket

    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            # Bound only when the filter is there, so that nothing passes it by.
            kernel.socket_attach(sock.fileno(), program.fd)
            sock.bind((device.name, _ETH_P_ALL))
            return Link(kernel, point, program.name, others=(sock.detach(),))
    except KernelError:
        raise
    except OSError as error:
        tried = f"attach {program.name} to {point}: open a packet socket"
        raise explain(error.errno or 0, tried, needs=("CAP_NET_RAW",)) from None


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
