"""attach(program, point): find the family, check that program and family fit, attach."""

from __future__ import annotations

from collections.abc import Callable

from ebee.abi.bpf import ProgType
from ebee.errors import EbeeError, NotSupportedError, SpecError
from ebee.kernel.protocol import Kernel
from ebee.links.link import Link, ProgramHandle
from ebee.spec import AttachPoint
from ebee.text import did_you_mean

Attach = Callable[[Kernel, ProgramHandle, AttachPoint], Link]

# Family -> (program types that go there, module and function). Modules are imported when used:
# a tracing tool needs no netlink.
_FAMILIES: dict[str, tuple[tuple[ProgType, ...], str]] = {
    "xdp": ((ProgType.XDP,), "xdp"),
    "xdpdrv": ((ProgType.XDP,), "xdp"),
    "xdpgeneric": ((ProgType.XDP,), "xdp"),
    "xdpoffload": ((ProgType.XDP,), "xdp"),
    "tracepoint": ((ProgType.TRACEPOINT,), "tracepoint"),
    "tp": ((ProgType.TRACEPOINT,), "tracepoint"),
    "raw_tp": ((ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE), "raw_tracepoint"),
    "raw_tracepoint": ((ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE), "raw_tracepoint"),
    "tp_btf": ((ProgType.TRACING,), "raw_tracepoint"),
    "socket": ((ProgType.SOCKET_FILTER,), "socket_filter"),
}

_EXAMPLES = {
    ProgType.XDP: "xdp:eth0",
    ProgType.TRACEPOINT: "tracepoint:sched:sched_process_exec",
    ProgType.RAW_TRACEPOINT: "raw_tp:sched_process_exec",
    ProgType.TRACING: "tp_btf",
    ProgType.SOCKET_FILTER: "socket:FD",
}


def families() -> list[str]:
    """Return the families of hooks that programs can be attached to."""
    return list(_FAMILIES)


def attach(kernel: Kernel, program: ProgramHandle, point: AttachPoint) -> Link:
    """Attach a loaded program and return the link.

    Args:
        program: borrowed; it may be closed once it is attached.
        point: a family and a target within it.

    Raises:
        SpecError: there is no such family, or this kind of program does not go there.
        AttachError, NotPermittedError, NotSupportedError: the kernel refused.
    """
    known = _FAMILIES.get(point.family)
    if known is None:
        raise _no_family(program, point)
    types, module = known
    if program.type not in types:
        example = _EXAMPLES.get(program.type)
        raise SpecError(
            f"attach {program.name} to {point}: the program is of type {program.type.name}, "
            f"expected {' or '.join(t.name for t in types)}",
            hint=f"it goes to such a place as '{example}'" if example else None,
        )
    return _attacher(module)(kernel, program, point)


def _no_family(program: ProgramHandle, point: AttachPoint) -> EbeeError:
    """Tell a family that eBPF has and ebee cannot attach to from one that nobody knows."""
    from ebee.objfile.sections import known_sections

    tried = f"attach {program.name} to {point}"
    there = f"families are {', '.join(_FAMILIES)}"
    if point.family in known_sections():
        return NotSupportedError(f"{tried}: ebee cannot attach to {point.family} yet", hint=there)
    return SpecError(
        f"{tried}: family '{point.family}' is not known", hint=did_you_mean(point.family, _FAMILIES) or there
    )


def _attacher(module: str) -> Attach:
    from importlib import import_module

    found: Attach = import_module(f"ebee.links.{module}").attach
    return found
