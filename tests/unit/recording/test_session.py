"""A recording is made and run again without any rights: the userspace machine stands for the kernel."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

from ebee.errors import VerifierError
from ebee.kernel.simulated import SimulatedKernel
from ebee.recording.events import Event, PieceKind
from ebee.recording.recordings import Recording
from ebee.recording.replaying import replay
from ebee.recording.session import Progress, start_recording
from ebee.spec import ObjectSpec
from ebee.vm.machine import Task
from tests.support.objects import spec_of

USER, KERNEL = 0x7F00_0000_1000, 0xFFFF_8881_0000_2000
TEXT = """
struct seen { __u64 time; __u32 random; char name[16]; char kernel[8]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u32);
         __type(value, struct seen); } all SEC(".maps");
static __attribute__((noinline)) long name(char *to, const void *from)
{ return bpf_probe_read_user_str(to, 16, from); }
SEC("raw_tp/sys_enter") int p(__u64 *ctx)
{
    struct seen seen = {};
    __u32 pid = bpf_get_current_pid_tgid();
    if (name(seen.name, (void *)ctx[0]) < 0) seen.name[0] = '?';
    bpf_probe_read_kernel(seen.kernel, 8, (void *)ctx[1]);
    seen.time = bpf_ktime_get_ns();
    seen.random = bpf_get_prandom_u32();
    bpf_printk("%s", seen.name);
    bpf_map_update_elem(&all, &pid, &seen, BPF_ANY);
    return 0;
}
"""
MEMORY = [(USER, b"/etc/hostname\0"), (KERNEL, b"\1\2\3\4\5\6\7\x08")]
ARGUMENTS = struct.pack("=2Q", USER, KERNEL)


def recorded(
    spec: ObjectSpec, *tasks: Task, engine: str = "interpreter", **wanted: Any
) -> tuple[list[Event], Progress, dict[Any, Any], Recording]:
    """Record while a tracepoint is passed by each of some tasks; what the map held, besides."""
    kernel, file = SimulatedKernel(engine=engine, types=lambda: None), io.BytesIO()
    with start_recording(spec, file, kernel, **wanted) as recorder:
        for task in tasks:
            kernel.emit("raw_tp:sys_enter", ARGUMENTS.ljust(40, b"\0"), task=task, memory=MEMORY, cpu=1)
        maps = dict(recorder.loaded.maps["all"].items())
        progress = recorder.stop()
    recording = Recording(io.BytesIO(file.getvalue()), "x.ebee")
    return list(recording.events()), progress, maps, recording


@pytest.mark.parametrize("engine", ["interpreter", "native"])
def test_what_was_seen_is_seen_again(engine: str) -> None:
    """On both engines: memory, time, random numbers, the task."""
    spec = spec_of(TEXT)
    events, progress, maps, recording = recorded(
        spec, Task(pid=7, tgid=7), Task(pid=8, tgid=8), engine=engine
    )
    assert [(event.pid, event.cpu) for event in events] == [(7, 1), (8, 1)]
    assert (progress.events, progress.lost) == (2, 0)
    with replay(spec, recording, engine=engine) as run:
        lines = [line.message for step in run.steps() for line in step.lines]
        assert dict(run.loaded.maps["all"].items()) == maps
        assert run.missing == 0
    assert lines == ["/etc/hostname"] * 2


def test_an_event_holds_what_the_program_asked_for() -> None:
    """In its order; what it printed went nowhere."""
    ((event,), _, _, _) = recorded(spec_of(TEXT), Task(pid=7, tgid=6, comm="cat", uid=1, gid=2, cgroup_id=3))
    assert event[:2] == (0, event.time_ns)
    assert (event.tgid, event.uid, event.gid, event.cgroup_id, event.comm) == (6, 1, 2, 3, b"cat")
    assert event.context[:16] == ARGUMENTS
    assert [(piece.kind, piece.number) for piece in event.pieces] == [
        (PieceKind.USER, 0),
        (PieceKind.KERNEL, 0),
        (PieceKind.RESULT, 5),
        (PieceKind.RESULT, 7),
    ]
    assert [piece.data for piece in event.pieces[:2]] == [data for _, data in MEMORY]


@pytest.mark.parametrize(
    ("wanted", "pids"),
    [({"pid": 8}, [8]), ({"comm": "cat"}, [7]), ({"pid": 8, "comm": "cat"}, []), ({}, [7, 8])],
)
def test_only_those_that_are_wanted_are_recorded(wanted: dict[str, Any], pids: list[int]) -> None:
    """The programs run for all of them."""
    tasks = [Task(pid=7, tgid=7, comm="cat"), Task(pid=8, tgid=8, comm="ls")]
    events, _, maps, _ = recorded(spec_of(TEXT), *tasks, **wanted)
    assert [event.pid for event in events] == pids
    assert sorted(maps) == [7, 8]


def test_the_header_tells_the_programs() -> None:
    """And the machine."""
    _, _, _, recording = recorded(spec_of(TEXT))
    header = recording.header
    assert [(program.name, program.hook) for program in header.programs] == [("p", "raw_tp:sys_enter")]
    assert (header.object, header.cpus, header.types) == ("test", 2, b"")


def test_a_program_that_is_refused_by_itself_says_why() -> None:
    """Nothing of the recorder's."""
    text = 'SEC("raw_tp/sys_enter") int p(__u64 *ctx) { __u64 *none = 0; return *none; }'
    with pytest.raises(VerifierError) as caught:
        recorded(spec_of(text))
    assert "recorder" not in str(caught.value)
