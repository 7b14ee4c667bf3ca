"""Objects on the running kernel: every family attaches and fires, maps and variables are alive."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest

from ebee.errors import KernelError, MapError, NotSupportedError
from ebee.kernel.live import LiveKernel
from ebee.loader import LoadedObject, load
from ebee.sessions.c import trace_pipe
from ebee.testing import VethPair, private_network
from tests.kernel.door import needs_root
from tests.support.objects import spec_of

pytestmark = needs_root

TEXT = """
struct event { int pid; char comm[16]; };
struct {
    __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 128);
    __type(key, __u32); __type(value, struct event);
} events SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64);
} per_cpu SEC(".maps");
struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long);
} one SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, int);
    __array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &one } };
int dropper(struct xdp_md *ctx);
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4);
    __array(values, int (void *));
} jumps SEC(".maps") = { .values = { [1] = (void *)&dropper } };

const volatile int limit = 100;
int seen, executed_raw, executed_typed, executed_formatted, filtered;
int tgid;
struct task_struct { int pid, tgid; } __attribute__((preserve_access_index));

static __noinline int added(int number) { return number + 1; }

SEC("xdp") int dropper(struct xdp_md *ctx) { return XDP_DROP; }

SEC("xdp") int counter(struct xdp_md *ctx)
{
    __u32 key = 1;
    struct event event = { .pid = 3, .comm = "hello" };

    bpf_map_update_elem(&events, &key, &event, 0);
    seen = added(seen);
    if (seen > limit)
        bpf_tail_call(ctx, &jumps, 1);
    return XDP_PASS;
}

SEC("tp_btf/sched_process_exec") int typed(__u64 *ctx)
{
    struct task_struct *task = (void *)ctx[0];

    tgid = task->tgid;
    executed_typed++;
    return 0;
}

SEC("raw_tp/sched_process_exec") int raw(void *ctx) { executed_raw++; return 0; }
SEC("tp/sched/sched_process_exec") int formatted(void *ctx) { executed_formatted++; return 0; }
SEC("socket") int filter(struct __sk_buff *skb) { filtered++; return 0; }
"""

FRAME = bytes(12) + b"\x88\xb5" + bytes(46)


@pytest.fixture
def loaded() -> Iterator[LoadedObject]:
    """All of it, loaded."""
    with load(spec_of(TEXT), LiveKernel()) as obj:
        yield obj


@pytest.fixture
def network() -> Iterator[VethPair]:
    """A cable of our own."""
    with private_network() as pair:
        yield pair


def value(obj: LoadedObject, name: str) -> int:
    found: int = obj.variables[name].value
    return found


def test_a_program_runs_on_a_packet_that_is_given(loaded: LoadedObject) -> None:
    """Subprograms are linked, variables counted, maps filled."""
    assert loaded.programs["counter"].test_run(bytes(64), repeat=3).return_value == 2
    assert value(loaded, "seen") == 3
    assert dict(loaded.maps["events"]) == {1: {"pid": 3, "comm": "hello"}}


def test_a_program_that_cannot_be_tried_says_so_by_its_name(loaded: LoadedObject) -> None:
    """A raw tracepoint takes a context and no packet; a typed one cannot be tried at all."""
    with pytest.raises(KernelError) as caught:
        loaded.programs["raw"].test_run(bytes(14))
    assert caught.value.details() == (
        "run raw on 14 bytes: the kernel does not take this packet, context or repeat for this type of "
        "program (EINVAL)\n"
        "hint: raw tracepoints are run on a context of up to 12 numbers of 64 bits, and no packet"
    )
    with pytest.raises(NotSupportedError) as caught:
        loaded.programs["typed"].test_run(bytes(14))
    assert str(caught.value) == (
        "run typed on 14 bytes: programs at tp_btf:sched_process_exec cannot be tried (EFAULT)"
    )


def test_a_link_that_cannot_be_detached_is_named(loaded: LoadedObject) -> None:
    """Its descriptor's number tells nobody anything."""
    with loaded.programs["raw"].attach() as link, pytest.raises(KernelError) as caught:
        link.detach()
    assert caught.value.details() == (
        "detach raw from raw_tp:sched_process_exec: links of this kind cannot be detached by force "
        "(EOPNOTSUPP)\nhint: close its descriptor, or remove its pin"
    )


def test_a_variable_is_written_while_the_program_is_loaded(loaded: LoadedObject) -> None:
    """Past the limit the tail call drops, by the program that the array began with."""
    loaded.variables["seen"].value = 200
    assert loaded.programs["counter"].test_run(bytes(64)).return_value == 1


def test_a_constant_is_frozen_once_it_is_loaded(loaded: LoadedObject) -> None:
    """It is set before or never."""
    with pytest.raises(MapError, match=r"variable limit: is const and lies in \.rodata"):
        loaded.variables["limit"].value = 1


def test_maps_are_mappings(loaded: LoadedObject) -> None:
    """Typed by their declaration; of a per-CPU map with a value for each CPU."""
    events, per_cpu = loaded.maps["events"], loaded.maps["per_cpu"]
    events[5] = {"pid": 1, "comm": "five"}
    assert events[5].comm == "five"
    assert 6 not in events
    del events[5]
    assert len(events) == 0
    cpus = len(per_cpu[0])
    per_cpu[1] = list(range(cpus))
    assert per_cpu[1] == list(range(cpus))


def test_every_tracing_family_fires_where_its_section_says(loaded: LoadedObject) -> None:
    """tp_btf reads a field by CO-RE; the task that executed is the child's."""
    links = loaded.attach()
    child = subprocess.Popen(["true"])
    child.wait()
    assert {str(link.point) for link in links} == {
        "tp_btf:sched_process_exec",
        "raw_tp:sched_process_exec",
        "tracepoint:sched:sched_process_exec",
    }
    for name in ("executed_typed", "executed_raw", "executed_formatted"):
        assert value(loaded, name) >= 1
    assert value(loaded, "tgid") > 0


@pytest.mark.parametrize("family", ["xdp", "xdpdrv", "xdpgeneric"])
def test_xdp_counts_what_arrives(loaded: LoadedObject, network: VethPair, family: str) -> None:
    """In each mode that a veth has; detached at the end of the block."""
    kernel = LiveKernel()
    with loaded.programs["counter"].attach(f"{family}:{network.a}"):
        network.send(FRAME, count=5)
        mode = next(d.xdp[0].mode for d in kernel.net_devices() if d.name == network.a)
    assert value(loaded, "seen") >= 5
    assert mode == ("generic" if family == "xdpgeneric" else "driver")
    assert all(not device.xdp for device in kernel.net_devices())


def test_a_socket_filter_sees_what_an_interface_receives(loaded: LoadedObject, network: VethPair) -> None:
    """By a packet socket of the link's own."""
    with loaded.programs["filter"].attach(f"socket:{network.a}"):
        network.send(FRAME, count=4)
    assert value(loaded, "filtered") >= 4


def test_the_trace_pipe_is_an_async_iterator(network: VethPair) -> None:
    """Lines come to an event loop as they are written."""
    text = 'SEC("xdp") int say(struct xdp_md *ctx) { bpf_printk("async hello"); return XDP_PASS; }'

    async def first() -> str:
        with trace_pipe() as lines:
            network.send(FRAME)
            async for line in lines:
                if line.message.startswith("async hello"):
                    return line.message
        raise AssertionError

    with load(spec_of(text), LiveKernel()) as obj, obj.programs["say"].attach(f"xdp:{network.a}"):
        assert asyncio.run(asyncio.wait_for(first(), 30)) == "async hello"


def test_nothing_stays_of_an_object_that_is_refused() -> None:
    """Maps made before the program was refused are gone again."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(Exception, match="program bad"):
        load(spec_of('SEC("xdp") int bad(struct xdp_md *c) { return *(int *)(long)c->data; }'), LiveKernel())
    assert set(os.listdir("/proc/self/fd")) == before
