"""Maps of programs, perf events, cgroups and maps."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import F_INNER_MAP, F_NO_PREALLOC, F_RDONLY_PROG, MapType
from ebee.vm.machine import map_address
from ebee.vm.maps import MapSetup
from ebee.vm.maps.descriptors import PerfBuffer
from tests.unit.vm.maps.made import made, n4, refused, why

DESCRIPTORS = (MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY, MapType.CGROUP_ARRAY)
INNER = MapSetup(MapType.ARRAY, "inner", 4, 8, 4)
OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)


def current_cpu() -> int:
    return (1 << 32) - 1


@pytest.mark.parametrize("kind", DESCRIPTORS)
class TestDescriptors:
    def test_values_are_descriptors_of_4_bytes(self, kind: MapType) -> None:
        assert refused(lambda: made(kind, value=8)) == "EINVAL"
        assert refused(lambda: made(kind, value=4, flags=F_RDONLY_PROG)) == "EINVAL"

    def test_an_index_is_set_and_emptied(self, kind: MapType) -> None:
        some: Any = made(kind, value=4)
        some.write(n4(1), n4(7))
        assert (some.entry(1), some.entry(2), some.entries()) == (7, None, [(1, 7)])
        some.remove(n4(1))
        assert refused(lambda: some.remove(n4(1))) == "ENOENT"

    def test_an_index_past_the_end_is_refused(self, kind: MapType) -> None:
        some = made(kind, value=4)
        assert refused(lambda: some.write(n4(4), n4(7))) == "E2BIG"
        assert refused(lambda: some.remove(n4(4))) == "E2BIG"

    @pytest.mark.parametrize("flags", [1, 2])
    def test_an_update_has_no_flags(self, kind: MapType, flags: int) -> None:
        assert refused(lambda: made(kind, value=4).write(n4(1), n4(7), flags)) == "EINVAL"

    def test_all_indices_are_walked(self, kind: MapType) -> None:
        assert list(made(kind, value=4).keys()) == [n4(place) for place in range(4)]


def test_the_program_under_an_index_is_told() -> None:
    some: Any = made(MapType.PROG_ARRAY, value=4)
    some.write(n4(1), n4(7))
    assert (some.program(1), some.program(0), some.find(n4(1))) == (7, 0, 7)
    assert (some.read(n4(1)), some.read(n4(0))) == (n4(7), None)


@pytest.mark.parametrize("kind", [MapType.PERF_EVENT_ARRAY, MapType.CGROUP_ARRAY])
def test_descriptors_of_others_are_not_told(kind: MapType) -> None:
    assert refused(lambda: made(kind, value=4).read(n4(1))) == "ENOTSUPP"


class TestPerfEvents:
    def some(self) -> Any:
        events = made(MapType.PERF_EVENT_ARRAY, value=4, entries=2)
        events.write(n4(0), n4(100))
        return events

    def test_a_record_goes_to_the_buffer_of_its_cpu(self) -> None:
        some = self.some()
        some.output(b"data", current_cpu(), 0)
        assert some.buffers[0].take() == [(0, b"data")]
        assert some.buffers[0].take() == []

    def test_an_index_without_event_is_refused(self) -> None:
        assert refused(lambda: self.some().output(b"data", current_cpu(), 1)) == "ENOENT"

    def test_an_index_past_the_end_is_refused(self) -> None:
        assert refused(lambda: self.some().output(b"data", 5, 0)) == "E2BIG"

    def test_an_event_of_another_cpu_is_refused(self) -> None:
        assert refused(lambda: self.some().output(b"data", 0, 1)) == "EOPNOTSUPP"

    def test_an_event_may_be_of_any_cpu_that_is_said(self) -> None:
        some = self.some()
        some.cpu_of[100] = 1
        some.output(b"data", 0, 1)
        assert some.buffers[0].take() == [(1, b"data")]

    def test_a_full_buffer_counts_what_is_lost(self) -> None:
        buffer = PerfBuffer(48)
        for _ in range(5):
            buffer.add(0, b"12345678")
        assert (len(buffer.records), buffer.lost) == (2, 3)
        buffer.take()
        buffer.add(0, b"12345678")
        assert len(buffer.records) == 1


@pytest.mark.parametrize("kind", OF_MAPS)
class TestMapsOfMaps:
    def some(self, kind: MapType, inner: MapSetup = INNER) -> Any:
        return made(kind, value=4, inner=inner)

    def test_programs_find_the_address_of_the_inner_map(self, kind: MapType) -> None:
        some = self.some(kind)
        some.write(n4(2), n4(5))
        assert some.find(n4(2)) == map_address(5)
        assert some.find(n4(1)) == 0
        assert (some.read(n4(2)), some.read(n4(1))) == (n4(5), None)
        assert some.references() == [5]

    def test_an_inner_map_is_taken_out(self, kind: MapType) -> None:
        some = self.some(kind)
        some.write(n4(2), n4(5))
        some.remove(n4(2))
        assert (some.find(n4(2)), some.references()) == (0, [])
        assert refused(lambda: some.remove(n4(2))) == "ENOENT"

    def test_programs_do_not_set_maps(self, kind: MapType) -> None:
        assert refused(lambda: self.some(kind).update(n4(1), n4(5))) == "EINVAL"

    def test_an_inner_map_like_the_first_is_accepted(self, kind: MapType) -> None:
        self.some(kind).accept(made(MapType.ARRAY))

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"kind": MapType.HASH}, "the inner map has the type HASH, expected ARRAY"),
            ({"kind": MapType.ARRAY, "value": 4}, "the inner map has values of 4 bytes, expected 8 bytes"),
            ({"kind": MapType.ARRAY, "entries": 5}, "the inner map has max_entries 5, expected 4"),
            ({"kind": MapType.ARRAY, "flags": 0x400}, "the inner map has the flags 0x400, expected 0x0"),
            ({"kind": MapType.ARRAY, "lock": True}, "the inner map has a spin lock: True, expected False"),
        ],
    )
    def test_an_inner_map_unlike_the_first_is_refused(
        self, kind: MapType, other: dict[str, Any], said: str
    ) -> None:
        some = self.some(kind)
        assert refused(lambda: some.accept(made(**other))) == "EINVAL"
        assert why(lambda: some.accept(made(**other))) == said

    def test_hashes_may_differ_in_entries(self, kind: MapType) -> None:
        self.some(kind, MapSetup(MapType.HASH, "inner", 4, 8, 4)).accept(made(MapType.HASH, entries=9))

    def test_arrays_may_differ_in_entries_where_that_was_asked_for(self, kind: MapType) -> None:
        some = self.some(kind, INNER._replace(flags=F_INNER_MAP))
        some.accept(made(MapType.ARRAY, entries=9, flags=F_INNER_MAP))

    def test_there_must_be_an_inner_map(self, kind: MapType) -> None:
        assert refused(lambda: made(kind, value=4)) == "EBADF"

    @pytest.mark.parametrize(
        ("inner", "said"), [(MapType.ARRAY_OF_MAPS, "EINVAL"), (MapType.PROG_ARRAY, "ENOTSUPP")]
    )
    def test_some_maps_are_never_inner(self, kind: MapType, inner: MapType, said: str) -> None:
        assert refused(lambda: self.some(kind, MapSetup(inner, "inner", 4, 4, 1))) == said

    def test_values_have_4_bytes(self, kind: MapType) -> None:
        assert refused(lambda: made(kind, value=8, inner=INNER)) == "EINVAL"


def test_a_hash_of_maps_knows_noexist_and_is_walked() -> None:
    some: Any = made(MapType.HASH_OF_MAPS, value=4, inner=INNER, flags=F_NO_PREALLOC)
    some.write(n4(2), n4(5))
    assert refused(lambda: some.write(n4(2), n4(6), 1)) == "EEXIST"
    some.write(n4(2), n4(6), 2)
    assert list(some.keys()) == [n4(2)]
    assert refused(lambda: some.take(n4(2))) == "ENOTSUPP"
    assert refused(lambda: next(some.each())) == "EINVAL"
