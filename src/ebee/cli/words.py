"""The words of a command line: options, and bpftool's grammar of `key value` words.

Options may stand before, between and after the words. What is wrong is a UsageError: it says what
was found, what was expected, and shows the command's usage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ebee.errors import CommandError
from ebee.record import NamedTuple


class UsageError(CommandError):
    """The command line is wrong.

    Attributes:
        usage: the lines that say how the command is written; empty where none fits.
    """

    def __init__(self, message: str, *, usage: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.usage = tuple(usage)


class Option(NamedTuple):
    """An option of a command.

    Attributes:
        names: such as `-o` and `--output`; values are filed under the last one without its dashes.
        value: what its value is called in help; empty for a switch.
        help: one line.
        many: it may be given several times; its value is then a list.
    """

    names: tuple[str, ...]
    value: str
    help: str
    many: bool = False

    @property
    def key(self) -> str:
        return self.names[-1].lstrip("-").replace("-", "_")


Values = dict[str, "str | bool | list[str]"]


class Words:
    """The words of a command, read from left to right.

    Args:
        words: without options.
        usage: shown when they are wrong.
    """

    def __init__(self, words: Sequence[str], usage: Sequence[str] = ()) -> None:
        self.usage = tuple(usage)
        self._words = list(words)
        self._next = 0

    def __bool__(self) -> bool:
        """Whether words are left."""
        return self._next < len(self._words)

    def peek(self) -> str | None:
        """Return the next word without taking it; None past the last."""
        return self._words[self._next] if self else None

    def take(self, what: str) -> str:
        """Take the next word.

        Args:
            what: what it should be, for the message: `a path`.

        Raises:
            UsageError: there is none, or it is empty.
        """
        word = self.peek()
        if word is None:
            raise self.wrong(f"expected {what}, found the end of the line")
        if not word:
            raise self.wrong(f"expected {what}, found ''")
        self._next += 1
        return word

    def number(self, what: str, largest: int = 0xFFFF_FFFF) -> int:
        """Take the next word as a number, decimal or 0x…, not negative.

        Args:
            largest: by default what fits into the 32 bits that the kernel has for most numbers.

        Raises:
            UsageError: it is none.
        """
        word = self.take(what)
        try:
            number = int(word, 0)
        except ValueError:
            number = -1
        if not 0 <= number <= largest:
            raise self.wrong(f"expected {what}, found '{word}'")
        return number

    def keyword(self, *known: str) -> str | None:
        """Take the next word if it is one of `known`, or the begin of just one; else take nothing."""
        word = self.peek()
        found = None if word is None else match(word, known)
        if found is not None:
            self._next += 1
        return found

    def choice(self, known: Sequence[str]) -> str:
        """Take the next word, which must be one of `known` or the begin of just one.

        Raises:
            UsageError: it is none; the hint names the nearest.
        """
        word = self.take(_listed(known))
        found = match(word, known)
        if found is None:
            raise self.unknown(word, known)
        return found

    def finish(self) -> None:
        """Say that no word may be left.

        Raises:
            UsageError: one is.
        """
        word = self.peek()
        if word is not None:
            raise self.wrong(f"expected the end of the line, found '{word}'")

    def unknown(self, word: str, known: Sequence[str]) -> UsageError:
        """Return the error for a word that is none of those known."""
        from ebee.text import did_you_mean

        return self.wrong(
            f"expected {_listed(known)}, found '{word}'",
            hint=did_you_mean(word, known),
        )

    def wrong(self, message: str, *, hint: str | None = None) -> UsageError:
        """Return an error that shows this command's usage."""
        return UsageError(message, usage=self.usage, hint=hint)


def _listed(known: Sequence[str]) -> str:
    return known[0] if len(known) == 1 else f"one of {', '.join(known)}"


def match(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is or begins; None where there is none, or several.

    Of several the one that begins all others counts: `loa` is `load`, though there is `loadall`.
    """
    names = list(known)
    if word in names:
        return word
    found = [name for name in names if word and name.startswith(word)]
    shortest = min(found, key=len, default=None)
    return shortest if shortest and all(name.startswith(shortest) for name in found) else None


def split_options(
    argv: Sequence[str], options: Sequence[Option], usage: Sequence[str] = ()
) -> tuple[list[str], Values]:
    """Part a line into words and the values of its options.

    Letters may stand together (`-jp`), values beside their option (`-Ifolder`, `--output=x`); after
    `--` all are words, and a lone `-` is a word.

    Raises:
        UsageError: an option is not known, or lacks its value.
    """
    words: list[str] = []
    values: Values = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word.startswith("--"):
            _long(word, rest, options, values, usage)
        elif word.startswith("-") and word != "-":
            _short(word, rest, options, values, usage)
        else:
            words.append(word)
    return words, values


def _long(
    word: str, rest: list[str], options: Sequence[Option], values: Values, usage: Sequence[str]
) -> None:
    name, equals, value = word.partition("=")
    option = _find(match(name, _names(options)) or name, options, usage)
    if not option.value:
        if equals:
            raise UsageError(f"option {name}: found the value '{value}', expected none", usage=usage)
        values[option.key] = True
        return
    _store(option, value if equals else _following(name, option, rest, usage), values)


def _short(
    word: str, rest: list[str], options: Sequence[Option], values: Values, usage: Sequence[str]
) -> None:
    letters = word[1:]
    while letters:
        name, letters = f"-{letters[0]}", letters[1:]
        option = _find(name, options, usage)
        if option.value:
            _store(option, letters or _following(name, option, rest, usage), values)
            return
        values[option.key] = True


def _find(name: str, options: Sequence[Option], usage: Sequence[str]) -> Option:
    for option in options:
        if name in option.names:
            return option
    from ebee.text import did_you_mean

    raise UsageError(
        f"option {name} is not known here", usage=usage, hint=did_you_mean(name, _names(options))
    )


def _names(options: Sequence[Option]) -> list[str]:
    return [name for option in options for name in option.names if name.startswith("--")]


def _following(name: str, option: Option, rest: list[str], usage: Sequence[str]) -> str:
    if not rest:
        raise UsageError(f"option {name}: expected {option.value}, found the end of the line", usage=usage)
    return rest.pop(0)


def _store(option: Option, value: str, values: Values) -> None:
    if not option.many:
        values[option.key] = value
        return
    given = values.setdefault(option.key, [])
    if isinstance(given, list):
        given.append(value)
