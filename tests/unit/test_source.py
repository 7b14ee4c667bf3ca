"""Places in text, and how they are shown."""

from __future__ import annotations

from ebee.source import Diagnostic, SourceText, Span


def test_a_diagnostic_shows_the_line_with_a_caret_below_the_place() -> None:
    """The caret stands under the column, as wide as the span."""
    shown = Diagnostic(
        "use of undeclared identifier 'countr'",
        span=Span("hello.bpf.c", 7, 5, 6),
        source_line="    countr++;",
        hint="did you mean 'counter'?",
    ).render()
    assert shown == (
        "error: hello.bpf.c:7:5: use of undeclared identifier 'countr'\n"
        "    7 |     countr++;\n"
        "      |     ^~~~~~\n"
        "hint: did you mean 'counter'?"
    )


def test_a_caret_stands_right_behind_tabs() -> None:
    """Tabs before the place are as wide above the caret as below it."""
    shown = Diagnostic("no", span=Span("a.c", 1, 3), source_line="\t\tx = 1;").render()
    line, caret = shown.splitlines()[1:]
    assert line.index("x") == caret.index("^")


def test_a_span_never_runs_past_its_line() -> None:
    """A length from elsewhere cannot draw beyond the text."""
    shown = Diagnostic("no", span=Span("a.c", 1, 1, 99), source_line="abc").render()
    assert shown.splitlines()[2] == "      | ^~~"


def test_lines_count_from_one_and_end_with_none() -> None:
    """Past the last line there is nothing, not an exception."""
    text = SourceText("a.c", "one\ntwo")
    assert [text.line(n) for n in (0, 1, 2, 3)] == [None, "one", "two", None]
