"""Maps in the kernel, described as bpftool describes them."""

from __future__ import annotations

from collections.abc import Iterator

from ebee.abi.bpf import MapType
from ebee.introspect.extras import Extras, extra_lines
from ebee.introspect.objects import each
from ebee.introspect.programs import type_name as program_type_name
from ebee.kernel.protocol import Kernel, ObjectKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Facts = dict[str, "Any"]


def list_maps(kernel: Kernel, extras: Extras) -> list[Facts]:
    """Describe every map.

    Raises:
        NotPermittedError: it needs CAP_SYS_ADMIN.
    """
    return [describe_map(kernel, fd, extras) for fd in each(kernel, ObjectKind.MAP)]


def describe_map(kernel: Kernel, fd: int, extras: Extras) -> Facts:
    """Describe one map.

    Returns:
        id, type, name, flags, bytes_key, bytes_value, max_entries, bytes_memlock, owner_prog_type,
        owner_jited (program arrays in use), frozen (0 or 1), btf_id, pinned, pids; what a map has
        not, or was not asked for, is left out.
    """
    info = kernel.map_info(fd)
    facts: Facts = {"id": info.id, "type": type_name(info.type)}
    if info.name:
        facts["name"] = info.name
    facts |= {
        "flags": info.flags,
        "bytes_key": info.key_size_bytes,
        "bytes_value": info.value_size_bytes,
        "max_entries": info.max_entries,
    }
    if info.memlock_bytes:
        facts["bytes_memlock"] = info.memlock_bytes
    if info.type == MapType.PROG_ARRAY:
        if info.owner_prog_type is not None:
            facts["owner_prog_type"] = program_type_name(info.owner_prog_type)
        if info.owner_jited is not None:
            facts["owner_jited"] = info.owner_jited
    facts["frozen"] = int(info.frozen)
    if info.btf_id:
        facts["btf_id"] = info.btf_id
    return facts | extras.of(info.id)


def map_lines(facts: Facts) -> Iterator[str]:
    """Yield a map as lines for people."""
    name = f"name {facts['name']}  " if "name" in facts else ""
    yield f"{facts['id']}: {facts['type']}  {name}flags {facts['flags']:#x}"
    sizes = f"\tkey {facts['bytes_key']}B  value {facts['bytes_value']}B  max_entries {facts['max_entries']}"
    if "bytes_memlock" in facts:
        sizes += f"  memlock {facts['bytes_memlock']}B"
    yield sizes
    owner = _owner(facts)
    if owner:
        yield f"\t{owner}"
    last = [f"btf_id {facts['btf_id']}"] if "btf_id" in facts else []
    last += ["frozen"] if facts["frozen"] else []
    if last:
        yield "\t" + "  ".join(last)
    yield from extra_lines(facts)


def _owner(facts: Facts) -> str:
    parts = [f"owner_prog_type {facts['owner_prog_type']}"] if "owner_prog_type" in facts else []
    if "owner_jited" in facts:
        parts.append(f"owner{'' if facts['owner_jited'] else ' not'} jited")
    return "  ".join(parts)


def type_name(number: int) -> str | int:
    """Return a map type as bpftool spells it, such as `lru_hash`; the number where it is new."""
    try:
        return MapType(number).name.lower()
    except ValueError:
        return number
