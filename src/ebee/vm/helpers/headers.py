"""Helpers that make a packet longer or shorter: room for headers, VLAN tags, IPv4 to IPv6 and back.

Source: net/core/filter.c and skb_vlan_push() of net/core/skbuff.c, as to what moves and what is refused.
"""

from __future__ import annotations

from ebee.abi import bpf
from ebee.vm.contexts.skb import ETHERNET_BYTES, HEADER_BYTES, IPV4, IPV6, Skb
from ebee.vm.helpers.checksums import reset_level
from ebee.vm.helpers.common import EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP, s32, skb_of, u16, u32
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

MOST_BYTES = 16064
"""BPF_SKB_MAX_LEN: four pages, without what the kernel keeps at their end."""
VLAN_TYPES = (0x8100, 0x88A8)
_VLAN_BYTES = 4
_ADDRESSES_BYTES = 12
_MOST_ROOM = 0xFFF
_FIRST_ETHERTYPE = 1536

_ENCAP_L3 = bpf.F_ADJ_ROOM_ENCAP_L3_IPV4 | bpf.F_ADJ_ROOM_ENCAP_L3_IPV6
_DECAP_L3 = bpf.F_ADJ_ROOM_DECAP_L3_IPV4 | bpf.F_ADJ_ROOM_DECAP_L3_IPV6
_ENCAP_L4 = bpf.F_ADJ_ROOM_ENCAP_L4_GRE | bpf.F_ADJ_ROOM_ENCAP_L4_UDP
_L2_LENGTH = bpf.ADJ_ROOM_ENCAP_L2_MASK << bpf.ADJ_ROOM_ENCAP_L2_SHIFT
_GROW_FLAGS = bpf.F_ADJ_ROOM_FIXED_GSO | _ENCAP_L3 | _ENCAP_L4 | bpf.F_ADJ_ROOM_ENCAP_L2_ETH | _L2_LENGTH
_SHRINK_FLAGS = bpf.F_ADJ_ROOM_FIXED_GSO | _DECAP_L3 | bpf.F_ADJ_ROOM_NO_CSUM_RESET
_ROOM_FLAGS = _GROW_FLAGS | _SHRINK_FLAGS


@helper("skb_change_tail")
def skb_change_tail(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Cut the packet's end off, or let it grow by zeros."""
    skb, length = skb_of(run, r1, "skb_change_tail"), u32(r2)
    least = max(0, skb.network) if skb.transport is None or skb.transport <= 0 else skb.transport
    if r3 or not least <= length <= MOST_BYTES:
        return -EINVAL
    if skb.encapsulated:
        return -ENOTSUPP
    skb.packet.resize(length, run.memory)
    return 0


@helper("skb_change_head")
def skb_change_head(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make room of zeros before the packet."""
    skb, size = skb_of(run, r1, "skb_change_head"), u32(r2)
    if r3 or len(skb.packet) + size > MOST_BYTES:
        return -EINVAL
    skb.insert(0, size)
    skb.mac, skb.network = 0, skb.network + size
    skb.measure_mac()
    return 0


@helper("skb_change_proto")
def skb_change_proto(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make room for a header of the other IP version; the program fills it in."""
    skb = skb_of(run, r1, "skb_change_proto")
    wanted = int.from_bytes(u16(r2).to_bytes(2, "little"), "big")
    if r3:
        return -EINVAL
    difference = HEADER_BYTES[IPV6] - HEADER_BYTES[IPV4]
    at = skb.network - skb.mac
    if (skb.protocol, wanted) == (IPV4, IPV6):
        skb.insert(at, difference)
    elif (skb.protocol, wanted) == (IPV6, IPV4):
        if at + difference > len(skb.packet):
            return -ENOMEM
        skb.remove(at, difference)
    else:
        return -ENOTSUPP
    skb.protocol = wanted
    skb.set("hash", 0)
    return 0


# -- room between headers ----------------------------------------------------------------------------
@helper("skb_adjust_room")
def skb_adjust_room(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make or take room behind the link's header, or behind the network's."""
    skb, difference, mode = skb_of(run, r1, "skb_adjust_room"), s32(r2), u32(r3)
    refusal = _room_refused(skb, difference, mode, r4)
    if refusal:
        return refusal
    at = skb.network - skb.mac + (HEADER_BYTES[skb.protocol] if mode == bpf.ADJ_ROOM_NET else 0)
    answer = _shrink(skb, at, -difference, r4) if difference < 0 else _grow(skb, at, difference, r4)
    if not answer and not r4 & bpf.F_ADJ_ROOM_NO_CSUM_RESET:
        reset_level(skb)
    return answer


def _room_refused(skb: Skb, difference: int, mode: int, flags: int) -> int:
    """Return a negative errno for what is refused before anything is looked at."""
    if flags & ~_ROOM_FLAGS:
        return -EINVAL
    if abs(difference) > _MOST_ROOM:
        return -EFAULT
    if skb.protocol not in HEADER_BYTES or mode not in (bpf.ADJ_ROOM_NET, bpf.ADJ_ROOM_MAC):
        return -ENOTSUPP
    least = HEADER_BYTES[skb.protocol]
    if flags & _DECAP_L3:
        if difference >= 0 or flags & _DECAP_L3 == _DECAP_L3:
            return -EINVAL
        least = HEADER_BYTES[IPV4 if flags & bpf.F_ADJ_ROOM_DECAP_L3_IPV4 else IPV6]
    left = len(skb.packet) - skb.network + difference
    too_short = difference < 0 and (left <= 0 or left < least)
    too_long = difference >= 0 and len(skb.packet) + difference > MOST_BYTES
    return -ENOTSUPP if too_short or too_long else 0


def _grow(skb: Skb, at: int, size: int, flags: int) -> int:
    inner_mac_bytes = flags >> bpf.ADJ_ROOM_ENCAP_L2_SHIFT
    if flags & _ENCAP_L3:
        refusal = _encapsulation_refused(skb, size, flags, inner_mac_bytes)
        if refusal:
            return refusal
    skb.insert(at, size)
    if flags & _ENCAP_L3:
        skb.encapsulated = True
        skb.protocol = IPV6 if flags & bpf.F_ADJ_ROOM_ENCAP_L3_IPV6 else IPV4
        if flags & _ENCAP_L4:
            skb.transport = skb.network + HEADER_BYTES[skb.protocol]
    return 0


def _encapsulation_refused(skb: Skb, size: int, flags: int, inner_mac_bytes: int) -> int:
    if flags & _ENCAP_L3 == _ENCAP_L3 or flags & _ENCAP_L4 == _ENCAP_L4:
        return -EINVAL
    if flags & bpf.F_ADJ_ROOM_ENCAP_L2_ETH and inner_mac_bytes < ETHERNET_BYTES:
        return -EINVAL
    if skb.encapsulated:
        return -EALREADY
    return -EINVAL if inner_mac_bytes > size else 0


def _shrink(skb: Skb, at: int, size: int, flags: int) -> int:
    if flags & ~_SHRINK_FLAGS:
        return -EINVAL
    if at + size > len(skb.packet):
        return -ENOMEM
    skb.remove(at, size)
    if flags & bpf.F_ADJ_ROOM_DECAP_L3_IPV6:
        skb.protocol = IPV6
    elif flags & bpf.F_ADJ_ROOM_DECAP_L3_IPV4:
        skb.protocol = IPV4
    return 0


# -- VLAN --------------------------------------------------------------------------------------------
@helper("skb_vlan_push")
def skb_vlan_push(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Give the packet a tag; the one it has beside its bytes moves into them."""
    skb = skb_of(run, r1, "skb_vlan_push")
    kind = int.from_bytes(u16(r2).to_bytes(2, "little"), "big")
    if skb.get("vlan_present"):
        outer = _swapped(skb.get("vlan_proto"))
        skb.insert(_ADDRESSES_BYTES, _VLAN_BYTES)
        tag = outer.to_bytes(2, "big") + u16(skb.get("vlan_tci")).to_bytes(2, "big")
        skb.packet.bytes()[_ADDRESSES_BYTES : _ADDRESSES_BYTES + _VLAN_BYTES] = tag
        skb.protocol = outer
    _put_tag(skb, kind if kind in VLAN_TYPES else VLAN_TYPES[0], u16(r3))
    skb.measure_mac()
    return 0


@helper("skb_vlan_pop")
def skb_vlan_pop(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Take the outermost tag away; the next one moves from the bytes to beside them."""
    skb = skb_of(run, r1, "skb_vlan_pop")
    answer = _pop(skb)
    skb.measure_mac()
    return answer


def _pop(skb: Skb) -> int:
    if skb.get("vlan_present"):
        skb.set("vlan_present", 0)
        skb.set("vlan_tci", 0)
        skb.set("vlan_proto", 0)
    elif skb.protocol not in VLAN_TYPES:
        return 0
    elif _take_tag(skb) is None:
        return -ENOMEM
    if skb.protocol not in VLAN_TYPES:
        return 0
    kind, number = skb.protocol, _take_tag(skb)
    if number is None:
        return -ENOMEM
    _put_tag(skb, kind, number)
    return 0


def _put_tag(skb: Skb, kind: int, number: int) -> None:
    skb.set("vlan_present", 1)
    skb.set("vlan_proto", _swapped(kind))
    skb.set("vlan_tci", number)


def _take_tag(skb: Skb) -> int | None:
    """Take the tag out of the packet's bytes and return its number; None where the packet is too short."""
    if len(skb.packet) < ETHERNET_BYTES + _VLAN_BYTES:
        return None
    tag = bytes(skb.packet.bytes()[_ADDRESSES_BYTES : ETHERNET_BYTES + _VLAN_BYTES])
    skb.remove(_ADDRESSES_BYTES, _VLAN_BYTES)
    inner = int.from_bytes(tag[4:6], "big")
    after = bytes(skb.packet.bytes()[ETHERNET_BYTES : ETHERNET_BYTES + 2])
    skb.protocol = inner if inner >= _FIRST_ETHERTYPE else 0x0001 if after == b"\xff\xff" else 0x0004
    skb.network = max(ETHERNET_BYTES, skb.network - _VLAN_BYTES)
    return int.from_bytes(tag[2:4], "big")


def _swapped(value: int) -> int:
    """Return a number of 16 bits with its bytes in the other order."""
    return (value & 0xFF) << 8 | value >> 8 & 0xFF


# -- congestion --------------------------------------------------------------------------------------
def set_congestion(skb: Skb) -> int:
    """Set ECN to `congestion experienced` where the packet allows it; 1 where it is set now."""
    data, kind = skb.packet.bytes()[max(0, skb.network) :], _inner_protocol(skb)
    if len(data) < HEADER_BYTES.get(kind, 1 << 16):
        return 0
    if kind == IPV6:
        if not data[1] & 0x30:
            return 0
        data[1] |= 0x30
        return 1
    ecn = data[1] & 3
    if ecn in (1, 2):
        # The checksum lacks what the first word gained: 3 - ecn.
        total = int.from_bytes(data[10:12], "big") + 0xFFFC + ecn
        data[10:12] = ((total & 0xFFFF) + (total >> 16)).to_bytes(2, "big")
        data[1] |= 3
    return int(ecn != 0)


def _inner_protocol(skb: Skb) -> int:
    """Return the protocol behind all tags that are in the packet's bytes."""
    kind, at = skb.protocol, skb.mac_bytes - _VLAN_BYTES if skb.mac_bytes else ETHERNET_BYTES
    while kind in VLAN_TYPES and at + _VLAN_BYTES <= len(skb.packet):
        kind = int.from_bytes(skb.packet.bytes()[at + 2 : at + _VLAN_BYTES], "big")
        at += _VLAN_BYTES
    return kind
