"""The network's part of the door: interfaces and their XDP programs, traffic control."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from sys import byteorder

from ebee.abi import netlink as abi
from ebee.abi.bpf import XDP_FLAGS_REPLACE
from ebee.errors import KernelError
from ebee.kernel.live.netlink import (
    Message,
    Netlink,
    attributes,
    change,
    explained,
    interface,
    nested,
    number,
    text,
    u32,
)
from ebee.kernel.protocol import NetDevice, TcAction, TcFilter, XdpState

_INTERFACE_BYTES = 16
_TRAFFIC = struct.Struct("=BxxxiIII")

_MODES = {abi.XDP_ATTACHED_DRV: "driver", abi.XDP_ATTACHED_SKB: "generic", abi.XDP_ATTACHED_HW: "offload"}
# Several modes at once: each has its program's id in an attribute of its own.
_IDS = {
    "generic": abi.IFLA_XDP_SKB_PROG_ID,
    "driver": abi.IFLA_XDP_DRV_PROG_ID,
    "offload": abi.IFLA_XDP_HW_PROG_ID,
}
_CLSACT = {
    "clsact/ingress": abi.TC_H_CLSACT & abi.TC_H_MAJ_MASK | abi.TC_H_MIN_INGRESS,
    "clsact/egress": abi.TC_H_CLSACT & abi.TC_H_MAJ_MASK | abi.TC_H_MIN_EGRESS,
}


class Network:
    """The part of the live kernel that speaks netlink."""

    def net_devices(self) -> list[NetDevice]:
        """RTM_GETLINK."""
        try:
            with Netlink() as netlink:
                return [_device(message) for message in netlink.dump(abi.RTM_GETLINK, interface())]
        except OSError as error:
            raise explained(error, "list network devices") from None

    def xdp_attach(self, ifindex: int, program_fd: int, flags: int, expected_fd: int | None = None) -> None:
        """RTM_SETLINK."""
        parts = [u32(abi.IFLA_XDP_FD, program_fd)]
        if expected_fd is not None:
            flags |= XDP_FLAGS_REPLACE
            parts.append(u32(abi.IFLA_XDP_EXPECTED_FD, expected_fd))
        if flags:
            parts.append(u32(abi.IFLA_XDP_FLAGS, flags))
        verb = "attach to XDP of" if program_fd >= 0 else "detach from XDP of"
        body = interface(ifindex) + nested(abi.IFLA_XDP, *parts)
        try:
            change(abi.RTM_SETLINK, body, f"{verb} device {ifindex}", subject="XDP there")
        except KernelError as error:
            raise xdp_error(error, f"{verb} device", ifindex, flags) from None

    def tc_filters(self, ifindex: int) -> list[TcFilter]:
        """RTM_GETTFILTER of every qdisc and class."""
        try:
            with Netlink() as netlink:
                return [
                    found
                    for kind, parent in _places(netlink, ifindex)
                    for message in netlink.dump(abi.RTM_GETTFILTER, _traffic(ifindex, parent))
                    for found in _filters(message, ifindex, kind)
                ]
        except OSError as error:
            raise explained(error, f"list traffic control filters of device {ifindex}") from None


def xdp_error(error: KernelError, tried: str, ifindex: int, flags: int) -> KernelError:
    """Return an error that calls the device by its name: see `ebee.kernel.complaints.xdp_error`."""
    from ebee.kernel import complaints

    try:
        return complaints.xdp_error(error, tried, ifindex, flags, Network().net_devices())
    except KernelError:
        return error


def _device(message: Message) -> NetDevice:
    _, ifindex, flags = struct.unpack_from("=HiI", message.body, 2)
    told = attributes(message.body[_INTERFACE_BYTES:])
    return NetDevice(
        ifindex,
        text(told.get(abi.IFLA_IFNAME, b"")),
        bool(flags & abi.IFF_UP),
        _xdp(attributes(told.get(abi.IFLA_XDP, b""))),
    )


def _xdp(told: dict[int, bytes]) -> tuple[XdpState, ...]:
    attached = number(told.get(abi.IFLA_XDP_ATTACHED, b""))
    if attached == abi.XDP_ATTACHED_MULTI:
        ids = {mode: number(told.get(kind, b"")) for mode, kind in _IDS.items()}
        return tuple(XdpState(mode, program_id) for mode, program_id in ids.items() if program_id)
    mode = _MODES.get(attached)
    return (XdpState(mode, number(told.get(abi.IFLA_XDP_PROG_ID, b""))),) if mode else ()


def _traffic(ifindex: int, parent: int = 0) -> bytes:
    """Return struct tcmsg."""
    return _TRAFFIC.pack(0, ifindex, 0, parent, 0)


def _places(netlink: Netlink, ifindex: int) -> Iterator[tuple[str, int]]:
    """Go through what filters can hang below: the kind of each class and qdisc, and its handle.

    A clsact qdisc has two places of its own; one without a handle (the default one) has none.
    """
    for message in netlink.dump(abi.RTM_GETTCLASS, _traffic(ifindex)):
        _, _, handle, _, _ = _TRAFFIC.unpack_from(message.body)
        yield _kind(message), handle
    for message in netlink.dump(abi.RTM_GETQDISC, _traffic(ifindex)):
        _, owner, handle, _, _ = _TRAFFIC.unpack_from(message.body)
        # The kernel tells those of all devices, whichever it was asked for.
        if owner != ifindex or not handle:
            continue
        kind = _kind(message)
        yield from _CLSACT.items() if kind == "clsact" else ((kind, handle),)


def _kind(message: Message) -> str:
    return text(attributes(message.body[_TRAFFIC.size :]).get(abi.TCA_KIND, b"")) or "unknown"


def _filters(message: Message, ifindex: int, kind: str) -> Iterator[TcFilter]:
    _, _, handle, parent, info = _TRAFFIC.unpack_from(message.body)
    told = attributes(message.body[_TRAFFIC.size :])
    # The kernel names each chain of filters once without options; that is no filter.
    if text(told.get(abi.TCA_KIND, b"")) != "bpf" or abi.TCA_OPTIONS not in told:
        return
    options = attributes(told[abi.TCA_OPTIONS])
    yield TcFilter(
        ifindex=ifindex,
        parent=parent,
        kind=kind,
        handle=handle,
        priority=info >> 16,
        # in network byte order, within a number in the host's
        protocol=int.from_bytes((info & 0xFFFF).to_bytes(2, byteorder), "big"),
        name=text(options.get(abi.TCA_BPF_NAME, b"")),
        program_id=number(options.get(abi.TCA_BPF_ID, b"")),
        actions=tuple(_actions(options.get(abi.TCA_BPF_ACT, b""))),
    )


def _actions(data: bytes) -> Iterator[TcAction]:
    """Go through a filter's actions, those that run a BPF program."""
    for action in attributes(data).values():
        told = attributes(action)
        if text(told.get(abi.TCA_ACT_KIND, b"")) == "bpf":
            options = attributes(told.get(abi.TCA_ACT_OPTIONS, b""))
            yield TcAction(
                text(options.get(abi.TCA_ACT_BPF_NAME, b"")), number(options.get(abi.TCA_ACT_BPF_ID, b""))
            )
