"""Answers -> text or JSON on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ebee.cli.call import Answer, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def show(answer: Answer, settings: Settings) -> None:
    """Print an answer as the settings ask for."""
    if settings.json:
        write(json_text(answer.data, pretty=settings.pretty) + "\n")
    else:
        write_lines(answer.lines())


def write_lines(lines: Iterable[str]) -> None:
    """Print lines, each with a line end."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        write(text)


def write(text: str) -> None:
    """Print text; what the terminal's encoding has not is shown as escapes."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def json_text(value: Any, *, pretty: bool = False) -> str:
    """Return a value as JSON: in one line without spaces, or indented.

    Args:
        value: dicts with text keys, lists, tuples, text, numbers, True, False and None.
    """
    import json

    if pretty:
        return json.dumps(value, indent=4)
    return json.dumps(value, separators=(",", ":"))
