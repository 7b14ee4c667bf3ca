"""Longest prefix match."""

from __future__ import annotations

import pytest

from ebee.abi.bpf import F_NO_PREALLOC, MapType
from ebee.vm.maps import VmMap
from tests.unit.vm.maps.made import made, n4, n8, refused, value_at, why


def trie(entries: int = 16, key: int = 8) -> VmMap:
    return made(MapType.LPM_TRIE, key, 8, entries, F_NO_PREALLOC)


def prefix(length: int, *parts: int) -> bytes:
    """Return a key: `prefix(8, 10, 0, 0, 0)` is 10.0.0.0/8."""
    return n4(length) + bytes(parts)


TEN = prefix(8, 10, 0, 0, 0)
TEN_ONE = prefix(16, 10, 1, 0, 0)


def test_the_longest_prefix_is_found() -> None:
    some = trie()
    some.update(TEN, n8(8))
    some.update(TEN_ONE, n8(16))
    assert value_at(some, some.find(prefix(32, 10, 1, 2, 3))) == 16
    assert value_at(some, some.find(prefix(32, 10, 2, 2, 3))) == 8
    assert some.find(prefix(32, 11, 1, 2, 3)) == 0


def test_a_prefix_longer_than_the_key_asked_for_does_not_cover_it() -> None:
    some = trie()
    some.update(TEN_ONE, n8(16))
    assert some.find(prefix(8, 10, 1, 0, 0)) == 0


def test_a_prefix_of_no_bits_covers_everything() -> None:
    some = trie()
    some.update(prefix(0, 1, 2, 3, 4), n8(7))
    assert value_at(some, some.find(prefix(32, 200, 1, 2, 3))) == 7


def test_bits_past_the_prefix_do_not_count() -> None:
    some = trie()
    some.update(prefix(8, 10, 9, 9, 9), n8(7))
    some.update(TEN, n8(8), 2)
    assert list(some.keys()) == [TEN]


def test_a_key_is_given_back_as_it_was_set() -> None:
    some = trie()
    some.update(prefix(8, 10, 9, 9, 9), n8(7))
    assert list(some.keys()) == [prefix(8, 10, 9, 9, 9)]


def test_a_prefix_of_more_bits_than_keys_have_is_refused() -> None:
    some = trie()
    assert refused(lambda: some.update(prefix(33, 1, 2, 3, 4), n8(7))) == "EINVAL"
    assert why(lambda: some.delete(prefix(33, 1, 2, 3, 4))) == "a prefix has at most 32 bits"
    assert some.find(prefix(33, 1, 2, 3, 4)) == 0


def test_flags_say_what_must_be_there() -> None:
    some = trie()
    assert refused(lambda: some.update(TEN, n8(1), 2)) == "ENOENT"
    some.update(TEN, n8(1), 1)
    assert refused(lambda: some.update(TEN, n8(1), 1)) == "EEXIST"
    assert refused(lambda: some.update(TEN, n8(1), 3)) == "EINVAL"


def test_a_full_trie_refuses_with_enospc() -> None:
    some = trie(entries=1)
    some.update(TEN, n8(1))
    assert refused(lambda: some.update(TEN_ONE, n8(1))) == "ENOSPC"
    some.update(TEN, n8(2))
    assert some.read(TEN) == n8(2)


def test_only_the_very_prefix_is_removed() -> None:
    some = trie()
    some.update(TEN, n8(8))
    assert refused(lambda: some.delete(TEN_ONE)) == "ENOENT"
    some.delete(TEN)
    assert some.find(prefix(32, 10, 0, 0, 1)) == 0


def test_prefixes_are_walked_from_the_most_specific() -> None:
    some = trie()
    keys = [prefix(25, 10, 0, 0, 128), prefix(24, 10, 0, 0, 0), TEN_ONE, TEN, prefix(0, 0, 0, 0, 0)]
    for key in reversed(keys):
        some.update(key, n8(0))
    assert list(some.keys()) == keys


def test_walking_goes_on_while_prefixes_come_and_go() -> None:
    some = trie()
    for key in (TEN, TEN_ONE):
        some.update(key, n8(0))
    assert some.next_key(None) == TEN_ONE
    some.update(prefix(24, 10, 1, 1, 0), n8(0))
    some.delete(TEN)
    assert list(some.keys()) == [prefix(24, 10, 1, 1, 0), TEN_ONE]


def test_a_prefix_that_is_not_there_starts_the_walk_again() -> None:
    some = trie()
    some.update(TEN, n8(0))
    assert some.next_key(TEN_ONE) == TEN


def test_a_pointer_from_before_an_update_shows_the_old_value() -> None:
    some = trie()
    some.update(TEN, n8(1))
    address = some.find(TEN)
    some.update(TEN, n8(2))
    assert (value_at(some, address), value_at(some, some.find(TEN))) == (1, 2)


def test_pointers_stay_while_the_trie_grows() -> None:
    some = trie(entries=1000)
    some.update(TEN, n8(7))
    address = some.find(TEN)
    for number in range(500):
        some.update(prefix(32, 11, 0, number >> 8, number & 255), n8(number))
    assert value_at(some, address) == 7
    assert some.read(prefix(32, 11, 0, 1, 44)) == n8(300)


@pytest.mark.parametrize(
    ("key", "value", "entries", "flags"),
    [(8, 8, 4, 0), (4, 8, 4, 1), (261, 8, 4, 1), (8, 0, 4, 1), (8, 8, 0, 1), (8, 4 << 20, 4, 1)],
)
def test_what_is_no_trie_is_refused(key: int, value: int, entries: int, flags: int) -> None:
    assert refused(lambda: made(MapType.LPM_TRIE, key, value, entries, flags)) == "EINVAL"
