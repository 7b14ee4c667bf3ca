"""Interfaces as places to attach to."""

from __future__ import annotations

from ebee.errors import AttachError, notify
from ebee.kernel.protocol import Kernel, NetDevice
from ebee.spec import AttachPoint
from ebee.text import did_you_mean


def find_device(kernel: Kernel, program: str, point: AttachPoint) -> NetDevice:
    """Return the interface that a point names.

    Raises:
        AttachError: there is none of that name in this network namespace.
    """
    devices = kernel.net_devices()
    for device in devices:
        if device.name == point.target:
            return device
    names = [device.name for device in devices]
    raise AttachError(
        f"attach {program} to {point}: there is no device '{point.target}'",
        hint=did_you_mean(point.target, names) or f"devices here: {', '.join(names)}",
    )


def warn_if_down(device: NetDevice) -> None:
    """Say that nothing will arrive at an interface that is down."""
    if not device.up:
        notify(f"{device.name} is down: no packet will arrive until `ip link set {device.name} up`")
