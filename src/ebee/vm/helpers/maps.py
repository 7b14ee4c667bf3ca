"""Helpers of maps: look up, update, delete, push, pop, peek, and a function for each element."""

from __future__ import annotations

from ebee.abi.bpf import MapType
from ebee.vm.faults import Refusal
from ebee.vm.helpers.common import EINVAL, ENOENT, map_of, room, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run


@helper("map_lookup_elem")
def map_lookup_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a value, or 0."""
    found = map_of(run, r1, "map_lookup_elem")
    return found.find(run.memory.read(r2, found.setup.key_size_bytes), run.cpu)


@helper("map_update_elem")
def map_update_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Set the value of a key."""
    found = map_of(run, r1, "map_update_elem")
    key = run.memory.read(r2, found.setup.key_size_bytes)
    found.update(key, run.memory.read(r3, found.setup.value_size_bytes), r4, run.cpu)
    return 0


@helper("map_delete_elem")
def map_delete_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Remove a key."""
    found = map_of(run, r1, "map_delete_elem")
    found.delete(run.memory.read(r2, found.setup.key_size_bytes))
    return 0


@helper("map_lookup_percpu_elem")
def map_lookup_percpu_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of the value that a CPU has, or 0."""
    found = map_of(run, r1, "map_lookup_percpu_elem")
    key = run.memory.read(r2, found.setup.key_size_bytes)
    return found.find(key, u32(r3)) if u32(r3) < run.machine.cpus else 0


@helper("map_push_elem")
def map_push_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Add a value to a queue, a stack or a bloom filter."""
    found = map_of(run, r1, "map_push_elem")
    found.push(run.memory.read(r2, found.setup.value_size_bytes), r3)
    return 0


@helper("map_pop_elem")
def map_pop_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Take a value away; the value is zeroed where there is none."""
    found = map_of(run, r1, "map_pop_elem")
    value = room(run, r2, found.setup.value_size_bytes)
    try:
        value[:] = found.pop()
    except Refusal as refusal:
        if refusal.errno == ENOENT:
            value[:] = bytes(len(value))
        raise
    return 0


@helper("map_peek_elem")
def map_peek_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the next value; ask a bloom filter whether a value may be in it."""
    found = map_of(run, r1, "map_peek_elem")
    if found.setup.type is MapType.BLOOM_FILTER:
        found.peek(run.memory.read(r2, found.setup.value_size_bytes))
        return 0
    value = room(run, r2, found.setup.value_size_bytes)
    try:
        value[:] = found.peek()
    except Refusal as refusal:
        if refusal.errno == ENOENT:
            value[:] = bytes(len(value))
        raise
    return 0


@helper("for_each_map_elem")
def for_each_map_elem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Call a function with each key and value, until it returns 1; the number of calls."""
    if r4:
        return -EINVAL
    found = map_of(run, r1, "for_each_map_elem")
    key_place = run.memory.add("the key", found.setup.key_size_bytes, writable=False)
    calls = 0
    try:
        for key, value in found.each(run.cpu):
            key_place.element(0)[:] = key
            calls += 1
            if run.call(r2, (r1, key_place.address(), value, r3)):
                break
    finally:
        run.memory.remove(key_place)
    return calls
