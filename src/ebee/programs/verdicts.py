"""What becomes of a packet, by what a program returned."""

from __future__ import annotations

from ebee.abi.bpf import AttachType, ProgType, XdpAction

_XDP_PASSES = frozenset((XdpAction.PASS, XdpAction.TX, XdpAction.REDIRECT))
_TC = {
    -1: "TC_ACT_UNSPEC",
    0: "TC_ACT_OK",
    1: "TC_ACT_RECLASSIFY",
    2: "TC_ACT_SHOT",
    3: "TC_ACT_PIPE",
    4: "TC_ACT_STOLEN",
    5: "TC_ACT_QUEUED",
    6: "TC_ACT_REPEAT",
    7: "TC_ACT_REDIRECT",
    8: "TC_ACT_TRAP",
}
_TCX = {-1: "TCX_NEXT", 0: "TCX_PASS", 2: "TCX_DROP", 7: "TCX_REDIRECT"}
_NETKIT = {-1: "NETKIT_NEXT", 0: "NETKIT_PASS", 2: "NETKIT_DROP", 7: "NETKIT_REDIRECT"}
_LWT = {0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT", 128: "BPF_LWT_REROUTE"}
_TC_STOPS = frozenset((2, 4, 8))
"""Shot, stolen and trapped; what tc does not know it lets go on (cls_bpf_exec_opcode())."""
_TCX_TYPES = frozenset((AttachType.TCX_INGRESS, AttachType.TCX_EGRESS))
_NETKIT_TYPES = frozenset((AttachType.NETKIT_PRIMARY, AttachType.NETKIT_PEER))

PACKET_PROGRAMS = frozenset(
    (
        ProgType.XDP,
        ProgType.SCHED_CLS,
        ProgType.SCHED_ACT,
        ProgType.CGROUP_SKB,
        ProgType.SOCKET_FILTER,
        ProgType.LWT_IN,
        ProgType.LWT_OUT,
        ProgType.LWT_XMIT,
    )
)
"""Types whose programs are asked about a packet each time, and can be tried on one."""


class Verdict(str):
    """A verdict by the kernel's name: `verdict == "XDP_DROP"`.

    Attributes:
        number: what the program returned, with its sign.
        passes: the packet goes on: up, out again, or to another interface.
    """

    __slots__ = ("number", "passes")

    number: int
    passes: bool

    def __new__(cls, name: str, number: int, passes: bool) -> Verdict:
        made = super().__new__(cls, name)
        made.number = number
        made.passes = passes
        return made


def verdict(type: ProgType, returned: int, attach_type: AttachType | int = 0) -> Verdict:
    """Return what a program's return value means for the packet.

    Args:
        returned: 32 bits; the sign does not matter.
        attach_type: the program's expected attach type, where its type has several.
    """
    unsigned = returned & 0xFFFF_FFFF
    number = unsigned - (1 << 32) if unsigned >> 31 else unsigned
    if type is ProgType.XDP:
        return _xdp(number)
    if type is ProgType.SOCKET_FILTER:
        return Verdict("KEEP" if unsigned else "DROP", unsigned, bool(unsigned))
    if type is ProgType.CGROUP_SKB:
        return _cgroup(number)
    if type in (ProgType.SCHED_CLS, ProgType.SCHED_ACT):
        names = _TCX if attach_type in _TCX_TYPES else _NETKIT if attach_type in _NETKIT_TYPES else _TC
        passes = number != 2 if names is not _TC else number not in _TC_STOPS
        return Verdict(names.get(number) or _unknown(number), number, passes)
    return Verdict(_LWT.get(number) or _unknown(number), number, number in _LWT and number != 2)


def _xdp(number: int) -> Verdict:
    try:
        action = XdpAction(number)
    except ValueError:  # the kernel drops such packets, and says so once
        return Verdict(_unknown(number), number, False)
    return Verdict(f"XDP_{action.name}", number, action in _XDP_PASSES)


def _cgroup(number: int) -> Verdict:
    """Two bits, of which the second tells TCP of congestion (egress only)."""
    names = {0: "DROP", 1: "PASS", 2: "DROP_CN", 3: "PASS_CN"}
    return Verdict(names.get(number) or _unknown(number), number, bool(number & 1))


def _unknown(number: int) -> str:
    return f"unknown ({number})"
