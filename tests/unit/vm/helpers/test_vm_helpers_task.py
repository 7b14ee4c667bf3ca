"""Helpers of time, chance, and of the task that the program sees."""

from __future__ import annotations

import random
import struct

import pytest

from ebee.abi.arch import X86_64
from ebee.abi.bpf import MapType
from ebee.vm.contexts import arguments_context, registers_context
from ebee.vm.faults import Fault
from tests.unit.vm.helpers.desk import Desk


def test_time_is_the_machines_clock() -> None:
    desk = Desk()
    assert desk.call("ktime_get_ns") == desk.call("ktime_get_boot_ns") == 8_000_000_000
    assert desk.call("jiffies64") == 2000
    desk.machine.slots["wall_minus_boot_ns"] = 5
    assert desk.call("ktime_get_tai_ns") == 8_000_000_005


def test_chance_is_repeated_by_a_seed() -> None:
    desk = Desk()
    desk.machine.random = random.Random(7)
    assert desk.call("get_prandom_u32") == random.Random(7).getrandbits(32)


def test_the_task_is_the_machines() -> None:
    desk = Desk(cpu=1)
    task = desk.machine.task
    task.pid, task.tgid, task.uid, task.gid, task.ancestors = 12, 11, 1000, 100, (1, 20, 30)
    task.cgroup_id = 30
    assert desk.call("get_current_pid_tgid") == 11 << 32 | 12
    assert desk.call("get_current_uid_gid") == 100 << 32 | 1000
    assert desk.call("get_current_cgroup_id") == 30
    assert [desk.call("get_current_ancestor_cgroup_id", level) for level in (0, 1, 3, -1)] == [1, 20, 0, 0]
    assert desk.call("get_current_task") == desk.call("get_current_task_btf") == task.address
    assert desk.call("get_smp_processor_id") == 1
    assert desk.call("get_numa_node_id") == 0
    assert desk.kernel_call("bpf_task_from_pid", 12) == task.address
    assert desk.kernel_call("bpf_task_from_pid", 13) == 0


def test_the_tasks_name_is_cut_and_filled_up() -> None:
    desk = Desk()
    desk.machine.task.comm = "a-name-of-twenty-one"
    place = desk.room(18)
    assert desk.call("get_current_comm", place, 16) == 0
    assert desk.get(place, 18) == b"a-name-of-twent\0\xff\xff"
    assert desk.call("get_current_comm", place, 4) == 0
    assert desk.get(place, 5) == b"a-n\0m"


def test_pids_of_the_namespace_are_the_tasks() -> None:
    desk = Desk()
    place = desk.room(8)
    assert desk.call("get_ns_current_pid_tgid", 1, 2, place, 8) == 0
    assert struct.unpack("<II", desk.get(place, 8)) == (4242, 4242)
    assert desk.call("get_ns_current_pid_tgid", 1, 2, place, 4) == -22


def test_signals_are_noted() -> None:
    desk = Desk()
    assert desk.call("send_signal", 9) == 0
    assert desk.call("send_signal_thread", 10) == 0
    assert desk.call("send_signal", 65) == -22
    assert desk.machine.slots["signals"] == [("process", 9), ("thread", 10)]


def test_cgroups_of_an_array_hold_the_task() -> None:
    desk = Desk()
    table = desk.map(MapType.CGROUP_ARRAY, value=4)
    desk.machine.task.ancestors, desk.machine.task.cgroup_id = (1, 20), 20
    for place, cgroup in enumerate((1, 20, 21)):
        table.write(struct.pack("<I", place), struct.pack("<I", cgroup))
    answers = [desk.call("current_task_under_cgroup", desk.address(table), place) for place in range(5)]
    assert answers == [1, 1, 0, -11, -7]


def test_functions_tell_arguments_result_and_cookie() -> None:
    desk = Desk(lambda machine: arguments_context(machine.memory, [3, 4], 9, address=0x1234, cookie=77))
    place = desk.room(8)
    assert desk.call("get_func_arg", desk.ctx, 1, place) == 0
    assert desk.number(place) == 4
    assert desk.call("get_func_arg", desk.ctx, 2, place) == -22
    assert desk.call("get_func_ret", desk.ctx, place) == 0
    assert desk.number(place) == 9
    assert desk.call("get_func_arg_cnt", desk.ctx) == 2
    assert desk.call("get_func_ip", desk.ctx) == 0x1234
    assert desk.call("get_attach_cookie", desk.ctx) == 77


def test_a_function_that_has_not_returned_has_no_result() -> None:
    desk = Desk(lambda machine: arguments_context(machine.memory, [3]))
    assert desk.call("get_func_ret", desk.ctx, desk.room(8)) == -95


def test_a_return_value_can_be_overridden() -> None:
    desk = Desk(lambda machine: registers_context(machine.memory, {"di": 1}, X86_64))
    assert desk.call("override_return", desk.ctx, -5) == 0
    assert desk.run.slots["override"] == (1 << 64) - 5
    assert desk.call("set_retval", -1) == 0
    assert desk.call("get_retval") == -1
    assert desk.call("set_retval", 5) == -22


def test_call_chains_are_the_tasks() -> None:
    desk = Desk()
    desk.machine.task.kernel_stack, desk.machine.task.user_stack = (10, 20, 30), (1, 2)
    place = desk.room(32)
    assert desk.call("get_stack", desk.ctx, place, 32, 0) == 24
    assert struct.unpack("<4Q", desk.get(place, 32)) == (10, 20, 30, 0)
    assert desk.call("get_stack", desk.ctx, place, 16, 1) == 16
    assert struct.unpack("<2Q", desk.get(place, 16)) == (20, 30)
    assert desk.call("get_stack", desk.ctx, place, 16, 0x100) == 16
    assert struct.unpack("<2Q", desk.get(place, 16)) == (1, 2)
    assert desk.call("get_stack", desk.ctx, place, 16, 4) == -14
    assert desk.call("get_stack", desk.ctx, place, 12, 0) == -22
    assert desk.call("get_stack", desk.ctx, place, 32, 0x900) == 32
    assert struct.unpack("<i20sQ", desk.get(place, 32)) == (2, bytes(20), 1)


def test_call_chains_are_kept_by_id() -> None:
    desk = Desk()
    table = desk.map(MapType.STACK_TRACE, value=16)
    desk.machine.task.kernel_stack = (10, 20, 30)
    number = desk.call("get_stackid", desk.ctx, desk.address(table), 0)
    assert table.read(struct.pack("<I", number)) == struct.pack("<2Q", 10, 20)
    assert desk.call("get_stackid", desk.ctx, desk.address(table), 0x100) == -14
    assert desk.call("get_stackid", desk.ctx, desk.address(table), 0x10000) == -22


def test_call_chains_want_a_map_for_them() -> None:
    desk = Desk()
    table = desk.map(MapType.ARRAY)
    with pytest.raises(Fault, match="call of bpf_get_stackid: map 'table' keeps no stack traces"):
        desk.call("get_stackid", desk.ctx, desk.address(table), 0)
