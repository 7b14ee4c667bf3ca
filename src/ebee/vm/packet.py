"""A packet in memory, with room before and behind for headers that programs add.

    0          40             begin - meta    begin              end          limit      room
    | frame    | headroom      | metadata     | the packet       | tailroom   | the kernel's own |

XDP programs move the begin and the end within one frame, as the kernel's do. Helpers of socket buffers
may ask for more than is there; the buffer then grows, and the packet lies elsewhere in it.
"""

from __future__ import annotations

from collections.abc import Callable

from ebee.vm.memory import PACKET, Memory, Region

HEADROOM_BYTES = 256
"""XDP_PACKET_HEADROOM."""
FRAME_BYTES = 4096
"""A packet's buffer is a page, as BPF_PROG_TEST_RUN makes it; longer packets get a larger one."""
RESERVED_HEAD_BYTES = 40
"""What the kernel keeps for itself at the begin of a frame (struct xdp_frame)."""
RESERVED_TAIL_BYTES = 320
"""What it keeps at the end (struct skb_shared_info, 64-bit machines)."""


class Packet:
    """The bytes of a packet.

    Attributes:
        region: its buffer, region PACKET; what programs may reach of it is the metadata and the packet.
        begin, end: where the packet lies in its buffer.
        meta_bytes: how many bytes of metadata stand right before it (XDP, tc).
        ingress_ifindex: where it came in.
        moved: called after the packet moved, for whoever keeps pointers to it.
    """

    def __init__(
        self,
        memory: Memory,
        data: bytes,
        *,
        ingress_ifindex: int = 1,
        meta_bytes: int = 0,
        headroom_bytes: int = HEADROOM_BYTES,
    ) -> None:
        room = headroom_bytes + len(data) + RESERVED_TAIL_BYTES
        self.region: Region = memory.add("the packet", max(FRAME_BYTES, room + 7 & ~7), number=PACKET)
        self.ingress_ifindex = ingress_ifindex
        self.meta_bytes = meta_bytes
        self.moved: Callable[[], None] = _nobody
        self.begin = self.end = headroom_bytes
        self.move(headroom_bytes, headroom_bytes + len(data), memory)
        self.bytes()[:] = data

    def move(self, begin: int, end: int, memory: Memory) -> None:
        """Let the packet begin and end elsewhere in its buffer; bytes stay where they are."""
        self.begin, self.end = begin, end
        self.region.low, self.region.high = begin - self.meta_bytes, end
        memory.changed(self.region)
        self.moved()

    def bytes(self) -> memoryview:
        """Return the packet, writable, without its metadata."""
        return self._data()[self.begin : self.end]

    def with_meta(self) -> memoryview:
        """Return metadata and packet, writable."""
        return self._data()[self.begin - self.meta_bytes : self.end]

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def limit(self) -> int:
        """Where the packet may end at most, for helpers that let it grow within its frame."""
        return self.region.element_bytes - RESERVED_TAIL_BYTES

    def address(self, offset: int = 0) -> int:
        """Return the address of a byte of the packet."""
        return self.region.address(0, self.begin + offset)

    def insert(self, offset: int, size_bytes: int, memory: Memory) -> None:
        """Make room of zeros within the packet; what stands before it moves towards the headroom."""
        self._need(memory, head=size_bytes)
        data, begin = self._data(), self.begin - size_bytes
        front = bytes(data[self.begin - self.meta_bytes : self.begin + offset])
        data[begin - self.meta_bytes : begin + offset] = front
        data[begin + offset : begin + offset + size_bytes] = bytes(size_bytes)
        self.move(begin, self.end, memory)

    def remove(self, offset: int, size_bytes: int, memory: Memory) -> None:
        """Take bytes out of the packet; what stands before them moves up."""
        data, begin = self._data(), self.begin + size_bytes
        front = bytes(data[self.begin - self.meta_bytes : self.begin + offset])
        data[begin - self.meta_bytes : begin + offset] = front
        self.move(begin, self.end, memory)

    def resize(self, size_bytes: int, memory: Memory) -> None:
        """Cut the packet's end off, or let it grow by zeros."""
        more = size_bytes - len(self)
        self._need(memory, tail=more)
        if more > 0:
            self._data()[self.end : self.end + more] = bytes(more)
        self.move(self.begin, self.begin + size_bytes, memory)

    def release(self, memory: Memory) -> None:
        """Give the buffer back."""
        memory.arena.free(self.region.start, self.region.stride_bytes)
        if memory.regions.get(PACKET) is self.region:
            del memory.regions[PACKET]

    def _data(self) -> memoryview:
        assert self.region.data is not None
        return self.region.data

    def _need(self, memory: Memory, *, head: int = 0, tail: int = 0) -> None:
        """Get a larger buffer where there is not that much room before or behind the packet."""
        if head <= self.begin - self.meta_bytes and self.end + tail <= self.limit:
            return
        old, content = self.region, bytes(self.with_meta())
        shift = max(0, head - self.begin + self.meta_bytes)
        room = self.end + shift + max(0, tail) + RESERVED_TAIL_BYTES + 7 & ~7
        self.region = memory.add(old.name, room, number=PACKET, writable=old.writable)
        memory.arena.free(old.start, old.stride_bytes)
        self.move(self.begin + shift, self.end + shift, memory)
        self.with_meta()[:] = content


def _nobody() -> None:
    """Nobody keeps pointers."""
