"""Raw tracepoints, and BTF tracepoints (tp_btf), whose programs know their target from loading."""

from __future__ import annotations

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import AttachError
from ebee.kernel.protocol import Kernel
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint


def attach(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    """Attach to a raw tracepoint by its name; of tp_btf the name was fixed when it was loaded.

    Raises:
        AttachError: there is no such tracepoint.
    """
    if program.type is ProgType.TRACING:
        if program.expected_attach_type != AttachType.TRACE_RAW_TP:
            raise AttachError(
                f"attach {program.name} to {point}: the program was loaded for another attach type, "
                'expected SEC("tp_btf/…")'
            )
        return Link(kernel, point, program.name, fd=kernel.raw_tracepoint_open(program.fd, None))
    if not point.target:
        raise AttachError(
            f"attach {program.name} to {point}: no tracepoint is named",
            hint="such as raw_tp:sched_process_exec",
        )
    return Link(kernel, point, program.name, fd=kernel.raw_tracepoint_open(program.fd, point.target))
