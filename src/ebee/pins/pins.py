"""Pin and open pinned objects; mount bpffs where it is missing, and say so."""

from __future__ import annotations

import os
from contextlib import ExitStack

from ebee.errors import KernelError, notify
from ebee.kernel.protocol import Kernel, ObjectKind

BPFFS = "/sys/fs/bpf"


def pin(kernel: Kernel, fd: int, path: str) -> None:
    """Give a program, map or link the name `path`.

    The usual mount point, /sys/fs/bpf, is mounted when it is not; other places are not.

    Raises:
        KernelError: the folder is not there or not on bpffs, or the name is taken.

    Kernel: BPF_OBJ_PIN, since 4.4.
    """
    path = os.path.abspath(path)
    folder = os.path.dirname(path)
    ensure_bpffs(kernel, folder)
    if kernel.is_pinned(path):
        raise KernelError(
            f"pin at {path}: the name is taken",
            errno=17,
            hint=f"remove it first: rm {path}",
        )
    file_system = kernel.pin_folder(folder)
    if file_system is None:
        raise KernelError(
            f"pin at {path}: there is no folder {folder}", errno=2, hint=f"make it first: mkdir -p {folder}"
        )
    if file_system != "bpf":
        raise KernelError(
            f"pin at {path}: {folder} is on {file_system}, expected bpffs",
            errno=22,
            hint=f"use a path below {BPFFS}, or mount one there: mount -t bpf bpf {folder}",
        )
    kernel.pin(fd, path)


def open_pin(kernel: Kernel, path: str, kind: ObjectKind | None = None) -> int:
    """Return a descriptor of what is pinned at a path.

    Args:
        kind: what it must be; None takes anything.

    Raises:
        KernelError: nothing is pinned there, or something of another kind.

    Kernel: BPF_OBJ_GET, since 4.4.
    """
    if not kernel.is_pinned(path):
        raise KernelError(f"open pin {path}: there is no such file", errno=2, hint=_neighbours(kernel, path))
    with ExitStack() as undo:
        fd = kernel.open_pin(path)
        undo.callback(kernel.close, fd)
        found = kernel.kind_of(fd)
        if kind is not None and found is not kind:
            raise KernelError(
                f"open pin {path}: a {found.value} is pinned there, expected a {kind.value}", errno=22
            )
        undo.pop_all()
    return fd


def ensure_bpffs(kernel: Kernel, folder: str) -> None:
    """Mount bpffs at its usual place if `folder` is there or below and nothing is mounted yet."""
    inside = folder == BPFFS or folder.startswith(BPFFS + "/")
    if inside and kernel.pin_folder(BPFFS) not in ("bpf", None):
        kernel.mount("bpf", BPFFS)
        notify(f"mounted bpffs on {BPFFS}")


def _neighbours(kernel: Kernel, path: str) -> str | None:
    from ebee.text import did_you_mean

    return did_you_mean(os.path.basename(path), kernel.pin_names(os.path.dirname(path) or "."))
