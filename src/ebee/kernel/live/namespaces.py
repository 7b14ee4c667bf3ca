"""Namespaces: for laboratories and tests that must not touch the machine's own network and mounts."""

from __future__ import annotations

import os

from ebee.kernel.live.command import explained
from ebee.kernel.live.syscall import call, numbers
from ebee.kernel.operations import Operation

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000


def unshare_network() -> None:
    """Give this thread a network namespace of its own, with a loopback interface that is down.

    It goes when the last thread, open socket and descriptor in it have gone.

    Raises:
        NotPermittedError: it takes CAP_SYS_ADMIN.
    """
    _unshare(CLONE_NEWNET, "make a network namespace")


def unshare_mounts() -> None:
    """Give this thread a mount namespace of its own.

    What is mounted in it is seen nowhere else once its mounts are private, which this does not do.

    Raises:
        NotPermittedError: it takes CAP_SYS_ADMIN.
    """
    _unshare(CLONE_NEWNS, "make a mount namespace")


def network_namespace() -> int:
    """Return a descriptor of this thread's network namespace, to come back to with `enter_network`."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_network(fd: int) -> None:
    """Put this thread into a network namespace.

    Args:
        fd: a descriptor of it: of /proc/PID/ns/net, or from `network_namespace`.

    Raises:
        NotPermittedError: it takes CAP_SYS_ADMIN.
    """
    try:
        call(numbers()["setns"], fd, CLONE_NEWNET)
    except OSError as error:
        raise explained(
            error, f"enter network namespace (fd {fd})", Operation.NAMESPACE, needs=("CAP_SYS_ADMIN",)
        ) from None


def _unshare(flags: int, tried: str) -> None:
    try:
        call(numbers()["unshare"], flags)
    except OSError as error:
        raise explained(
            error, tried, Operation.NAMESPACE, subject="such namespaces", needs=("CAP_SYS_ADMIN",)
        ) from None
