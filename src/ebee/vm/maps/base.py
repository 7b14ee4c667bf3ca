"""What every map of the machine answers: programs by address, user space by bytes."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ebee.abi.bpf import MapType
from ebee.record import NamedTuple
from ebee.vm.faults import Refusal
from ebee.vm.memory import Memory, Region

BPF_ANY, BPF_NOEXIST, BPF_EXIST = 0, 1, 2


class MapSetup(NamedTuple):
    """What a map is made from: BPF_MAP_CREATE without descriptors.

    Attributes:
        flags, extra: as the kernel takes them (map_flags, map_extra).
    """

    type: MapType
    name: str
    key_size_bytes: int
    value_size_bytes: int
    max_entries: int
    flags: int = 0
    extra: int = 0


class VmMap:
    """A map. What it cannot do it refuses as the kernel does, by `Refusal` with the same errno.

    Programs get addresses of values (`find`); user space gets bytes (`read`, `write`). A per-CPU
    map's value is, to user space, the values of all CPUs one after the other, each rounded up to 8 bytes.

    Attributes:
        index: its number on this machine, which addresses in the MAPS region carry.
        id: what the simulated kernel calls it.
        values: the region that its values lie in; None for maps whose values no program points at.
        frozen: user space writes no more.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        self.setup = setup
        self.memory = memory
        self.cpus = cpus
        self.index = index
        self.id = 0
        self.values: Region | None = None
        self.frozen = False

    # -- for programs ----------------------------------------------------------------------------
    def find(self, key: bytes, cpu: int = 0) -> int:
        """Return the address of a key's value, on a CPU; 0 where there is none."""
        raise Refusal(errno.EOPNOTSUPP)

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        """Set a key's value (of one CPU), as bpf_map_update_elem does."""
        raise Refusal(errno.EOPNOTSUPP)

    def delete(self, key: bytes) -> None:
        """Remove a key; ENOENT where it is not there."""
        raise Refusal(errno.EOPNOTSUPP)

    def push(self, value: bytes, flags: int = 0) -> None:
        """Add a value, as bpf_map_push_elem does."""
        raise Refusal(errno.EOPNOTSUPP)

    def pop(self) -> bytes:
        """Take a value away; ENOENT where there is none."""
        raise Refusal(errno.EOPNOTSUPP)

    def peek(self, value: bytes = b"") -> bytes:
        """Return the next value and leave it; for a bloom filter ask whether `value` may be there."""
        raise Refusal(errno.EOPNOTSUPP)

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        """Return a key's value as BPF_MAP_LOOKUP_ELEM does; None where it is not there."""
        raise Refusal(errno.EOPNOTSUPP)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Set a key's value as BPF_MAP_UPDATE_ELEM does."""
        raise Refusal(errno.EOPNOTSUPP)

    def remove(self, key: bytes) -> None:
        """Remove a key as BPF_MAP_DELETE_ELEM does."""
        self.delete(key)

    def next_key(self, key: bytes | None) -> bytes | None:
        """Return the key after another, the first for None or one that is gone; None past the last."""
        raise Refusal(errno.EOPNOTSUPP)

    def keys(self) -> Iterator[bytes]:
        """Yield all keys in the map's own order."""
        key = self.next_key(None)
        while key is not None:
            yield key
            key = self.next_key(key)

    def mapped(self) -> memoryview:
        """Return the bytes that mmap(2) of this map shows, writable; EINVAL where it cannot be mapped."""
        raise Refusal(errno.EINVAL)

    def close(self) -> None:
        """Give the memory back."""
        if self.values is not None:
            self.memory.remove(self.values)
            self.values = None
