"""RINGBUF and USER_RINGBUF: records between programs and user space, in memory that both see.

The memory is laid out as mmap(2) of the kernel's shows it, in the host's byte order:

    page 0      u64 consumer position   bytes taken since the begin
    page 1      u64 producer position   bytes given since the begin
    from page 2 the data, and then the data again

A record is a header of 8 bytes, its data, and what fills it up to 8 bytes. The header's first u32 is the
length with BUSY until the record is finished and DISCARD for one that nobody shall see.

The kernel maps the data twice so that a record that runs over the end can be read in a row. Here they
are written twice.

Source: Documentation/bpf/ringbuf.rst; bpf_user_ringbuf_drain in bpf-helpers(7).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from ebee.abi.bpf import F_NUMA_NODE
from ebee.vm.faults import Fault, Refusal
from ebee.vm.maps.base import (
    EAGAIN,
    ENOTSUPP,
    MapSetup,
    VmMap,
    check_flags,
    enough_memory,
    page_bytes,
)
from ebee.vm.memory import Memory, Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

BUSY: Final = 1 << 31
DISCARD: Final = 1 << 30
HEADER_BYTES: Final = 8

NO_WAKEUP, FORCE_WAKEUP = 1, 2
AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS = range(4)

_LARGEST_RECORD_BYTES = ((1 << 32) - 1) // 4
_MOST_SAMPLES = 128 << 10


class _Ring(VmMap):
    """Pages of positions and the data, twice."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_flags(setup, F_NUMA_NODE)
        page = page_bytes()
        size = setup.max_entries
        if setup.key_size_bytes or setup.value_size_bytes:
            raise Refusal(errno.EINVAL, "a ring buffer has neither keys nor values")
        if size == 0 or size & (size - 1) or size % page:
            raise Refusal(
                errno.EINVAL, f"max_entries is its size in bytes: a power of two and pages of {page} bytes"
            )
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.size_bytes = size
        self._mask = size - 1
        self._page = page
        with enough_memory():
            self._start, self._whole = memory.arena.allocate(2 * page + 2 * size)
        self._data = self._whole[2 * page :]
        self._words = self._data.cast("I")
        self._consumer = self._whole[:8].cast("Q")
        self._producer = self._whole[page : page + 8].cast("Q")

    @property
    def consumer_position(self) -> int:
        """How many bytes the reader has taken since the begin."""
        return self._consumer[0]

    @property
    def producer_position(self) -> int:
        """How many bytes the writer has taken since the begin."""
        return self._producer[0]

    def mapped(self) -> memoryview:
        return self._whole

    def close(self) -> None:
        super().close()
        self.memory.arena.free(self._start, 2 * self._page + 2 * self.size_bytes)

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        raise Refusal(ENOTSUPP)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        raise Refusal(ENOTSUPP)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        raise Refusal(ENOTSUPP)

    def find(self, key: bytes, cpu: int = 0) -> int:
        raise Refusal(ENOTSUPP)

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(ENOTSUPP)

    def delete(self, key: bytes) -> None:
        raise Refusal(ENOTSUPP)

    def _write(self, position: int, data: bytes | memoryview) -> None:
        """Write bytes at a position, and once more where they are seen again."""
        size, ring, at = self.size_bytes, self._data, position & self._mask
        end = at + len(data)
        ring[at:end] = data
        if end <= size:
            ring[at + size : end + size] = data
            return
        ring[at + size :] = data[: size - at]
        ring[: end - size] = data[size - at :]

    def _header(self, position: int, length: int) -> None:
        # A header is never broken: it begins at a multiple of 8.
        words, at, again = self._words, (position & self._mask) >> 2, self.size_bytes >> 2
        words[at] = words[at + again] = length
        words[at + 1] = words[at + again + 1] = 0

    def _length(self, position: int) -> int:
        return self._words[(position & self._mask) >> 2]


class RingBuffer(_Ring):
    """A ring buffer from programs to user space.

    Attributes:
        dropped: how many records found no room.
        pending: the records that are reserved and not yet finished, by the number of their region.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.dropped = 0
        self.pending: dict[int, tuple[Region, int]] = {}

    def reserve(self, size_bytes: int) -> int:
        """Return the address of a record of zeros to be filled; 0 where there is no room.

        The record is a region of its own until `submit`: what is written past it is caught.
        """
        position = self._take(size_bytes)
        if position is None:
            return 0
        region = self.memory.add(f"record of map '{self.setup.name}'", size_bytes)
        self.pending[region.number] = region, position
        return region.address()

    def submit(self, address: int, *, discard: bool = False) -> None:
        """Finish a record that was reserved; the pointer to it is dangling from now on.

        Raises:
            Fault: the address is of no reserved record's begin.
        """
        region = self.memory.find(address)
        if region is None or region.number not in self.pending or address != region.address():
            what = self.memory.describe(address)
            raise Fault(f"submit of {what}: it is no reserved record of map '{self.setup.name}'")
        _, position = self.pending.pop(region.number)
        assert region.data is not None
        self._write(position + HEADER_BYTES, region.data[: region.element_bytes])
        self._header(position, region.element_bytes | (DISCARD if discard else 0))
        self.memory.remove(region)

    def output(self, data: bytes | memoryview, flags: int = 0) -> None:
        """Add a record, as bpf_ringbuf_output does.

        Raises:
            Refusal: flags that it has not (EINVAL), no room (EAGAIN).
        """
        if flags & ~(NO_WAKEUP | FORCE_WAKEUP):
            raise Refusal(errno.EINVAL, "a ring buffer has the flags BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP")
        position = self._take(len(data))
        if position is None:
            raise Refusal(EAGAIN, "the ring buffer is full")
        self._write(position + HEADER_BYTES, data)
        self._header(position, len(data))

    def query(self, what: int) -> int:
        """Return what bpf_ringbuf_query does: bytes not yet taken, size, positions; 0 for anything else."""
        consumer, producer = self._consumer[0], self._producer[0]
        return {
            AVAIL_DATA: producer - consumer,
            RING_SIZE: self.size_bytes,
            CONS_POS: consumer,
            PROD_POS: producer,
        }.get(what, 0)

    def take_records(self) -> Iterator[bytes]:
        """Take the finished records out, as user space does through the mapped memory."""
        while self._consumer[0] < self._producer[0]:
            place = self._consumer[0]
            length = self._length(place)
            if length & BUSY:
                return
            size_bytes = length & ~DISCARD
            at = (place & self._mask) + HEADER_BYTES
            record = bytes(self._data[at : at + size_bytes])
            self._consumer[0] = place + HEADER_BYTES + (size_bytes + 7 & ~7)
            if not length & DISCARD:
                yield record

    def close(self) -> None:
        for region, _ in self.pending.values():
            self.memory.remove(region)
        self.pending.clear()
        super().close()

    def _take(self, size_bytes: int) -> int | None:
        """Return where a new record lies, busy; None where there is no room, which is counted."""
        position = self._producer[0]
        end = position + HEADER_BYTES + (size_bytes + 7 & ~7)
        if size_bytes > _LARGEST_RECORD_BYTES or end - self._oldest() > self._mask:
            self.dropped += 1
            return None
        self._header(position, size_bytes | BUSY)
        self._producer[0] = end
        return position

    def _oldest(self) -> int:
        """Return from where on the data are in use: what is not taken, or not finished."""
        consumer = self._consumer[0]
        if not self.pending:
            return consumer
        # They were reserved in this order, so the first one lies the farthest back.
        _, position = next(iter(self.pending.values()))
        return min(consumer, position)


class UserRingBuffer(_Ring):
    """A ring buffer from user space to programs, which drain it."""

    def produce(self, data: bytes) -> None:
        """Add a record, as user space does through the mapped memory.

        Raises:
            Refusal: there is no room (ENOSPC), or it is longer than the ring (E2BIG).
        """
        position = self._producer[0]
        room = HEADER_BYTES + (len(data) + 7 & ~7)
        if room > self.size_bytes:
            raise Refusal(errno.E2BIG, f"a record of {len(data)} bytes for a ring of {self.size_bytes}")
        if position + room - self._consumer[0] > self.size_bytes:
            raise Refusal(errno.ENOSPC, "the ring buffer is full")
        self._write(position + HEADER_BYTES, data)
        self._header(position, len(data))
        self._producer[0] = position + room

    def drain(self, callback: Callable[[bytes], int], flags: int = 0) -> int:
        """Give records to a callback, as bpf_user_ringbuf_drain does, until it returns 1; how many.

        Raises:
            Refusal: flags that it has not, or positions that make no sense (EINVAL), a record that is
                longer than what was given (E2BIG).
        """
        if flags & ~(NO_WAKEUP | FORCE_WAKEUP):
            raise Refusal(errno.EINVAL, "draining has the flags BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP")
        for taken in range(_MOST_SAMPLES):
            record = self._next()
            if record is None:
                return taken
            if callback(record):
                return taken + 1
        return _MOST_SAMPLES

    def _next(self) -> bytes | None:
        """Take the next record out; None where there is none, or it is not finished."""
        while True:
            consumer, producer = self._consumer[0], self._producer[0]
            if producer & 7:
                raise Refusal(errno.EINVAL, "user space set a producer position that is no multiple of 8")
            if consumer >= producer:
                return None
            length = self._length(consumer)
            if length & BUSY:
                return None
            size_bytes = length & ~DISCARD
            room = HEADER_BYTES + (size_bytes + 7 & ~7)
            if consumer + room > producer:
                raise Refusal(errno.EINVAL, "user space gave a record that is longer than what it produced")
            if size_bytes > self.size_bytes:
                raise Refusal(errno.E2BIG, "user space gave a record that is longer than the ring")
            self._consumer[0] = consumer + room
            if not length & DISCARD:
                at = (consumer & self._mask) + HEADER_BYTES
                return bytes(self._data[at : at + size_bytes])
