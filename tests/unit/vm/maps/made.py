"""Maps for tests, of small keys and values, and what refuses them."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from ebee.abi.bpf import MapType
from ebee.vm.arena import Arena
from ebee.vm.faults import Refusal
from ebee.vm.maps import MapSetup, VmMap, make_map
from ebee.vm.memory import Memory

_NAMES = {11: "EAGAIN", 75: "EOVERFLOW", 95: "EOPNOTSUPP", 524: "ENOTSUPP"}


def made(
    kind: MapType,
    key: int = 4,
    value: int = 8,
    entries: int = 4,
    flags: int = 0,
    *,
    extra: int = 0,
    cpus: int = 2,
    lock: bool = False,
    inner: MapSetup | None = None,
    memory: Memory | None = None,
) -> VmMap:
    """Return a new map `m` of a type."""
    setup = MapSetup(kind, "m", key, value, entries, flags, extra, lock, inner)
    return make_map(setup, memory or Memory(Arena()), cpus=cpus, index=1)


def refused(action: Callable[[], object]) -> str:
    """Return the name of the errno that an action is refused with."""
    with pytest.raises(Refusal) as caught:
        action()
    number = caught.value.errno
    return _NAMES.get(number) or errno.errorcode[number]


def why(action: Callable[[], object]) -> str:
    """Return what a refusal says."""
    with pytest.raises(Refusal) as caught:
        action()
    return caught.value.detail


def n4(number: int) -> bytes:
    """Return a number as 4 bytes."""
    return number.to_bytes(4, "little")


def n8(number: int) -> bytes:
    """Return a number as 8 bytes."""
    return number.to_bytes(8, "little")


def value_at(where: VmMap, address: int) -> int:
    """Return the number that a program finds at an address."""
    return where.memory.load(address, 8)
