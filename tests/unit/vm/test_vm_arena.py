"""The arena that another process can map."""

from __future__ import annotations

import errno
import os
import struct
from itertools import pairwise

import pytest

from ebee.vm.arena import (
    CONTEXT_AT,
    DATA_AT,
    REGION_TABLE_AT,
    SEEN_AT,
    SharedArena,
)
from ebee.vm.faults import Refusal
from ebee.vm.memory import CONTEXT, Memory

ROW = struct.Struct("<QIII4I4II")


def row(arena: SharedArena, number: int) -> tuple[int, ...]:
    """Return what the table says of a region."""
    return ROW.unpack(arena.window(REGION_TABLE_AT + 64 * number, ROW.size))


def test_bytes_are_zeros_and_seen_through_the_file() -> None:
    arena = SharedArena()
    start, data = arena.allocate(100)
    data[:5] = b"hello"

    assert start >= DATA_AT
    assert len(data) == 100
    assert os.pread(arena.descriptor, 8, start) == b"hello\0\0\0"


@pytest.mark.parametrize("size_bytes", [0, 1, 64, 100, 4096, 1 << 16, 300_000])
def test_bytes_that_are_given_back_are_given_out_again_as_zeros(size_bytes: int) -> None:
    arena = SharedArena()
    start, data = arena.allocate(size_bytes)
    data[:] = b"\xff" * size_bytes
    arena.free(start, size_bytes)
    again, data = arena.allocate(size_bytes)

    assert again == start
    assert not any(data)
    assert not any(arena.window(start, size_bytes))


def test_pieces_do_not_overlap() -> None:
    arena = SharedArena()
    pieces = sorted((arena.allocate(size)[0], size) for size in (1, 63, 64, 65, 5000, 100_000, 8))

    assert all(start + size <= following for (start, size), (following, _) in pairwise(pieces))
    assert all(start % 64 == 0 for start, _ in pieces)


def test_a_full_arena_refuses() -> None:
    with pytest.raises(Refusal) as refusal:
        SharedArena().allocate(1 << 40)

    assert refusal.value.errno == errno.ENOMEM
    assert "GiB is full" in refusal.value.detail


def test_memory_that_is_only_reserved_takes_none() -> None:
    arena = SharedArena()
    arena.allocate(1 << 30)

    assert os.fstat(arena.descriptor).st_blocks * 512 < 1 << 20


def test_the_table_says_where_a_region_is_and_what_may_be_reached() -> None:
    arena = SharedArena()
    region = Memory(arena).add("values", 12, elements=3)

    assert row(arena, region.number) == (
        *(SEEN_AT + region.start, 16, 3, 0),
        *(12, 11, 9, 5),
        *(12, 11, 9, 5),
        12,
    )


def test_the_table_follows_bounds_and_rights() -> None:
    arena = SharedArena()
    memory = Memory(arena)
    region = memory.add("packet", 100, writable=False)
    region.low, region.high = 10, 13
    memory.changed(region)

    assert row(arena, region.number)[3:] == (10, 3, 2, 0, 0, 0, 0, 0, 0, 13)


def test_a_region_that_is_gone_has_no_room() -> None:
    arena = SharedArena()
    memory = Memory(arena)
    region = memory.add("values", 12)
    memory.remove(region)

    assert row(arena, region.number)[2] == 0
    assert row(arena, region.number)[4:12] == (0,) * 8


def test_what_is_only_pointed_at_has_no_room() -> None:
    arena = SharedArena()
    region = Memory(arena).add_opaque("a map", 4)

    assert row(arena, region.number) == (0,) * 13


def test_pointer_fields_and_writable_parts_of_the_context_are_told() -> None:
    arena = SharedArena()
    memory = Memory(arena)
    region = memory.add("the context", 32, number=CONTEXT)
    region.pointers = {0: 0x1234, 4: 0x5678}
    region.writable_parts = ((8, 16),)
    memory.changed(region)

    assert struct.unpack("<5Q", arena.window(CONTEXT_AT, 40)) == (2, 0, 0x1234, 4, 0x5678)
    assert struct.unpack("<3Q", arena.window(CONTEXT_AT + 8 + 256, 24)) == (1, 8, 16)
    assert row(arena, CONTEXT)[4:12] == (0,) * 8


def test_a_system_without_files_in_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")

    with pytest.raises(OSError, match=r"files in memory \(memfd_create\) exist on Linux only"):
        SharedArena()
