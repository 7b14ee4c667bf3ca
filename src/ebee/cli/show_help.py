"""Help: of ebee, of a group of commands, of one command. Made from the table alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ebee.cli.call import Settings
from ebee.cli.failures import usage_lines
from ebee.cli.output import json_text, write, write_lines
from ebee.cli.table import COMMANDS, GLOBAL, Entry, Group
from ebee.cli.words import Option
from ebee.text import columns


def show_help(path: tuple[str, ...], entry: Entry | Group | None, settings: Settings) -> None:
    """Print the help of what `path` names; under -j only the usage, as data."""
    if settings.json:
        data = {"usage": list(_usage(path, entry))}
        write(json_text(data, pretty=settings.pretty) + "\n")
        return
    write_lines(_lines(path, entry))


def _usage(path: tuple[str, ...], entry: Entry | Group | None) -> Iterator[str]:
    if isinstance(entry, Entry):
        yield from entry.usage
    elif isinstance(entry, Group):
        for command in dict.fromkeys(entry.commands.values()):
            yield from command.usage
    else:
        yield "[OPTIONS] COMMAND"


def _lines(path: tuple[str, ...], entry: Entry | Group | None) -> Iterator[str]:
    if entry is None:
        yield "ebee: the whole of eBPF for Python, in one pip install"
        yield ""
    yield from usage_lines(list(_usage(path, entry)))
    yield ""
    if isinstance(entry, Entry):
        yield f"{entry.help[0].upper()}{entry.help[1:]}."
        yield ""
        if entry.options:
            yield from _section("Options", entry.options)
        yield from _notes(path)
    else:
        commands = COMMANDS if entry is None else entry.commands
        yield "Commands:"
        rows = [(f"  {name}", item.help) for name, item in commands.items()]
        yield from columns(rows)
        yield ""
        yield from _notes(path)
    yield from _section("Options of every command", GLOBAL)
    yield "Words may be shortened as long as they stay clear: ebee p s is ebee prog show."


def _notes(path: tuple[str, ...]) -> Iterator[str]:
    group = COMMANDS.get(path[0]) if path else None
    if isinstance(group, Group):
        yield from group.notes
        yield ""


def _section(title: str, options: Sequence[Option]) -> Iterator[str]:
    yield f"{title}:"
    rows = [(f"  {', '.join(option.names)} {option.value}".rstrip(), option.help) for option in options]
    yield from columns(rows)
    yield ""
