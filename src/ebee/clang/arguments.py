"""What to compile with: the options a caller chooses, and the words clang gets for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from ebee.clang.process import DEPENDENCIES_PATH
from ebee.clang.toolchain import OWN_INCLUDE, Toolchain
from ebee.clang.unit import Unit
from ebee.errors import SpecError
from ebee.record import NamedTuple

_CPUS = ("v1", "v2", "v3", "v4")
_OPTIMISATIONS = ("0", "1", "2", "3", "s", "z")
_TARGETS = {"little": "bpfel", "big": "bpfeb"}

# One message a line, with its place and the ranges it is about; the source lines are ours to show.
_MESSAGE_FLAGS = (
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-fdiagnostics-print-source-range-info",
    # A crash would leave its preprocessed source behind, in a folder of temporary files.
    "-fno-crash-diagnostics",
)

# Arguments that make clang read files which its list of dependencies leaves out.
_UNTRACKED = (
    *("@", "-Xclang", "--config", "-fplugin", "-fpass-plugin", "-fprofile", "-ivfs", "-fmodule"),
    *("-imacros", "-include-pch", "-specs", "-load", "-fsanitize", "-M", "-o"),
)
_FOLDER_FLAGS = ("-I", "-iquote", "-isystem", "-idirafter")


class CompileOptions(NamedTuple):
    """How to compile.

    Attributes:
        defines: macros, `NAME` or `NAME=VALUE`, as after -D.
        include_folders: searched for includes before all others, as after -I.
        arguments: further words for clang, such as `-Wall`.
        cpu: the BPF instruction set, `v1` to `v4`. v3 needs kernel 5.1 (atomics 5.12), v4 6.6.
        optimisation: `0` to `3`, `s` or `z`; the verifier refuses most of what `0` gives.
        debug: line information and BTF, without which maps in `.maps` and CO-RE do not work.
        byte_order: `little` or `big`: of the machine it will run on.
        architecture: the machine's name as `uname -m` gives it; None for this machine.
        timeout_s: how long the compiler may take.
        cache: whether objects compiled before may be used.
    """

    defines: tuple[str, ...] = ()
    include_folders: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    cpu: str = "v3"
    optimisation: str = "2"
    debug: bool = True
    byte_order: str = sys.byteorder
    architecture: str | None = None
    timeout_s: float = 60.0
    cache: bool = True


def check_options(options: CompileOptions) -> None:
    """Refuse what clang would misunderstand.

    Raises:
        SpecError: an option has a value that it cannot have.
    """
    _check("cpu", options.cpu, _CPUS)
    _check("optimisation", options.optimisation, _OPTIMISATIONS)
    _check("byte order", options.byte_order, _TARGETS)
    for define in options.defines:
        if not define.partition("=")[0].partition("(")[0].isidentifier():
            raise SpecError(f"compile options: define {define!r}, expected NAME or NAME=VALUE")
    for word in (*options.defines, *options.include_folders, *options.arguments):
        if "\0" in word:
            raise SpecError(f"compile options: {word!r} holds a zero byte, expected text")


def _check(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise SpecError(f"compile options: {what} {value!r}, expected one of {', '.join(known)}")


def clang_words(
    unit: Unit, options: CompileOptions, toolchain: Toolchain, macro: str, system_folders: tuple[str, ...]
) -> list[str]:
    """Return the command that compiles a unit to standard output.

    The object names the source as the caller did, below the folder `.`; so the same words give the
    same object in every copy of a project, and the name still leads to the file. Headers of the
    compiler and of ebee get names that do not tell where they are installed.
    """
    words = [*toolchain.command, *toolchain.flags, "-target", _TARGETS[options.byte_order]]
    words += [f"-mcpu={options.cpu}", f"-O{options.optimisation}", *_MESSAGE_FLAGS]
    words += [f"-D{macro}", *(f"-D{define}" for define in options.defines)]
    if options.debug:
        words += ["-g", "-fdebug-compilation-dir=.", *_renamed_headers(toolchain)]
    words += [f"-I{folder}" for folder in options.include_folders]
    for folder in system_folders:
        words += ["-isystem", folder]
    words += options.arguments
    words += ["-MD", "-MT", "ebee", "-MF", DEPENDENCIES_PATH, "-c", "-o", "-", "-x", "c"]
    return words + _input_words(unit, options)


def _input_words(unit: Unit, options: CompileOptions) -> list[str]:
    if unit.path is not None:
        # zig's clang knows no `--`, so a name that looks like an option is written as a path.
        return [f"./{unit.path}" if unit.path.startswith("-") else unit.path]
    words = []
    if unit.folder != ".":
        # A text from standard input would have its "…" looked for in the current folder first. So
        # clang works where no header can be, and finds what lies beside the text by -iquote.
        words += ["-working-directory=/proc/self/fdinfo", "-iquote", os.path.abspath(unit.folder)]
    words.append(f"-ffile-prefix-map=<stdin>={unit.source.path}")
    if options.debug and not _has_line_directive(unit.source.text):
        # No file holds this text, so the lines that BTF quotes have to come from clang's memory.
        # With #line directives they would be the wrong ones; then the files named there are read.
        words.append("-gembed-source")
    return [*words, "-"]


def _has_line_directive(text: str) -> bool:
    stripped = (line.lstrip() for line in text.split("\n"))
    directives = (line[1:].lstrip() for line in stripped if line.startswith("#"))
    return any(directive.startswith(("line", *"0123456789")) for directive in directives)


def _renamed_headers(toolchain: Toolchain) -> list[str]:
    named = [(OWN_INCLUDE, "ebee"), (toolchain.library, "ziglang")]
    return [f"-ffile-prefix-map={folder}={name}" for folder, name in named if folder and "=" not in folder]


def rooted(unit: Unit, options: CompileOptions) -> CompileOptions:
    """Return options whose folders mean the same when clang does not work in the current folder."""
    if unit.path is not None or unit.folder == ".":
        return options
    arguments = []
    words = iter(options.arguments)
    for word in words:
        flag = _folder_flag(word) or ("-include" if word == "-include" else None)
        if flag is not None:
            arguments += [flag, os.path.abspath(word.removeprefix(flag) or next(words, "."))]
        else:
            arguments.append(word)
    folders = tuple(os.path.abspath(folder) for folder in options.include_folders)
    return options._replace(include_folders=folders, arguments=tuple(arguments))


def _folder_flag(word: str) -> str | None:
    return next((flag for flag in _FOLDER_FLAGS if word.startswith(flag)), None)


def user_folders(unit: Unit, options: CompileOptions) -> list[str]:
    """Return the folders of the user's that are searched for includes."""
    own = unit.folder if unit.path is not None or unit.folder == "." else os.path.abspath(unit.folder)
    folders = [own, *options.include_folders]
    words = iter(options.arguments)
    for word in words:
        flag = _folder_flag(word)
        if flag is not None:
            folders.append(word.removeprefix(flag) or next(words, "."))
    return folders


def is_tracked(options: CompileOptions) -> bool:
    """Tell whether clang's list of dependencies will name every file it reads."""
    return not any(word.startswith(_UNTRACKED) for word in options.arguments)
