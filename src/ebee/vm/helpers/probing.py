"""Helpers that read what may not be there: the kernel's memory and user space's.

Both are settable (`Memory.kernel`, `Memory.user`); memory of the machine's own counts as the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable

from ebee.vm.helpers.common import EFAULT, EINVAL, readable, room, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run
from ebee.vm.memory import NOTHING, OFFSET_MASK, REGION_SHIFT, is_kernel_address

Reader = Callable[[Run, int, int], bytes | None]


def kernel_bytes(run: Run, address: int, size_bytes: int) -> bytes | None:
    """Return bytes of the kernel's memory, or of the machine's; None where one is not there."""
    if is_kernel_address(address):
        return run.memory.kernel.read(address, size_bytes)
    if address >> REGION_SHIFT == NOTHING:
        return None
    return readable(lambda: run.memory.read(address, size_bytes))


def user_bytes(run: Run, address: int, size_bytes: int) -> bytes | None:
    """Return bytes of user space; None where one is not there."""
    if address >> REGION_SHIFT != NOTHING:
        return None
    return run.memory.user.read(address, size_bytes)


def any_bytes(run: Run, address: int, size_bytes: int) -> bytes | None:
    """Return bytes from wherever the address points."""
    read = user_bytes if address >> REGION_SHIFT == NOTHING else kernel_bytes
    return read(run, address, size_bytes)


def kernel_string(run: Run, address: int, most_bytes: int) -> bytes | None:
    """Return the bytes before the first zero, or so many, of the kernel's memory or the machine's."""
    if is_kernel_address(address):
        return run.memory.kernel.read_string(address, most_bytes)
    region = run.memory.find(address)
    if region is None:
        return None
    reachable = min(most_bytes, region.high - (address & OFFSET_MASK))
    text = readable(lambda: run.memory.read(address, reachable)) if reachable > 0 else None
    if text is None or (b"\0" not in text and reachable < most_bytes):
        return None
    return text.partition(b"\0")[0]


def user_string(run: Run, address: int, most_bytes: int) -> bytes | None:
    """Return the bytes before the first zero, or so many, of user space."""
    if address >> REGION_SHIFT != NOTHING:
        return None
    return run.memory.user.read_string(address, most_bytes)


def any_string(run: Run, address: int, most_bytes: int) -> bytes | None:
    """Return a string from wherever the address points."""
    read = user_string if address >> REGION_SHIFT == NOTHING else kernel_string
    return read(run, address, most_bytes)


@helper("probe_read")
def probe_read(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes from anywhere; zeros where they are not there."""
    return _copy(run, r1, u32(r2), any_bytes, r3)


@helper("probe_read_kernel")
def probe_read_kernel(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes of the kernel's memory; zeros where they are not there."""
    return _copy(run, r1, u32(r2), kernel_bytes, r3)


@helper("probe_read_user")
@helper("copy_from_user")
def probe_read_user(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes of user space; zeros where they are not there."""
    return _copy(run, r1, u32(r2), user_bytes, r3)


@helper("copy_from_user_task")
def copy_from_user_task(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes of a task's user space; the machine has one."""
    return -EINVAL if r5 else _copy(run, r1, u32(r2), user_bytes, r3)


@helper("probe_read_str")
def probe_read_str(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy a string from anywhere; its length with the zero."""
    return _copy_string(run, r1, u32(r2), any_string, r3)


@helper("probe_read_kernel_str")
def probe_read_kernel_str(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy a string of the kernel's memory; its length with the zero."""
    return _copy_string(run, r1, u32(r2), kernel_string, r3)


@helper("probe_read_user_str")
def probe_read_user_str(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy a string of user space; its length with the zero."""
    return _copy_string(run, r1, u32(r2), user_string, r3)


@helper("probe_write_user")
def probe_write_user(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write bytes of user space, where there are some."""
    data = run.memory.read(r2, u32(r3)) if u32(r3) else b""
    if user_bytes(run, r1, len(data)) is None:
        return -EFAULT
    run.memory.user.put(r1, data)
    return 0


def _copy(run: Run, target: int, size_bytes: int, read: Reader, source: int) -> int:
    place = room(run, target, size_bytes)
    if not size_bytes:
        return 0
    found = read(run, source, size_bytes)
    place[:] = bytes(size_bytes) if found is None else found
    return -EFAULT if found is None else 0


def _copy_string(run: Run, target: int, size_bytes: int, read: Reader, source: int) -> int:
    place = room(run, target, size_bytes)
    if not size_bytes:
        return 0
    found = read(run, source, size_bytes)
    if found is None:
        place[:] = bytes(size_bytes)
        return -EFAULT
    text = found[: size_bytes - 1]
    place[: len(text) + 1] = text + b"\0"
    return len(text) + 1
