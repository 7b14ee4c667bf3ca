"""A packet in memory, with room before and behind for headers that programs add."""

from __future__ import annotations

from ebee.vm.memory import PACKET, Memory, Region

HEADROOM_BYTES = 256
"""XDP_PACKET_HEADROOM."""
TAILROOM_BYTES = 512


class Packet:
    """The bytes of a packet.

    Attributes:
        region: its buffer, region PACKET; `low` and `high` are where the packet begins and ends.
        ingress_ifindex: where it came in.
        meta_bytes: how many bytes of metadata stand before it (XDP).
    """

    def __init__(self, memory: Memory, data: bytes, *, ingress_ifindex: int = 1) -> None:
        room = HEADROOM_BYTES + len(data) + TAILROOM_BYTES
        self.region: Region = memory.add("the packet", room, number=PACKET)
        self.ingress_ifindex = ingress_ifindex
        self.meta_bytes = 0
        self.move(HEADROOM_BYTES, HEADROOM_BYTES + len(data), memory)
        self.bytes()[:] = data

    def move(self, begin: int, end: int, memory: Memory) -> None:
        """Let the packet begin and end elsewhere in its buffer."""
        self.region.low, self.region.high = begin, end
        memory.changed(self.region)

    def bytes(self) -> memoryview:
        """Return the packet, writable."""
        assert self.region.data is not None
        return self.region.data[self.region.low : self.region.high]
