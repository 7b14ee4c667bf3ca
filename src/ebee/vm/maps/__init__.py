"""Maps with the kernel's semantics: `make_map` makes any of them."""

from __future__ import annotations

import errno
from importlib import import_module

from ebee.abi.bpf import F_RDONLY, F_WRONLY, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import (
    EOPNOTSUPP,
    MapSetup,
    VmMap,
)
from ebee.vm.memory import Memory

__all__ = ["MapSetup", "VmMap", "make_map"]

_CLASSES: dict[str, tuple[str, ...]] = {
    "hash.HashMap": ("HASH", "PERCPU_HASH", "LRU_HASH", "LRU_PERCPU_HASH"),
    "arrays.ArrayMap": ("ARRAY", "PERCPU_ARRAY"),
    "lpm.LpmTrie": ("LPM_TRIE",),
    "queues.QueueOrStack": ("QUEUE", "STACK"),
    "bloom.BloomFilter": ("BLOOM_FILTER",),
    "rings.RingBuffer": ("RINGBUF",),
    "rings.UserRingBuffer": ("USER_RINGBUF",),
    "descriptors.ProgramArray": ("PROG_ARRAY",),
    "descriptors.PerfEventArray": ("PERF_EVENT_ARRAY",),
    "descriptors.CgroupArray": ("CGROUP_ARRAY",),
    "nested.ArrayOfMaps": ("ARRAY_OF_MAPS",),
    "nested.HashOfMaps": ("HASH_OF_MAPS",),
    "redirect.DeviceMap": ("DEVMAP",),
    "redirect.DeviceHash": ("DEVMAP_HASH",),
    "redirect.CpuMap": ("CPUMAP",),
    "redirect.SocketMap": ("XSKMAP",),
    "sockets.NoSockets": ("SOCKMAP", "SOCKHASH", "REUSEPORT_SOCKARRAY"),
    "stack_traces.StackTraces": ("STACK_TRACE",),
    "storage.LocalStorage": ("SK_STORAGE", "INODE_STORAGE", "TASK_STORAGE", "CGRP_STORAGE"),
    "storage.CgroupStorage": ("CGROUP_STORAGE", "PERCPU_CGROUP_STORAGE"),
}
_PLACES = {MapType[name]: place for place, names in _CLASSES.items() for name in names}

_NEVER = {
    MapType.ARENA: "its pointers have 32 bits and are user space's",
    MapType.STRUCT_OPS: "it implements a part of the kernel",
    MapType.INSN_ARRAY: "it holds places in machine code",
    MapType.RHASH: "use a HASH with BPF_F_NO_PREALLOC",
}
_NEITHER = F_RDONLY | F_WRONLY
_WITH_EXTRA = (MapType.BLOOM_FILTER, MapType.ARENA)


def make_map(setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> VmMap:
    """Make a map, empty.

    Args:
        cpus: how many CPUs per-CPU types have values for.
        index: its number on this machine.

    Raises:
        Refusal: the kernel makes no such map, with its errno; or the machine has no room (ENOMEM) or no
            such type (EOPNOTSUPP). The detail says why.
    """
    if setup.type in _NEVER:
        reason = f"the userspace machine has no maps of type {setup.type.name}: {_NEVER[setup.type]}"
        raise Refusal(EOPNOTSUPP, reason)
    if setup.type not in _PLACES:
        raise Refusal(errno.EINVAL, f"there is no map type {int(setup.type)}")
    if setup.flags & _NEITHER == _NEITHER:
        raise Refusal(errno.EINVAL, "a map that user space may only read and only write")
    if setup.extra and setup.type not in _WITH_EXTRA:
        raise Refusal(errno.EINVAL, "map_extra is for bloom filters")
    module, name = _PLACES[setup.type].split(".")
    kind: type[VmMap] = getattr(import_module(f"ebee.vm.maps.{module}"), name)
    return kind(setup, memory, cpus=cpus, index=index)
