"""clang's messages as Diagnostics, and as the error that fits the first of them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence

from ebee.clang.hints import Advice, Context, advise
from ebee.clang.toolchain import OWN_INCLUDE
from ebee.errors import (
    ParseError,
    SourceError,
    TypeMismatchError,
    UnknownNameError,
    UnsupportedConstructError,
)
from ebee.source import Diagnostic, SourceText, Span

# What clang calls a text that it reads from its standard input.
STDIN_NAME = "<stdin>"

# `path:line:column:{line:column-line:column}…: severity: message`, as clang writes it with
# -fno-caret-diagnostics -fdiagnostics-print-source-range-info. Numbers of more than nine digits
# are no line numbers.
_PLACED = re.compile(
    r"(?P<path>.+?):(?P<line>\d{1,9}):(?:(?P<column>\d{1,9}):)?(?P<ranges>(?:\{[\d:-]+\})*):? ?"
    r"(?P<severity>fatal error|error|warning|note|remark): (?P<message>.*)"
)
_PLACELESS = re.compile(
    r"(?:(?:zig|clang)[\w.+-]*: )?(?P<severity>fatal error|error|warning|note|remark): (?P<message>.*)"
)
_INCLUDED = re.compile(r"In file included from (?P<path>.+):(?P<line>\d{1,9}):")
_RANGE = re.compile(r"\{(\d{1,9}):(\d{1,9})-(\d{1,9}):(\d{1,9})\}")
_WORD = re.compile(r"\w+")

# Notes that speak of clang's own doings, or of a C library that BPF does not have.
_IDLE_NOTES = (
    "could not determine the original source location",
    "diagnostic msg:",
    "include the header <",
    "(skipping ",
)
# Placeless errors that only repeat that there were errors.
_IDLE_ERRORS = ("clang frontend command failed", "too many errors emitted")

_LONGEST_HEADER_BYTES = 8 << 20

_ERRORS: dict[str, type[SourceError]] = {
    "parse": ParseError,
    "name": UnknownNameError,
    "type": TypeMismatchError,
    "construct": UnsupportedConstructError,
}


def parse_messages(text: str, source: SourceText, *, folders: Sequence[str] = ()) -> tuple[Diagnostic, ...]:
    """Return the errors and warnings in clang's output, in its order; any text is taken.

    Args:
        text: standard error of a run with `MESSAGE_FLAGS`.
        source: the text that was compiled; clang may call it `<stdin>`.
        folders: where headers are searched, for hints about those not found.
    """
    return tuple(diagnostic for diagnostic, _ in _advised(text, source, folders))


def source_error(text: str, source: SourceText, *, folders: Sequence[str] = ()) -> SourceError | None:
    """Return the error for clang's output, or None where it complains about no text of the user's."""
    found = _advised(text, source, folders)
    errors = [(diagnostic, advice) for diagnostic, advice in found if diagnostic.severity == "error"]
    # A complaint with a place says more than clang's closing words; it leads.
    errors.sort(key=lambda pair: pair[0].span is None)
    if not errors or (errors[0][0].span is None and errors[0][1].kind != "construct"):
        return None
    first, advice = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _ERRORS[advice.kind](
        first.headline() + more,
        diagnostics=[diagnostic for diagnostic, _ in found],
        hint=first.hint,
    )


def _advised(text: str, source: SourceText, folders: Sequence[str]) -> list[tuple[Diagnostic, Advice]]:
    """Return each distinct complaint in plain words, with its hint."""
    texts = _texts(source)
    found: dict[object, tuple[Diagnostic, Advice]] = {}
    hints: set[str] = set()
    for diagnostic in _grouped(_records(text, source, texts)):
        context = Context(source, diagnostic.source_line or "", tuple(folders), texts)
        advice = advise(diagnostic.message, context)
        # The backend says the same once for each place it looked at; once is enough.
        topic = advice.once or (advice.message, diagnostic.span)
        if topic in found:
            continue
        hint = None if advice.hint in hints else advice.hint
        found[topic] = (diagnostic._replace(message=advice.message, hint=hint), advice)
        if hint is not None:
            hints.add(hint)
    return list(found.values())


def _records(
    text: str, source: SourceText, texts: Callable[[str], SourceText | None]
) -> Iterator[Diagnostic]:
    """Yield each message by itself; those of an inclusion become notes."""
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if match := _INCLUDED.fullmatch(line):
            span = Span(_name(match["path"], source), int(match["line"]))
            yield _with_line(Diagnostic("included from here", "include", span), texts)
        elif match := _PLACED.fullmatch(line):
            yield _placed(match, source, texts)
        elif match := _PLACELESS.fullmatch(line):
            yield Diagnostic(match["message"] or "no message", _severity(match["severity"]))


def _grouped(records: Iterator[Diagnostic]) -> list[Diagnostic]:
    """Return errors and warnings with their notes, and the includes that led to them."""
    grouped: list[Diagnostic] = []
    includes: list[Diagnostic] = []
    for record in records:
        if record.severity == "include":
            includes.append(record._replace(severity="note"))
        elif record.severity == "note":
            if grouped and not _is_idle(record):
                grouped[-1] = grouped[-1]._replace(notes=(*grouped[-1].notes, record))
        elif not record.message.startswith(_IDLE_ERRORS):
            grouped.append(record._replace(notes=tuple(includes)))
            includes = []
    return grouped


def _is_idle(note: Diagnostic) -> bool:
    """Tell whether a note helps nobody; how our own macros are made does not either."""
    inside = note.span is not None and note.span.path.startswith(OWN_INCLUDE)
    return inside or note.message.startswith(_IDLE_NOTES)


def _placed(
    match: re.Match[str], source: SourceText, texts: Callable[[str], SourceText | None]
) -> Diagnostic:
    """Return a message with its place; clang counts columns in bytes, a Span in characters."""
    line, column = int(match["line"]), int(match["column"] or 0)
    span = Span(_name(match["path"], source), line, column)
    message = Diagnostic(match["message"] or "no message", _severity(match["severity"]), span)
    placed = _with_line(message, texts)
    if not column or placed.source_line is None:
        return placed
    raw = placed.source_line.encode("utf-8", "replace")
    start = _characters(raw, column)
    length = _characters(raw, _end_column(match["ranges"], line, column, raw)) - start
    return placed._replace(span=span._replace(column=start, length=max(1, length)))


def _end_column(ranges: str, line: int, column: int, raw: bytes) -> int:
    """Return the byte column behind what the caret marks: a range that begins there, or a word."""
    for found in _RANGE.finditer(ranges):
        first_line, first, last_line, last = map(int, found.groups())
        if first_line == last_line == line and first == column < last:
            return last
    word = _WORD.match(raw[column - 1 :].decode("utf-8", "replace"))
    return column + len(word.group().encode()) if word else column + 1


def _characters(raw: bytes, column: int) -> int:
    return len(raw[: column - 1].decode("utf-8", "replace")) + 1


def _with_line(diagnostic: Diagnostic, texts: Callable[[str], SourceText | None]) -> Diagnostic:
    span = diagnostic.span
    text = None if span is None else texts(span.path)
    if span is None or text is None:
        return diagnostic
    return diagnostic._replace(source_line=text.line(span.line))


def _severity(word: str) -> str:
    return {"fatal error": "error", "remark": "note"}.get(word, word)


def _name(path: str, source: SourceText) -> str:
    return source.path if path == STDIN_NAME else path


def _texts(source: SourceText) -> Callable[[str], SourceText | None]:
    """Return a reader of sources by path that reads each file once."""
    known: dict[str, SourceText | None] = {source.path: source}

    def read(path: str) -> SourceText | None:
        if path not in known:
            known[path] = _read_header(path)
        return known[path]

    return read


def _read_header(path: str) -> SourceText | None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return SourceText(path, file.read(_LONGEST_HEADER_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return None
