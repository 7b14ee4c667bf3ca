"""Helpers that give records to user space, and take them from it: ring buffers and perf buffers."""

from __future__ import annotations

from ebee.abi import bpf
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import (
    E2BIG,
    EFAULT,
    EINVAL,
    ENOENT,
    EOPNOTSUPP,
    block,
    map_of,
    number_at,
    room,
    u32,
)
from ebee.vm.helpers.dynptr import LOCAL, MOST_BYTES, RINGBUF, Dynptr, put_dynptr
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run
from ebee.vm.maps.descriptors import PerfEventArray
from ebee.vm.maps.rings import RingBuffer, UserRingBuffer
from ebee.vm.memory import REGION_SHIFT

_CONTEXT_LENGTH_SHIFT = 32
_PERF_VALUE_BYTES = 24


def ring_of(run: Run, address: int, name: str) -> RingBuffer:
    """Return the ring buffer that a helper was given."""
    found = map_of(run, address, name)
    if not isinstance(found, RingBuffer):
        raise Fault(f"call of bpf_{name}: map '{found.setup.name}' is given, which is no ring buffer")
    return found


@helper("ringbuf_output")
def ringbuf_output(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Add a record."""
    ring_of(run, r1, "ringbuf_output").output(block(run, r2, r3), r4)
    return 0


@helper("ringbuf_reserve")
def ringbuf_reserve(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a record to be filled in, or 0."""
    ring = ring_of(run, r1, "ringbuf_reserve")
    return 0 if r3 else ring.reserve(r2)


@helper("ringbuf_submit")
def ringbuf_submit(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Finish a record."""
    finish_record(run, r1, "ringbuf_submit")
    return 0


@helper("ringbuf_discard")
def ringbuf_discard(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Finish a record that nobody shall see."""
    finish_record(run, r1, "ringbuf_discard", discard=True)
    return 0


def finish_record(run: Run, address: int, name: str, *, discard: bool = False) -> None:
    """Finish a reserved record of whichever ring buffer it is.

    Raises:
        Fault: there is no such record.
    """
    for ring in run.machine.maps.values():
        if isinstance(ring, RingBuffer) and address >> REGION_SHIFT in ring.pending:
            ring.submit(address, discard=discard)
            return
    raise Fault(f"call of bpf_{name}: {run.memory.describe(address)} is given, expected a reserved record")


@helper("ringbuf_query")
def ringbuf_query(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return a number of the ring buffer's: data not yet read, size, positions."""
    return ring_of(run, r1, "ringbuf_query").query(r2)


@helper("ringbuf_reserve_dynptr")
def ringbuf_reserve_dynptr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Reserve a record of any length; the dynptr is null where there is no room."""
    ring, size = ring_of(run, r1, "ringbuf_reserve_dynptr"), u32(r2)
    put_dynptr(run, r4, None)
    if r3:
        return -EINVAL
    if size > MOST_BYTES:
        return -E2BIG
    address = ring.reserve(size)
    if not address:
        return -EINVAL
    put_dynptr(run, r4, Dynptr(address, size, RINGBUF))
    return 0


@helper("ringbuf_submit_dynptr")
def ringbuf_submit_dynptr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Finish a record; a null dynptr has none."""
    return _finish_dynptr(run, r1, "ringbuf_submit_dynptr", discard=False)


@helper("ringbuf_discard_dynptr")
def ringbuf_discard_dynptr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Finish a record that nobody shall see; a null dynptr has none."""
    return _finish_dynptr(run, r1, "ringbuf_discard_dynptr", discard=True)


def _finish_dynptr(run: Run, address: int, name: str, *, discard: bool) -> int:
    record = number_at(run, address, 8)
    if record:
        finish_record(run, record, name, discard=discard)
        put_dynptr(run, address, None)
    return 0


@helper("user_ringbuf_drain")
def user_ringbuf_drain(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Call a function with each record that user space gave, until it returns 1; how many."""
    ring = map_of(run, r1, "user_ringbuf_drain")
    if not isinstance(ring, UserRingBuffer):
        raise Fault(
            f"call of bpf_user_ringbuf_drain: map '{ring.setup.name}' is given, expected a user ring buffer"
        )
    place = run.memory.add("the dynptr of a record", 16)

    def give(record: bytes) -> int:
        region = run.memory.add(f"record of map '{ring.setup.name}'", len(record), writable=False)
        region.element(0)[:] = record
        put_dynptr(run, place.address(), Dynptr(region.address(), len(record), LOCAL, read_only=True))
        try:
            return run.call(r2, (place.address(), r3))
        finally:
            run.memory.remove(region)

    try:
        return ring.drain(give, r4)
    finally:
        run.memory.remove(place)


# -- perf buffers ------------------------------------------------------------------------------------
def perf_array_of(run: Run, address: int, name: str) -> PerfEventArray:
    """Return the perf event array that a helper was given."""
    found = map_of(run, address, name)
    if not isinstance(found, PerfEventArray):
        raise Fault(f"call of bpf_{name}: map '{found.setup.name}' is given, expected a perf event array")
    return found


@helper("perf_event_output")
@helper("skb_output")
@helper("xdp_output")
def perf_event_output(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Add a record; of programs with a packet, with as much of that behind it as the flags say."""
    events, data = perf_array_of(run, r2, "perf_event_output"), block(run, r4, r5)
    packet = run.context.packet
    wanted = (r3 & bpf.F_CTXLEN_MASK) >> _CONTEXT_LENGTH_SHIFT if packet is not None else 0
    if r3 & ~(bpf.F_INDEX_MASK | (bpf.F_CTXLEN_MASK if packet is not None else 0)):
        return -EINVAL
    if packet is not None and wanted > len(packet):
        return -EFAULT
    behind = b"" if packet is None else bytes(packet.bytes()[:wanted])
    events.output(data + behind, r3 & bpf.F_INDEX_MASK, run.cpu)
    return 0


@helper("perf_event_read")
def perf_event_read(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse to read a counter: the machine has none."""
    return _no_counter(run, perf_array_of(run, r1, "perf_event_read"), r2)


@helper("perf_event_read_value")
def perf_event_read_value(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse to read a counter: the machine has none. The value is zeroed."""
    events = perf_array_of(run, r1, "perf_event_read_value")
    place = room(run, r3, u32(r4))
    place[:] = bytes(len(place))
    return -EINVAL if u32(r4) != _PERF_VALUE_BYTES else _no_counter(run, events, r2)


@helper("perf_prog_read_value")
def perf_prog_read_value(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse to read the counter that fired: the machine has none. The value is zeroed."""
    place = room(run, r2, u32(r3))
    place[:] = bytes(len(place))
    return -EINVAL if u32(r3) != _PERF_VALUE_BYTES else -EOPNOTSUPP


def _no_counter(run: Run, events: PerfEventArray, flags: int) -> int:
    """Return what the kernel says of a slot without a counter, or with one that cannot be read here."""
    if flags & ~bpf.F_INDEX_MASK:
        return -EINVAL
    place = run.cpu if flags == bpf.F_CURRENT_CPU else flags
    if place >= events.setup.max_entries:
        return -E2BIG
    return -ENOENT if events.entry(place) is None else -EOPNOTSUPP
