"""Objects of the simulated kernel: ids, pins, and what is told about them."""

from __future__ import annotations

import errno
import os

from ebee.abi.bpf import F_RDONLY_PROG, LinkType, MapType
from ebee.errors import GoneError, KernelError
from ebee.kernel.complaints import info_error, open_pin_error, pin_error, unpin_error
from ebee.kernel.meanings import EBADFD
from ebee.kernel.protocol import BtfInfo, LinkInfo, MapInfo, ObjectKind, ProgramInfo
from ebee.kernel.simulated.code import shown_code
from ebee.kernel.simulated.state import State, locked
from ebee.kernel.simulated.things import BtfThing, LinkThing, MapThing, ProgramThing
from ebee.vm.faults import Refusal

_KERNEL_TYPES_ID = 1
_PAGE_BYTES = 4096
_ONLY_READ = (MapType.DEVMAP, MapType.DEVMAP_HASH)
"""By programs: the kernel adds the flag itself."""
_GPL = ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")


class Objects:
    """The part of the simulated kernel that finds objects and tells about them."""

    state: State

    def next_id(self, kind: ObjectKind, after: int) -> int | None:
        """The next there is."""
        return self.state.next_id(kind, after)

    @locked
    def open_id(self, kind: ObjectKind, object_id: int) -> int:
        """A descriptor of it."""
        thing = self.state.find(kind, object_id)
        if thing is None:
            noun = "BTF" if kind is ObjectKind.BTF else kind.value
            raise GoneError(f"open {noun} {object_id}: no {noun} has this id")
        return self.state.open(thing)

    def kind_of(self, fd: int) -> ObjectKind:
        """What a descriptor of this kernel's stands for."""
        try:
            kind = self.state.thing(fd).kind
        except Refusal:
            raise KernelError(
                f"look at file descriptor {fd}: it is none of the userspace machine's, expected an open one",
                errno=errno.EBADF,
            ) from None
        if kind is None:
            raise KernelError(
                f"look at file descriptor {fd}: it is a socket or an event, "
                "expected a program, map, link or BTF",
                errno=errno.EINVAL,
            )
        return kind

    # -- information -----------------------------------------------------------------------------
    def program_info(self, fd: int, *, code: bool = False) -> ProgramInfo:
        """What the kernel would tell; instructions are those that were loaded."""
        try:
            program = self.state.get(fd, ProgramThing)
        except Refusal as refusal:
            raise _info_error(refusal, "program", fd) from None
        info = _program_info(program)
        if not code:
            return info
        request = program.request
        return info._replace(
            instructions=shown_code(request.instructions, program.loads),
            func_info=request.func_info,
            line_info=request.line_info,
        )

    def map_info(self, fd: int) -> MapInfo:
        """What the kernel would tell."""
        try:
            return _map_info(self.state.get(fd, MapThing))
        except Refusal as refusal:
            raise _info_error(refusal, "map", fd) from None

    def link_info(self, fd: int) -> LinkInfo:
        """What the kernel would tell."""
        try:
            link = self.state.get(fd, LinkThing)
        except Refusal as refusal:
            raise _info_error(refusal, "link", fd) from None
        return LinkInfo(link.id, LinkType(link.type), link.program.id, dict(link.details))

    def btf_info(self, fd: int, *, data: bool = False) -> BtfInfo:
        """What was loaded."""
        try:
            btf = self.state.get(fd, BtfThing)
        except Refusal as refusal:
            raise _info_error(refusal, "BTF", fd) from None
        return BtfInfo(btf.id, "", False, len(btf.data), btf.data if data else b"")

    # -- pins ------------------------------------------------------------------------------------
    @locked
    def pin(self, fd: int, path: str) -> None:
        """Give it a name, which lasts as long as this kernel."""
        path = os.path.abspath(path)
        folder = os.path.dirname(path)
        try:
            self._pin(fd, path, self.pin_folder(folder))
        except Refusal as refusal:
            raise pin_error(refusal.errno, path, folder, self.pin_folder(folder)) from None

    def _pin(self, fd: int, path: str, file_system: str | None) -> None:
        thing = self.state.find_open(fd)
        if thing is None or thing.kind is None or thing.kind is ObjectKind.BTF:
            raise Refusal(errno.EINVAL)
        if file_system is None:
            raise Refusal(errno.ENOENT)
        if path in self.state.pins:
            raise Refusal(errno.EEXIST)
        if file_system != "bpf" or "." in os.path.basename(path):
            raise Refusal(errno.EPERM)
        self.state.pins[path] = thing.hold_as_user()

    @locked
    def open_pin(self, path: str, flags: int = 0) -> int:
        """A descriptor of what is pinned there."""
        thing = self.state.pins.get(os.path.abspath(path))
        if thing is not None:
            return self.state.open(thing)
        missing = not os.path.lexists(path) or self.pin_folder(os.path.dirname(path)) == "bpf"
        raise open_pin_error(errno.ENOENT if missing else errno.EACCES, path)

    @locked
    def unpin(self, path: str) -> None:
        """Take the name away."""
        thing = self.state.pins.pop(os.path.abspath(path), None)
        if thing is None:
            raise unpin_error(errno.ENOENT, path)
        thing.drop_as_user()

    def is_pinned(self, path: str) -> bool:
        """Whether something is pinned there; elsewhere than in its bpffs, whether a file is there."""
        path = os.path.abspath(path)
        if path in self.state.pins:
            return True
        return self.pin_folder(os.path.dirname(path)) != "bpf" and os.path.lexists(path)

    def pin_folder(self, folder: str) -> str | None:
        """All below its mount points is bpffs, whose folders need not be made; the rest is the host's."""
        folder = os.path.abspath(folder)
        if any(folder == mount or folder.startswith(f"{mount}/") for mount in self.state.mounts):
            return "bpf"
        if not os.path.isdir(folder):
            return None
        from ebee.host.mounts import file_system_of

        found = file_system_of(folder)
        # The host's own bpffs is none of this kernel's.
        return "the host's bpffs" if found == "bpf" else found

    def pin_names(self, folder: str) -> list[str]:
        """What is pinned in a folder."""
        folder = os.path.abspath(folder)
        return [os.path.basename(path) for path in self.state.pins if os.path.dirname(path) == folder]

    def pinned_paths(self) -> list[str]:
        """All of them."""
        return sorted(self.state.pins)

    def mount(self, file_system: str, path: str) -> None:
        """Let names be pinned below a folder; what else is mounted has no meaning here."""
        if file_system == "bpf":
            self.state.mounts.append(os.path.abspath(path))


def _info_error(refusal: Refusal, what: str, fd: int) -> KernelError:
    # The kernel has an errno of its own for descriptors that are not open, where it is asked about them.
    return info_error(EBADFD if refusal.errno == errno.EBADF else refusal.errno, what, fd)


def _program_info(program: ProgramThing) -> ProgramInfo:
    request, target = program.request, program.request.attach_btf_id
    return ProgramInfo(
        id=program.id,
        type=int(program.code.type),
        name=program.name,
        tag=program.tag,
        gpl_compatible=request.license in _GPL,
        load_time_ns=program.load_time_ns,
        created_by_uid=_user(),
        ifindex=0,
        netns_dev=0,
        netns_ino=0,
        xlated_bytes=len(request.instructions),
        jited_bytes=0,
        map_ids=tuple(item.id for item in program.maps),
        btf_id=0 if program.btf is None else program.btf.id,
        run_time_ns=program.run_time_ns,
        run_count=program.run_count,
        recursion_misses=0,
        verified_instructions=len(request.instructions) // 8,
        attach_btf_object_id=_KERNEL_TYPES_ID if target else 0,
        attach_btf_id=target,
        func_info_record_bytes=request.func_info_record_bytes,
        line_info_record_bytes=request.line_info_record_bytes,
        memlock_bytes=-(-len(request.instructions) // _PAGE_BYTES) * _PAGE_BYTES,
    )


def _map_info(item: MapThing) -> MapInfo:
    request, setup = item.request, item.vm.setup
    owner = item.owner
    return MapInfo(
        id=item.id,
        type=int(request.type),
        name=request.name,
        key_size_bytes=setup.key_size_bytes,
        value_size_bytes=setup.value_size_bytes,
        max_entries=setup.max_entries,
        flags=request.flags | (F_RDONLY_PROG if request.type in _ONLY_READ else 0),
        map_extra=setup.extra,
        ifindex=0,
        btf_id=0 if item.btf is None else item.btf.id,
        btf_key_type_id=request.btf_key_type_id,
        btf_value_type_id=request.btf_value_type_id,
        btf_vmlinux_value_type_id=request.btf_vmlinux_value_type_id,
        memlock_bytes=_memory_bytes(item),
        frozen=item.vm.frozen,
        owner_prog_type=None if owner is None else int(owner.code.type),
        owner_jited=None if owner is None else False,
    )


def _memory_bytes(item: MapThing) -> int:
    """Return about how much a map takes: its entries, in whole eights."""
    setup = item.vm.setup
    if setup.type in (MapType.RINGBUF, MapType.USER_RINGBUF):
        return setup.max_entries
    entry_bytes = (setup.key_size_bytes + 7 & ~7) + (setup.value_size_bytes + 7 & ~7)
    return entry_bytes * setup.max_entries


def _user() -> int:
    getuid = getattr(os, "getuid", None)
    return 0 if getuid is None else int(getuid())
