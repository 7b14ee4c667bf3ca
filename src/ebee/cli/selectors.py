"""Words that name objects: `id 77`, `pinned PATH`, `tag HEX`, `name NAME` -> descriptors.

Whoever asks gets open descriptors, and gives them back through the ExitStack.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from ebee.cli.call import Call
from ebee.cli.words import Words
from ebee.errors import GoneError
from ebee.kernel.protocol import Kernel, ObjectKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_KEYS = {
    ObjectKind.PROGRAM: ("id", "pinned", "tag", "name"),
    ObjectKind.MAP: ("id", "pinned", "name"),
    ObjectKind.LINK: ("id", "pinned"),
}
_TAG_DIGITS = 16


class Selector:
    """Which objects of a kind are meant; looked for only once the whole line was read.

    Attributes:
        kind: what is meant.
        key: `id`, `pinned`, `tag` or `name`.
        word: its value.
    """

    __slots__ = ("key", "kind", "number", "word")

    def __init__(self, kind: ObjectKind, key: str, word: str, number: int) -> None:
        self.kind, self.key, self.word, self.number = kind, key, word, number

    def __str__(self) -> str:
        return f"{self.kind.value} {self.key} {self.word}"

    def open_all(self, kernel: Kernel, resources: ExitStack) -> list[int]:
        """Return a descriptor of each object that is meant; at least one.

        Raises:
            GoneError: there is none.
            KernelError: what is pinned there is something else, or may not be opened.
        """
        fds = list(self._open(kernel, resources))
        if not fds:
            _none(kernel, self)
        return fds

    def open_one(self, kernel: Kernel, resources: ExitStack, words: Words) -> int:
        """Return the descriptor of the one object that is meant.

        Raises:
            GoneError: there is none.
            UsageError: a tag or name means several.
        """
        fds = self.open_all(kernel, resources)
        if len(fds) > 1:
            ids = [str(_identity(kernel, fd, self.kind)[0]) for fd in fds]
            noun = self.kind.value
            raise words.wrong(
                f"{noun} {self.key} {self.word}: means {len(fds)} {noun}s, expected one",
                hint=f"name it by its id: {', '.join(ids)}",
            )
        return fds[0]

    def _open(self, kernel: Kernel, resources: ExitStack) -> Iterator[int]:
        if self.key == "id":
            yield _owned(kernel, kernel.open_id(self.kind, self.number), resources)
        elif self.key == "pinned":
            from ebee.pins import open_pin

            yield _owned(kernel, open_pin(kernel, self.word, self.kind), resources)
        else:
            yield from self._search(kernel, resources)

    def _search(self, kernel: Kernel, resources: ExitStack) -> Iterator[int]:
        """Go through all objects for a tag or a name, as the kernel has it or as the C file has it."""
        from ebee.introspect.objects import each

        for fd in each(kernel, self.kind):
            object_id, names, tag = _identity(kernel, fd, self.kind)
            if self.word == tag if self.key == "tag" else self.word in names:
                try:
                    yield _owned(kernel, kernel.open_id(self.kind, object_id), resources)
                except GoneError:
                    continue


def _owned(kernel: Kernel, fd: int, resources: ExitStack) -> int:
    resources.callback(kernel.close, fd)
    return fd


def _identity(kernel: Kernel, fd: int, kind: ObjectKind) -> tuple[int, tuple[str, ...], str]:
    """Return an object's id, its names, and a program's tag."""
    if kind is ObjectKind.PROGRAM:
        from ebee.introspect.programs import full_name

        program = kernel.program_info(fd)
        return program.id, (program.name, full_name(kernel, fd, program)), program.tag.hex()
    if kind is ObjectKind.MAP:
        found = kernel.map_info(fd)
        return found.id, (found.name,), ""
    return kernel.link_info(fd).id, (), ""


def _none(kernel: Kernel, selector: Selector) -> NoReturn:
    from ebee.introspect.objects import each
    from ebee.text import did_you_mean

    kind = selector.kind.value
    known = [name for fd in each(kernel, selector.kind) for name in _identity(kernel, fd, selector.kind)[1]]
    group = {ObjectKind.PROGRAM: "prog", ObjectKind.MAP: "map"}.get(selector.kind, "link")
    hint = did_you_mean(selector.word, known) if selector.key == "name" else None
    raise GoneError(
        f"{kind} {selector.key} {selector.word}: no {kind} in the kernel has this {selector.key}",
        hint=hint or f"see what there is: ebee {group} list",
    )


def take_selector(words: Words, kind: ObjectKind) -> Selector:
    """Take the words that name an object.

    Raises:
        UsageError: they name none.
    """
    keys = _KEYS[kind]
    key = words.choice(keys)
    if key == "id":
        number = words.number(f"a {kind.value}'s id")
        return Selector(kind, key, str(number), number)
    word = words.take({"pinned": "a path", "tag": "a tag"}.get(key, f"a {kind.value}'s name"))
    if key == "tag" and not _is_tag(word):
        raise words.wrong(f"expected a tag of {_TAG_DIGITS} hex digits, found '{word}'")
    return Selector(kind, key, word.lower() if key == "tag" else word, 0)


def _is_tag(word: str) -> bool:
    return len(word) == _TAG_DIGITS and all(letter in "0123456789abcdefABCDEF" for letter in word)


def optional_selector(call: Call, kind: ObjectKind) -> Selector | None:
    """Take the words that name an object, if any are left; nothing may follow them.

    Raises:
        UsageError: they name none, or more follow.
    """
    selector = take_selector(call.words, kind) if call.words else None
    call.words.finish()
    return selector
