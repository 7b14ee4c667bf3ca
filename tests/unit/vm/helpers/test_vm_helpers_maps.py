"""Helpers of maps, ring buffers, perf buffers, storage and timers."""

from __future__ import annotations

import struct

import pytest

from ebee.abi.bpf import MapType, ProgType
from ebee.vm.contexts import skb_context, xdp_context
from ebee.vm.faults import Fault
from ebee.vm.helpers.timers import next_due_ns, run_timers
from ebee.vm.interpreter import Interpreter
from ebee.vm.maps.descriptors import PerfEventArray
from ebee.vm.maps.rings import RingBuffer, UserRingBuffer
from tests.support.vm import code
from tests.unit.vm.helpers.desk import CALLBACK, Desk


def key(number: int) -> bytes:
    """Return a key of 4 bytes."""
    return struct.pack("<I", number)


def test_values_are_set_found_and_removed() -> None:
    desk = Desk()
    table = desk.address(desk.map(MapType.HASH))
    place, value = desk.put(key(3)), desk.put(b"12345678")
    assert desk.call("map_lookup_elem", table, place) == 0
    assert desk.call("map_update_elem", table, place, value, 0) == 0
    assert desk.get(desk.call("map_lookup_elem", table, place), 8) == b"12345678"
    assert desk.call("map_update_elem", table, place, value, 1) == -17
    assert desk.call("map_delete_elem", table, place) == 0
    assert desk.call("map_delete_elem", table, place) == -2


def test_what_is_no_map_stops_the_program() -> None:
    desk = Desk()
    with pytest.raises(
        Fault, match=r"call of bpf_map_lookup_elem: the scratch \+ 0 is given, expected a map"
    ):
        desk.call("map_lookup_elem", desk.put(key(1)), desk.put(key(1)))


def test_each_cpu_has_its_value() -> None:
    desk = Desk()
    table = desk.address(desk.map(MapType.PERCPU_ARRAY))
    place = desk.put(key(1))
    own = desk.call("map_lookup_elem", table, place)
    assert own == desk.call("map_lookup_percpu_elem", table, place, 0)
    assert own != desk.call("map_lookup_percpu_elem", table, place, 1) != 0
    assert desk.call("map_lookup_percpu_elem", table, place, 2) == 0


def test_an_empty_queue_gives_zeros() -> None:
    desk = Desk()
    table = desk.address(desk.map(MapType.QUEUE, key=0, entries=1))
    value = desk.put(b"12345678")
    assert desk.call("map_push_elem", table, value, 0) == 0
    assert desk.call("map_push_elem", table, value, 0) == -7
    place = desk.room(8)
    assert desk.call("map_peek_elem", table, place) == 0
    assert desk.call("map_pop_elem", table, place) == 0
    assert desk.get(place, 8) == b"12345678"
    assert desk.call("map_pop_elem", table, place) == -2
    assert desk.get(place, 8) == bytes(8)


def test_each_element_is_shown_until_the_function_says_stop() -> None:
    desk = Desk()
    table = desk.address(desk.map(MapType.ARRAY, entries=3))
    seen: list[tuple[int, int]] = []

    def see(map: int, key: int, value: int, context: int) -> int:
        assert (map, context) == (table, 5)
        seen.append((desk.number(key, 4), desk.number(value)))
        return int(len(seen) == 2)

    desk.callback = see
    assert desk.call("for_each_map_elem", table, CALLBACK, 5, 0) == 2
    assert seen == [(0, 0), (1, 0)]
    assert desk.call("for_each_map_elem", table, CALLBACK, 5, 1) == -22


# -- records -----------------------------------------------------------------------------------------
def ring(desk: Desk) -> RingBuffer:
    """Return a ring buffer of a page."""
    made = desk.map(MapType.RINGBUF, key=0, value=0, entries=4096)
    assert isinstance(made, RingBuffer)
    return made


def test_records_are_reserved_filled_and_submitted() -> None:
    desk = Desk()
    table = ring(desk)
    place = desk.call("ringbuf_reserve", desk.address(table), 8, 0)
    desk.machine.memory.write(place, b"12345678")
    assert desk.call("ringbuf_submit", place, 0) == 0
    gone = desk.call("ringbuf_reserve", desk.address(table), 8, 0)
    assert desk.call("ringbuf_discard", gone, 0) == 0
    assert desk.call("ringbuf_output", desk.address(table), desk.put(b"abc"), 3, 0) == 0
    assert desk.call("ringbuf_query", desk.address(table), 0) == 48
    assert list(table.take_records()) == [b"12345678", b"abc"]
    assert desk.call("ringbuf_reserve", desk.address(table), 8, 1) == 0
    assert desk.call("ringbuf_output", desk.address(table), desk.put(b"abc"), 3, 8) == -22


def test_a_record_is_submitted_once() -> None:
    desk = Desk()
    place = desk.call("ringbuf_reserve", desk.address(ring(desk)), 8, 0)
    desk.call("ringbuf_submit", place, 0)
    with pytest.raises(Fault, match=r"call of bpf_ringbuf_submit: .* is given, expected a reserved record"):
        desk.call("ringbuf_submit", place, 0)


def test_records_of_any_length_are_dynptrs() -> None:
    desk = Desk()
    table, dynptr = ring(desk), desk.room(16)
    assert desk.call("ringbuf_reserve_dynptr", desk.address(table), 4, 0, dynptr) == 0
    assert desk.call("dynptr_write", dynptr, 0, desk.put(b"abcd"), 4, 0) == 0
    assert desk.call("ringbuf_submit_dynptr", dynptr, 0) == 0
    assert desk.call("ringbuf_submit_dynptr", dynptr, 0) == 0
    assert list(table.take_records()) == [b"abcd"]
    assert desk.call("ringbuf_reserve_dynptr", desk.address(table), 5000, 0, dynptr) == -22
    assert desk.kernel_call("bpf_dynptr_is_null", dynptr) == 1


def test_records_of_user_space_are_drained() -> None:
    desk = Desk()
    table = desk.map(MapType.USER_RINGBUF, key=0, value=0, entries=4096)
    assert isinstance(table, UserRingBuffer)
    table.produce(b"one")
    table.produce(b"two!")
    seen: list[bytes] = []

    def see(dynptr: int, context: int) -> int:
        size, place = desk.kernel_call("bpf_dynptr_size", dynptr), desk.room(8)
        assert desk.call("dynptr_read", place, size, dynptr, 0, 0) == 0
        seen.append(desk.get(place, size))
        return 0

    desk.callback = see
    assert desk.call("user_ringbuf_drain", desk.address(table), CALLBACK, 0, 0) == 2
    assert seen == [b"one", b"two!"]


def events(desk: Desk) -> PerfEventArray:
    """Return a perf event array whose first slot is set."""
    table = desk.map(MapType.PERF_EVENT_ARRAY, value=4, entries=2)
    assert isinstance(table, PerfEventArray)
    table.write(key(0), key(1))
    return table


def test_perf_records_go_to_the_cpus_slot() -> None:
    desk = Desk()
    table = events(desk)
    address, data = desk.address(table), desk.put(b"abcd")
    assert desk.call("perf_event_output", desk.ctx, address, 0xFFFF_FFFF, data, 4) == 0
    assert table.buffers[0].take() == [(0, b"abcd")]
    assert desk.call("perf_event_output", desk.ctx, address, 1, data, 4) == -2
    assert desk.call("perf_event_output", desk.ctx, address, 2, data, 4) == -7
    assert desk.call("perf_event_output", desk.ctx, address, 4 << 32, data, 4) == -22


def test_perf_records_take_the_packet_along() -> None:
    desk = Desk(lambda machine: xdp_context(machine.memory, bytes(range(20))), type=ProgType.XDP)
    table = events(desk)
    address, data = desk.address(table), desk.put(b"ab")
    assert desk.call("perf_event_output", desk.ctx, address, 4 << 32 | 0xFFFF_FFFF, data, 2) == 0
    assert table.buffers[0].take() == [(0, b"ab\x00\x01\x02\x03")]
    assert desk.call("perf_event_output", desk.ctx, address, 21 << 32 | 0xFFFF_FFFF, data, 2) == -14


def test_counters_cannot_be_read() -> None:
    desk = Desk()
    address, place = desk.address(events(desk)), desk.room(24)
    assert desk.call("perf_event_read_value", address, 0, place, 24) == -95
    assert desk.get(place, 24) == bytes(24)
    assert desk.call("perf_event_read_value", address, 1, place, 24) == -2
    assert desk.call("perf_event_read", address, 2) == -7


# -- dynptrs -----------------------------------------------------------------------------------------
def test_dynptrs_know_their_bounds() -> None:
    desk = Desk()
    data, dynptr, place = desk.put(b"0123456789"), desk.room(16), desk.room(8)
    assert desk.call("dynptr_from_mem", data, 10, 0, dynptr) == 0
    assert desk.call("dynptr_read", place, 4, dynptr, 6, 0) == 0
    assert desk.get(place, 4) == b"6789"
    assert desk.call("dynptr_read", place, 4, dynptr, 7, 0) == -7
    assert desk.call("dynptr_data", dynptr, 2, 8) == data + 2
    assert desk.call("dynptr_data", dynptr, 3, 8) == 0
    assert desk.kernel_call("bpf_dynptr_adjust", dynptr, 2, 6) == 0
    assert desk.kernel_call("bpf_dynptr_size", dynptr) == 4
    assert desk.call("dynptr_data", dynptr, 0, 4) == data + 2
    assert desk.kernel_call("bpf_dynptr_adjust", dynptr, 5, 5) == -34
    assert desk.call("dynptr_from_mem", data, 10, 1, dynptr) == -22
    assert desk.call("dynptr_read", place, 4, dynptr, 0, 0) == -22


def test_dynptrs_of_packets_follow_the_packet() -> None:
    packet = bytes(range(40))
    desk = Desk(lambda machine: skb_context(machine.memory, packet, ProgType.SCHED_CLS))
    dynptr, place = desk.room(16), desk.room(8)
    assert desk.kernel_call("bpf_dynptr_from_skb", desk.ctx, 0, dynptr) == 0
    assert desk.call("dynptr_write", dynptr, 2, desk.put(b"xy"), 2, 0) == 0
    assert desk.call("dynptr_read", place, 4, dynptr, 1, 0) == 0
    assert desk.get(place, 4) == b"\x01xy\x04"
    assert desk.call("dynptr_data", dynptr, 0, 4) == 0
    slice = desk.kernel_call("bpf_dynptr_slice", dynptr, 36, place, 4)
    assert desk.get(slice, 4) == packet[36:]
    assert desk.kernel_call("bpf_dynptr_slice", dynptr, 37, place, 4) == 0


def test_dynptrs_of_packets_that_may_only_be_read() -> None:
    desk = Desk(lambda machine: skb_context(machine.memory, bytes(40), ProgType.CGROUP_SKB))
    dynptr = desk.room(16)
    assert desk.kernel_call("bpf_dynptr_from_skb", desk.ctx, 0, dynptr) == 0
    assert desk.kernel_call("bpf_dynptr_is_rdonly", dynptr) == 1
    assert desk.call("dynptr_write", dynptr, 2, desk.put(b"xy"), 2, 0) == -22
    assert desk.kernel_call("bpf_dynptr_slice_rdwr", dynptr, 0, dynptr, 4) == 0


# -- storage -----------------------------------------------------------------------------------------
def test_storage_belongs_to_its_object() -> None:
    desk = Desk()
    table = desk.address(desk.map(MapType.TASK_STORAGE, entries=0, flags=1))
    task = desk.call("get_current_task_btf")
    assert desk.call("task_storage_get", table, task, 0, 0) == 0
    value = desk.call("task_storage_get", table, task, desk.put(b"12345678"), 1)
    assert desk.get(value, 8) == b"12345678"
    assert desk.call("task_storage_get", table, task, 0, 0) == value
    assert desk.call("task_storage_get", table, task + 64, 0, 0) == 0
    assert desk.call("task_storage_delete", table, task) == 0
    assert desk.call("task_storage_delete", table, task) == -2


# -- timers ------------------------------------------------------------------------------------------
PROGRAM = """
r0 = 0
exit
callback:
r0 = *(u64 *)(r3 +16)
r0 += 1
*(u64 *)(r3 +16) = r0
r1 = *(u32 *)(r2 +0)
*(u64 *)(r3 +24) = r1
r0 = 0
exit
"""
CALLBACK_SLOT = 2


def timer_desk() -> tuple[Desk, int, int]:
    """Return a desk whose program has a callback, a map's address, and the address of a timer in it."""
    desk = Desk()
    desk.run.code = code(PROGRAM.replace("callback:\n", ""))
    table = desk.map(MapType.ARRAY, value=32)
    timer = table.find(key(2))
    return desk, desk.address(table), timer


def test_a_timer_calls_its_function_when_it_is_due() -> None:
    desk, table, timer = timer_desk()
    now = 1000
    desk.machine.clock_ns = lambda: now
    assert desk.call("timer_init", timer, table, 1) == 0
    assert desk.call("timer_start", timer, 50, 0) == -22
    assert desk.call("timer_set_callback", timer, 5 << 52 | CALLBACK_SLOT << 28) == 0
    assert desk.call("timer_start", timer, 50, 0) == 0
    engine = Interpreter(desk.machine)
    assert next_due_ns(desk.machine) == 1050
    assert run_timers(desk.machine, engine) == 0
    now = 1050
    assert run_timers(desk.machine, engine) == 1
    assert struct.unpack("<2Q", desk.get(timer + 16, 16)) == (1, 2)
    assert run_timers(desk.machine, engine) == 0
    assert next_due_ns(desk.machine) is None


def test_timers_are_made_once_and_stopped() -> None:
    desk, table, timer = timer_desk()
    assert desk.call("timer_cancel", timer) == -22
    assert desk.call("timer_init", timer, table, 3) == -22
    assert desk.call("timer_init", timer, table, 1) == 0
    assert desk.call("timer_init", timer, table, 1) == -16
    assert desk.call("timer_set_callback", timer, 5 << 52 | CALLBACK_SLOT << 28) == 0
    assert desk.call("timer_start", timer, 0, 4) == -22
    assert desk.call("timer_start", timer, 0, 0) == 0
    assert desk.call("timer_cancel", timer) == 1
    assert desk.call("timer_cancel", timer) == 0
    assert run_timers(desk.machine, Interpreter(desk.machine)) == 0


def test_work_is_done_when_timers_are_run() -> None:
    desk, table, timer = timer_desk()
    assert desk.kernel_call("bpf_wq_init", timer, table, 0) == 0
    assert desk.kernel_call("bpf_wq_set_callback_impl", timer, 5 << 52 | CALLBACK_SLOT << 28, 0) == 0
    assert desk.kernel_call("bpf_wq_start", timer, 0) == 0
    assert run_timers(desk.machine, Interpreter(desk.machine)) == 1
    assert desk.number(timer + 16) == 1


def test_a_timer_goes_with_its_element() -> None:
    desk = Desk()
    desk.run.code = code(PROGRAM.replace("callback:\n", ""))
    table = desk.map(MapType.HASH, value=32)
    table.update(key(7), bytes(32))
    timer = table.find(key(7))
    desk.call("timer_init", timer, desk.address(table), 1)
    desk.call("timer_set_callback", timer, 5 << 52 | CALLBACK_SLOT << 28)
    desk.call("timer_start", timer, 0, 0)
    table.delete(key(7))
    assert run_timers(desk.machine, Interpreter(desk.machine)) == 0
    assert next_due_ns(desk.machine) is None
