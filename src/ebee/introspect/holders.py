"""Which processes hold objects open, by /proc/PID/fdinfo.

Source: kernel/bpf/syscall.c, bpf_prog_show_fdinfo(), bpf_map_show_fdinfo(), bpf_link_show_fdinfo().
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ebee.kernel.protocol import ObjectKind
from ebee.record import NamedTuple


class Holder(NamedTuple):
    """A process: its id and the name of its main thread."""

    pid: int
    command: str


_KEYS = {ObjectKind.PROGRAM: b"prog_id:", ObjectKind.MAP: b"map_id:", ObjectKind.LINK: b"link_id:"}
_PREFIX = "anon_inode:"


def holders(kind: ObjectKind) -> dict[int, list[Holder]]:
    """Return the processes that hold objects of a kind open, by the objects' ids.

    Only processes that this one may look into: all of this pid namespace for root.
    """
    found: dict[int, list[Holder]] = {}
    for pid in _processes():
        for object_id in sorted(set(_held(pid, kind))):
            found.setdefault(object_id, []).append(Holder(pid, _command(pid)))
    return found


def _processes() -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        return []


def _held(pid: int, kind: ObjectKind) -> Iterator[int]:
    key, folder = _KEYS[kind], f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            # Reading a link is cheaper than reading fdinfo, and most descriptors are files and sockets.
            target = os.readlink(f"{folder}/{name}")
            if not target.startswith(_PREFIX) or "bpf" not in target:
                continue
            with open(f"/proc/{pid}/fdinfo/{name}", "rb") as file:
                object_id = _number(file.read(), key, kind)
        except OSError:
            continue
        if object_id is not None:
            yield object_id


def _number(text: bytes, key: bytes, kind: ObjectKind) -> int | None:
    """Return the id of a descriptor's object; None where it is of another kind."""
    # A link tells its program's id too, but does not hold the program for its process.
    if kind is ObjectKind.PROGRAM and b"link_id:" in text:
        return None
    for line in text.splitlines():
        if line.startswith(key):
            return int(line[len(key) :])
    return None


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="surrogateescape") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
