"""What a program's hook hands it: how long its context is, on this kernel, and what its fields are."""

from __future__ import annotations

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import SpecError
from ebee.host.tracefs import EventField, event_format
from ebee.kernel.protocol import Kernel
from ebee.record import NamedTuple
from ebee.spec import ProgramSpec

MOST_CONTEXT_BYTES = 1024
"""Of the fixed part of a context."""
_MOST_DYNAMIC = 4
_POINTER_BYTES = 8
_UNTYPED_ARGUMENTS = 5
"""How many arguments of a raw tracepoint are taken where the kernel tells no types."""


class HookFacts(NamedTuple):
    """The context of a hook.

    Attributes:
        context_bytes: of its fixed part.
        hidden_bytes: so many bytes at its begin are the kernel's own.
        dynamic: where `__data_loc` fields stand, which say where strings and arrays lie behind it.
        fields: a tracepoint's, by its `format` file; of other hooks none.
    """

    context_bytes: int
    hidden_bytes: int = 0
    dynamic: tuple[int, ...] = ()
    fields: tuple[EventField, ...] = ()

    def gaps(self) -> list[tuple[int, int]]:
        """Return the stretches, begin and end, of a tracepoint's record that no field fills.

        The kernel leaves there what lay there before.
        """
        if not self.fields:
            return []
        filled = {0: 0, self.hidden_bytes: self.hidden_bytes, self.context_bytes: self.context_bytes}
        filled |= {field.offset_bytes: field.offset_bytes + field.size_bytes for field in self.fields}
        found, end = [], 0
        for begin in sorted(filled):
            if begin > end:
                found.append((end, begin))
            end = max(end, filled[begin])
        return found


def hook_name(program: ProgramSpec) -> str:
    """Return how a recording calls a program's hook: `tracepoint:sched:sched_process_exec`.

    Raises:
        SpecError: what such a program sees cannot be recorded.
    """
    point = program.auto_attach
    if not _is_recorded(program):
        raise SpecError(
            f"record {program.name}: section '{program.section}' is of type {program.type.name}, "
            "expected a tracepoint, raw_tp or tp_btf",
            hint=_other_way(program.type),
        )
    if point is None or not point.target:
        raise SpecError(
            f"record {program.name}: section '{program.section}' does not say where the program goes",
            hint='such as SEC("tracepoint/sched/sched_process_exec")',
        )
    return str(point)


def hook_facts(program: ProgramSpec, kernel: Kernel) -> HookFacts:
    """Return what a hook hands its program on the running kernel.

    Raises:
        SpecError: such a hook cannot be recorded.
        AttachError: there is no such tracepoint.
        NotPermittedError: tracefs may not be read.
    """
    name = hook_name(program)
    if program.type is not ProgType.TRACEPOINT:
        return HookFacts(_POINTER_BYTES * _arguments(name.partition(":")[2], kernel))
    category, _, event = name.partition(":")[2].partition(":")
    return tracepoint_facts(category, event_format(kernel, category, event).fields)


def tracepoint_facts(category: str, fields: tuple[EventField, ...]) -> HookFacts:
    """Return what a tracepoint hands its program, by the fields of its record."""
    if category == "syscalls":
        # Their record for programs is the number and the registers, whatever else the format shows.
        fields = tuple(field for field in fields if not field.type.startswith("__data_loc"))
    end = max((field.offset_bytes + field.size_bytes for field in fields), default=_POINTER_BYTES)
    dynamic = [field.offset_bytes for field in fields if field.type.startswith("__data_loc")]
    if not dynamic:
        end = (end + 7) & ~7
    return HookFacts(
        context_bytes=min(end, MOST_CONTEXT_BYTES),
        hidden_bytes=_POINTER_BYTES,
        dynamic=tuple(dynamic[:_MOST_DYNAMIC]),
        fields=fields,
    )


def _is_recorded(program: ProgramSpec) -> bool:
    if program.type is ProgType.TRACING:
        return program.expected_attach_type == AttachType.TRACE_RAW_TP
    return program.type in (ProgType.TRACEPOINT, ProgType.RAW_TRACEPOINT)


def _other_way(kind: ProgType) -> str | None:
    if kind in (ProgType.XDP, ProgType.SCHED_CLS, ProgType.SOCKET_FILTER, ProgType.CGROUP_SKB):
        return "packets are recorded by tcpdump -w FILE.pcap, and run by: ebee run FILE --pcap FILE.pcap"
    if kind in (ProgType.KPROBE, ProgType.TRACING):
        return "many functions have a tracepoint or a raw tracepoint near by: ls /sys/kernel/tracing/events"
    return None


def _arguments(tracepoint: str, kernel: Kernel) -> int:
    """Return how many arguments a raw tracepoint has."""
    from ebee.btf import Kind

    types = kernel.types()
    found = None if types is None else types.find(f"btf_trace_{tracepoint}", Kind.TYPEDEF)
    if types is None or found is None:
        return _UNTYPED_ARGUMENTS
    pointer = types.resolve(found)[1]
    prototype = types.resolve(pointer.type_id)[1]
    return max(0, len(prototype.parameters) - 1)  # the first one is the tracepoint's own
