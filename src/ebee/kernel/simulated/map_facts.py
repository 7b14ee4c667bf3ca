"""What the checker is told of maps."""

from __future__ import annotations

from ebee.abi.bpf import F_RDONLY_PROG, MapType
from ebee.btf import Kind
from ebee.checker import MapFacts
from ebee.errors import FormatError
from ebee.kernel.protocol import MapCreate
from ebee.kernel.simulated.things import MapThing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf

_DEEPEST = 8


def map_facts(item: MapThing) -> MapFacts:
    """Return what the checker needs to know of a map."""
    request, values = item.request, item.vm.values
    types = None if item.btf is None else item.btf.btf
    return _facts(request)._replace(
        values_address=values.address() if values is not None and request.type == MapType.ARRAY else 0,
        contents=_contents(item),
        lock_offset=lock_offset(types, request.btf_value_type_id),
        kernel_pointers=kernel_pointers(types, request.btf_value_type_id),
        inner=None if item.pattern is None else _facts(item.pattern),
    )


def lock_offset(types: Btf | None, type_id: int) -> int | None:
    """Return where a value has its struct bpf_spin_lock; None where it has none."""
    if types is None or not type_id:
        return None
    _, found = types.resolve(type_id)
    if found.kind is not Kind.STRUCT:
        return None
    for member in found.members:
        _, inner = types.resolve(member.type_id)
        if inner.kind is Kind.STRUCT and inner.name == "bpf_spin_lock":
            return member.bit_offset // 8
    return None


def kernel_pointers(types: Btf | None, type_id: int) -> tuple[int, ...] | None:
    """Return where values hold pointers that are tagged as the kernel's (`__kptr`); None if not known."""
    if types is None or not type_id:
        return None
    try:
        return tuple(_tagged(types, type_id, 0, 0))
    except FormatError:
        return None


def _tagged(types: Btf, type_id: int, offset: int, depth: int) -> list[int]:
    _, found = types.resolve(type_id)
    if found.kind is Kind.PTR:
        target = types.type(found.type_id)
        return [offset] if target.kind is Kind.TYPE_TAG and "kptr" in target.name else []
    if found.kind not in (Kind.STRUCT, Kind.UNION) or depth == _DEEPEST:
        return []
    return [
        place
        for member in found.members
        for place in _tagged(types, member.type_id, offset + member.bit_offset // 8, depth + 1)
    ]


def _facts(request: MapCreate) -> MapFacts:
    return MapFacts(
        request.name,
        MapType(request.type),
        request.key_size_bytes,
        request.value_size_bytes,
        request.max_entries,
        request.flags,
    )


def _contents(item: MapThing) -> bytes | None:
    """Return what read-only data holds for good."""
    values, request = item.vm.values, item.request
    fixed = item.vm.frozen and request.flags & F_RDONLY_PROG and request.max_entries == 1
    if not fixed or values is None or request.type != MapType.ARRAY:
        return None
    return bytes(values.element(0))
