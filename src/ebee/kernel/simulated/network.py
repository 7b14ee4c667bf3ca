"""The network of the simulated kernel: interfaces made on demand, packets that are handed to them."""

from __future__ import annotations

from ebee.abi.bpf import ProgType
from ebee.errors import AttachError, GoneError, KernelError, SpecError
from ebee.kernel.complaints import xdp_error
from ebee.kernel.errors import explain
from ebee.kernel.operations import Operation
from ebee.kernel.protocol import NetDevice, TcFilter
from ebee.kernel.simulated.delivery import Delivery, receive, send
from ebee.kernel.simulated.devices import Device, Seat
from ebee.kernel.simulated.state import State, locked
from ebee.kernel.simulated.things import ProgramThing
from ebee.text import did_you_mean
from ebee.vm.faults import Refusal

_NONE = -1


class Network:
    """The part of the simulated kernel that is its network."""

    state: State

    def add_device(self, name: str) -> int:
        """Make an interface, up and without programs, and return its number; one that is there stays.

        Raises:
            SpecError: no interface can have that name.
        """
        try:
            return self.state.devices.add(name).ifindex
        except Refusal as refusal:
            raise SpecError(f"add device '{name}': {refusal.detail}") from None

    @locked
    def receive(self, device: str | int, packet: bytes, *, cpu: int = 0) -> Delivery:
        """Let a packet arrive at an interface, and return what became of it.

        It goes by the XDP program, packet sockets, tc ingress (tcx), and the cgroups' ingress programs.

        Args:
            device: the interface's name or number.
            packet: from its Ethernet header on, at least 14 bytes.
            cpu: on which the programs run.

        Raises:
            GoneError: there is no such interface; `add_device` makes it.
            SpecError: the packet is too short.
            MachineError: a program did what it must not; with its line.
        """
        found = self._device(device, "receive on")
        try:
            return receive(self.state, found, packet, cpu)
        except Refusal as refusal:
            raise SpecError(f"receive on {found.name}: {refusal.detail}") from None

    @locked
    def send(self, device: str | int, packet: bytes, *, cpu: int = 0) -> Delivery:
        """Let a packet leave by an interface: by the cgroups' egress programs and tc egress (tcx).

        Raises:
            GoneError, SpecError, MachineError: as `receive`.
        """
        found = self._device(device, "send by")
        try:
            return send(self.state, found, packet, cpu)
        except Refusal as refusal:
            raise SpecError(f"send by {found.name}: {refusal.detail}") from None

    def _device(self, which: str | int, tried: str) -> Device:
        found = self.state.devices.find(which)
        if found is None:
            names = [device.name for device in self.state.devices]
            near = did_you_mean(which, names) if isinstance(which, str) else None
            raise GoneError(
                f"{tried} {which}: the userspace machine has no such device",
                hint=near or f"devices here: {', '.join(names)}; add_device() makes another",
            )
        return found

    # -- the door --------------------------------------------------------------------------------
    def net_devices(self) -> list[NetDevice]:
        """The simulated ones."""
        return [device.shown() for device in self.state.devices]

    @locked
    def xdp_attach(self, ifindex: int, program_fd: int, flags: int, expected_fd: int | None = None) -> None:
        """Attach or detach as netlink does: it stays until it is taken off."""
        verb = "attach to XDP of" if program_fd >= 0 else "detach from XDP of"
        try:
            expected = None if expected_fd is None else self._expected_id(expected_fd)
            if program_fd == _NONE:
                self.state.devices.detach_xdp(ifindex, flags, expected)
                return
            program = self.state.get(program_fd, ProgramThing)
            if program.code.type is not ProgType.XDP:
                import errno

                raise Refusal(errno.EINVAL)
            self.state.devices.attach_xdp(ifindex, Seat(program), flags, expected)
        except Refusal as refusal:
            raise self._xdp_error(refusal.errno, f"{verb} device", ifindex, flags) from None

    def _expected_id(self, fd: int) -> int:
        return 0 if fd == _NONE else self.state.get(fd, ProgramThing).id

    def _xdp_error(self, number: int, tried: str, ifindex: int, flags: int) -> KernelError:
        error = explain(number, f"{tried} {ifindex}", Operation.NETLINK, subject="XDP there")
        return xdp_error(error, tried, ifindex, flags, self.net_devices())

    def tc_filters(self, ifindex: int) -> list[TcFilter]:
        """None: programs sit on tcx here, which has no filters."""
        if self.state.devices.find(ifindex) is None:
            raise AttachError(
                f"list traffic control filters of device {ifindex}: there is no such device (ENODEV)",
                errno=19,
            )
        return []
