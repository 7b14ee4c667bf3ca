"""What holds of a program as a whole: its maps, and the stack that its functions share.

Source: kernel/bpf/verifier.c, check_map_prog_compatibility(), check_max_stack_depth().
"""

from __future__ import annotations

from ebee.asm.opcodes import LD_IMM64
from ebee.checker.complaint import EACCES, EINVAL, Complaint
from ebee.checker.facts import CheckFacts
from ebee.checker.scalars import M32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.facts import Checkable
    from ebee.checker.walk import Walk

_TRACING = frozenset({"KPROBE", "TRACEPOINT", "PERF_EVENT", "RAW_TRACEPOINT", "RAW_TRACEPOINT_WRITABLE"})
# Programs of other types may be given a stack of their own by the kernel's JIT.
_ONE_STACK = frozenset(
    {
        "SOCKET_FILTER",
        "SCHED_CLS",
        "SCHED_ACT",
        "XDP",
        "CGROUP_SKB",
        "CGROUP_SOCK",
        "CGROUP_SOCK_ADDR",
        "SK_SKB",
    }
)
_STACK_BYTES = 512


def check_maps(code: Checkable, facts: CheckFacts) -> None:
    """Complain of a map that programs of this type cannot use.

    Raises:
        Complaint: its values hold a lock.
    """
    what = "tracing" if code.type.name in _TRACING else "socket filter"
    if what != "tracing" and code.type.name != "SOCKET_FILTER":
        return
    for slot, instruction in enumerate(code.instructions):
        if instruction.opcode != LD_IMM64 or slot + 1 >= len(code.instructions):
            continue
        number = (code.instructions[slot + 1].imm & M32) << 32 | instruction.imm & M32
        found = facts.maps.get(number)
        if found is not None and found.lock_offset is not None:
            raise Complaint(EINVAL, f"{what} progs cannot use bpf_spin_lock yet")


def check_stack(walk: Walk) -> None:
    """Complain of functions that use too much of the stack together.

    Raises:
        Complaint: more than 512 bytes in a chain of calls.
    """
    if walk.code.type.name not in _ONE_STACK:
        return
    for chain in walk.chains:
        total = 0
        for count, begin in enumerate(chain, 1):
            total += max(16, (walk.stack_bytes.get(begin, 0) + 15) & ~15)
            if total > _STACK_BYTES:
                raise Complaint(EACCES, f"combined stack size of {count} calls is {total}. Too large")
