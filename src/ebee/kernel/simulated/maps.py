"""Maps of the simulated kernel: the machine's, by descriptor; descriptors among values become ids."""

from __future__ import annotations

import errno
from sys import byteorder
from weakref import finalize, ref

from ebee.abi.bpf import F_RDONLY, F_WRONLY, MapType
from ebee.kernel.complaints import (
    map_access_error,
    map_create_error,
    map_freeze_error,
    map_memory_error,
)
from ebee.kernel.protocol import MapCreate
from ebee.kernel.simulated.load_rules import is_name, kept_name
from ebee.kernel.simulated.map_facts import lock_offset
from ebee.kernel.simulated.map_types import check_types
from ebee.kernel.simulated.state import State, Thing, locked
from ebee.kernel.simulated.things import BtfThing, EventThing, MapThing, ProgramThing
from ebee.vm.faults import Refusal
from ebee.vm.maps import MapSetup, make_map

_OF_MAPS = frozenset((MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS))
_HOLDING: dict[int, type[Thing]] = {
    MapType.PROG_ARRAY: ProgramThing,
    MapType.ARRAY_OF_MAPS: MapThing,
    MapType.HASH_OF_MAPS: MapThing,
    MapType.PERF_EVENT_ARRAY: EventThing,
}
"""Types whose values are descriptors to user space, and what of."""
_WITH_PROGRAMS = frozenset((MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP))
"""Types whose values may end with a program: a descriptor when written, an id when read."""
_STORAGE = frozenset((MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE))
_PAGE_BYTES = 4096


class Maps:
    """The part of the simulated kernel that does maps."""

    state: State

    @locked
    def map_create(self, request: MapCreate) -> int:
        """Make one of the machine's."""
        try:
            return self.state.open(_made(self.state, request))
        except Refusal as refusal:
            raise map_create_error(refusal.errno, request, hint=refusal.detail or None) from None

    @locked
    def map_lookup(self, fd: int, key: bytes, value_size_bytes: int, flags: int = 0) -> bytes | None:
        """Read."""
        del value_size_bytes
        try:
            item = self.state.get(fd, MapThing)
            value = item.vm.read(_machine_key(item, key), flags)
            return value if value is None else _shown(self.state, item, value)
        except Refusal as refusal:
            if refusal.errno == errno.ENOENT:
                return None
            raise map_access_error(refusal.errno, "look up a key", fd) from None

    @locked
    def map_update(self, fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
        """Write; what a value names by its descriptor is held from now on."""
        try:
            item = self.state.get(fd, MapThing)
            if item.request.type in _HOLDING:
                _put(self.state, item, key, value, flags)
            elif item.request.type in _WITH_PROGRAMS:
                _put_with_program(self.state, item, key, value, flags)
            else:
                item.vm.write(_machine_key(item, key), value, flags)
        except Refusal as refusal:
            raise map_access_error(refusal.errno, "store a value", fd) from None

    @locked
    def map_delete(self, fd: int, key: bytes) -> bool:
        """Remove."""
        try:
            item = self.state.get(fd, MapThing)
            item.vm.remove(_machine_key(item, key))
            item.put(key, None)
        except Refusal as refusal:
            if refusal.errno == errno.ENOENT:
                return False
            raise map_access_error(refusal.errno, "delete a key", fd) from None
        return True

    @locked
    def map_next_key(self, fd: int, key: bytes | None, key_size_bytes: int) -> bytes | None:
        """Walk."""
        del key_size_bytes
        try:
            return self.state.get(fd, MapThing).vm.next_key(key)
        except Refusal as refusal:
            if refusal.errno == errno.ENOENT:
                return None
            raise map_access_error(refusal.errno, "walk the keys", fd) from None

    @locked
    def map_freeze(self, fd: int) -> None:
        """User space writes no more; EBUSY for a map that is frozen, or mapped for writing."""
        try:
            item = self.state.get(fd, MapThing)
            item.vm.check_writable()
            if any(_is_open(view()) for view in item.views):
                raise Refusal(errno.EBUSY)
            item.vm.freeze()
        except Refusal as refusal:
            raise map_freeze_error(refusal.errno, fd) from None

    @locked
    def map_memory(self, fd: int, length_bytes: int, *, writable: bool, offset_bytes: int = 0) -> memoryview:
        """A view of the map's own bytes; the map stays while the view does."""
        try:
            item = self.state.get(fd, MapThing)
            return _view(item, length_bytes, offset_bytes, writable=writable)
        except Refusal as refusal:
            raise map_memory_error(refusal.errno, fd) from None

    @locked
    def perf_records(self, fd: int) -> list[tuple[int, bytes]]:
        """Take away what programs put into a perf event array: CPU and data, oldest first for each index.

        The live kernel gives them through memory that perf events are mapped to; here they are taken
        from the map.
        """
        from ebee.vm.maps.descriptors import PerfEventArray

        try:
            vm = self.state.get(fd, MapThing).vm
            if not isinstance(vm, PerfEventArray):
                raise Refusal(errno.EINVAL)
        except Refusal as refusal:
            raise map_access_error(refusal.errno, "take the records", fd) from None
        return [record for place in sorted(vm.buffers) for record in vm.buffers[place].take()]


def _made(state: State, request: MapCreate) -> MapThing:
    if not is_name(request.name):
        raise Refusal(errno.EINVAL, "a name holds letters, digits, _ and .")
    request = request._replace(name=kept_name(request.name))
    btf = state.get(request.btf_fd, BtfThing) if request.btf_fd else None
    if request.type in _OF_MAPS and not request.inner_map_fd:
        raise Refusal(errno.EINVAL, "a map of maps is made like one that it will hold: none is given")
    pattern = state.get(request.inner_map_fd, MapThing) if request.type in _OF_MAPS else None
    index = _free_index(state)
    types = None if btf is None else btf.btf
    setup = MapSetup(
        _type(request.type),
        request.name,
        request.key_size_bytes,
        request.value_size_bytes,
        request.max_entries,
        request.flags,
        request.map_extra,
        has_spin_lock=lock_offset(types, request.btf_value_type_id) is not None,
        inner=None if pattern is None else pattern.vm.setup,
    )
    check_types(request, types)
    vm = make_map(setup, state.machine.memory, cpus=state.machine.cpus, index=index)
    state.machine.maps[index] = vm
    thing = MapThing(state, vm, request, btf)
    thing.pattern = None if pattern is None else pattern.request
    state.register(thing)
    vm.id = thing.id
    return thing


def _type(number: int) -> MapType:
    try:
        return MapType(number)
    except ValueError:
        raise Refusal(errno.EINVAL) from None


def _free_index(state: State) -> int:
    known = state.machine.maps
    return next(index for index in range(1, len(known) + 2) if index not in known)


def _put(state: State, item: MapThing, key: bytes, value: bytes, flags: int) -> None:
    """Store what a descriptor stands for."""
    # Sizes and rights are refused before the descriptor is looked at, as the kernel does.
    item.vm.check_write(key, value, flags)
    thing = state.get(int.from_bytes(value, byteorder), _HOLDING[item.request.type])
    _check_fits(item, thing)
    item.vm.write(key, _number(item, thing).to_bytes(4, byteorder), flags)
    item.put(key, thing)


def _put_with_program(state: State, item: MapThing, key: bytes, value: bytes, flags: int) -> None:
    item.vm.check_write(key, value, flags)
    _check_device(state, item, value)
    fd = int.from_bytes(value[4:], byteorder, signed=True)
    program = state.get(fd, ProgramThing) if fd > 0 else None
    number = 0 if program is None else program.id
    item.vm.write(key, value[:4] + number.to_bytes(len(value) - 4, byteorder), flags)
    item.put(key, program)


def _check_device(state: State, item: MapThing, value: bytes) -> None:
    """Refuse an interface that is not there; 0 stands for none."""
    ifindex = int.from_bytes(value[:4], byteorder)
    if item.request.type != MapType.CPUMAP and ifindex and state.devices.find(ifindex) is None:
        raise Refusal(errno.EINVAL)


def _shown(state: State, item: MapThing, value: bytes) -> bytes:
    """Return a value as user space sees it: maps are told by their ids."""
    if item.request.type not in _OF_MAPS:
        return value
    inner = state.machine.maps[int.from_bytes(value, byteorder)]
    return inner.id.to_bytes(4, byteorder)


def _machine_key(item: MapThing, key: bytes) -> bytes:
    """Return a key as the machine's map takes it.

    Storage is kept by the object's number, where the kernel takes a descriptor: there are no such
    objects here, so the number stands for the object itself.
    """
    if item.request.type in _STORAGE and len(key) == item.request.key_size_bytes:
        return int.from_bytes(key, byteorder).to_bytes(8, "little")
    return key


def _check_fits(item: MapThing, thing: Thing) -> None:
    """Refuse a program of another type than the array's first one, and a map unlike the pattern."""
    if isinstance(thing, ProgramThing):
        owner = item.owner or thing
        if owner.code.type is not thing.code.type:
            raise Refusal(errno.EINVAL)
        item.owner = owner
    elif isinstance(thing, MapThing):
        from ebee.vm.maps.nested import ArrayOfMaps, HashOfMaps

        assert isinstance(item.vm, ArrayOfMaps | HashOfMaps)
        item.vm.accept(thing.vm)


def _number(item: MapThing, thing: Thing) -> int:
    """Return by which number the machine's map knows a thing: its id; of maps, the machine's index."""
    from ebee.vm.maps.descriptors import PerfEventArray

    if isinstance(thing, EventThing) and isinstance(item.vm, PerfEventArray):
        item.vm.cpu_of[thing.number] = max(0, thing.event.cpu)
        return thing.number
    return thing.vm.index if isinstance(thing, MapThing) else thing.id


def _view(item: MapThing, length_bytes: int, offset_bytes: int, *, writable: bool) -> memoryview:
    whole = item.vm.mapped()
    flags = item.request.flags
    if writable and (item.vm.frozen or flags & F_RDONLY):
        raise Refusal(errno.EPERM if item.vm.frozen else errno.EACCES)
    if flags & F_WRONLY and not writable:
        raise Refusal(errno.EACCES)
    whole_pages = -(-len(whole) // _PAGE_BYTES) * _PAGE_BYTES
    if length_bytes <= 0 or offset_bytes % _PAGE_BYTES or offset_bytes + length_bytes > whole_pages:
        raise Refusal(errno.EINVAL)
    view = whole[offset_bytes : offset_bytes + length_bytes]
    view = view if writable else view.toreadonly()
    finalize(view, item.hold().drop)
    if writable:
        item.views.append(ref(view))
    return view


def _is_open(view: memoryview | None) -> bool:
    """Whether a view is there and was not released."""
    try:
        return view is not None and view.nbytes >= 0
    except ValueError:
        return False
