"""Nothing is left of what was loaded, attached and closed, however often."""

from __future__ import annotations

import gc
import os
import time

from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import ObjectKind
from ebee.loader import load
from ebee.testing import private_network
from tests.kernel.door import needs_root
from tests.kernel.place import FRAME
from tests.support.objects import spec_of

pytestmark = needs_root
KERNEL = LiveKernel()
ROUNDS = 200
_PATIENCE_S = 10.0

_TEXT = """
    int seen; const volatile int one = 1;
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, int); __type(value, int); }
        ebee_leak SEC(".maps");
    SEC("xdp") int ebee_leak_xdp(struct xdp_md *c) { int k = 0; bpf_map_update_elem(&ebee_leak, &k, &k, 0);
                                                     seen += one; return 2; }
    SEC("raw_tp/sched_switch") int ebee_leak_raw(void *ctx) { return 0; }
"""


def _ours() -> set[tuple[ObjectKind, int]]:
    """Return the programs and maps of this test, and their links and types, by kind and id."""
    found = set()
    for kind in (ObjectKind.PROGRAM, ObjectKind.MAP):
        number = KERNEL.next_id(kind, 0)
        while number is not None:
            if _name(kind, number).startswith("ebee_leak"):
                found.add((kind, number))
            number = KERNEL.next_id(kind, number)
    return found


def _name(kind: ObjectKind, number: int) -> str:
    try:
        fd = KERNEL.open_id(kind, number)
    except Exception:  # gone meanwhile
        return ""
    name = KERNEL.program_info(fd).name if kind is ObjectKind.PROGRAM else KERNEL.map_info(fd).name
    KERNEL.close(fd)
    return name


def test_two_hundred_rounds_leave_no_descriptor_and_nothing_in_the_kernel() -> None:
    """Programs and maps go when the last reader has: the kernel is waited for, for a while."""
    spec = spec_of(_TEXT)
    counts = set()
    with private_network() as net:
        for _ in range(ROUNDS):
            with load(spec, KERNEL) as obj, obj.programs["ebee_leak_xdp"].attach(f"xdp:{net.a}"):
                obj.attach()
                net.send(FRAME)
                assert obj.variables["seen"].value >= 0
            counts.add(len(os.listdir("/proc/self/fd")))
    gc.collect()
    assert len(counts) == 1
    end_s = time.monotonic() + _PATIENCE_S
    while (left := _ours()) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert left == set()
