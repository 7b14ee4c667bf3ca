"""What hooks of the running kernel see is recorded, and runs on the userspace machine as it ran here."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ebee.cli import run
from ebee.errors import VerifierError
from ebee.kernel.live import LiveKernel
from ebee.recording.events import PieceKind
from ebee.recording.recordings import Recording, open_recording
from ebee.recording.replaying import Replay, replay
from ebee.recording.session import Progress, start_recording
from ebee.spec import ObjectSpec
from tests.kernel.door import needs_root
from tests.kernel.place import write
from tests.support.objects import spec_of

pytestmark = [needs_root, pytest.mark.starts_processes]
KERNEL = LiveKernel()
BPF_F_USER_STACK = 256
CHILD = """
import os, sys
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Child:
    """A process that does what it is told, so that its events are known."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self.do("pass")

    def do(self, statement: str) -> None:
        """Let it run a statement of Python, and wait for the end of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(statement + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.close()


@pytest.fixture
def quiet(tmp_path: Path) -> str:
    """Give the path of a program that does nothing, under a name that nobody else's task has."""
    return shutil.copy("/bin/true", str(tmp_path / "ebee-quiet"))


def recorded(
    spec: ObjectSpec, pid: int | None, action: Callable[[], None], comm: str | None = None
) -> tuple[Recording, Progress, dict[str, dict[Any, Any]]]:
    """Record while something is done; return the recording, and what the maps held."""
    file = io.BytesIO()
    with start_recording(spec, file, KERNEL, pid=pid, comm=comm) as recorder:
        action()
        recorder.run(duration_s=0)
        maps = contents(recorder.loaded.maps, spec)
        progress = recorder.stop()
    return Recording(io.BytesIO(file.getvalue()), "x.ebee"), progress, maps


def contents(maps: object, spec: ObjectSpec) -> dict[str, dict[Any, Any]]:
    """Return what the object's own maps hold."""
    assert isinstance(maps, dict)
    return {name: dict(maps[name].items()) for name, item in spec.maps.items() if not item.frozen}


@contextmanager
def replayed(spec: ObjectSpec, recording: Recording) -> Iterator[tuple[Replay, list[str]]]:
    """Run an object over a recording; what it prints."""
    with replay(spec, recording, engine="interpreter") as running:
        lines = [line.message for step in running.steps() for line in step.lines]
        assert running.missing == 0
        yield running, lines


OPEN = """
struct args { __u64 common; __s64 nr; __s64 dfd; const char *name; };
SEC("tracepoint/syscalls/sys_enter_openat") int opens(struct args *ctx)
{
    char name[32];
    bpf_probe_read_user_str(name, sizeof(name), ctx->name);
    bpf_printk("%s", name);
    return 0;
}
"""


@pytest.mark.everywhere
def test_a_system_calls_strings_are_recorded(child: Child) -> None:
    """And run again without rights."""
    spec = spec_of(OPEN)
    recording, progress, _ = recorded(spec, child.pid, lambda: child.do('open("/etc/hostname").close()'))
    (event,) = recording.events()
    assert (event.tgid, event.uid, event.comm) == (
        child.pid,
        0,
        os.fsencode(Path(f"/proc/{child.pid}/comm").read_text()[:-1]),
    )
    assert [(piece.kind, piece.data) for piece in event.pieces] == [(PieceKind.USER, b"/etc/hostname\0")]
    assert (progress.events, progress.lost) == (1, 0)
    with replayed(spec, recording) as (_, lines):
        assert lines == ["/etc/hostname"]


def test_a_program_with_more_room_finds_the_whole_string(child: Child) -> None:
    """However little the recorded one read."""
    narrow = spec_of(OPEN.replace("name[32]", "name[8]"))
    recording, _, _ = recorded(narrow, child.pid, lambda: child.do('open("/etc/hostname").close()'))
    with replayed(narrow, recording) as (_, lines):
        assert lines == ["/etc/ho"]
    with replayed(spec_of(OPEN), recording) as (_, lines):
        assert lines == ["/etc/hostname"]


def test_nothing_but_fields_is_in_a_context(child: Child) -> None:
    """Neither the kernel's pointer at its begin nor what lies between fields."""
    recording, _, _ = recorded(spec_of(OPEN), child.pid, lambda: child.do('open("/etc/hostname").close()'))
    (event,) = recording.events()
    assert event.context[:8] == bytes(8)
    assert event.context[12:16] == bytes(4)
    assert len(event.context) == 48


ALL = """
struct task_struct { int pid; int tgid; struct task_struct *real_parent; char comm[16]; }
    __attribute__((preserve_access_index));
struct linux_binprm { const char *filename; int argc; } __attribute__((preserve_access_index));
struct formatted { __u64 common; __u32 place; int pid; int old_pid; };
struct seen { __u64 time; int parent; int pid; int argc; int steps; __u32 random; char name[128]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024); __type(key, __u32);
         __type(value, struct seen); }
    raw_seen SEC(".maps"), typed_seen SEC(".maps"), formatted_seen SEC(".maps");
__attribute__((noinline)) int sum_of(int a, int b) { return a + b; }
static long step(__u32 index, void *context) { *(int *)context += sum_of(index, 1); return 0; }

SEC("raw_tp/sched_process_exec") int raw(struct bpf_raw_tracepoint_args *ctx)
{
    struct seen seen = {};
    struct task_struct *task = (void *)ctx->args[0];
    struct linux_binprm *program = (void *)ctx->args[2];
    __u32 key = bpf_get_current_pid_tgid();
    struct task_struct *parent = BPF_CORE_READ(task, real_parent);
    seen.time = bpf_ktime_get_ns();
    seen.parent = BPF_CORE_READ(parent, tgid);
    seen.pid = BPF_CORE_READ(task, pid);
    seen.argc = BPF_CORE_READ(program, argc);
    bpf_probe_read_kernel_str(seen.name, sizeof(seen.name), BPF_CORE_READ(program, filename));
    bpf_loop(4, step, &seen.steps, 0);
    seen.random = bpf_get_prandom_u32();
    bpf_map_update_elem(&raw_seen, &key, &seen, BPF_ANY);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(typed, struct task_struct *task, int old, struct linux_binprm *program)
{
    struct seen seen = {};
    struct task_struct *current = (void *)bpf_get_current_task_btf();
    __u32 key = task->pid;
    for (int i = 0; i < 3 && current; i++) {
        seen.steps += current->tgid;
        current = current->real_parent;
    }
    seen.parent = task->real_parent->tgid;
    seen.pid = task->pid;
    seen.argc = program->argc;
    bpf_probe_read_kernel_str(seen.name, sizeof(seen.name), program->filename);
    bpf_map_update_elem(&typed_seen, &key, &seen, BPF_ANY);
    return 0;
}

SEC("tracepoint/sched/sched_process_exec") int formatted(struct formatted *ctx)
{
    struct seen seen = { .pid = ctx->pid, .parent = ctx->old_pid };
    __u32 key = ctx->pid;
    bpf_probe_read_kernel_str(seen.name, sizeof(seen.name), (char *)ctx + (ctx->place & 0xffff));
    bpf_map_update_elem(&formatted_seen, &key, &seen, BPF_ANY);
    return 0;
}
"""


def test_maps_are_the_same_here_and_there(quiet: str) -> None:
    """Of raw, typed and formatted tracepoints: times, random numbers, strings, fields of fields."""
    text = "#include <bpf/bpf_core_read.h>\n#include <bpf/bpf_tracing.h>\n" + ALL
    spec = spec_of(text)
    recording, progress, maps = recorded(spec, None, lambda: start(quiet), comm="ebee-quiet")
    assert progress.events == 3
    with replayed(spec, recording) as (running, _):
        found = contents(running.loaded.maps, spec)
    # Here the programs also ran for tasks that were not recorded.
    assert found == {name: {key: maps[name][key] for key in entries} for name, entries in found.items()}
    assert [[value.name for value in entries.values()] for entries in found.values()] == [[quiet]] * 3


def start(command: str) -> None:
    """Run a command."""
    subprocess.run([command], check=True, stdout=subprocess.DEVNULL)


def test_types_come_along_so_that_fields_are_found_anywhere(quiet: str) -> None:
    """A few of the kernel's many."""
    text = "#include <bpf/bpf_core_read.h>\n#include <bpf/bpf_tracing.h>\n" + ALL
    recording, _, _ = recorded(spec_of(text), None, lambda: start(quiet), comm="ebee-quiet")
    assert 1000 < len(recording.header.types) < 100_000


def test_ones_own_process_is_left_out(child: Child) -> None:
    """What records would record itself."""

    def both() -> None:
        child.do('open("/etc/hostname").close()')
        Path("/etc/hostname").read_bytes()

    recording, _, _ = recorded(spec_of(OPEN), None, both)
    processes = {event.tgid for event in recording.events()}
    assert child.pid in processes
    assert os.getpid() not in processes


def test_only_tasks_of_a_name_are_recorded(quiet: str) -> None:
    """Which they have from the file they run."""
    recording, _, _ = recorded(spec_of(OPEN), None, lambda: start(quiet), comm="ebee-quiet")
    assert {event.comm for event in recording.events()} == {b"ebee-quiet"}


def test_stacks_are_recorded_whole(child: Child) -> None:
    """Whatever part of them the program takes."""
    text = """
    struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 64); __uint(key_size, 4);
             __uint(value_size, 1016); } stacks SEC(".maps");
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {
        __u64 stack[3] = {};
        bpf_get_stackid(ctx, &stacks, 0);
        bpf_get_stack(ctx, stack, sizeof(stack), BPF_F_USER_STACK);
        bpf_printk("%llx", stack[0]);
        return 0;
    }
    """
    spec = spec_of(text)
    recording, _, _ = recorded(spec, child.pid, lambda: child.do('open("/etc/hostname").close()'))
    (event,) = recording.events()
    # Some kernels give none of their own at a system call.
    found = {piece.address: piece.data for piece in event.pieces}
    with replayed(spec, recording) as (running, lines):
        assert lines == [f"{int.from_bytes(found[BPF_F_USER_STACK][:8], sys.byteorder):x}"]
        kernel = found.get(0, b"")
        assert all(bytes(each)[: len(kernel)] == kernel for each in running.loaded.maps["stacks"].values())
        assert len(running.loaded.maps["stacks"]) == (0 in found)


def test_memory_that_could_not_be_read_cannot_be_read_again(child: Child) -> None:
    """And is not missed."""
    text = """
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {
        long number;
        bpf_printk("%d", bpf_probe_read_user(&number, 8, (void *)16));
        return 0;
    }
    """
    spec = spec_of(text)
    recording, _, _ = recorded(spec, child.pid, lambda: child.do('open("/etc/hostname").close()'))
    (event,) = recording.events()
    assert [(piece.kind, piece.address, piece.number) for piece in event.pieces] == [
        (PieceKind.FAILED, 16, -14)
    ]
    with replayed(spec, recording) as (_, lines):
        assert lines == ["-14"]


GREEDY = """
SEC("raw_tp/sys_enter") int greedy(__u64 *ctx)
{
    static char room[4096];
    if (ctx[1] != %d) return 0;
    for (int i = 0; i < %d; i++)
        bpf_probe_read_kernel(room, sizeof(room), room);
    return 0;
}
"""
GETPPID = {"x86_64": 110, "aarch64": 173}


def test_events_that_find_no_room_are_counted(child: Child) -> None:
    """None is cut in two."""
    spec = spec_of(GREEDY % (GETPPID[os.uname().machine], 6))
    recording, progress, _ = recorded(spec, child.pid, lambda: child.do("for _ in range(1000): os.getppid()"))
    events = [event for event in recording.events() if event.pieces]
    assert progress.lost > 500
    assert len(events) + progress.lost >= 1000
    assert not any(event.is_cut for event in events)
    assert {len(event.pieces) for event in events} == {6}


def test_what_has_no_room_in_an_event_is_left_out_and_said(child: Child) -> None:
    """The rest of the event is there."""
    spec = spec_of(GREEDY % (GETPPID[os.uname().machine], 12))
    recording, _, _ = recorded(spec, child.pid, lambda: child.do("os.getppid()"))
    (event,) = (event for event in recording.events() if event.pieces)
    assert event.is_cut
    assert len(event.pieces) == 7


def test_a_recording_ends_after_so_many_events(child: Child) -> None:
    """However many there were."""
    file = io.BytesIO()
    with start_recording(spec_of(OPEN), file, KERNEL, pid=child.pid) as recorder:
        child.do('for _ in range(9): open("/etc/hostname").close()')
        told: list[Progress] = []
        recorder.run(count=4, tell=told.append)
        assert recorder.progress().events == 4
        assert told[-1].events == 4
        child.do('open("/etc/hostname").close()')
        assert recorder.stop().events == 4


def test_a_program_that_the_verifier_refuses_is_refused_for_itself() -> None:
    """Not for what the recorder adds to it."""
    text = 'SEC("raw_tp/sys_enter") int bad(__u64 *ctx) { return *(int *)ctx[0]; }'
    with pytest.raises(VerifierError) as caught:
        recorded(spec_of(text), None, lambda: None)
    assert "with the recorder's calls" not in str(caught.value)


DEEP = (
    """
static __attribute__((noinline)) long call1(__u64 *ctx) { return bpf_ktime_get_ns() + ctx[1]; }
"""
    + "".join(
        f"static __attribute__((noinline)) long call{n}(__u64 *ctx) {{ return call{n - 1}(ctx) + ctx[1]; }}\n"
        for n in range(2, 8)
    )
    + 'SEC("raw_tp/sys_enter") int deep(__u64 *ctx) { return call7(ctx) & 1; }'
)


def test_a_program_without_room_for_the_recorder_is_told() -> None:
    """The verifier would have taken it by itself."""
    with pytest.raises(VerifierError) as caught:
        recorded(spec_of(DEEP), None, lambda: None)
    assert str(caught.value) == (
        "record deep: the verifier takes it by itself, but not with the recorder's calls"
    )
    assert caught.value.hint == (
        "they take two frames, up to 64 bytes of stack, and paths of their own: make the program smaller"
    )


# -- the command -------------------------------------------------------------------------------------
def test_the_command_writes_a_recording(
    tmp_path: Path, child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what it does."""
    path, output = write(tmp_path, OPEN, "open.bpf.c"), str(tmp_path / "open.ebee")
    assert run(["record", path, "-o", output, "--pid", str(child.pid), "--duration", "0.1"]) == 0
    said = capsys.readouterr()
    assert said.out == f"wrote {output}: 0 events, 0 B\n"
    assert said.err == (f"recording tracepoint:syscalls:sys_enter_openat into {output}; Ctrl-C ends it\n")
    with open_recording(output) as recording:
        assert list(recording.events()) == []


@pytest.mark.starts_processes
def test_the_command_ends_whole_when_it_is_interrupted(tmp_path: Path, child: Child) -> None:
    """Ctrl-C is how it ends."""
    path, output = write(tmp_path, OPEN, "open.bpf.c"), tmp_path / "open.ebee"
    command = [sys.executable, "-m", "ebee", "-j", "record", path, "-o", str(output), "--pid", str(child.pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "Ctrl-C ends it" in process.stderr.readline()
        child.do('open("/etc/hostname").close()')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert '"events":1' in out
    with open_recording(str(output)) as recording:
        assert len(list(recording.events())) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["open.bpf.c", "open.ebee"]


def test_a_recording_that_fails_leaves_an_older_one_alone(tmp_path: Path) -> None:
    """Its file takes its place only once it is whole."""
    path = write(tmp_path, 'SEC("tracepoint/sched/none_such") int p(void *c) { return 0; }')
    older = tmp_path / "x.ebee"
    older.write_bytes(b"older")
    assert run(["record", path, "-o", str(older), "--duration", "0"]) == 1
    assert older.read_bytes() == b"older"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["test.bpf.c", "x.ebee"]


def test_strings_of_the_kernels_that_are_printed_are_recorded(quiet: str) -> None:
    """A typed program hands them to bpf_printk() as they are."""
    text = """
    struct task_struct { char comm[16]; struct task_struct *real_parent; }
        __attribute__((preserve_access_index));
    SEC("tp_btf/sched_process_exec") int p(__u64 *ctx)
    {
        struct task_struct *task = (void *)ctx[0];
        bpf_printk("%s of %s", task->comm, task->real_parent->comm);
        return 0;
    }
    """
    spec = spec_of(text)
    recording, _, _ = recorded(spec, None, lambda: start(quiet), comm="ebee-quiet")
    with replayed(spec, recording) as (_, lines):
        own = Path("/proc/self/comm").read_text().strip()
        assert lines == [f"ebee-quiet of {own}"]


def test_a_program_of_another_license_is_told() -> None:
    """The recorder reads by helpers that are for GPL programs only."""
    spec = spec_of('SEC("raw_tp/sys_enter") int p(void *ctx) { return bpf_get_smp_processor_id() & 1; }')
    spec.license = "Proprietary"
    with pytest.raises(VerifierError) as caught:
        recorded(spec, None, lambda: None)
    assert str(caught.value) == "record p: the verifier takes it by itself, but not with the recorder's calls"
    assert caught.value.hint == (
        "they read by helpers that are for GPL programs only: record a copy with such a license"
    )
