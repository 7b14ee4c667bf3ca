"""What the errnos of each operation mean: tables that `ebee.kernel.errors` looks into.

Source: kernel/bpf/syscall.c, kernel/bpf/inode.c, kernel/events/core.c, net/core/dev.c.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Mapping
from types import MappingProxyType

from ebee.errors import AttachError, KernelError, MapError, NotSupportedError
from ebee.kernel.operations import Operation
from ebee.record import NamedTuple

ENOTSUPP = 524
"""The kernel's own "operation not supported", which libc does not know."""
EBADFD = 77
"""Linux's number; other systems, where the simulated kernel runs, have no such errno."""


class Finding(NamedTuple):
    """What an errno means for one operation: what was found, and what to do about it."""

    found: str
    hint: str | None = None
    error: type[KernelError] | None = None


_NO_FINDINGS: Mapping[int, Finding] = MappingProxyType({})


class Meaning(NamedTuple):
    """What the errnos of one operation mean.

    Attributes:
        error: the class of errors that have no class of their own.
        unsupported: errnos that say the kernel has no such thing.
        findings: errnos with a meaning of their own here; before `unsupported`.
    """

    error: type[KernelError] = KernelError
    unsupported: tuple[int, ...] = (_errno.ENOSYS,)
    findings: Mapping[int, Finding] = _NO_FINDINGS


_ANYTHING = Meaning()
_GONE_FD = Finding("the file descriptor is not of that kind, or was closed")
_NO_MEMORY = Finding(
    "the kernel has no memory for it", "make it smaller, or raise the memory limit of this cgroup"
)

_PROGRAM_LOAD = Meaning(
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP),
    findings={
        _errno.E2BIG: Finding(
            "the program is too long, or uses a field that this kernel does not know",
            "the kernel takes 1 million instructions with CAP_BPF, 4096 without",
        ),
        _errno.ENOSPC: Finding("the verifier's log is longer than the room for it"),
        _errno.ENOMEM: _NO_MEMORY,
        _errno.EAGAIN: Finding("the verifier was interrupted", "try again"),
    },
)
_BTF_LOAD = Meaning(
    unsupported=(_errno.ENOSYS,),
    findings={_errno.E2BIG: Finding("the BTF is larger than this kernel takes"), _errno.ENOMEM: _NO_MEMORY},
)
_TEST_RUN = Meaning(
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP),
    findings={
        _errno.ENOSPC: Finding("the program's output is longer than the room for it"),
        _errno.EFAULT: Finding("the packet is shorter than the kernel needs", "give at least 14 bytes"),
    },
)
_QUERY = Meaning(unsupported=(_errno.ENOSYS, _errno.EINVAL))
_MAP_CREATE = Meaning(
    MapError,
    findings={
        _errno.E2BIG: Finding(
            "the map is too large, or uses a field that this kernel does not know",
            "lower max_entries or the size of a value",
        ),
        _errno.ENOMEM: _NO_MEMORY,
        ENOTSUPP: Finding("its BTF describes what maps of this type do not take", error=MapError),
        _errno.EBADF: _GONE_FD,
    },
)
_MAP_ACCESS = Meaning(
    MapError,
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP),
    findings={
        _errno.E2BIG: Finding("the key or index is beyond max_entries, or the map is full"),
        _errno.EEXIST: Finding("the key is there already, and BPF_NOEXIST was asked for"),
        _errno.ENOENT: Finding("the key is not there"),
        _errno.EBADF: _GONE_FD,
        _errno.ENOMEM: _NO_MEMORY,
        _errno.EBUSY: Finding(
            "the map is busy: it is mapped into memory, frozen or being changed", "try again"
        ),
        _errno.EPERM: Finding(
            "the map cannot be written or read that way from user space: it is frozen or has BPF_F_RDONLY or "
            "BPF_F_WRONLY",
            "frozen maps, such as .rodata, are set before they are loaded",
            MapError,
        ),
    },
)
_OPEN_ID = Meaning(findings={_errno.EAGAIN: Finding("it is being made or removed", "try again")})
_PIN = Meaning(
    findings={
        _errno.EEXIST: Finding("the name is taken", "choose another name, or remove the file"),
        _errno.ENOENT: Finding("the folder is not there", "make it first with mkdir"),
        _errno.EPERM: Finding(
            "the folder is not on bpffs",
            "use a path below /sys/fs/bpf, or mount one: mount -t bpf bpf FOLDER",
        ),
        _errno.EINVAL: Finding(
            "the name holds a dot, or the file descriptor is of nothing that can be pinned"
        ),
        _errno.ENOTDIR: Finding("a part of the path is not a folder"),
        _errno.ENAMETOOLONG: Finding("the name is too long"),
        _errno.EBADF: _GONE_FD,
    }
)
_OPEN_PIN = Meaning(
    findings={
        _errno.ENOENT: Finding("there is no such file", "list what is pinned with: ls -R /sys/fs/bpf"),
        _errno.EACCES: Finding("it is a file, but nothing is pinned there; or its permissions say no"),
        _errno.ENOTDIR: Finding("a part of the path is not a folder"),
        _errno.EINVAL: Finding("the flags do not fit what is pinned there"),
    }
)
_INFO = Meaning(
    findings={_errno.EBADF: _GONE_FD, EBADFD: _GONE_FD, _errno.EINVAL: Finding("it is not of that kind")}
)
_RAW_TRACEPOINT = Meaning(
    AttachError,
    findings={
        _errno.ENOENT: Finding("there is no such raw tracepoint"),
        _errno.EINVAL: Finding("the program is not of a kind that goes there"),
        _errno.EBUSY: Finding("a program is attached there already and lets no other in"),
        _errno.EBADF: _GONE_FD,
        # raw tracepoints reach no further than 12 arguments; more is a program that reads too far
        _errno.E2BIG: Finding("the program reads or writes beyond the tracepoint's arguments"),
    },
)
_LINK_CREATE = Meaning(
    AttachError,
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP),
    findings={
        _errno.EBUSY: Finding("another program is attached there already", "detach it first"),
        _errno.EEXIST: Finding("a program is attached there already", "detach it first"),
        _errno.ENODEV: Finding("there is no such device"),
        _errno.EINVAL: Finding("the program, the place and the flags do not fit together"),
        _errno.ENOENT: Finding("the place is not there"),
        _errno.EBADF: _GONE_FD,
        _errno.E2BIG: Finding("no more programs go there"),
    },
)
_LINK_UPDATE = Meaning(
    AttachError,
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP),
    findings={
        _errno.EINVAL: Finding("this kind of link does not take another program, or not of that type"),
        _errno.ENOLINK: Finding("the place it was attached to is gone"),
        _errno.EPERM: Finding("the link runs another program than expected", error=AttachError),
        _errno.EBADF: _GONE_FD,
    },
)
_LINK_DETACH = Meaning(
    AttachError,
    unsupported=(_errno.ENOSYS,),
    findings={
        _errno.EOPNOTSUPP: Finding(
            "links of this kind cannot be detached by force",
            "close its descriptor, or remove its pin",
            NotSupportedError,
        ),
        _errno.EINVAL: Finding("this kernel does not detach links, or the descriptor is of no link"),
        _errno.EBADF: _GONE_FD,
    },
)
_PERF_EVENT_OPEN = Meaning(
    AttachError,
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP),
    findings={
        _errno.ENOENT: Finding(
            "this kernel has no such event", "`ebee doctor` lists the hooks of this kernel", NotSupportedError
        ),
        _errno.EINVAL: Finding("the event's attributes do not fit together"),
        _errno.ESRCH: Finding("there is no such process"),
        _errno.ENODEV: Finding("the processor has no such event", error=NotSupportedError),
        _errno.EMFILE: Finding("too many files are open", "raise the limit: ulimit -n"),
        _errno.EBUSY: Finding("the event is used exclusively by somebody else"),
    },
)
_PERF_EVENT_ATTACH = Meaning(
    AttachError,
    findings={
        _errno.EEXIST: Finding("a program is attached to this event already"),
        _errno.EINVAL: Finding("the program is not of a kind that goes there"),
        _errno.E2BIG: Finding("no more programs go there: a tracepoint takes 64"),
        _errno.EACCES: Finding("the program reads beyond the tracepoint's fields", error=AttachError),
        _errno.EBADF: _GONE_FD,
    },
)
_SOCKET_ATTACH = Meaning(
    AttachError,
    findings={
        _errno.ENOENT: Finding("no program is attached to the socket"),
        _errno.EINVAL: Finding("the program is not a socket filter"),
        _errno.EPERM: Finding("the socket's filter is locked (SO_LOCK_FILTER)", error=AttachError),
        _errno.ENOTSOCK: Finding("the file descriptor is not of a socket"),
        _errno.ENOMEM: Finding("the socket's option memory is used up", "raise net.core.optmem_max"),
        _errno.EBADF: _GONE_FD,
    },
)
_NETLINK = Meaning(
    AttachError,
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP, _errno.EPROTONOSUPPORT),
    findings={
        _errno.EBUSY: Finding("another program is attached there already", "detach it first"),
        _errno.EEXIST: Finding(
            "a program is attached there already, or in another mode",
            "detach it first, or name the mode it was attached in",
        ),
        _errno.ENODEV: Finding("there is no such device"),
        _errno.EINVAL: Finding("the kernel does not take these arguments"),
        _errno.ENOENT: Finding("the place is not there"),
        _errno.EBADF: _GONE_FD,
    },
)
_DEVICE = Meaning(
    unsupported=(_errno.ENOSYS, _errno.EOPNOTSUPP, ENOTSUPP),
    findings={
        _errno.EEXIST: Finding("a device of that name is there already", "choose another name"),
        _errno.ENODEV: Finding("there is no such device"),
        _errno.EINVAL: Finding("the kernel does not take these arguments"),
        _errno.ERANGE: Finding("the name is too long", "a device's name has at most 15 characters"),
    },
)
_MOUNT = Meaning(
    unsupported=(_errno.ENOSYS, _errno.ENODEV),
    findings={
        _errno.ENOENT: Finding("the folder is not there", "make it first with mkdir"),
        _errno.EBUSY: Finding("something is mounted there already"),
        _errno.ENOTDIR: Finding("it is not a folder"),
    },
)
_UNMOUNT = Meaning(
    findings={
        _errno.EINVAL: Finding("nothing is mounted there"),
        _errno.ENOENT: Finding("the folder is not there"),
    }
)
_NAMESPACE = Meaning(
    unsupported=(_errno.ENOSYS, _errno.EINVAL),
    findings={_errno.ENOSPC: Finding("there are as many namespaces as user.max_net_namespaces allows")},
)
_MEMORY_MAP = Meaning(
    MapError,
    unsupported=(_errno.ENOSYS, _errno.ENODEV, ENOTSUPP),
    findings={
        _errno.EINVAL: Finding("the map was not made with BPF_F_MMAPABLE, or is shorter"),
        _errno.EPERM: Finding(
            "the map is frozen or read-only, and writing was asked for",
            "map it for reading",
            MapError,
        ),
        _errno.EACCES: Finding("the descriptor does not allow that access", error=MapError),
    },
)
MEANINGS: Mapping[Operation, Meaning] = MappingProxyType(
    {
        Operation.ANYTHING: _ANYTHING,
        Operation.PROGRAM_LOAD: _PROGRAM_LOAD,
        Operation.BTF_LOAD: _BTF_LOAD,
        Operation.TEST_RUN: _TEST_RUN,
        Operation.QUERY: _QUERY,
        Operation.MAP_CREATE: _MAP_CREATE,
        Operation.MAP_ACCESS: _MAP_ACCESS,
        Operation.OPEN_ID: _OPEN_ID,
        Operation.PIN: _PIN,
        Operation.OPEN_PIN: _OPEN_PIN,
        Operation.INFO: _INFO,
        Operation.RAW_TRACEPOINT: _RAW_TRACEPOINT,
        Operation.LINK_CREATE: _LINK_CREATE,
        Operation.LINK_UPDATE: _LINK_UPDATE,
        Operation.LINK_DETACH: _LINK_DETACH,
        Operation.PERF_EVENT_OPEN: _PERF_EVENT_OPEN,
        Operation.PERF_EVENT_ATTACH: _PERF_EVENT_ATTACH,
        Operation.SOCKET_ATTACH: _SOCKET_ATTACH,
        Operation.NETLINK: _NETLINK,
        Operation.DEVICE: _DEVICE,
        Operation.MOUNT: _MOUNT,
        Operation.UNMOUNT: _UNMOUNT,
        Operation.NAMESPACE: _NAMESPACE,
        Operation.MEMORY_MAP: _MEMORY_MAP,
    }
)
