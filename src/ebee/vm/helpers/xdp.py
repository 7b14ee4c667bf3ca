"""Helpers of XDP programs: the packet's ends, its metadata, its bytes.

Source: net/core/filter.c, bpf_xdp_adjust_head() and its neighbours, as to what is refused.
"""

from __future__ import annotations

from ebee.abi.bpf import F_BROADCAST, F_EXCLUDE_INGRESS, MapType, XdpAction
from ebee.vm.contexts.xdp import ETHERNET_BYTES, meta_is_invalid
from ebee.vm.helpers.common import EACCES, EFAULT, EINVAL, block, map_of, packet_of, room, s32, u32
from ebee.vm.helpers.network import Redirect
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run
from ebee.vm.packet import RESERVED_HEAD_BYTES

_ACTIONS = 3
"""XDP_ABORTED to XDP_TX: what bpf_redirect_map() may return where the map has no such key."""
_MOST_BYTES = 0xFFFF


@helper("xdp_adjust_head")
def xdp_adjust_head(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Let the packet begin earlier or later; its metadata moves along."""
    packet, delta = packet_of(run, r1, "xdp_adjust_head"), s32(r2)
    begin = packet.begin + delta
    if begin < RESERVED_HEAD_BYTES + packet.meta_bytes or begin > packet.end - ETHERNET_BYTES:
        return -EINVAL
    meta = bytes(packet.with_meta()[: packet.meta_bytes])
    packet.move(begin, packet.end, run.memory)
    packet.with_meta()[: len(meta)] = meta
    return 0


@helper("xdp_adjust_tail")
def xdp_adjust_tail(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Let the packet end earlier or later; what is new is zero."""
    packet, delta = packet_of(run, r1, "xdp_adjust_tail"), s32(r2)
    end = packet.end + delta
    if end > packet.limit or end < packet.begin + ETHERNET_BYTES:
        return -EINVAL
    packet.resize(len(packet) + delta, run.memory)
    return 0


@helper("xdp_adjust_meta")
def xdp_adjust_meta(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Let the metadata begin earlier or later."""
    packet, delta = packet_of(run, r1, "xdp_adjust_meta"), s32(r2)
    size = packet.meta_bytes - delta
    if size < 0 or packet.begin - size < RESERVED_HEAD_BYTES:
        return -EINVAL
    if meta_is_invalid(size):
        return -EACCES
    packet.meta_bytes = size
    packet.move(packet.begin, packet.end, run.memory)
    return 0


@helper("xdp_get_buff_len")
def xdp_get_buff_len(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the packet's length."""
    return len(packet_of(run, r1, "xdp_get_buff_len"))


@helper("xdp_load_bytes")
def xdp_load_bytes(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes out of the packet."""
    packet, offset, size = packet_of(run, r1, "xdp_load_bytes"), u32(r2), u32(r4)
    place = room(run, r3, size)
    if offset > _MOST_BYTES or size > _MOST_BYTES:
        return -EFAULT
    if offset + size > len(packet):
        return -EINVAL
    place[:] = packet.bytes()[offset : offset + size]
    return 0


@helper("xdp_store_bytes")
def xdp_store_bytes(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes into the packet."""
    packet, offset, size = packet_of(run, r1, "xdp_store_bytes"), u32(r2), u32(r4)
    data = block(run, r3, size)
    if offset > _MOST_BYTES or size > _MOST_BYTES:
        return -EFAULT
    if offset + size > len(packet):
        return -EINVAL
    packet.bytes()[offset : offset + size] = data
    return 0


@helper("redirect_map")
def redirect_map(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Send the packet where a map's slot says; the flags' lower bits where it says nothing."""
    found = map_of(run, r1, "redirect_map")
    devices = found.setup.type in (MapType.DEVMAP, MapType.DEVMAP_HASH)
    broadcast = F_BROADCAST | F_EXCLUDE_INGRESS if devices else 0
    if r3 & ~(_ACTIONS | broadcast):
        return XdpAction.ABORTED
    address = found.find((r2 & 0xFFFF_FFFF).to_bytes(4, "little"), run.cpu)
    if not address and not r3 & F_BROADCAST & broadcast:
        run.redirected = None
        return r3 & _ACTIONS
    target = int.from_bytes(found.read(u32(r2).to_bytes(4, "little")) or b"", "little") & 0xFFFF_FFFF
    run.redirected = Redirect("redirect_map", target, found.index, u32(r2), r3)
    return XdpAction.REDIRECT
