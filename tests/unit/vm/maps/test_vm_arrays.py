"""Arrays, of all CPUs and of each CPU."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import F_INNER_MAP, F_LOCK, F_MMAPABLE, F_RDONLY, F_RDONLY_PROG, F_WRONLY, MapType
from ebee.vm.arena import Arena
from ebee.vm.faults import AccessFault
from ebee.vm.maps.base import page_bytes
from ebee.vm.memory import Memory
from tests.unit.vm.maps.made import made, n4, n8, refused, value_at, why

ARRAYS = (MapType.ARRAY, MapType.PERCPU_ARRAY)


@pytest.fixture(params=ARRAYS, ids=lambda kind: kind.name)
def each(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def test_every_index_is_there_from_the_begin_and_zero(each: Any) -> None:
    assert [value_at(each, each.find(n4(place))) for place in range(4)] == [0, 0, 0, 0]


def test_an_index_past_the_end_is_not_found(each: Any) -> None:
    assert each.find(n4(4)) == 0
    assert each.read(n4(4)) is None


def test_an_update_past_the_end_says_how_long_the_array_is(each: Any) -> None:
    assert refused(lambda: each.update(n4(9), n8(1))) == "E2BIG"
    assert why(lambda: each.update(n4(9), n8(1))) == "index 9 of an array of 4"


def test_values_are_written_in_place(each: Any) -> None:
    address = each.find(n4(2))
    each.update(n4(2), n8(7))
    assert value_at(each, address) == 7


def test_noexist_is_refused_for_every_index(each: Any) -> None:
    assert refused(lambda: each.update(n4(1), n8(1), 1)) == "EEXIST"
    each.update(n4(1), n8(1), 2)


def test_unknown_flags_are_refused_before_the_index_is_looked_at(each: Any) -> None:
    assert refused(lambda: each.update(n4(9), n8(1), 3)) == "EINVAL"


def test_lock_is_for_values_that_have_one(each: Any) -> None:
    assert refused(lambda: each.update(n4(1), n8(1), F_LOCK)) == "EINVAL"
    made(MapType.ARRAY, lock=True).update(n4(1), n8(1), F_LOCK)


def test_nothing_can_be_removed(each: Any) -> None:
    assert refused(lambda: each.delete(n4(1))) == "EINVAL"
    assert refused(lambda: each.remove(n4(9))) == "EINVAL"


def test_nothing_can_be_taken(each: Any) -> None:
    assert refused(lambda: each.take(n4(1))) == "ENOTSUPP"


def test_keys_are_the_indices_in_order(each: Any) -> None:
    assert list(each.keys()) == [n4(place) for place in range(4)]


def test_an_index_past_the_end_starts_the_walk_again(each: Any) -> None:
    assert each.next_key(n4(4)) == n4(0)
    assert each.next_key(n4(3)) is None


def test_each_shows_every_index(each: Any) -> None:
    each.update(n4(3), n8(30), cpu=1)
    assert [(key, value_at(each, at)) for key, at in each.each(1)][2:] == [(n4(2), 0), (n4(3), 30)]


def test_each_cpu_has_its_own_value() -> None:
    some = made(MapType.PERCPU_ARRAY)
    some.update(n4(1), n8(7), cpu=1)
    assert some.read(n4(1)) == n8(0) + n8(7)
    some.write(n4(1), n8(3) + n8(4))
    assert [value_at(some, some.find(n4(1), cpu)) for cpu in (0, 1)] == [3, 4]


def test_an_element_is_index_and_cpu_times_entries() -> None:
    some: Any = made(MapType.PERCPU_ARRAY, entries=3)
    some.update(n4(2), n8(7), cpu=1)
    assert bytes(some.values.element(2 + 1 * 3)) == n8(7)


def test_values_that_are_no_multiple_of_8_lie_8_bytes_apart() -> None:
    some: Any = made(MapType.ARRAY, value=5)
    some.update(n4(1), b"abcde")
    assert bytes(some.values.data[8:13]) == b"abcde"
    with pytest.raises(AccessFault, match="5 bytes may be reached"):
        some.memory.load(some.find(n4(1)), 8)


def test_programs_do_not_write_what_they_may_only_read() -> None:
    some = made(MapType.ARRAY, flags=F_RDONLY_PROG)
    with pytest.raises(
        AccessFault, match="write of 8 bytes at map 'm', element 1 \\+ 0: it may not be written"
    ):
        some.memory.store(some.find(n4(1)), 8, 1)
    some.write(n4(1), n8(1))
    assert value_at(some, some.find(n4(1))) == 1


def test_user_space_does_not_write_what_it_may_only_read() -> None:
    some = made(MapType.ARRAY, flags=F_RDONLY)
    assert some.read(n4(1)) == n8(0)
    assert refused(lambda: some.write(n4(1), n8(1))) == "EPERM"
    assert refused(some.freeze) == "EPERM"


def test_user_space_does_not_read_what_it_may_only_write() -> None:
    some = made(MapType.ARRAY, flags=F_WRONLY)
    some.write(n4(1), n8(1))
    assert refused(lambda: some.read(n4(1))) == "EPERM"
    assert refused(lambda: some.next_key(None)) == "EPERM"


class TestMapped:
    def test_the_memory_is_that_of_the_values(self) -> None:
        some = made(MapType.ARRAY, flags=F_MMAPABLE)
        memory = some.mapped()
        memory[8:16] = n8(7)
        assert value_at(some, some.find(n4(1))) == 7
        some.update(n4(1), n8(9))
        assert bytes(memory[8:16]) == n8(9)

    @pytest.mark.parametrize(("value", "entries"), [(4, 1), (8, 4), (5000, 1), (4104, 3)])
    def test_it_is_whole_pages(self, value: int, entries: int) -> None:
        memory = made(MapType.ARRAY, value=value, entries=entries, flags=F_MMAPABLE).mapped()
        assert len(memory) % page_bytes() == 0
        assert 0 <= len(memory) - (value + 7 & ~7) * entries < page_bytes()

    def test_what_fills_the_last_page_is_no_value(self) -> None:
        some = made(MapType.ARRAY, flags=F_MMAPABLE)
        with pytest.raises(AccessFault, match="it has 4 elements"):
            some.memory.load(some.find(n4(3)) + (1 << 28), 8)

    def test_it_goes_when_the_map_does(self) -> None:
        memory = Memory(Arena())
        made(MapType.ARRAY, flags=F_MMAPABLE, memory=memory).close()
        assert memory.regions == {}

    def test_arrays_made_without_the_flag_have_none(self, each: Any) -> None:
        assert refused(made(MapType.ARRAY).mapped) == "EINVAL"


class TestMaking:
    @pytest.mark.parametrize("kind", ARRAYS)
    @pytest.mark.parametrize("shape", [(8, 8, 1), (4, 0, 1), (4, 8, 0)])
    def test_sizes_that_are_no_arrays_are_refused(self, kind: MapType, shape: tuple[int, int, int]) -> None:
        assert refused(lambda: made(kind, *shape)) == "EINVAL"

    @pytest.mark.parametrize("flags", [F_MMAPABLE, F_INNER_MAP])
    def test_some_flags_are_for_plain_arrays(self, flags: int) -> None:
        assert refused(lambda: made(MapType.PERCPU_ARRAY, flags=flags)) == "EINVAL"

    def test_a_per_cpu_value_stays_below_32_kib(self) -> None:
        assert refused(lambda: made(MapType.PERCPU_ARRAY, value=(32 << 10) + 1)) == "E2BIG"

    def test_a_value_too_large_for_addresses_is_refused_in_words(self) -> None:
        assert why(lambda: made(MapType.ARRAY, value=(128 << 20) + 1)) == "values of more than 128 MiB"

    def test_a_type_that_does_not_exist_is_refused(self) -> None:
        assert why(lambda: made(MapType.UNSPEC)) == "there is no map type 0"

    @pytest.mark.parametrize("kind", [MapType.ARENA, MapType.STRUCT_OPS, MapType.INSN_ARRAY, MapType.RHASH])
    def test_a_type_that_the_machine_lacks_is_refused_by_name(self, kind: MapType) -> None:
        assert refused(lambda: made(kind)) == "EOPNOTSUPP"
        assert why(lambda: made(kind)).startswith(f"the userspace machine has no maps of type {kind.name}: ")

    def test_map_extra_is_for_bloom_filters(self) -> None:
        assert refused(lambda: made(MapType.ARRAY, extra=1)) == "EINVAL"
