"""Helpers of call chains: those that the machine's task was given."""

from __future__ import annotations

import struct

from ebee.abi import bpf
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import EFAULT, EINVAL, map_of, room, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run
from ebee.vm.maps.stack_traces import StackTraces

_ID_FLAGS = bpf.F_SKIP_FIELD_MASK | bpf.F_USER_STACK | bpf.F_FAST_STACK_CMP | bpf.F_REUSE_STACKID
_STACK_FLAGS = bpf.F_SKIP_FIELD_MASK | bpf.F_USER_STACK | bpf.F_USER_BUILD_ID
_BUILD_ID = struct.Struct("<i20sQ")


def _chain(run: Run, flags: int) -> tuple[int, ...] | None:
    """Return the frames that flags ask for; None where there are none, or all would be skipped."""
    task = run.machine.task
    frames = task.user_stack if flags & bpf.F_USER_STACK else task.kernel_stack
    skipped = flags & bpf.F_SKIP_FIELD_MASK
    return None if not frames or len(frames) < skipped else frames[skipped:]


def _packed(frames: tuple[int, ...], *, build_ids: bool) -> bytes:
    if not build_ids:
        return struct.pack(f"<{len(frames)}Q", *frames)
    return b"".join(_BUILD_ID.pack(bpf.STACK_BUILD_ID_IP, b"", frame) for frame in frames)


@helper("get_stackid")
def get_stackid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Keep the call chain in a map; its id."""
    found = map_of(run, r2, "get_stackid")
    if not isinstance(found, StackTraces):
        raise Fault(f"call of bpf_get_stackid: map '{found.setup.name}' keeps no stack traces")
    if r3 & ~_ID_FLAGS:
        return -EINVAL
    frames = _chain(run, r3)
    if not frames:
        return -EFAULT
    build_ids = bool(found.setup.flags & bpf.F_STACK_BUILD_ID)
    return found.store(_packed(frames, build_ids=build_ids), r3)


@helper("get_stack")
@helper("get_task_stack")
def get_stack(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the call chain; how many bytes it takes."""
    place = room(run, r2, u32(r3))
    build_ids = bool(r4 & bpf.F_USER_BUILD_ID)
    frame_bytes = _BUILD_ID.size if build_ids else 8
    wrong = r4 & ~_STACK_FLAGS or (build_ids and not r4 & bpf.F_USER_STACK) or len(place) % frame_bytes
    frames = _chain(run, r4)
    data = b"" if wrong or frames is None else _packed(frames, build_ids=build_ids)[: len(place)]
    place[:] = data.ljust(len(place), b"\0")
    return -EINVAL if wrong else -EFAULT if frames is None else len(data)
