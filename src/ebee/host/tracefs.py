"""tracefs: tracepoints, their ids and fields, the trace pipe."""

from __future__ import annotations

import os

from ebee.errors import AttachError, EbeeError, KernelError, notify
from ebee.host.mounts import USUAL_PLACES, mounted_at
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.kernel.protocol import Kernel

USUAL = USUAL_PLACES["tracefs"]


class EventField(NamedTuple):
    """One field of a tracepoint's record.

    Attributes:
        type: in C, without an array's length: `char`, `unsigned int`, `__data_loc char[]`.
        length: of an array, else 0.
        common: it stands at the head of every tracepoint's record.
    """

    name: str
    type: str
    offset_bytes: int
    size_bytes: int
    is_signed: bool
    length: int = 0
    common: bool = False


class EventFormat(NamedTuple):
    """What a tracepoint's `format` file tells."""

    id: int
    name: str
    fields: tuple[EventField, ...]
    print_format: str


def tracefs_path() -> str | None:
    """Return where tracefs is: mounted by itself, or below debugfs, which mounts it there when looked at."""
    own = mounted_at("tracefs")
    if own is not None:
        return own
    debugfs = mounted_at("debugfs")
    below = f"{debugfs}/tracing"
    return below if debugfs is not None and os.path.isdir(f"{below}/events") else None


def ensure_tracefs(kernel: Kernel) -> str:
    """Return where tracefs is; mount it at its usual place when it is nowhere, and say so.

    Raises:
        NotPermittedError, NotSupportedError: it is not mounted and cannot be.
    """
    found = tracefs_path()
    if found is not None:
        return found
    kernel.mount("tracefs", USUAL)
    notify(f"mounted tracefs on {USUAL}")
    return USUAL


def trace_pipe_path(kernel: Kernel) -> str:
    """Return the path of the pipe that bpf_printk writes to; mounts tracefs where it is not."""
    return f"{ensure_tracefs(kernel)}/trace_pipe"


def categories(tracefs: str) -> list[str]:
    """Return the categories of tracepoints, sorted.

    Raises:
        KernelError: tracefs cannot be read.
    """
    events = f"{tracefs}/events"
    return sorted(name for name in _folder(events) if os.path.isdir(f"{events}/{name}"))


def events(tracefs: str, category: str) -> list[str]:
    """Return the tracepoints of a category, sorted.

    Raises:
        KernelError: there is no such category, or tracefs cannot be read.
    """
    folder = f"{tracefs}/events/{category}"
    return sorted(name for name in _folder(folder) if os.path.exists(f"{folder}/{name}/format"))


def tracepoint_id(kernel: Kernel, category: str, name: str) -> int:
    """Return the id by which perf_event_open(2) knows a tracepoint; mounts tracefs where it is not.

    Raises:
        AttachError: there is no such tracepoint; the hint names the nearest.
        NotPermittedError: tracefs cannot be mounted or read.
    """
    tracefs = ensure_tracefs(kernel)
    try:
        return int(_read(f"{tracefs}/events/{category}/{name}/id", f"look up tracepoint {category}:{name}"))
    except KernelError as error:
        if error.errno != 2:
            raise
        raise _no_tracepoint(tracefs, category, name) from None


def event_format(kernel: Kernel, category: str, name: str) -> EventFormat:
    """Return the fields of a tracepoint's record; mounts tracefs where it is not.

    Raises:
        AttachError: there is no such tracepoint; the hint names the nearest.
        NotPermittedError: tracefs cannot be mounted or read.
    """
    tracefs = ensure_tracefs(kernel)
    try:
        return parse_format(
            _read(f"{tracefs}/events/{category}/{name}/format", f"look up tracepoint {category}:{name}")
        )
    except KernelError as error:
        if error.errno != 2:
            raise
        raise _no_tracepoint(tracefs, category, name) from None


def parse_format(text: str) -> EventFormat:
    """Return what a tracepoint's `format` file tells.

    Source: Documentation/trace/events.rst, section 3.
    """
    import re

    name = re.search(r"^name: (.*)$", text, re.MULTILINE)
    number = re.search(r"^ID: (\d+)$", text, re.MULTILINE)
    print_format = re.search(r"^print fmt: (.*)", text, re.MULTILINE | re.DOTALL)
    fields = tuple(
        _field(*match)
        for match in re.findall(r"field:(.+?);\s+offset:(\d+);\s+size:(\d+);\s+signed:(\d+);", text)
    )
    return EventFormat(
        id=int(number[1]) if number else 0,
        name=name[1] if name else "",
        fields=fields,
        print_format=print_format[1].strip() if print_format else "",
    )


def _field(declaration: str, offset: str, size: str, signed: str) -> EventField:
    import re

    match = re.fullmatch(r"(.*?)\s*(\w+)(?:\[([^\]]*)\])?", declaration.strip())
    type_name, name, length = match.groups() if match else (declaration, "", None)
    count = int(length) if length and length.isdigit() else 0
    return EventField(
        name, type_name, int(offset), int(size), signed == "1", count, name.startswith("common_")
    )


def _no_tracepoint(tracefs: str, category: str, name: str) -> AttachError:
    tried = f"look up tracepoint {category}:{name}"
    known = categories(tracefs)
    if category not in known:
        return AttachError(
            f"{tried}: there is no category '{category}'", errno=2, hint=_near(category, known)
        )
    return AttachError(
        f"{tried}: category {category} has no tracepoint '{name}'",
        errno=2,
        hint=_near(name, events(tracefs, category)),
    )


def _near(word: str, known: list[str]) -> str | None:
    from ebee.text import did_you_mean

    return did_you_mean(word, known)


def _read(path: str, tried: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        raise _unreadable(error, path, tried) from None


def _folder(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError as error:
        raise _unreadable(error, path, "list tracepoints") from None


def _unreadable(error: OSError, path: str, tried: str) -> EbeeError:
    from ebee.errors import NotPermittedError

    number = error.errno or 0
    if number in (1, 13):
        return NotPermittedError(
            f"{tried}: {path} may not be read ({error.strerror})",
            errno=number,
            hint="tracefs belongs to root: run it with sudo",
        )
    return KernelError(f"{tried}: {path} cannot be read ({error.strerror})", errno=number)
