"""Helpers that ask where a packet may go and send it there: redirects, routes, MTUs, sockets.

Source: net/core/filter.c, as to flags and errnos.
"""

from __future__ import annotations

from ebee.abi import bpf
from ebee.abi.bpf import ProgType, XdpAction
from ebee.abi.contexts import FIB_LOOKUP
from ebee.vm.contexts.skb import ETHERNET_BYTES, Skb
from ebee.vm.helpers.common import (
    EAFNOSUPPORT,
    EINVAL,
    ENODEV,
    block,
    number_at,
    packet_of,
    put_number,
    s32,
    skb_of,
    u32,
)
from ebee.vm.helpers.network import Redirect, Route, network_of
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

_TC_SHOT, _TC_REDIRECT = 2, 7
_NEIGHBOUR_BYTES = 20
_FIB_FLAGS = 0x3F
_FAMILIES = {2: (16, 32, 4), 10: (16, 32, 16)}
"""By family: where source and target stand in struct bpf_fib_lookup, and how long they are."""


@helper("redirect")
def redirect(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Send the packet out of an interface, or into it."""
    if run.code.type is ProgType.XDP:
        return XdpAction.ABORTED if r2 else _sent(run, "redirect", u32(r1), 0, XdpAction.REDIRECT)
    return _TC_SHOT if r2 & ~bpf.F_INGRESS else _sent(run, "redirect", u32(r1), r2, _TC_REDIRECT)


@helper("redirect_peer")
def redirect_peer(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Send the packet into the peer of an interface."""
    return _TC_SHOT if r2 else _sent(run, "redirect_peer", u32(r1), 0, _TC_REDIRECT)


@helper("redirect_neigh")
def redirect_neigh(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Send the packet out of an interface, with the link's addresses of a neighbour."""
    size = s32(r3)
    if r4 or 0 != size < _NEIGHBOUR_BYTES:
        return _TC_SHOT
    answer = _sent(run, "redirect_neigh", u32(r1), 0, _TC_REDIRECT)
    if size:
        assert isinstance(run.redirected, Redirect)
        run.redirected = run.redirected._replace(neighbour=block(run, r2, _NEIGHBOUR_BYTES))
    return answer


def _sent(run: Run, name: str, ifindex: int, flags: int, answer: int) -> int:
    run.redirected = Redirect(name, ifindex, flags=flags)
    return answer


@helper("clone_redirect")
def clone_redirect(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Send a copy of the packet: noted in the context's `cloned_to`."""
    skb = skb_of(run, r1, "clone_redirect")
    if r3 & ~bpf.F_INGRESS or network_of(run.machine).mtu_of(u32(r2)) is None:
        return -EINVAL
    skb.cloned_to.append((u32(r2), r3, bytes(skb.packet.bytes())))
    return 0


@helper("check_mtu")
def check_mtu(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Say whether the packet fits an interface; write its MTU."""
    packet, skb = packet_of(run, r1, "check_mtu"), run.context.event
    given, difference = number_at(run, r3, 4), s32(r4)
    if r5 & ~(bpf.MTU_CHK_SEGS if isinstance(skb, Skb) else 0) or (r5 and (difference or given)):
        return -EINVAL
    own = skb.get("ifindex") if isinstance(skb, Skb) else packet.ingress_ifindex
    mtu = network_of(run.machine).mtu_of(u32(r2) or own)
    if mtu is None:
        return -ENODEV
    length = (given + ETHERNET_BYTES if given else len(packet)) + difference
    put_number(run, r3, 4, mtu)
    return bpf.MTU_CHK_RET_SUCCESS if length <= mtu + ETHERNET_BYTES else bpf.MTU_CHK_RET_FRAG_NEEDED


@helper("fib_lookup")
def fib_lookup(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Find the way to an address among the machine's routes."""
    from ipaddress import ip_address

    if s32(r3) < FIB_LOOKUP.size_bytes or u32(r4) & ~_FIB_FLAGS:
        return -EINVAL
    place = run.memory.view(r2, FIB_LOOKUP.size_bytes, writing=True)
    form = _FAMILIES.get(place[0])
    if form is None:
        return -EAFNOSUPPORT
    _, target_at, size = form
    network = network_of(run.machine)
    route = network.route_to(str(ip_address(bytes(place[target_at : target_at + size]))))
    if route is None:
        return bpf.FIB_LKUP_RET_NOT_FWDED
    mtu = route.mtu or network.mtu_of(route.ifindex) or 0
    length = int.from_bytes(place[6:8], "little")
    if length > mtu:
        place[6:8] = (mtu & 0xFFFF).to_bytes(2, "little")
        return bpf.FIB_LKUP_RET_FRAG_NEEDED
    return _answer(place, route, form, u32(r4), mtu)


def _answer(place: memoryview, route: Route, form: tuple[int, int, int], flags: int, mtu: int) -> int:
    """Write a way into struct bpf_fib_lookup."""
    from ipaddress import ip_address

    source_at, target_at, size = form
    place[6:8] = (mtu & 0xFFFF).to_bytes(2, "little")
    place[8:12] = route.ifindex.to_bytes(4, "little")
    if route.gateway is not None:
        place[target_at : target_at + size] = ip_address(route.gateway).packed
    if flags & bpf.FIB_LOOKUP_SRC:
        if route.source is None:
            return bpf.FIB_LKUP_RET_NO_SRC_ADDR
        place[source_at : source_at + size] = ip_address(route.source).packed
    if flags & bpf.FIB_LOOKUP_SKIP_NEIGH:
        return bpf.FIB_LKUP_RET_SUCCESS
    if route.target_mac is None:
        return bpf.FIB_LKUP_RET_NO_NEIGH
    place[48:52] = bytes(4)
    place[52:58], place[58:64] = route.source_mac, route.target_mac
    return bpf.FIB_LKUP_RET_SUCCESS
