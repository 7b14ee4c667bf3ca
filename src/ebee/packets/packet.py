"""Packet: bytes with a time, and what kind of link they were seen on."""

from __future__ import annotations

from ebee.errors import SpecError
from ebee.packets.describe import describe
from ebee.packets.link_types import LinkType
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsBytes


class Packet(NamedTuple):
    """A packet as it was captured, or made.

    Attributes:
        data: its bytes, from the link's header on.
        timestamp_ns: since 1970-01-01 UTC; 0 where the file tells no time.
        link_type: LINKTYPE_*; any number that a file gives.
        original_bytes: how long it was on the wire, where the capture kept only its begin; 0 means
            that `data` is all of it.
    """

    data: bytes
    timestamp_ns: int = 0
    link_type: int = LinkType.ETHERNET
    original_bytes: int = 0

    def __repr__(self) -> str:
        """Say what it is rather than show its bytes, which `data.hex()` does."""
        return f"<Packet {describe(self)}, {len(self.data)} bytes>"

    @property
    def wire_bytes(self) -> int:
        """How long it was on the wire."""
        return self.original_bytes or len(self.data)

    def with_data(self, data: bytes) -> Packet:
        """Return the same packet with other bytes; what the capture cut off stays missing."""
        if data == self.data:
            return self
        missing_bytes = max(0, self.wire_bytes - len(self.data))
        original_bytes = len(data) + missing_bytes if missing_bytes else 0
        return Packet(data, self.timestamp_ns, self.link_type, original_bytes)


_WITHOUT_ETHERNET = frozenset(("IP", "IPv6"))
"""Classes of scapy's whose packets begin with an IP header."""


def as_packet(value: Packet | bytes | bytearray | memoryview | SupportsBytes) -> Packet:
    """Return a packet made of bytes, or of anything that `bytes()` turns into them, as scapy's packets.

    A packet of scapy's that begins with IP is of the link type RAW.

    Raises:
        SpecError: it is nothing of the kind.
    """
    if isinstance(value, Packet):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return Packet(bytes(value))
    if not hasattr(value, "__bytes__"):
        raise SpecError(
            f"packet: found {type(value).__name__}, expected bytes or a packet",
            hint="bytes.fromhex() makes bytes of hex" if isinstance(value, str) else None,
        )
    raw = type(value).__name__ in _WITHOUT_ETHERNET
    return Packet(bytes(value), link_type=LinkType.RAW if raw else LinkType.ETHERNET)
