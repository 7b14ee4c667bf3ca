"""A packet's way through a simulated interface, past the programs that sit there."""

from __future__ import annotations

import errno

from ebee.abi.bpf import (
    F_BROADCAST,
    F_EXCLUDE_INGRESS,
    TCX_DROP,
    TCX_NEXT,
    TCX_PASS,
    TCX_REDIRECT,
    AttachType,
    MapType,
    ProgType,
    XdpAction,
)
from ebee.kernel.protocol import ObjectKind
from ebee.kernel.simulated.devices import Device, Seat
from ebee.kernel.simulated.runs import Ran, lent, run
from ebee.kernel.simulated.state import State
from ebee.kernel.simulated.things import ProgramThing, SocketThing
from ebee.record import NamedTuple, Record
from ebee.vm.contexts import skb_context, xdp_context
from ebee.vm.faults import Refusal
from ebee.vm.helpers.network import Redirect

_HEADER_BYTES = 14
"""Of Ethernet."""


class Step(NamedTuple):
    """One program that a packet came by.

    Attributes:
        program: its name.
        type, attach_type: say what the return value means.
        return_value: 32 bits without a sign.
    """

    program: str
    type: ProgType
    attach_type: AttachType | int
    return_value: int


class Sent(NamedTuple):
    """A packet that leaves.

    Attributes:
        device: the name of the interface; empty for one that is not there.
        ifindex: its number; 0 for what goes to a CPU or a socket.
    """

    device: str
    ifindex: int
    packet: bytes


class Delivery(Record):
    """What became of a packet.

    Attributes:
        verdict: `pass`, `drop`, `aborted` (an XDP program returned XDP_ABORTED, or what XDP does not
            know), `tx` (out where it came in) or `redirect`.
        packet: its bytes as they were in the end.
        steps: the programs, in the order they ran; socket filters among them.
        sent: copies and the packet itself, where it left by an interface.
        heard: what packet sockets got of it.
    """

    verdict: str
    packet: bytes
    steps: list[Step] = []
    sent: list[Sent] = []
    heard: list[bytes] = []


def receive(state: State, device: Device, packet: bytes, cpu: int) -> Delivery:
    """Let a packet arrive: XDP, packet sockets, tc ingress, cgroups.

    Raises:
        MachineError: a program did what it must not.
        Refusal: EINVAL, the packet is shorter than an Ethernet header.
    """
    delivery = _arrived(packet)
    for mode in ("driver", "generic"):
        if mode in device.xdp and delivery.verdict == "pass":
            _xdp(state, device, device.xdp[mode], delivery, cpu)
    if delivery.verdict != "pass":
        return delivery
    for socket in list(device.sockets):
        _hear(state, device, socket, delivery, cpu)
    _tc(state, device, AttachType.TCX_INGRESS, delivery, cpu)
    if delivery.verdict == "pass":
        _cgroups(state, device, AttachType.CGROUP_INET_INGRESS, delivery, cpu)
    return delivery


def send(state: State, device: Device, packet: bytes, cpu: int) -> Delivery:
    """Let a packet leave: cgroups, tc egress, packet sockets.

    Raises:
        MachineError, Refusal: as `receive`.
    """
    delivery = _arrived(packet)
    _cgroups(state, device, AttachType.CGROUP_INET_EGRESS, delivery, cpu)
    if delivery.verdict == "pass":
        _tc(state, device, AttachType.TCX_EGRESS, delivery, cpu)
    if delivery.verdict == "pass":
        for socket in list(device.sockets):
            _hear(state, device, socket, delivery, cpu)
        delivery.sent.append(Sent(device.name, device.ifindex, delivery.packet))
    return delivery


def _arrived(packet: bytes) -> Delivery:
    if len(packet) < _HEADER_BYTES:
        raise Refusal(errno.EINVAL, f"a packet of {len(packet)} bytes, expected {_HEADER_BYTES} or more")
    return Delivery("pass", bytes(packet))


def _xdp(state: State, device: Device, seat: Seat, delivery: Delivery, cpu: int) -> None:
    memory, program = state.machine.memory, seat.program
    with lent(state, xdp_context(memory, delivery.packet, ingress_ifindex=device.ifindex)) as context:
        ran = run(state, program, context, cpu=cpu)
        assert context.packet is not None
        delivery.packet = bytes(context.packet.bytes())
    _note(delivery, seat, ran)
    action = ran.return_value
    if action == XdpAction.PASS:
        return
    if action == XdpAction.TX:
        delivery.verdict = "tx"
        delivery.sent.append(Sent(device.name, device.ifindex, delivery.packet))
    elif action == XdpAction.REDIRECT:
        _redirect(state, device, ran, delivery)
    else:
        delivery.verdict = "drop" if action == XdpAction.DROP else "aborted"


def _tc(state: State, device: Device, kind: AttachType, delivery: Delivery, cpu: int) -> None:
    """Run the programs of one direction, on one buffer, until one of them decides."""
    seats = list(device.tcx[kind])
    if not seats:
        return
    arrived = device.ifindex if kind is AttachType.TCX_INGRESS else 0
    context = skb_context(
        state.machine.memory,
        delivery.packet,
        ProgType.SCHED_CLS,
        ifindex=device.ifindex,
        ingress_ifindex=arrived,
    )
    with lent(state, context):
        for seat in seats:
            ran = run(state, seat.program, context, cpu=cpu)
            assert context.packet is not None
            delivery.packet = bytes(context.packet.bytes())
            _note(delivery, seat, ran)
            _take_copies(state, context.event, delivery)
            number = ran.return_value
            if number in (TCX_PASS, TCX_DROP, TCX_REDIRECT):
                break
            # TCX_NEXT, and whatever tcx does not know
        else:
            number = TCX_NEXT
    if number == TCX_DROP:
        delivery.verdict = "drop"
    elif number == TCX_REDIRECT:
        _redirect(state, device, ran, delivery)


def _take_copies(state: State, event: object, delivery: Delivery) -> None:
    """Send what bpf_clone_redirect() made copies of."""
    copies = getattr(event, "cloned_to", None)
    if not copies:
        return
    for ifindex, _, data in copies:
        delivery.sent.append(_sent(state, ifindex, data))
    copies.clear()


def _cgroups(state: State, device: Device, kind: AttachType, delivery: Delivery, cpu: int) -> None:
    """Run the programs of all cgroups: as if a socket of each had the packet."""
    seats = [s for (_, at), here in state.devices.cgroups.items() if at is kind for s in here]
    for seat in seats:
        context = skb_context(
            state.machine.memory, delivery.packet, ProgType.CGROUP_SKB, ifindex=device.ifindex
        )
        with lent(state, context):
            ran = run(state, seat.program, context, cpu=cpu)
        _note(delivery, seat, ran)
        if not ran.return_value & 1:
            delivery.verdict = "drop"


def _hear(state: State, device: Device, socket: SocketThing, delivery: Delivery, cpu: int) -> None:
    """Let a packet socket have what its filter keeps."""
    program = socket.program
    if program is None:
        socket.heard.append(delivery.packet)
        delivery.heard.append(delivery.packet)
        return
    context = skb_context(
        state.machine.memory,
        delivery.packet,
        ProgType.SOCKET_FILTER,
        from_mac=True,
        ifindex=device.ifindex,
    )
    with lent(state, context):
        ran = run(state, program, context, cpu=cpu)
    _note(delivery, Seat(program), ran)
    if ran.return_value:
        kept = delivery.packet[: ran.return_value]
        socket.heard.append(kept)
        delivery.heard.append(kept)


def _redirect(state: State, device: Device, ran: Ran, delivery: Delivery) -> None:
    """Send a packet where a helper of the program said; without one it is lost."""
    target = ran.outcome.redirected
    if not isinstance(target, Redirect):
        delivery.verdict = "drop"
        return
    delivery.verdict = "redirect"
    for ifindex, program in _targets(state, device, target):
        _leave(state, device, ifindex, program, delivery)


def _targets(state: State, device: Device, target: Redirect) -> list[tuple[int, int]]:
    """Return where a packet goes: numbers of interfaces, each with the program that a map has for it."""
    if target.map_index is None:
        return [(target.ifindex, 0)]
    found = state.machine.maps[target.map_index]
    if found.setup.type not in (MapType.DEVMAP, MapType.DEVMAP_HASH):
        return [(0, 0)]
    if not target.flags & F_BROADCAST:
        key = (target.key & 0xFFFF_FFFF).to_bytes(4, "little")
        return [_port(found.read(key) or b"")]
    ports = [_port(found.read(key) or b"") for key in found.keys()]  # noqa: SIM118  # no dict
    left_out = device.ifindex if target.flags & F_EXCLUDE_INGRESS else 0
    return [port for port in ports if port[0] not in (0, left_out)]


def _port(value: bytes) -> tuple[int, int]:
    """Return the interface's number and the program's id that a map of interfaces holds."""
    return int.from_bytes(value[:4], "little"), int.from_bytes(value[4:8], "little")


def _leave(state: State, device: Device, ifindex: int, program_id: int, delivery: Delivery) -> None:
    """Send a packet by an interface, if the program that its slot in the map has lets it pass."""
    program = state.find(ObjectKind.PROGRAM, program_id)
    packet = delivery.packet
    if isinstance(program, ProgramThing):
        context = xdp_context(
            state.machine.memory, packet, ingress_ifindex=device.ifindex, egress_ifindex=ifindex
        )
        with lent(state, context):
            ran = run(state, program, context)
            assert context.packet is not None
            packet = bytes(context.packet.bytes())
        _note(delivery, Seat(program), ran)
        if ran.return_value != XdpAction.PASS:
            return
    delivery.sent.append(_sent(state, ifindex, packet))


def _sent(state: State, ifindex: int, packet: bytes) -> Sent:
    device = state.devices.find(ifindex)
    return Sent("" if device is None else device.name, ifindex, packet)


def _note(delivery: Delivery, seat: Seat, ran: Ran) -> None:
    code = seat.program.code
    delivery.steps.append(Step(code.name, code.type, code.expected_attach_type, ran.return_value))
