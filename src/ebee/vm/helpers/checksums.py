"""Helpers of the Internet checksum.

Sums are of 16-bit words as they lie in memory, which on this machine, as on the kernels that ebee knows,
means little endian. Source: RFC 1071 and RFC 1624; net/core/filter.c as to what is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ebee.abi import bpf
from ebee.vm.contexts.skb import Skb
from ebee.vm.helpers.common import EACCES, EFAULT, EINVAL, ENOTSUPP, block, skb_of, u16, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

_ALL = 0xFFFF_FFFF
_MANGLED_ZERO = 0xFFFF
_L4_FLAGS = bpf.F_HDR_FIELD_MASK | bpf.F_PSEUDO_HDR | bpf.F_MARK_MANGLED_0 | bpf.F_MARK_ENFORCE | bpf.F_IPV6
_MOST_OFFSET = 0xFFFF


def added(left: int, right: int) -> int:
    """Return the sum of two 32-bit numbers, the carry added in."""
    total = left + right
    return (total & _ALL) + (total >> 32)


def folded(total: int) -> int:
    """Return a sum as 16 bits, carries added in."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def sum_of(data: bytes, seed: int = 0) -> int:
    """Return the 32-bit sum of bytes; it is 0 only where all are, and the seed, too.

    What a sum's 32 bits are beyond its 16 is the kernel's choice; this is that of x86-64 and arm64,
    which add 64 bits at a time.
    """
    padded = data + bytes(-len(data) % 8)
    total: int = seed + sum(struct.unpack(f"<{len(padded) // 8}Q", padded))
    for bits in (64, 64, 32, 32):
        total = (total & (1 << bits) - 1) + (total >> bits)
    return total


def replaced(checksum: int, old: int, new: int) -> int:
    """Return a checksum after a field of its data changed (RFC 1624)."""
    return ~folded(added(added(~checksum & _ALL, ~old & _ALL), new)) & 0xFFFF


def adjusted(checksum: int, difference: int) -> int:
    """Return a checksum after its data changed by a difference."""
    return ~folded(added(difference, ~checksum & _ALL)) & 0xFFFF


def replaced_short(checksum: int, old: int, new: int) -> int:
    """Return a checksum after 16 bits of its data changed."""
    total = (~checksum & 0xFFFF) + (~old & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16) + new
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


@helper("csum_diff")
def csum_diff(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return a sum with some bytes taken out and others put in.

    Any number of bytes; kernels before 6.14 refuse what is no multiple of 4.
    """
    old, new, seed = block(run, r1, u32(r2)), block(run, r3, u32(r4)), u32(r5)
    if old and new:
        return folded(added(sum_of(new, seed), ~sum_of(old) & _ALL))
    if old:
        return folded(~sum_of(old, ~seed & _ALL) & _ALL)
    return folded(sum_of(new, seed))


@helper("l3_csum_replace")
def l3_csum_replace(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Bring the checksum of an IP header up to date."""
    skb = skb_of(run, r1, "l3_csum_replace")
    if r5 & ~bpf.F_HDR_FIELD_MASK:
        return -EINVAL
    place = _checksum_at(skb, u32(r2))
    if place is None:
        return -EFAULT
    new = _updated(int.from_bytes(place, "little"), r3, r4, r5 & bpf.F_HDR_FIELD_MASK, replaced_short)
    if new is None:
        return -EINVAL
    place[:] = new.to_bytes(2, "little")
    return 0


@helper("l4_csum_replace")
def l4_csum_replace(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Bring the checksum of a TCP, UDP or ICMP header up to date."""
    skb = skb_of(run, r1, "l4_csum_replace")
    if r5 & ~_L4_FLAGS:
        return -EINVAL
    place = _checksum_at(skb, u32(r2))
    if place is None:
        return -EFAULT
    old = int.from_bytes(place, "little")
    zero_is_none = bool(r5 & bpf.F_MARK_MANGLED_0)
    if zero_is_none and not r5 & bpf.F_MARK_ENFORCE and not old:
        return 0
    new = _updated(old, r3, r4, r5 & bpf.F_HDR_FIELD_MASK, replaced)
    if new is None:
        return -EINVAL
    place[:] = (_MANGLED_ZERO if zero_is_none and not new else new).to_bytes(2, "little")
    return 0


def _checksum_at(skb: Skb, offset: int) -> memoryview | None:
    """Return a checksum's two bytes; None where the packet has none at that offset."""
    if offset > _MOST_OFFSET or offset & 1 or offset + 2 > len(skb.packet):
        return None
    return skb.packet.bytes()[offset : offset + 2]


def _updated(
    checksum: int, old: int, new: int, size_bytes: int, short: Callable[[int, int, int], int]
) -> int | None:
    """Return a checksum after a field of 2 or 4 bytes changed, or by a difference (0); None for others."""
    if size_bytes == 0:
        return None if old else adjusted(checksum, u32(new))
    if size_bytes == 2:
        return short(checksum, u16(old), u16(new))
    return replaced(checksum, u32(old), u32(new)) if size_bytes == 4 else None


@helper("csum_update")
def csum_update(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Add to what the device summed; only where it summed the whole packet."""
    skb = skb_of(run, r1, "csum_update")
    return folded(u32(r2)) if skb.checksum == "complete" else -ENOTSUPP


@helper("csum_level")
def csum_level(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Change or return how many checksums the device has found right."""
    skb = skb_of(run, r1, "csum_level")
    if r2 == bpf.CSUM_LEVEL_QUERY:
        return skb.checksum_level if skb.checksum == "unnecessary" else -EACCES
    if r2 == bpf.CSUM_LEVEL_INC:
        _raise_level(skb)
    elif r2 == bpf.CSUM_LEVEL_DEC:
        _lower_level(skb)
    elif r2 == bpf.CSUM_LEVEL_RESET:
        reset_level(skb)
    else:
        return -EINVAL
    return 0


def _raise_level(skb: Skb) -> None:
    if skb.checksum == "unnecessary":
        skb.checksum_level = min(3, skb.checksum_level + 1)
    elif skb.checksum == "none":
        skb.checksum, skb.checksum_level = "unnecessary", 0


def _lower_level(skb: Skb) -> None:
    if skb.checksum == "unnecessary":
        if skb.checksum_level == 0:
            skb.checksum = "none"
        else:
            skb.checksum_level -= 1


def reset_level(skb: Skb) -> None:
    """Forget what the device found right."""
    if skb.checksum == "unnecessary":
        skb.checksum, skb.checksum_level = "none", 0
