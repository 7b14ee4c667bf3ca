"""Which files an object came from, and which files must stay absent for it to come out the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from ebee.clang.cache import Fact, fingerprint, is_stable

# A file's time may lag behind the clock by one tick of the kernel's, 10 ms at most.
_CLOCK_TICK_NS = 10_000_000


def parse_rule(rule: bytes) -> list[str]:
    """Return the prerequisites of the make rule that clang's -MD writes, in its order."""
    _, _, listed = os.fsdecode(rule).replace("\\\n", " ").partition(": ")
    words = listed.replace("\\ ", "\0").split()
    return [
        word.replace("\0", " ").replace("\\#", "#").replace("$$", "$").replace("/./", "/") for word in words
    ]


def facts_of(
    files: Iterable[str],
    *,
    main: str | None,
    owned: Sequence[str],
    user_folders: Sequence[str],
    system_folders: Sequence[str],
    started_ns: int,
) -> tuple[Fact, ...] | None:
    """Return what must hold for a compilation to give the same again; None where that is not known.

    Args:
        files: every file clang read.
        main: the source itself, where it is a file.
        owned: folders whose files are known by the compiler's and ebee's own identity.
        user_folders: where the user has includes searched.
        system_folders: where they are searched after that.
        started_ns: when the compiler was started; a file changed since may not be what it read.
    """
    files = list(dict.fromkeys(files))
    users = [path for path in files if not any(_below(folder, path) for folder in owned)]
    facts = []
    for path in users:
        mark = fingerprint(path)
        # The source's bytes are part of the entry's name, so it may be as young as it likes.
        if mark is None or not (path in {main, f"./{main}"} or _is_settled(path, started_ns)):
            return None
        facts.append(Fact(path, mark))
    places = list(dict.fromkeys([*user_folders, *(os.path.dirname(path) or "." for path in users)]))
    absent = _absent(files, places, [*places, *system_folders])
    return (*facts, *(Fact(path, "") for path in absent))


def _absent(files: Iterable[str], places: Sequence[str], roots: Sequence[str]) -> list[str]:
    """Return the paths where an included name was not found, or would not be, in the user's folders.

    The order of the search is left out: a file that appears behind the one in use costs a
    needless compilation, and nothing else.
    """
    names = dict.fromkeys(name for path in files for root in roots if (name := _below(root, path)))
    candidates = (os.path.join(place, name) for name in names for place in places)
    return [path for path in dict.fromkeys(candidates) if not os.path.lexists(path)]


def _below(folder: str, path: str) -> str | None:
    """Return a path as it was written after its folder, or None where it is not in there."""
    if folder in {"", "."}:
        return None if os.path.isabs(path) else path.removeprefix("./")
    prefix = folder.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _is_settled(path: str, started_ns: int) -> bool:
    """Tell whether clang read the file as it is now, and whether its text alone says what it means."""
    if os.stat(path).st_mtime_ns >= started_ns - _CLOCK_TICK_NS:
        return False
    with open(path, "rb") as file:
        return is_stable(file.read())
