"""Helpers that call a function of the program's, that lock, and that swap pointers."""

from __future__ import annotations

from ebee.vm.faults import Fault
from ebee.vm.helpers.common import E2BIG, EINVAL, number_at, put_number, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

MOST_LOOPS = 8 << 20


@helper("loop")
def loop(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Call a function so many times, until it returns 1; the number of calls."""
    if r4:
        return -EINVAL
    if u32(r1) > MOST_LOOPS:
        # The kernel puts the loop in the call's place, and there this is a number of 32 bits.
        return u32(-E2BIG)
    for index in range(u32(r1)):
        if run.call(r2, (index, r3)):
            return index + 1
    return u32(r1)


@helper("spin_lock")
def spin_lock(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Take a lock; programs run one at a time here, so that it is free unless this one holds it."""
    run.memory.view(r1, 4, writing=True)
    if "lock" in run.slots:
        raise Fault("call of bpf_spin_lock: this program holds a lock already")
    run.slots["lock"] = r1
    return 0


@helper("spin_unlock")
def spin_unlock(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Give the lock back."""
    if run.slots.get("lock") != r1:
        raise Fault(f"call of bpf_spin_unlock: {run.memory.describe(r1)} is not locked")
    del run.slots["lock"]
    return 0


@helper("kptr_xchg")
def kptr_xchg(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Put a pointer into a map's value; the one that was there."""
    old = number_at(run, r1, 8)
    put_number(run, r1, 8, r2)
    return old
