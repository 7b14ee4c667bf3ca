"""Queues, stacks and bloom filters: values without keys."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import MapType
from tests.unit.vm.maps.made import made, n8, refused, why

KINDS = (MapType.QUEUE, MapType.STACK)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def each(request: pytest.FixtureRequest) -> Any:
    return made(request.param, key=0, entries=3)


def filled(kind: MapType) -> Any:
    """Return a map of 3 entries into which 1, 2, 3 were pushed."""
    some = made(kind, key=0, entries=3)
    for number in (1, 2, 3):
        some.push(n8(number))
    return some


def drained(some: Any) -> list[int]:
    """Return all values, in the order in which they are popped."""
    return [int.from_bytes(some.pop(), "little") for _ in range(len(some))]


def test_a_queue_gives_first_what_came_first() -> None:
    assert drained(filled(MapType.QUEUE)) == [1, 2, 3]


def test_a_stack_gives_first_what_came_last() -> None:
    assert drained(filled(MapType.STACK)) == [3, 2, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_map_takes_nothing_more(kind: MapType) -> None:
    full = filled(kind)
    assert refused(lambda: full.push(n8(4))) == "E2BIG"
    assert why(lambda: full.push(n8(4))) == "the map is full: it has 3 entries"


def test_exist_drops_the_oldest_of_a_full_queue() -> None:
    some = filled(MapType.QUEUE)
    some.push(n8(4), 2)
    assert drained(some) == [2, 3, 4]


def test_exist_drops_the_oldest_of_a_full_stack() -> None:
    some = filled(MapType.STACK)
    some.push(n8(4), 2)
    assert drained(some) == [4, 3, 2]


@pytest.mark.parametrize("flags", [1, 3, 4, 1 << 40])
def test_other_flags_are_refused(each: Any, flags: int) -> None:
    assert refused(lambda: each.push(n8(4), flags)) == "EINVAL"


def test_peeking_leaves_the_value(each: Any) -> None:
    each.push(n8(1))
    assert each.peek() == each.peek() == n8(1)


def test_an_empty_map_has_nothing(each: Any) -> None:
    assert refused(each.pop) == refused(each.peek) == "ENOENT"
    assert each.read(b"") is None
    assert each.take(b"") is None


def test_user_space_looks_up_to_peek_updates_to_push_and_takes_to_pop(each: Any) -> None:
    each.write(b"", n8(1))
    assert (each.read(b""), each.take(b""), each.read(b"")) == (n8(1), n8(1), None)


def test_there_are_no_keys(each: Any) -> None:
    assert refused(lambda: each.next_key(None)) == "EINVAL"
    assert refused(lambda: each.remove(b"")) == "EINVAL"
    assert why(lambda: each.read(b"1234")) == "the key has 4 bytes, expected 0"


@pytest.mark.parametrize("kind", [*KINDS, MapType.BLOOM_FILTER])
@pytest.mark.parametrize("shape", [(4, 8, 1), (0, 0, 1), (0, 8, 0)])
def test_what_has_a_key_or_nothing_else_is_refused(kind: MapType, shape: tuple[int, int, int]) -> None:
    assert refused(lambda: made(kind, *shape)) == "EINVAL"


@pytest.mark.parametrize("kind", [*KINDS, MapType.BLOOM_FILTER])
def test_values_have_at_most_4_mib(kind: MapType) -> None:
    assert refused(lambda: made(kind, 0, (4 << 20) + 1, 1)) == "E2BIG"


class TestBloomFilter:
    def some(self, extra: int = 0) -> Any:
        return made(MapType.BLOOM_FILTER, key=0, entries=100, extra=extra)

    def test_what_was_pushed_is_found(self) -> None:
        some = self.some()
        for number in range(100):
            some.push(n8(number))
        assert all(some.peek(n8(number)) == n8(number) for number in range(100))

    def test_what_was_not_pushed_is_seldom_found(self) -> None:
        some = self.some()
        for number in range(100):
            some.push(n8(number))
        found = [n for n in range(1000, 2000) if self.finds(some, n)]
        # 100 values of 5 bits in 1024 bits: 0.9 % by the filter's formula.
        assert len(found) < 40

    def finds(self, some: Any, number: int) -> bool:
        return refused_or_none(lambda: some.peek(n8(number))) is None

    def test_an_empty_filter_finds_nothing(self) -> None:
        assert refused(lambda: self.some().peek(n8(0))) == "ENOENT"

    def test_user_space_asks_for_the_value_of_zeros(self) -> None:
        some = self.some()
        assert some.read(b"") is None
        some.write(b"", n8(0))
        assert some.read(b"") == n8(0)

    @pytest.mark.parametrize("extra", [16, 1 << 33])
    def test_more_than_15_hashes_are_refused(self, extra: int) -> None:
        assert refused(lambda: self.some(extra)) == "EINVAL"

    def test_the_number_of_hashes_is_5_unless_it_is_given(self) -> None:
        assert (self.some().hashes, self.some(extra=9).hashes) == (5, 9)

    def test_nothing_can_be_removed_or_walked(self) -> None:
        some = self.some()
        assert refused(lambda: some.remove(b"")) == "EOPNOTSUPP"
        assert refused(some.pop) == "EOPNOTSUPP"
        assert refused(lambda: some.next_key(None)) == "EOPNOTSUPP"

    def test_a_push_has_no_flags(self) -> None:
        assert refused(lambda: self.some().push(n8(1), 2)) == "EINVAL"


def refused_or_none(action: Any) -> str | None:
    try:
        action()
    except Exception:
        return refused(action)
    return None
