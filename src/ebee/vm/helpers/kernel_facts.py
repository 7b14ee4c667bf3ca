"""Helpers that ask for facts of the kernel: symbols, types, registers, branches, mappings, transforms."""

from __future__ import annotations

from ebee.vm.helpers.common import (
    EINVAL,
    ENOENT,
    EOPNOTSUPP,
    SYMBOLS_SLOT,
    TYPES_SLOT,
    block,
    put_number,
    room,
    u32,
)
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

_REGISTERS_BEYOND = 0x30_0000
_BPRM_FLAGS = 1


def _name_at(run: Run, address: int, size_bytes: int) -> str | None:
    """Return a name of at least one letter; None where no zero ends it."""
    text = block(run, address, size_bytes)
    return text[:-1].decode("utf-8", "surrogateescape") if len(text) > 1 and text[-1] == 0 else None


@helper("kallsyms_lookup_name")
def kallsyms_lookup_name(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the address of one of the kernel's symbols."""
    put_number(run, r4, 8, 0)
    name = _name_at(run, r1, u32(r2))
    if u32(r3) or name is None:
        return -EINVAL
    find = run.machine.slots.get(SYMBOLS_SLOT)
    found = find(name) if callable(find) else None
    put_number(run, r4, 8, found or 0)
    return -ENOENT if found is None else 0


@helper("btf_find_by_name_kind")
def btf_find_by_name_kind(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the id of one of the kernel's types."""
    from ebee.btf import Btf
    from ebee.btf.types import Kind

    name, kinds = _name_at(run, r1, u32(r2)), set(map(int, Kind))
    if u32(r4) or name is None or u32(r3) not in kinds:
        return -EINVAL
    ask = run.machine.slots.get(TYPES_SLOT)
    types = ask() if callable(ask) else None
    found = types.find(name, Kind(u32(r3))) if isinstance(types, Btf) else None
    return -ENOENT if found is None else found


@helper("task_pt_regs")
def task_pt_regs(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a task's registers, which are zeros unless they were put there."""
    return r1 + _REGISTERS_BEYOND


@helper("get_branch_snapshot")
def get_branch_snapshot(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse, as processors do that record no branches."""
    return -EINVAL if r3 else -ENOENT


@helper("read_branch_records")
def read_branch_records(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse, as events do that come without branches."""
    return -EINVAL if r4 & ~1 else -ENOENT


@helper("ima_inode_hash")
@helper("ima_file_hash")
def ima_hash(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse, as kernels do that measure no files."""
    return -EOPNOTSUPP


@helper("find_vma")
def find_vma(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Find none: the machine's tasks have no mappings."""
    return -EINVAL if r5 else -ENOENT


@helper("bprm_opts_set")
def bprm_opts_set(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note what is set for a program that is being started."""
    if r2 & ~_BPRM_FLAGS:
        return -EINVAL
    run.slots["bprm options"] = r2
    return 0


@helper("skb_get_xfrm_state")
def skb_get_xfrm_state(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse: packets here went through no transform. The state is zeroed."""
    place = room(run, r3, u32(r4))
    place[:] = bytes(len(place))
    return -EINVAL
