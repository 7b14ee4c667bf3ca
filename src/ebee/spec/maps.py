"""MapSpec: a map before it exists."""

from enum import IntEnum

from ebee.abi.bpf import MapType
from ebee.record import Record


class Pinning(IntEnum):
    """Whether a map is shared through bpffs by its name (LIBBPF_PIN_NONE, LIBBPF_PIN_BY_NAME)."""

    NONE = 0
    BY_NAME = 1


class MapSpec(Record):
    """A map before it exists.

    Attributes:
        name: as the C file has it; of a data section, the section's name.
        type: the kernel's map type.
        key_size_bytes, value_size_bytes: per-CPU maps have one value of that size per possible CPU.
        max_entries: of a ring buffer, its size in bytes.
        flags: BPF_F_* of BPF_MAP_CREATE.
        pinning: whether it is shared by name.
        key_type_id, value_type_id: types in the object's BTF, 0 where they are not told; of a ring or
            perf buffer, the type of its records.
        contents: the bytes a data section begins with; None for every other map.
        frozen: user space writes no more once it is loaded (.rodata).
        kernel_name: the name the kernel is told, at most 15 bytes; by default cut from `name`.
        inner: what the maps in a map of maps look like.
        initial: names of the maps or programs its slots begin with, by index.
    """

    name: str
    type: MapType
    key_size_bytes: int = 0
    value_size_bytes: int = 0
    max_entries: int = 0
    flags: int = 0
    pinning: Pinning = Pinning.NONE
    numa_node: int = 0
    map_extra: int = 0
    key_type_id: int = 0
    value_type_id: int = 0
    contents: bytes | None = None
    frozen: bool = False
    kernel_name: str = ""
    inner: "MapSpec | None" = None
    initial: dict[int, str] = {}

    @property
    def is_data(self) -> bool:
        """Whether this is a data section (.data, .rodata, .bss) rather than a declared map."""
        return self.contents is not None
