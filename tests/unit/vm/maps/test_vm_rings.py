"""Ring buffers, from programs and from user space."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ebee.abi.bpf import MapType
from ebee.vm.faults import AccessFault, Fault
from ebee.vm.maps.base import page_bytes
from ebee.vm.maps.rings import BUSY, DISCARD, HEADER_BYTES
from tests.unit.vm.maps.made import made, refused, why

PAGE = page_bytes()


def ring() -> Any:
    return made(MapType.RINGBUF, 0, 0, PAGE)


def user_ring() -> Any:
    return made(MapType.USER_RINGBUF, 0, 0, PAGE)


def header(some: Any, position: int) -> int:
    """Return the length field of a record, as a reader of the mapped memory finds it."""
    begin = 2 * PAGE + position % PAGE
    return int(struct.unpack_from("=I", some.mapped(), begin)[0])


class TestOutput:
    def test_records_come_out_in_order(self) -> None:
        some = ring()
        some.output(b"first")
        some.output(b"second one")
        assert list(some.take_records()) == [b"first", b"second one"]
        assert list(some.take_records()) == []

    def test_a_record_lies_in_the_mapped_memory_as_the_kernel_lays_it(self) -> None:
        some = ring()
        some.output(b"hello")
        memory = some.mapped()
        assert struct.unpack_from("=Q", memory, PAGE) == (16,)
        assert bytes(memory[2 * PAGE : 2 * PAGE + 13]) == struct.pack("=II", 5, 0) + b"hello"

    def test_the_data_are_there_twice(self) -> None:
        some = ring()
        some.output(b"hello")
        memory = some.mapped()
        assert len(memory) == 4 * PAGE
        assert memory[2 * PAGE : 3 * PAGE] == memory[3 * PAGE : 4 * PAGE]

    def test_a_record_that_runs_over_the_end_is_read_in_a_row(self) -> None:
        some = ring()
        first = bytes(PAGE - 24)
        some.output(first)
        assert list(some.take_records()) == [first]
        some.output(bytes(range(40)))
        begin = 2 * PAGE + PAGE - 16
        memory = some.mapped()
        assert bytes(memory[begin + 8 : begin + 48]) == bytes(range(40))
        assert memory[2 * PAGE : 3 * PAGE] == memory[3 * PAGE : 4 * PAGE]
        assert list(some.take_records()) == [bytes(range(40))]

    def test_what_the_reader_gave_back_is_room_again(self) -> None:
        some = ring()
        for number in range(1000):
            some.output(bytes([number & 255]) * 100)
            struct.pack_into("=Q", some.mapped(), 0, some.producer_position)
        assert some.dropped == 0

    def test_a_full_ring_refuses_and_counts(self) -> None:
        some = ring()
        some.output(bytes(PAGE - 16))
        assert refused(lambda: some.output(b"x")) == "EAGAIN"
        assert why(lambda: some.output(b"x")) == "the ring buffer is full"
        assert some.dropped == 2

    def test_a_record_as_long_as_the_ring_never_fits(self) -> None:
        assert refused(lambda: ring().output(bytes(PAGE))) == "EAGAIN"

    def test_wakeup_flags_are_taken_and_others_refused(self) -> None:
        some = ring()
        some.output(b"x", 1)
        some.output(b"x", 2)
        assert refused(lambda: some.output(b"x", 4)) == "EINVAL"


class TestReserve:
    def test_a_record_is_busy_until_it_is_submitted(self) -> None:
        some = ring()
        address = some.reserve(8)
        assert header(some, 0) == 8 | BUSY
        assert list(some.take_records()) == []
        some.memory.store(address, 8, 0x1122)
        some.submit(address)
        assert header(some, 0) == 8
        assert list(some.take_records()) == [struct.pack("<Q", 0x1122)]

    def test_a_discarded_record_is_passed_over(self) -> None:
        some = ring()
        address = some.reserve(8)
        some.output(b"after")
        some.submit(address, discard=True)
        assert header(some, 0) == 8 | DISCARD
        assert list(some.take_records()) == [b"after"]

    def test_writing_past_a_record_is_caught(self) -> None:
        some = ring()
        address = some.reserve(12)
        with pytest.raises(
            AccessFault, match="write of 8 bytes at record of map 'm' \\+ 8: 12 bytes may be reached"
        ):
            some.memory.store(address + 8, 8, 1)

    def test_a_submitted_record_is_gone(self) -> None:
        some = ring()
        address = some.reserve(8)
        some.submit(address)
        with pytest.raises(AccessFault, match="no memory of this program is there"):
            some.memory.store(address, 8, 1)
        with pytest.raises(Fault, match="it is no reserved record of map 'm'"):
            some.submit(address)

    def test_a_place_within_a_record_is_not_the_record(self) -> None:
        some = ring()
        address = some.reserve(16)
        with pytest.raises(Fault, match="submit of record of map 'm' \\+ 8: it is no reserved record"):
            some.submit(address + 8)

    def test_no_room_gives_null_and_is_counted(self) -> None:
        some = ring()
        assert some.reserve(PAGE) == 0
        assert some.dropped == 1

    def test_an_unfinished_record_holds_up_those_after_it(self) -> None:
        some = ring()
        address = some.reserve(8)
        some.output(b"after")
        assert list(some.take_records()) == []
        some.submit(address)
        assert list(some.take_records()) == [bytes(8), b"after"]

    def test_a_reserved_record_is_zero_even_where_others_were(self) -> None:
        some = ring()
        some.submit(some.reserve(8))
        some.memory.store(some.reserve(8), 8, 5)
        assert some.memory.load(some.reserve(8), 8) == 0

    def test_a_closed_ring_takes_its_records_with_it(self) -> None:
        some = ring()
        some.reserve(8)
        some.close()
        assert some.memory.regions == {}


def test_query_tells_data_size_and_positions() -> None:
    some = ring()
    some.output(b"first")
    list(some.take_records())
    some.output(b"second one")
    assert [some.query(what) for what in range(5)] == [24, PAGE, 16, 40, 0]


@pytest.mark.parametrize("kind", [MapType.RINGBUF, MapType.USER_RINGBUF])
class TestBoth:
    @pytest.mark.parametrize("shape", [(4, 0, PAGE), (0, 4, PAGE), (0, 0, 0), (0, 0, 3 * PAGE), (0, 0, 64)])
    def test_a_size_is_a_power_of_two_of_whole_pages(
        self, kind: MapType, shape: tuple[int, int, int]
    ) -> None:
        assert refused(lambda: made(kind, *shape)) == "EINVAL"

    def test_there_are_no_elements(self, kind: MapType) -> None:
        some = made(kind, 0, 0, PAGE)
        for action in (
            lambda: some.read(b""),
            lambda: some.write(b"", b""),
            lambda: some.remove(b""),
            lambda: some.next_key(None),
            lambda: some.take(b""),
        ):
            assert refused(action) == "ENOTSUPP"


class TestUserRing:
    def drained(self, some: Any) -> list[bytes]:
        records: list[bytes] = []

        def keep(record: bytes) -> int:
            records.append(record)
            return 0

        some.drain(keep)
        return records

    def test_records_of_user_space_come_in_order(self) -> None:
        some = user_ring()
        some.produce(b"one")
        some.produce(b"two")
        assert self.drained(some) == [b"one", b"two"]
        assert self.drained(some) == []

    def test_draining_counts_and_stops_where_the_callback_says_so(self) -> None:
        some = user_ring()
        for number in range(5):
            some.produce(bytes([number]))
        assert some.drain(lambda record: int(record == b"\2")) == 3
        assert some.drain(lambda _: 0) == 2

    def test_records_written_through_the_mapped_memory_are_drained(self) -> None:
        some = user_ring()
        memory = some.mapped()
        struct.pack_into("=II5s", memory, 2 * PAGE, 5, 0, b"hello")
        struct.pack_into("=Q", memory, PAGE, 16)
        assert self.drained(some) == [b"hello"]
        assert some.consumer_position == 16

    def test_busy_records_wait_and_discarded_ones_are_passed_over(self) -> None:
        some = user_ring()
        memory = some.mapped()
        struct.pack_into("=IIQIIQ", memory, 2 * PAGE, 8 | DISCARD, 0, 0, 8 | BUSY, 0, 0)
        struct.pack_into("=Q", memory, PAGE, 32)
        assert self.drained(some) == []
        assert some.consumer_position == 16

    def test_records_run_over_the_end(self) -> None:
        some = user_ring()
        some.produce(bytes(PAGE - 24))
        self.drained(some)
        some.produce(bytes(range(40)))
        assert self.drained(some) == [bytes(range(40))]

    def test_a_full_ring_refuses_user_space(self) -> None:
        some = user_ring()
        some.produce(bytes(PAGE - HEADER_BYTES))
        assert refused(lambda: some.produce(b"x")) == "ENOSPC"
        assert refused(lambda: some.produce(bytes(PAGE))) == "E2BIG"

    def test_positions_that_make_no_sense_are_refused(self) -> None:
        some = user_ring()
        struct.pack_into("=Q", some.mapped(), PAGE, 9)
        assert refused(lambda: some.drain(lambda _: 0)) == "EINVAL"
        struct.pack_into("=Q", some.mapped(), PAGE, 16)
        struct.pack_into("=I", some.mapped(), 2 * PAGE, 100)
        assert why(lambda: some.drain(lambda _: 0)) == (
            "user space gave a record that is longer than what it produced"
        )

    def test_unknown_flags_are_refused(self) -> None:
        assert refused(lambda: user_ring().drain(lambda _: 0, 4)) == "EINVAL"
