"""Storage of objects of the kernel, and call chains."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ebee.abi.bpf import F_FAST_STACK_CMP, F_NO_PREALLOC, F_REUSE_STACKID, F_STACK_BUILD_ID, MapType
from ebee.vm.maps.storage import F_CREATE
from tests.unit.vm.maps.made import made, n4, n8, refused, value_at

KINDS = (MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE)
TASK = 0xFFFF_8881_0000_1000


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def each(request: pytest.FixtureRequest) -> Any:
    return made(request.param, 4, 8, 0, F_NO_PREALLOC)


class TestLocalStorage:
    def test_there_is_nothing_before_it_is_created(self, each: Any) -> None:
        assert each.get(TASK) == 0

    def test_a_created_value_is_zero_and_stays(self, each: Any) -> None:
        address = each.get(TASK, F_CREATE)
        assert value_at(each, address) == 0
        each.memory.store(address, 8, 7)
        assert value_at(each, each.get(TASK)) == 7
        assert each.get(TASK, F_CREATE, n8(9)) == address

    def test_a_created_value_begins_with_what_is_given(self, each: Any) -> None:
        assert value_at(each, each.get(TASK, F_CREATE, n8(9))) == 9

    def test_objects_have_values_of_their_own(self, each: Any) -> None:
        first, second = each.get(TASK, F_CREATE, n8(1)), each.get(TASK + 64, F_CREATE, n8(2))
        assert (value_at(each, first), value_at(each, second)) == (1, 2)
        assert each.owners() == [TASK, TASK + 64]

    def test_unknown_flags_and_null_give_nothing(self, each: Any) -> None:
        assert each.get(TASK, 2 | F_CREATE) == 0
        assert each.get(0, F_CREATE) == 0

    def test_a_value_is_removed_once(self, each: Any) -> None:
        each.get(TASK, F_CREATE)
        each.drop(TASK)
        assert each.get(TASK) == 0
        assert refused(lambda: each.drop(TASK)) == "ENOENT"

    def test_user_space_reads_and_writes_by_the_objects_number(self, each: Any) -> None:
        each.write(n8(TASK), n8(7))
        assert value_at(each, each.get(TASK)) == 7
        each.memory.store(each.get(TASK), 8, 8)
        assert each.read(n8(TASK)) == n8(8)
        each.remove(n8(TASK))
        assert each.read(n8(TASK)) is None

    def test_flags_say_what_must_be_there(self, each: Any) -> None:
        assert refused(lambda: each.write(n8(TASK), n8(7), 2)) == "ENOENT"
        each.write(n8(TASK), n8(7), 1)
        assert refused(lambda: each.write(n8(TASK), n8(7), 1)) == "EEXIST"

    def test_objects_are_not_walked(self, each: Any) -> None:
        assert refused(lambda: each.next_key(None)) == "ENOTSUPP"

    @pytest.mark.parametrize(
        ("shape", "said"),
        [
            ((4, 8, 0, 0), "EINVAL"),
            ((4, 8, 1, 1), "EINVAL"),
            ((8, 8, 0, 1), "EINVAL"),
            ((4, 0, 0, 1), "EINVAL"),
            ((4, 65408, 0, 1), "E2BIG"),
        ],
    )
    def test_other_shapes_are_refused(self, shape: tuple[int, int, int, int], said: str) -> None:
        assert refused(lambda: made(MapType.TASK_STORAGE, *shape)) == said

    def test_many_objects_have_room(self, each: Any) -> None:
        addresses = [each.get(TASK + number, F_CREATE, n8(number)) for number in range(1000)]
        assert [value_at(each, address) for address in addresses] == list(range(1000))


class TestCgroupStorage:
    def test_a_value_is_made_when_the_program_asks(self) -> None:
        some: Any = made(MapType.CGROUP_STORAGE, 16, 8, 0)
        some.memory.store(some.get(5, 2), 8, 7)
        assert some.read(n8(5) + n8(2)) == n8(7)
        assert some.read(n8(5) + n8(3)) is None

    def test_a_key_may_be_the_cgroup_alone(self) -> None:
        some: Any = made(MapType.CGROUP_STORAGE, 8, 8, 0)
        assert some.get(5, 2) == some.get(5, 3)
        assert list(some.keys()) == [n8(5)]

    def test_each_cpu_has_a_value(self) -> None:
        some: Any = made(MapType.PERCPU_CGROUP_STORAGE, 16, 8, 0)
        some.memory.store(some.get(5, 2, cpu=1), 8, 7)
        assert some.read(n8(5) + n8(2)) == n8(0) + n8(7)

    def test_user_space_writes_what_is_attached_and_removes_nothing(self) -> None:
        some: Any = made(MapType.CGROUP_STORAGE, 16, 8, 0)
        key = n8(5) + n8(2)
        assert refused(lambda: some.write(key, n8(1))) == "ENOENT"
        some.attach(5, 2)
        some.write(key, n8(1))
        assert value_at(some, some.get(5, 2)) == 1
        assert refused(lambda: some.write(key, n8(1), 1)) == "EINVAL"
        assert refused(lambda: some.remove(key)) == "EINVAL"

    def test_a_value_goes_with_what_was_attached(self) -> None:
        some: Any = made(MapType.CGROUP_STORAGE, 16, 8, 0)
        some.attach(5, 2)
        some.detach(5, 2)
        assert list(some.keys()) == []

    @pytest.mark.parametrize("shape", [(4, 8, 0), (16, 0, 0), (16, 8, 1)])
    def test_other_shapes_are_refused(self, shape: tuple[int, int, int]) -> None:
        assert refused(lambda: made(MapType.CGROUP_STORAGE, *shape)) == "EINVAL"


def chain(*frames: int) -> bytes:
    return struct.pack(f"<{len(frames)}Q", *frames)


class TestStackTraces:
    def some(self, entries: int = 16, value: int = 32) -> Any:
        return made(MapType.STACK_TRACE, 4, value, entries)

    def test_a_chain_is_read_by_its_id_padded_with_zeros(self) -> None:
        some = self.some()
        number = some.store(chain(1, 2, 3))
        assert some.read(n4(number)) == chain(1, 2, 3, 0)
        assert list(some.keys()) == [n4(number)]

    def test_the_same_chain_has_the_same_id(self) -> None:
        some = self.some()
        assert some.store(chain(1, 2)) == some.store(chain(1, 2))

    def test_a_chain_longer_than_values_is_cut(self) -> None:
        some = self.some(value=16)
        assert some.read(n4(some.store(chain(1, 2, 3)))) == chain(1, 2)

    def test_another_chain_of_the_same_id_is_refused_or_replaces_it(self) -> None:
        some = self.some(entries=1)
        some.store(chain(1))
        assert refused(lambda: some.store(chain(2))) == "EEXIST"
        assert refused(lambda: some.store(chain(2), F_FAST_STACK_CMP)) == "EEXIST"
        assert some.read(n4(some.store(chain(2), F_REUSE_STACKID))) == chain(2, 0, 0, 0)

    def test_ids_are_walked_in_order(self) -> None:
        some = self.some(entries=1024)
        numbers = sorted({some.store(chain(frame), F_REUSE_STACKID) for frame in range(20)})
        assert list(some.keys()) == [n4(number) for number in numbers]

    def test_a_chain_is_removed_or_taken(self) -> None:
        some = self.some()
        number = some.store(chain(1))
        some.remove(n4(number))
        assert refused(lambda: some.remove(n4(number))) == "ENOENT"
        assert refused(lambda: some.remove(n4(16))) == "E2BIG"
        assert some.take(n4(some.store(chain(1)))) == chain(1, 0, 0, 0)
        assert some.read(n4(number)) is None

    def test_user_space_adds_none(self) -> None:
        assert refused(lambda: self.some().write(n4(1), bytes(32))) == "EINVAL"

    @pytest.mark.parametrize(
        "shape", [(8, 8, 1, 0), (4, 4, 1, 0), (4, 12, 1, 0), (4, 1024, 1, 0), (4, 8, 1, F_STACK_BUILD_ID)]
    )
    def test_other_shapes_are_refused(self, shape: tuple[int, int, int, int]) -> None:
        assert refused(lambda: made(MapType.STACK_TRACE, *shape)) == "EINVAL"
