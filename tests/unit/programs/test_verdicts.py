"""What a return value means, by the type of program."""

from __future__ import annotations

import pytest

from ebee.abi.bpf import AttachType, ProgType
from ebee.programs.verdicts import verdict

CASES = [
    (ProgType.XDP, 0, 0, "XDP_ABORTED", False),
    (ProgType.XDP, 0, 1, "XDP_DROP", False),
    (ProgType.XDP, 0, 2, "XDP_PASS", True),
    (ProgType.XDP, 0, 3, "XDP_TX", True),
    (ProgType.XDP, 0, 4, "XDP_REDIRECT", True),
    (ProgType.XDP, 0, 17, "unknown (17)", False),
    (ProgType.SCHED_CLS, 0, 0xFFFFFFFF, "TC_ACT_UNSPEC", True),
    (ProgType.SCHED_CLS, 0, -1, "TC_ACT_UNSPEC", True),
    (ProgType.SCHED_CLS, 0, 0, "TC_ACT_OK", True),
    (ProgType.SCHED_ACT, 0, 2, "TC_ACT_SHOT", False),
    (ProgType.SCHED_CLS, 0, 7, "TC_ACT_REDIRECT", True),
    (ProgType.SCHED_CLS, AttachType.TCX_INGRESS, 2, "TCX_DROP", False),
    (ProgType.SCHED_CLS, AttachType.TCX_EGRESS, 0xFFFFFFFF, "TCX_NEXT", True),
    (ProgType.SCHED_CLS, AttachType.NETKIT_PEER, 0, "NETKIT_PASS", True),
    (ProgType.CGROUP_SKB, AttachType.CGROUP_INET_INGRESS, 1, "PASS", True),
    (ProgType.CGROUP_SKB, AttachType.CGROUP_INET_INGRESS, 0, "DROP", False),
    (ProgType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, 2, "DROP_CN", False),
    (ProgType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, 3, "PASS_CN", True),
    (ProgType.SOCKET_FILTER, 0, 0, "DROP", False),
    (ProgType.SOCKET_FILTER, 0, 0xFFFFFFFF, "KEEP", True),
    (ProgType.LWT_IN, 0, 0, "BPF_OK", True),
    (ProgType.LWT_XMIT, 0, 2, "BPF_DROP", False),
    (ProgType.LWT_OUT, 0, 5, "unknown (5)", False),
]


@pytest.mark.parametrize(("type", "attach_type", "returned", "name", "passes"), CASES)
def test_a_return_value_is_a_verdict(
    type: ProgType, attach_type: AttachType | int, returned: int, name: str, passes: bool
) -> None:
    """By the kernel's own name, and whether the packet goes on."""
    found = verdict(type, returned, attach_type)
    assert (found, found.passes) == (name, passes)
    assert found.number & 0xFFFF_FFFF == returned & 0xFFFF_FFFF
