"""Arrays: ARRAY and PERCPU_ARRAY.

The values are the region `values`: element = index + cpu * max_entries, max_entries (* cpus) elements,
each rounded up to 8 bytes. Engines in another process read and write them there.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ebee.abi.bpf import F_INNER_MAP, F_LOCK, F_MMAPABLE, F_NUMA_NODE, F_PRESERVE_ELEMS, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import (
    ACCESS_FLAGS,
    BPF_NOEXIST,
    LARGEST_PER_CPU_BYTES,
    MapSetup,
    VmMap,
    check_flags,
    make_values,
    page_bytes,
    rounded,
)
from ebee.vm.memory import ELEMENT_SHIFT, Memory

_FLAGS = F_NUMA_NODE | F_MMAPABLE | F_PRESERVE_ELEMS | F_INNER_MAP | ACCESS_FLAGS
_LARGEST_BYTES = (1 << 31) - 1
_NO_INDEX = (1 << 32) - 1


class ArrayMap(VmMap):
    """An array, of one value for each index or of one for each index and CPU."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_array(setup)
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.per_cpu = setup.type is MapType.PERCPU_ARRAY
        self._entries = setup.max_entries
        elements = setup.max_entries * (cpus if self.per_cpu else 1)
        self.values = make_values(self, self._with_whole_pages(elements))
        # What fills the last page belongs to mmap(2) and is no value.
        self._allocated, self.values.elements = self.values.elements, elements
        memory.changed(self.values)
        assert self.values.data is not None
        self._data, self._stride = self.values.data, self.values.stride_bytes
        self._value_bytes = setup.value_size_bytes
        self._base = self.values.address()
        self._cpu_step = self._entries << ELEMENT_SHIFT if self.per_cpu else 0

    def _with_whole_pages(self, elements: int) -> int:
        if not self.setup.flags & F_MMAPABLE:
            return elements
        stride = rounded(self.setup.value_size_bytes)
        return -(-self._mapped_bytes() // stride)

    def _mapped_bytes(self) -> int:
        page = page_bytes()
        return -(-rounded(self.setup.value_size_bytes) * self._entries // page) * page

    # -- for programs ----------------------------------------------------------------------------
    def find(self, key: bytes, cpu: int = 0) -> int:
        place = int.from_bytes(key, "little")
        if place >= self._entries:
            return 0
        return self._base + (place << ELEMENT_SHIFT) + cpu * self._cpu_step

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        place = self._place(key, flags)
        self._set(place + cpu * self._entries if self.per_cpu else place, value)

    def delete(self, key: bytes) -> None:
        raise Refusal(errno.EINVAL, "nothing can be removed from an array")

    def each(self, cpu: int = 0) -> Iterator[tuple[bytes, int]]:
        first = self._base + cpu * self._cpu_step
        for place in range(self._entries):
            yield place.to_bytes(4, "little"), first + (place << ELEMENT_SHIFT)

    def _place(self, key: bytes, flags: int) -> int:
        """Return which value an update writes to."""
        if flags & ~F_LOCK > 2:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY, BPF_NOEXIST or BPF_EXIST")
        place = int.from_bytes(key, "little")
        if place >= self._entries:
            raise Refusal(errno.E2BIG, f"index {place} of an array of {self._entries}")
        if flags & BPF_NOEXIST:
            raise Refusal(errno.EEXIST, "every value of an array exists")
        if flags:
            self.check_update_flags(flags)
        return place

    def _set(self, element: int, value: bytes) -> None:
        begin = element * self._stride
        self._data[begin : begin + self._value_bytes] = value

    def _get(self, element: int) -> bytes:
        begin = element * self._stride
        return self._data[begin : begin + self._value_bytes].tobytes()

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        place = int.from_bytes(key, "little")
        if place >= self._entries:
            return None
        if not self.per_cpu:
            return self._get(place)
        padding = bytes(-self._value_bytes % 8)
        copies = range(place, place + self.cpus * self._entries, self._entries)
        return b"".join([self._get(copy) + padding for copy in copies])

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        place = self._place(key, flags)
        if not self.per_cpu:
            self._set(place, value)
            return
        size, step = self._value_bytes, rounded(self._value_bytes)
        for cpu in range(self.cpus):
            self._set(place + cpu * self._entries, value[cpu * step : cpu * step + size])

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        return next_index(key, self._entries)

    def mapped(self) -> memoryview:
        if not self.setup.flags & F_MMAPABLE:
            raise Refusal(errno.EINVAL, "the map was not made with BPF_F_MMAPABLE")
        return self._data[: self._mapped_bytes()]

    def close(self) -> None:
        if self.values is not None:
            self.values.elements = self._allocated
        super().close()


def check_array(setup: MapSetup) -> None:
    """Refuse what no array is made from.

    Raises:
        Refusal: EINVAL or E2BIG.
    """
    check_flags(setup, _FLAGS)
    if setup.key_size_bytes != 4 or not setup.max_entries or not setup.value_size_bytes:
        raise Refusal(errno.EINVAL, "an array has a key of 4 bytes, and neither values nor entries of 0")
    per_cpu = setup.type is MapType.PERCPU_ARRAY
    if per_cpu and setup.flags & F_NUMA_NODE:
        raise Refusal(errno.EINVAL, "what each CPU has of its own lies on no one NUMA node")
    if setup.type is not MapType.ARRAY and setup.flags & (F_MMAPABLE | F_INNER_MAP):
        raise Refusal(errno.EINVAL, "BPF_F_MMAPABLE and BPF_F_INNER_MAP are for plain arrays")
    if setup.type is not MapType.PERF_EVENT_ARRAY and setup.flags & F_PRESERVE_ELEMS:
        raise Refusal(errno.EINVAL, "BPF_F_PRESERVE_ELEMS is for arrays of perf events")
    if setup.value_size_bytes > _LARGEST_BYTES:
        raise Refusal(errno.E2BIG, "a value of more than 2^31 - 1 bytes")
    if per_cpu and rounded(setup.value_size_bytes) > LARGEST_PER_CPU_BYTES:
        raise Refusal(errno.E2BIG, f"a per-CPU value has at most {LARGEST_PER_CPU_BYTES} bytes")


def next_index(key: bytes | None, entries: int) -> bytes | None:
    """Return the index after another, as all maps with the keys of an array do."""
    place = _NO_INDEX if key is None else int.from_bytes(key, "little")
    if place >= entries:
        return bytes(4)
    return None if place == entries - 1 else (place + 1).to_bytes(4, "little")
