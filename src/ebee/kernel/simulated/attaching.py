"""Attaching by descriptors in the simulated kernel: links, raw tracepoints, perf events, sockets."""

from __future__ import annotations

import errno
from collections.abc import Callable

from ebee.abi.bpf import PERF_EVENT_EVENT, PERF_EVENT_TRACEPOINT, AttachType, LinkType, ProgType
from ebee.errors import KernelError
from ebee.kernel.complaints import (
    iterator_error,
    link_create_error,
    link_detach_error,
    link_tried,
    link_update_error,
    perf_event_attach_error,
    perf_event_enable_error,
    perf_event_open_error,
    raw_tracepoint_error,
    socket_error,
    xdp_error,
)
from ebee.kernel.protocol import LinkCreate, PerfEvent
from ebee.kernel.simulated.devices import CGROUP_SKB, TCX, Seat, cgroup_number
from ebee.kernel.simulated.hooks import Attached
from ebee.kernel.simulated.state import FIRST_FD, State, locked
from ebee.kernel.simulated.things import EventThing, LinkThing, ProgramThing, SocketThing
from ebee.vm.faults import Refusal

_TRACEPOINT_EVENT = 2
_EVENT_TYPES = 6
"""Perf events of hardware, software, tracepoints, caches, raw counters, breakpoints; no dynamic ones here."""
_RAW = (ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE)

_AT_FUNCTIONS = {
    AttachType.TRACE_FENTRY: "fentry",
    AttachType.TRACE_FEXIT: "fexit",
    AttachType.MODIFY_RETURN: "fmod_ret",
    AttachType.LSM_MAC: "lsm",
}
"""Attach types of programs that know their target, and the families of their hooks."""
_NO_REAL_SOCKETS = "the userspace machine hears no real socket: attach to an interface, such as socket:eth0"
_KERNEL_TYPES_ID = 1


class Attaching:
    """The part of the simulated kernel that attaches by descriptors."""

    state: State

    @locked
    def raw_tracepoint_open(self, program_fd: int, name: str | None) -> int:
        """Attach to a raw tracepoint; programs of tracing without a name go to their own target."""
        try:
            program = self.state.get(program_fd, ProgramThing)
            if name is None:
                return self.state.open(_own_target(self.state, program, 0))
            if program.code.type not in _RAW:
                raise Refusal(errno.EINVAL)
            _check_tracepoint(self.state, name)
            return self.state.open(_raw_tracepoint(self.state, program, f"raw_tp:{name}", name))
        except Refusal as refusal:
            raise raw_tracepoint_error(refusal.errno, name) from None

    @locked
    def link_create(self, request: LinkCreate) -> int:
        """Attach by a link."""
        try:
            program = self.state.get(request.program_fd, ProgramThing)
            make = _MAKERS.get(AttachType(request.attach_type))
            if make is None:
                raise Refusal(errno.EOPNOTSUPP, f"no {request.attach_type.name} on the userspace machine yet")
            link = make(self.state, program, request)
            link.cookie = request.cookie
            if "cookie" in link.details:
                link.details["cookie"] = request.cookie
            return self.state.open(link)
        except Refusal as refusal:
            raise self._link_error(refusal, request) from None

    def _link_error(self, refusal: Refusal, request: LinkCreate) -> KernelError:
        error = link_create_error(refusal.errno, request, hint=refusal.detail or None)
        if request.attach_type != AttachType.XDP:
            return error
        shown = [device.shown() for device in self.state.devices]
        return xdp_error(error, link_tried(request), request.target, request.flags, shown)

    @locked
    def link_update(self, link_fd: int, program_fd: int) -> None:
        """Put another program of the same type there."""
        try:
            link = self.state.get(link_fd, LinkThing)
            program = self.state.get(program_fd, ProgramThing)
            if not link.attached:
                raise Refusal(errno.ENOLINK)
            if not link.replaceable or program.code.type is not link.program.code.type:
                raise Refusal(errno.EINVAL)
            link.replace(program)
        except Refusal as refusal:
            raise link_update_error(refusal.errno, link_fd) from None

    @locked
    def link_detach(self, link_fd: int) -> None:
        """Take the program off; the link stays."""
        try:
            link = self.state.get(link_fd, LinkThing)
            if not link.may_be_forced:
                raise Refusal(errno.EOPNOTSUPP)
            link.take_off()
        except Refusal as refusal:
            raise link_detach_error(refusal.errno, link_fd) from None

    def iterator_create(self, link_fd: int) -> int:
        """Nothing in this kernel can be iterated over."""
        try:
            self.state.get(link_fd, LinkThing)
            raise Refusal(errno.EINVAL)
        except Refusal as refusal:
            raise iterator_error(refusal.errno, link_fd) from None

    @locked
    def perf_event_open(self, event: PerfEvent) -> int:
        """An event that happens when it is told to: `emit`."""
        if not 0 <= event.type < _EVENT_TYPES or not _is_known(self.state, event):
            raise perf_event_open_error(errno.ENOENT, event) from None
        self.state.events += 1
        return self.state.open(EventThing(event, self.state.events))

    @locked
    def perf_event_attach(self, event_fd: int, program_fd: int) -> None:
        """Let a program run at an event, without a link."""
        try:
            event = self.state.get(event_fd, EventThing)
            program = self.state.get(program_fd, ProgramThing)
            _check_event(event, program)
            if event.program is not None:
                raise Refusal(errno.EEXIST)
            event.program = program.hold()
            attached = Attached(program, None, lambda: event.enabled)
            event.detach = self.state.hooks.attach(_event_hook(self.state, event.event), attached)
        except Refusal as refusal:
            raise perf_event_attach_error(refusal.errno, event_fd, program_fd) from None

    def perf_event_enable(self, event_fd: int) -> None:
        """Let it happen."""
        try:
            self.state.get(event_fd, EventThing).enabled = True
        except Refusal as refusal:
            raise perf_event_enable_error(refusal.errno, event_fd) from None

    @locked
    def socket_attach(self, socket_fd: int, program_fd: int | None) -> None:
        """Put a filter on a packet socket of this kernel's, or take it off."""
        attaching = program_fd is not None
        try:
            if socket_fd < FIRST_FD:
                raise Refusal(errno.ENOTSOCK, _NO_REAL_SOCKETS)
            socket = self.state.get(socket_fd, SocketThing)
            program = None if program_fd is None else _filter(self.state, program_fd)
            if program is None and socket.program is None:
                raise Refusal(errno.ENOENT)
            socket.set_program(program)
        except Refusal as refusal:
            hint = refusal.detail or None
            raise socket_error(refusal.errno, socket_fd, attaching=attaching, hint=hint) from None

    @locked
    def packet_socket(self, device: str, program_fd: int) -> int:
        """A socket that hears what `receive` brings to an interface."""
        try:
            socket = SocketThing(_filter(self.state, program_fd))
            found = self.state.devices.find(device)
            if found is None:
                raise Refusal(errno.ENODEV)
            found.sockets.append(socket)
            socket.detach = lambda: found.sockets.remove(socket)
            return self.state.open(socket)
        except Refusal as refusal:
            raise socket_error(refusal.errno, -1, attaching=True, hint=refusal.detail or None) from None


# -- links -------------------------------------------------------------------------------------
def _xdp_link(state: State, program: ProgramThing, request: LinkCreate) -> LinkThing:
    if program.code.type is not ProgType.XDP:
        raise Refusal(errno.EINVAL)
    link = LinkThing(LinkType.XDP, program, {"ifindex": request.target})
    seat = Seat(program, link)
    try:
        state.devices.attach_xdp(request.target, seat, request.flags)
    except Refusal:
        program.drop()
        raise
    return _placed(state, link, lambda: _unseat_xdp(state, request.target, seat, link))


def _unseat_xdp(state: State, ifindex: int, seat: Seat, link: LinkThing) -> None:
    state.devices.unseat_xdp(ifindex, seat)
    link.details["ifindex"] = 0


def _tcx_link(state: State, program: ProgramThing, request: LinkCreate) -> LinkThing:
    if program.code.type is not ProgType.SCHED_CLS or request.flags:
        raise Refusal(errno.EINVAL)
    kind = AttachType(request.attach_type)
    link = LinkThing(LinkType.TCX, program, {"ifindex": request.target, "attach_type": int(kind)})
    seat = Seat(program, link)
    try:
        seats = state.devices.attach_tcx(request.target, kind, seat)
    except Refusal:
        program.drop()
        raise

    def take_off() -> None:
        seats.remove(seat)
        link.details["ifindex"] = 0

    return _placed(state, link, take_off)


def _cgroup_link(state: State, program: ProgramThing, request: LinkCreate) -> LinkThing:
    if program.code.type is not ProgType.CGROUP_SKB or request.flags:
        raise Refusal(errno.EINVAL)
    kind = AttachType(request.attach_type)
    number = cgroup_number(request.target)
    link = LinkThing(LinkType.CGROUP, program, {"cgroup_id": number, "attach_type": int(kind)})
    seats = state.devices.cgroups.setdefault((number, kind), [])
    seat = Seat(program, link)
    seats.append(seat)

    def take_off() -> None:
        seats.remove(seat)
        link.details["cgroup_id"] = 0

    return _placed(state, link, take_off)


def _event_link(state: State, program: ProgramThing, request: LinkCreate) -> LinkThing:
    event = state.get(request.target, EventThing)
    _check_event(event, program)
    link = LinkThing(LinkType.PERF_EVENT, program, _event_details(state, event.event, request.cookie))
    link.others = (event.hold(),)
    attached = Attached(program, link, lambda: event.enabled)
    off = state.hooks.attach(_event_hook(state, event.event), attached)
    return _placed(state, link, off, replaceable=False, may_be_forced=False)


def _target_link(state: State, program: ProgramThing, request: LinkCreate) -> LinkThing:
    if program.code.expected_attach_type != request.attach_type:
        raise Refusal(errno.EINVAL)
    return _own_target(state, program, request.cookie)


def _own_target(state: State, program: ProgramThing, cookie: int) -> LinkThing:
    """Attach a program to what it was loaded for: a BTF tracepoint, a function."""
    kind = program.code.expected_attach_type
    if not program.attach_target:
        raise Refusal(errno.EINVAL)
    if kind == AttachType.TRACE_RAW_TP:
        name = program.attach_target
        return _raw_tracepoint(state, program, f"tp_btf:{name}", name)
    family = _AT_FUNCTIONS.get(AttachType(kind))
    if family is None:
        raise Refusal(errno.EOPNOTSUPP)
    details: dict[str, int | str | bytes] = {
        "attach_type": int(kind),
        "target_obj_id": _KERNEL_TYPES_ID,
        "target_btf_id": program.request.attach_btf_id,
        "cookie": cookie,
    }
    link = LinkThing(LinkType.TRACING, program, details)
    off = state.hooks.attach(f"{family}:{program.attach_target}", Attached(program, link, _always))
    return _placed(state, link, off, replaceable=False, may_be_forced=False)


def _raw_tracepoint(state: State, program: ProgramThing, hook: str, name: str) -> LinkThing:
    link = LinkThing(LinkType.RAW_TRACEPOINT, program, {"tp_name": name, "cookie": 0})
    off = state.hooks.attach(hook, Attached(program, link, _always))
    return _placed(state, link, off, replaceable=False, may_be_forced=False)


def _placed(
    state: State,
    link: LinkThing,
    detach: Callable[[], None],
    *,
    replaceable: bool = True,
    may_be_forced: bool = True,
) -> LinkThing:
    link.detach = detach
    link.replaceable = replaceable
    link.may_be_forced = may_be_forced
    state.register(link)
    return link


_Maker = Callable[[State, ProgramThing, LinkCreate], LinkThing]
_MAKERS: dict[AttachType, _Maker] = {
    AttachType.XDP: _xdp_link,
    AttachType.PERF_EVENT: _event_link,
    AttachType.TRACE_RAW_TP: _target_link,
    **dict.fromkeys(map(AttachType, TCX), _tcx_link),
    **dict.fromkeys(map(AttachType, CGROUP_SKB), _cgroup_link),
    **dict.fromkeys(_AT_FUNCTIONS, _target_link),
}


# -- perf events, tracepoints, sockets ---------------------------------------------------------
def _check_tracepoint(state: State, name: str) -> None:
    """Refuse a raw tracepoint that the kernel's types do not name; where there are none, any is taken."""
    from ebee.btf import Kind

    types = state.types()
    if types is not None and types.find(f"btf_trace_{name}", Kind.TYPEDEF) is None:
        raise Refusal(errno.ENOENT)


def _check_event(event: EventThing, program: ProgramThing) -> None:
    wanted = ProgType.TRACEPOINT if event.event.type == _TRACEPOINT_EVENT else ProgType.PERF_EVENT
    if program.code.type is not wanted:
        raise Refusal(errno.EINVAL)


def _is_known(state: State, event: PerfEvent) -> bool:
    return event.type != _TRACEPOINT_EVENT or state.hooks.tracepoint(event.config) is not None


def _event_hook(state: State, event: PerfEvent) -> str:
    names = state.hooks.tracepoint(event.config) if event.type == _TRACEPOINT_EVENT else None
    if names is None:
        return f"perf_event:{event.type}:{event.config}"
    return f"tracepoint:{names[0]}:{names[1]}"


def _event_details(state: State, event: PerfEvent, cookie: int) -> dict[str, int | str | bytes]:
    names = state.hooks.tracepoint(event.config) if event.type == _TRACEPOINT_EVENT else None
    if names is not None:
        return {"perf_event_type": PERF_EVENT_TRACEPOINT, "tp_name": names[1], "cookie": cookie}
    return {
        "perf_event_type": PERF_EVENT_EVENT,
        "config": event.config,
        "type": event.type,
        "cookie": cookie,
    }


def _filter(state: State, program_fd: int) -> ProgramThing:
    program = state.get(program_fd, ProgramThing)
    if program.code.type is not ProgType.SOCKET_FILTER:
        raise Refusal(errno.EINVAL)
    return program


def _always() -> bool:
    return True
