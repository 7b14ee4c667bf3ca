"""Answers as JSON and text."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.cli.call import Answer, Settings
from ebee.cli.output import json_text, show, write

_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(_values)
def test_json_means_what_went_in(value: object) -> None:
    """Whether it stands in one line or many."""
    assert json.loads(json_text(value)) == value
    assert json.loads(json_text(value, pretty=True)) == value


def test_json_in_one_line_has_no_spaces() -> None:
    """As bpftool prints it."""
    assert json_text([{"a": 1, "b": None, "c": True}]) == '[{"a":1,"b":null,"c":true}]'


def test_a_file_name_that_is_not_utf_8_is_escaped() -> None:
    """JSON must be valid whatever the names of files are."""
    name = os.fsdecode(b"\xff.o")
    assert json.loads(json_text({"pinned": name})) == {"pinned": name}
    assert json_text(name).isascii()


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
