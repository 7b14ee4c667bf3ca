"""Answers -> text or JSON on standard output.

JSON is written here and not by the standard library's module, whose import takes longer than a
listing; its layout with --pretty is bpftool's, to the byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ebee.cli.call import Answer, Settings

_INDENT = "    "
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(32)},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("\n"): "\\n",
    ord("\t"): "\\t",
    ord("\r"): "\\r",
    ord("\b"): "\\b",
    ord("\f"): "\\f",
}


def show(answer: Answer, settings: Settings) -> None:
    """Print an answer as the settings ask for."""
    if settings.json:
        write((pretty_json(answer.data) if settings.pretty else compact_json(answer.data)) + "\n")
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


def compact_json(value: Any) -> str:
    """Return a value as JSON in one line.

    Args:
        value: dicts with text keys, lists, tuples, text, numbers, True, False and None.
    """
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(key)}:{compact_json(item)}" for key, item in value.items()) + "}"
    if _is_list(value):
        return "[" + ",".join([compact_json(item) for item in value]) + "]"
    return _scalar(value)


def pretty_json(value: Any, depth: int = 0) -> str:
    """Return a value as JSON with each member of an object on a line of its own, as bpftool has it."""
    if isinstance(value, Mapping) and value:
        inner = "\n" + _INDENT * (depth + 1)
        members = [f"{inner}{_text(key)}: {pretty_json(item, depth + 1)}" for key, item in value.items()]
        return "{" + ",".join(members) + "\n" + _INDENT * depth + "}"
    if _is_list(value) and value:
        return "[" + ",".join([pretty_json(item, depth + 1) for item in value]) + "\n" + _INDENT * depth + "]"
    return compact_json(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        # JSON has no word for the infinities and for what is no number.
        return repr(value) if value - value == 0 else "null"
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _text(text: str) -> str:
    escaped = text.translate(_ESCAPES)
    if not escaped.isascii():
        # Half pairs, by which Python keeps bytes of file names that are not UTF-8, become escapes.
        escaped = escaped.encode("utf-8", "backslashreplace").decode()
    return f'"{escaped}"'
