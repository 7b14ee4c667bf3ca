"""Map: a map in the kernel, read and written like a dict."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from contextlib import suppress
from sys import byteorder

from ebee.abi.bpf import MapType
from ebee.btf import Btf
from ebee.errors import GoneError, KernelError, MapError, SpecError
from ebee.kernel.protocol import Kernel, MapCreate, MapInfo
from ebee.spec import MapSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PER_CPU = frozenset(
    (
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    )
)
"""Types with one value per possible CPU."""

_PAGE_BYTES = 4096
"""Where the system does not tell."""
_ARRAYS = frozenset((MapType.ARRAY, MapType.PERCPU_ARRAY))
_INDEXED = _ARRAYS | {
    MapType.PROG_ARRAY,
    MapType.PERF_EVENT_ARRAY,
    MapType.CGROUP_ARRAY,
    MapType.ARRAY_OF_MAPS,
}
"""Types whose keys are indices, of four bytes."""


class _Items(ItemsView["Any", "Any"]):
    """Keys with their values, without those that programs remove meanwhile."""

    _mapping: Map

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for key in self._mapping.keys_as_bytes():
            data = self._mapping.lookup_elem(key)
            if data is not None:
                yield self._mapping.decode_key(key), self._mapping.decode_value(data)


class _Values(ValuesView["Any"]):
    """Values, likewise."""

    _mapping: Map

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping.items())


class Map(MutableMapping["Any", "Any"]):
    """A map in the kernel.

    Keys and values are Python values by their BTF types: numbers, strings for char arrays, structs
    with their members as attributes; bytes where the object tells no types. A per-CPU map's value
    is a list with one entry per possible CPU.

        counts[1234] += 1
        for key, value in counts.items(): ...

    Programs may change it at any moment: `items()` and `values()` leave out what was removed since its
    key was read, where `dict(counts)` would miss it (KeyError); so write `dict(counts.items())`.

    It owns its descriptor, and may be used in a `with`.

    Attributes:
        spec: what it was made from.
        fd: its file descriptor.
    """

    def __init__(self, kernel: Kernel, fd: int, spec: MapSpec, btf: Btf | None = None) -> None:
        self.spec = spec
        self._kernel = kernel
        self._fd: int | None = fd
        self._btf = btf
        self._memory: memoryview | None = None

    def __repr__(self) -> str:
        state = "closed" if self._fd is None else f"fd {self._fd}"
        return f"<Map {self.name}: {self.spec.type.name}, {state}>"

    @property
    def name(self) -> str:
        """The name the C file gives it."""
        return self.spec.name

    @property
    def fd(self) -> int:
        """Its file descriptor.

        Raises:
            GoneError: it was closed.
        """
        if self._fd is None:
            raise GoneError(f"map {self.name}: used after it was closed")
        return self._fd

    def info(self) -> MapInfo:
        """Return what the kernel says about it."""
        return self._kernel.map_info(self.fd)

    def close(self) -> None:
        """Give the descriptor back; the map lives on while a program, a pin or a link uses it."""
        if self._memory is not None:
            with suppress(BufferError):  # an array was made of it, and keeps it until it goes itself
                self._memory.release()
            self._memory = None
        if self._fd is not None:
            self._kernel.close(self._fd)
            self._fd = None

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- bytes -----------------------------------------------------------------------------------
    @property
    def value_room_bytes(self) -> int:
        """How many bytes one lookup gives: of per-CPU maps every CPU's value, each a multiple of 8."""
        size_bytes = self.spec.value_size_bytes
        return self._stride_bytes * self._kernel.cpu_count() if self._is_per_cpu else size_bytes

    @property
    def _is_per_cpu(self) -> bool:
        return self.spec.type in PER_CPU

    @property
    def _stride_bytes(self) -> int:
        return (self.spec.value_size_bytes + 7) // 8 * 8

    def lookup_elem(self, key: bytes, *, flags: int = 0) -> bytes | None:
        """Return the value stored under a key, or None.

        Args:
            key: exactly `spec.key_size_bytes` bytes, host byte order.
            flags: BPF_F_LOCK for values that hold a spin lock.

        Raises:
            MapError: the key has the wrong size, or the kernel refused.

        Kernel: BPF_MAP_LOOKUP_ELEM.
        """
        self._check_key(key)
        try:
            return self._kernel.map_lookup(self.fd, key, self.value_room_bytes, flags)
        except KernelError as error:
            raise self._named(error) from None

    def update_elem(self, key: bytes, value: bytes, *, flags: int = 0) -> None:
        """Store a value under a key, both as bytes.

        Args:
            flags: 0 any, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK.

        Raises:
            MapError: a size is wrong, the map is full (E2BIG), or the kernel refused.

        Kernel: BPF_MAP_UPDATE_ELEM.
        """
        self._check_key(key)
        if len(value) != self.value_room_bytes:
            raise MapError(
                f"map {self.name}: a value of {len(value)} bytes, expected {self.value_room_bytes}"
            )
        try:
            self._kernel.map_update(self.fd, key, value, flags)
        except KernelError as error:
            raise self._named(error) from None

    def delete_elem(self, key: bytes) -> bool:
        """Remove a key; return whether it was there. Kernel: BPF_MAP_DELETE_ELEM."""
        self._check_key(key)
        try:
            return self._kernel.map_delete(self.fd, key)
        except KernelError as error:
            raise self._named(error) from None

    def keys_as_bytes(self) -> Iterator[bytes]:
        """Go through the keys as they are stored.

        A hash changed meanwhile may give a key twice or start again; each key that stays is seen.
        """
        key = self._next_key(None)
        while key is not None:
            yield key
            key = self._next_key(key)

    def _next_key(self, key: bytes | None) -> bytes | None:
        try:
            return self._kernel.map_next_key(self.fd, key, self.spec.key_size_bytes)
        except KernelError as error:
            raise self._named(error) from None

    def memory(self) -> memoryview:
        """Return the map's values as shared memory; writing is seen by programs at once.

        Raises:
            MapError: the map was not made with BPF_F_MMAPABLE.
        """
        if self._memory is None:
            length_bytes = self._stride_bytes * self.spec.max_entries
            try:
                self._memory = self._kernel.map_memory(self.fd, length_bytes, writable=not self.spec.frozen)
            except KernelError as error:
                raise self._named(error) from None
        return self._memory

    def _named(self, error: KernelError) -> KernelError:
        return error.about(f"map (fd {self.fd})", f"map {self.name}")

    def _check_key(self, key: bytes) -> None:
        if len(key) != self.spec.key_size_bytes:
            raise MapError(f"map {self.name}: a key of {len(key)} bytes, expected {self.spec.key_size_bytes}")

    # -- values ----------------------------------------------------------------------------------
    def encode_key(self, key: Any) -> bytes:
        """Return a key as bytes, by its BTF type; integers where there is none."""
        return self._encode(key, self.spec.key_type_id, self.spec.key_size_bytes, "key")

    def decode_key(self, data: bytes) -> Any:
        """Return a key by its BTF type, as a value that can be a key of a dict; of an array, the index."""
        if self._btf is None or not self.spec.key_type_id:
            return int.from_bytes(data, byteorder) if self.spec.type in _INDEXED else data
        from ebee.maps.key import as_key

        return as_key(self._decode(data, self.spec.key_type_id))

    def decode_value(self, data: bytes) -> Any:
        """Return a looked-up value by its BTF type; a list of them for a per-CPU map."""
        if not self._is_per_cpu:
            return self._decode(data, self.spec.value_type_id)
        stride, size = self._stride_bytes, self.spec.value_size_bytes
        return [
            self._decode(data[place : place + size], self.spec.value_type_id)
            for place in range(0, len(data), stride)
        ]

    def encode_value(self, value: Any) -> bytes:
        """Return a value as bytes, by its BTF type; a per-CPU map takes a list with one per CPU."""
        size_bytes = self.spec.value_size_bytes
        if not self._is_per_cpu:
            return self._encode(value, self.spec.value_type_id, size_bytes, "value")
        count = self._kernel.cpu_count()
        if not isinstance(value, (list, tuple)) or len(value) != count:
            raise SpecError(f"map {self.name}: one value for a per-CPU map, expected a list of {count}")
        parts = (self._encode(part, self.spec.value_type_id, size_bytes, "value") for part in value)
        return b"".join(part.ljust(self._stride_bytes, b"\0") for part in parts)

    def _decode(self, data: bytes, type_id: int) -> Any:
        if self._btf is None or not type_id:
            return data
        from ebee.btf.values import decode_value

        return decode_value(self._btf, type_id, data)

    def _encode(self, value: Any, type_id: int, size_bytes: int, what: str) -> bytes:
        if self._btf is not None and type_id:
            from ebee.btf.values import encode_value

            return encode_value(self._btf, type_id, value)
        if isinstance(value, int):
            return _integer(value, size_bytes, f"map {self.name}: {what}")
        if isinstance(value, (bytes, bytearray, memoryview)) and len(value) == size_bytes:
            return bytes(value)
        raise SpecError(
            f"map {self.name}: {what} {value!r}, expected {size_bytes} bytes or an integer",
            hint="the map tells no types: declare it with __type(key, …) and __type(value, …)",
        )

    def __getitem__(self, key: Any) -> Any:
        data = self.lookup_elem(self.encode_key(key))
        if data is None:
            raise KeyError(key)
        return self.decode_value(data)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.update_elem(self.encode_key(key), self.encode_value(value))

    def __delitem__(self, key: Any) -> None:
        if not self.delete_elem(self.encode_key(key)):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self.lookup_elem(self.encode_key(key)) is not None

    def __iter__(self) -> Iterator[Any]:
        return map(self.decode_key, self.keys_as_bytes())

    def items(self) -> ItemsView[Any, Any]:
        """Go through keys and values; what programs remove meanwhile is left out."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """Go through the values; what programs remove meanwhile is left out."""
        return _Values(self)

    def __len__(self) -> int:
        """Count the entries: of an array all slots, of everything else by going through it."""
        if self.spec.type in _ARRAYS:
            return self.spec.max_entries
        return sum(1 for _ in self.keys_as_bytes())


def create_map(
    kernel: Kernel, spec: MapSpec, *, btf: Btf | None = None, btf_fd: int = 0, inner_map_fd: int = 0
) -> Map:
    """Make a map in the kernel and return it.

    Args:
        btf: the types that its key and value ids belong to.
        btf_fd: the same types, loaded; 0 makes it without types.
        inner_map_fd: a map like those that its slots will hold.

    Raises:
        MapError, NotPermittedError, NotSupportedError: the kernel refused.

    Kernel: BPF_MAP_CREATE.
    """
    typed = bool(btf_fd and spec.value_type_id) and spec.type not in _WITHOUT_BTF
    request = MapCreate(
        type=spec.type,
        key_size_bytes=spec.key_size_bytes,
        value_size_bytes=spec.value_size_bytes,
        max_entries=requested_entries(spec, kernel),
        flags=spec.flags,
        name=kernel_name(spec.kernel_name or spec.name),
        inner_map_fd=inner_map_fd,
        numa_node=spec.numa_node,
        btf_fd=btf_fd if typed else 0,
        btf_key_type_id=spec.key_type_id if typed else 0,
        btf_value_type_id=spec.value_type_id if typed else 0,
        map_extra=spec.map_extra,
    )
    try:
        fd = kernel.map_create(request)
    except MapError:
        if not typed:
            raise
        # Types that the kernel does not take with such a map; it needs none. As libbpf does.
        untyped = request._replace(btf_fd=0, btf_key_type_id=0, btf_value_type_id=0)
        fd = kernel.map_create(untyped)
    return Map(kernel, fd, spec, btf)


# The kernel takes no BTF for these (libbpf leaves it out likewise).
_WITHOUT_BTF = frozenset(
    (
        MapType.PERF_EVENT_ARRAY,
        MapType.RINGBUF,
        MapType.USER_RINGBUF,
        MapType.CGROUP_ARRAY,
        MapType.STACK_TRACE,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.QUEUE,
        MapType.STACK,
        MapType.PROG_ARRAY,
    )
)


def requested_entries(spec: MapSpec, kernel: Kernel) -> int:
    """Return how many entries to ask for: a perf event array without a number has one per CPU."""
    if spec.type is MapType.PERF_EVENT_ARRAY and not spec.max_entries:
        return kernel.cpu_count()
    if spec.type in (MapType.RINGBUF, MapType.USER_RINGBUF):
        return _ring_bytes(spec.max_entries)
    return spec.max_entries


def _ring_bytes(asked_bytes: int) -> int:
    """Round a ring buffer's size up to what the kernel takes: a power of two, whole pages."""
    import os

    size_bytes = os.sysconf("SC_PAGESIZE") if hasattr(os, "sysconf") else _PAGE_BYTES
    while 0 < size_bytes < asked_bytes:
        size_bytes *= 2
    return size_bytes if asked_bytes else 0


def kernel_name(name: str) -> str:
    """Return a name as the kernel takes it: 15 characters, letters, digits, `_` and `.`."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)[:15]


def _integer(value: int, size_bytes: int, what: str) -> bytes:
    try:
        return value.to_bytes(size_bytes, byteorder, signed=value < 0)
    except OverflowError:
        raise SpecError(f"{what} {value} does not fit into {size_bytes} bytes") from None
