"""Objects that were compiled before, found by what they were compiled from.

An entry's name is a digest of all that is known before clang runs: the source's bytes, the
arguments, the compiler, our headers. Inside, before the object, stand the facts that became known
while clang ran: each of the user's files that was included, with a digest of its content, and each
place where an included name was looked for but must not appear, because a file there would now be
found first. An entry whose facts no longer hold is not used.

Texts in which `__has_include`, `__DATE__` and the like occur depend on more than that; they are
never stored. Whatever goes wrong with the cache, the program is compiled: no error comes from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from ebee.record import NamedTuple

MAX_SIZE_BYTES = 256 << 20

_MAGIC = b"ebee object cache 1\n"
_DIGEST_BYTES = 20
# A file larger than this is known by its size and times: hashing a full vmlinux.h takes 5 ms.
_HASHED_BYTES = 1 << 20
# A half-written file this old was left by a process that died.
_STALE_S = 3600
_UNSTABLE_WORDS = (
    b"__has_include",
    b"__has_embed",
    b"__DATE__",
    b"__TIME__",
    b"__TIMESTAMP__",
    b".incbin",
)


class Fact(NamedTuple):
    """A file an entry depends on: what it must look like; empty where it must not exist."""

    path: str
    fingerprint: str

    def holds(self) -> bool:
        """Tell whether it is as it was."""
        return self.fingerprint == (fingerprint(self.path) or "")


class Entry(NamedTuple):
    """What a compiler run gave: the object, its messages, and what both depend on."""

    data: bytes
    messages: bytes
    facts: tuple[Fact, ...]


class Cache:
    """A folder of entries.

    Args:
        folder: made when the first entry is stored.
        max_size_bytes: how much may lie there; the longest unused entries go first.
    """

    __slots__ = ("_folder", "_max_size_bytes")

    def __init__(self, folder: str, *, max_size_bytes: int = MAX_SIZE_BYTES) -> None:
        self._folder = folder
        self._max_size_bytes = max_size_bytes

    def find(self, key: str) -> Entry | None:
        """Return a usable entry and mark it as used now, or None."""
        path = os.path.join(self._folder, key)
        content = _read_trusted(path)
        entry = None if content is None else _decode(content)
        if entry is None or not all(fact.holds() for fact in entry.facts):
            return None
        # A read-only cache still serves; only its order of use stays behind.
        with suppress(OSError):
            os.utime(path)
        return entry

    def store(self, key: str, entry: Entry) -> None:
        """Write an entry in one step, so that no other process ever sees half of it."""
        path = os.path.join(self._folder, key)
        partial = f"{path}.{os.urandom(6).hex()}.part"
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            _write_new(partial, _encode(entry))
            os.replace(partial, path)
        except (OSError, ValueError):
            _remove(partial)
            return
        # Looking through the folder costs more than a hit, so one store in sixteen does it.
        if key.startswith("0"):
            self.prune()

    def prune(self) -> None:
        """Remove leftovers, and the longest unused entries until four fifths of the bound remain."""
        entries = self._listed()
        size_bytes = sum(size for _, size, _ in entries)
        if size_bytes <= self._max_size_bytes:
            return
        for _, size, path in entries:
            _remove(path)
            size_bytes -= size
            if size_bytes <= self._max_size_bytes * 4 // 5:
                return

    def _listed(self) -> list[tuple[int, int, str]]:
        """Return (time of last use, size, path) of each entry, longest unused first."""
        from time import time_ns

        stale_ns = time_ns() - _STALE_S * 1_000_000_000
        entries = []
        try:
            with os.scandir(self._folder) as found:
                for item in found:
                    status = item.stat(follow_symlinks=False)
                    if item.name.endswith(".part"):
                        if status.st_mtime_ns < stale_ns:
                            _remove(item.path)
                    else:
                        entries.append((status.st_mtime_ns, status.st_size, item.path))
        except OSError:
            pass  # another process prunes at the same moment; what was seen so far will do
        return sorted(entries)


def open_cache(environ: Mapping[str, str] | None = None) -> Cache | None:
    """Return the user's cache, or None where EBEE_CACHE is 0.

    It lies in $EBEE_CACHE_DIR, else in $XDG_CACHE_HOME/ebee, else in ~/.cache/ebee.
    """
    environ = os.environ if environ is None else environ
    if environ.get("EBEE_CACHE", "").lower() in {"0", "no", "off", "false"}:
        return None
    return Cache(os.path.join(_base_folder(environ), "objects"))


def _base_folder(environ: Mapping[str, str]) -> str:
    if own := environ.get("EBEE_CACHE_DIR"):
        return os.path.abspath(own)
    shared = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(shared):  # a relative one is to be ignored, says the XDG specification
        shared = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(shared, "ebee")


def digest(parts: Iterable[bytes]) -> str:
    """Return a digest of byte strings, each told apart from the next, as hex."""
    # hashlib loads OpenSSL, which takes 2 ms; it offers the very same function.
    try:
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    state = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        state.update(b"%d:" % len(part))
        state.update(part)
    return str(state.hexdigest())


def fingerprint(path: str) -> str | None:
    """Return what a file's content is known by; None where there is no file to be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if status.st_size > _HASHED_BYTES:
                return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
            return digest([file.readall()])
    except (OSError, ValueError):
        return None


def is_stable(text: bytes) -> bool:
    """Tell whether a text means the same as long as the files it includes are the same."""
    return not any(word in text for word in _UNSTABLE_WORDS)


def _read_trusted(path: str) -> bytes | None:
    """Return an entry's bytes; None where there is none, or where somebody else wrote it.

    What stands here is loaded into the kernel, often by root: only our own and root's is taken.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            trusted = os.fstat(file.fileno()).st_uid in {0, os.geteuid()}
            return file.readall() if trusted else None
    except OSError:
        return None


def _write_new(path: str, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)


def _remove(path: str) -> None:
    with suppress(OSError):  # gone already, or not ours to remove
        os.unlink(path)


def _encode(entry: Entry) -> bytes:
    lines = [f"{len(entry.facts)} {len(entry.data)}"]
    for fact in entry.facts:
        if "\n" in fact.path:
            raise ValueError("a path with a line break has no place in an entry")
        lines.append(f"{fact.fingerprint} {fact.path}")
    head = os.fsencode("\n".join(lines)) + b"\n"
    body = head + entry.data + entry.messages
    return _MAGIC + digest([body]).encode() + b"\n" + body


def _decode(content: bytes) -> Entry | None:
    """Return the entry, or None where any byte is not as it was written."""
    checksum_end = len(_MAGIC) + 2 * _DIGEST_BYTES
    body = content[checksum_end + 1 :]
    if not content.startswith(_MAGIC) or content[len(_MAGIC) : checksum_end] != digest([body]).encode():
        return None
    counts, _, rest = body.partition(b"\n")
    fact_count, data_size = map(int, counts.split())
    *fact_lines, tail = rest.split(b"\n", fact_count)
    facts = (Fact(path, mark) for mark, _, path in (os.fsdecode(line).partition(" ") for line in fact_lines))
    return Entry(tail[:data_size], tail[data_size:], tuple(facts))
