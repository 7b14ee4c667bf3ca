"""Attaching by file descriptors: links, raw tracepoints, perf events, sockets."""

from __future__ import annotations

import errno as _errno
import os
from sys import byteorder

from ebee.abi.bpf import AttachType, Command
from ebee.abi.layouts import (
    ATTR_ITER_CREATE,
    ATTR_LINK_CREATE,
    ATTR_LINK_DETACH,
    ATTR_LINK_UPDATE,
    ATTR_RAW_TRACEPOINT_OPEN,
    PERF_EVENT_ATTR,
)
from ebee.errors import KernelError
from ebee.kernel.live.command import bpf, complaint, explained
from ebee.kernel.live.syscall import address, call, numbers
from ebee.kernel.operations import Operation
from ebee.kernel.protocol import LinkCreate, PerfEvent

PERF_FLAG_FD_CLOEXEC = 8
# _IO('$', 0) and _IOW('$', 8, __u32), the same on x86-64 and arm64.
PERF_EVENT_IOC_ENABLE = 0x2400
PERF_EVENT_IOC_SET_BPF = 0x40042408
SOL_SOCKET = 1
SO_ATTACH_BPF = 50
SO_DETACH_BPF = 27
_ETH_P_ALL = 3

# Kernel functions that make the links of an attach type; a kernel without the function has no such links.
_LINK_FUNCTIONS = {AttachType.XDP: "bpf_xdp_link_attach", AttachType.TCX_INGRESS: "tcx_link_attach"}


class Attaching:
    """The part of the live kernel that attaches by descriptors."""

    def raw_tracepoint_open(self, program_fd: int, name: str | None) -> int:
        """BPF_RAW_TRACEPOINT_OPEN."""
        raw = (name or "").encode() + b"\0"
        attributes = ATTR_RAW_TRACEPOINT_OPEN.pack(prog_fd=program_fd, name=address(raw) if name else 0)
        try:
            return bpf(Command.RAW_TRACEPOINT_OPEN, attributes)
        except OSError as error:
            raise complaint(error, "raw_tracepoint_error", name) from None

    def link_create(self, request: LinkCreate) -> int:
        """BPF_LINK_CREATE."""
        attributes = ATTR_LINK_CREATE.pack(
            prog_fd=request.program_fd,
            target_fd=request.target,
            attach_type=request.attach_type,
            flags=request.flags,
            **_cookie(request),
        )
        try:
            return bpf(Command.LINK_CREATE, attributes)
        except OSError as error:
            raise _link_error(error, request) from None

    def link_update(self, link_fd: int, program_fd: int) -> None:
        """BPF_LINK_UPDATE."""
        attributes = ATTR_LINK_UPDATE.pack(link_fd=link_fd, new_prog_fd=program_fd)
        try:
            bpf(Command.LINK_UPDATE, attributes)
        except OSError as error:
            raise complaint(error, "link_update_error", link_fd) from None

    def link_detach(self, link_fd: int) -> None:
        """BPF_LINK_DETACH."""
        try:
            bpf(Command.LINK_DETACH, ATTR_LINK_DETACH.pack(link_fd=link_fd))
        except OSError as error:
            raise complaint(error, "link_detach_error", link_fd) from None

    def iterator_create(self, link_fd: int) -> int:
        """BPF_ITER_CREATE."""
        try:
            return bpf(Command.ITER_CREATE, ATTR_ITER_CREATE.pack(link_fd=link_fd))
        except OSError as error:
            raise complaint(error, "iterator_error", link_fd) from None

    def perf_event_open(self, event: PerfEvent) -> int:
        """perf_event_open(2)."""
        attributes = PERF_EVENT_ATTR.pack(
            type=event.type,
            size=PERF_EVENT_ATTR.size_bytes,
            config=event.config,
            config1=event.config1,
            config2=event.config2,
            sample_period=event.sample_period,
            sample_type=event.sample_type,
            wakeup_events=event.wakeup_events,
            disabled=1,
        )
        try:
            number = numbers()["perf_event_open"]
            return call(number, address(attributes), event.pid, event.cpu, -1, PERF_FLAG_FD_CLOEXEC)
        except OSError as error:
            raise complaint(error, "perf_event_open_error", event) from None

    def perf_event_attach(self, event_fd: int, program_fd: int) -> None:
        """PERF_EVENT_IOC_SET_BPF."""
        try:
            _perf_ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, program_fd)
        except OSError as error:
            raise complaint(error, "perf_event_attach_error", event_fd, program_fd) from None

    def perf_event_enable(self, event_fd: int) -> None:
        """PERF_EVENT_IOC_ENABLE."""
        try:
            _perf_ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0)
        except OSError as error:
            raise complaint(error, "perf_event_enable_error", event_fd) from None

    def socket_attach(self, socket_fd: int, program_fd: int | None) -> None:
        """setsockopt(2)."""
        attaching = program_fd is not None
        option = SO_ATTACH_BPF if attaching else SO_DETACH_BPF
        value = bytearray((program_fd or 0).to_bytes(4, byteorder))
        try:
            call(numbers()["setsockopt"], socket_fd, SOL_SOCKET, option, address(value), len(value))
        except OSError as error:
            raise complaint(error, "socket_error", socket_fd, attaching=attaching) from None

    def packet_socket(self, device: str, program_fd: int) -> int:
        """socket(2) of AF_PACKET; bound only when the filter is there, so that nothing passes it by."""
        import socket

        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
                self.socket_attach(sock.fileno(), program_fd)
                sock.bind((device, _ETH_P_ALL))
                return sock.detach()
        except KernelError:
            raise
        except OSError as error:
            raise explained(
                error, "open a packet socket", Operation.ANYTHING, needs=("CAP_NET_RAW",)
            ) from None


def _perf_ioctl(event_fd: int, request: int, argument: int) -> None:
    import fcntl

    fcntl.ioctl(event_fd, request, argument)


def _cookie(request: LinkCreate) -> dict[str, int]:
    if not request.cookie:
        return {}
    is_event = request.attach_type == AttachType.PERF_EVENT
    return {"perf_event_bpf_cookie" if is_event else "tracing_cookie": request.cookie}


def _link_error(error: OSError, request: LinkCreate) -> KernelError:
    if error.errno == _errno.EINVAL and _is_unknown(request):
        return complaint(OSError(_errno.EOPNOTSUPP, ""), "link_create_error", request)
    refused = complaint(error, "link_create_error", request)
    if request.attach_type == AttachType.XDP:
        from ebee.kernel.complaints import link_tried
        from ebee.kernel.live.network import xdp_error

        return xdp_error(refused, link_tried(request), request.target, request.flags)
    return refused


def _is_unknown(request: LinkCreate) -> bool:
    """Return whether EINVAL means that the kernel has no links of this type.

    It gives the same errno for arguments that do not fit. A link to a descriptor that cannot be
    (-1) is EBADF where the kernel knows perf event links; for the network, the kernel's list of its
    own functions tells.
    """
    if request.attach_type == AttachType.PERF_EVENT:
        probe = ATTR_LINK_CREATE.pack(
            prog_fd=request.program_fd, target_fd=0xFFFFFFFF, attach_type=request.attach_type
        )
        try:
            os.close(bpf(Command.LINK_CREATE, probe))
        except OSError as error:
            return error.errno == _errno.EINVAL
        return False
    function = _LINK_FUNCTIONS.get(request.attach_type)
    if function is None:
        return False
    from ebee.host.kallsyms import has_symbol

    try:
        return not has_symbol(function)
    except KernelError:
        return False
