"""Records: what typing.NamedTuple promises, and messages for what is given wrongly."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.record import NamedTuple, Record


class Own(NamedTuple):
    """A record of ours."""

    name: str
    size_bytes: int = 4
    flags: tuple[int, ...] = ()

    @property
    def size_bits(self) -> int:
        return 8 * self.size_bytes


class Standard(typing.NamedTuple):
    """The same, of the standard library."""

    name: str
    size_bytes: int = 4
    flags: tuple[int, ...] = ()


class Shape(Record):
    """A mutable record."""

    name: str
    members: list[str] = []


@given(
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from(["name", "size_bytes", "flags", "no"]), st.integers()),
)
def test_a_record_takes_what_the_standard_librarys_takes(args: list[int], kwargs: dict[str, int]) -> None:
    """By place, by name, with defaults; and refuses what that refuses."""
    own, standard = typing.cast("typing.Any", Own), typing.cast("typing.Any", Standard)
    try:
        expected = standard(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError, match="Own"):
            own(*args, **kwargs)
    else:
        assert tuple(own(*args, **kwargs)) == tuple(expected)


def test_a_record_is_a_tuple_with_names() -> None:
    """It unpacks, compares, hashes, matches by place and keeps its methods."""
    record = Own("counter", 8)
    name, size_bytes, flags = record
    assert (name, size_bytes, flags) == ("counter", 8, ())
    assert tuple(record) == record
    assert (record.size_bits, hash(record), len(record)) == (64, hash(("counter", 8, ())), 3)
    match record:
        case Own(found, 8):
            assert found == "counter"
        case _:
            pytest.fail("no match by place")
    assert repr(record) == "Own(name='counter', size_bytes=8, flags=())"


def test_a_record_is_changed_by_copying() -> None:
    """Its fields cannot be set, others cannot be added."""
    record = Own("counter")
    assert record._replace(size_bytes=1) == Own("counter", 1)
    assert record._asdict() == {"name": "counter", "size_bytes": 4, "flags": ()}
    with pytest.raises(AttributeError):
        record.name = "other"  # type: ignore[misc]  # what is tested
    with pytest.raises(AttributeError):
        record.other = 1  # type: ignore[attr-defined]  # what is tested
    with pytest.raises(TypeError, match=r"^Own has no other$"):
        record._replace(other=1)  # type: ignore[call-arg]  # what is tested


def test_a_record_survives_pickling_and_copying() -> None:
    """The same class, the same fields."""
    record = Own("counter", 8, (1, 2))
    for twin in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
        assert type(twin) is Own
        assert twin == record


def test_what_is_missing_is_named() -> None:
    """Of both kinds of records."""
    with pytest.raises(TypeError, match=r"^Own: no name is given$"):
        Own(size_bytes=1)  # type: ignore[call-arg]  # what is tested
    with pytest.raises(TypeError, match=r"^Own: takes name, size_bytes, flags$"):
        Own("a", other=1)  # type: ignore[call-arg]  # what is tested
    with pytest.raises(TypeError, match=r"^Shape: no name is given$"):
        Shape()  # type: ignore[call-arg]  # what is tested


def test_a_class_whose_fields_cannot_be_seen_is_refused() -> None:
    """A record without fields is a module that forgot to postpone its annotations."""
    with pytest.raises(
        TypeError, match=r"^Empty: no annotated attributes, or annotations that are not postponed$"
    ):
        typing.cast("typing.Any", type(Own))("Empty", (NamedTuple,), {})


def test_an_empty_list_is_each_records_own() -> None:
    """A default is no memory shared between records."""
    first, second = Shape("a"), Shape("b")
    first.members.append("x")
    assert second.members == []
    assert first.replaced(name="c") == Shape("c", ["x"])
