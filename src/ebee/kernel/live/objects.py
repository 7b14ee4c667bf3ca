"""Objects in the kernel: their ids, names in bpffs, and what the kernel tells about them."""

from __future__ import annotations

import errno as _errno
import os
from array import array
from collections.abc import Iterator

from ebee.abi.bpf import Command
from ebee.abi.layout import Layout, Value
from ebee.abi.layouts import ATTR_GET_ID, ATTR_OBJ, ATTR_OBJ_GET_INFO, BTF_INFO, MAP_INFO, PROG_INFO
from ebee.errors import GoneError, KernelError
from ebee.kernel.live.command import bpf, complaint, explained, number_of, unpacked
from ebee.kernel.live.syscall import Buffer, address, buffer, c_string
from ebee.kernel.operations import Operation
from ebee.kernel.protocol import BtfInfo, LinkInfo, MapInfo, ObjectKind, ProgramInfo

_NEXT = {
    ObjectKind.PROGRAM: Command.PROG_GET_NEXT_ID,
    ObjectKind.MAP: Command.MAP_GET_NEXT_ID,
    ObjectKind.LINK: Command.LINK_GET_NEXT_ID,
    ObjectKind.BTF: Command.BTF_GET_NEXT_ID,
}
_OPEN = {
    ObjectKind.PROGRAM: Command.PROG_GET_FD_BY_ID,
    ObjectKind.MAP: Command.MAP_GET_FD_BY_ID,
    ObjectKind.LINK: Command.LINK_GET_FD_BY_ID,
    ObjectKind.BTF: Command.BTF_GET_FD_BY_ID,
}
_KINDS = {
    "anon_inode:bpf-prog": ObjectKind.PROGRAM,
    "anon_inode:bpf-map": ObjectKind.MAP,
    # Opened where it was made, and opened again by its id or pin.
    "anon_inode:bpf_link": ObjectKind.LINK,
    "anon_inode:bpf-link": ObjectKind.LINK,
    "anon_inode:btf": ObjectKind.BTF,
}
_NAME_BYTES = 64
_INFO_TRIES = 5

# Arrays of struct bpf_prog_info: the field that counts them, and the bytes of one item; None where
# another field tells those.
_PROGRAM_ARRAYS: dict[str, tuple[str, int | str]] = {
    "map_ids": ("nr_map_ids", 4),
    "xlated_prog_insns": ("xlated_prog_len", 1),
    "jited_prog_insns": ("jited_prog_len", 1),
    "func_info": ("nr_func_info", "func_info_rec_size"),
    "line_info": ("nr_line_info", "line_info_rec_size"),
    "jited_ksyms": ("nr_jited_ksyms", 8),
    "jited_func_lens": ("nr_jited_func_lens", 4),
}


class Objects:
    """The part of the live kernel that finds objects and tells about them."""

    def next_id(self, kind: ObjectKind, after: int) -> int | None:
        """BPF_*_GET_NEXT_ID."""
        attributes = ATTR_GET_ID.pack(start_id=after)
        try:
            bpf(_NEXT[kind], attributes)
        except OSError as error:
            if error.errno == _errno.ENOENT:
                return None
            raise explained(
                error,
                f"list {_plural(kind)}",
                Operation.OPEN_ID,
                subject=f"list of {_plural(kind)}",
                needs=("CAP_SYS_ADMIN",),
            ) from None
        return number_of(unpacked(ATTR_GET_ID, attributes), "next_id")

    def open_id(self, kind: ObjectKind, object_id: int) -> int:
        """BPF_*_GET_FD_BY_ID.

        Raises:
            GoneError: nothing has that id, or no more.
        """
        tried = f"open {kind_noun(kind)} {object_id}"
        try:
            return bpf(_OPEN[kind], ATTR_GET_ID.pack(prog_id=object_id))
        except OSError as error:
            if error.errno == _errno.ENOENT:
                raise GoneError(f"{tried}: no {kind_noun(kind)} has this id") from None
            raise explained(error, tried, Operation.OPEN_ID, needs=("CAP_SYS_ADMIN",)) from None

    def pin(self, fd: int, path: str) -> None:
        """BPF_OBJ_PIN."""
        raw = _path(path)
        attributes = ATTR_OBJ.pack(pathname=address(raw), bpf_fd=fd)
        try:
            bpf(Command.OBJ_PIN, attributes)
        except OSError as error:
            folder = os.path.dirname(path) or "."
            raise complaint(error, "pin_error", path, folder, self.pin_folder(folder)) from None

    def open_pin(self, path: str, flags: int = 0) -> int:
        """BPF_OBJ_GET."""
        raw = _path(path)
        attributes = ATTR_OBJ.pack(pathname=address(raw), file_flags=flags)
        try:
            return bpf(Command.OBJ_GET, attributes)
        except OSError as error:
            raise complaint(error, "open_pin_error", path) from None

    def unpin(self, path: str) -> None:
        """unlink(2)."""
        try:
            os.unlink(path)
        except OSError as error:
            raise complaint(error, "unpin_error", path) from None

    def is_pinned(self, path: str) -> bool:
        """By lstat(2)."""
        return os.path.lexists(path)

    def pin_folder(self, folder: str) -> str | None:
        """By the list of mounts."""
        from ebee.host.mounts import bpffs_holding, file_system_of

        if not os.path.isdir(folder):
            return None
        return "bpf" if bpffs_holding(folder) is not None else file_system_of(folder)

    def pin_names(self, folder: str) -> list[str]:
        """What the folder lists."""
        try:
            return os.listdir(folder)
        except OSError:
            return []

    def pinned_paths(self) -> list[str]:
        """All files in all bpffs of this mount namespace."""
        from ebee.host.mounts import mounts

        folders = dict.fromkeys(mount.path for mount in mounts() if mount.type == "bpf")
        return [path for folder in folders for path in _files(folder)]

    def kind_of(self, fd: int) -> ObjectKind:
        """Its entry under /proc/self/fd names the kind."""
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError as error:
            raise KernelError(
                f"look at file descriptor {fd}: it has no entry under /proc/self/fd, expected an open one",
                errno=error.errno or 0,
            ) from None
        kind = _KINDS.get(target.split(":[")[0].replace("[", "").replace("]", ""))
        if kind is None:
            raise KernelError(
                f"look at file descriptor {fd}: it is '{target}', expected a program, map, link or BTF",
                errno=_errno.EINVAL,
            )
        return kind

    def program_info(self, fd: int, *, code: bool = False) -> ProgramInfo:
        """BPF_OBJ_GET_INFO_BY_FD; twice, because the first answer tells how long the arrays are."""
        wanted = tuple(_PROGRAM_ARRAYS) if code else ("map_ids",)
        try:
            told, arrays = _program_arrays(fd, wanted)
        except OSError as error:
            if error.errno != _errno.ENODEV:
                raise complaint(error, "info_error", "program", fd) from None
            # The network device that the program was offloaded to is gone; nothing else is told.
            return _program_record({}, {}, fd)._replace(orphaned=True)
        return _program_record(told, arrays, fd)

    def map_info(self, fd: int) -> MapInfo:
        """BPF_OBJ_GET_INFO_BY_FD."""
        told = _info(fd, MAP_INFO, "map")
        more = fd_facts(fd)
        return MapInfo(
            id=number_of(told, "id"),
            type=number_of(told, "type"),
            name=_text(told, "name"),
            key_size_bytes=number_of(told, "key_size"),
            value_size_bytes=number_of(told, "value_size"),
            max_entries=number_of(told, "max_entries"),
            flags=number_of(told, "map_flags"),
            map_extra=number_of(told, "map_extra"),
            ifindex=number_of(told, "ifindex"),
            btf_id=number_of(told, "btf_id"),
            btf_key_type_id=number_of(told, "btf_key_type_id"),
            btf_value_type_id=number_of(told, "btf_value_type_id"),
            btf_vmlinux_value_type_id=number_of(told, "btf_vmlinux_value_type_id"),
            memlock_bytes=more.get("memlock", 0),
            frozen=bool(more.get("frozen", 0)),
            owner_prog_type=more.get("owner_prog_type"),
            owner_jited=bool(more["owner_jited"]) if "owner_jited" in more else None,
        )

    def link_info(self, fd: int) -> LinkInfo:
        """BPF_OBJ_GET_INFO_BY_FD."""
        from ebee.kernel.live.link_info import read_link_info

        try:
            return read_link_info(fd)
        except OSError as error:
            raise complaint(error, "info_error", "link", fd) from None

    def btf_info(self, fd: int, *, data: bool = False) -> BtfInfo:
        """BPF_OBJ_GET_INFO_BY_FD."""
        name = buffer(_NAME_BYTES)
        try:
            told, content = _btf(fd, name, 0)
            size_bytes = number_of(told, "btf_size")
            if data:
                _, content = _btf(fd, name, size_bytes)
        except OSError as error:
            raise complaint(error, "info_error", "BTF", fd) from None
        return BtfInfo(
            id=number_of(told, "id"),
            name=c_string(name.raw),
            kernel=bool(number_of(told, "kernel_btf")),
            size_bytes=size_bytes,
            data=content,
        )


def _files(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(place, name)


def kind_noun(kind: ObjectKind) -> str:
    """Return a kind as it is called in a sentence."""
    return "BTF" if kind is ObjectKind.BTF else kind.value


def _plural(kind: ObjectKind) -> str:
    return "BTF objects" if kind is ObjectKind.BTF else f"{kind.value}s"


def _path(path: str) -> bytes:
    if "\0" in path:
        raise KernelError(f"pin {path!r}: the path holds a zero byte", errno=_errno.EINVAL)
    return os.fsencode(path) + b"\0"


def _text(told: dict[str, Value], name: str) -> str:
    value = told.get(name, "")
    return value if isinstance(value, str) else ""


def _bytes(told: dict[str, Value], name: str) -> bytes:
    value = told.get(name, b"")
    return value if isinstance(value, bytes) else b""


def _info_raw(fd: int, layout: Layout, info: bytearray) -> dict[str, Value]:
    """Ask once; return the fields that this kernel knows. Raises OSError."""
    attributes = ATTR_OBJ_GET_INFO.pack(bpf_fd=fd, info_len=len(info), info=address(info))
    bpf(Command.OBJ_GET_INFO_BY_FD, attributes)
    length = number_of(unpacked(ATTR_OBJ_GET_INFO, attributes), "info_len")
    return layout.unpack(bytes(info[:length]))


def _info(fd: int, layout: Layout, what: str) -> dict[str, Value]:
    try:
        return _info_raw(fd, layout, layout.pack())
    except OSError as error:
        raise complaint(error, "info_error", what, fd) from None


def fd_facts(fd: int) -> dict[str, int]:
    """Return the numbers that /proc/self/fdinfo tells about a descriptor, nothing where it is not mounted."""
    facts = {}
    try:
        with open(f"/proc/self/fdinfo/{fd}") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if value.strip().isdigit():
                    facts[name] = int(value)
    except OSError:
        return {}
    return facts


def _program_arrays(fd: int, wanted: tuple[str, ...]) -> tuple[dict[str, Value], dict[str, bytes]]:
    """Return the fields of a program and the contents of the arrays wanted. Raises OSError."""
    told = _info_raw(fd, PROG_INFO, PROG_INFO.pack())
    for _ in range(_INFO_TRIES):
        rooms = {name: buffer(_array_bytes(told, name)) for name in wanted}
        answer = _info_raw(fd, PROG_INFO, _question(told, rooms))
        # Machine code and its tables may be made between the two calls (a program array's user, a
        # constant blinded anew); then there is more to tell than there was room for.
        if all(_array_bytes(answer, name) <= len(rooms[name]) for name in wanted):
            return answer, {name: rooms[name].raw[: _array_bytes(answer, name)] for name in wanted}
        told = answer
    return answer, {name: room.raw for name, room in rooms.items()}


def _question(told: dict[str, Value], rooms: dict[str, Buffer]) -> bytearray:
    """Return struct bpf_prog_info as a question: where to put each array and for how many there is room."""
    fields: dict[str, Value] = {}
    for name, room in rooms.items():
        count, item = _PROGRAM_ARRAYS[name]
        if len(room) == 0:
            continue
        fields[name], fields[count] = address(room), number_of(told, count)
        if isinstance(item, str):
            fields[item] = number_of(told, item)
    return PROG_INFO.pack(**fields)


def _array_bytes(told: dict[str, Value], name: str) -> int:
    count, item = _PROGRAM_ARRAYS[name]
    return number_of(told, count) * (number_of(told, item) if isinstance(item, str) else item)


def _program_record(told: dict[str, Value], arrays: dict[str, bytes], fd: int) -> ProgramInfo:
    # A pointer that is zero in the answer to a question that gave one: the kernel keeps it to itself
    # (kernel.kptr_restrict or no CAP_PERFMON), and the array is zeros.
    given = {name: data for name, data in arrays.items() if number_of(told, name)}
    return ProgramInfo(
        id=number_of(told, "id"),
        type=number_of(told, "type"),
        name=_text(told, "name"),
        tag=_bytes(told, "tag"),
        gpl_compatible=bool(number_of(told, "gpl_compatible")),
        load_time_ns=number_of(told, "load_time"),
        created_by_uid=number_of(told, "created_by_uid"),
        ifindex=number_of(told, "ifindex"),
        netns_dev=number_of(told, "netns_dev"),
        netns_ino=number_of(told, "netns_ino"),
        xlated_bytes=number_of(told, "xlated_prog_len"),
        jited_bytes=number_of(told, "jited_prog_len"),
        map_ids=tuple(array("I", arrays.get("map_ids", b""))),
        btf_id=number_of(told, "btf_id"),
        run_time_ns=number_of(told, "run_time_ns"),
        run_count=number_of(told, "run_cnt"),
        recursion_misses=number_of(told, "recursion_misses"),
        verified_instructions=number_of(told, "verified_insns"),
        attach_btf_object_id=number_of(told, "attach_btf_obj_id"),
        attach_btf_id=number_of(told, "attach_btf_id"),
        instructions=given.get("xlated_prog_insns", b""),
        jited=given.get("jited_prog_insns", b""),
        func_info=given.get("func_info", b""),
        func_info_record_bytes=number_of(told, "func_info_rec_size"),
        line_info=given.get("line_info", b""),
        line_info_record_bytes=number_of(told, "line_info_rec_size"),
        jited_ksyms=tuple(array("Q", given.get("jited_ksyms", b""))),
        jited_func_lens=tuple(array("I", given.get("jited_func_lens", b""))),
        memlock_bytes=fd_facts(fd).get("memlock", 0),
    )


def _btf(fd: int, name: Buffer, size_bytes: int) -> tuple[dict[str, Value], bytes]:
    room = buffer(size_bytes)
    question = BTF_INFO.pack(btf=address(room), btf_size=size_bytes, name=address(name), name_len=len(name))
    return _info_raw(fd, BTF_INFO, question), room.raw
