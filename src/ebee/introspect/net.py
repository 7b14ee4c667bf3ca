"""Programs on network interfaces: XDP, traffic control, the flow dissector, netfilter."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ebee.abi.bpf import AttachType, LinkType
from ebee.errors import AttachError, GoneError, KernelError, NotPermittedError, NotSupportedError, notify
from ebee.introspect.objects import each
from ebee.kernel.protocol import Kernel, NetDevice, ObjectKind
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Facts = dict[str, "Any"]

_TCX = {AttachType.TCX_INGRESS: "tcx/ingress", AttachType.TCX_EGRESS: "tcx/egress"}


def describe_network(kernel: Kernel, device: str | None = None) -> Facts:
    """Describe what runs on the interfaces of this network namespace.

    Args:
        device: look at this interface only.

    Returns:
        xdp (devname, ifindex, mode, id), tc (devname, ifindex, kind, name, id; of tcx prog_id and
        link_id instead of id), flow_dissector (id), netfilter (pf, hook, prio, flags, id): lists.

    Raises:
        AttachError: there is no such interface.
    """
    devices = kernel.net_devices() if device is None else [find_named(kernel, device, f"look at {device}")]
    return {
        "xdp": [fact for item in devices for fact in _xdp(item)],
        "tc": [fact for item in devices for fact in _tc(kernel, item)],
        "flow_dissector": _flow_dissector(kernel),
        "netfilter": _netfilter(kernel),
    }


def find_named(kernel: Kernel, name: str, tried: str) -> NetDevice:
    """Return the interface of a name.

    Args:
        tried: what messages begin with.

    Raises:
        AttachError: there is none in this network namespace.
    """
    devices = kernel.net_devices()
    found = next((item for item in devices if item.name == name), None)
    if found is None:
        names = [item.name for item in devices]
        raise AttachError(
            f"{tried}: there is no device '{name}'",
            hint=did_you_mean(name, names) or f"devices here: {', '.join(names)}",
        )
    return found


def _xdp(device: NetDevice) -> Iterator[Facts]:
    for state in device.xdp:
        yield {"devname": device.name, "ifindex": device.ifindex, "mode": state.mode, "id": state.program_id}


def _tc(kernel: Kernel, device: NetDevice) -> Iterator[Facts]:
    place: Facts = {"devname": device.name, "ifindex": device.ifindex}
    for attach_type, kind in _TCX.items():
        for item in _attached(kernel, device.ifindex, attach_type):
            facts = {**place, "kind": kind, "name": _program_name(kernel, item.program_id)}
            facts["prog_id"] = item.program_id
            yield facts | ({"link_id": item.link_id} if item.link_id else {})
    for found in kernel.tc_filters(device.ifindex):
        named = {"name": found.name} if found.name else {}
        yield {**place, "kind": found.kind, **named, "id": found.program_id}


def _attached(kernel: Kernel, target: int, attach_type: AttachType) -> list[Any]:
    """Return what is attached somewhere; nothing on kernels without such hooks (tcx: before 6.6)."""
    try:
        return list(kernel.program_query(target, attach_type))
    except KernelError:
        return []


def _program_name(kernel: Kernel, program_id: int) -> str:
    from ebee.introspect.programs import full_name

    try:
        fd = kernel.open_id(ObjectKind.PROGRAM, program_id)
    except GoneError:
        return ""
    try:
        return full_name(kernel, fd, kernel.program_info(fd))
    finally:
        kernel.close(fd)


def _flow_dissector(kernel: Kernel) -> list[Facts]:
    """The program that takes packets of this network namespace apart. Kernel: told since 5.3."""
    try:
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        found = _attached(kernel, namespace, AttachType.FLOW_DISSECTOR)
    finally:
        os.close(namespace)
    return [{"id": item.program_id} for item in found]


def _netfilter(kernel: Kernel) -> list[Facts]:
    """Netfilter programs; they are links, of all network namespaces. Kernel: since 6.4."""
    from ebee.introspect.netfilter import netfilter_facts

    try:
        infos = [kernel.link_info(fd) for fd in each(kernel, ObjectKind.LINK)]
    except NotPermittedError as error:
        notify(f"netfilter programs are not shown: {error}")
        return []
    except NotSupportedError:
        return []
    return [
        {**netfilter_facts(info), "id": info.program_id} for info in infos if info.type is LinkType.NETFILTER
    ]


def network_lines(facts: Facts) -> Iterator[str]:
    """Yield what runs on the interfaces as lines for people."""
    yield "xdp:"
    for item in facts["xdp"]:
        yield f"{item['devname']}({item['ifindex']}) {item['mode']} id {item['id']}"
    yield from ("", "tc:")
    for item in facts["tc"]:
        yield _tc_line(item)
    yield from ("", "flow_dissector:")
    for item in facts["flow_dissector"]:
        yield f"id {item['id']}"
    yield from ("", "netfilter:")
    for item in facts["netfilter"]:
        yield f"{item['pf']} {item['hook']} prio {item['prio']} id {item['id']}"
    yield ""


def _tc_line(item: Facts) -> str:
    line = f"{item['devname']}({item['ifindex']}) {item['kind']}"
    line += f" {item['name']}" if item.get("name") else ""
    line += f" prog_id {item['prog_id']}" if "prog_id" in item else f" id {item['id']}"
    return line + (f" link_id {item['link_id']}" if "link_id" in item else "")
