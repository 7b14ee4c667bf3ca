"""Tracepoints: static hooks of the kernel, by a perf event that runs the program."""

from __future__ import annotations

from ebee.abi.bpf import AttachType
from ebee.errors import AttachError, NotSupportedError
from ebee.kernel.protocol import Kernel, LinkCreate, PerfEvent
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint

PERF_TYPE_TRACEPOINT = 2


def attach(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    """Attach to `category:name`, for every process on every CPU.

    One event on one CPU is enough: the kernel runs the program wherever the tracepoint is passed.

    Raises:
        AttachError: there is no such tracepoint; names the nearest.
    """
    category, _, name = point.target.replace("/", ":").partition(":")
    if not category or not name:
        raise AttachError(
            f"attach {program.name} to {point}: expected tracepoint:CATEGORY:NAME",
            hint="such as tracepoint:sched:sched_process_exec",
        )
    event_fd = kernel.perf_event_open(
        PerfEvent(PERF_TYPE_TRACEPOINT, kernel.tracepoint_id(category, name), pid=-1, cpu=0)
    )
    try:
        return _attach_event(kernel, program, point, event_fd)
    except BaseException:
        kernel.close(event_fd)
        raise


def _attach_event(kernel: Kernel, program: ProgramHandle, point: AttachPoint, event_fd: int) -> Link:
    try:
        fd = kernel.link_create(LinkCreate(program.fd, event_fd, AttachType.PERF_EVENT))
    except NotSupportedError:
        # Before 5.15 links do not take perf events; the program then goes with the event.
        kernel.perf_event_attach(event_fd, program.fd)
        fd = None
    try:
        kernel.perf_event_enable(event_fd)
    except BaseException:
        if fd is not None:
            kernel.close(fd)
        raise
    return Link(kernel, point, program.name, fd=fd, others=(event_fd,))
