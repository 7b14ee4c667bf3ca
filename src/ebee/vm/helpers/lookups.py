"""Helpers that look sockets up: those that the machine's network was given.

Source: net/core/filter.c, bpf_skc_lookup() and its neighbours, as to what finds nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ebee.abi.contexts import SOCK
from ebee.abi.layout import Value
from ebee.vm.contexts.base import struct_region
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import block, s32, u32
from ebee.vm.helpers.network import Socket, network_of
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run
from ebee.vm.memory import Region

_TUPLES = {12: struct.Struct("4s4s2s2s"), 36: struct.Struct("16s16s2s2s")}
"""Of struct bpf_sock_tuple, by its size: addresses and ports of source and target."""
_NUMBERS = {"tcp": (1, 6), "udp": (2, 17)}
"""SOCK_STREAM and IPPROTO_TCP, SOCK_DGRAM and IPPROTO_UDP."""
_FAMILIES = {4: (2, "ip4"), 16: (10, "ip6")}
_HELD_SLOT = "sockets"


@helper("sk_lookup_tcp")
@helper("skc_lookup_tcp")
def sk_lookup_tcp(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a struct bpf_sock, or 0."""
    return _look_up(run, "tcp", r2, u32(r3), r4, r5)


@helper("sk_lookup_udp")
def sk_lookup_udp(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of a struct bpf_sock, or 0."""
    return _look_up(run, "udp", r2, u32(r3), r4, r5)


def _look_up(run: Run, protocol: str, place: int, size_bytes: int, namespace: int, flags: int) -> int:
    form = _TUPLES.get(size_bytes)
    # BPF_F_CURRENT_NETNS; no other namespace has a number here.
    if form is None or flags or s32(namespace) >= 0:
        return 0
    parts = form.unpack(block(run, place, size_bytes))
    theirs, ours = ((_text(parts[end]), int.from_bytes(parts[end + 2], "big")) for end in (0, 1))
    found = network_of(run.machine).socket_for(protocol, ours, theirs)
    return 0 if found is None else _hold(run, _region_of(run, found, parts))


def _text(address: bytes) -> str:
    from ipaddress import ip_address

    return str(ip_address(address))


def _region_of(run: Run, found: Socket, parts: Sequence[bytes]) -> Region:
    """Make the struct of a socket that packets with these addresses and ports are for."""
    family, kind = _FAMILIES[len(parts[0])]
    number, protocol = _NUMBERS[found.protocol]
    facts: dict[str, Value] = {"family": family, "type": number, "protocol": protocol, "state": found.state}
    facts |= {"src_port": found.port, "rx_queue_mapping": -1, **found.facts}
    if found.address is not None:
        facts[f"src_{kind}"] = _value(parts[1])
    if found.peer_port:
        facts |= {f"dst_{kind}": _value(parts[0]), "dst_port": int.from_bytes(parts[2], "little")}
    return struct_region(run.memory, SOCK, facts, context=False)


def _value(address: bytes) -> Value:
    return int.from_bytes(address, "little") if len(address) == 4 else address


def _hold(run: Run, region: Region) -> int:
    _held(run)[region.address()] = region
    return region.address()


def _held(run: Run) -> dict[int, Region]:
    """Return the sockets that this run has looked up and not given back."""
    found = run.slots.setdefault(_HELD_SLOT, {})
    assert isinstance(found, dict)
    return found


@helper("sk_release")
def sk_release(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Give a socket back; pointers to it are dangling from now on."""
    region = _held(run).pop(r1, None)
    if region is None:
        given = run.memory.describe(r1)
        raise Fault(f"call of bpf_sk_release: {given} is given, expected a socket that a lookup has found")
    run.memory.remove(region)
    return 0


@helper("sk_fullsock")
@helper("get_listener_sock")
def sk_fullsock(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the socket itself."""
    return r1


@helper("tcp_sock")
@helper("skc_to_tcp_sock")
@helper("skc_to_tcp6_sock")
@helper("skc_to_tcp_timewait_sock")
@helper("skc_to_tcp_request_sock")
@helper("skc_to_udp6_sock")
@helper("skc_to_unix_sock")
@helper("skc_to_mptcp_sock")
@helper("sock_from_file")
def tcp_sock(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return 0: the machine's sockets are none of these."""
    return 0
