"""mount(2) of the kernel's own file systems."""

from __future__ import annotations

import os

from ebee.errors import KernelError
from ebee.kernel.live.command import explained
from ebee.kernel.live.syscall import address, call, numbers
from ebee.kernel.operations import Operation

# The kernel's own file systems that eBPF needs; nothing of a disk or a network.
FILE_SYSTEMS = frozenset(("bpf", "tracefs", "debugfs", "securityfs"))
MNT_DETACH = 2
# MS_NOSUID | MS_NODEV | MS_NOEXEC
_FLAGS = 2 | 4 | 8


class Mounting:
    """The part of the live kernel that mounts."""

    def mount(self, file_system: str, path: str) -> None:
        """mount(2)."""
        tried = f"mount {file_system} on {path}"
        if file_system not in FILE_SYSTEMS:
            raise KernelError(f"{tried}: expected one of {', '.join(sorted(FILE_SYSTEMS))}")
        name, target = os.fsencode(file_system) + b"\0", os.fsencode(path) + b"\0"
        # bpffs gives everybody all rights unless it is told not to.
        options = b"mode=0700\0" if file_system == "bpf" else b""
        try:
            call(numbers()["mount"], address(name), address(target), address(name), _FLAGS, address(options))
        except OSError as error:
            subject = f"file system {file_system}"
            raise explained(
                error, tried, Operation.MOUNT, subject=subject, needs=("CAP_SYS_ADMIN",)
            ) from None


def unmount(path: str) -> None:
    """Take off what is mounted at a path, even while it is looked at (umount2(2) with MNT_DETACH).

    Raises:
        NotPermittedError: it takes CAP_SYS_ADMIN.
        KernelError: nothing is mounted there.
    """
    target = os.fsencode(path) + b"\0"
    try:
        call(numbers()["umount2"], address(target), MNT_DETACH)
    except OSError as error:
        raise explained(error, f"unmount {path}", Operation.UNMOUNT, needs=("CAP_SYS_ADMIN",)) from None
