"""Hash maps: of all CPUs, of each CPU, and those that forget what was used the longest ago."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest

from ebee.abi.bpf import F_LOCK, F_NO_COMMON_LRU, F_NO_PREALLOC, MapType
from ebee.vm.arena import Arena
from ebee.vm.faults import AccessFault
from ebee.vm.maps import VmMap
from ebee.vm.maps import hash as layout
from ebee.vm.memory import Memory
from tests.unit.vm.maps.made import made, n4, n8, refused, value_at, why

HASHES = (MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH)
PER_CPU = (MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH)


@pytest.fixture(params=HASHES, ids=lambda kind: kind.name)
def each(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def value(where: VmMap, number: int) -> bytes:
    """Return a value as user space gives it: the same for all CPUs."""
    return n8(number) * (where.user_value_bytes // 8)


class TestPrograms:
    def test_a_key_that_was_never_set_is_not_found(self, each: Any) -> None:
        assert each.find(n4(1)) == 0

    def test_a_value_is_found_where_it_was_written(self, each: Any) -> None:
        each.update(n4(1), n8(7))
        assert value_at(each, each.find(n4(1))) == 7

    def test_a_value_is_written_through_its_address(self, each: Any) -> None:
        each.update(n4(1), n8(7))
        each.memory.store(each.find(n4(1)), 8, 9)
        assert each.read(n4(1))[:8] == n8(9)

    def test_noexist_refuses_a_key_that_is_there(self, each: Any) -> None:
        each.update(n4(1), n8(7))
        assert refused(lambda: each.update(n4(1), n8(8), 1)) == "EEXIST"

    def test_exist_refuses_a_key_that_is_not_there(self, each: Any) -> None:
        assert refused(lambda: each.update(n4(1), n8(8), 2)) == "ENOENT"

    @pytest.mark.parametrize("flags", [3, 8, 1 << 40])
    def test_unknown_flags_are_refused(self, each: Any, flags: int) -> None:
        assert refused(lambda: each.update(n4(1), n8(8), flags)) == "EINVAL"

    def test_a_key_is_removed_once(self, each: Any) -> None:
        each.update(n4(1), n8(7))
        each.delete(n4(1))
        assert each.find(n4(1)) == 0
        assert refused(lambda: each.delete(n4(1))) == "ENOENT"

    def test_reading_past_a_value_says_which_map_it_is_of(self, each: Any) -> None:
        each.update(n4(1), n8(7))
        with pytest.raises(AccessFault, match="read of 8 bytes at map 'm', element 0 \\+ 4: 8 bytes may be"):
            each.memory.load(each.find(n4(1)) + 4, 8)

    def test_a_full_map_takes_no_new_key_and_says_how_many_it_has(self) -> None:
        full = made(MapType.HASH, entries=2)
        full.update(n4(1), n8(1))
        full.update(n4(2), n8(2))
        assert refused(lambda: full.update(n4(3), n8(3))) == "E2BIG"
        assert why(lambda: full.update(n4(3), n8(3))) == "the map is full: it has 2 entries"
        full.update(n4(2), n8(9))
        assert full.read(n4(2)) == n8(9)

    def test_a_pointer_to_a_removed_value_still_shows_it(self) -> None:
        few = made(MapType.HASH, entries=2)
        few.update(n4(1), n8(7))
        address = few.find(n4(1))
        few.delete(n4(1))
        few.update(n4(2), n8(8))
        assert value_at(few, address) == 7

    def test_a_pointer_from_before_an_update_shows_the_old_value(self) -> None:
        some = made(MapType.HASH)
        some.update(n4(1), n8(7))
        address = some.find(n4(1))
        some.update(n4(1), n8(8))
        assert (value_at(some, address), value_at(some, some.find(n4(1)))) == (7, 8)

    def test_an_update_with_lock_writes_in_place(self) -> None:
        some = made(MapType.HASH, lock=True)
        some.update(n4(1), n8(7))
        address = some.find(n4(1))
        some.update(n4(1), n8(8), F_LOCK)
        assert value_at(some, address) == 8

    def test_lock_is_refused_where_values_have_none(self, each: Any) -> None:
        assert refused(lambda: each.update(n4(1), n8(8), F_LOCK)) == "EINVAL"

    def test_each_shows_every_key_and_survives_its_removal(self, each: Any) -> None:
        for number in range(4):
            each.update(n4(number), n8(number * 10))
        seen = {}
        for key, address in each.each():
            seen[key] = value_at(each, address)
            each.delete(key)
        assert seen == {n4(number): number * 10 for number in range(4)}
        assert list(each.keys()) == []

    def test_each_shows_no_key_that_was_removed_meanwhile(self) -> None:
        some = made(MapType.HASH, entries=64, key=8)
        for number in range(64):
            some.update(n8(number * 1000), n8(number))
        left = {key for key, _ in some.each()}
        seen = []
        for key, _ in some.each():
            seen.append(key)
            left.discard(key)
            if left:
                some.delete(left.pop())
        assert len(seen) == len(set(seen)) == 32


class TestPerCpu:
    @pytest.mark.parametrize("kind", PER_CPU)
    def test_a_new_key_is_zero_for_other_cpus(self, kind: MapType) -> None:
        some = made(kind)
        some.update(n4(1), n8(7), cpu=1)
        assert [value_at(some, some.find(n4(1), cpu)) for cpu in (0, 1)] == [0, 7]

    @pytest.mark.parametrize("kind", PER_CPU)
    def test_a_slot_that_is_used_again_is_zero_for_other_cpus(self, kind: MapType) -> None:
        some = made(kind, entries=1)
        for number in range(5):
            some.write(n4(number), n8(9) * 2)
            some.remove(n4(number))
        some.update(n4(7), n8(7), cpu=0)
        assert some.read(n4(7)) == n8(7) + n8(0)

    @pytest.mark.parametrize("kind", PER_CPU)
    def test_an_update_changes_its_own_cpu_in_place(self, kind: MapType) -> None:
        some = made(kind)
        some.write(n4(1), n8(1) + n8(2))
        address = some.find(n4(1), 1)
        some.update(n4(1), n8(7), cpu=1)
        assert some.read(n4(1)) == n8(1) + n8(7)
        assert value_at(some, address) == 7

    @pytest.mark.parametrize("kind", PER_CPU)
    def test_user_space_sees_values_rounded_up_to_8_bytes(self, kind: MapType) -> None:
        some = made(kind, value=5, cpus=3)
        some.write(n4(1), b"aaaaa...bbbbb...ccccc...")
        assert some.read(n4(1)) == b"aaaaa\0\0\0bbbbb\0\0\0ccccc\0\0\0"

    @pytest.mark.parametrize("kind", PER_CPU)
    def test_a_value_of_one_cpu_is_refused(self, kind: MapType) -> None:
        assert why(lambda: made(kind).write(n4(1), n8(1))) == "the value has 8 bytes, expected 16"


class TestLru:
    def test_the_key_that_was_used_the_longest_ago_goes(self) -> None:
        some = made(MapType.LRU_HASH, entries=3)
        for number in (1, 2, 3):
            some.update(n4(number), n8(number))
        some.find(n4(1))
        some.update(n4(4), n8(4))
        assert sorted(some.keys()) == [n4(1), n4(3), n4(4)]

    def test_an_update_counts_as_use(self) -> None:
        some = made(MapType.LRU_HASH, entries=2)
        some.update(n4(1), n8(1))
        some.update(n4(2), n8(2))
        some.update(n4(1), n8(1))
        some.update(n4(3), n8(3))
        assert sorted(some.keys()) == [n4(1), n4(3)]

    def test_a_look_up_by_user_space_is_no_use(self) -> None:
        some = made(MapType.LRU_HASH, entries=2)
        some.update(n4(1), n8(1))
        some.update(n4(2), n8(2))
        some.read(n4(1))
        some.update(n4(3), n8(3))
        assert sorted(some.keys()) == [n4(2), n4(3)]

    def test_a_key_refused_by_its_flags_evicts_nothing(self) -> None:
        some = made(MapType.LRU_HASH, entries=1)
        some.update(n4(1), n8(1))
        assert refused(lambda: some.update(n4(2), n8(2), 2)) == "ENOENT"
        assert list(some.keys()) == [n4(1)]

    def test_lists_of_each_cpu_round_the_entries_to_the_cpus(self) -> None:
        assert made(MapType.LRU_HASH, entries=4, flags=F_NO_COMMON_LRU, cpus=3).setup.max_entries == 6


class TestUserSpace:
    def test_what_is_written_is_read_and_removed(self, each: Any) -> None:
        each.write(n4(1), value(each, 7))
        assert each.read(n4(1)) == value(each, 7)
        each.remove(n4(1))
        assert each.read(n4(1)) is None

    def test_taking_a_value_removes_it(self, each: Any) -> None:
        each.write(n4(1), value(each, 7))
        assert each.take(n4(1)) == value(each, 7)
        assert each.take(n4(1)) is None

    def test_keys_are_walked_to_the_end(self, each: Any) -> None:
        for number in range(4):
            each.write(n4(number), value(each, number))
        assert sorted(each.keys()) == [n4(number) for number in range(4)]

    def test_a_key_that_is_gone_starts_the_walk_again(self, each: Any) -> None:
        each.write(n4(1), value(each, 1))
        assert each.next_key(n4(99)) == each.next_key(None) == n4(1)

    def test_updating_while_walking_comes_to_an_end(self, each: Any) -> None:
        for number in range(4):
            each.write(n4(number), value(each, number))
        for key in each.keys():  # noqa: SIM118  # a map of the machine is no dict
            each.write(key, value(each, 5))
        assert each.read(n4(3)) == value(each, 5)

    def test_an_empty_map_has_no_first_key(self, each: Any) -> None:
        assert each.next_key(None) is None

    def test_sparse_tables_are_walked(self) -> None:
        large = made(MapType.HASH, entries=1 << 20, flags=F_NO_PREALLOC)
        for number in (1, 70_000, 3_000_000_000):
            large.write(n4(number), n8(number))
        assert sorted(large.keys()) == sorted(map(n4, (1, 70_000, 3_000_000_000)))

    def test_a_frozen_map_is_read_and_not_written(self, each: Any) -> None:
        each.write(n4(1), value(each, 7))
        each.freeze()
        assert each.read(n4(1)) == value(each, 7)
        assert refused(lambda: each.write(n4(1), value(each, 8))) == "EPERM"
        assert refused(lambda: each.remove(n4(1))) == "EPERM"
        each.update(n4(1), n8(8))

    def test_freezing_twice_is_refused(self, each: Any) -> None:
        each.freeze()
        assert refused(each.freeze) == "EBUSY"

    def test_a_key_of_another_length_is_refused(self, each: Any) -> None:
        assert why(lambda: each.read(b"abc")) == "the key has 3 bytes, expected 4"

    def test_a_look_up_knows_no_flags(self, each: Any) -> None:
        assert refused(lambda: each.read(n4(1), 1)) == "EINVAL"

    def test_a_hash_cannot_be_mapped_into_memory(self, each: Any) -> None:
        assert refused(each.mapped) == "ENOTSUPP"


class TestMaking:
    @pytest.mark.parametrize("kind", HASHES)
    @pytest.mark.parametrize("shape", [(0, 8, 1), (4, 0, 1), (4, 8, 0)])
    def test_nothing_may_be_zero(self, kind: MapType, shape: tuple[int, int, int]) -> None:
        assert refused(lambda: made(kind, *shape)) == "EINVAL"

    def test_an_element_stays_below_4_mib(self) -> None:
        assert refused(lambda: made(MapType.HASH, value=4 << 20)) == "E2BIG"

    def test_a_per_cpu_value_stays_below_32_kib(self) -> None:
        assert refused(lambda: made(MapType.PERCPU_HASH, value=(32 << 10) + 1)) == "E2BIG"

    def test_lru_maps_are_allocated_in_advance(self) -> None:
        assert refused(lambda: made(MapType.LRU_HASH, flags=F_NO_PREALLOC)) == "ENOTSUPP"

    def test_lists_of_each_cpu_are_for_lru_maps(self) -> None:
        assert refused(lambda: made(MapType.HASH, flags=F_NO_COMMON_LRU)) == "EINVAL"

    def test_more_values_than_addresses_are_refused_in_words(self) -> None:
        assert why(lambda: made(MapType.HASH, entries=1 << 24)) == (
            "16777218 values, and the userspace machine has room for 16777216 in a map"
        )

    def test_a_closed_map_gives_its_memory_back(self) -> None:
        memory = Memory(Arena())
        made(MapType.PERCPU_HASH, memory=memory).close()
        assert memory.regions == {}


class TestLayout:
    """What engines in another process rely on."""

    def words(self, some: Any) -> memoryview:
        whole: memoryview = some._table
        return whole[: len(whole) & ~3].cast("I")

    def test_the_header_says_where_everything_is(self) -> None:
        some: Any = made(MapType.LRU_PERCPU_HASH, key=5, entries=5, cpus=2)
        header = self.words(some)[:15].tolist()
        # count, fresh, free first and last, newest, oldest; capacity, mask, key, record, entries
        assert header[:11] == [0, 0, 0, 0, 0, 0, 7, 7, 5, 24, 5]
        # heads, records, lru, cpus
        assert header[11:] == [64, 96, 1, 2]

    def test_a_key_stands_in_the_bucket_of_its_crc32(self) -> None:
        some: Any = made(MapType.HASH, key=6, entries=8)
        some.update(b"abcdef", n8(1))
        words = self.words(some)
        link = words[layout.HEADER_BYTES // 4 + (crc32(b"abcdef") & 7)]
        record = words[12] // 4 + (link - 1) * words[9] // 4
        assert (words[record], words[record + 1]) == (0, crc32(b"abcdef"))
        assert bytes(some._table[record * 4 + 16 : record * 4 + 22]) == b"abcdef"

    def test_values_lie_by_slot_and_cpu(self) -> None:
        some: Any = made(MapType.PERCPU_HASH, entries=3, cpus=2)
        some.update(n4(1), n8(7), cpu=1)
        assert bytes(some.values.element(0 + 1 * some.capacity)) == n8(7)

    def test_slots_are_used_again_only_when_all_have_been(self) -> None:
        some: Any = made(MapType.HASH, entries=2, cpus=2)
        slots = []
        for number in range(6):
            some.update(n4(number), n8(number))
            slots.append(some.find(n4(number)) >> 28 & 0xFFFFFF)
            some.delete(n4(number))
        assert slots == [0, 1, 2, 3, 0, 1]
