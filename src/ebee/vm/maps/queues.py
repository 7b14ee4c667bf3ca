"""QUEUE and STACK: values without keys, first in first out or last in first out."""

from __future__ import annotations

import errno
from collections import deque

from ebee.abi.bpf import F_NUMA_NODE, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import ACCESS_FLAGS, BPF_EXIST, BPF_NOEXIST, MapSetup, VmMap, check_flags
from ebee.vm.memory import Memory

_LARGEST_VALUE_BYTES = 4 << 20


class QueueOrStack(VmMap):
    """Values that are pushed and popped; user space looks up to peek, updates to push, takes to pop."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_flags(setup, F_NUMA_NODE | ACCESS_FLAGS)
        if setup.key_size_bytes or not setup.max_entries or not setup.value_size_bytes:
            raise Refusal(errno.EINVAL, "it has no key, and neither values nor entries of 0")
        if setup.value_size_bytes > _LARGEST_VALUE_BYTES:
            raise Refusal(errno.E2BIG, "a value of more than 4 MiB")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self._values: deque[bytes] = deque()
        self._next = 0 if setup.type is MapType.QUEUE else -1

    # -- for programs ----------------------------------------------------------------------------
    def push(self, value: bytes, flags: int = 0) -> None:
        if flags & BPF_NOEXIST or flags > BPF_EXIST:
            raise Refusal(errno.EINVAL, "a push is BPF_ANY, or BPF_EXIST to drop the oldest value when full")
        if len(self._values) == self.setup.max_entries:
            if not flags & BPF_EXIST:
                raise Refusal(errno.E2BIG, f"the map is full: it has {self.setup.max_entries} entries")
            self._values.popleft()
        self._values.append(bytes(value))

    def peek(self, value: bytes = b"") -> bytes:
        if not self._values:
            raise Refusal(errno.ENOENT)
        return self._values[self._next]

    def pop(self) -> bytes:
        value = self.peek()
        del self._values[self._next]
        return value

    def find(self, key: bytes, cpu: int = 0) -> int:
        return 0

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, "values are pushed")

    def delete(self, key: bytes) -> None:
        raise Refusal(errno.EINVAL, "values are popped")

    def __len__(self) -> int:
        return len(self._values)

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        return self._values[self._next] if self._values else None

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        self.push(value, flags)

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_take(key, flags)
        return self.pop() if self._values else None

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        raise Refusal(errno.EINVAL, "there are no keys")
