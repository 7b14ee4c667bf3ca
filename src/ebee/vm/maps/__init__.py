"""Maps with the kernel's semantics: `make_map` makes any of them."""

from __future__ import annotations

import errno
from importlib import import_module

from ebee.abi.bpf import MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import MapSetup, VmMap
from ebee.vm.memory import Memory

__all__ = ["MapSetup", "VmMap", "make_map"]

_CLASSES: dict[MapType, tuple[str, str]] = {
    MapType.HASH: ("hash", "HashMap"),
    MapType.PERCPU_HASH: ("hash", "HashMap"),
    MapType.LRU_HASH: ("hash", "HashMap"),
    MapType.LRU_PERCPU_HASH: ("hash", "HashMap"),
}


def make_map(setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> VmMap:
    """Make a map, empty.

    Args:
        cpus: how many CPUs per-CPU types have values for.
        index: its number on this machine.

    Raises:
        Refusal: the kernel makes no such map, with its errno; or the machine does not (ENOTSUPP, ENOMEM),
            and the detail says why.
    """
    if setup.type not in _CLASSES:
        raise Refusal(errno.EINVAL, f"no map type {setup.type}")
    module, name = _CLASSES[setup.type]
    kind: type[VmMap] = getattr(import_module(f"ebee.vm.maps.{module}"), name)
    return kind(setup, memory, cpus=cpus, index=index)
