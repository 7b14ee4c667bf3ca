"""What a command is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ebee.cli.words import Values, Words
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.kernel.protocol import Kernel


class Settings(NamedTuple):
    """The options that every command has.

    Attributes:
        json, pretty: data as JSON, in one line or indented; `pretty` implies `json`.
        verbose: all there is to say, such as the verifier's log.
        bpffs: show where objects are pinned.
        mount: mount bpffs and tracefs where they are missing.
    """

    json: bool = False
    pretty: bool = False
    verbose: bool = False
    bpffs: bool = False
    mount: bool = True


class Answer(NamedTuple):
    """What a command found or did.

    Attributes:
        data: what -j prints: dicts, lists, text, numbers, None.
        lines: gives the same as lines for people; called only when they are printed.
    """

    data: Any
    lines: Callable[[], Iterable[str]]


class Call(NamedTuple):
    """One call of a command.

    Attributes:
        command: its whole words, such as `("prog", "load")`.
        words: what follows the command's name.
        settings: the options that every command has.
        values: the command's own options, by their long names.
    """

    command: tuple[str, ...]
    words: Words
    settings: Settings
    values: Values

    def kernel(self) -> Kernel:
        """Return the door to the running kernel; with --nomount it mounts nothing."""
        if not self.settings.mount:
            from ebee.cli.nomount import NoMountKernel

            return NoMountKernel()
        from ebee.kernel.live import LiveKernel

        return LiveKernel()

    def text(self, key: str) -> str | None:
        """Return the value of an option that is given at most once."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the values of an option that may be given many times."""
        value = self.values.get(key)
        return tuple(value) if isinstance(value, list) else ()

    def switch(self, key: str) -> bool:
        """Return whether a switch was given."""
        return self.values.get(key) is True


Command = Callable[[Call], "Answer | None"]


def nothing() -> Iterable[str]:
    """The lines of a command that has nothing to say when it succeeds."""
    return ()
