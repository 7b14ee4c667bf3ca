"""Interfaces as places to attach to, and who holds them."""

from __future__ import annotations

from ebee.abi.bpf import LinkType
from ebee.errors import AttachError, EbeeError, notify
from ebee.kernel.protocol import Kernel, NetDevice, ObjectKind
from ebee.spec import AttachPoint
from ebee.text import did_you_mean


def find_device(kernel: Kernel, program: str, point: AttachPoint) -> NetDevice:
    """Return the interface that a point names.

    Raises:
        AttachError: there is none of that name in this network namespace, or the point names none.
    """
    devices = kernel.net_devices()
    for device in devices:
        if device.name == point.target:
            return device
    names = [device.name for device in devices]
    here = f"devices here: {', '.join(names)}"
    if not point.target:
        raise AttachError(
            f"attach {program} to {point}: no device is named, expected {point.family}:DEVICE", hint=here
        )
    raise AttachError(
        f"attach {program} to {point}: there is no device '{point.target}'",
        hint=did_you_mean(point.target, names) or here,
    )


def warn_if_down(device: NetDevice) -> None:
    """Say that nothing will arrive at an interface that is down."""
    if not device.up:
        notify(f"{device.name} is down: no packet will arrive until `ip link set {device.name} up`")


def xdp_link_on(kernel: Kernel, ifindex: int) -> int | None:
    """Return the id of the kernel link that holds an interface's XDP program; None where none is found."""
    link_id: int | None = 0
    try:
        while (link_id := kernel.next_id(ObjectKind.LINK, link_id or 0)) is not None:
            fd = kernel.open_id(ObjectKind.LINK, link_id)
            try:
                info = kernel.link_info(fd)
            finally:
                kernel.close(fd)
            if info.type == LinkType.XDP and info.details.get("ifindex") == ifindex:
                return link_id
    except EbeeError:
        pass  # it makes a hint better, no more
    return None
