"""Programs that use maps at random: both engines leave the same bytes, also where user space goes between."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import MapType
from ebee.errors import KernelError
from ebee.kernel.protocol import Kernel, RunRequest
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import LoadedObject
from ebee.sessions.c import load
from ebee.spec import ObjectSpec
from tests.property.vm.test_vm_maps import check_table
from tests.support.objects import spec_of

# The program does what the packet says with the map `m`, and leaves what it found in `answer`.
_TEXT = """
struct key { __u32 words[KEY / 4]; };
struct { __uint(type, BPF_MAP_TYPE_KIND); __uint(max_entries, ENTRIES); __type(key, KEY_TYPE);
         __type(value, __u64); } m SEC(".maps");
struct action { __u32 name; __u32 flags; __u64 value; __u32 key[KEY / 4]; };
__u64 answer;
SEC("tc") int act(struct __sk_buff *skb)
{
    struct action a;
    if (bpf_skb_load_bytes(skb, 14, &a, sizeof a))
        return 1000;
    if (a.name == 1)
        return bpf_map_update_elem(&m, a.key, &a.value, a.flags);
    if (a.name == 2)
        return bpf_map_delete_elem(&m, a.key);
    __u64 *found = bpf_map_lookup_elem(&m, a.key);
    if (!found)
        return 1001;
    answer = a.name == 3 ? __sync_fetch_and_add(found, a.value) : *found;
    return 0;
}
"""
KINDS = ("HASH", "LRU_HASH", "PERCPU_HASH", "LRU_PERCPU_HASH", "ARRAY", "PERCPU_ARRAY")
SHAPES = [*((kind, size) for kind in KINDS[:4] for size in (4, 8, 12)), *((kind, 4) for kind in KINDS[4:])]
ENTRIES = 4
CPUS = 2

Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["look up", "update", "update", "delete", "add", "write", "remove", "read"]),
        st.integers(0, 6),
        st.integers(0, 255),
        st.sampled_from([0, 0, 0, 1, 2, 3]),
    ),
    max_size=80,
)
_OF_PROGRAMS = {"look up": 0, "update": 1, "delete": 2, "add": 3}


@cache
def spec(kind: str, key_bytes: int, entries: int = ENTRIES) -> ObjectSpec:
    """Return the object for a type of map."""
    text = _TEXT.replace("KIND", kind).replace("ENTRIES", str(entries))
    # An array's key is a number of 32 bits, by its type too.
    text = text.replace("KEY_TYPE", "__u32" if key_bytes == 4 else "struct key")
    return spec_of(text.replace("KEY", str(key_bytes)))


class Driven:
    """A map that programs and user space use by turns."""

    def __init__(self, obj: LoadedObject) -> None:
        self.kernel: Kernel = obj.kernel
        self.map = obj.maps["m"]
        self.program = obj.programs["act"]
        self.answer = obj.variables["answer"]
        self.key_bytes = self.map.spec.key_size_bytes
        self.copies = self.kernel.cpu_count() if "PERCPU" in self.map.spec.type.name else 1

    def do(self, step: Step) -> object:
        """Return what a step gives: a program's answer or user space's, or an errno."""
        name, number, value, flags = step
        key = number.to_bytes(4, "little") * (self.key_bytes // 4)
        if name in _OF_PROGRAMS:
            packet = bytes(14) + struct.pack("<IIQ", _OF_PROGRAMS[name], flags, value) + key
            run = self.kernel.program_test_run(RunRequest(self.program.fd, packet.ljust(64, b"\0")))
            return run.return_value, self.answer.value
        return refused_or(
            lambda: self.by_user_space(name, key, struct.pack("<Q", value) * self.copies, flags)
        )

    def by_user_space(self, name: str, key: bytes, value: bytes, flags: int) -> object:
        if name == "write":
            self.kernel.map_update(self.map.fd, key, value, flags)
            return None
        if name == "remove":
            return self.kernel.map_delete(self.map.fd, key)
        return self.kernel.map_lookup(self.map.fd, key, len(value))


def refused_or(action: Callable[[], object]) -> object:
    try:
        return action()
    except KernelError as error:
        return error.errno_name


@contextmanager
def driven(spec: ObjectSpec, *kernels: Kernel) -> Iterator[list[Driven]]:
    """Load an object on several kernels."""
    with ExitStack() as undo:
        yield [Driven(undo.enter_context(load(spec, kernel=kernel))) for kernel in kernels]


@cache
def engines() -> tuple[SimulatedKernel, SimulatedKernel]:
    """Return a machine for each engine."""
    return SimulatedKernel(engine="interpreter", cpus=CPUS), SimulatedKernel(engine="native", cpus=CPUS)


def machine_map(kernel: SimulatedKernel) -> Any:
    """Return the map `m` of a machine."""
    return next(found for found in kernel.machine.maps.values() if found.setup.name == "m")


@pytest.mark.parametrize(("kind", "key_bytes"), SHAPES)
def test_both_engines_leave_the_same_bytes(kind: str, key_bytes: int) -> None:
    @settings(max_examples=15, deadline=None)
    @given(STEPS)
    def check(steps: list[Step]) -> None:
        with driven(spec(kind, key_bytes), *engines()) as both:
            one, other = map(machine_map, engines())
            for number, step in enumerate(steps):
                seen = [each.do(step) for each in both]
                assert (number, step, seen[1]) == (number, step, seen[0])
                assert bytes(one.values.data) == bytes(other.values.data)
                if MapType[kind] not in (MapType.ARRAY, MapType.PERCPU_ARRAY):
                    assert bytes(one._table) == bytes(other._table)
                    check_table(other, None)

    check()
