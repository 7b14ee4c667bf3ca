"""The reader of a ring buffer: what is finished comes once, in order, across the end."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

import pytest

from ebee.recording.ring import RingReader

PAGE = mmap.PAGESIZE
SIZE = PAGE


class Memory:
    """A kernel's ring buffer: two pages of positions, and the data twice in a row."""

    label = "live"

    def __init__(self) -> None:
        self.consumer = memoryview(bytearray(PAGE))
        self.producer = memoryview(bytearray(PAGE + 2 * SIZE))

    def map_memory(self, fd: int, length_bytes: int, *, writable: bool, offset_bytes: int = 0) -> memoryview:
        assert (fd, length_bytes, offset_bytes) == ((5, PAGE, 0) if writable else (5, PAGE + 2 * SIZE, PAGE))
        return self.consumer[:] if writable else self.producer[:]

    def put(self, data: bytes, flags: int = 0) -> None:
        """Add a record."""
        (place,) = struct.unpack_from("=Q", self.producer)
        record = struct.pack("=II", len(data) | flags, 0) + data
        for index, byte in enumerate(record):
            at = (place + index) % SIZE
            self.producer[PAGE + at] = self.producer[PAGE + SIZE + at] = byte
        struct.pack_into("=Q", self.producer, 0, place + (len(record) + 7) // 8 * 8)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def ring(memory: Memory) -> Iterator[RingReader]:
    with RingReader(memory, 5, SIZE) as reader:  # type: ignore[arg-type]  # maps memory, and no more
        yield reader


def test_records_come_once_in_order(memory: Memory, ring: RingReader) -> None:
    """And no more once all were taken."""
    memory.put(b"one")
    memory.put(b"two and more")
    assert list(ring.records()) == [b"one", b"two and more"]
    assert list(ring.records()) == []


def test_what_is_being_written_is_waited_for(memory: Memory, ring: RingReader) -> None:
    """Records behind it, too: the order stays."""
    memory.put(b"busy", 1 << 31)
    memory.put(b"done")
    assert list(ring.records()) == []
    struct.pack_into("=I", memory.producer, PAGE, 4)
    assert list(ring.records()) == [b"busy", b"done"]


def test_what_was_thrown_away_is_passed_over(memory: Memory, ring: RingReader) -> None:
    """Programs may discard what they reserved."""
    memory.put(b"gone", 1 << 30)
    memory.put(b"here")
    assert list(ring.records()) == [b"here"]


def test_records_go_on_across_the_end(memory: Memory, ring: RingReader) -> None:
    """Thrice around."""
    for number in range(3 * SIZE // 100):
        memory.put(bytes([number % 256]) * 100)
        assert list(ring.records()) == [bytes([number % 256]) * 100]


def test_each_record_is_given_back_when_the_next_is_asked_for(memory: Memory, ring: RingReader) -> None:
    """So that the kernel has room while a batch is written."""
    memory.put(b"one")
    memory.put(b"two")
    records = ring.records()
    next(records)
    assert struct.unpack_from("=Q", memory.consumer) == (0,)
    next(records)
    assert struct.unpack_from("=Q", memory.consumer) == (16,)
