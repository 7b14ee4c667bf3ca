"""How errors and notices look."""

from __future__ import annotations

import io

import pytest

from ebee.cli.failures import complain, has_colour, show_notice, usage_lines


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_words_in_front_have_a_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own text never has."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    complain("error: x: y\n   3 | a: b\nhint: do it")
    assert terminal.getvalue() == (
        "\x1b[1;31merror:\x1b[0m x: y\n   3 | a: b\n\x1b[1;32mhint:\x1b[0m do it\n"
    )


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By NO_COLOR, or a terminal that has none."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, value)
    assert not has_colour(Terminal())


def test_a_pipe_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs stay readable."""
    complain("error: x")
    assert capsys.readouterr().err == "error: x\n"


def test_what_the_compiler_warns_of_is_no_note(capsys: pytest.CaptureFixture[str]) -> None:
    """It says itself that it is a warning."""
    show_notice("warning: a.c:1: unused variable 'x'")
    show_notice("eth0 is down")
    assert capsys.readouterr().err == "warning: a.c:1: unused variable 'x'\nnote: eth0 is down\n"


def test_further_forms_stand_below_the_first() -> None:
    """As in bpftool's help."""
    assert usage_lines(("a", "b")) == ["usage: ebee a", "       ebee b"]
