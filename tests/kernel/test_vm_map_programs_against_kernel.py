"""Programs that use maps in every way a program can: the running kernel and both engines agree."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings

from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import Kernel, RunRequest
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import LoadedObject
from ebee.sessions.c import load
from ebee.spec import ObjectSpec
from tests.kernel.door import needs_root
from tests.kernel.test_vm_maps_against_kernel import PAGE, on_cpu_0
from tests.property.vm.test_vm_map_engines import ENTRIES, SHAPES, STEPS, Step, driven, spec
from tests.support.objects import spec_of

pytestmark = [needs_root, pytest.mark.userspace_machine]

_TEXT = """
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u32); __type(value, __u64); }
    hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 5); __type(key, __u32); __type(value, __u64); }
    array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 8); __type(key, __u32);
         __type(value, __u64); } percpu SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 64); __type(key, __u32);
         __type(value, __u64); } lru SEC(".maps");
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32);
               __type(value, __u64); } first SEC(".maps"), second SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 3); __type(key, __u32);
         __array(values, struct inner); } outer SEC(".maps") = { .values = { &first, 0, &second } };
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 3); __type(key, __u32);
         __array(values, struct inner); } named SEC(".maps") = { .values = { [1] = &second } };
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, PAGE); } given SEC(".maps");
struct locked { struct bpf_spin_lock lock; __u32 count; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32);
         __type(value, struct locked); } locks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 4); __type(key, __u32);
         __type(value, struct bpf_devmap_val); } devices SEC(".maps");

struct prefix { __u32 bits; __u8 address[4]; };
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 200); __uint(map_flags, BPF_F_NO_PREALLOC);
         __type(key, struct prefix); __type(value, __u64); } trie SEC(".maps");

__u64 sum, calls, stop_at, answers[32];

struct sums { __u64 seen; };
static long add(void *map, __u32 *key, __u64 *value, struct sums *context)
{
    calls++;
    sum += (*key + 1) * *value;
    context->seen++;
    return calls == stop_at;
}
SEC("tc") int walk(struct __sk_buff *skb)
{
    struct sums context = {};
    calls = sum = 0;
    answers[0] = bpf_for_each_map_elem(&hash, add, &context, 0);
    answers[1] = bpf_for_each_map_elem(&array, add, &context, 0);
    answers[2] = bpf_for_each_map_elem(&percpu, add, &context, 0);
    answers[3] = bpf_for_each_map_elem(&lru, add, &context, 0);
    answers[4] = bpf_for_each_map_elem(&array, add, &context, 1);
    answers[5] = context.seen;
    return 0;
}
static long drop(void *map, __u32 *key, __u64 *value, void *context)
{
    calls++;
    return bpf_map_delete_elem(map, key) ? 1 : 0;
}
SEC("tc") int empty(struct __sk_buff *skb)
{
    calls = 0;
    answers[0] = bpf_for_each_map_elem(&hash, drop, 0, 0);
    return 0;
}
SEC("tc") int nested(struct __sk_buff *skb)
{
    __u64 value = 7;
    for (int n = 0; n < 4; n++) {
        __u32 key = n;
        void *map = bpf_map_lookup_elem(&outer, &key);
        answers[n] = !map;
        if (map)
            answers[n] = bpf_map_update_elem(map, &key, &value, BPF_NOEXIST);
        map = bpf_map_lookup_elem(&named, &key);
        answers[4 + n] = !map;
        if (map) {
            __u32 other = 2;
            __u64 *found = bpf_map_lookup_elem(map, &other);
            answers[8 + n] = found ? *found : 99;
        }
    }
    return 0;
}
SEC("tc") int cpus(struct __sk_buff *skb)
{
    __u32 key = 3;
    __u64 value = 5;
    answers[0] = bpf_map_update_elem(&percpu, &key, &value, BPF_ANY);
    for (int cpu = 0; cpu < 3; cpu++) {
        __u64 *found = bpf_map_lookup_percpu_elem(&percpu, &key, cpu);
        answers[1 + cpu] = found ? *found : 99;
    }
    __u64 *own = bpf_map_lookup_elem(&percpu, &key);
    if (own)
        answers[8] = __sync_fetch_and_add(own, 4);
    return 0;
}
struct record { __u32 kind; __u32 number; };
static long take(struct bpf_dynptr *data, void *context)
{
    struct record record = {};
    calls++;
    if (bpf_dynptr_read(&record, sizeof record, data, 0, 0))
        sum += 1000;
    sum += record.number;
    return record.kind == 1;
}
SEC("tc") int drain(struct __sk_buff *skb)
{
    calls = sum = 0;
    answers[0] = bpf_user_ringbuf_drain(&given, take, 0, 0);
    answers[1] = bpf_user_ringbuf_drain(&given, take, 0, 8);
    return 0;
}
SEC("tc") int lock(struct __sk_buff *skb)
{
    __u32 key = 1;
    struct locked value = {.count = 40};
    answers[0] = bpf_map_update_elem(&locks, &key, &value, BPF_ANY);
    struct locked *found = bpf_map_lookup_elem(&locks, &key);
    if (!found)
        return 1;
    bpf_spin_lock(&found->lock);
    found->count++;
    bpf_spin_unlock(&found->lock);
    value.count = 50;
    answers[1] = found->count;
    answers[2] = bpf_map_update_elem(&locks, &key, &value, BPF_F_LOCK);
    answers[3] = found->count;
    value.count = 60;
    answers[4] = bpf_map_update_elem(&locks, &key, &value, BPF_EXIST);
    answers[5] = found->count;
    answers[6] = bpf_map_delete_elem(&locks, &key);
    return 0;
}
SEC("tc") int grow(struct __sk_buff *skb)
{
    struct prefix key = {.bits = 8, .address = {10}};
    __u64 value = 77;
    answers[0] = bpf_map_update_elem(&trie, &key, &value, BPF_ANY);
    key.bits = 32;
    __u64 *first = bpf_map_lookup_elem(&trie, &key);
    if (!first)
        return 1;
    for (int n = 1; n < 150; n++) {
        key.address[3] = n;
        value = n;
        answers[1] |= bpf_map_update_elem(&trie, &key, &value, BPF_NOEXIST);
    }
    *first += 1;
    key.address[3] = 0;
    __u64 *again = bpf_map_lookup_elem(&trie, &key);
    answers[2] = *first;
    answers[3] = again ? *again : 0;
    key.address[3] = 120;
    again = bpf_map_lookup_elem(&trie, &key);
    answers[4] = again ? *again : 0;
    return 0;
}
SEC("xdp") int device(struct xdp_md *ctx)
{
    for (int n = 0; n < 5; n++) {
        __u32 key = n;
        struct bpf_devmap_val *found = bpf_map_lookup_elem(&devices, &key);
        answers[n] = found ? found->ifindex : 99;
        answers[8 + n] = bpf_redirect_map(&devices, key, XDP_PASS);
    }
    return 0;
}
""".replace("PAGE", str(PAGE))

_ENGINES = ["interpreter", "native"]


class Both:
    """The object on the running kernel and on the machine; `run` runs a program on both and compares."""

    def __init__(self, *objects: LoadedObject) -> None:
        self.objects = list(objects)

    def each(self) -> list[LoadedObject]:
        return self.objects

    def run(self, name: str, **variables: int) -> list[int]:
        """Return what a program left in `answers`, `calls` and `sum`, the same on both."""
        seen = []
        for obj in self.each():
            for variable, value in variables.items():
                obj.variables[variable].value = value
            obj.variables["answers"].value = [0] * 32
            run = RunRequest(obj.programs[name].fd, bytes(64))
            result = obj.kernel.program_test_run(run).return_value
            numbers = [
                *obj.variables["answers"].value[:16],
                obj.variables["calls"].value,
                obj.variables["sum"].value,
            ]
            seen.append([result, *numbers])
        assert seen[1] == seen[0]
        return [int(number) for number in seen[0][1:]]

    def contents(self, name: str) -> dict[Any, Any]:
        """Return what is in a map, the same on both."""
        found = [dict(obj.maps[name].items()) for obj in self.each()]
        assert found[1] == found[0]
        return found[0]


@pytest.fixture(params=_ENGINES)
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    kernels: list[Kernel] = [
        LiveKernel(),
        SimulatedKernel(engine=request.param, cpus=LiveKernel().cpu_count()),
    ]
    with ExitStack() as undo:
        undo.enter_context(on_cpu_0())
        made = Both(*(undo.enter_context(load(_spec(), kernel=kernel)) for kernel in kernels))
        yield made
    # The machine's memory and process go with the last who knows it.
    made.objects.clear()


@cache
def _spec() -> ObjectSpec:
    return spec_of(_TEXT)


def test_every_element_is_shown_to_a_function(both: Both) -> None:
    for obj in both.each():
        for number in range(5):
            for name in ("hash", "array", "lru"):
                obj.maps[name][number] = number * 10
            obj.maps["percpu"][number] = [number * 10] * obj.kernel.cpu_count()
    answers = both.run("walk", stop_at=0)
    assert answers[:4] == [5, 5, 5, 5]


def test_a_function_that_returns_1_is_called_no_more(both: Both) -> None:
    assert both.run("walk", stop_at=3)[:3] == [0, 3, 0]


def test_elements_are_deleted_while_they_are_walked(both: Both) -> None:
    for obj in both.each():
        for number in range(8):
            obj.maps["hash"][number] = number
    assert both.run("empty")[0] == 8
    assert both.contents("hash") == {}


def test_maps_within_maps_are_found_and_written(both: Both) -> None:
    both.run("nested")
    both.run("nested")
    assert both.contents("second") == {2: 7}


def test_each_cpu_has_its_value(both: Both) -> None:
    both.run("cpus")
    both.run("cpus")
    both.contents("percpu")


def test_a_lock_is_taken_and_values_are_replaced_or_written_in_place(both: Both) -> None:
    assert both.run("lock")[:7] == [0, 41, 0, 50, 0, 50, 0]


def test_records_of_user_space_are_drained(both: Both) -> None:
    for kinds in ([0, 0, 0], [0, 1, 0], [], [0] * 50):
        for obj in both.each():
            produce(obj, kinds)
        both.run("drain")


def produce(obj: LoadedObject, kinds: list[int]) -> None:
    """Add records to the user ring buffer as user space does."""
    found = obj.maps["given"]
    kernel = obj.kernel
    memory = kernel.map_memory(found.fd, PAGE + 2 * PAGE, writable=True, offset_bytes=PAGE)
    try:
        (position,) = struct.unpack_from("=Q", memory, 0)
        for number, kind in enumerate(kinds):
            struct.pack_into("=IIII", memory, PAGE + position % PAGE, 8, 0, kind, number)
            position += 16
        struct.pack_into("=Q", memory, 0, position)
    finally:
        memory.release()


def test_interfaces_are_found_by_programs(both: Both) -> None:
    for obj in both.each():
        obj.kernel.map_update(obj.maps["devices"].fd, bytes([1, 0, 0, 0]), bytes([1, 0, 0, 0]) + bytes(4))
    both.run("device")


@pytest.mark.parametrize(("kind", "key_bytes"), SHAPES)
def test_programs_and_user_space_by_turns(kind: str, key_bytes: int) -> None:
    # The kernel's LRU maps evict before they are full.
    entries = 256 if "LRU" in kind else ENTRIES

    @settings(max_examples=15, deadline=None)
    @given(STEPS)
    def check(steps: list[Step]) -> None:
        cpus = LiveKernel().cpu_count()
        machines = [SimulatedKernel(engine=engine, cpus=cpus) for engine in _ENGINES]
        with on_cpu_0(), driven(spec(kind, key_bytes, entries), LiveKernel(), *machines) as all_of_them:
            for number, step in enumerate(steps):
                live, *others = (each.do(step) for each in all_of_them)
                assert (number, step, others) == (number, step, [live, live])

    check()


def test_a_pointer_stays_while_its_map_grows(both: Both) -> None:
    assert both.run("grow")[:5] == [0, 0, 78, 78, 120]
