"""What every map of the machine answers: programs by address, user space by bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ebee.abi.bpf import F_LOCK, F_RDONLY, F_RDONLY_PROG, F_WRONLY, F_WRONLY_PROG, MapType
from ebee.record import NamedTuple
from ebee.vm.faults import Refusal
from ebee.vm.memory import ELEMENT_BITS, OFFSET_BITS, Memory, Region

BPF_ANY, BPF_NOEXIST, BPF_EXIST = 0, 1, 2

# Linux's numbers, where other systems have others. ENOTSUPP is the kernel's own, unnamed in user space.
EAGAIN, EOVERFLOW, EOPNOTSUPP, ENOTSUPP = 11, 75, 95, 524

ACCESS_FLAGS = F_RDONLY | F_WRONLY | F_RDONLY_PROG | F_WRONLY_PROG
LARGEST_PER_CPU_BYTES = 32 << 10
"""The kernel's allocator of per-CPU memory gives no larger piece (PCPU_MIN_UNIT_SIZE)."""
MOST_VALUES = 1 << ELEMENT_BITS
LARGEST_VALUE_BYTES = 1 << (OFFSET_BITS - 1)
"""What addresses of the machine leave room for."""


class MapSetup(NamedTuple):
    """What a map is made from: BPF_MAP_CREATE without descriptors.

    Attributes:
        flags, extra: as the kernel takes them (map_flags, map_extra).
        has_spin_lock: the value's BTF has a struct bpf_spin_lock: updates and look-ups may have
            BPF_F_LOCK.
        inner: for maps of maps what the map was made from that they were created with.
    """

    type: MapType
    name: str
    key_size_bytes: int
    value_size_bytes: int
    max_entries: int
    flags: int = 0
    extra: int = 0
    has_spin_lock: bool = False
    inner: MapSetup | None = None


class VmMap:
    """A map. What it cannot do it refuses as the kernel does, by `Refusal` with the same errno.

    Programs get addresses of values (`find`); user space gets bytes (`read`, `write`). A per-CPU
    map's value is, to user space, the values of all CPUs one after the other, each rounded up to 8 bytes.

    Attributes:
        setup: what it was made from; the kernel rounds some numbers, and then these are the rounded ones.
        index: its number on this machine, which addresses in the MAPS region carry.
        id: what the simulated kernel calls it.
        values: the region that its values lie in; None for maps whose values no program points at.
        further: more regions of values, of maps that grow.
        user_key_bytes, user_value_bytes: how long keys and values are to user space.
        frozen: user space writes no more.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        self.setup = setup
        self.memory = memory
        self.cpus = cpus
        self.index = index
        self.id = 0
        self.values: Region | None = None
        self.further: list[Region] = []
        self.frozen = False
        self.user_key_bytes = setup.key_size_bytes
        self.user_value_bytes = user_value_bytes(setup, cpus)
        self._may_read = not setup.flags & F_WRONLY
        self._may_write = not setup.flags & F_RDONLY

    # -- for programs ----------------------------------------------------------------------------
    def find(self, key: bytes, cpu: int = 0) -> int:
        """Return the address of a key's value, on a CPU; 0 where there is none."""
        raise Refusal(EOPNOTSUPP)

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        """Set a key's value (of one CPU), as bpf_map_update_elem does."""
        raise Refusal(EOPNOTSUPP)

    def delete(self, key: bytes) -> None:
        """Remove a key; ENOENT where it is not there."""
        raise Refusal(EOPNOTSUPP)

    def push(self, value: bytes, flags: int = 0) -> None:
        """Add a value, as bpf_map_push_elem does."""
        raise Refusal(EOPNOTSUPP)

    def pop(self) -> bytes:
        """Take a value away; ENOENT where there is none."""
        raise Refusal(EOPNOTSUPP)

    def peek(self, value: bytes = b"") -> bytes:
        """Return the next value and leave it; for a bloom filter ask whether `value` may be there."""
        raise Refusal(EOPNOTSUPP)

    def each(self, cpu: int = 0) -> Iterator[tuple[bytes, int]]:
        """Yield every key with the address of its value, as bpf_for_each_map_elem shows them.

        Keys may be removed meanwhile, and then are not shown; whether a new one is, is not said.
        """
        raise Refusal(errno.EINVAL)

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        """Return a key's value as BPF_MAP_LOOKUP_ELEM does; None where it is not there."""
        raise Refusal(EOPNOTSUPP)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Set a key's value as BPF_MAP_UPDATE_ELEM does."""
        raise Refusal(EOPNOTSUPP)

    def remove(self, key: bytes) -> None:
        """Remove a key as BPF_MAP_DELETE_ELEM does; ENOENT where it is not there."""
        self.check_remove(key)
        self.delete(key)

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        """Return a value and remove it as BPF_MAP_LOOKUP_AND_DELETE_ELEM does; None where it is not there."""
        self.check_take(key, flags)
        raise Refusal(ENOTSUPP, "values of this type of map are not taken out")

    def next_key(self, key: bytes | None) -> bytes | None:
        """Return the key after another, the first for None or one that is gone; None past the last."""
        raise Refusal(EOPNOTSUPP)

    def keys(self) -> Iterator[bytes]:
        """Yield all keys in the map's own order."""
        key = self.next_key(None)
        while key is not None:
            yield key
            key = self.next_key(key)

    def mapped(self) -> memoryview:
        """Return the bytes that mmap(2) of this map shows, writable; ENOTSUPP where its type has none."""
        raise Refusal(ENOTSUPP)

    def freeze(self) -> None:
        """Let user space write no more, as BPF_MAP_FREEZE does; EBUSY where it is frozen already."""
        if not self._may_write:
            raise Refusal(errno.EPERM, "the map was made with BPF_F_RDONLY")
        if self.frozen:
            raise Refusal(errno.EBUSY, "the map is frozen already")
        self.frozen = True

    def close(self) -> None:
        """Give the memory back."""
        for region in (*self.further, *([] if self.values is None else [self.values])):
            self.memory.remove(region)
        self.further, self.values = [], None

    # -- checks that types share -----------------------------------------------------------------
    def check_read(self, key: bytes, flags: int) -> None:
        """Refuse a look-up by user space that the kernel refuses whatever the type."""
        if flags & ~F_LOCK:
            raise Refusal(errno.EINVAL, "a look-up has no flag but BPF_F_LOCK")
        self.check_readable()
        if flags:
            self._check_lock(flags)
        if len(key) != self.user_key_bytes:
            raise self._wrong_key(key)

    def check_write(self, key: bytes, value: bytes, flags: int) -> None:
        """Refuse an update by user space that the kernel refuses whatever the type."""
        self.check_writable()
        if flags:
            self._check_lock(flags)
        if len(key) != self.user_key_bytes:
            raise self._wrong_key(key)
        if len(value) != self.user_value_bytes:
            said = f"the value has {len(value)} bytes, expected {self.user_value_bytes}"
            raise Refusal(errno.EINVAL, said)

    def check_remove(self, key: bytes) -> None:
        """Refuse a removal by user space that the kernel refuses whatever the type."""
        self.check_writable()
        if len(key) != self.user_key_bytes:
            raise self._wrong_key(key)

    def check_take(self, key: bytes, flags: int) -> None:
        """Refuse a look-up with removal by user space that the kernel refuses whatever the type."""
        if flags & ~F_LOCK:
            raise Refusal(errno.EINVAL, "a look-up has no flag but BPF_F_LOCK")
        self.check_readable()
        self.check_writable()
        self._check_lock(flags)
        if len(key) != self.user_key_bytes:
            raise self._wrong_key(key)

    def check_next(self, key: bytes | None) -> None:
        """Refuse a question for the next key that the kernel refuses whatever the type."""
        self.check_readable()
        if key is not None and len(key) != self.user_key_bytes:
            raise self._wrong_key(key)

    def check_readable(self) -> None:
        """Refuse user space to read where it may not."""
        if not self._may_read:
            raise Refusal(errno.EPERM, "the map was made with BPF_F_WRONLY")

    def check_writable(self) -> None:
        """Refuse user space to write where it may not."""
        if self.frozen:
            raise Refusal(errno.EPERM, "the map is frozen")
        if not self._may_write:
            raise Refusal(errno.EPERM, "the map was made with BPF_F_RDONLY")

    def check_update_flags(self, flags: int) -> int:
        """Return BPF_ANY, BPF_NOEXIST or BPF_EXIST; EINVAL for what updates have not."""
        how = flags & ~F_LOCK
        if how > BPF_EXIST:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY, BPF_NOEXIST or BPF_EXIST")
        self._check_lock(flags)
        return how

    def _check_lock(self, flags: int) -> None:
        if flags & F_LOCK and not self.setup.has_spin_lock:
            raise Refusal(errno.EINVAL, "BPF_F_LOCK is for values with a struct bpf_spin_lock")

    def _wrong_key(self, key: bytes) -> Refusal:
        return Refusal(errno.EINVAL, f"the key has {len(key)} bytes, expected {self.user_key_bytes}")


_PER_CPU = (
    MapType.PERCPU_HASH,
    MapType.LRU_PERCPU_HASH,
    MapType.PERCPU_ARRAY,
    MapType.PERCPU_CGROUP_STORAGE,
)


def user_value_bytes(setup: MapSetup, cpus: int) -> int:
    """Return how long a map's value is to user space: of all CPUs for per-CPU types."""
    return rounded(setup.value_size_bytes) * cpus if setup.type in _PER_CPU else setup.value_size_bytes


def rounded(size_bytes: int) -> int:
    """Return a size rounded up to 8 bytes."""
    return (size_bytes + 7) & ~7


def page_bytes() -> int:
    """Return how long a page of this system is: what mmap(2) rounds to."""
    return os.sysconf("SC_PAGESIZE") if hasattr(os, "sysconf") else 4096


def check_flags(setup: MapSetup, known: int) -> None:
    """Refuse flags that a type of map does not have, and those that exclude each other."""
    if unknown := setup.flags & ~known:
        raise Refusal(errno.EINVAL, f"flags {unknown:#x} are none of this type's")
    for both in (F_RDONLY | F_WRONLY, F_RDONLY_PROG | F_WRONLY_PROG):
        if setup.flags & both == both:
            raise Refusal(errno.EINVAL, "a map that may only be read and only be written")


def make_values(owner: VmMap, elements: int, *, stride_bytes: int = 0) -> Region:
    """Return the region of a map's values.

    Raises:
        Refusal: addresses of the machine have no room for so many, or such large ones (ENOMEM).
    """
    setup = owner.setup
    if elements > MOST_VALUES:
        raise Refusal(
            errno.ENOMEM, f"{elements} values, and the userspace machine has room for {MOST_VALUES} in a map"
        )
    if setup.value_size_bytes > LARGEST_VALUE_BYTES:
        raise Refusal(errno.ENOMEM, f"values of more than {LARGEST_VALUE_BYTES >> 20} MiB")
    with enough_memory():
        return owner.memory.add(
            f"map '{setup.name}'",
            setup.value_size_bytes,
            elements=elements,
            writable=not setup.flags & F_RDONLY_PROG,
            stride_bytes=stride_bytes,
        )


@contextmanager
def enough_memory() -> Iterator[None]:
    """Make ENOMEM of Python's own error."""
    try:
        yield
    except MemoryError:
        raise Refusal(errno.ENOMEM, "this process gets no more memory") from None
