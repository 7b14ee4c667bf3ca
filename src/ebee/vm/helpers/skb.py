"""Helpers of socket buffers: bytes in and out, hash, type, cgroup, tunnel.

Source: net/core/filter.c, as to what is refused and with which errno.
"""

from __future__ import annotations

import zlib

from ebee.abi import bpf
from ebee.abi.contexts import TUNNEL_KEY
from ebee.vm.contexts.skb import IPV4, IPV6, Skb
from ebee.vm.helpers.common import (
    EFAULT,
    EINVAL,
    ENOENT,
    ENOMEM,
    EOPNOTSUPP,
    INT_MAX,
    block,
    packet_of,
    room,
    s32,
    skb_of,
    u32,
)
from ebee.vm.helpers.general import ancestor_of, under_cgroup
from ebee.vm.helpers.network import network_of
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

_MOST_RELATIVE_OFFSET = 0xFFFF
_PACKET_OTHERHOST = 3
_TUNNEL_SIZES = (TUNNEL_KEY.size_bytes, 28, 24, 22, 8)
"""The struct as it is, and as it was before each of its last fields came."""
_SET_KEY_FLAGS = (
    bpf.F_TUNINFO_IPV6 | bpf.F_ZERO_CSUM_TX | bpf.F_DONT_FRAGMENT | bpf.F_SEQ_NUMBER | bpf.F_NO_TUNNEL_KEY
)
_MOST_OPTIONS_BYTES = 255


@helper("skb_load_bytes")
def skb_load_bytes(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes out of the packet; zeros where it has not so many."""
    packet, offset, size = packet_of(run, r1, "skb_load_bytes"), u32(r2), u32(r4)
    place = room(run, r3, size)
    fits = offset <= INT_MAX and offset + size <= len(packet)
    place[:] = packet.bytes()[offset : offset + size] if fits else bytes(size)
    return 0 if fits else -EFAULT


@helper("skb_load_bytes_relative")
def skb_load_bytes_relative(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes that are counted from the link's or the network's header."""
    skb, offset, size = skb_of(run, r1, "skb_load_bytes_relative"), u32(r2), u32(r4)
    place = room(run, r3, size)
    starts = {bpf.HDR_START_MAC: skb.mac, bpf.HDR_START_NET: skb.network}
    start = starts.get(u32(r5))
    fits = False
    if start is not None and offset <= _MOST_RELATIVE_OFFSET:
        fits = start + offset + size <= len(skb.packet)
    if fits and start is not None:
        data = skb.packet.region.element(0)
        begin = skb.packet.begin + start + offset
        place[:] = data[begin : begin + size]
    else:
        place[:] = bytes(size)
    return 0 if fits else -EFAULT


@helper("skb_store_bytes")
def skb_store_bytes(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy bytes into the packet."""
    skb = skb_of(run, r1, "skb_store_bytes")
    return store_bytes(skb, u32(r2), block(run, r3, u32(r4)), r5)


def store_bytes(skb: Skb, offset: int, data: bytes, flags: int) -> int:
    """Copy bytes into a packet, as bpf_skb_store_bytes() does."""
    if flags & ~(bpf.F_RECOMPUTE_CSUM | bpf.F_INVALIDATE_HASH):
        return -EINVAL
    if offset > INT_MAX or offset + len(data) > len(skb.packet):
        return -EFAULT
    skb.packet.bytes()[offset : offset + len(data)] = data
    if flags & bpf.F_INVALIDATE_HASH:
        skb.set("hash", 0)
    return 0


@helper("skb_pull_data")
def skb_pull_data(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make so many bytes readable; all that a packet has always are here."""
    packet = packet_of(run, r1, "skb_pull_data")
    return 0 if u32(r2) <= len(packet) else -ENOMEM


@helper("skb_change_type")
def skb_change_type(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Say whom the packet is for."""
    skb = skb_of(run, r1, "skb_change_type")
    if u32(r2) > _PACKET_OTHERHOST or skb.get("pkt_type") > _PACKET_OTHERHOST:
        return -EINVAL
    skb.set("pkt_type", u32(r2))
    return 0


@helper("get_hash_recalc")
def get_hash_recalc(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the hash of the flow, made once. The kernel's has a secret; this one is the same every time."""
    skb = skb_of(run, r1, "get_hash_recalc")
    if not skb.get("hash"):
        skb.set("hash", flow_hash(skb))
    return skb.get("hash")


def flow_hash(skb: Skb) -> int:
    """Return a hash of addresses, protocol and ports; never 0."""
    data = bytes(skb.packet.bytes())[max(0, skb.network) :]
    if skb.protocol == IPV4 and len(data) >= 20:
        ports = data[4 * (data[0] & 15) :][:4] if data[9] in (6, 17) else b""
        flow = data[12:20] + data[9:10] + ports
    elif skb.protocol == IPV6 and len(data) >= 40:
        flow = data[8:40] + data[6:7] + (data[40:44] if data[6] in (6, 17) else b"")
    else:
        flow = skb.protocol.to_bytes(2, "big")
    return zlib.crc32(flow) or 1


@helper("set_hash")
def set_hash(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Set the hash of the flow."""
    skb_of(run, r1, "set_hash").set("hash", u32(r2))
    return 0


@helper("set_hash_invalid")
def set_hash_invalid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Forget the hash of the flow."""
    skb_of(run, r1, "set_hash_invalid").set("hash", 0)
    return 0


@helper("skb_set_tstamp")
def skb_set_tstamp(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Set when the packet is to leave, and by which clock."""
    skb = skb_of(run, r1, "skb_set_tstamp")
    kind = u32(r3)
    if skb.protocol not in (IPV4, IPV6):
        return -EOPNOTSUPP
    if kind not in (bpf.SKB_CLOCK_REALTIME, bpf.SKB_CLOCK_MONOTONIC, bpf.SKB_CLOCK_TAI):
        return -EINVAL
    if kind != bpf.SKB_CLOCK_REALTIME and not r2:
        return -EINVAL
    skb.set("tstamp", r2)
    skb.set("tstamp_type", kind)
    return 0


@helper("skb_ecn_set_ce")
def skb_ecn_set_ce(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Mark a packet that is capable of it as one that met congestion; 1 where it is now."""
    from ebee.vm.helpers.headers import set_congestion

    return set_congestion(skb_of(run, r1, "skb_ecn_set_ce"))


# -- whose packet it is ------------------------------------------------------------------------------
@helper("skb_cgroup_id")
def skb_cgroup_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the id of the socket's cgroup: the task's."""
    return run.machine.task.cgroup_id


@helper("sk_cgroup_id")
def sk_cgroup_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the id of the socket's cgroup: the task's."""
    return run.machine.task.cgroup_id


@helper("skb_ancestor_cgroup_id")
@helper("sk_ancestor_cgroup_id")
def skb_ancestor_cgroup_id(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the id of the cgroup at a level above the socket's, or 0."""
    return ancestor_of(run, s32(r2))


@helper("skb_under_cgroup")
def skb_under_cgroup(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return whether the socket is in a cgroup of a cgroup array, or below."""
    return under_cgroup(run, r2, r3, "skb_under_cgroup")


@helper("get_cgroup_classid")
@helper("skb_cgroup_classid")
@helper("get_route_realm")
def get_cgroup_classid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return 0: there are no classes and no realms."""
    return 0


@helper("get_socket_cookie")
def get_socket_cookie(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the socket's number; 0 where the context has no socket."""
    return network_of(run.machine).socket_cookie if r1 else 0


@helper("get_socket_uid")
def get_socket_uid(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return whose socket it is."""
    return network_of(run.machine).socket_uid


@helper("get_netns_cookie")
def get_netns_cookie(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the number of the network namespace."""
    return network_of(run.machine).netns_cookie


# -- tunnels -----------------------------------------------------------------------------------------
@helper("skb_get_tunnel_key")
def skb_get_tunnel_key(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write what the tunnel said that the packet came through."""
    skb, size = skb_of(run, r1, "skb_get_tunnel_key"), u32(r3)
    place = room(run, r2, size)
    place[:] = bytes(size)
    if r4 & ~(bpf.F_TUNINFO_IPV6 | bpf.F_TUNINFO_FLAGS) or skb.tunnel_key is None:
        return -EINVAL
    if size not in _TUNNEL_SIZES:
        return -EINVAL
    place[:] = skb.tunnel_key.ljust(TUNNEL_KEY.size_bytes, b"\0")[:size]
    return 0


@helper("skb_set_tunnel_key")
def skb_set_tunnel_key(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Say what tunnel the packet is to take."""
    skb, size = skb_of(run, r1, "skb_set_tunnel_key"), u32(r3)
    if r4 & ~_SET_KEY_FLAGS or size not in _TUNNEL_SIZES:
        return -EINVAL
    skb.tunnel_key = block(run, r2, size)
    return 0


@helper("skb_get_tunnel_opt")
def skb_get_tunnel_opt(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the tunnel's options; their length."""
    skb, size = skb_of(run, r1, "skb_get_tunnel_opt"), u32(r3)
    place = room(run, r2, size)
    place[:] = bytes(size)
    if not skb.tunnel_options:
        return -ENOENT
    if size < len(skb.tunnel_options):
        return -ENOMEM
    place[: len(skb.tunnel_options)] = skb.tunnel_options
    return len(skb.tunnel_options)


@helper("skb_set_tunnel_opt")
def skb_set_tunnel_opt(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Set the tunnel's options; a key must have been set."""
    skb, size = skb_of(run, r1, "skb_set_tunnel_opt"), u32(r3)
    if skb.tunnel_key is None or size % 4:
        return -EINVAL
    if size > _MOST_OPTIONS_BYTES:
        return -ENOMEM
    skb.tunnel_options = block(run, r2, size)
    return 0
