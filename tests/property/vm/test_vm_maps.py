"""Maps of the machine against what they mean in a few lines of Python, whatever is done with them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ebee.abi.bpf import F_NO_PREALLOC, MapType
from ebee.vm.arena import Arena
from ebee.vm.faults import Refusal
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.maps import hash as layout
from ebee.vm.maps.base import page_bytes
from ebee.vm.memory import Memory

T = TypeVar("T")

CPUS = 2
ENTRIES = 5
KEYS = st.integers(0, 8).map(lambda number: number.to_bytes(4, "little"))
VALUES = st.integers(0, 255).map(lambda number: bytes([number]) * 8)
FLAGS = st.sampled_from([0, 0, 0, 1, 2, 3])
PER_CPU = (MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH, MapType.PERCPU_ARRAY)
LRU = (MapType.LRU_HASH, MapType.LRU_PERCPU_HASH)


def made(kind: MapType, key: int = 4, value: int = 8, entries: int = ENTRIES, flags: int = 0) -> Any:
    """Return a new map."""
    setup = MapSetup(kind, "m", key, value, entries, flags)
    return make_map(setup, Memory(Arena()), cpus=CPUS, index=1)


def answer(action: Callable[[], T]) -> T | int:
    """Return what an action gives, or the errno that it is refused with."""
    try:
        return action()
    except Refusal as refusal:
        return refusal.errno


def refuse(number: int) -> None:
    """Refuse, as a model does."""
    raise Refusal(number)


class Hashes(RuleBasedStateMachine):
    """A hash of any type is a dict; an LRU one an ordered dict that forgets its first."""

    @initialize(kind=st.sampled_from([MapType.HASH, MapType.PERCPU_HASH, *LRU]))
    def begin(self, kind: MapType) -> None:
        self.map = made(kind)
        self.per_cpu, self.lru = kind in PER_CPU, kind in LRU
        # The values of all CPUs, the key used last at the end.
        self.model: dict[bytes, list[bytes]] = {}

    def use(self, key: bytes) -> None:
        self.model[key] = self.model.pop(key)

    def set(self, key: bytes, values: list[bytes], flags: int, cpu: int | None) -> None:
        if flags > 2:
            refuse(errno.EINVAL)
        if key in self.model:
            if flags == 1:
                refuse(errno.EEXIST)
            self.use(key)
        else:
            if flags == 2:
                refuse(errno.ENOENT)
            if len(self.model) == ENTRIES:
                if not self.lru:
                    refuse(errno.E2BIG)
                del self.model[next(iter(self.model))]
            self.model[key] = [bytes(8)] * len(values)
        if cpu is None:
            self.model[key] = values
        else:
            self.model[key] = [values[0] if n == cpu else v for n, v in enumerate(self.model[key])]

    @rule(key=KEYS, value=VALUES, flags=FLAGS, cpu=st.integers(0, CPUS - 1))
    def update(self, key: bytes, value: bytes, flags: int, cpu: int) -> None:
        values = [value] * (CPUS if self.per_cpu else 1)
        place = cpu if self.per_cpu else 0
        expected = answer(lambda: self.set(key, values, flags, place))
        assert answer(lambda: self.map.update(key, value, flags, cpu)) == expected

    @rule(key=KEYS, values=st.tuples(VALUES, VALUES), flags=FLAGS)
    def write(self, key: bytes, values: tuple[bytes, bytes], flags: int) -> None:
        given_values = list(values) if self.per_cpu else [values[0]]
        expected = answer(lambda: self.set(key, given_values, flags, None))
        assert answer(lambda: self.map.write(key, b"".join(given_values), flags)) == expected

    @rule(key=KEYS, cpu=st.integers(0, CPUS - 1))
    def find(self, key: bytes, cpu: int) -> None:
        address = self.map.find(key, cpu)
        assert bool(address) == (key in self.model)
        if address:
            self.use(key)
            assert self.map.memory.read(address, 8) == self.model[key][cpu if self.per_cpu else 0]

    @rule(key=KEYS)
    def read(self, key: bytes) -> None:
        expected = self.model.get(key)
        assert self.map.read(key) == (None if expected is None else b"".join(expected))

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        expected = None if self.model.pop(key, None) else errno.ENOENT
        assert answer(lambda: self.map.delete(key)) == expected

    @rule(key=KEYS)
    def take(self, key: bytes) -> None:
        expected = self.model.pop(key, None)
        assert self.map.take(key) == (None if expected is None else b"".join(expected))

    @rule(key=KEYS)
    def walk(self, key: bytes) -> None:
        keys = list(self.map.keys())
        assert sorted(keys) == sorted(self.model)
        following = dict(zip(keys, [*keys[1:], None], strict=False))
        assert self.map.next_key(key) == following.get(key, keys[0] if keys else None)

    @invariant()
    def the_table_holds_together(self) -> None:
        if hasattr(self, "map"):
            check_table(self.map, list(self.model) if self.lru else None)


def check_table(some: Any, order: list[bytes] | None) -> None:
    """Hold a table against the rules of its layout; `order` are the keys, the one used last at the end."""
    header = some._header.tolist()
    count, fresh, first, last = header[:4]
    used = [slot for bucket in range(some._mask + 1) for slot in chain(some, some._heads[bucket])]
    free = list(chain(some, first))
    assert len(some) == count == len(used)
    assert sorted(used + free) == list(range(fresh))
    assert (free[-1] + 1 if free else 0) == last
    assert fresh <= some.capacity
    for slot in used:
        assert some._records[slot * some._record_words + 1] == crc32(some._key(slot))
    if order is not None:
        by_age = list(chain(some, header[layout.OLDEST], word=2))
        assert [some._key(slot) for slot in by_age] == order
        assert list(chain(some, header[layout.NEWEST], word=3)) == by_age[::-1]


def chain(some: Any, link: int, word: int = 0) -> Iterator[int]:
    """Yield the slots that links lead through."""
    while link:
        yield link - 1
        link = some._records[(link - 1) * some._record_words + word]


def test_hash_maps_are_dicts() -> None:
    run_state_machine_as_test(
        Hashes, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


PREFIXES = st.tuples(st.integers(0, 9), st.integers(0, 255)).map(
    lambda parts: parts[0].to_bytes(4, "little") + bytes([parts[1]])
)


class Tries(RuleBasedStateMachine):
    """A trie of keys of one byte is a dict of prefixes."""

    def __init__(self) -> None:
        super().__init__()
        self.map = made(MapType.LPM_TRIE, 5, 8, ENTRIES, F_NO_PREALLOC)
        self.model: dict[str, tuple[bytes, bytes]] = {}

    def prefix(self, key: bytes) -> str | None:
        """Return a prefix as text of ones and zeros."""
        length = int.from_bytes(key[:4], "little")
        return None if length > 8 else f"{key[4]:08b}"[:length]

    def set(self, key: bytes, value: bytes, flags: int) -> None:
        prefix = self.prefix(key)
        if prefix is None or flags > 2:
            refuse(errno.EINVAL)
        assert prefix is not None
        if prefix in self.model and flags == 1:
            refuse(errno.EEXIST)
        if prefix not in self.model and flags == 2:
            refuse(errno.ENOENT)
        if prefix not in self.model and len(self.model) == ENTRIES:
            refuse(errno.ENOSPC)
        self.model[prefix] = key, value

    @rule(key=PREFIXES, value=VALUES, flags=FLAGS)
    def update(self, key: bytes, value: bytes, flags: int) -> None:
        expected = answer(lambda: self.set(key, value, flags))
        assert answer(lambda: self.map.update(key, value, flags)) == expected

    @rule(key=PREFIXES)
    def find(self, key: bytes) -> None:
        asked = self.prefix(key)
        covering = [] if asked is None else [p for p in self.model if asked.startswith(p)]
        address = self.map.find(key)
        assert bool(address) == bool(covering)
        if covering:
            assert (
                self.map.memory.read(address, 8)
                == self.model[max(covering, key=len)][1]
                == self.map.read(key)
            )

    @rule(key=PREFIXES)
    def delete(self, key: bytes) -> None:
        prefix = self.prefix(key)
        gone = self.model.pop(prefix, None) if prefix is not None else None
        expected = errno.EINVAL if prefix is None else None if gone else errno.ENOENT
        assert answer(lambda: self.map.delete(key)) == expected

    @rule(key=PREFIXES)
    def walk(self, key: bytes) -> None:
        # After all that it covers, and those with a 0 first: an end that sorts behind both digits.
        order = [self.model[prefix][0] for prefix in sorted(self.model, key=lambda p: p + "2")]
        assert list(self.map.keys()) == order
        prefix = self.prefix(key)
        if prefix in self.model:
            assert prefix is not None
            place = order.index(self.model[prefix][0]) + 1
            assert self.map.next_key(key) == (order[place] if place < len(order) else None)
        else:
            assert self.map.next_key(key) == (order[0] if order else None)


def test_tries_find_the_longest_prefix() -> None:
    run_state_machine_as_test(
        Tries, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


class Rings(RuleBasedStateMachine):
    """A ring gives its records in the order in which they were reserved, up to the first unfinished one."""

    def __init__(self) -> None:
        super().__init__()
        self.size = page_bytes()
        self.map = made(MapType.RINGBUF, 0, 0, self.size)
        # What was reserved: address where it is unfinished, and data; None for what is discarded.
        self.model: list[tuple[int, bytes | None]] = []
        self.used: list[int] = []
        self.number = 0

    def data(self, size: int) -> bytes:
        self.number += 1
        return (self.number.to_bytes(4, "little") * (size // 4 + 1))[:size]

    def fits(self, size: int) -> bool:
        room = 8 + (size + 7) // 8 * 8
        if sum(self.used) + room >= self.size:
            return False
        self.used.append(room)
        return True

    @rule(size=st.integers(0, 1500))
    def output(self, size: int) -> None:
        data = self.data(size)
        expected = None if self.fits(size) else errno.EAGAIN
        assert answer(lambda: self.map.output(data)) == expected
        if expected is None:
            self.model.append((0, data))

    @rule(size=st.integers(1, 1500))
    def reserve(self, size: int) -> None:
        address, fits = self.map.reserve(size), self.fits(size)
        assert bool(address) == fits
        if fits:
            self.model.append((address, bytes(size)))

    @precondition(lambda self: any(address for address, _ in self.model))
    @rule(choice=st.data(), discard=st.booleans())
    def finish(self, choice: st.DataObject, discard: bool) -> None:
        pending = [place for place, (address, _) in enumerate(self.model) if address]
        place = choice.draw(st.sampled_from(pending))
        address, empty = self.model[place]
        assert empty is not None
        data = self.data(len(empty))
        self.map.memory.write(address, data)
        self.map.submit(address, discard=discard)
        self.model[place] = 0, None if discard else data

    @rule()
    def read(self) -> None:
        finished = next((n for n, (address, _) in enumerate(self.model) if address), len(self.model))
        expected = [data for _, data in self.model[:finished] if data is not None]
        assert list(self.map.take_records()) == expected
        del self.model[:finished], self.used[:finished]

    @invariant()
    def the_data_are_there_twice(self) -> None:
        memory = self.map.mapped()
        begin = 2 * page_bytes()
        assert memory[begin : begin + self.size] == memory[begin + self.size :]


def test_ring_buffers_keep_the_order() -> None:
    run_state_machine_as_test(
        Rings, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@given(
    st.sampled_from([MapType.ARRAY, MapType.PERCPU_ARRAY]),
    st.lists(st.tuples(KEYS, VALUES, FLAGS, st.integers(0, CPUS - 1), st.booleans())),
)
def test_arrays_are_lists(kind: MapType, operations: list[tuple[bytes, bytes, int, int, bool]]) -> None:
    some, copies = made(kind), CPUS if kind in PER_CPU else 1
    model = [[bytes(8)] * copies for _ in range(ENTRIES)]
    for key, value, flags, cpu, is_user in operations:
        place = key[0]
        expected = (
            errno.EINVAL
            if flags > 2
            else errno.E2BIG
            if place >= ENTRIES
            else errno.EEXIST
            if flags == 1
            else None
        )
        if is_user:
            assert answer(lambda: some.write(key, value * copies, flags)) == expected  # noqa: B023
        else:
            assert answer(lambda: some.update(key, value, flags, cpu)) == expected  # noqa: B023
        if expected is None:
            model[place] = [
                value if is_user or copies == 1 or copy == cpu else old
                for copy, old in enumerate(model[place])
            ]
    assert [some.read(key) for key in some.keys()] == [b"".join(values) for values in model]  # noqa: SIM118


@given(
    st.sampled_from([MapType.QUEUE, MapType.STACK]),
    st.lists(st.one_of(st.tuples(VALUES, st.sampled_from([0, 0, 1, 2])), st.none())),
)
def test_queues_and_stacks_are_lists(kind: MapType, operations: list[tuple[bytes, int] | None]) -> None:
    some, model = made(kind, 0, 8, 3), list[bytes]()
    place = 0 if kind is MapType.QUEUE else -1
    for operation in operations:
        if operation is None:
            assert answer(some.peek) == (model[place] if model else errno.ENOENT)
            assert answer(some.pop) == (model.pop(place) if model else errno.ENOENT)
            continue
        value, flags = operation
        full = len(model) == 3
        expected = errno.EINVAL if flags == 1 else errno.E2BIG if full and not flags else None
        assert answer(lambda: some.push(value, flags)) == expected  # noqa: B023
        if expected is None:
            model = [*model[1 if full else 0 :], value]


@given(st.sets(st.binary(min_size=6, max_size=6), max_size=60), st.integers(0, 15))
def test_a_bloom_filter_forgets_nothing(values: set[bytes], hashes: int) -> None:
    setup = MapSetup(MapType.BLOOM_FILTER, "m", 0, 6, 20, 0, hashes)
    some = make_map(setup, Memory(Arena()), cpus=1, index=1)
    for value in values:
        some.push(value)
    assert all(some.peek(value) == value for value in values)
