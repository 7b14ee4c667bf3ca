"""Maps on the running kernel: they do what a dict does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.errors import EbeeError, MapError
from ebee.maps import Map
from ebee.sessions.c import load
from tests.kernel.door import needs_root
from tests.support.objects import spec_of

pytestmark = needs_root

_MAPS = """
    struct key { int a; char name[4]; };
    struct value { long sum; short parts[3]; };
    #define MAP(kind, k, v, n, name) \\
        struct { __uint(type, BPF_MAP_TYPE_##kind); __uint(max_entries, n); \\
                 __type(key, k); __type(value, v); } name SEC(".maps")
    MAP(HASH, struct key, struct value, 16, structs);
    MAP(HASH, int, long, 8, numbers);
    MAP(ARRAY, int, short, 5, slots);
    MAP(PERCPU_ARRAY, int, int, 2, per_cpu);
    MAP(PERCPU_HASH, int, char, 2, per_cpu_hash);
    MAP(LRU_HASH, int, int, 1024, recent);
    struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 2); __type(value, int); }
        queue SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1); } ring SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); } jumps SEC(".maps");
"""


@pytest.fixture
def maps() -> Iterator[dict[str, Map]]:
    with load(spec_of(_MAPS)) as obj:
        yield obj.maps


def test_structs_are_keys_and_values(maps: dict[str, Map]) -> None:
    """By their members' names."""
    structs = maps["structs"]
    structs[{"a": 1, "name": "x"}] = {"sum": -5, "parts": [1, 2, 3]}
    ((key, value),) = structs.items()
    assert (key.a, key.name, value.sum, value.parts) == (1, "x", -5, [1, 2, 3])
    assert dict(structs) == {key: value}
    assert structs.pop(key) == value
    assert len(structs) == 0


def test_an_array_has_all_its_slots_always(maps: dict[str, Map]) -> None:
    """They begin with zero and cannot be removed."""
    slots = maps["slots"]
    slots[3] = -7
    assert dict(slots.items()) == {0: 0, 1: 0, 2: 0, 3: -7, 4: 0}
    assert len(slots) == 5
    with pytest.raises(MapError):
        del slots[3]
    with pytest.raises(MapError) as caught:
        slots[5] = 1
    assert str(caught.value) == (
        "store a value of map slots: the key or index is beyond max_entries, or the map is full (E2BIG)"
    )


def test_per_cpu_maps_have_a_list_of_values(maps: dict[str, Map]) -> None:
    """One for each CPU that there can be."""
    for each in (maps["per_cpu"], maps["per_cpu_hash"]):
        count = each.value_room_bytes // 8
        each[1] = list(range(count))
        assert each[1] == list(range(count))


def test_maps_without_keys_say_that_they_have_none(maps: dict[str, Map]) -> None:
    """An error of ebee's, not of Python's."""
    for name in ("queue", "ring"):
        with pytest.raises(EbeeError):
            list(maps[name].items())


def test_empty_slots_of_a_program_array_have_no_value(maps: dict[str, Map]) -> None:
    """So there are no items."""
    assert dict(maps["jumps"].items()) == {}


def test_info_tells_what_the_kernel_has(maps: dict[str, Map]) -> None:
    """Sizes rounded where it rounds."""
    info = maps["structs"].info()
    assert (info.name, info.key_size_bytes, info.value_size_bytes, info.max_entries) == ("structs", 8, 16, 16)
    assert maps["ring"].info().max_entries >= 4096


_KEYS = st.integers(-3, 8)
_STEP = st.one_of(
    st.tuples(st.just("set"), _KEYS, st.integers(-(1 << 63), (1 << 63) - 1)),
    st.tuples(st.sampled_from(["delete", "get", "contains", "pop", "setdefault"]), _KEYS, st.just(0)),
    st.tuples(st.sampled_from(["clear", "len", "items"]), st.just(0), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=40))
def test_a_hash_does_what_a_dict_does(steps: list[tuple[str, int, int]]) -> None:
    """But for its size: it takes no more than max_entries."""
    numbers = _hash()
    numbers.clear()
    model: dict[int, int] = {}
    for name, key, value in steps:
        if name in ("set", "setdefault") and key not in model and len(model) == numbers.spec.max_entries:
            with pytest.raises(MapError):
                numbers[key] = value
            continue
        assert _do(numbers, name, key, value) == _do(model, name, key, value)
    assert dict(numbers) == model


_kept: list[Any] = []


def _hash() -> Map:
    """Return one hash for all examples; it is closed with its module."""
    if not _kept:
        _kept.append(load(spec_of(_MAPS)))
    found: Map = _kept[0].maps["numbers"]
    return found


@pytest.fixture(scope="module", autouse=True)
def _close_kept() -> Iterator[None]:
    yield
    while _kept:
        _kept.pop().close()


@pytest.fixture(scope="module", autouse=True)
def _open_kept(_close_kept: None) -> None:
    """Open it before descriptors are counted."""
    _hash()


def _do(target: Any, name: str, key: int, value: int) -> Any:
    """Do one thing to a map or to its model, and return what comes out."""
    actions = {
        "set": lambda: target.__setitem__(key, value),
        "delete": lambda: target.__delitem__(key),
        "get": lambda: target.get(key),
        "contains": lambda: key in target,
        "pop": lambda: target.pop(key, None),
        "setdefault": lambda: target.setdefault(key, value),
        "clear": target.clear,
        "len": lambda: len(target),
        "items": lambda: sorted(target.items()),
    }
    try:
        return actions[name]()
    except KeyError as error:
        return repr(error)
