"""Helpers of storage: a value that belongs to a socket, a task, an inode or a cgroup."""

from __future__ import annotations

from ebee.vm.faults import Fault
from ebee.vm.helpers.common import EINVAL, block, map_of
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run
from ebee.vm.maps.storage import CgroupStorage, LocalStorage


def _storage_of(run: Run, address: int, name: str) -> LocalStorage:
    found = map_of(run, address, name)
    if not isinstance(found, LocalStorage):
        raise Fault(f"call of bpf_{name}: map '{found.setup.name}' is given, which is no such storage")
    return found


@helper("sk_storage_get")
@helper("task_storage_get")
@helper("inode_storage_get")
@helper("cgrp_storage_get")
def storage_get(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of an object's value, made where the flags say so; 0 where there is none."""
    found = _storage_of(run, r1, "storage_get")
    return found.get(r2, r4, block(run, r3, found.setup.value_size_bytes) if r3 else None)


@helper("sk_storage_delete")
@helper("task_storage_delete")
@helper("inode_storage_delete")
@helper("cgrp_storage_delete")
def storage_delete(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Remove an object's value."""
    found = _storage_of(run, r1, "storage_delete")
    if not r2:
        return -EINVAL
    found.drop(r2)
    return 0


@helper("get_local_storage")
def get_local_storage(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of the value that the program has for this cgroup."""
    found = map_of(run, r1, "get_local_storage")
    if not isinstance(found, CgroupStorage):
        raise Fault(f"call of bpf_get_local_storage: map '{found.setup.name}' is no storage of cgroups")
    return found.get(run.machine.task.cgroup_id, int(run.code.expected_attach_type), run.cpu)
