"""Which file systems are mounted where, from /proc/self/mountinfo."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ebee.record import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"
USUAL_PLACES = {
    "bpf": "/sys/fs/bpf",
    "tracefs": "/sys/kernel/tracing",
    "debugfs": "/sys/kernel/debug",
    "securityfs": "/sys/kernel/security",
}
"""Where each of the kernel's own file systems is mounted by custom; the folders exist in sysfs."""


class Mount(NamedTuple):
    """One mounted file system."""

    path: str
    type: str
    options: str
    read_only: bool


def parse_mountinfo(lines: Iterable[str]) -> list[Mount]:
    """Return the mounts of a /proc/PID/mountinfo, in the order they were made.

    Source: Documentation/filesystems/proc.rst, section 3.5.
    """
    found = []
    for line in lines:
        before, dash, after = line.partition(" - ")
        head, tail = before.split(), after.split()
        if not dash or len(head) < 6 or not tail:
            continue
        read_only = "ro" in head[5].split(",") or "ro" in tail[-1].split(",")
        found.append(Mount(_unescape(head[4]), tail[0], head[5], read_only))
    return found


def mounts() -> list[Mount]:
    """Return what is mounted for this process; nothing where /proc is not mounted."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as lines:
            return parse_mountinfo(lines)
    except OSError:
        return []


def mount_holding(path: str, known: Iterable[Mount] | None = None) -> Mount | None:
    """Return the mount that a path lies on: the longest whose folder holds it, of equals the latest."""
    real = os.path.realpath(path)
    best: Mount | None = None
    for mount in mounts() if known is None else known:
        if _holds(mount.path, real) and (best is None or len(mount.path) >= len(best.path)):
            best = mount
    return best


def bpffs_holding(path: str) -> str | None:
    """Return where the bpffs that holds a path is mounted; None where it lies on another file system."""
    mount = mount_holding(path)
    return mount.path if mount is not None and mount.type == "bpf" else None


def file_system_of(path: str) -> str:
    """Return the type of the file system that a path lies on, such as `ext4`; `unknown` without /proc."""
    mount = mount_holding(path)
    return "unknown" if mount is None else mount.type


def mounted_at(file_system: str) -> str | None:
    """Return where a file system is mounted and to be seen, its usual place first; None where it is not."""
    known = mounts()
    places = [mount.path for mount in known if mount.type == file_system]
    # what is mounted over a mount, or over a folder above it, hides it
    seen = [place for place in places if (top := mount_holding(place, known)) and top.type == file_system]
    usual = USUAL_PLACES.get(file_system)
    return usual if usual in seen else next(iter(seen), None)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _unescape(path: str) -> str:
    r"""Turn `\040` and its like, by which mountinfo writes spaces and backslashes, into characters."""
    if "\\" not in path:
        return path
    import re

    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
