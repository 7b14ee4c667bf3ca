"""Maps of where packets can be redirected to: DEVMAP, DEVMAP_HASH, CPUMAP, XSKMAP.

Values are as the kernel shows them: u32 ifindex, or CPU queue size, and in values of 8 bytes the id of the
program that runs there, u32 (0 for none), which user space gives as a descriptor; of XSKMAP what the
simulated kernel makes of a socket's descriptor, u32.
"""

from __future__ import annotations

import errno

from ebee.abi.bpf import F_NUMA_NODE, F_RDONLY, F_RDONLY_PROG, F_WRONLY
from ebee.vm.faults import Refusal
from ebee.vm.maps.arrays import next_index
from ebee.vm.maps.base import (
    BPF_EXIST,
    BPF_NOEXIST,
    EOPNOTSUPP,
    EOVERFLOW,
    MapSetup,
    VmMap,
    check_flags,
    make_values,
)
from ebee.vm.maps.slots import Slots
from ebee.vm.memory import Memory

_LARGEST_QUEUE = 16384
_MOST_CPUS = 8192


class _Places(VmMap):
    """An array in which an index may be empty."""

    _what = "a destination"

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.values = make_values(self, setup.max_entries)
        self.values.writable = False
        memory.changed(self.values)
        self._filled: set[int] = set()

    def find(self, key: bytes, cpu: int = 0) -> int:
        place = int.from_bytes(key, "little")
        if place not in self._filled:
            return 0
        assert self.values is not None
        return self.values.address(place)

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, f"programs do not set {self._what}")

    def delete(self, key: bytes) -> None:
        place = int.from_bytes(key, "little")
        if place >= self.setup.max_entries:
            raise Refusal(errno.EINVAL, f"index {place} of a map of {self.setup.max_entries}")
        self._filled.discard(place)

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        place = int.from_bytes(key, "little")
        assert self.values is not None
        return self.values.element(place).tobytes() if place in self._filled else None

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        place = self._place(key, value, flags)
        assert self.values is not None
        if not self._is_empty(value):
            self.values.element(place)[:] = value
            self._filled.add(place)
        else:
            self._filled.discard(place)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        return next_index(key, self.setup.max_entries)

    def _place(self, key: bytes, value: bytes, flags: int) -> int:
        """Return the index that an update is for."""
        if flags > BPF_EXIST:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY or BPF_EXIST")
        place = int.from_bytes(key, "little")
        if place >= self.setup.max_entries:
            raise Refusal(errno.E2BIG, f"index {place} of a map of {self.setup.max_entries}")
        if flags == BPF_NOEXIST:
            raise Refusal(errno.EEXIST, "every index of the map exists")
        return place

    def _is_empty(self, value: bytes) -> bool:
        return not any(value[:4])


class DeviceMap(_Places):
    """DEVMAP: interfaces by index; an ifindex of 0 empties one."""

    _what = "interfaces"

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        super().__init__(_checked_devices(setup), memory, cpus=cpus, index=index)

    def _place(self, key: bytes, value: bytes, flags: int) -> int:
        place = super()._place(key, value, flags)
        if self._is_empty(value) and int.from_bytes(value[4:], "little", signed=True) > 0:
            raise Refusal(errno.EINVAL, "a program for no interface")
        return place


class DeviceHash(VmMap):
    """DEVMAP_HASH: interfaces by numbers of 32 bits."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        setup = _checked_devices(setup)
        if setup.max_entries > 1 << 31:
            raise Refusal(errno.E2BIG, "more than 2^31 entries")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self._slots = Slots(self, setup.max_entries)
        self._of: dict[bytes, int] = {}

    def find(self, key: bytes, cpu: int = 0) -> int:
        return self._of.get(key, 0)

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, "programs do not set interfaces")

    def delete(self, key: bytes) -> None:
        if key not in self._of:
            raise Refusal(errno.ENOENT)
        self._slots.give_back(self._of.pop(key))

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        slot = self._of.get(key)
        return None if slot is None else self._slots.read(slot)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        if flags > BPF_EXIST or not any(value[:4]):
            raise Refusal(
                errno.EINVAL, "an update is BPF_ANY, BPF_NOEXIST or BPF_EXIST, and names an interface"
            )
        key = bytes(key)
        if (old := self._of.get(key)) is not None:
            if flags == BPF_NOEXIST:
                raise Refusal(errno.EEXIST)
            self._of[key] = self._slots.replace(old, value)
            return
        if len(self._of) == self.setup.max_entries:
            raise Refusal(errno.E2BIG, f"the map is full: it has {self.setup.max_entries} entries")
        self._of[key] = self._slots.take(value)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        keys = list(self._of)
        place = keys.index(key) + 1 if key in self._of else 0
        return keys[place] if place < len(keys) else None


class CpuMap(_Places):
    """CPUMAP: CPUs by their number, with the length of their queue; a length of 0 empties one."""

    _what = "CPUs"

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_flags(setup, F_NUMA_NODE)
        if setup.key_size_bytes != 4 or setup.value_size_bytes not in (4, 8) or not setup.max_entries:
            raise Refusal(errno.EINVAL, "it has keys of 4 bytes and values of 4 or 8")
        if setup.max_entries > _MOST_CPUS:
            raise Refusal(errno.E2BIG, f"more than {_MOST_CPUS} CPUs")
        super().__init__(setup, memory, cpus=cpus, index=index)

    def _place(self, key: bytes, value: bytes, flags: int) -> int:
        if flags > BPF_EXIST:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY or BPF_EXIST")
        place = super()._place(key, value, flags)
        queue = int.from_bytes(value[:4], "little")
        if queue > _LARGEST_QUEUE:
            raise Refusal(EOVERFLOW, f"a queue of more than {_LARGEST_QUEUE} packets")
        if place >= self.cpus:
            raise Refusal(errno.ENODEV, f"CPU {place} of {self.cpus}")
        return place


class SocketMap(_Places):
    """XSKMAP: AF_XDP sockets by queue."""

    _what = "sockets"

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_flags(setup, F_NUMA_NODE | F_RDONLY | F_WRONLY)
        if setup.key_size_bytes != 4 or setup.value_size_bytes != 4 or not setup.max_entries:
            raise Refusal(errno.EINVAL, "it has keys and values of 4 bytes")
        super().__init__(setup, memory, cpus=cpus, index=index)

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        raise Refusal(EOPNOTSUPP, "the kernel does not tell which sockets are in it")

    def _place(self, key: bytes, value: bytes, flags: int) -> int:
        if flags > BPF_EXIST:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY, BPF_NOEXIST or BPF_EXIST")
        place = super()._place(key, value, 0)
        if flags == BPF_NOEXIST and place in self._filled:
            raise Refusal(errno.EEXIST)
        if flags == BPF_EXIST and place not in self._filled:
            raise Refusal(errno.ENOENT)
        return place

    def _is_empty(self, value: bytes) -> bool:
        return False


def _checked_devices(setup: MapSetup) -> MapSetup:
    check_flags(setup, F_NUMA_NODE | F_RDONLY | F_WRONLY)
    if setup.key_size_bytes != 4 or setup.value_size_bytes not in (4, 8) or not setup.max_entries:
        raise Refusal(errno.EINVAL, "it has keys of 4 bytes and values of 4 or 8")
    # Programs see the kernel's own record of an interface, and so may not write to it.
    return setup._replace(flags=setup.flags | F_RDONLY_PROG)
