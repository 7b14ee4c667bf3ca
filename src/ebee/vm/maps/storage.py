"""Storage of objects of the kernel: SK_, INODE_, TASK_, CGRP_STORAGE, and the old CGROUP_STORAGE.

The object is known by a number: its address to programs, what the simulated kernel makes of a descriptor
for user space. User space's keys here are that number, 8 bytes in little-endian order, whatever the key
size says, which is that of a descriptor.
"""

from __future__ import annotations

import errno

from ebee.abi.bpf import F_CLONE, F_LOCK, F_NO_PREALLOC, F_NUMA_NODE, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import (
    ACCESS_FLAGS,
    BPF_EXIST,
    BPF_NOEXIST,
    ENOTSUPP,
    LARGEST_PER_CPU_BYTES,
    MapSetup,
    VmMap,
    check_flags,
    rounded,
)
from ebee.vm.maps.slots import Slots
from ebee.vm.memory import Memory

F_CREATE = 1
"""BPF_LOCAL_STORAGE_GET_F_CREATE, and BPF_SK_STORAGE_GET_F_CREATE, which is the same."""

_LARGEST_VALUE_BYTES = 0xFFFF - 128
"""An element of the kernel's, whose length is a u16, less what comes before the value."""
_MOST_OBJECTS = 1 << 20
_NUMBER_BYTES = 8


class LocalStorage(VmMap):
    """A value for each object that a program or user space asked one for."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_flags(setup, F_NO_PREALLOC | F_CLONE)
        if not setup.flags & F_NO_PREALLOC or setup.max_entries or setup.key_size_bytes != 4:
            raise Refusal(
                errno.EINVAL, "storage has keys of 4 bytes, max_entries 0 and the flag BPF_F_NO_PREALLOC"
            )
        if not setup.value_size_bytes:
            raise Refusal(errno.EINVAL, "value size must not be 0")
        if setup.value_size_bytes > _LARGEST_VALUE_BYTES:
            raise Refusal(errno.E2BIG, f"a value of more than {_LARGEST_VALUE_BYTES} bytes")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.user_key_bytes = _NUMBER_BYTES
        self._slots = Slots(self, _MOST_OBJECTS)
        self._of: dict[int, int] = {}

    def owners(self) -> list[int]:
        """Return the numbers of all objects that have a value."""
        return list(self._of)

    # -- for programs ----------------------------------------------------------------------------
    def get(self, owner: int, flags: int = 0, initial: bytes | None = None) -> int:
        """Return the address of an object's value; with F_CREATE it is made; 0 where there is none.

        Args:
            initial: what a new value is; zeros for None.
        """
        if flags & ~F_CREATE or owner == 0:
            return 0
        slot = self._of.get(owner)
        if slot is None:
            if not flags & F_CREATE:
                return 0
            value = bytes(self.setup.value_size_bytes) if initial is None else initial
            slot = self._of[owner] = self._slots.take(value)
        return slot

    def drop(self, owner: int) -> None:
        """Remove an object's value; ENOENT where it has none."""
        if owner not in self._of:
            raise Refusal(errno.ENOENT)
        self._slots.give_back(self._of.pop(owner))

    def delete(self, key: bytes) -> None:
        self.drop(int.from_bytes(key, "little"))

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        slot = self._of.get(int.from_bytes(key, "little"))
        return None if slot is None else self._slots.read(slot)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        how = self.check_update_flags(flags)
        owner = int.from_bytes(key, "little")
        slot = self._of.get(owner)
        if slot is None:
            if how == BPF_EXIST:
                raise Refusal(errno.ENOENT)
            self._of[owner] = self._slots.take(value)
            return
        if how == BPF_NOEXIST:
            raise Refusal(errno.EEXIST)
        if flags & F_LOCK:
            self._slots.write(slot, value)
        else:
            self._of[owner] = self._slots.replace(slot, value)

    def next_key(self, key: bytes | None) -> bytes | None:
        raise Refusal(ENOTSUPP, "the kernel does not tell which objects have storage")


class CgroupStorage(VmMap):
    """CGROUP_STORAGE and PERCPU_CGROUP_STORAGE: a value for each cgroup and attach type of a program.

    The key is struct bpf_cgroup_storage_key, or the cgroup's id alone; attaching a program makes the value
    (`attach`), which user space can then read and write.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        per_cpu = setup.type is MapType.PERCPU_CGROUP_STORAGE
        if setup.key_size_bytes not in (8, 16) or not setup.value_size_bytes:
            raise Refusal(errno.EINVAL, "it has keys of 8 or 16 bytes, and a value")
        largest = LARGEST_PER_CPU_BYTES if per_cpu else _LARGEST_VALUE_BYTES
        if setup.value_size_bytes > largest:
            raise Refusal(errno.E2BIG, f"a value of more than {largest} bytes")
        check_flags(setup, F_NUMA_NODE | ACCESS_FLAGS)
        if setup.max_entries:
            raise Refusal(errno.EINVAL, "max_entries must be 0")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self._copies = cpus if per_cpu else 1
        self._slots = Slots(self, _MOST_OBJECTS)
        self._of: dict[bytes, list[int]] = {}

    def attach(self, cgroup_id: int, attach_type: int) -> None:
        """Make the value of a cgroup and attach type; one that is there stays."""
        key = self._key(cgroup_id, attach_type)
        if key not in self._of:
            empty = bytes(self.setup.value_size_bytes)
            self._of[key] = [self._slots.take(empty) for _ in range(self._copies)]

    def detach(self, cgroup_id: int, attach_type: int) -> None:
        """Remove the value of a cgroup and attach type."""
        for slot in self._of.pop(self._key(cgroup_id, attach_type), []):
            self._slots.give_back(slot)

    def get(self, cgroup_id: int, attach_type: int, cpu: int = 0) -> int:
        """Return the address of a value, which is made where there is none, as by attaching."""
        self.attach(cgroup_id, attach_type)
        slots = self._of[self._key(cgroup_id, attach_type)]
        return slots[cpu % len(slots)]

    def delete(self, key: bytes) -> None:
        raise Refusal(errno.EINVAL, "the values of cgroups go with what is attached")

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        slots = self._of.get(bytes(key))
        if slots is None:
            return None
        if self.setup.type is MapType.CGROUP_STORAGE:
            return self._slots.read(slots[0])
        padding = bytes(-self.setup.value_size_bytes % 8)
        return b"".join(self._slots.read(slot) + padding for slot in slots)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        if flags & ~(F_LOCK | BPF_EXIST):
            raise Refusal(errno.EINVAL, "an update is BPF_ANY or BPF_EXIST")
        slots = self._of.get(bytes(key))
        if slots is None:
            raise Refusal(errno.ENOENT)
        size, step = self.setup.value_size_bytes, rounded(self.setup.value_size_bytes)
        for cpu, slot in enumerate(slots):
            self._slots.write(slot, value[cpu * step : cpu * step + size])

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        keys = sorted(self._of)
        if key is None:
            return keys[0] if keys else None
        place = keys.index(key) + 1 if key in self._of else len(keys)
        return keys[place] if place < len(keys) else None

    def _key(self, cgroup_id: int, attach_type: int) -> bytes:
        whole = cgroup_id.to_bytes(8, "little") + attach_type.to_bytes(4, "little") + bytes(4)
        return whole[: self.setup.key_size_bytes]
