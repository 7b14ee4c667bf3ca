"""Arrays of what user space names by file descriptors: programs, perf events, cgroups.

The simulated kernel turns descriptors into ids, which are what these maps hold.
"""

from __future__ import annotations

import errno
from collections import deque

from ebee.abi.bpf import F_RDONLY_PROG, F_WRONLY_PROG
from ebee.vm.faults import Refusal
from ebee.vm.maps.arrays import check_array, next_index
from ebee.vm.maps.base import (
    BPF_ANY,
    ENOTSUPP,
    EOPNOTSUPP,
    MapSetup,
    VmMap,
)
from ebee.vm.memory import Memory

BPF_F_INDEX_MASK = BPF_F_CURRENT_CPU = (1 << 32) - 1


class DescriptorArray(VmMap):
    """An array of ids, each u32; an index that was not set has none."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_array(setup)
        if setup.value_size_bytes != 4:
            raise Refusal(errno.EINVAL, "a value is a file descriptor: 4 bytes")
        if setup.flags & (F_RDONLY_PROG | F_WRONLY_PROG):
            raise Refusal(errno.EINVAL, "programs neither read nor write such values")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self._ids: dict[int, int] = {}

    def entry(self, place: int) -> int | None:
        """Return the id at an index; None where there is none."""
        return self._ids.get(place)

    def entries(self) -> list[tuple[int, int]]:
        """Return all that is set: index and id, by index."""
        return sorted(self._ids.items())

    # -- for programs ----------------------------------------------------------------------------
    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, "programs do not set descriptors")

    def delete(self, key: bytes) -> None:
        place = int.from_bytes(key, "little")
        if place >= self.setup.max_entries:
            raise Refusal(errno.E2BIG, f"index {place} of an array of {self.setup.max_entries}")
        if self._ids.pop(place, None) is None:
            raise Refusal(errno.ENOENT)

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        raise Refusal(ENOTSUPP, "the kernel does not tell which descriptors are in it")

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        if flags != BPF_ANY:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY")
        place = int.from_bytes(key, "little")
        if place >= self.setup.max_entries:
            raise Refusal(errno.E2BIG, f"index {place} of an array of {self.setup.max_entries}")
        self._ids[place] = int.from_bytes(value, "little")

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        return next_index(key, self.setup.max_entries)

    def _told(self, key: bytes, flags: int) -> bytes | None:
        self.check_read(key, flags)
        found = self._ids.get(int.from_bytes(key, "little"))
        return None if found is None else found.to_bytes(4, "little")


class ProgramArray(DescriptorArray):
    """PROG_ARRAY: programs to tail-call, by id."""

    def program(self, place: int) -> int:
        """Return the id of the program at an index; 0 where there is none."""
        return self._ids.get(place, 0)

    def find(self, key: bytes, cpu: int = 0) -> int:
        """Return the id of the program under a key, for engines; 0 where there is none."""
        return self.program(int.from_bytes(key, "little"))

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        return self._told(key, flags)


class CgroupArray(DescriptorArray):
    """CGROUP_ARRAY: cgroups, by id, for bpf_current_task_under_cgroup and its kin."""


class PerfBuffer:
    """The records of one index of a PERF_EVENT_ARRAY.

    Attributes:
        records: what programs gave and nobody has taken yet, oldest first: with its CPU.
        size_bytes: how much finds room; each record takes 8 bytes of header, 4 of length, its data, rounded
            up to 8.
        lost: how many found none.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.records: deque[tuple[int, bytes]] = deque()
        self.lost = 0
        self._used_bytes = 0

    def add(self, cpu: int, data: bytes) -> None:
        """Add a record, or count it as lost."""
        room = _perf_room(data)
        if self._used_bytes + room > self.size_bytes:
            self.lost += 1
            return
        self._used_bytes += room
        self.records.append((cpu, data))

    def take(self) -> list[tuple[int, bytes]]:
        """Take all records away: CPU and data, oldest first."""
        taken = list(self.records)
        self.records.clear()
        self._used_bytes = 0
        return taken


class PerfEventArray(DescriptorArray):
    """PERF_EVENT_ARRAY: a buffer of records behind each index that user space has set.

    Attributes:
        buffer_bytes: how large the buffer is that comes with an index.
        cpu_of: the CPU of an event, by the id that was written; without an entry it is the index.
    """

    buffer_bytes = 64 << 12

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.buffers: dict[int, PerfBuffer] = {}
        self.cpu_of: dict[int, int] = {}

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        super().write(key, value, flags)
        self.buffers[int.from_bytes(key, "little")] = PerfBuffer(self.buffer_bytes)

    def delete(self, key: bytes) -> None:
        super().delete(key)
        self.buffers.pop(int.from_bytes(key, "little"), None)

    def output(self, data: bytes, flags: int, cpu: int) -> None:
        """Add a record, as bpf_perf_event_output does on a CPU; flags are BPF_F_CURRENT_CPU or an index.

        Raises:
            Refusal: the index is too large (E2BIG), nothing is set there (ENOENT), or an event of another
                CPU (EOPNOTSUPP).
        """
        place = flags & BPF_F_INDEX_MASK
        if place == BPF_F_CURRENT_CPU:
            place = cpu
        if place >= self.setup.max_entries:
            raise Refusal(errno.E2BIG, f"index {place} of an array of {self.setup.max_entries}")
        event = self.entry(place)
        if event is None:
            raise Refusal(errno.ENOENT, "user space set no perf event there")
        if self.cpu_of.get(event, place) != cpu:
            raise Refusal(EOPNOTSUPP, "the perf event is another CPU's")
        self.buffers[place].add(cpu, bytes(data))


def _perf_room(data: bytes) -> int:
    return 8 + (4 + len(data) + 7 & ~7)
