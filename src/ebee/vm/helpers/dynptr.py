"""Dynptrs: pointers that know how many bytes there are.

A program sees 16 bytes and may not look into them. Here they are:

    0   u64  address of the bytes, or of the context for packets; 0 is the null dynptr
    8   u32  size in bytes: 0-23; type: bits 28-30; bit 31: may only be read
    12  u32  where it begins, counted from the address

Source: Documentation/bpf/kfuncs.rst and bpf-helpers(7); kernel/bpf/helpers.c as to errnos.
"""

from __future__ import annotations

import struct

from ebee.record import NamedTuple
from ebee.vm.contexts.skb import Skb
from ebee.vm.helpers.common import E2BIG, EINVAL, block, packet_of, room, skb_of
from ebee.vm.helpers.registry import helper
from ebee.vm.helpers.skb import store_bytes
from ebee.vm.machine import Run

LOCAL, RINGBUF, SKB, XDP = 1, 2, 3, 4
MOST_BYTES = (1 << 24) - 1
_TYPE_SHIFT = 28
_READ_ONLY = 1 << 31
_FORM = struct.Struct("<QII")


class Dynptr(NamedTuple):
    """A dynptr's parts."""

    address: int
    size_bytes: int
    type: int
    offset: int = 0
    read_only: bool = False


def put_dynptr(run: Run, place: int, dynptr: Dynptr | None) -> None:
    """Write a dynptr into the program's memory; None for the null one."""
    if dynptr is None:
        run.memory.write(place, bytes(_FORM.size))
        return
    size = dynptr.size_bytes | dynptr.type << _TYPE_SHIFT | (_READ_ONLY if dynptr.read_only else 0)
    run.memory.write(place, _FORM.pack(dynptr.address, size, dynptr.offset))


def get_dynptr(run: Run, place: int) -> Dynptr | None:
    """Return a dynptr of the program's memory; None for the null one."""
    address, size, offset = _FORM.unpack(run.memory.read(place, _FORM.size))
    if not address:
        return None
    kind = size >> _TYPE_SHIFT & 7
    return Dynptr(address, size & MOST_BYTES, kind, offset, bool(size & _READ_ONLY))


def outside(dynptr: Dynptr, offset: int, size_bytes: int) -> bool:
    """Return whether bytes are not all within a dynptr."""
    return size_bytes > dynptr.size_bytes or offset > dynptr.size_bytes - size_bytes


def address_in(run: Run, dynptr: Dynptr, offset: int) -> int:
    """Return where a byte of a dynptr lies."""
    if dynptr.type in (SKB, XDP):
        return packet_of(run, dynptr.address, "dynptr_data").address(dynptr.offset + offset)
    return dynptr.address + dynptr.offset + offset


@helper("dynptr_from_mem")
def dynptr_from_mem(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make a dynptr of memory."""
    put_dynptr(run, r4, None)
    if r2 > MOST_BYTES:
        return -E2BIG
    if r3:
        return -EINVAL
    put_dynptr(run, r4, Dynptr(r1, r2, LOCAL))
    return 0


@helper("dynptr_read")
def dynptr_read(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes out."""
    place, dynptr = room(run, r1, r2), get_dynptr(run, r3)
    if dynptr is None or r5:
        return -EINVAL
    if outside(dynptr, r4, r2):
        return -E2BIG
    place[:] = block(run, address_in(run, dynptr, r4), r2)
    return 0


@helper("dynptr_write")
def dynptr_write(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes in."""
    data, dynptr = block(run, r3, r4), get_dynptr(run, r1)
    if dynptr is None or dynptr.read_only:
        return -EINVAL
    if outside(dynptr, r2, r4):
        return -E2BIG
    if dynptr.type == SKB:
        return store_bytes(skb_of(run, dynptr.address, "dynptr_write"), dynptr.offset + r2, data, r5)
    if r5:
        return -EINVAL
    room(run, address_in(run, dynptr, r2), r4)[:] = data
    return 0


@helper("dynptr_data")
def dynptr_data(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of bytes, or 0; of packets never one."""
    dynptr = get_dynptr(run, r1)
    if dynptr is None or dynptr.read_only or dynptr.type in (SKB, XDP) or outside(dynptr, r2, r3):
        return 0
    return address_in(run, dynptr, r2)


def packet_dynptr(run: Run, context: int, flags: int, place: int, name: str) -> int:
    """Make a dynptr of the packet, as bpf_dynptr_from_skb() and _xdp() do."""
    put_dynptr(run, place, None)
    if flags:
        return -EINVAL
    packet = packet_of(run, context, name)
    is_skb = isinstance(run.context.event, Skb)
    read_only = is_skb and not packet.region.writable
    put_dynptr(run, place, Dynptr(context, len(packet), SKB if is_skb else XDP, 0, read_only))
    return 0
