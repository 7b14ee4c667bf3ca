"""The smallest map of each type."""

from __future__ import annotations

from ebee.abi.bpf import F_MMAPABLE, F_NO_PREALLOC, MapType
from ebee.errors import KernelError
from ebee.features.code import btf
from ebee.kernel.meanings import ENOTSUPP
from ebee.kernel.protocol import Kernel, MapCreate

_M = MapType
_STORAGE = frozenset((_M.SK_STORAGE, _M.INODE_STORAGE, _M.TASK_STORAGE, _M.CGRP_STORAGE))
_MAPS_OF_MAPS = frozenset((_M.ARRAY_OF_MAPS, _M.HASH_OF_MAPS))

# Key, value, entries, flags where they are not 4, 4, 1, 0.
_SHAPES: dict[MapType, tuple[int, int, int, int]] = {
    _M.STACK_TRACE: (4, 8, 1, 0),
    # a length of 4 bytes and at least one of data
    _M.LPM_TRIE: (5, 4, 1, F_NO_PREALLOC),
    _M.QUEUE: (0, 4, 1, 0),
    _M.STACK: (0, 4, 1, 0),
    _M.BLOOM_FILTER: (0, 4, 1, 0),
    # struct bpf_cgroup_storage_key
    _M.CGROUP_STORAGE: (16, 8, 0, 0),
    _M.PERCPU_CGROUP_STORAGE: (16, 8, 0, 0),
    # pages: the largest that any supported architecture has
    _M.RINGBUF: (0, 0, 1 << 16, 0),
    _M.USER_RINGBUF: (0, 0, 1 << 16, 0),
    _M.ARENA: (0, 0, 1, F_MMAPABLE),
    _M.INSN_ARRAY: (4, 16, 1, 0),
    _M.RHASH: (4, 4, 1, F_NO_PREALLOC),
}


def create_smallest(kernel: Kernel, map_type: MapType) -> list[int]:
    """Make a map of a type; return its descriptor and those of what it was made from.

    Raises:
        KernelError: the kernel does not make it.
    """
    key, value, entries, flags = _SHAPES.get(map_type, (4, 4, 1, 0))
    request = MapCreate(map_type, key, value, entries, flags)
    if map_type in _MAPS_OF_MAPS:
        inner = kernel.map_create(MapCreate(MapType.ARRAY, 4, 4, 1))
        return _with(kernel, inner, request._replace(inner_map_fd=inner))
    if map_type in _STORAGE:
        types = kernel.btf_load(btf())
        if types.fd < 0:
            raise KernelError("load BTF", errno=types.errno)
        described = request._replace(
            max_entries=0, flags=F_NO_PREALLOC, btf_fd=types.fd, btf_key_type_id=1, btf_value_type_id=1
        )
        return _with(kernel, types.fd, described)
    if map_type is MapType.STRUCT_OPS:
        return _struct_ops(kernel, request)
    return [kernel.map_create(request)]


def _with(kernel: Kernel, borrowed: int, request: MapCreate) -> list[int]:
    try:
        return [kernel.map_create(request), borrowed]
    except KernelError:
        kernel.close(borrowed)
        raise


def _struct_ops(kernel: Kernel, request: MapCreate) -> list[int]:
    """A kernel with struct_ops looks for the type, and type 1 is no struct of operations: ENOTSUPP."""
    try:
        return [kernel.map_create(request._replace(btf_vmlinux_value_type_id=1))]
    except KernelError as error:
        if error.errno != ENOTSUPP:
            raise
        return []
