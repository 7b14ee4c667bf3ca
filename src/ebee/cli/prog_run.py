"""`ebee prog run PROG data_in FILE`: try a program on a packet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

from ebee.cli.call import Answer, Call
from ebee.cli.selectors import take_selector
from ebee.cli.words import Words
from ebee.errors import KernelError, SpecError
from ebee.kernel.protocol import ObjectKind, RunAnswer, RunRequest
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = ("data_in", "data_out", "data_size_out", "ctx_in", "ctx_out", "ctx_size_out", "repeat")
_EXTRA_BYTES = 256
"""How much longer a packet may get."""
_LARGEST_BYTES = 1 << 24


class _Wish(NamedTuple):
    data: bytes = b""
    context: bytes = b""
    data_path: str | None = None
    context_path: str | None = None
    data_out_bytes: int | None = None
    context_out_bytes: int | None = None
    repeat: int = 1


def main(call: Call) -> Answer:
    selector = take_selector(call.words, ObjectKind.PROGRAM)
    wish = _wish(call.words)
    kernel = call.kernel()
    with ExitStack() as resources:
        fd = selector.open_one(kernel, resources, call.words)
        try:
            ran = kernel.program_test_run(_request(fd, wish))
        except KernelError as error:
            raise error.about(f"program (fd {fd})", str(selector)) from None
    shown = _written(ran, wish)
    data = {key: list(part) for key, part in shown.items()}
    return Answer(
        data | {"retval": ran.return_value, "duration": ran.duration_ns}, lambda: _lines(shown, ran)
    )


def _wish(words: Words) -> _Wish:
    wish = _Wish()
    while words:
        key = words.choice(_KEYS)
        changed: dict[str, Any]
        if key == "repeat":
            changed = {"repeat": words.number("how often to run it")}
        elif key in ("data_size_out", "ctx_size_out"):
            name = "data_out_bytes" if key == "data_size_out" else "context_out_bytes"
            changed = {name: words.number("a number of bytes", _LARGEST_BYTES)}
        elif key in ("data_out", "ctx_out"):
            name = "data_path" if key == "data_out" else "context_path"
            changed = {name: words.take("a path, or - to show it")}
        else:
            name = "data" if key == "data_in" else "context"
            changed = {name: _read(words.take("a path, or - for standard input"))}
        wish = wish._replace(**changed)
    if not wish.data and not wish.context:
        raise words.wrong("expected data_in or ctx_in: there is nothing to run the program on")
    return wish


def _request(fd: int, wish: _Wish) -> RunRequest:
    data_out_bytes, context_out_bytes = wish.data_out_bytes, wish.context_out_bytes
    if data_out_bytes is None:
        data_out_bytes = len(wish.data) + _EXTRA_BYTES if wish.data_path and wish.data else 0
    if context_out_bytes is None:
        context_out_bytes = len(wish.context) + _EXTRA_BYTES if wish.context_path and wish.context else 0
    return RunRequest(
        program_fd=fd,
        data=wish.data,
        context=wish.context,
        data_out_bytes=data_out_bytes,
        context_out_bytes=context_out_bytes,
        repeat=wish.repeat,
    )


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SpecError(f"read {path}: {(error.strerror or str(error)).lower()}, expected a packet") from None


def _written(ran: RunAnswer, wish: _Wish) -> dict[str, bytes]:
    """Write what came out to files; return what is to be shown instead."""
    shown = {}
    for key, part, path in (
        ("data_out", ran.data, wish.data_path),
        ("ctx_out", ran.context, wish.context_path),
    ):
        if path == "-":
            shown[key] = part
        elif path is not None:
            _write(path, part)
    return {key: part for key, part in shown.items() if part}


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise SpecError(f"write {path}: {(error.strerror or str(error)).lower()}") from None


def _lines(shown: dict[str, bytes], ran: RunAnswer) -> Iterator[str]:
    for key, data in shown.items():
        if len(shown) > 1:
            yield f"{key}:"
        yield from _hex_lines(data)
    yield f"Return value: {ran.return_value}, duration (average): {ran.duration_ns}ns"


def _hex_lines(data: bytes) -> Iterator[str]:
    """Yield bytes as bpftool shows them: offset, pairs of bytes, and what of them is text."""
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        pairs = part.hex(" ", -2)
        yield f"{start:07x}\t{pairs:<39} | {text[:8]} {text[8:]}".rstrip()
