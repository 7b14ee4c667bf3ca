"""Structs in the kernel's memory, laid out by its types: the current task and what it points at.

A program that follows pointers from bpf_get_current_task() finds who runs, whose child that is, and
whose rights it has. All other fields are zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ebee.btf import Btf
from ebee.btf.types import Kind, Type
from ebee.vm.helpers.common import TYPES_SLOT
from ebee.vm.machine import Machine
from ebee.vm.memory import SparseMemory

_CRED_BEYOND, _PARENT_BEYOND = 0x10_0000, 0x20_0000
"""How far the other structs lie from the task's."""

_WRITTEN_SLOT = "task in memory"

Number = int | bytes


def put_task(machine: Machine, types: Btf) -> None:
    """Write the machine's task, its parent and its rights into the kernel's memory.

    Fields that the types have not are left out: their names differ between kernels.
    """
    task, memory = machine.task, machine.memory.kernel
    cred, parent = task.address + _CRED_BEYOND, task.address + _PARENT_BEYOND
    name = task.comm.encode("utf-8", "surrogateescape")[:15]
    facts: dict[str, Number] = {"pid": task.pid, "tgid": task.tgid, "comm": name}
    facts |= {"start_time": task.start_ns, "start_boottime": task.start_ns, "group_leader": task.address}
    facts |= {"real_parent": parent, "parent": parent, "cred": cred, "real_cred": cred}
    put_struct(memory, types, "task_struct", task.address, facts)
    above: dict[str, Number] = {"pid": task.parent_tgid, "tgid": task.parent_tgid, "group_leader": parent}
    put_struct(memory, types, "task_struct", parent, above)
    users = {f"{kind}uid.val": task.uid for kind in ("", "e", "s", "fs")}
    groups = {f"{kind}gid.val": task.gid for kind in ("", "e", "s", "fs")}
    put_struct(memory, types, "cred", cred, {**users, **groups})


def put_struct(
    memory: SparseMemory, types: Btf, name: str, address: int, values: Mapping[str, Number]
) -> bool:
    """Write a struct into memory: the given fields, zeros elsewhere; False where the types have none.

    Args:
        values: by field, `uid.val` for one within another; numbers, or bytes from the field's begin on.
    """
    type_id = types.find(name, Kind.STRUCT)
    if type_id is None:
        return False
    data = bytearray(types.size_bytes(type_id))
    for path, value in values.items():
        place = _place_of(types, type_id, path)
        if place is not None:
            offset, size = place
            part = value[:size] if isinstance(value, bytes) else _bytes(value, size)
            data[offset : offset + len(part)] = part
    memory.put(address, bytes(data))
    return True


def ensure_task(machine: Machine) -> None:
    """Write the current task, if the kernel's types are known and nobody else has put one at its address."""
    types, written = machine.slots.get(TYPES_SLOT), machine.slots.get(_WRITTEN_SLOT)
    is_there = machine.memory.kernel.read(machine.task.address, 1) is not None
    if not callable(types) or (is_there and written in (None, machine.task)):
        return
    found = _types(types)
    if found is not None:
        put_task(machine, found)
        machine.slots[_WRITTEN_SLOT] = machine.task.replaced()


def _types(ask: Callable[[], object]) -> Btf | None:
    found = ask()
    return found if isinstance(found, Btf) else None


def _bytes(value: int, size_bytes: int) -> bytes:
    return (value & (1 << 8 * size_bytes) - 1).to_bytes(size_bytes, "little")


def _place_of(types: Btf, type_id: int, path: str) -> tuple[int, int] | None:
    """Return offset and size of a field in bytes; None where the struct has no such field."""
    offset, size = 0, 0
    for name in path.split("."):
        found = _member(types, types.resolve(type_id)[1], name)
        if found is None:
            return None
        bits, type_id = found
        offset, size = offset + bits // 8, types.size_bytes(type_id)
    return offset, size


def _member(types: Btf, owner: Type, name: str) -> tuple[int, int] | None:
    """Return a member's offset in bits and its type; those of nameless members count as the owner's."""
    for member in owner.members:
        if member.name == name:
            return member.bit_offset, member.type_id
        if not member.name:
            found = _member(types, types.resolve(member.type_id)[1], name)
            if found is not None:
                return member.bit_offset + found[0], found[1]
    return None
