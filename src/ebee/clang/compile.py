"""C text -> a BPF object, out of the cache where the same was compiled before."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ebee.abi.arch import by_name, host
from ebee.clang.arguments import CompileOptions, check_options, clang_words, is_tracked, rooted, user_folders
from ebee.clang.cache import Cache, Entry, digest, is_stable, open_cache
from ebee.clang.process import Finished, run_compiler
from ebee.clang.toolchain import OWN_INCLUDE, Toolchain, find_toolchain
from ebee.clang.unit import Unit, read_unit
from ebee.errors import EbeeError, SpecError, ToolError
from ebee.record import NamedTuple
from ebee.source import Diagnostic, SourceText
from ebee.version import __version__

_DEFAULT_OPTIONS = CompileOptions()
_ELF_MAGIC = b"\x7fELF"


class CompiledObject(NamedTuple):
    """An object and what clang had to say about it.

    Attributes:
        data: the ELF object, whole.
        source: the text it was compiled from.
        warnings: clang's, in its order; the same when the object came from the cache.
        from_cache: whether clang did not have to run.
    """

    data: bytes
    source: SourceText
    warnings: tuple[Diagnostic, ...]
    from_cache: bool


class _Job(NamedTuple):
    """All that is known before clang runs."""

    unit: Unit
    options: CompileOptions
    toolchain: Toolchain
    system_folders: tuple[str, ...]
    words: list[str]

    @property
    def user_folders(self) -> list[str]:
        return user_folders(self.unit, self.options)


def compile_c(
    source: SourceText | str | os.PathLike[str],
    *,
    options: CompileOptions = _DEFAULT_OPTIONS,
    toolchain: Toolchain | None = None,
) -> CompiledObject:
    """Compile C to a BPF object.

    Args:
        source: a file's path, which the object names just as it is given here; or a text in
            memory, whose `#include "…"` are looked for in the folder of its name.
        options: how to compile.
        toolchain: the compiler; found by `find_toolchain` where None.

    Raises:
        ParseError, UnknownNameError, TypeMismatchError, UnsupportedConstructError: clang found
            errors in the text; `.diagnostics` has all of them, warnings included.
        NotSupportedError: ebee has no tables for the architecture.
        SpecError: there is no such file, it is no C source, or an option cannot be.
        ToolError: there is no compiler, it crashed, or took longer than `options.timeout_s`.
    """
    check_options(options)
    unit = read_unit(source)
    options = rooted(unit, options)
    job = _prepare(unit, options, toolchain or find_toolchain())
    cache = open_cache() if options.cache and is_tracked(options) and is_stable(unit.data) else None
    key = digest(_key_parts(job)) if cache is not None else ""
    entry = cache.find(key) if cache is not None else None
    if entry is not None:
        return _compiled(job, entry.data, entry.messages, from_cache=True)
    return _compile(job, cache, key)


def _prepare(unit: Unit, options: CompileOptions, toolchain: Toolchain) -> _Job:
    arch = host() if options.architecture is None else by_name(options.architecture)
    system_folders = toolchain.include_folders((arch.include_folder, "any-linux-any"))
    words = clang_words(unit, options, toolchain, arch.target_macro, system_folders)
    return _Job(unit, options, toolchain, system_folders, words)


def _compile(job: _Job, cache: Cache | None, key: str) -> CompiledObject:
    from time import time_ns

    started_ns = time_ns()
    finished = run_compiler(
        job.words,
        stdin=job.unit.data if job.unit.path is None else b"",
        timeout_s=job.options.timeout_s,
    )
    if finished.status != 0 or not finished.output.startswith(_ELF_MAGIC):
        raise _failure(job, finished)
    if cache is not None:
        _store(cache, key, job, finished, started_ns)
    return _compiled(job, finished.output, finished.messages, from_cache=False)


def _compiled(job: _Job, data: bytes, messages: bytes, *, from_cache: bool) -> CompiledObject:
    warnings: tuple[Diagnostic, ...] = ()
    if messages.strip():
        from ebee.clang.diagnostics import parse_messages

        warnings = parse_messages(_text(messages), job.unit.source, folders=_searched(job))
    return CompiledObject(data, job.unit.source, warnings, from_cache)


def _store(cache: Cache, key: str, job: _Job, finished: Finished, started_ns: int) -> None:
    from ebee.clang.dependencies import facts_of, parse_rule

    files = parse_rule(finished.dependencies)
    facts = facts_of(
        [path for path in files if path not in {"<stdin>", "-"}],
        main=job.unit.path,
        owned=[folder for folder in (OWN_INCLUDE, job.toolchain.library) if folder is not None],
        user_folders=job.user_folders,
        system_folders=job.system_folders,
        started_ns=started_ns,
    )
    if facts is not None:
        cache.store(key, Entry(finished.output, finished.messages, facts))


def _key_parts(job: _Job) -> Iterator[bytes]:
    """Yield all that the object depends on and that is known before clang runs.

    The current folder is part of it because relative names lead elsewhere from another one.
    """
    yield __version__.encode()
    yield job.toolchain.identity.encode("utf-8", "surrogateescape")
    yield _own_headers_identity()
    yield _current_folder()
    for word in job.words:
        yield word.encode("utf-8", "surrogateescape")
    yield job.unit.data


def _current_folder() -> bytes:
    try:
        return os.getcwdb()
    except OSError:  # it was removed; then no relative name leads anywhere
        return b""


def _own_headers_identity() -> bytes:
    """Return names, sizes and times of our headers; a change of theirs makes old objects useless."""
    marks = []
    for folder, _, names in os.walk(OWN_INCLUDE):
        for name in names:
            status = os.stat(os.path.join(folder, name))
            marks.append(f"{folder}/{name}:{status.st_size}:{status.st_mtime_ns}")
    return "\n".join(sorted(marks)).encode("utf-8", "surrogateescape")


def _failure(job: _Job, finished: Finished) -> EbeeError:
    """Return the error for a run that gave no object."""
    from ebee.clang.diagnostics import parse_messages, source_error

    text = _text(finished.messages)
    error = source_error(text, job.unit.source, folders=_searched(job))
    if error is not None:
        return error
    name, clang = job.unit.source.path, job.toolchain.command[0]
    if "No available targets are compatible" in text or "unknown target triple" in text:
        return ToolError(
            f"compiling {name}: {clang} has no BPF target, expected a clang built with it",
            hint="unset EBEE_CLANG to use the clang of the ziglang package",
        )
    complaints = [found for found in parse_messages(text, job.unit.source) if found.severity == "error"]
    if finished.status == 1 and complaints:
        return SpecError(
            f"compiling {name}: clang says: {complaints[0].message}",
            hint="correct the arguments that are passed on to clang",
        )
    return _crash(name, clang, finished.status, text)


def _crash(name: str, clang: str, status: int, text: str) -> ToolError:
    ending = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    tail = "\n".join(text.strip().splitlines()[-12:])
    return ToolError(
        f"compiling {name}: {clang} {ending} and gave no object, expected one",
        hint=f"try other options or a smaller program; the compiler's last words:\n{tail}"
        if tail
        else "it said nothing; run it by hand to see whether it works on this machine",
    )


def _searched(job: _Job) -> list[str]:
    return [*job.user_folders, *job.system_folders]


def _text(messages: bytes) -> str:
    return messages.decode("utf-8", "replace")
