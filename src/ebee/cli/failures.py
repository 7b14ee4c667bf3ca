"""Errors and notices -> what stands on standard error, or under -j on standard output."""

from __future__ import annotations

import os
import sys

from ebee.cli.call import Settings
from ebee.errors import EbeeError, InternalError, MachineError, SourceError, VerifierError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_COLOURS = {"error": "1;31", "warning": "1;33", "note": "1;36", "hint": "1;32", "usage": "1"}


def show_error(error: EbeeError, settings: Settings) -> None:
    """Print an error: its line, its place, its hint; under -j `{"error":…,"hint":…}`."""
    if settings.json:
        from ebee.cli.output import json_text, write

        data = {"error": str(error)} | ({"hint": error.hint} if error.hint else {})
        write(json_text(data, pretty=settings.pretty) + "\n")
        return
    complain(error_text(error, verbose=settings.verbose))


def error_text(error: EbeeError, *, verbose: bool = False) -> str:
    """Return all that is printed for an error, over several lines.

    Args:
        verbose: with the verifier's log.
    """
    text = _head(error)
    usage = getattr(error, "usage", ())
    if usage:
        text += "\n" + "\n".join(usage_lines(usage))
    if isinstance(error, VerifierError) and error.log.strip():
        text += f"\n\nthe verifier's log:\n{error.log.rstrip()}" if verbose else _LOG_HINT
    return text


_LOG_HINT = "\nnote: the verifier's whole log: the same command with -v"


def _head(error: EbeeError) -> str:
    if isinstance(error, SourceError) and error.diagnostics:
        return error.details()
    if isinstance(error, VerifierError) and error.diagnostic is not None:
        return error.diagnostic.render()
    if isinstance(error, MachineError) and error.diagnostic is not None:
        # The line names the program, and the packet or event where it stopped.
        return "\n".join([f"error: {error}", *error.diagnostic.render().split("\n")[1:]])
    lines = [f"error: {error}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)


def usage_lines(usage: tuple[str, ...] | list[str]) -> list[str]:
    """Return how a command is written: `usage: ebee …`, further forms below the first."""
    return [f"{'usage:' if index == 0 else '      '} ebee {line}" for index, line in enumerate(usage)]


def show_notice(text: str) -> None:
    """Print what was done unasked, or what the compiler warns of."""
    complain(text if text.startswith(("warning:", "note:")) else f"note: {text}")


def internal(error: BaseException, command: str) -> InternalError:
    """Return the error that stands for a mistake of ebee's own."""
    what = " ".join(str(error).split()) or "no message"
    return InternalError(
        f"{command}: {type(error).__name__}: {what} (a mistake of ebee's own)",
        hint="please report it to ebee's issue tracker with what EBEE_TRACEBACK=1 shows",
    )


def plain(error: OSError, command: str) -> EbeeError:
    """Return an ebee error for one of the operating system's."""
    what = (error.strerror or str(error)).lower()
    place = f" {os.fsdecode(error.filename)}:" if isinstance(error.filename, str | bytes) else ""
    return EbeeError(f"{command}:{place} {what}")


def complain(text: str) -> None:
    """Print to standard error, with colours where it is a terminal."""
    stream = sys.stderr
    if has_colour(stream):
        text = "\n".join(_coloured(line) for line in text.split("\n"))
    stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that takes colours, and the user wants them (NO_COLOR)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _coloured(line: str) -> str:
    word, colon, rest = line.partition(":")
    colour = _COLOURS.get(word) if colon else None
    return line if colour is None else f"\x1b[{colour}m{word}:\x1b[0m{rest}"
