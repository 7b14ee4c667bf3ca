"""Whether the types that a map is made with fit it.

Source: kernel/bpf/syscall.c, map_check_btf(); the map_check_btf() of each type of map.
"""

from __future__ import annotations

import errno

from ebee.abi.bpf import MapType
from ebee.btf import Kind
from ebee.errors import FormatError
from ebee.kernel.meanings import ENOTSUPP
from ebee.kernel.protocol import MapCreate
from ebee.vm.faults import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf, Type

_ARRAYS = frozenset((MapType.ARRAY, MapType.PERCPU_ARRAY))
_STORAGE = frozenset(
    (
        MapType.SK_STORAGE,
        MapType.INODE_STORAGE,
        MapType.TASK_STORAGE,
        MapType.CGRP_STORAGE,
        MapType.CGROUP_STORAGE,
        MapType.PERCPU_CGROUP_STORAGE,
    )
)
_UNTYPED = frozenset(
    (
        MapType.PERF_EVENT_ARRAY,
        MapType.STACK_TRACE,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.ARRAY_OF_MAPS,
    )
)
"""Maps that take no types at all."""
_WITHOUT_KEY = _ARRAYS | _UNTYPED | {MapType.BLOOM_FILTER, MapType.LPM_TRIE} | _STORAGE
"""Maps that look at a missing type of the key themselves; all others refuse it."""


def check_types(request: MapCreate, types: Btf | None) -> None:
    """Refuse types that do not fit a map.

    Raises:
        Refusal: EINVAL, ENOTSUPP.
    """
    key_id, value_id = request.btf_key_type_id, request.btf_value_type_id
    if not key_id and not value_id:
        return
    if types is None or not value_id:
        raise Refusal(errno.EINVAL)
    try:
        key = _sized(types, key_id, request.key_size_bytes) if key_id else None
        value = _sized(types, value_id, request.value_size_bytes)
    except FormatError as error:
        raise Refusal(errno.EINVAL, str(error)) from None
    if key is None and request.type not in _WITHOUT_KEY:
        raise Refusal(errno.EINVAL, "the type of the key is missing")
    _check_kind(request, key, value)


def _sized(types: Btf, type_id: int, size_bytes: int) -> Type:
    found = types.size_bytes(type_id)
    if found != size_bytes:
        raise Refusal(errno.EINVAL, f"a type of {found} bytes, expected {size_bytes}")
    return types.resolve(type_id)[1]


def _check_kind(request: MapCreate, key: Type | None, value: Type) -> None:
    kind = request.type
    if kind in _UNTYPED:
        raise Refusal(ENOTSUPP)
    if kind in _ARRAYS and key is None:
        # A data section: its values are the variables, and it has but one key.
        fits = kind == MapType.ARRAY and request.max_entries == 1 and value.kind is Kind.DATASEC
    elif kind in _ARRAYS or kind in _STORAGE:
        fits = key is not None and key.kind is Kind.INT and key.size_bytes == 4
    elif kind == MapType.LPM_TRIE:
        fits = key is not None and key.kind is Kind.STRUCT
    else:
        fits = kind != MapType.BLOOM_FILTER or key is None
    if not fits:
        raise Refusal(errno.EINVAL, "the types do not fit this kind of map")
