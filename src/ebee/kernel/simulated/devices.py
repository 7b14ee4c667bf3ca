"""Simulated interfaces, and which programs sit where on them."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator

from ebee.abi.bpf import (
    XDP_FLAGS_DRV_MODE,
    XDP_FLAGS_HW_MODE,
    XDP_FLAGS_SKB_MODE,
    XDP_FLAGS_UPDATE_IF_NOEXIST,
    AttachType,
)
from ebee.kernel.protocol import AttachedProgram, NetDevice, XdpState
from ebee.kernel.simulated.things import LinkThing, ProgramThing, SocketThing
from ebee.record import Record
from ebee.vm.faults import Refusal

LOOPBACK = "lo"
TCX = (AttachType.TCX_INGRESS, AttachType.TCX_EGRESS)
CGROUP_SKB = (AttachType.CGROUP_INET_INGRESS, AttachType.CGROUP_INET_EGRESS)
_MODE_FLAGS = {"driver": XDP_FLAGS_DRV_MODE, "generic": XDP_FLAGS_SKB_MODE, "offload": XDP_FLAGS_HW_MODE}
_MODES = XDP_FLAGS_DRV_MODE | XDP_FLAGS_SKB_MODE | XDP_FLAGS_HW_MODE
_MOST_NAME_BYTES = 15


class Seat(Record):
    """A program at a place; of a link, whichever program the link runs now."""

    attached: ProgramThing
    link: LinkThing | None = None

    @property
    def program(self) -> ProgramThing:
        """The program that runs here."""
        return self.attached if self.link is None else self.link.program


class Device:
    """An interface.

    Attributes:
        xdp: by mode, `driver` or `generic`.
        tcx: programs in the order they run.
        sockets: that hear what arrives.
    """

    def __init__(self, ifindex: int, name: str) -> None:
        self.ifindex = ifindex
        self.name = name
        self.up = True
        self.xdp: dict[str, Seat] = {}
        self.tcx: dict[AttachType, list[Seat]] = {AttachType(kind): [] for kind in TCX}
        self.sockets: list[SocketThing] = []

    def shown(self) -> NetDevice:
        """Return it as the door shows it."""
        states = (XdpState(mode, seat.program.id) for mode, seat in sorted(self.xdp.items()))
        return NetDevice(self.ifindex, self.name, self.up, tuple(states))


class Devices:
    """All interfaces of a simulated kernel, and its cgroups.

    Attributes:
        cgroups: programs at cgroups, by the cgroup's number and the attach type.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_index: dict[int, Device] = {}
        self.cgroups: dict[tuple[int, AttachType], list[Seat]] = {}
        for name in dict.fromkeys((LOOPBACK, *names)):
            self.add(name)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._by_index.values())

    def add(self, name: str) -> Device:
        """Make an interface; one of that name that is there is returned as it is.

        Raises:
            Refusal: EINVAL, no interface can have that name.
        """
        for device in self:
            if device.name == name:
                return device
        if not 0 < len(name.encode()) <= _MOST_NAME_BYTES or "/" in name or name.split() != [name]:
            raise Refusal(errno.EINVAL, f"a device's name has 1 to {_MOST_NAME_BYTES} characters, no blanks")
        device = Device(max(self._by_index, default=0) + 1, name)
        self._by_index[device.ifindex] = device
        return device

    def find(self, which: int | str) -> Device | None:
        """Return an interface by its number or its name."""
        if isinstance(which, int):
            return self._by_index.get(which)
        return next((device for device in self if device.name == which), None)

    def query(self, target: int, attach_type: AttachType) -> list[AttachedProgram]:
        """Return what is attached at an interface, or a cgroup's descriptor.

        Raises:
            Refusal: ENODEV, EBADF: there is no such place; EINVAL: nothing is attached by that type here.
        """
        if attach_type in TCX:
            device = self.find(target)
            if device is None:
                raise Refusal(errno.ENODEV)
            return [_row(seat) for seat in device.tcx[attach_type]]
        if attach_type in CGROUP_SKB:
            return [_row(seat) for seat in self.cgroups.get((cgroup_number(target), attach_type), ())]
        if attach_type is AttachType.FLOW_DISSECTOR:
            return []
        raise Refusal(errno.EINVAL)

    # -- attaching -------------------------------------------------------------------------------
    def attach_xdp(self, ifindex: int, seat: Seat, flags: int, expected: int | None = None) -> str:
        """Put an XDP program on an interface and return the mode it runs in.

        Args:
            expected: the id of the program that must be there now, 0 for none; None where it is not asked.

        Raises:
            Refusal: with the errno of the kernel's.
        """
        device = self._device(ifindex, errno.EINVAL if seat.link is not None else errno.ENODEV)
        mode = _mode(device, flags)
        there = device.xdp.get(mode)
        if there is not None and (there.link is not None or seat.link is not None):
            raise Refusal(errno.EBUSY)
        _check_expected(there, expected, flags)
        if any(other != mode for other in device.xdp):
            raise Refusal(errno.EEXIST)
        self._seat_xdp(device, mode, seat)
        return mode

    def detach_xdp(self, ifindex: int, flags: int, expected: int | None = None) -> None:
        """Take off what netlink put there; nothing is done where nothing is.

        Raises:
            Refusal: EBUSY for what a link holds; as `attach_xdp`.
        """
        device = self._device(ifindex, errno.ENODEV)
        mode = _mode(device, flags)
        if not flags & _MODES and mode not in device.xdp and device.xdp:
            mode = next(iter(device.xdp))
        there = device.xdp.get(mode)
        if there is not None and there.link is not None:
            raise Refusal(errno.EBUSY)
        _check_expected(there, expected, flags)
        if there is not None:
            del device.xdp[mode]
            there.attached.drop()

    def unseat_xdp(self, ifindex: int, seat: Seat) -> None:
        """Take a link's program off."""
        device = self._by_index.get(ifindex)
        if device is not None:
            device.xdp = {mode: other for mode, other in device.xdp.items() if other is not seat}

    def attach_tcx(self, ifindex: int, attach_type: AttachType, seat: Seat) -> list[Seat]:
        """Put a program behind those of an interface and return the list it is in.

        Raises:
            Refusal: ENODEV; EEXIST, the same program is there already.
        """
        seats = self._device(ifindex, errno.ENODEV).tcx[attach_type]
        if any(other.program is seat.program for other in seats):
            raise Refusal(errno.EEXIST)
        seats.append(seat)
        return seats

    def _seat_xdp(self, device: Device, mode: str, seat: Seat) -> None:
        before = device.xdp.get(mode)
        if seat.link is None:
            seat.attached.hold()
        device.xdp[mode] = seat
        if before is not None:
            before.attached.drop()

    def _device(self, ifindex: int, number: int) -> Device:
        device = self._by_index.get(ifindex)
        if device is None:
            raise Refusal(number)
        return device


def cgroup_number(fd: int) -> int:
    """Return the number of the folder that a descriptor of the operating system's is of.

    Raises:
        Refusal: EBADF, it is not open.
    """
    import os

    try:
        return os.fstat(fd).st_ino
    except (OSError, OverflowError):
        raise Refusal(errno.EBADF) from None


def _mode(device: Device, flags: int) -> str:
    """Return the mode that flags ask for: a driver's, but on the loopback, which has none."""
    asked = [mode for mode, flag in _MODE_FLAGS.items() if flags & flag]
    if len(asked) > 1:
        raise Refusal(errno.EINVAL)
    mode = asked[0] if asked else "generic" if device.name == LOOPBACK else "driver"
    if mode == "offload":
        raise Refusal(errno.EINVAL)
    if mode == "driver" and device.name == LOOPBACK:
        raise Refusal(errno.EOPNOTSUPP)
    return mode


def _check_expected(there: Seat | None, expected: int | None, flags: int) -> None:
    if expected is not None and (0 if there is None else there.program.id) != expected:
        raise Refusal(errno.EEXIST)
    if flags & XDP_FLAGS_UPDATE_IF_NOEXIST and there is not None:
        raise Refusal(errno.EBUSY)


def _row(seat: Seat) -> AttachedProgram:
    return AttachedProgram(seat.program.id, 0 if seat.link is None else seat.link.id)
