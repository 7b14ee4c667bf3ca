"""Raw tracepoints, and BTF tracepoints (tp_btf), whose programs know their target from loading."""

from __future__ import annotations

import errno as _errno

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import AttachError, SpecError
from ebee.kernel.protocol import Kernel
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint


def attach(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    """Attach to a raw tracepoint by its name; of tp_btf the name was fixed when it was loaded.

    Raises:
        SpecError: a tp_btf program was loaded for another tracepoint.
        AttachError: there is no such tracepoint; names the nearest.
    """
    if program.type is ProgType.TRACING:
        _check_target(program, point)
        return Link(kernel, point, program.name, fd=kernel.raw_tracepoint_open(program.fd, None))
    if not point.target:
        raise AttachError(
            f"attach {program.name} to {point}: no tracepoint is named, expected {point.family}:NAME",
            hint="such as raw_tp:sched_process_exec",
        )
    try:
        fd = kernel.raw_tracepoint_open(program.fd, point.target)
    except AttachError as error:
        raise _explained(kernel, program.name, point, error) from None
    return Link(kernel, point, program.name, fd=fd)


def _check_target(program: ProgramHandle, point: AttachPoint) -> None:
    if program.expected_attach_type != AttachType.TRACE_RAW_TP:
        raise AttachError(
            f"attach {program.name} to {point}: the program was loaded for another attach type, "
            'expected SEC("tp_btf/…")'
        )
    if point.target and program.target and point.target != program.target:
        raise SpecError(
            f"attach {program.name} to {point}: the program was loaded for tp_btf:{program.target}",
            hint=f'write SEC("tp_btf/{point.target}"): the verifier checks it against its tracepoint',
        )


def _explained(kernel: Kernel, program: str, point: AttachPoint, error: AttachError) -> AttachError:
    if error.errno != _errno.ENOENT:
        return error
    return AttachError(
        f"attach {program} to {point}: this kernel has no raw tracepoint '{point.target}'",
        errno=error.errno,
        hint=_near(kernel, point.target),
    )


def _near(kernel: Kernel, name: str) -> str | None:
    """Return a hint with the nearest raw tracepoint; the kernel's types name them all."""
    from ebee.btf import Kind
    from ebee.text import did_you_mean

    prefix = "btf_trace_"
    known = (found.name for _, found in kernel.types() or () if found.kind is Kind.TYPEDEF)
    return did_you_mean(name, [other.removeprefix(prefix) for other in known if other.startswith(prefix)])
