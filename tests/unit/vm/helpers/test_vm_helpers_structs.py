"""Structs of the kernel, laid out by types that a program was compiled with."""

from __future__ import annotations

import struct

from ebee.btf import Btf
from ebee.btf.types import Kind
from ebee.vm.helpers.common import SYMBOLS_SLOT, TYPES_SLOT
from ebee.vm.helpers.kernel_structs import put_struct, put_task
from tests.support.objects import spec_of
from tests.unit.vm.helpers.desk import Desk

TYPES = """
typedef struct { unsigned int val; } kuid_t;
struct cred { long usage; kuid_t uid; kuid_t gid; };
struct task_struct {
    long state;
    union { int other; struct { int pid; int tgid; }; };
    struct task_struct *real_parent;
    const struct cred *cred;
    char comm[16];
};
struct task_struct task; struct cred cred;
SEC("xdp") int f(struct xdp_md *ctx) { return task.pid + cred.uid.val; }
"""


def types() -> Btf:
    """Return types with a task_struct of a few fields."""
    found = spec_of(TYPES).btf
    assert found is not None
    return found


def test_a_task_tells_who_it_is_whose_child_and_whose_rights_it_has() -> None:
    desk = Desk()
    machine = desk.machine
    machine.task.pid, machine.task.tgid, machine.task.uid, machine.task.parent_tgid = 12, 11, 1000, 7
    put_task(machine, types())
    data = machine.memory.kernel.read(machine.task.address, 48)
    assert data is not None
    state, pid, tgid, parent, cred, comm = struct.unpack("<QIIQQ16s", data)
    assert (state, pid, tgid, comm.rstrip(b"\0")) == (0, 12, 11, b"ebee")
    assert machine.memory.kernel.read(parent + 8, 8) == struct.pack("<II", 7, 7)
    assert machine.memory.kernel.read(cred, 16) == struct.pack("<QII", 0, 1000, 1000)


def test_the_task_is_there_when_a_program_asks_for_it() -> None:
    desk = Desk()
    task = desk.call("get_current_task")
    assert desk.machine.memory.kernel.read(task, 8) is None
    desk.machine.slots[TYPES_SLOT] = types
    assert desk.call("get_current_task") == task
    place = desk.room(4)
    assert desk.call("probe_read_kernel", place, 4, task + 12) == 0
    assert desk.number(place, 4) == 4242
    desk.machine.task.tgid = 12
    assert desk.call("get_current_task") == task
    assert desk.call("probe_read_kernel", place, 4, task + 12) == 0
    assert desk.number(place, 4) == 12


def test_what_was_put_there_stays() -> None:
    desk = Desk()
    desk.machine.slots[TYPES_SLOT] = types
    desk.machine.memory.kernel.put(desk.machine.task.address, b"recorded")
    desk.call("get_current_task_btf")
    assert desk.machine.memory.kernel.read(desk.machine.task.address, 8) == b"recorded"


def test_structs_and_fields_that_the_types_have_not_are_left_out() -> None:
    desk = Desk()
    memory = desk.machine.memory.kernel
    assert not put_struct(memory, types(), "nothing", 0xFFFF_8881_0000_0000, {})
    assert put_struct(memory, types(), "cred", 0xFFFF_8881_0000_0000, {"euid.val": 1, "gid.val": 2})
    assert memory.read(0xFFFF_8881_0000_0000, 16) == struct.pack("<QII", 0, 0, 2)


def test_symbols_are_those_that_were_set() -> None:
    desk = Desk()
    desk.machine.slots[SYMBOLS_SLOT] = {"jiffies": 0xFFFF_FFFF_8200_0000}.get
    name, place = desk.put(b"jiffies\0"), desk.room(8)
    assert desk.call("kallsyms_lookup_name", name, 8, 0, place) == 0
    assert desk.get(place, 8) == struct.pack("<Q", 0xFFFF_FFFF_8200_0000)
    assert desk.call("kallsyms_lookup_name", name, 7, 0, place) == -22
    assert desk.call("kallsyms_lookup_name", desk.put(b"other\0"), 6, 0, place) == -2
    assert desk.number(place) == 0


def test_types_are_found_by_name() -> None:
    desk = Desk()
    name = desk.put(b"cred\0")
    assert desk.call("btf_find_by_name_kind", name, 5, Kind.STRUCT, 0) == -2
    desk.machine.slots[TYPES_SLOT] = types
    assert desk.call("btf_find_by_name_kind", name, 5, Kind.STRUCT, 0) == types().find("cred", Kind.STRUCT)
    assert desk.call("btf_find_by_name_kind", name, 5, 99, 0) == -22


def test_what_the_machine_has_not_is_refused_as_by_kernels_without_it() -> None:
    desk = Desk()
    place = desk.room(8)
    assert desk.call("get_branch_snapshot", place, 8, 0) == -2
    assert desk.call("read_branch_records", desk.ctx, place, 8, 0) == -2
    assert desk.call("ima_inode_hash", 0, place, 8) == -95
    assert desk.call("find_vma", 0, 0, 0, 0, 0) == -2
    assert desk.call("skb_get_xfrm_state", desk.ctx, 0, place, 8, 0) == -22
    assert desk.get(place, 8) == bytes(8)
