"""ARRAY_OF_MAPS and HASH_OF_MAPS: maps whose values are maps.

A value is the index of the inner map on this machine, a u32; the simulated kernel turns descriptors into
indices before `write` and indices into ids after `read`. Programs find the inner map's address.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ebee.abi.bpf import F_INNER_MAP, F_RDONLY, F_WRONLY, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.arrays import check_array
from ebee.vm.maps.base import BPF_EXIST, ENOTSUPP, MapSetup, VmMap
from ebee.vm.maps.descriptors import DescriptorArray
from ebee.vm.maps.hash import HashMap
from ebee.vm.memory import ELEMENT_MASK, ELEMENT_SHIFT, MAPS, Memory, address_of

_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
# Types that are bound to something when they are made or first used, so that they cannot be exchanged.
_NEVER_INNER = (
    MapType.PROG_ARRAY,
    MapType.CGROUP_STORAGE,
    MapType.PERCPU_CGROUP_STORAGE,
    MapType.STRUCT_OPS,
)
_OF_A_DESCRIPTOR = F_RDONLY | F_WRONLY


class _OfMaps(VmMap):
    def accept(self, inner: VmMap) -> None:
        """Refuse an inner map that is not like the one that this map was created with.

        Raises:
            Refusal: EINVAL; the detail says what differs.
        """
        template = self.setup.inner
        assert template is not None
        for what, given, expected in _compared(inner.setup, template):
            if given != expected:
                raise Refusal(errno.EINVAL, f"the inner map has {what} {given}, expected {expected}")


class ArrayOfMaps(DescriptorArray, _OfMaps):
    """Maps by index."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_array(setup)
        super().__init__(setup, memory, cpus=cpus, index=index)
        _check_template(setup)

    def find(self, key: bytes, cpu: int = 0) -> int:
        """Return the address of the map under a key; 0 where there is none."""
        inner = self.entry(int.from_bytes(key, "little"))
        return 0 if inner is None else address_of(MAPS, inner)

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        return self._told(key, flags)

    def references(self) -> list[int]:
        """Return the indices of all maps in it, which must not go before they are taken out."""
        return [inner for _, inner in self.entries()]


class HashOfMaps(HashMap, _OfMaps):
    """Maps by keys of any kind; its table is a hash map's, with the index as its value."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        if setup.value_size_bytes != 4:
            raise Refusal(errno.EINVAL, "a value is a map's file descriptor: 4 bytes")
        super().__init__(setup, memory, cpus=cpus, index=index)
        _check_template(setup)

    def find(self, key: bytes, cpu: int = 0) -> int:
        """Return the address of the map under a key; 0 where there is none."""
        found = super().find(key)
        return found and address_of(MAPS, self._inner(found))

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, "programs do not set maps")

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        if flags > BPF_EXIST:
            raise Refusal(errno.EINVAL, "an update is BPF_ANY, BPF_NOEXIST or BPF_EXIST")
        super().write(key, value, flags)

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        return VmMap.take(self, key, flags)

    def each(self, cpu: int = 0) -> Iterator[tuple[bytes, int]]:
        raise Refusal(errno.EINVAL)

    def references(self) -> list[int]:
        """Return the indices of all maps in it, which must not go before they are taken out."""
        return [self._inner(address) for _, address in HashMap.each(self)]

    def _inner(self, address: int) -> int:
        assert self.values is not None
        return int.from_bytes(self.values.element(address >> ELEMENT_SHIFT & ELEMENT_MASK), "little")


def _check_template(setup: MapSetup) -> None:
    inner = setup.inner
    if inner is None:
        raise Refusal(errno.EBADF, "a map of maps is created with an inner map")
    if inner.type in _OF_MAPS:
        raise Refusal(errno.EINVAL, "maps of maps of maps do not exist")
    if inner.type in _NEVER_INNER:
        raise Refusal(ENOTSUPP, f"a {inner.type.name} cannot be an inner map")


def _compared(given: MapSetup, expected: MapSetup) -> Iterator[tuple[str, object, object]]:
    """Yield what must be equal of two maps, so that a program can use one for the other."""
    yield "the type", given.type.name, expected.type.name
    yield "keys of", f"{given.key_size_bytes} bytes", f"{expected.key_size_bytes} bytes"
    yield "values of", f"{given.value_size_bytes} bytes", f"{expected.value_size_bytes} bytes"
    yield "the flags", f"{given.flags & ~_OF_A_DESCRIPTOR:#x}", f"{expected.flags & ~_OF_A_DESCRIPTOR:#x}"
    yield "a spin lock:", given.has_spin_lock, expected.has_spin_lock
    # The verifier has checked a constant index against the array's length.
    if expected.type is MapType.ARRAY and not expected.flags & F_INNER_MAP:
        yield "max_entries", given.max_entries, expected.max_entries
