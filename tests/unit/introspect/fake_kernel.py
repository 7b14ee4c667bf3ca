"""A kernel of a few records, for what describes objects."""

from __future__ import annotations

from typing import Any

from ebee.errors import GoneError
from ebee.kernel.protocol import (
    AttachedProgram,
    BtfInfo,
    LinkInfo,
    MapInfo,
    NetDevice,
    ObjectKind,
    ProgramInfo,
    TcFilter,
)

PROGRAM = ProgramInfo(
    id=77,
    type=6,
    name="hello",
    tag=bytes.fromhex("62b717483981f1cf"),
    gpl_compatible=True,
    load_time_ns=5_000_000_000,
    created_by_uid=0,
    ifindex=0,
    netns_dev=0,
    netns_ino=0,
    xlated_bytes=96,
    jited_bytes=67,
    map_ids=(1, 2),
    btf_id=9,
    run_time_ns=0,
    run_count=0,
    recursion_misses=0,
    verified_instructions=12,
    attach_btf_object_id=0,
    attach_btf_id=0,
    memlock_bytes=4096,
)
MAP = MapInfo(
    id=5,
    type=1,
    name="counts",
    key_size_bytes=4,
    value_size_bytes=16,
    max_entries=16,
    flags=1,
    map_extra=0,
    ifindex=0,
    btf_id=9,
    btf_key_type_id=1,
    btf_value_type_id=2,
    btf_vmlinux_value_type_id=0,
    memlock_bytes=2464,
)

Info = ProgramInfo | MapInfo | LinkInfo | BtfInfo


class FakeKernel:
    """Objects by kind and id; a descriptor is a kind and an id, and is counted while it is open.

    Attributes:
        vanishing: ids that are listed and cannot be opened any more.
        open: descriptors that were not given back.
    """

    label = "fake"

    def __init__(self, objects: dict[ObjectKind, list[Any]], *, vanishing: tuple[int, ...] = ()) -> None:
        self.objects = {kind: {item.id: item for item in items} for kind, items in objects.items()}
        self.vanishing = vanishing
        self.open: dict[int, Any] = {}
        self.devices: list[NetDevice] = []
        self.filters: dict[int, list[TcFilter]] = {}
        self.attached: dict[tuple[int, str], list[AttachedProgram]] = {}

    def next_id(self, kind: ObjectKind, after: int) -> int | None:
        known = sorted({*self.objects.get(kind, {}), *self.vanishing})
        return next((number for number in known if number > after), None)

    def open_id(self, kind: ObjectKind, object_id: int) -> int:
        if object_id in self.vanishing or object_id not in self.objects.get(kind, {}):
            raise GoneError(f"open {kind.value} {object_id}: no {kind.value} has this id")
        fd = 100 + len(self.open)
        self.open[fd] = self.objects[kind][object_id]
        return fd

    def close(self, fd: int) -> None:
        del self.open[fd]

    def program_info(self, fd: int, *, code: bool = False) -> ProgramInfo:
        del code
        found: ProgramInfo = self.open[fd]
        return found

    def map_info(self, fd: int) -> MapInfo:
        found: MapInfo = self.open[fd]
        return found

    def link_info(self, fd: int) -> LinkInfo:
        found: LinkInfo = self.open[fd]
        return found

    def btf_info(self, fd: int, *, data: bool = False) -> BtfInfo:
        del data
        found: BtfInfo = self.open[fd]
        return found

    def net_devices(self) -> list[NetDevice]:
        return self.devices

    def tc_filters(self, ifindex: int) -> list[TcFilter]:
        return self.filters.get(ifindex, [])

    def program_query(self, target: int, attach_type: Any, flags: int = 0) -> list[AttachedProgram]:
        del flags
        return self.attached.get((target, attach_type.name), [])
