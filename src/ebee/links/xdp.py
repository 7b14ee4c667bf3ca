"""XDP: a program on an interface, before the kernel makes a packet buffer.

By a kernel link, which goes with the process (since 5.9); by netlink, as `net attach` does, which
stays until somebody detaches it.
"""

from __future__ import annotations

import errno as _errno

from ebee.abi.bpf import AttachType
from ebee.errors import AttachError, NotSupportedError
from ebee.kernel.protocol import Kernel, LinkCreate, NetDevice
from ebee.links.devices import find_device, warn_if_down, xdp_link_on
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint

FLAGS_UPDATE_IF_NOEXIST = 1 << 0
# Which mode a family asks for (XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE);
# "xdp" leaves the choice to the kernel.
MODE_FLAGS = {"xdp": 0, "xdpgeneric": 1 << 1, "xdpdrv": 1 << 2, "xdpoffload": 1 << 3}


def attach(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    """Attach by a kernel link; by netlink where the kernel has no links for XDP.

    Raises:
        AttachError: no such interface, a program is there already, the driver cannot.
    """
    device = find_device(kernel, program.name, point)
    warn_if_down(device)
    mode = MODE_FLAGS[point.family]
    try:
        return _attach_by_link(kernel, program, point, device, mode)
    except AttachError as error:
        raise explained(kernel, program.name, point, error) from None


def _attach_by_link(
    kernel: Kernel, program: ProgramHandle, point: AttachPoint, device: NetDevice, mode: int
) -> Link:
    try:
        fd = kernel.link_create(LinkCreate(program.fd, device.ifindex, AttachType.XDP, mode))
    except NotSupportedError:
        return _attach_by_netlink(kernel, program, point, device, mode)
    return Link(kernel, point, program.name, fd=fd)


def _attach_by_netlink(
    kernel: Kernel, program: ProgramHandle, point: AttachPoint, device: NetDevice, mode: int
) -> Link:
    program_id = kernel.program_info(program.fd).id
    kernel.xdp_attach(device.ifindex, program.fd, mode | FLAGS_UPDATE_IF_NOEXIST)

    def undo() -> None:
        # By now the device may be gone, or run somebody else's program, which is to stay.
        there = next((d for d in kernel.net_devices() if d.ifindex == device.ifindex), None)
        if there is not None and any(state.program_id == program_id for state in there.xdp):
            kernel.xdp_attach(device.ifindex, -1, mode)

    return Link(kernel, point, program.name, undo=undo)


def explained(kernel: Kernel, program: str, point: AttachPoint, error: AttachError) -> AttachError:
    """Return an error that also says which program holds the place, where that is why."""
    device = next((d for d in kernel.net_devices() if d.name == point.target), None)
    if device is None or not device.xdp or error.errno not in (_errno.EBUSY, _errno.EEXIST):
        return error
    there = ", ".join(f"program id {state.program_id} ({state.mode} mode)" for state in device.xdp)
    link_id = xdp_link_on(kernel, device.ifindex)
    if link_id is None:
        hint = f"detach it first: ebee net detach xdp dev {device.name}"
    else:
        hint = f"end the process that made link id {link_id}, or: ebee link detach id {link_id}"
    return AttachError(
        f"attach {program} to {point}: {device.name} already runs {there}", errno=error.errno, hint=hint
    )
