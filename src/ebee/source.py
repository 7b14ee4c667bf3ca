"""Places in the user's text, and what there is to say about them."""

from __future__ import annotations

from ebee.record import NamedTuple


class SourceText:
    """A text with a name, cut into lines once.

    Args:
        path: what messages call it; a file's path, or `<text>`.
        text: all of it.
    """

    __slots__ = ("_lines", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._lines: list[str] | None = None

    def line(self, number: int) -> str | None:
        """Return line `number`, counted from 1, without its line end; None past the last."""
        if self._lines is None:
            # As compilers count: str.splitlines() would also cut at form feeds and their kin.
            text = self.text.replace("\r\n", "\n").replace("\r", "\n")
            self._lines = text.removesuffix("\n").split("\n") if text else []
        return self._lines[number - 1] if 1 <= number <= len(self._lines) else None


class Span(NamedTuple):
    """A place: columns count from 1; column 0 means that only the line is known."""

    path: str
    line: int
    column: int = 0
    length: int = 1

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}"
        return f"{place}:{self.column}" if self.column else place


class Diagnostic(NamedTuple):
    """A message, its place, the text that stands there, and what to do.

    Attributes:
        message: one sentence without a full stop.
        severity: `error`, `warning` or `note`.
        span: where; None where there is no place to name.
        source_line: the text of that line; None where it is not to be had.
        hint: what to do about it.
        notes: further places that belong to it.
    """

    message: str
    severity: str = "error"
    span: Span | None = None
    source_line: str | None = None
    hint: str | None = None
    notes: tuple[Diagnostic, ...] = ()

    def headline(self) -> str:
        """Return `path:line:column: message`, one line."""
        return self.message if self.span is None else f"{self.span}: {self.message}"

    def render(self) -> str:
        """Return the headline, the line with a caret below it, the notes and the hint."""
        lines = [f"{self.severity}: {self.headline()}"]
        if self.span is not None and self.source_line is not None:
            lines += _excerpt(self.source_line, self.span)
        lines += [note.render() for note in self.notes]
        if self.hint is not None:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _excerpt(source_line: str, span: Span) -> list[str]:
    """Return the numbered line and, where the column is known, a caret under it."""
    gutter = f"{span.line:>5} | "
    shown = source_line.expandtabs(4)
    lines = [gutter + shown.rstrip()]
    if span.column:
        # A tab before the caret is as wide as it is drawn, so measure the expanded prefix.
        before = len(source_line[: span.column - 1].expandtabs(4))
        room = max(1, len(shown.rstrip()) - before)
        mark = "^" + "~" * (min(span.length, room) - 1)
        lines.append(" " * (len(gutter) - 2) + "| " + " " * before + mark)
    return lines
