"""SOCKMAP, SOCKHASH, REUSEPORT_SOCKARRAY: made and empty, for the machine has no sockets to put in.

So an object that has one loads, and its programs find nothing; a socket is refused with EOPNOTSUPP.
"""

from __future__ import annotations

import errno

from ebee.abi.bpf import F_NUMA_NODE, F_RDONLY, F_WRONLY, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.arrays import check_array, next_index
from ebee.vm.maps.base import (
    EOPNOTSUPP,
    MapSetup,
    VmMap,
    check_flags,
)
from ebee.vm.memory import Memory

_LARGEST_KEY_BYTES = 512
_NO_SOCKETS = "the userspace machine has no sockets"


class NoSockets(VmMap):
    """A map of sockets, always empty."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        _check(setup)
        super().__init__(setup, memory, cpus=cpus, index=index)
        self._is_array = setup.type is not MapType.SOCKHASH

    def find(self, key: bytes, cpu: int = 0) -> int:
        return 0

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(EOPNOTSUPP, _NO_SOCKETS)

    def delete(self, key: bytes) -> None:
        if self.setup.type is MapType.SOCKMAP:
            raise Refusal(errno.EINVAL)
        if self._is_array and int.from_bytes(key, "little") >= self.setup.max_entries:
            raise Refusal(errno.E2BIG)
        raise Refusal(errno.ENOENT)

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        if self.setup.value_size_bytes != 8:
            raise Refusal(errno.ENOSPC, "the cookie of a socket takes values of 8 bytes")
        return None

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        raise Refusal(EOPNOTSUPP, _NO_SOCKETS)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        return next_index(key, self.setup.max_entries) if self._is_array else None


def _check(setup: MapSetup) -> None:
    if setup.type is MapType.REUSEPORT_SOCKARRAY:
        if setup.value_size_bytes not in (4, 8):
            raise Refusal(errno.EINVAL, "a value is a socket's descriptor or cookie: 4 or 8 bytes")
        check_array(setup)
        return
    check_flags(setup, F_NUMA_NODE | F_RDONLY | F_WRONLY)
    array = setup.type is MapType.SOCKMAP
    key_is_wrong = setup.key_size_bytes != 4 if array else setup.key_size_bytes == 0
    if key_is_wrong or setup.value_size_bytes not in (4, 8) or not setup.max_entries:
        raise Refusal(errno.EINVAL, "a value is a socket's descriptor or cookie: 4 or 8 bytes")
    if setup.key_size_bytes > _LARGEST_KEY_BYTES:
        raise Refusal(errno.E2BIG, f"a key of more than {_LARGEST_KEY_BYTES} bytes")
