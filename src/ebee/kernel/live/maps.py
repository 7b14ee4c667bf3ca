"""Maps: make, read, write, walk, map into memory."""

from __future__ import annotations

import errno as _errno
import struct

from ebee.abi.bpf import OBJ_NAME_LEN, Command
from ebee.abi.layouts import ATTR_MAP_CREATE
from ebee.kernel.live.command import bpf, complaint
from ebee.kernel.live.syscall import address, buffer
from ebee.kernel.protocol import MapCreate


class Maps:
    """The part of the live kernel that does maps."""

    def map_create(self, request: MapCreate) -> int:
        """BPF_MAP_CREATE."""
        attributes = ATTR_MAP_CREATE.pack(
            map_type=request.type,
            key_size=request.key_size_bytes,
            value_size=request.value_size_bytes,
            max_entries=request.max_entries,
            map_flags=request.flags,
            inner_map_fd=request.inner_map_fd,
            numa_node=request.numa_node,
            map_name=kernel_name(request.name),
            btf_fd=request.btf_fd,
            btf_key_type_id=request.btf_key_type_id,
            btf_value_type_id=request.btf_value_type_id,
            btf_vmlinux_value_type_id=request.btf_vmlinux_value_type_id,
            map_extra=request.map_extra,
        )
        try:
            return bpf(Command.MAP_CREATE, attributes)
        except OSError as error:
            raise complaint(error, "map_create_error", request) from None

    def map_lookup(self, fd: int, key: bytes, value_size_bytes: int, flags: int = 0) -> bytes | None:
        """BPF_MAP_LOOKUP_ELEM."""
        value = buffer(value_size_bytes)
        attributes = element(fd, address(key), address(value), flags)
        try:
            bpf(Command.MAP_LOOKUP_ELEM, attributes)
        except OSError as error:
            if error.errno == _errno.ENOENT:
                return None
            raise complaint(error, "map_access_error", "look up a key", fd) from None
        return value.raw

    def map_update(self, fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
        """BPF_MAP_UPDATE_ELEM."""
        attributes = element(fd, address(key), address(value), flags)
        try:
            bpf(Command.MAP_UPDATE_ELEM, attributes)
        except OSError as error:
            raise complaint(error, "map_access_error", "store a value", fd) from None

    def map_delete(self, fd: int, key: bytes) -> bool:
        """BPF_MAP_DELETE_ELEM."""
        try:
            bpf(Command.MAP_DELETE_ELEM, element(fd, address(key)))
        except OSError as error:
            if error.errno == _errno.ENOENT:
                return False
            raise complaint(error, "map_access_error", "delete a key", fd) from None
        return True

    def map_next_key(self, fd: int, key: bytes | None, key_size_bytes: int) -> bytes | None:
        """BPF_MAP_GET_NEXT_KEY."""
        following = buffer(key_size_bytes)
        at = address(key) if key is not None else 0
        attributes = element(fd, at, address(following))
        try:
            bpf(Command.MAP_GET_NEXT_KEY, attributes)
        except OSError as error:
            if error.errno == _errno.ENOENT:
                return None
            raise complaint(error, "map_access_error", "walk the keys", fd) from None
        return following.raw

    def map_freeze(self, fd: int) -> None:
        """BPF_MAP_FREEZE."""
        try:
            bpf(Command.MAP_FREEZE, element(fd))
        except OSError as error:
            raise complaint(error, "map_freeze_error", fd) from None

    def map_memory(self, fd: int, length_bytes: int, *, writable: bool, offset_bytes: int = 0) -> memoryview:
        """mmap(2), shared."""
        # Imported late: it is used by few, and its pages go when the view and all its slices have gone.
        import mmap

        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        try:
            mapped = mmap.mmap(fd, length_bytes, mmap.MAP_SHARED, access, offset=offset_bytes)
        except (OSError, ValueError) as error:
            cause = error if isinstance(error, OSError) else OSError(_errno.EINVAL, "")
            raise complaint(cause, "map_memory_error", fd) from None
        return memoryview(mapped)


# struct { map_fd, key, value or next_key, flags } of the commands on elements: the same as
# `layouts.ATTR_MAP_ELEM`, which takes ten times as long to fill; a dump asks for each element.
_ELEMENT = struct.Struct("=I4xQQQ")


def element(fd: int, key: int = 0, value: int = 0, flags: int = 0) -> bytearray:
    """Return the attributes of a command on an element; key and value are addresses."""
    return bytearray(_ELEMENT.pack(fd, key, value, flags))


def kernel_name(name: str) -> str:
    """Return a name as the kernel takes it: at most 15 bytes."""
    return name.encode()[: OBJ_NAME_LEN - 1].decode(errors="ignore")
