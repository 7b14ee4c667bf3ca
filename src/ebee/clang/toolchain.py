"""Which compiler: the clang inside the ziglang wheel, or the one that EBEE_CLANG names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ebee.errors import ToolError
from ebee.record import NamedTuple

# Our own <bpf/…> headers. They come before the wheel's, so that no other copy is ever found.
OWN_INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")

_UNSET_HINT = "correct EBEE_CLANG, or unset it to use the clang of the ziglang package"


class Toolchain(NamedTuple):
    """A compiler that can be run, and the headers that belong to it.

    Attributes:
        command: the words that start clang, an absolute path first.
        flags: what this compiler needs before anything else.
        builtin_headers: the folder of `stddef.h` and the like; None where clang finds it itself.
        headers: the folder that holds one folder of kernel headers per architecture; None
            where the system's own headers are used.
        library: the wheel's `lib` folder, whose files never change while `identity` stays; or None.
        identity: differs as soon as another compiler or another version stands at the same place.
    """

    command: tuple[str, ...]
    flags: tuple[str, ...]
    builtin_headers: str | None
    headers: str | None
    library: str | None
    identity: str

    def include_folders(self, architecture_folders: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders searched for `<…>` after the user's, first one first.

        Args:
            architecture_folders: folders inside the wheel's headers, such as `x86-linux-any`.

        Raises:
            ToolError: the wheel holds no headers for this architecture.
        """
        if self.headers is None:
            return (OWN_INCLUDE, *_system_folders())
        builtin = () if self.builtin_headers is None else (self.builtin_headers,)
        found = [os.path.join(self.headers, name) for name in architecture_folders]
        for folder in found:
            if not os.path.isdir(folder):
                raise ToolError(
                    f"looking for kernel headers: {folder} is missing, expected the ziglang package's",
                    hint="install the ziglang version that ebee asks for: pip install --force-reinstall ebee",
                )
        return (OWN_INCLUDE, *builtin, *found)


def find_toolchain(environ: Mapping[str, str] | None = None) -> Toolchain:
    """Return the compiler to use; no process is started.

    Args:
        environ: where EBEE_CLANG and PATH are looked up; the process's environment where None.

    Raises:
        ToolError: EBEE_CLANG names nothing that can be run, or there is no ziglang package.
    """
    environ = os.environ if environ is None else environ
    wheel = _wheel_folder()
    wanted = environ.get("EBEE_CLANG")
    if wanted:
        return _named(_executable(wanted, environ), wheel)
    if wheel is None:
        raise ToolError(
            "looking for a compiler: no ziglang package and no EBEE_CLANG, expected one of them",
            hint="pip install ziglang, or set EBEE_CLANG to a clang that has the BPF target",
        )
    return _of_wheel(wheel)


def _of_wheel(wheel: str) -> Toolchain:
    zig = os.path.join(wheel, "zig")
    library = os.path.join(wheel, "lib")
    # No configuration file of the system's may change what the same source gives.
    flags = ("--no-default-config", "-nostdinc", "-resource-dir", library)
    builtin = os.path.join(library, "include")
    return Toolchain((zig, "clang"), flags, builtin, _kernel_headers(library), library, _identity(zig))


def _named(clang: str, wheel: str | None) -> Toolchain:
    """Return a clang of the user's: its own built-in headers, and the wheel's kernel headers."""
    library = None if wheel is None else os.path.join(wheel, "lib")
    headers = None if library is None else _kernel_headers(library)
    identity = _identity(clang) if wheel is None else _identity(clang) + _identity(os.path.join(wheel, "zig"))
    return Toolchain((clang,), ("-nostdlibinc",), None, headers, library, identity)


def _wheel_folder() -> str | None:
    """Return the folder of the ziglang package without importing it.

    The finders are asked directly: importlib.util does the same, and costs 3 ms to import.
    """
    for finder in sys.meta_path:
        spec = finder.find_spec("ziglang", None) if hasattr(finder, "find_spec") else None
        if spec is not None and spec.submodule_search_locations:
            folder = next(iter(spec.submodule_search_locations))
            if os.path.isfile(os.path.join(folder, "zig")):
                return os.path.abspath(folder)
    return None


def _executable(wanted: str, environ: Mapping[str, str]) -> str:
    """Return the absolute path of the program EBEE_CLANG names, by path or by name in PATH."""
    if os.sep in wanted:
        candidates = [os.path.abspath(os.path.expanduser(wanted))]
    else:
        candidates = [os.path.join(folder, wanted) for folder in os.get_exec_path(dict(environ))]
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
    raise ToolError(
        f"looking for the compiler that EBEE_CLANG names: {_why_not(wanted, candidates)}, "
        "expected a clang that can be run",
        hint=_UNSET_HINT,
    )


def _why_not(wanted: str, candidates: list[str]) -> str:
    if os.sep not in wanted:
        return f"no '{wanted}' in PATH"
    if os.path.isdir(candidates[0]):
        return f"'{wanted}' is a folder"
    if os.path.exists(candidates[0]):
        return f"'{wanted}' is not executable"
    return f"'{wanted}' does not exist"


def _identity(path: str) -> str:
    """Return what tells one compiler from the next; a path that cannot be read is no compiler."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ToolError(f"looking for a compiler: {path}: {error.strerror}") from error
    return f"{path}:{status.st_size}:{status.st_mtime_ns};"


def _kernel_headers(library: str) -> str:
    return os.path.join(library, "libc", "include")


def _system_folders() -> tuple[str, ...]:
    """Return the system's header folders, for a clang of the user's where no wheel is installed."""
    multiarch = f"/usr/include/{os.uname().machine}-linux-gnu"
    return tuple(folder for folder in (multiarch, "/usr/include") if os.path.isdir(folder))
