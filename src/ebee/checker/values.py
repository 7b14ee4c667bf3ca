"""What a register can hold besides a number: pointers, and how the log shows them."""

from __future__ import annotations

from ebee.checker.facts import MapFacts
from ebee.checker.scalars import VAGUE, Scalar, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANYTHING_KIND = "anything"
PACKET_KINDS = ("pkt", "pkt_meta", "pkt_end")
SOCKET_KINDS = ("sock", "sock_common", "tcp_sock", "xdp_sock")


class Pointer:
    """An address. Never changed: what changes it gives another.

    Attributes:
        kind: as the verifier's log calls it: `fp`, `ctx`, `map_value`, `pkt`; `anything` where this
            check does not know what it is, and lets pass whatever is done with it.
        offset, variable: what was added to where it began: known bytes, and a number not known.
        id: what came from one place shares it: results of a call that may be NULL, packet pointers
            with the same variable part.
        maybe_null: it may be NULL.
        map: of map pointers and of addresses in values.
        size: of memory, in bytes.
        range: how many bytes behind `variable` were proven to be in the packet.
        reference: what must be given back, by its id; 0 for nothing.
        frame: of stack addresses, whose function's; of functions, the slot at which it begins.
    """

    __slots__ = (
        "frame",
        "id",
        "kind",
        "map",
        "maybe_null",
        "offset",
        "range",
        "reference",
        "size",
        "variable",
    )

    def __init__(
        self,
        kind: str,
        *,
        offset: int = 0,
        variable: Scalar | None = None,
        id: int = 0,
        maybe_null: bool = False,
        map: MapFacts | None = None,
        size: int = 0,
        range: int = 0,
        reference: int = 0,
        frame: int = 0,
    ) -> None:
        self.kind = kind
        self.offset = offset
        self.variable = variable
        self.id = id
        self.maybe_null = maybe_null
        self.map = map
        self.size = size
        self.range = range
        self.reference = reference
        self.frame = frame

    def changed(self, **changes: Any) -> Pointer:
        """Return the pointer with some attributes changed."""
        fields = {name: getattr(self, name) for name in Pointer.__slots__} | changes
        return Pointer(**fields)

    @property
    def name(self) -> str:
        """Its kind as the verifier names it, such as `map_value_or_null`."""
        return f"{self.kind}_or_null" if self.maybe_null else self.kind

    @property
    def low(self) -> int:
        """The least offset that it may have."""
        return self.offset + (self.variable.smin if self.variable else 0)

    def is_like(self, other: Pointer) -> bool:
        """Whether it allows no more than another, offsets aside."""
        return (
            self.kind == other.kind
            and self.maybe_null == other.maybe_null
            and self.map == other.map
            and self.size == other.size
            and self.frame == other.frame
            and (self.reference != 0) == (other.reference != 0)
        )

    def covers(self, other: Pointer) -> bool:
        """Whether whatever holds for every value of this holds for the other too."""
        if self is other:
            return True
        if not self.is_like(other) or self.offset != other.offset or self.range > other.range:
            return False
        if self.variable is None or other.variable is None:
            return self.variable is other.variable
        return self.variable.covers(other.variable)

    @property
    def text(self) -> str:
        """The pointer as the verifier's log shows it."""
        if self.kind == "fp" and self.variable is None:
            return f"fp{self.offset}"
        parts = [f"id={self.id}"] if self.id and (self.maybe_null or self.kind in PACKET_KINDS) else []
        if self.reference:
            parts.append(f"ref_obj_id={self.reference}")
        if self.map is not None:
            name = f"map={self.map.name}," if self.map.name else ""
            parts.append(f"{name}ks={self.map.key_size_bytes},vs={self.map.value_size_bytes}")
        if self.offset:
            parts.append(f"off={self.offset if -10000 < self.offset < 65536 else hex(self.offset)}")
        if self.range:
            parts.append(f"r={self.range}")
        if self.size and self.map is None:
            parts.append(f"sz={self.size}")
        if self.variable is not None:
            parts += limits(self.variable)
        return f"{self.name}({','.join(parts)})"


ANYTHING = Pointer(ANYTHING_KIND)


def somewhere(pointer: Pointer) -> Pointer:
    """Return a pointer whose offset is not known: of the stack it is still known to be one."""
    return pointer.changed(variable=VAGUE) if pointer.kind == "fp" else ANYTHING


Value = Scalar | Pointer
