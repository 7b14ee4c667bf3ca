"""Helpers of sockets and cgroups: options, sysctls, messages, TCP's events, maps of sockets.

What they would change in a socket is kept in the machine's slot `socket options`, by level and name.
"""

from __future__ import annotations

from ebee.abi import bpf
from ebee.abi.contexts import SOCK_OPS
from ebee.vm.contexts.base import get_field, set_field
from ebee.vm.contexts.raw import Sysctl
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import (
    E2BIG,
    EINVAL,
    ENOENT,
    EOPNOTSUPP,
    block,
    expect_context,
    map_of,
    packet_of,
    room,
    s32,
    u32,
)
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Machine, Run

OPTIONS_SLOT = "socket options"
_MOST_SYSCTL_BYTES = 4096


def options_of(machine: Machine) -> dict[tuple[int, int], bytes]:
    """Return the options of the machine's sockets, by level and name; settable."""
    found = machine.slots.setdefault(OPTIONS_SLOT, {})
    assert isinstance(found, dict)
    return found


@helper("setsockopt")
def setsockopt(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Set an option of the socket."""
    options_of(run.machine)[s32(r2), s32(r3)] = block(run, r4, u32(r5))
    return 0


@helper("getsockopt")
def getsockopt(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write an option of the socket; one that was never set is refused."""
    place = room(run, r4, u32(r5))
    value = options_of(run.machine).get((s32(r2), s32(r3)))
    place[:] = (value or b"")[: len(place)].ljust(len(place), b"\0")
    return -EINVAL if value is None else 0


@helper("bind")
def bind(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note the address that the socket is bound to."""
    run.slots["bound to"] = block(run, r2, u32(r3))
    return 0


@helper("sock_ops_cb_flags_set")
def sock_ops_cb_flags_set(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Say which events the program wants; those that there are not, are returned."""
    expect_context(run, r1, "sock_ops_cb_flags_set")
    if not get_field(run.context.region, SOCK_OPS, "is_fullsock"):
        return -EINVAL
    set_field(run.context.region, SOCK_OPS, "bpf_sock_ops_cb_flags", u32(r2) & bpf.SOCK_OPS_ALL_CB_FLAGS)
    return u32(r2) & ~bpf.SOCK_OPS_ALL_CB_FLAGS


# -- messages and maps of sockets --------------------------------------------------------------------
@helper("msg_apply_bytes")
@helper("msg_cork_bytes")
def msg_apply_bytes(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note for how many bytes the verdict holds, or how many are waited for."""
    run.slots["message bytes"] = u32(r2)
    return 0


@helper("msg_pull_data")
def msg_pull_data(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make bytes readable; all of a message always are here."""
    packet = packet_of(run, r1, "msg_pull_data")
    return -EINVAL if r4 or not u32(r2) < u32(r3) <= len(packet) else 0


@helper("msg_push_data")
def msg_push_data(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make room of zeros in a message."""
    packet, at, size = packet_of(run, r1, "msg_push_data"), u32(r2), u32(r3)
    if r4 or at > len(packet):
        return -EINVAL
    if size:
        packet.insert(at, size, run.memory)
    return 0


@helper("msg_pop_data")
def msg_pop_data(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Take bytes out of a message."""
    packet, at, size = packet_of(run, r1, "msg_pop_data"), u32(r2), u32(r3)
    if r4 or at + size > len(packet):
        return -EINVAL
    if size:
        packet.remove(at, size, run.memory)
    return 0


@helper("sk_redirect_map")
@helper("msg_redirect_map")
@helper("sk_redirect_hash")
@helper("msg_redirect_hash")
def sk_redirect(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse: maps of sockets are empty here, so that the packet is dropped as by the kernel."""
    map_of(run, r2, "sk_redirect_map")
    return bpf.SK_DROP


@helper("sock_map_update")
@helper("sock_hash_update")
def sock_map_update(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse: there is no socket that a map could hold."""
    map_of(run, r2, "sock_map_update")
    return -EOPNOTSUPP


@helper("sk_select_reuseport")
def sk_select_reuseport(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Refuse: maps of sockets are empty here."""
    map_of(run, r2, "sk_select_reuseport")
    return -ENOENT


@helper("sk_assign")
def sk_assign(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Note the socket that the packet is for; none takes the choice back."""
    run.slots["assigned socket"] = r2
    return 0


# -- sysctls -----------------------------------------------------------------------------------------
def _sysctl_of(run: Run, name: str) -> Sysctl:
    if not isinstance(run.context.event, Sysctl):
        raise Fault(f"call of bpf_{name}: {run.context.region.name} is of no sysctl")
    return run.context.event


def _give_text(run: Run, address: int, size_bytes: int, text: bytes) -> int:
    """Write a string, filled up with zeros; its length, or -E2BIG where it was cut off."""
    place = room(run, address, size_bytes)
    place[:] = text[: max(0, len(place) - 1)].ljust(len(place), b"\0")
    return -E2BIG if len(text) >= len(place) else len(text)


@helper("sysctl_get_name")
def sysctl_get_name(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the sysctl's name, `net/ipv4/tcp_mem`, or its last part."""
    name = _sysctl_of(run, "sysctl_get_name").name
    if r4 & ~bpf.F_SYSCTL_BASE_NAME:
        return -EINVAL
    text = name.rpartition("/")[2] if r4 & bpf.F_SYSCTL_BASE_NAME else name
    return _give_text(run, r2, r3, text.encode())


@helper("sysctl_get_current_value")
def sysctl_get_current_value(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the sysctl's value as it is."""
    return _give_text(run, r2, r3, _sysctl_of(run, "sysctl_get_current_value").value)


@helper("sysctl_get_new_value")
def sysctl_get_new_value(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write the value that is being written; refused where none is."""
    new = _sysctl_of(run, "sysctl_get_new_value").new_value
    if new is None:
        room(run, r2, r3)[:] = bytes(r3)
        return -EINVAL
    return _give_text(run, r2, r3, new)


@helper("sysctl_set_new_value")
def sysctl_set_new_value(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Let another value be written than the one that is being."""
    sysctl = _sysctl_of(run, "sysctl_set_new_value")
    if sysctl.new_value is None or not r3:
        return -EINVAL
    if r3 > _MOST_SYSCTL_BYTES - 1:
        return -E2BIG
    sysctl.new_value = block(run, r2, r3)
    return 0
