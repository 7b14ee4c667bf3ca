"""VariableSpec: a global variable before its section is loaded."""

from __future__ import annotations

from ebee.btf import Btf
from ebee.errors import SpecError
from ebee.record import Record
from ebee.spec.maps import MapSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class VariableSpec(Record):
    """A global variable of an object.

    Attributes:
        name: as the C file has it.
        map: the data section it lies in.
        offset_bytes, size_bytes: where in the section's value.
        type_id: its type in `btf`.
        read_only: it lies in .rodata; set it before loading or never.
        from_kernel: the loader asks the running kernel for it (`extern … __kconfig`); no more once
            it was set here.
        optional: it stays zero where the kernel does not tell it (`__weak`).
    """

    name: str
    map: MapSpec
    offset_bytes: int
    size_bytes: int
    type_id: int
    btf: Btf | None
    read_only: bool = False
    from_kernel: bool = False
    optional: bool = False

    @property
    def value(self) -> Any:
        """The value it begins with, by its BTF type; bytes where the object has no BTF."""
        from ebee.btf.values import decode_value

        contents = self.map.contents or b""
        data = contents[self.offset_bytes : self.offset_bytes + self.size_bytes]
        return data if self.btf is None else decode_value(self.btf, self.type_id, data)

    @value.setter
    def value(self, value: Any) -> None:
        from ebee.btf.values import encode_value

        data = value if self.btf is None else encode_value(self.btf, self.type_id, value)
        if len(data) != self.size_bytes:
            raise SpecError(f"variable {self.name}: {len(data)} bytes, expected {self.size_bytes}")
        contents = bytearray(self.map.contents or b"")
        contents[self.offset_bytes : self.offset_bytes + self.size_bytes] = data
        self.map.contents = bytes(contents)
        self.from_kernel = False
