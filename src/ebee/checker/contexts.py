"""Which bytes of a program's first argument may be read and written, by type of program.

The rows are what Linux 6.18 takes, asked offset by offset; attach types of one type are taken together,
so that a row allows what any of them does. A range stands for every multiple of the access's size in it.

Source: net/core/filter.c, kernel/trace/bpf_trace.c, kernel/bpf/cgroup.c, …: the functions behind
`is_valid_access` of struct bpf_verifier_ops.
"""

from __future__ import annotations

from functools import cache

from ebee.abi.bpf import ProgType
from ebee.record import NamedTuple


class Layout(NamedTuple):
    """A context.

    Attributes:
        readable, writable: by size of the access in bytes, the offsets.
        pointers: by offset and size, what a load gives that is no number.
        numbers: whether all other loads give numbers; else those of 8 bytes may give anything.
    """

    readable: dict[int, tuple[range, ...]]
    writable: dict[int, tuple[range, ...]]
    pointers: dict[tuple[int, int], str]
    numbers: bool

    def allows(self, offset: int, size: int, *, writing: bool) -> bool:
        """Return whether a program may read or write there."""
        ranges = (self.writable if writing else self.readable).get(size, ())
        return any(offset in offsets for offsets in ranges)


_SOCKET_BUFFER = {(168, 8): "sock_common_or_null"}
_DIRECT = {(76, 4): "pkt", (80, 4): "pkt_end"}
_LWT = (
    "1:0-71,84-87,164-167,176-179 2:0-70,84-86,164-166,176-178 4:0-68,76-84,164,176 8:48-56,168",
    "1:48-67 2:48-66 4:8,32,48-64 8:48-56",
    _SOCKET_BUFFER | _DIRECT,
)
_SCHED = (
    "1:0-75,84-87,160-167,176-180 2:0-74,84-86,160-166,176-178 4:0-84,140,160-164,176 8:48-56,152,168,184",
    "1:48-67 2:48-66 4:8-12,32,44-64,72 8:48-56,152",
    _SOCKET_BUFFER | _DIRECT | {(140, 4): "pkt_meta"},
)
# Registers of the widest architecture, so that no other's are refused.
_REGISTERS = "1:0-335 2:0-334 4:0-332 8:0-328"
_ARGUMENTS = "1:0-95 2:0-94 4:0-92 8:0-88"
_ROWS: dict[str, tuple[str, str, dict[tuple[int, int], str]]] = {
    "SOCKET_FILTER": (
        "1:0-71,84-87,164-167,176-179 2:0-70,84-86,164-166,176-178 4:0-68,84,164,176 8:48-56,168",
        "1:48-67 2:48-66 4:48-64 8:48-56",
        _SOCKET_BUFFER,
    ),
    "KPROBE": (_REGISTERS, "", {}),
    "SCHED_CLS": _SCHED,
    "SCHED_ACT": _SCHED,
    # The first field is the kernel's own; what lies before it is not asked for by the kernel either.
    "TRACEPOINT": ("1:8-8191 2:8-8190 4:8-8188 8:8-8184", "", {}),
    "XDP": ("4:0-20", "", {(0, 4): "pkt", (4, 4): "pkt_end", (8, 4): "pkt_meta"}),
    "PERF_EVENT": (_REGISTERS, "", {}),
    "CGROUP_SKB": (
        "1:0-71,84-91,132-139,164-167,176-179 2:0-70,84-90,132-138,164-166,176-178 "
        "4:0-68,76-136,164,176 8:48-56,152,168,184",
        "1:48-67 2:48-66 4:8,32,48-64 8:48-56,152",
        _SOCKET_BUFFER | _DIRECT,
    ),
    "CGROUP_SOCK": ("1:4,8,12,24-44,48-49,52-72,76 2:4,8,12,24-44,48,52-72,76 4:0-76", "4:0,16-20", {}),
    "LWT_IN": _LWT,
    "LWT_OUT": _LWT,
    "LWT_XMIT": _LWT,
    "LWT_SEG6LOCAL": _LWT,
    "SOCK_OPS": ("1:212 2:212 4:0-164,208-212 8:168-200,216", "4:4,164", {}),
    "SK_SKB": (
        "1:0-7,12-71,84-91,132-139,164-167,176-179 2:0-6,12-70,84-90,132-138,164-166,176-178 "
        "4:0-4,12-68,76-136,164,176 8:48-56,168",
        "4:32,44",
        _SOCKET_BUFFER | _DIRECT,
    ),
    "CGROUP_DEVICE": ("1:0-3 2:0-2 4:0-8", "", {}),
    "SK_MSG": ("4:16-68 8:0-8,72", "", {(0, 8): "pkt", (8, 8): "pkt_end"}),
    "RAW_TRACEPOINT": (_ARGUMENTS, "", {}),
    "RAW_TRACEPOINT_WRITABLE": (_ARGUMENTS, "", {(0, 8): "anything"}),
    "CGROUP_SOCK_ADDR": ("1:4-27,40-59 2:4-26,40-58 4:0-56 8:8-16,48,64", "4:4-24,40-56 8:8-16,48", {}),
    "SK_REUSEPORT": ("1:16-19,24-31 2:16-30 4:16-32 8:0-8,40-48", "", {(0, 8): "pkt", (8, 8): "pkt_end"}),
    "FLOW_DISSECTOR": ("4:76-80 8:144", "", _DIRECT),
    "CGROUP_SYSCTL": ("1:0-7 2:0-6 4:0-4", "4:4", {}),
    "CGROUP_SOCKOPT": ("4:24-36 8:0-16", "4:24-36", {}),
    "SK_LOOKUP": ("1:8-67 2:8-66 4:8-64 8:0", "", {}),
    "SYSCALL": ("1:0-65535 2:0-65534 4:0-65532 8:0-65528",) * 2 + ({},),
    "NETFILTER": ("8:0-8", "", {}),
}
_ALL_NUMBERS = frozenset(
    {"KPROBE", "TRACEPOINT", "PERF_EVENT", "RAW_TRACEPOINT", "SYSCALL", "CGROUP_DEVICE", "CGROUP_SYSCTL"}
)


@cache
def layout_of(type: ProgType) -> Layout | None:
    """Return the context of a type of program; None where anything may be in it, or it is not known."""
    row = _ROWS.get(type.name)
    if row is None:
        return None
    readable, writable, pointers = row
    return Layout(_offsets(readable), _offsets(writable), pointers, type.name in _ALL_NUMBERS)


def _offsets(text: str) -> dict[int, tuple[range, ...]]:
    found: dict[int, tuple[range, ...]] = {}
    for part in text.split():
        size, _, places = part.partition(":")
        ends = [place.partition("-") for place in places.split(",")]
        found[int(size)] = tuple(
            range(int(first), int(last or first) + 1, int(size)) for first, _, last in ends
        )
    return found
