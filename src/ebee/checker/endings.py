"""The end of a program: nothing held, and a result that its type allows.

Source: kernel/bpf/verifier.c, check_reference_leak(), check_return_code().
"""

from __future__ import annotations

from ebee.abi.bpf import AttachType
from ebee.checker.complaint import EINVAL, Complaint
from ebee.checker.scalars import S64_MAX, S64_MIN, Scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.walk import Walk

_YES_OR_NO = frozenset(
    {"CGROUP_SOCK", "SOCK_OPS", "CGROUP_DEVICE", "CGROUP_SYSCTL", "CGROUP_SOCKOPT", "SK_LOOKUP", "NETFILTER"}
)
_ALWAYS_YES = ("RECVMSG", "GETPEERNAME", "GETSOCKNAME")


def check_end(walk: Walk) -> None:
    """Complain of an end at which the program must not end."""
    state = walk.state
    if state.lock is not None:
        raise Complaint(
            EINVAL, "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region"
        )
    for id, slot in state.references.items():
        raise Complaint(
            EINVAL,
            f"Unreleased reference id={id} alloc_insn={slot}",
            "BPF_EXIT instruction in main prog would lead to reference leak",
        )
    value = walk.need(0)
    wanted = _results(walk.code.type.name, int(walk.code.expected_attach_type))
    if wanted is None or not isinstance(value, Scalar) or value.vague:
        return
    if wanted[0] <= value.smin and value.smax <= wanted[1]:
        return
    known = [f"smin={value.smin}"] if value.smin > S64_MIN else []
    known += [f"smax={value.smax}"] if value.smax < S64_MAX else []
    has = " ".join(known) or "unknown scalar value"
    raise Complaint(
        EINVAL,
        f"At program exit the register R0 has {has} should have been in [{wanted[0]}, {wanted[1]}]",
    )


def _results(type: str, attach: int) -> tuple[int, int] | None:
    """Return what a program may return, at least and at most; None for anything."""
    if type in _YES_OR_NO:
        return 0, 1
    if type == "CGROUP_SKB":
        return (0, 3) if attach == AttachType.CGROUP_INET_EGRESS else (0, 1)
    if type == "CGROUP_SOCK_ADDR":
        return _address_results(attach)
    return None


def _address_results(attach: int) -> tuple[int, int] | None:
    try:
        name = AttachType(attach).name
    except ValueError:
        return None
    if name.endswith(_ALWAYS_YES):
        return 1, 1
    return (0, 3) if name in ("CGROUP_INET4_BIND", "CGROUP_INET6_BIND") else (0, 1)
