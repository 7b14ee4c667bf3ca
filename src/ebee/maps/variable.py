"""Variable: a global variable of a loaded object."""

from __future__ import annotations

from ebee.abi.bpf import F_MMAPABLE
from ebee.errors import MapError
from ebee.maps.map import Map
from ebee.spec import VariableSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEY = bytes(4)
"""A data section is an array with one value; this is its only key."""


class Variable:
    """A global variable of a loaded object, read and written while programs run.

    Attributes:
        spec: where it lies and what type it has.
    """

    __slots__ = ("_map", "spec")

    def __init__(self, home: Map, spec: VariableSpec) -> None:
        self._map = home
        self.spec = spec

    def __repr__(self) -> str:
        return f"<Variable {self.name}>"

    @property
    def name(self) -> str:
        """The name the C file gives it."""
        return self.spec.name

    @property
    def value(self) -> Any:
        """Its value at this moment, by its BTF type; bytes where the object has none."""
        data = self.read()
        if self.spec.btf is None:
            return data
        from ebee.btf.values import decode_value

        return decode_value(self.spec.btf, self.spec.type_id, data)

    @value.setter
    def value(self, value: Any) -> None:
        spec = self.spec
        if spec.btf is not None:
            from ebee.btf.values import encode_value

            value = encode_value(spec.btf, spec.type_id, value)
        self.write(value)

    def read(self) -> bytes:
        """Return its bytes, host byte order."""
        start, end = self.spec.offset_bytes, self.spec.offset_bytes + self.spec.size_bytes
        if self._is_shared:
            return bytes(self._map.memory()[start:end])
        data = self._map.lookup_elem(_KEY)
        assert data is not None, "an array's first value is always there"
        return data[start:end]

    def write(self, data: bytes) -> None:
        """Set its bytes, those and no others.

        Raises:
            MapError: it is read-only, or `data` has the wrong size.
        """
        spec = self.spec
        if spec.read_only:
            raise MapError(
                f"variable {self.name}: is const and lies in {spec.map.name}, which is frozen once loaded",
                hint="set it before loading: spec.variables[...].value, or load(..., variables={...})",
            )
        if len(data) != spec.size_bytes:
            raise MapError(f"variable {self.name}: {len(data)} bytes, expected {spec.size_bytes}")
        if self._is_shared:
            self._map.memory()[spec.offset_bytes : spec.offset_bytes + spec.size_bytes] = data
            return
        # Not shared memory: only static variables lie here, and the whole section is written at once.
        whole = bytearray(self._map.lookup_elem(_KEY) or b"")
        whole[spec.offset_bytes : spec.offset_bytes + spec.size_bytes] = data
        self._map.update_elem(_KEY, bytes(whole))

    @property
    def _is_shared(self) -> bool:
        return bool(self._map.spec.flags & F_MMAPABLE)
