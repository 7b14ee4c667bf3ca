"""Maps shared through bpffs by their name (LIBBPF_PIN_BY_NAME)."""

from __future__ import annotations

import os
from collections.abc import Callable

from ebee.abi.bpf import MapType
from ebee.errors import MapError
from ebee.kernel.protocol import Kernel, MapInfo, ObjectKind
from ebee.maps import Map
from ebee.maps.map import requested_entries
from ebee.pins import open_pin, pin
from ebee.pins.pins import BPFFS, ensure_bpffs
from ebee.spec import MapSpec, ObjectSpec


def shared_map(
    item: MapSpec, spec: ObjectSpec, kernel: Kernel, make: Callable[[], Map], folder: str = BPFFS
) -> Map:
    """Return the map pinned under its name, or make it and pin it there.

    Raises:
        MapError: what is pinned there is another kind of map; says in what it differs.
    """
    path = os.path.join(folder, item.name)
    ensure_bpffs(kernel, folder)
    if kernel.is_pinned(path):
        found = Map(kernel, open_pin(kernel, path, ObjectKind.MAP), item, spec.btf)
        try:
            check_same(
                item, kernel, found.info(), f"the one pinned at {path}", f"remove the old one: rm {path}"
            )
        except BaseException:
            found.close()
            raise
        return found
    made = make()
    try:
        pin(kernel, made.fd, path)
    except BaseException:
        made.close()
        raise
    return made


def check_same(
    item: MapSpec, kernel: Kernel, there: MapInfo, which: str, remedy: str = "use another one"
) -> None:
    """Check that a map that is there already can stand for one of an object.

    Args:
        which: what messages call it.
        remedy: what to do besides changing the declaration.

    Raises:
        MapError: it is another kind of map; says in what it differs.
    """
    wanted = {
        "type": item.type.name,
        "key size": item.key_size_bytes,
        "value size": item.value_size_bytes,
        "max entries": requested_entries(item, kernel),
        "flags": item.flags,
        "map_extra": item.map_extra,
    }
    found = {
        "type": _type_name(there.type),
        "key size": there.key_size_bytes,
        "value size": there.value_size_bytes,
        "max entries": there.max_entries,
        "flags": there.flags,
        "map_extra": there.map_extra,
    }
    differing = [
        f"{name} {found[name]}, expected {wanted[name]}" for name in wanted if wanted[name] != found[name]
    ]
    if differing:
        raise MapError(
            f"map {item.name}: {which} has {'; '.join(differing)}",
            errno=22,
            hint=f"change the declaration, or {remedy}",
        )


def _type_name(number: int) -> str:
    try:
        return MapType(number).name
    except ValueError:
        return str(number)
