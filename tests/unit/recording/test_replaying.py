"""Programs over a recording: each event with its task, its time, its memory."""

from __future__ import annotations

import io
import struct
import sys
import warnings
from contextlib import suppress
from typing import Any

import pytest

from ebee.errors import EbeeError, FormatError, MachineError, Notice
from ebee.kernel.simulated import SimulatedKernel
from ebee.recording.events import Event, EventFlag, Piece, PieceKind, encode_event
from ebee.recording.recordings import Header, RecordedProgram, Recording, RecordingWriter
from ebee.recording.replaying import Replayed, replay
from ebee.spec import ObjectSpec
from tests.support.objects import spec_of

HOOK = "tracepoint:syscalls:sys_enter_openat"
OPEN = """
struct args { __u64 common; __s64 nr; __s64 dfd; const char *name; };
SEC("tracepoint/syscalls/sys_enter_openat") int opens(struct args *ctx)
{
    char name[32];
    if (bpf_probe_read_user_str(name, sizeof(name), ctx->name) < 0)
        bpf_printk("unreadable");
    else
        bpf_printk("opens %s", name);
    return 0;
}
"""
ADDRESS = 0x7F00_0000_1000
EVENT = Event(
    program=0,
    time_ns=1_500_000_000,
    cpu=1,
    pid=42,
    tgid=41,
    uid=1000,
    gid=100,
    cgroup_id=7,
    comm=b"cat",
    context=struct.pack("=4Q", 0, 257, 0, ADDRESS),
    pieces=(Piece(PieceKind.USER, ADDRESS, b"/etc/hostname\0"),),
)


def recording(*events: Event, **changes: Any) -> Recording:
    """Return a recording of events of one tracepoint."""
    header = Header("open", (RecordedProgram("opens", HOOK),), release="6.18.0", cpus=2)
    header = header._replace(**{"byte_order": sys.byteorder, **changes})
    file = io.BytesIO()
    writer = RecordingWriter(file, header)
    for event in events:
        writer.write(encode_event(event, sys.byteorder))
    writer.flush()
    file.seek(0)
    return Recording(file, "x.ebee")


def steps(spec: ObjectSpec, found: Recording) -> list[Replayed]:
    """Run an object over a recording."""
    with replay(spec, found, engine="interpreter") as run:
        return list(run.steps())


def printed(text: str, *events: Event, **changes: Any) -> list[str]:
    """Return what programs print over events."""
    return [
        line.message for step in steps(spec_of(text), recording(*events, **changes)) for line in step.lines
    ]


def test_a_program_sees_what_was_recorded() -> None:
    """The context, and the memory that it points at."""
    assert printed(OPEN, EVENT) == ["opens /etc/hostname"]


def test_lines_carry_the_recorded_task_and_time() -> None:
    """As they would have stood in the trace pipe."""
    (step,) = steps(spec_of(OPEN), recording(EVENT))
    (line,) = step.lines
    assert (line.task, line.pid, line.cpu, line.timestamp_s) == ("cat", 42, 1, 1.5)
    assert (step.number, step.event, step.programs) == (1, EVENT, ("opens",))


def test_the_task_is_the_recorded_one() -> None:
    """Its ids and its name."""
    text = """
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {
        char comm[16];
        __u64 ids = bpf_get_current_pid_tgid(), user = bpf_get_current_uid_gid();
        bpf_get_current_comm(comm, sizeof(comm));
        bpf_printk("%d %d %s", (__u32)ids, (__u32)(ids >> 32), comm);
        bpf_printk("%d %d %d", (__u32)user, (__u32)(user >> 32), bpf_get_smp_processor_id());
        bpf_printk("%d", bpf_get_current_cgroup_id());
        return 0;
    }
    """
    assert printed(text, EVENT) == ["42 41 cat", "1000 100 1", "7"]


def test_times_and_random_numbers_come_again_in_their_turn() -> None:
    """The last time goes on, and what is printed uses up none."""
    text = """
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {
        __u64 first = bpf_ktime_get_ns();
        bpf_printk("%llu", first);
        __u64 second = bpf_ktime_get_ns(), third = bpf_ktime_get_ns();
        bpf_printk("%llu %llu", second, third);
        bpf_printk("%u", bpf_get_prandom_u32());
        return 0;
    }
    """
    results = [(5, 1_500_000_100), (5, 1_500_000_200), (7, 4_000_000_000)]
    pieces = tuple(Piece(PieceKind.RESULT, value, b"", number) for number, value in results)
    assert printed(text, EVENT._replace(pieces=pieces)) == [
        "1500000100",
        "1500000200 1500000200",
        "4000000000",
    ]


@pytest.mark.parametrize(
    ("helper", "number", "value"),
    [
        ("jiffies64", 118, 4_294_900_000),
        ("ktime_get_tai_ns", 208, 7_000_000_037),
        ("ktime_get_boot_ns", 125, 99),
    ],
)
def test_clocks_say_what_they_said(helper: str, number: int, value: int) -> None:
    """Of whatever kind."""
    text = f"""
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {{ bpf_printk("%llu", bpf_{helper}()); return 0; }}
    """
    event = EVENT._replace(pieces=(Piece(PieceKind.RESULT, value, b"", number),))
    assert printed(text, event, wall_ns=6_000_000_000, monotonic_ns=1_000) == [str(value)]


def test_stacks_come_again() -> None:
    """The kernel's and the task's, each by itself."""
    text = """
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {
        __u64 stack[4] = {};
        long size = bpf_get_stack(ctx, stack, sizeof(stack), BPF_F_USER_STACK);
        bpf_printk("%d %llx %llx", size, stack[0], stack[1]);
        size = bpf_get_stack(ctx, stack, sizeof(stack), 0);
        bpf_printk("%d %llx", size, stack[0]);
        return 0;
    }
    """
    stacks = (
        Piece(PieceKind.RESULT, 0, struct.pack("=Q", 0xFFFF_FFFF_8100_0000), 67),
        Piece(PieceKind.RESULT, 256, struct.pack("=2Q", 0x55_0000, 0x56_0000), 67),
    )
    assert printed(text, EVENT._replace(pieces=stacks)) == ["16 550000 560000", "8 ffffffff81000000"]


def test_memory_of_an_event_is_gone_with_it() -> None:
    """The next one has its own."""
    assert printed(OPEN, EVENT, EVENT._replace(pieces=())) == ["opens /etc/hostname", "unreadable"]


def test_reads_that_find_nothing_are_counted() -> None:
    """But for those that failed when they were recorded, too."""
    failed = EVENT._replace(pieces=(Piece(PieceKind.FAILED, ADDRESS, b"", -14),))
    with replay(spec_of(OPEN), recording(EVENT, failed, EVENT._replace(pieces=()))) as run:
        assert [line.message for step in run.steps() for line in step.lines][1:] == ["unreadable"] * 2
        assert run.missing == 1


def test_events_that_were_cut_are_counted() -> None:
    """They run all the same."""
    with replay(spec_of(OPEN), recording(EVENT, EVENT._replace(flags=EventFlag.CUT))) as run:
        assert len(list(run.steps())) == 2
        assert run.cut == 1


def test_maps_keep_from_event_to_event() -> None:
    """And are read in the end."""
    text = """
    int count;
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } out SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); }
        perf SEC(".maps");
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    {
        int now = ++count;
        bpf_ringbuf_output(&out, &now, sizeof(now), 0);
        bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &now, sizeof(now));
        return 0;
    }
    """
    with replay(spec_of(text), recording(EVENT, EVENT)) as run:
        numbers = [struct.pack("=i", number) for number in (1, 2)]
        assert [step.records for step in run.steps()] == [{"out": (n,), "perf": (n,)} for n in numbers]
        assert run.loaded.variables["count"].value == 2


def test_a_ring_buffer_does_not_fill_up() -> None:
    """It is emptied after each event."""
    text = """
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } out SEC(".maps");
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    { char big[256] = {}; return bpf_ringbuf_output(&out, big, sizeof(big), 0); }
    """
    assert all(step.records for step in steps(spec_of(text), recording(*[EVENT] * 40)))


def test_programs_run_over_events_of_their_own_name() -> None:
    """Two on one hook were recorded each by itself."""
    two = OPEN + OPEN[OPEN.index("SEC") :].replace("opens", "other")
    programs = (RecordedProgram("opens", HOOK), RecordedProgram("other", HOOK))
    events = [EVENT, EVENT._replace(program=1)]
    found = steps(spec_of(two), recording(*events, programs=programs))
    assert [step.programs for step in found] == [("opens",), ("other",)]


def test_a_program_of_another_name_runs_over_the_first_of_its_hook() -> None:
    """A name is changed easily."""
    found = steps(spec_of(OPEN.replace("int opens", "int mine")), recording(EVENT, EVENT))
    assert [step.programs for step in found] == [("mine",), ("mine",)]


def test_raw_and_typed_tracepoints_are_the_same_place() -> None:
    """Their arguments are."""
    text = 'SEC("raw_tp/sys_enter") int p(__u64 *ctx) { bpf_printk("%d", ctx[1]); return 0; }'
    event = EVENT._replace(context=struct.pack("=2Q", 0, 257))
    assert printed(text, event, programs=(RecordedProgram("p", "tp_btf:sys_enter"),)) == ["257"]


def refusal(text: str, found: Recording) -> tuple[str, str | None]:
    """Return the message and the hint of the error that a replay raises."""
    with pytest.raises(EbeeError) as caught:
        steps(spec_of(text), found)
    return str(caught.value), caught.value.hint


def test_a_recording_of_another_program_says_so() -> None:
    """What it has, what is wanted, and what to do."""
    text = 'SEC("raw_tp/sys_exit") int p(void *ctx) { return 0; }'
    assert refusal(text, recording(EVENT)) == (
        f"replay test: x.ebee has events of {HOOK}, expected raw_tp:sys_exit",
        "it was made with another program; record this one where root is allowed: ebee record FILE",
    )


def test_a_program_of_several_that_sees_nothing_is_told() -> None:
    """The others run."""
    text = OPEN + 'SEC("raw_tp/sys_exit") int idle(void *ctx) { return 0; }'
    with pytest.warns(Notice) as said:
        assert printed(text, EVENT) == ["opens /etc/hostname"]
    assert [str(each.message) for each in said] == [
        f"program idle sees nothing: x.ebee has no events of raw_tp:sys_exit, but of {HOOK}"
    ]


def test_a_program_that_is_attached_to_no_tracepoint_is_refused() -> None:
    """Packets have another way."""
    assert refusal('SEC("xdp") int p(void *ctx) { return 2; }', recording(EVENT)) == (
        "replay test: no program of it is attached to a tracepoint",
        "packets go through network programs: ebee run FILE --pcap PACKETS",
    )


def test_a_recording_of_the_other_byte_order_is_refused() -> None:
    """Memory is as it was."""
    other = "big" if sys.byteorder == "little" else "little"
    assert refusal(OPEN, recording(EVENT, byte_order=other))[0] == (
        f"replay x.ebee: recorded on a {other}-endian machine, and this one is {sys.byteorder}-endian"
    )


def test_types_that_are_damaged_are_told() -> None:
    """They are the header's."""
    with pytest.raises(FormatError) as caught:
        steps(spec_of(OPEN), recording(EVENT, types=b"no BTF"))
    assert str(caught.value).startswith("recording x.ebee: the kernel's types: BTF")


def test_a_program_that_is_stopped_names_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Besides its line."""

    def stopped(*_: object, **__: object) -> None:
        raise MachineError("run opens: line 9: no room")

    monkeypatch.setattr(SimulatedKernel, "emit", stopped)
    assert refusal(OPEN, recording(EVENT))[0] == "run opens: line 9: no room (event 1 of x.ebee)"


def test_structs_of_an_unknown_kernel_are_told() -> None:
    """A recording that does not hold its types was made with another program."""
    text = """
    struct task_struct { int pid; } __attribute__((preserve_access_index));
    SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
    { return __builtin_preserve_field_info(((struct task_struct *)0)->pid, 2) ? 1 : 0; }
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with suppress(EbeeError):  # this machine's kernel may tell no types either
            steps(spec_of(text), recording(EVENT))
    assert str(said[0].message) == (
        "x.ebee does not hold the types of the kernel that recorded it (6.18.0), "
        "so structs are laid out as on this machine"
    )


KCONFIG = """
extern int CONFIG_HZ __kconfig;
extern int CONFIG_NONE __kconfig __weak;
SEC("tracepoint/syscalls/sys_enter_openat") int opens(void *ctx)
{ bpf_printk("%d %d", CONFIG_HZ, CONFIG_NONE); return 0; }
"""


def test_the_configuration_is_that_of_the_kernel_that_recorded() -> None:
    """Whatever this one has; the object itself is not changed."""
    known = {"CONFIG_HZ": struct.pack("=i", 17), "CONFIG_NONE": struct.pack("=i", 3)}
    assert printed(KCONFIG, EVENT, kconfig=known) == ["17 3"]
    spec = spec_of(KCONFIG)
    steps(spec, recording(EVENT, kconfig=known))
    assert spec.variables["CONFIG_HZ"].from_kernel
