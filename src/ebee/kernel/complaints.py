"""What the door says when a kernel refuses: one wording for each operation, whichever kernel answers.

Each function takes an errno and returns the error to be raised. `filtered` is what `explain` calls so.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Sequence

from ebee.abi.bpf import XDP_FLAGS_HW_MODE, AttachType
from ebee.errors import AttachError, KernelError, MapError
from ebee.kernel.errors import explain, map_needs, map_subject
from ebee.kernel.operations import Operation
from ebee.kernel.protocol import LinkCreate, MapCreate, NetDevice, PerfEvent, RunRequest

# EINVAL of BPF_MAP_CREATE is either: a type that this kernel has not, or sizes that do not fit the
# type. A map of the same type can tell them apart only for some types, so both are named.
_MAP_EINVAL_HINT = (
    "either this kernel has no such map type, or the sizes of key and value, max_entries or flags do not fit"
)
_NETWORK_LINKS = frozenset(
    (AttachType.XDP, AttachType.TCX_INGRESS, AttachType.TCX_EGRESS, AttachType.NETFILTER)
)


def map_create_error(
    number: int, request: MapCreate, *, hint: str | None = None, filtered: bool | None = None
) -> KernelError:
    """BPF_MAP_CREATE."""
    tried = f"create map {request.name}" if request.name else f"create {map_subject(request.type)[:-1]}"
    if number == _errno.EINVAL:
        shape = (
            f"type {map_subject(request.type).split()[0]}, key {request.key_size_bytes} bytes, "
            f"value {request.value_size_bytes} bytes, max_entries {request.max_entries}, "
            f"flags {request.flags:#x}"
        )
        return MapError(
            f"{tried}: the kernel does not take {shape} (EINVAL)",
            errno=_errno.EINVAL,
            hint=hint or _MAP_EINVAL_HINT,
        )
    return explain(
        number,
        tried,
        Operation.MAP_CREATE,
        subject=map_subject(request.type),
        needs=map_needs(request.type),
        hint=hint,
        filtered=filtered,
    )


def map_access_error(
    number: int, tried: str, fd: int, *, hint: str | None = None, filtered: bool | None = None
) -> KernelError:
    """BPF_MAP_LOOKUP_ELEM and its siblings; `tried` is such as `look up a key`."""
    return explain(number, f"{tried} of map (fd {fd})", Operation.MAP_ACCESS, hint=hint, filtered=filtered)


def map_freeze_error(number: int, fd: int, *, filtered: bool | None = None) -> KernelError:
    """BPF_MAP_FREEZE."""
    return explain(number, f"freeze map (fd {fd})", Operation.MAP_ACCESS, filtered=filtered)


def map_memory_error(number: int, fd: int, *, filtered: bool | None = None) -> KernelError:
    """mmap(2)."""
    return explain(number, f"map memory of map (fd {fd})", Operation.MEMORY_MAP, filtered=filtered)


def run_error(
    number: int, request: RunRequest, *, hint: str | None = None, filtered: bool | None = None
) -> KernelError:
    """BPF_PROG_TEST_RUN."""
    tried = f"run program (fd {request.program_fd}) on {len(request.data)} bytes"
    detail = ""
    if number == _errno.EINVAL:
        detail = "the kernel does not take this packet, context or repeat for this type of program"
        hint = hint or "network programs want a packet of at least 14 bytes"
    return explain(
        number,
        tried,
        Operation.TEST_RUN,
        subject="test run for this type of program",
        detail=detail,
        hint=hint,
        filtered=filtered,
    )


def query_error(number: int, attach_type: AttachType, *, filtered: bool | None = None) -> KernelError:
    """BPF_PROG_QUERY."""
    return explain(
        number,
        f"ask which programs are attached at {attach_type.name}",
        Operation.QUERY,
        subject=f"query of {attach_type.name}",
        needs=("CAP_NET_ADMIN",),
        filtered=filtered,
    )


def info_error(number: int, what: str, fd: int, *, filtered: bool | None = None) -> KernelError:
    """BPF_OBJ_GET_INFO_BY_FD; `what` is such as `program`."""
    return explain(number, f"ask about {what} (fd {fd})", Operation.INFO, filtered=filtered)


def close_error(number: int, fd: int, *, filtered: bool | None = None) -> KernelError:
    """close(2)."""
    return explain(number, f"close file descriptor {fd}", Operation.INFO, filtered=filtered)


def pin_error(
    number: int, path: str, folder: str, file_system: str | None, *, filtered: bool | None = None
) -> KernelError:
    """BPF_OBJ_PIN: the kernel says EPERM of another file system and of a dot alike.

    Args:
        folder, file_system: where the path lies, and on what; `bpf` for bpffs, None where it is not there.
    """
    tried = f"pin at {path}"
    if number == _errno.EPERM and file_system not in ("bpf", None):
        return KernelError(
            f"{tried}: {folder} is on {file_system}, expected bpffs (EPERM)",
            errno=number,
            hint=f"use a path below /sys/fs/bpf, or mount it there: mount -t bpf bpf {folder}",
        )
    if number == _errno.EPERM and "." in path.rpartition("/")[2]:
        return KernelError(
            f"{tried}: the name holds a dot, which bpffs does not take (EPERM)",
            errno=number,
            hint="use an underscore",
        )
    return explain(number, tried, Operation.PIN, filtered=filtered)


def open_pin_error(number: int, path: str, *, filtered: bool | None = None) -> KernelError:
    """BPF_OBJ_GET."""
    return explain(number, f"open pin {path}", Operation.OPEN_PIN, filtered=filtered)


def unpin_error(number: int, path: str, *, filtered: bool | None = None) -> KernelError:
    """unlink(2) of a pin."""
    return explain(number, f"remove pin {path}", Operation.OPEN_PIN, filtered=filtered)


def raw_tracepoint_error(number: int, name: str | None, *, filtered: bool | None = None) -> KernelError:
    """BPF_RAW_TRACEPOINT_OPEN."""
    what = f"raw tracepoint {name}" if name else "the place that the program names"
    return explain(
        number, f"attach to {what}", Operation.RAW_TRACEPOINT, needs=("CAP_PERFMON",), filtered=filtered
    )


def link_create_error(
    number: int, request: LinkCreate, *, hint: str | None = None, filtered: bool | None = None
) -> KernelError:
    """BPF_LINK_CREATE."""
    network = request.attach_type in _NETWORK_LINKS
    return explain(
        number,
        f"{link_tried(request)} {request.target}",
        Operation.LINK_CREATE,
        subject=f"links for {request.attach_type.name}",
        needs=("CAP_NET_ADMIN",) if network else ("CAP_PERFMON",),
        hint=hint,
        filtered=filtered,
    )


def link_tried(request: LinkCreate) -> str:
    """Return how the message of a link that was not made begins, up to the target's number."""
    noun = "device" if request.attach_type in _NETWORK_LINKS else "file descriptor"
    return f"attach to {request.attach_type.name} of {noun}"


def link_update_error(number: int, link_fd: int, *, filtered: bool | None = None) -> KernelError:
    """BPF_LINK_UPDATE."""
    tried = f"put another program into link (fd {link_fd})"
    return explain(number, tried, Operation.LINK_UPDATE, filtered=filtered)


def link_detach_error(number: int, link_fd: int, *, filtered: bool | None = None) -> KernelError:
    """BPF_LINK_DETACH."""
    return explain(number, f"detach link (fd {link_fd})", Operation.LINK_DETACH, filtered=filtered)


def iterator_error(number: int, link_fd: int, *, filtered: bool | None = None) -> KernelError:
    """BPF_ITER_CREATE."""
    return explain(number, f"read iterator (fd {link_fd})", Operation.LINK_CREATE, filtered=filtered)


def perf_event_open_error(number: int, event: PerfEvent, *, filtered: bool | None = None) -> KernelError:
    """perf_event_open(2)."""
    return explain(
        number,
        f"open perf event (type {event.type}, config {event.config})",
        Operation.PERF_EVENT_OPEN,
        subject="perf events of that kind",
        needs=("CAP_PERFMON",),
        filtered=filtered,
    )


def perf_event_attach_error(
    number: int, event_fd: int, program_fd: int, *, filtered: bool | None = None
) -> KernelError:
    """PERF_EVENT_IOC_SET_BPF."""
    return explain(
        number,
        f"run program (fd {program_fd}) at perf event (fd {event_fd})",
        Operation.PERF_EVENT_ATTACH,
        needs=("CAP_PERFMON",),
        filtered=filtered,
    )


def perf_event_enable_error(number: int, event_fd: int, *, filtered: bool | None = None) -> KernelError:
    """PERF_EVENT_IOC_ENABLE."""
    return explain(
        number,
        f"enable perf event (fd {event_fd})",
        Operation.PERF_EVENT_ATTACH,
        needs=("CAP_PERFMON",),
        filtered=filtered,
    )


def socket_error(
    number: int,
    socket_fd: int,
    *,
    attaching: bool,
    hint: str | None = None,
    filtered: bool | None = None,
) -> KernelError:
    """SO_ATTACH_BPF and SO_DETACH_BPF."""
    verb = "attach to" if attaching else "detach from"
    return explain(
        number, f"{verb} socket (fd {socket_fd})", Operation.SOCKET_ATTACH, hint=hint, filtered=filtered
    )


def xdp_error(
    error: KernelError, tried: str, ifindex: int, flags: int, devices: Sequence[NetDevice]
) -> KernelError:
    """Return an error that calls the device by its name and says which program holds the place.

    Args:
        tried: how the error's message begins, up to the device's number.
        flags: XDP_FLAGS_* of the attempt.
    """
    device = next((each for each in devices if each.ifindex == ifindex), None)
    if device is None:
        here = ", ".join(f"{each.ifindex} {each.name}" for each in devices)
        found = f"{tried} {ifindex}: there is no device of that number ({error.errno_name})"
        return AttachError(found, errno=error.errno, hint=f"devices here: {here}")
    message = error.message.replace(f"{tried} {ifindex}", f"{tried} {device.name}", 1)
    hint = _xdp_hint(error, device, flags) or error.hint
    return type(error)(message, errno=error.errno, hint=hint)


def _xdp_hint(error: KernelError, device: NetDevice, flags: int) -> str | None:
    if error.errno == _errno.EOPNOTSUPP:
        return f"attach it in generic mode, which every device has: xdpgeneric on {device.name}"
    if error.errno == _errno.EINVAL and flags & XDP_FLAGS_HW_MODE:
        return "offloading takes a driver that can, and a program that was loaded for this device"
    if error.errno in (_errno.EBUSY, _errno.EEXIST) and device.xdp:
        there = " and ".join(f"program {state.program_id} in {state.mode} mode" for state in device.xdp)
        return f"{device.name} runs {there}: detach it first, the link that holds it included"
    return None
