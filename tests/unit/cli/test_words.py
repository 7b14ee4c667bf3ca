"""Words and options of a command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.cli.words import Option, UsageError, Words, match, split_options

OPTIONS = (
    Option(("-j", "--json"), "", ""),
    Option(("-p", "--pretty"), "", ""),
    Option(("-o", "--output"), "OUT", ""),
    Option(("-D", "--define"), "NAME", "", many=True),
    Option(("--no-debug",), "", ""),
)


@pytest.mark.parametrize(
    ("line", "words", "values"),
    [
        ("show id 77", ["show", "id", "77"], {}),
        ("-j show", ["show"], {"json": True}),
        ("show -j", ["show"], {"json": True}),
        ("show -jp", ["show"], {"json": True, "pretty": True}),
        ("show --pretty id 7", ["show", "id", "7"], {"pretty": True}),
        ("x -o out", ["x"], {"output": "out"}),
        ("x -oout", ["x"], {"output": "out"}),
        ("x -jo out", ["x"], {"json": True, "output": "out"}),
        ("x --output=out", ["x"], {"output": "out"}),
        ("x --output out", ["x"], {"output": "out"}),
        ("x --out out", ["x"], {"output": "out"}),
        ("x -DA=1 -D B", ["x"], {"define": ["A=1", "B"]}),
        ("x --no-debug", ["x"], {"no_debug": True}),
        ("x -o -", ["x"], {"output": "-"}),
        ("x -", ["x", "-"], {}),
        ("x -- -j", ["x", "-j"], {}),
    ],
)
def test_options_stand_anywhere(line: str, words: list[str], values: dict[str, object]) -> None:
    """Before, between and after the words; letters together, values beside their option."""
    assert split_options(line.split(), OPTIONS) == (words, values)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("x --jsn", "option --jsn is not known here", "did you mean '--json'?"),
        ("x -q", "option -q is not known here", None),
        ("x -o", "option -o: expected OUT, found the end of the line", None),
        ("x --output", "option --output: expected OUT, found the end of the line", None),
        ("x --json=1", "option --json: found the value '1', expected none", None),
    ],
)
def test_a_wrong_option_is_named(line: str, message: str, hint: str | None) -> None:
    """The message says which option, and what was expected."""
    with pytest.raises(UsageError) as caught:
        split_options(line.split(), OPTIONS, ("x [-o OUT]",))
    assert (str(caught.value), caught.value.hint) == (message, hint)
    assert caught.value.usage == ("x [-o OUT]",)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("load", "load"),
        ("loadall", "loadall"),
        ("loada", "loadall"),
        ("loa", "load"),
        ("d", None),
        ("du", "dump"),
        ("x", None),
        ("", None),
    ],
)
def test_the_begin_of_a_word_is_enough(word: str, found: str | None) -> None:
    """Where it is the begin of one word only, or of words that all begin with one of them."""
    assert match(word, ["load", "loadall", "dump", "detach"]) == found


def test_words_are_taken_from_left_to_right() -> None:
    """As bpftool's grammar has them."""
    words = Words(["id", "77", "dev", "eth0", "0x10"])
    assert words.choice(("id", "pinned")) == "id"
    assert words.number("an id") == 77
    assert words.keyword("overwrite") is None
    assert words.keyword("dev") == "dev"
    assert words.take("a device") == "eth0"
    assert words.number("a number") == 16
    words.finish()


@pytest.mark.parametrize(
    ("line", "read", "message"),
    [
        ("", "take", "expected a path, found the end of the line"),
        ("abc", "number", "expected a path, found 'abc'"),
        ("4294967296", "number", "expected a path, found '4294967296'"),
        ("-1", "number", "expected a path, found '-1'"),
        ("abc", "finish", "expected the end of the line, found 'abc'"),
        ("nme", "choice", "expected one of id, name, found 'nme'"),
        ("", "choice", "expected one of id, name, found the end of the line"),
    ],
)
def test_a_wrong_word_is_shown_with_what_was_expected(line: str, read: str, message: str) -> None:
    """And with the command's usage."""
    words = Words(line.split(), ("prog show [PROG]",))
    reads: dict[str, Callable[[], object]] = {
        "take": lambda: words.take("a path"),
        "number": lambda: words.number("a path"),
        "choice": lambda: words.choice(("id", "name")),
        "finish": words.finish,
    }
    with pytest.raises(UsageError) as caught:
        reads[read]()
    assert str(caught.value) == message
    assert caught.value.usage == ("prog show [PROG]",)
    assert caught.value.exit_code == 2


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_line_gives_words_or_a_usage_error(line: list[str]) -> None:
    """Nothing else can come of it."""
    try:
        words, _ = split_options(line, OPTIONS)
    except UsageError:
        return
    assert all(word in line for word in words)
