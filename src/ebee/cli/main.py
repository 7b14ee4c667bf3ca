"""Find the command, run it, show its answer or its error, and return the exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from ebee.cli.call import Call, Command, Settings
from ebee.cli.table import COMMANDS, GLOBAL, Entry, Group
from ebee.cli.words import UsageError, Values, Words, match, split_options
from ebee.errors import EbeeError, Notice
from ebee.record import NamedTuple

_INTERRUPTED = 130
_BROKEN_PIPE = 141
"""What a shell reports for a program that SIGINT or SIGPIPE ended."""


def run(argv: Sequence[str]) -> int:
    """Run one command line.

    Args:
        argv: without the program's name.

    Returns:
        0; 1 for an error; 2 for a wrong command line; 130 for Ctrl-C.
    """
    _open_streams()
    with _notices():
        try:
            return _guarded(lambda: _dispatch(list(argv)), argv)
        except BrokenPipeError:
            # What reads our output went away, as `head` does; nothing more can be said there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE


def _open_streams() -> None:
    """Put /dev/null in the place of streams that were closed when the process began (`ebee >&-`)."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            # It stays open as long as the process, as the stream it stands for would.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _guarded(action: Callable[[], None], argv: Sequence[str]) -> int:
    """Run an action, show its error and return the exit code."""
    try:
        action()
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        raise
    except EbeeError as error:
        return _failed(error, argv)
    except OSError as error:
        from ebee.cli.failures import plain

        return _failed(plain(error, _title(argv)), argv)
    except Exception as error:
        from ebee.cli.failures import internal

        if os.environ.get("EBEE_TRACEBACK") == "1":
            from traceback import print_exc

            print_exc()
        return _failed(internal(error, _title(argv)), argv)


def _failed(error: EbeeError, argv: Sequence[str]) -> int:
    from ebee.cli.failures import show_error

    show_error(error, _early_settings(argv))
    sys.stdout.flush()
    return error.exit_code


def _dispatch(argv: list[str]) -> None:
    """Find the command, part its options from its words, and run it."""
    found = find_command(argv)
    entry = found.entry
    own = entry.options if isinstance(entry, Entry) else ()
    usage = entry.usage if isinstance(entry, Entry) else ()
    words, values = split_options(found.rest, (*GLOBAL, *own), usage)
    settings = settings_of(values)
    if values.get("version"):
        found, words = find_command(["version"]), []
        entry = found.entry
    elif found.help or values.get("help") or not isinstance(entry, Entry):
        from ebee.cli.show_help import show_help

        show_help(found.path, entry, settings)
        return
    if isinstance(entry, Entry):
        _run(entry, Call(found.path, Words(words, entry.usage), settings, values))


def _run(entry: Entry, call: Call) -> None:
    from importlib import import_module

    command: Command = import_module(f"ebee.cli.{entry.module}").main
    answer = command(call)
    if answer is not None:
        from ebee.cli.output import show

        show(answer, call.settings)


class Found(NamedTuple):
    """Where a line leads.

    Attributes:
        path: the command's whole words.
        entry: the command; a Group or None where only help can be shown.
        rest: the line without the command's words.
        help: the user asked for help.
    """

    path: tuple[str, ...]
    entry: Entry | Group | None
    rest: list[str]
    help: bool = False


def find_command(argv: Sequence[str]) -> Found:
    """Return the command that a line begins with; options may stand before and between its words.

    Raises:
        UsageError: there is no such command.
    """
    rest = list(argv)
    path: tuple[str, ...] = ()
    level: dict[str, Entry] | dict[str, Entry | Group] = COMMANDS
    asked = False
    while True:
        word = _take_bare(rest)
        if word is None:
            return _without_word(path, rest, asked)
        name = _match_command(word, level)
        if name is None:
            raise _no_command(path, word, level)
        if name == "help":
            asked = True
            continue
        path, entry = (*path, name), level[name]
        if isinstance(entry, Entry):
            return Found(path, entry, rest, asked)
        level = entry.commands


def _without_word(path: tuple[str, ...], rest: list[str], asked: bool) -> Found:
    """Return what a line means that ends before a command: help, or a group's default command."""
    group = COMMANDS[path[0]] if path else None
    if asked or not isinstance(group, Group) or "-h" in rest or "--help" in rest:
        return Found(path, group, rest, help=True)
    return Found((*path, group.default), group.commands[group.default], rest)


def _take_bare(rest: list[str]) -> str | None:
    """Take the first word that is no option out of a line."""
    for index, word in enumerate(rest):
        if not word.startswith("-"):
            return rest.pop(index)
    return None


def _match_command(word: str, level: Mapping[str, Entry | Group]) -> str | None:
    """Return a command's name by its begin; names of one and the same command count once."""
    names = [*level, "help"]
    found = [name for name in names if name.startswith(word)]
    if word not in names and len({id(level.get(name)) for name in found}) == 1:
        return found[0]
    return match(word, names)


def _no_command(path: tuple[str, ...], word: str, level: Mapping[str, Entry | Group]) -> UsageError:
    from ebee.text import did_you_mean

    names = [*level, "help"]
    several = [name for name in names if name.startswith(word)]
    before = " ".join(("ebee", *path))
    if word and len(several) > 1:
        return UsageError(f"{before}: '{word}' may be {' or '.join(several)}")
    hint = did_you_mean(word, names) or f"commands are {', '.join(names)}"
    return UsageError(f"{before}: there is no command '{word}'", hint=hint)


def settings_of(values: Values) -> Settings:
    """Return the options that every command has."""
    return Settings(
        json=bool(values.get("json") or values.get("pretty")),
        pretty=bool(values.get("pretty")),
        verbose=bool(values.get("verbose") or values.get("debug")),
        bpffs=bool(values.get("bpffs")),
        mount=not values.get("nomount"),
    )


def _early_settings(argv: Sequence[str]) -> Settings:
    """Return how errors are to be shown, before the line is known to be right."""
    switches = [option for option in GLOBAL if not option.value]
    values: Values = {}
    for word in argv:
        with suppress(UsageError):
            values |= split_options([word], switches)[1]
    return settings_of(values)


def _title(argv: Sequence[str]) -> str:
    """Return what messages about mistakes of ebee's own call the command."""
    return " ".join(["ebee", *[word for word in argv if not word.startswith("-")][:2]])


@contextmanager
def _notices() -> Iterator[None]:
    """Print each Notice as it is given."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        from ebee.cli.failures import show_notice

        show_notice(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield
