"""Tracing programs of the simulated kernel run when somebody says that their hook was passed."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from ebee.abi.bpf import AttachType, ProgType
from ebee.btf.types import Member
from ebee.errors import AttachError, MachineError, SpecError
from ebee.kernel.protocol import LinkCreate, PerfEvent, ProgramLoad
from ebee.kernel.simulated import Emitted, SimulatedKernel
from ebee.loader import LoadedObject, load
from ebee.vm.machine import Task
from tests.kernel.door import program
from tests.support.objects import spec_of
from tests.unit.btf.builder import Builder

_TEXT = """
    #include <bpf/bpf_tracing.h>
    struct record { unsigned long common; int pid; char comm[12]; };
    long pid = 0; char name[16]; char file[16]; long sum = 0; unsigned long cookie = 0;
    SEC("tracepoint/sched/sched_process_exec") int point(struct record *record)
    {
        pid = (long)(bpf_get_current_pid_tgid() >> 32) * 1000 + record->pid;
        bpf_get_current_comm(name, sizeof(name));
        return 5;
    }
    SEC("raw_tp/sys_enter") int raw(struct bpf_raw_tracepoint_args *ctx)
    {
        sum = ctx->args[0] + ctx->args[1];
        bpf_probe_read_user_str(file, sizeof(file), (void *)ctx->args[2]);
        return 6;
    }
    SEC("perf_event") int event(void *ctx) { cookie = bpf_get_attach_cookie(ctx); return 7; }
"""


def _types() -> Builder:
    """Return types of a kernel with the tracepoints that the programs name."""
    types = Builder()
    number = types.integer("int", 4, signed=True)
    types.struct("task_struct", 4, Member("pid", number, 0))
    for name in ("sys_enter", "sched_process_exec"):
        types.typedef(f"btf_trace_{name}", types.pointer())
    return types


@pytest.fixture
def kernel() -> SimulatedKernel:
    return SimulatedKernel(types=_types().btf())


@pytest.fixture
def obj(kernel: SimulatedKernel) -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT), kernel, programs=["point", "raw", "event"]) as loaded:
        yield loaded


def test_a_tracepoint_hands_its_record(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """And the task is the one that passes it; the machine's own comes back."""
    record = struct.pack("=Qi12s", 0, 7, b"cat")
    task = Task(pid=9, tgid=8, comm="make")
    assert kernel.emit("tracepoint:sched:sched_process_exec", record) == []
    with obj.programs["point"].attach():
        assert kernel.hooks() == ["tracepoint:sched:sched_process_exec"]
        ran = kernel.emit("tracepoint:sched:sched_process_exec", record, task=task)
    assert ran == [Emitted("point", 5)]
    assert (obj.variables["pid"].value, obj.variables["name"].value) == (8007, "make")
    assert kernel.machine.task.comm == "ebee"
    assert kernel.hooks() == []


def test_a_raw_tracepoint_hands_its_arguments(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """Pointers among them lead to what was put there for this event alone."""
    arguments = struct.pack("=3Q", 40, 2, 0x7FFF_0000_1000)
    with obj.programs["raw"].attach():
        ran = kernel.emit("raw_tp:sys_enter", arguments, memory=[(0x7FFF_0000_1000, b"/etc/passwd\0")])
        assert ran == [Emitted("raw", 6)]
        assert (obj.variables["sum"].value, obj.variables["file"].value) == (42, "/etc/passwd")
        kernel.emit("tp_btf:sys_enter", arguments)
    assert obj.variables["file"].value == ""


def test_perf_events_happen_when_they_are_enabled(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """Not before; the cookie of the link is theirs."""
    fd = kernel.perf_event_open(PerfEvent(1, 0))
    link = kernel.link_create(LinkCreate(obj.programs["event"].fd, fd, AttachType.PERF_EVENT, cookie=77))
    assert kernel.emit("perf_event:1:0") == []
    kernel.perf_event_enable(fd)
    assert kernel.emit("perf_event:1:0") == [Emitted("event", 7)]
    assert obj.variables["cookie"].value == 77
    kernel.close(fd)  # the link holds the event
    assert kernel.emit("perf_event:1:0") == [Emitted("event", 7)]
    kernel.close(link)
    assert kernel.emit("perf_event:1:0") == []


def test_one_program_of_several_is_run(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """Recordings know which program saw an event."""
    with obj.programs["point"].attach(), obj.programs["point"].attach():
        hook = "tracepoint:sched:sched_process_exec"
        assert len(kernel.emit(hook, bytes(24))) == 2
        assert kernel.emit(hook, bytes(24), program="other") == []
        assert len(kernel.emit(hook, bytes(24), program="point")) == 2


def test_programs_at_functions_run_by_their_names(kernel: SimulatedKernel) -> None:
    """Fentry programs know their target from loading."""
    types = kernel.types()
    assert types is not None
    request = ProgramLoad(
        ProgType.TRACING,
        program(3),
        "GPL",
        "enter",
        expected_attach_type=AttachType.TRACE_FENTRY,
        attach_btf_id=types.find("task_struct") or 0,
    )
    answer = kernel.program_load(request)
    link = kernel.raw_tracepoint_open(answer.fd, None)
    assert kernel.emit("fentry:task_struct", bytes(8)) == [Emitted("enter", 3)]
    assert kernel.link_info(link).details["target_btf_id"] == types.find("task_struct")
    kernel.close(link)
    kernel.close(answer.fd)


@pytest.mark.parametrize("hook", ["kprobe:vfs_read", "tracepoint", "raw_tp:", ""])
def test_hooks_that_are_none_say_what_there_is(kernel: SimulatedKernel, hook: str) -> None:
    """By their families."""
    with pytest.raises(SpecError) as caught:
        kernel.emit(hook)
    assert str(caught.value) == (
        f"emit {hook}: expected tracepoint, perf_event, fentry, fexit, fmod_ret, lsm, raw_tp, tp_btf "
        "and a name"
    )
    assert caught.value.hint == "such as tracepoint:sched:sched_switch"


def test_more_arguments_than_there_can_be_are_refused(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """The kernel has 12 at most."""
    with obj.programs["raw"].attach(), pytest.raises(SpecError) as caught:
        kernel.emit("raw_tp:sys_enter", bytes(13 * 8))
    assert str(caught.value) == "emit raw_tp:sys_enter: 13 arguments, expected 12 or fewer"


def test_a_raw_tracepoint_of_no_kernel_is_refused_where_types_tell(
    kernel: SimulatedKernel, obj: LoadedObject
) -> None:
    """Where there are no types, any name is taken."""
    with pytest.raises(AttachError) as caught:
        obj.programs["raw"].attach("raw_tp:sys_entr")
    assert str(caught.value) == "attach raw to raw_tp:sys_entr: this kernel has no raw tracepoint 'sys_entr'"
    assert caught.value.hint == "did you mean 'sys_enter'?"
    without = SimulatedKernel(types=lambda: None)
    with load(spec_of(_TEXT), without, programs=["raw"]) as other, other.programs["raw"].attach("raw_tp:any"):
        assert without.hooks() == ["raw_tp:any"]


def test_a_program_that_is_stopped_says_so(kernel: SimulatedKernel) -> None:
    """With its line; what was set for the event is taken back."""
    kernel.state.budget = 1
    with load(spec_of(_TEXT), kernel, programs=["raw"]) as obj, obj.programs["raw"].attach():
        with pytest.raises(MachineError) as caught:
            kernel.emit("raw_tp:sys_enter", bytes(24), task=Task(comm="other"), memory=[(1 << 63, b"x")])
        assert str(caught.value).startswith("test.bpf.c:")
        assert kernel.machine.task.comm == "ebee"
        assert kernel.machine.memory.kernel.read(1 << 63, 1) is None
