"""Global variables of loaded objects, read and written while programs run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.errors import EbeeError, MapError
from ebee.loader import LoadedObject
from ebee.sessions.c import load
from tests.kernel.door import needs_root
from tests.kernel.place import FRAME
from tests.support.objects import spec_of

pytestmark = needs_root

_TEXT = """
    enum mood { SAD = -1, FINE, GLAD = 7 };
    struct point { int x; long y; char name[6]; };
    _Bool flag; char letter; unsigned char byte; short s; unsigned short us; int i = 5; unsigned int ui;
    long l; unsigned long ul; enum mood mood; char text[8] = "abc"; int row[3]; struct point point;
    const volatile int limit = 3; static int hidden = 1;
    SEC("xdp") int add(struct xdp_md *ctx) { i += limit; hidden++; point.y = i; return hidden; }
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT)) as obj:
        for variable in obj.variables.values():
            variable.read()  # each section is mapped into memory when it is first asked
        yield obj


@pytest.fixture
def obj() -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT)) as made:
        yield made


def _whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.booleans(),
    "letter": _whole(8, True),
    "byte": _whole(8, False),
    "s": _whole(16, True),
    "us": _whole(16, False),
    "i": _whole(32, True),
    "ui": _whole(32, False),
    "l": _whole(64, True),
    "ul": _whole(64, False),
    "mood": st.sampled_from([-1, 0, 7]),
    "text": st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=8),
    "row": st.lists(_whole(32, True), min_size=3, max_size=3),
    "point": st.fixed_dictionaries(
        {"x": _whole(32, True), "y": _whole(64, True), "name": st.text("abc", max_size=6)}
    ),
}


@pytest.mark.parametrize("name", list(_VALUES))
def test_what_is_written_is_read(shared: LoadedObject, name: str) -> None:
    """By each type, and the neighbours stay."""
    others = {other: shared.variables[other].value for other in _VALUES if other != name}

    @settings(max_examples=30, deadline=None)
    @given(_VALUES[name])
    def check(value: Any) -> None:
        shared.variables[name].value = value
        assert shared.variables[name].value == value

    check()
    assert {other: shared.variables[other].value for other in others} == others


def test_programs_and_python_see_the_same(obj: LoadedObject) -> None:
    """At once: they share the memory."""
    obj.variables["i"].value = 40
    obj.programs["add"].test_run(FRAME)
    assert (obj.variables["i"].value, obj.variables["point"].value.y) == (43, 43)


def test_static_variables_are_seen_too(obj: LoadedObject) -> None:
    """Though other objects do not see them."""
    obj.variables["hidden"].value = 10
    assert obj.programs["add"].test_run(FRAME).return_value == 11


def test_constants_are_set_before_loading_and_never_after() -> None:
    """The verifier reckons with their value."""
    with load(spec_of(_TEXT), variables={"limit": 100}) as obj:
        obj.programs["add"].test_run(FRAME)
        assert obj.variables["i"].value == 105
        with pytest.raises(MapError) as caught:
            obj.variables["limit"].value = 1
        assert str(caught.value) == (
            "variable limit: is const and lies in .rodata, which is frozen once loaded"
        )
        assert caught.value.hint == (
            "set it before loading: spec.variables[...].value, or load(..., variables={...})"
        )


@pytest.mark.parametrize(("name", "value"), [("byte", 256), ("row", [1, 2, 3, 4]), ("text", "123456789")])
def test_a_value_that_does_not_fit_changes_nothing(obj: LoadedObject, name: str, value: Any) -> None:
    """And is refused in words."""
    before = obj.variables[name].value
    with pytest.raises(EbeeError):
        obj.variables[name].value = value
    assert obj.variables[name].value == before


def test_data_sections_are_maps_too(obj: LoadedObject) -> None:
    """With one value: all variables of the section."""
    assert obj.maps[".data"][0].i == 5
    assert dict(obj.maps[".rodata"].items())[0].limit == 3
