"""Kernel functions (kfuncs): found by name, called as helpers are.

Source: Documentation/bpf/kfuncs.rst, bpf_iterators.rst, and kernel/bpf/helpers.c as to errnos.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ebee.vm.contexts.skb import Skb
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import (
    E2BIG,
    EFAULT,
    EINVAL,
    ENOENT,
    EOPNOTSUPP,
    ERANGE,
    block,
    map_of,
    room,
    s32,
    u32,
)
from ebee.vm.helpers.dynptr import (
    SKB,
    XDP,
    Dynptr,
    address_in,
    get_dynptr,
    outside,
    packet_dynptr,
    put_dynptr,
)
from ebee.vm.helpers.general import call_of
from ebee.vm.helpers.probing import kernel_string, user_string
from ebee.vm.helpers.registry import HelperFunction
from ebee.vm.helpers.timers import make_timer, timer_set_callback, timer_start
from ebee.vm.machine import Run

_TABLE: dict[str, HelperFunction] = {}
_ITERATOR = struct.Struct("<ii")
_MOST_NUMBERS = 8 << 20
_MOST_STRING_BYTES = 4096
"""XATTR_SIZE_MAX is the kernel's limit for strings, 64 KiB; a page is enough of an error."""


def kfunc(name: str) -> Callable[[HelperFunction], HelperFunction]:
    """Register a function as one of the kernel's, by its whole name."""

    def register(function: HelperFunction) -> HelperFunction:
        _TABLE[name] = function
        return function

    return register


def find_kfunc(name: str) -> HelperFunction:
    """Return the function of a kfunc.

    Raises:
        Fault: the machine has no such function; the hint names the nearest it has.
    """
    if name not in _TABLE:
        from ebee.text import did_you_mean

        raise Fault(
            f"call of {name}: the userspace machine has no such kernel function", did_you_mean(name, _TABLE)
        )
    return _TABLE[name]


def all_kfuncs() -> dict[str, HelperFunction]:
    """Return all kfuncs of the machine, by name."""
    return _TABLE


# -- dynptrs -----------------------------------------------------------------------------------------
@kfunc("bpf_dynptr_from_skb")
@kfunc("bpf_dynptr_from_xdp")
def dynptr_from_packet(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make a dynptr of the packet."""
    is_skb = isinstance(run.context.event, Skb)
    return packet_dynptr(run, r1, r2, r3, "dynptr_from_skb" if is_skb else "dynptr_from_xdp")


@kfunc("bpf_dynptr_slice")
def dynptr_slice(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of bytes, or 0; the buffer is for packets in pieces, of which there are none."""
    dynptr = get_dynptr(run, r1)
    if dynptr is None or outside(dynptr, u32(r2), u32(r4)):
        return 0
    if dynptr.type in (SKB, XDP) and _beyond(run, dynptr, u32(r2) + u32(r4)):
        return 0
    return address_in(run, dynptr, u32(r2))


@kfunc("bpf_dynptr_slice_rdwr")
def dynptr_slice_rdwr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of bytes that may be written, or 0."""
    dynptr = get_dynptr(run, r1)
    return 0 if dynptr is None or dynptr.read_only else dynptr_slice(run, r1, r2, r3, r4, r5)


def _beyond(run: Run, dynptr: Dynptr, end: int) -> bool:
    packet = run.context.packet
    return packet is None or dynptr.offset + end > len(packet)


@kfunc("bpf_dynptr_adjust")
def dynptr_adjust(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Let a dynptr begin later and end earlier."""
    dynptr, begin, end = get_dynptr(run, r1), u32(r2), u32(r3)
    if dynptr is None or begin > end:
        return -EINVAL
    if begin > dynptr.size_bytes or end > dynptr.size_bytes:
        return -ERANGE
    put_dynptr(run, r1, dynptr._replace(offset=dynptr.offset + begin, size_bytes=end - begin))
    return 0


@kfunc("bpf_dynptr_is_null")
def dynptr_is_null(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return whether it is the null dynptr."""
    return int(get_dynptr(run, r1) is None)


@kfunc("bpf_dynptr_is_rdonly")
def dynptr_is_rdonly(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return whether it may only be read."""
    dynptr = get_dynptr(run, r1)
    return int(dynptr is not None and dynptr.read_only)


@kfunc("bpf_dynptr_size")
def dynptr_size(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return how many bytes there are."""
    dynptr = get_dynptr(run, r1)
    return -EINVAL if dynptr is None else dynptr.size_bytes


@kfunc("bpf_dynptr_clone")
def dynptr_clone(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make another dynptr of the same bytes."""
    dynptr = get_dynptr(run, r1)
    put_dynptr(run, r2, dynptr)
    return -EINVAL if dynptr is None else 0


@kfunc("bpf_dynptr_copy")
def dynptr_copy(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes from one dynptr to another."""
    target, source = get_dynptr(run, r1), get_dynptr(run, r3)
    if target is None or source is None or target.read_only:
        return -EINVAL
    if outside(target, u32(r2), u32(r5)) or outside(source, u32(r4), u32(r5)):
        return -E2BIG
    data = block(run, address_in(run, source, u32(r4)), u32(r5))
    room(run, address_in(run, target, u32(r2)), u32(r5))[:] = data
    return 0


@kfunc("bpf_dynptr_memset")
def dynptr_memset(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Fill bytes with one value."""
    dynptr = get_dynptr(run, r1)
    if dynptr is None or dynptr.read_only:
        return -EINVAL
    if outside(dynptr, u32(r2), u32(r3)):
        return -E2BIG
    room(run, address_in(run, dynptr, u32(r2)), u32(r3))[:] = bytes((r4 & 0xFF,)) * u32(r3)
    return 0


# -- numbers, one after the other --------------------------------------------------------------------
@kfunc("bpf_iter_num_new")
def iter_num_new(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Begin to count; the iterator holds the number before the next, and the end."""
    begin, end = s32(r2), s32(r3)
    run.memory.write(r1, _ITERATOR.pack(0, 0))
    if begin > end:
        return -EINVAL
    if end - begin > _MOST_NUMBERS:
        return -E2BIG
    # As the kernel has it, the number before the first wraps around at the least of all.
    run.memory.write(r1, _ITERATOR.pack(s32(begin - 1), end))
    return 0


@kfunc("bpf_iter_num_next")
def iter_num_next(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of the next number; 0 past the last."""
    current, end = _ITERATOR.unpack(run.memory.read(r1, _ITERATOR.size))
    if s32(current + 1) >= end:
        run.memory.write(r1, _ITERATOR.pack(0, 0))
        return 0
    run.memory.write(r1, _ITERATOR.pack(s32(current + 1), end))
    return r1


@kfunc("bpf_iter_num_destroy")
def iter_num_destroy(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """End counting."""
    run.memory.write(r1, _ITERATOR.pack(0, 0))
    return 0


# -- what needs nothing done here --------------------------------------------------------------------
@kfunc("bpf_rcu_read_lock")
@kfunc("bpf_rcu_read_unlock")
@kfunc("bpf_preempt_disable")
@kfunc("bpf_preempt_enable")
@kfunc("bpf_local_irq_save")
@kfunc("bpf_local_irq_restore")
@kfunc("bpf_task_release")
@kfunc("bpf_cgroup_release")
def nothing(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Do nothing: programs run one at a time, and nothing goes away under them."""
    return 0


@kfunc("bpf_cast_to_kern_ctx")
@kfunc("bpf_rdonly_cast")
@kfunc("bpf_task_acquire")
@kfunc("bpf_cgroup_acquire")
def itself(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return what is given."""
    return r1


@kfunc("bpf_task_from_pid")
def task_from_pid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a task's struct; the machine knows the current one."""
    task = run.machine.task
    return task.address if s32(r1) == task.pid else 0


@kfunc("bpf_get_smp_processor_id")
def get_smp_processor_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the CPU that the program runs on."""
    return run.cpu


@kfunc("bpf_session_is_return")
def session_is_return(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return whether the function that the program is attached to has returned."""
    return int(call_of(run).result is not None)


@kfunc("bpf_xdp_metadata_rx_timestamp")
@kfunc("bpf_xdp_metadata_rx_hash")
@kfunc("bpf_xdp_metadata_rx_vlan_tag")
def no_metadata(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse, as devices without such metadata do."""
    return -EOPNOTSUPP


@kfunc("bpf_map_sum_elem_count")
def map_sum_elem_count(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return how many elements a map has."""
    return sum(1 for _ in map_of(run, r1, "map_sum_elem_count").each())


# -- work that is done later -------------------------------------------------------------------------
@kfunc("bpf_wq_init")
def wq_init(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make a piece of work: a timer that is due at once."""
    return -EINVAL if u32(r3) else make_timer(run, r1, map_of(run, r2, "wq_init"))


@kfunc("bpf_wq_set_callback_impl")
@kfunc("bpf_wq_set_callback")
def wq_set_callback(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Say which function does the work."""
    return -EINVAL if u32(r3) else timer_set_callback(run, r1, r2, 0, 0, 0)


@kfunc("bpf_wq_start")
def wq_start(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Have the work done when timers are run."""
    return -EINVAL if u32(r2) else timer_start(run, r1, 0, 0, 0, 0)


# -- strings -----------------------------------------------------------------------------------------
def _text(run: Run, address: int) -> bytes | int:
    """Return a string; a negative errno where it cannot be read, or does not end."""
    text = kernel_string(run, address, _MOST_STRING_BYTES)
    if text is None:
        return -EFAULT if address else -ERANGE
    return -E2BIG if len(text) == _MOST_STRING_BYTES else text


def _place_or_error(place: int) -> int:
    return -ENOENT if place < 0 else place


@kfunc("bpf_strlen")
def strlen(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the length of a string."""
    text = _text(run, r1)
    return text if isinstance(text, int) else len(text)


@kfunc("bpf_strnlen")
def strnlen(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the length of a string, at most so many bytes."""
    text = kernel_string(run, r1, min(r2, _MOST_STRING_BYTES)) if r2 else b""
    return -EFAULT if text is None else len(text)


@kfunc("bpf_strcmp")
def strcmp(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Compare two strings: -1, 0 or 1."""
    left, right = _text(run, r1), _text(run, r2)
    if isinstance(left, int):
        return left
    if isinstance(right, int):
        return right
    return (left > right) - (left < right)


@kfunc("bpf_strchr")
def strchr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return where a character stands first; the zero at the end counts."""
    text = _text(run, r1)
    return text if isinstance(text, int) else _place_or_error((text + b"\0").find(r2 & 0xFF))


@kfunc("bpf_strchrnul")
def strchrnul(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return where a character stands first, or where the string ends."""
    text = _text(run, r1)
    if isinstance(text, int):
        return text
    place = text.find(r2 & 0xFF)
    return len(text) if place < 0 else place


@kfunc("bpf_strnchr")
def strnchr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return where a character stands first within so many bytes."""
    text = kernel_string(run, r1, min(r2, _MOST_STRING_BYTES)) if r2 else b""
    if text is None:
        return -EFAULT
    return _place_or_error((text + b"\0")[:r2].find(r3 & 0xFF))


@kfunc("bpf_strrchr")
def strrchr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return where a character stands last."""
    text = _text(run, r1)
    return text if isinstance(text, int) else _place_or_error((text + b"\0").rfind(r2 & 0xFF))


@kfunc("bpf_strspn")
def strspn(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return how many characters in front are of a set."""
    return _span(run, r1, r2, wanted=True)


@kfunc("bpf_strcspn")
def strcspn(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return how many characters in front are not of a set."""
    return _span(run, r1, r2, wanted=False)


def _span(run: Run, text_at: int, set_at: int, *, wanted: bool) -> int:
    text, characters = _text(run, text_at), _text(run, set_at)
    if isinstance(text, int):
        return text
    if isinstance(characters, int):
        return characters
    places = (place for place, each in enumerate(text) if (each in characters) != wanted)
    return next(places, len(text))


@kfunc("bpf_strstr")
def strstr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return where a string stands in another."""
    return _search(run, r1, r2, _MOST_STRING_BYTES)


@kfunc("bpf_strnstr")
def strnstr(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return where a string stands in another's first bytes."""
    return _search(run, r1, r2, min(r3, _MOST_STRING_BYTES))


def _search(run: Run, text_at: int, wanted_at: int, most_bytes: int) -> int:
    text, wanted = _text(run, text_at), _text(run, wanted_at)
    if isinstance(text, int):
        return text
    if isinstance(wanted, int):
        return wanted
    return _place_or_error(text[:most_bytes].find(wanted))


@kfunc("bpf_copy_from_user_str")
def copy_from_user_str(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy a string of user space; its length with the zero. The flag 1 fills up with zeros."""
    place = room(run, r1, u32(r2))
    if r4 & ~1 or not place:
        return -EINVAL if r4 & ~1 else 0
    found = user_string(run, r3, len(place))
    if found is None:
        place[:] = bytes(len(place)) if r4 else place[:]
        return -EFAULT
    text = found[: len(place) - 1] + b"\0"
    place[: len(text)] = text
    if r4:
        place[len(text) :] = bytes(len(place) - len(text))
    return len(text)
