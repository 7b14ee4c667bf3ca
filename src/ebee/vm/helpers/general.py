"""Helpers of time, chance, and of what runs: the CPU, the task, its cgroup, the attachment."""

from __future__ import annotations

import struct
import time

from ebee.vm.contexts.raw import Call
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import (
    E2BIG,
    EAGAIN,
    EINVAL,
    EOPNOTSUPP,
    TYPES_SLOT,
    map_of,
    put_number,
    room,
    s32,
    u32,
)
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

NS_PER_JIFFY = 4_000_000
"""A kernel with HZ=250."""
WALL_SLOT = "wall_minus_boot_ns"
"""The machine's slot for how far CLOCK_TAI is ahead of its clock; settable."""
SIGNALS_SLOT = "signals"
"""The machine's slot for the signals that programs sent: a list of (helper, number)."""
_PIDNS_INFO = struct.Struct("<II")


@helper("ktime_get_ns")
@helper("ktime_get_boot_ns")
@helper("ktime_get_coarse_ns")
def ktime_get_ns(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the machine's time; it has one clock, which never sleeps."""
    return run.machine.clock_ns()


@helper("ktime_get_tai_ns")
def ktime_get_tai_ns(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the wall's time."""
    ahead = run.machine.slots.setdefault(WALL_SLOT, time.time_ns() - time.monotonic_ns())
    assert isinstance(ahead, int)
    return run.machine.clock_ns() + ahead


@helper("jiffies64")
def jiffies64(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the time in jiffies."""
    return run.machine.clock_ns() // NS_PER_JIFFY


@helper("get_prandom_u32")
def get_prandom_u32(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return 32 random bits."""
    return run.machine.random.getrandbits(32)


@helper("get_smp_processor_id")
def get_smp_processor_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the CPU that the program runs on."""
    return run.cpu


@helper("get_numa_node_id")
def get_numa_node_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return 0: the machine has one node."""
    return 0


@helper("get_current_pid_tgid")
def get_current_pid_tgid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return tgid and pid of the task."""
    return run.machine.task.tgid << 32 | run.machine.task.pid


@helper("get_current_uid_gid")
def get_current_uid_gid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return gid and uid of the task."""
    return run.machine.task.gid << 32 | run.machine.task.uid


@helper("get_current_comm")
def get_current_comm(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the task's name, filled up with zeros."""
    place = room(run, r1, u32(r2))
    name = run.machine.task.comm.encode("utf-8", "surrogateescape")[:15]
    place[:] = name[: max(0, len(place) - 1)].ljust(len(place), b"\0")
    return 0


@helper("get_current_task")
@helper("get_current_task_btf")
def get_current_task(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of the task's struct, which is there where the kernel's types are known."""
    if TYPES_SLOT in run.machine.slots:
        from ebee.vm.helpers.kernel_structs import ensure_task

        ensure_task(run.machine)
    return run.machine.task.address


@helper("get_current_cgroup_id")
def get_current_cgroup_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the id of the task's cgroup."""
    return run.machine.task.cgroup_id


@helper("get_current_ancestor_cgroup_id")
def get_current_ancestor_cgroup_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the id of the cgroup at a level above the task's, or 0."""
    return ancestor_of(run, s32(r1))


def ancestor_of(run: Run, level: int) -> int:
    """Return the id of an ancestor of the task's cgroup; 0 for levels that it has not."""
    ancestors = run.machine.task.ancestors
    return ancestors[level] if 0 <= level < len(ancestors) else 0


@helper("current_task_under_cgroup")
def current_task_under_cgroup(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return whether the task is in a cgroup of a cgroup array, or below."""
    return under_cgroup(run, r1, r2, "current_task_under_cgroup")


def under_cgroup(run: Run, map_address: int, index: int, name: str) -> int:
    """Return 1 where the task's cgroup is that of a slot, or below; its value is the cgroup's id."""
    from ebee.vm.maps.descriptors import CgroupArray

    found = map_of(run, map_address, name)
    if u32(index) >= found.setup.max_entries:
        return -E2BIG
    if not isinstance(found, CgroupArray):
        raise Fault(f"call of bpf_{name}: map '{found.setup.name}' is given, expected an array of cgroups")
    wanted = found.entry(u32(index))
    if wanted is None:
        return -EAGAIN
    return int(wanted in (*run.machine.task.ancestors, run.machine.task.cgroup_id))


@helper("get_ns_current_pid_tgid")
def get_ns_current_pid_tgid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write pid and tgid as a namespace sees them; the machine has one, whatever it is called."""
    place = room(run, r3, u32(r4))
    if u32(r4) != _PIDNS_INFO.size:
        place[:] = bytes(len(place))
        return -EINVAL
    place[:] = _PIDNS_INFO.pack(run.machine.task.pid, run.machine.task.tgid)
    return 0


@helper("send_signal")
def send_signal(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note a signal to the process."""
    return _signal(run, "process", u32(r1))


@helper("send_signal_thread")
def send_signal_thread(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note a signal to the thread."""
    return _signal(run, "thread", u32(r1))


def _signal(run: Run, to: str, number: int) -> int:
    if number > 64:
        return -EINVAL
    sent = run.machine.slots.setdefault(SIGNALS_SLOT, [])
    assert isinstance(sent, list)
    sent.append((to, number))
    return 0


def call_of(run: Run) -> Call:
    """Return the call that a program is attached to; an empty one for programs without."""
    return run.context.event if isinstance(run.context.event, Call) else Call()


@helper("get_func_ip")
def get_func_ip(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of the function that the program is attached to, or 0."""
    return call_of(run).address


@helper("get_attach_cookie")
def get_attach_cookie(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the number that was given with the attachment."""
    return call_of(run).cookie


@helper("get_func_arg")
def get_func_arg(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write an argument of the function."""
    arguments = call_of(run).arguments
    if u32(r2) >= len(arguments):
        return -EINVAL
    put_number(run, r3, 8, arguments[u32(r2)])
    return 0


@helper("get_func_ret")
def get_func_ret(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write what the function returned."""
    result = call_of(run).result
    if result is None:
        return -EOPNOTSUPP
    put_number(run, r2, 8, result)
    return 0


@helper("get_func_arg_cnt")
def get_func_arg_cnt(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return how many arguments the function has."""
    return len(call_of(run).arguments)


@helper("override_return")
def override_return(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note what the function is to return instead."""
    run.slots["override"] = r2
    return 0


@helper("get_retval")
def get_retval(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return what the call gives that the hook stands in: a negative errno, or 0."""
    value = run.slots.get("retval", 0)
    assert isinstance(value, int)
    return value


@helper("set_retval")
def set_retval(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Set what that call gives."""
    value = s32(r1)
    if value > 0 or value < -4095:
        return -EINVAL
    run.slots["retval"] = value
    return 0


@helper("this_cpu_ptr")
@helper("per_cpu_ptr")
def this_cpu_ptr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a variable; of the kernel's per-CPU variables the machine has one each."""
    return r1
