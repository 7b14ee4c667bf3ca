"""What is to be compiled: a file of the user's, or a text in memory, read and checked once."""

from __future__ import annotations

import os
import stat

from ebee.errors import ParseError, SpecError
from ebee.record import NamedTuple
from ebee.source import Diagnostic, SourceText, Span

# No C source is longer; whatever is, is not meant to be compiled.
_LONGEST_SOURCE_BYTES = 64 << 20


class Unit(NamedTuple):
    """A translation unit.

    Attributes:
        source: its text, under the name that messages and line information use.
        data: its bytes, as clang reads them.
        path: the file to compile; None for a text that is in memory only.
    """

    source: SourceText
    data: bytes
    path: str | None

    @property
    def folder(self) -> str:
        """Where `#include "…"` looks first: beside the source, or here where its name is no path."""
        folder = os.path.dirname(self.source.path) or "."
        return folder if os.path.isdir(folder) else "."


def read_unit(source: SourceText | str | os.PathLike[str]) -> Unit:
    """Return the unit for a text, or for a file's path.

    Raises:
        SpecError: there is no such file, it cannot be read, or is no C source by its first bytes.
        ParseError: the text is not UTF-8.
    """
    if isinstance(source, SourceText):
        unit = Unit(source, source.text.encode("utf-8", "replace"), None)
    else:
        unit = _read_file(os.fspath(source))
    if not unit.data.strip():
        raise SpecError(
            f"compiling {unit.source.path}: it is empty, expected C source",
            hint="save the program into the file first",
        )
    return unit


def _read_file(path: str) -> Unit:
    data, regular = _read_bytes(path)
    if data.startswith(b"\x7fELF"):
        raise SpecError(
            f"compiling {path}: it is an ELF object already, expected C source",
            hint="load it as it is, or name the .c file it came from",
        )
    source = SourceText(path, _decoded(path, data))
    # What came through a pipe can be read once only, and we have read it.
    return Unit(source, data, path if regular else None)


def _read_bytes(path: str) -> tuple[bytes, bool]:
    try:
        with open(path, "rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(_LONGEST_SOURCE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(data) > _LONGEST_SOURCE_BYTES:
        raise SpecError(f"compiling {path}: it is larger than 64 MiB, expected C source")
    return data, regular


def _unreadable(path: str, error: OSError | ValueError) -> SpecError:
    if isinstance(error, IsADirectoryError):
        hint = _sources_hint(path)
        return SpecError(f"compiling {path}: it is a folder, expected a C source file", hint=hint)
    if isinstance(error, FileNotFoundError):
        hint = _neighbour_hint(path)
        return SpecError(f"compiling {path}: no such file, expected a C source file", hint=hint)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return SpecError(f"compiling {path!r}: {reason}, expected a C source file that can be read")


def _sources_hint(folder: str) -> str | None:
    sources = sorted(name for name in _listed(folder) if name.endswith(".c"))
    return f"name a file in it, such as {os.path.join(folder, sources[0])}" if sources else None


def _neighbour_hint(path: str) -> str | None:
    from ebee.text import nearest

    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f"there is no folder '{folder}'"
    near = nearest(name, _listed(folder or "."))
    return f"did you mean '{os.path.join(folder, near[0])}'?" if near else None


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _decoded(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8 text"
        span = Span(path, line)
        binary = "this looks like a binary file, not C source"
        hint = binary if b"\0" in data else "save the file as UTF-8"
        diagnostic = Diagnostic(message, span=span, hint=hint)
        raise ParseError(diagnostic.headline(), diagnostics=[diagnostic], hint=hint) from error
