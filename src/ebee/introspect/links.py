"""Links: which program is attached where, described as bpftool describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ebee.abi.bpf import (
    PERF_EVENT_EVENT,
    PERF_EVENT_KPROBE,
    PERF_EVENT_KRETPROBE,
    PERF_EVENT_TRACEPOINT,
    PERF_EVENT_UPROBE,
    PERF_EVENT_URETPROBE,
    AttachType,
    LinkType,
)
from ebee.introspect.extras import Extras, extra_lines
from ebee.introspect.objects import each
from ebee.kernel.protocol import Kernel, LinkInfo, ObjectKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Facts = dict[str, "Any"]


def list_links(kernel: Kernel, extras: Extras) -> list[Facts]:
    """Describe every link. Kernel: since 5.8.

    Raises:
        NotPermittedError: it needs CAP_SYS_ADMIN.
    """
    return [describe_link(kernel, fd, extras) for fd in each(kernel, ObjectKind.LINK)]


def describe_link(kernel: Kernel, fd: int, extras: Extras) -> Facts:
    """Describe one link.

    Returns:
        id, type, prog_id, then what its type tells, such as tp_name, devname and ifindex,
        attach_type; then pinned, pids.
    """
    info = kernel.link_info(fd)
    kind = info.type.name.lower() if isinstance(info.type, LinkType) else info.type
    facts: Facts = {"id": info.id, "type": kind}
    if info.type is not LinkType.STRUCT_OPS:
        facts["prog_id"] = info.program_id
    return {**facts, **_own_facts(kernel, info), **extras.of(info.id)}


def _own_facts(kernel: Kernel, info: LinkInfo) -> Facts:
    if not isinstance(info.type, LinkType):
        return {}
    describe = _DESCRIBERS.get(info.type.name)
    return describe(kernel, info) if describe is not None else _told(info)


def _told(info: LinkInfo, *left_out: str) -> Facts:
    """Return what the kernel told, by its own field names; bytes are left out, they are long arrays."""
    return {
        name: attach_type_name(value) if name == "attach_type" and isinstance(value, int) else value
        for name, value in info.details.items()
        if not isinstance(value, bytes) and name not in left_out
    }


def _raw_tracepoint(_: Kernel, info: LinkInfo) -> Facts:
    return {"tp_name": info.details.get("tp_name", "")}


def _tracing(kernel: Kernel, info: LinkInfo) -> Facts:
    from ebee.errors import GoneError
    from ebee.introspect.programs import type_name

    facts: Facts = {}
    try:
        fd = kernel.open_id(ObjectKind.PROGRAM, info.program_id)
    except GoneError:
        pass
    else:
        try:
            facts["prog_type"] = type_name(kernel.program_info(fd).type)
        finally:
            kernel.close(fd)
    return facts | _ordered(_told(info), ("attach_type", "target_obj_id", "target_btf_id"))


def _on_device(kernel: Kernel, info: LinkInfo) -> Facts:
    ifindex = info.details.get("ifindex", 0)
    names = {device.ifindex: device.name for device in kernel.net_devices()}
    # A device may be gone, or in another network namespace.
    name = names.get(ifindex) if isinstance(ifindex, int) else None
    return ({"devname": name} if name else {}) | {"ifindex": ifindex} | _told(info, "ifindex")


def _perf_event(_: Kernel, info: LinkInfo) -> Facts:
    """Describe a perf event by what it is of. Kernel: told since 6.6."""
    details = info.details
    kind = details.get("perf_event_type", 0)
    facts: Facts = {}
    if kind == PERF_EVENT_TRACEPOINT:
        facts = {"tracepoint": details.get("tp_name", "")}
    elif kind in (PERF_EVENT_KPROBE, PERF_EVENT_KRETPROBE):
        facts = {"retprobe": kind == PERF_EVENT_KRETPROBE, "func": details.get("func_name", "")}
        facts["offset"] = details.get("offset", 0)
    elif kind in (PERF_EVENT_UPROBE, PERF_EVENT_URETPROBE):
        facts = {"retprobe": kind == PERF_EVENT_URETPROBE, "file": details.get("file_name", "")}
        facts["offset"] = details.get("offset", 0)
    elif kind == PERF_EVENT_EVENT:
        facts = {"event_type": details.get("type", 0), "event_config": details.get("config", 0)}
    return facts | ({"cookie": details["cookie"]} if details.get("cookie") else {})


def _netfilter(_: Kernel, info: LinkInfo) -> Facts:
    from ebee.introspect.netfilter import netfilter_facts

    return netfilter_facts(info)


def _ordered(facts: Facts, keys: tuple[str, ...]) -> Facts:
    return {key: facts[key] for key in keys if key in facts}


_DESCRIBERS: dict[str, Callable[[Kernel, LinkInfo], Facts]] = {
    "RAW_TRACEPOINT": _raw_tracepoint,
    "TRACING": _tracing,
    "PERF_EVENT": _perf_event,
    "XDP": _on_device,
    "TCX": _on_device,
    "NETKIT": _on_device,
    "NETFILTER": _netfilter,
}


def link_lines(facts: Facts) -> Iterator[str]:
    """Yield a link as lines for people."""
    program = f"  prog {facts['prog_id']}" if "prog_id" in facts else ""
    yield f"{facts['id']}: {facts['type']}{program}"
    own = {key: value for key, value in facts.items() if key not in _COMMON}
    if own:
        yield "\t" + "  ".join(_words(own))
    yield from extra_lines(facts)


_COMMON = ("id", "type", "prog_id", "pinned", "pids")


def _words(own: Facts) -> Iterator[str]:
    if "devname" in own:
        yield f"dev {own.pop('devname')}({own.pop('ifindex')})"
    if "tp_name" in own:
        yield f"tp '{own.pop('tp_name')}'"
    for key, value in own.items():
        yield f"{key} {value}"


def attach_type_name(number: int) -> str | int:
    """Return an attach type as bpftool spells it, such as `trace_raw_tp`; the number where it is new."""
    try:
        return AttachType(number).name.lower()
    except ValueError:
        return number
