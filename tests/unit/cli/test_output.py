"""Answers as JSON and text."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.cli.call import Answer, Settings
from ebee.cli.output import compact_json, pretty_json, show, write

_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(_values)
def test_json_means_what_went_in(value: object) -> None:
    """Whether it stands in one line or many."""
    assert json.loads(compact_json(value)) == value
    assert json.loads(pretty_json(value)) == value


def test_indented_json_is_laid_out_as_bpftool_does_it() -> None:
    """Members on lines of their own, list items side by side."""
    value = [{"id": 1, "map_ids": [2, 3], "none": []}, {"id": 2}]
    expected = """\
[{
        "id": 1,
        "map_ids": [2,3
        ],
        "none": []
    },{
        "id": 2
    }
]"""
    assert pretty_json(value) == expected


def test_json_in_one_line_has_no_spaces() -> None:
    """As bpftool prints it."""
    assert compact_json([{"a": 1, "b": None, "c": True}]) == '[{"a":1,"b":null,"c":true}]'


def test_a_file_name_that_is_not_utf_8_is_escaped() -> None:
    """JSON must be valid whatever the names of files are."""
    name = os.fsdecode(b"\xff.o")
    assert json.loads(compact_json({"pinned": name})) == {"pinned": name}
    assert compact_json(name).isascii()


def test_numbers_that_json_has_not_are_null() -> None:
    """An infinity would make the text invalid."""
    assert compact_json([float("inf"), float("nan")]) == "[null,null]"


def test_what_has_no_form_in_json_is_an_error() -> None:
    """Bytes must be given as numbers or text."""
    with pytest.raises(TypeError, match="bytes has no form in JSON"):
        compact_json({"data": b"x"})


def test_lines_for_people_are_made_only_when_they_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Under -j the text is never made."""

    def lines() -> list[str]:
        raise AssertionError

    show(Answer([], lines), Settings(json=True))
    show(Answer([], lambda: ["one", "two"]), Settings())
    show(Answer(None, list), Settings())
    assert capsys.readouterr().out == "[]\none\ntwo\n"


def test_text_that_the_terminal_cannot_show_is_escaped(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """A pin's name never ends a listing."""
    write("pinned " + os.fsdecode(b"\xff") + "\n")
    assert capsysbinary.readouterr().out == b"pinned \\udcff\n"
