"""Walking through the kernel's objects by id, and where they are pinned."""

from __future__ import annotations

from collections.abc import Iterator

from ebee.errors import GoneError, KernelError
from ebee.kernel.protocol import Kernel, ObjectKind

Pins = dict[int, list[str]]


def each(kernel: Kernel, kind: ObjectKind) -> Iterator[int]:
    """Yield a descriptor of every object of a kind, in the order of ids; closed when the next is asked for.

    An object that goes away between being found and being opened is left out.

    Raises:
        NotPermittedError: walking through ids needs CAP_SYS_ADMIN.
    """
    object_id = kernel.next_id(kind, 0)
    while object_id is not None:
        try:
            fd = kernel.open_id(kind, object_id)
        except GoneError:
            pass
        else:
            try:
                yield fd
            finally:
                kernel.close(fd)
        object_id = kernel.next_id(kind, object_id)


def pins(kernel: Kernel, kind: ObjectKind) -> Pins:
    """Return the paths in all bpffs that can be seen under which objects are pinned, by id."""
    found: Pins = {}
    for path in kernel.pinned_paths():
        object_id = _pinned_id(kernel, path, kind)
        if object_id is not None:
            found.setdefault(object_id, []).append(path)
    return found


def _pinned_id(kernel: Kernel, path: str, kind: ObjectKind) -> int | None:
    """Return the id of what is pinned at a path; None where it is of another kind, or gone."""
    try:
        fd = kernel.open_pin(path)
    except KernelError:
        return None
    try:
        return object_id(kernel, fd, kind) if kernel.kind_of(fd) is kind else None
    except KernelError:
        return None
    finally:
        kernel.close(fd)


def object_id(kernel: Kernel, fd: int, kind: ObjectKind) -> int:
    """Return the id of an open object."""
    if kind is ObjectKind.PROGRAM:
        return kernel.program_info(fd).id
    if kind is ObjectKind.MAP:
        return kernel.map_info(fd).id
    return kernel.link_info(fd).id if kind is ObjectKind.LINK else kernel.btf_info(fd).id
