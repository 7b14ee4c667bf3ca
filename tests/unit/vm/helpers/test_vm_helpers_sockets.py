"""Helpers of sockets, sysctls and messages."""

from __future__ import annotations

import pytest

from ebee.abi.bpf import MapType
from ebee.abi.contexts import SK_MSG_MD, SOCK_OPS
from ebee.vm.contexts import Sysctl, get_field, message_context, socket_context, sysctl_context
from ebee.vm.faults import Fault
from tests.unit.vm.helpers.desk import Desk


def test_a_sysctl_tells_name_and_values() -> None:
    desk = Desk(lambda machine: sysctl_context(machine.memory, "net/ipv4/tcp_mem", b"1 2 3", b"4 5 6"))
    place = desk.room(32)
    assert desk.call("sysctl_get_name", desk.ctx, place, 32, 0) == 16
    assert desk.get(place, 17) == b"net/ipv4/tcp_mem\0"
    assert desk.call("sysctl_get_name", desk.ctx, place, 32, 1) == 7
    assert desk.get(place, 8) == b"tcp_mem\0"
    assert desk.call("sysctl_get_name", desk.ctx, place, 4, 1) == -7
    assert desk.get(place, 4) == b"tcp\0"
    assert desk.call("sysctl_get_current_value", desk.ctx, place, 32) == 5
    assert desk.call("sysctl_set_new_value", desk.ctx, desk.put(b"600"), 3) == 0
    assert desk.call("sysctl_get_new_value", desk.ctx, place, 32) == 3
    assert isinstance(desk.context.event, Sysctl)
    assert desk.context.event.new_value == b"600"


def test_a_sysctl_that_is_read_has_no_new_value() -> None:
    desk = Desk(lambda machine: sysctl_context(machine.memory, "a", b"1"))
    assert desk.call("sysctl_get_new_value", desk.ctx, desk.room(8), 8) == -22
    assert desk.call("sysctl_set_new_value", desk.ctx, desk.put(b"6"), 1) == -22


def test_only_programs_at_sysctls_have_one() -> None:
    desk = Desk()
    with pytest.raises(Fault, match="call of bpf_sysctl_get_name: the context is of no sysctl"):
        desk.call("sysctl_get_name", desk.ctx, desk.room(8), 8, 0)


def test_options_are_what_was_set() -> None:
    desk = Desk(lambda machine: socket_context(machine.memory, "sock_addr"))
    place = desk.room(4)
    assert desk.call("getsockopt", desk.ctx, 1, 7, place, 4) == -22
    assert desk.get(place, 4) == bytes(4)
    assert desk.call("setsockopt", desk.ctx, 1, 7, desk.put(b"\x05\0\0\0"), 4) == 0
    assert desk.call("getsockopt", desk.ctx, 1, 7, place, 4) == 0
    assert desk.number(place, 4) == 5


def test_events_are_asked_for_by_flags() -> None:
    desk = Desk(lambda machine: socket_context(machine.memory, "sock_ops", is_fullsock=1))
    assert desk.call("sock_ops_cb_flags_set", desk.ctx, 0x105) == 0x100
    assert get_field(desk.context.region, SOCK_OPS, "bpf_sock_ops_cb_flags") == 5


def test_messages_are_in_one_piece() -> None:
    desk = Desk(lambda machine: message_context(machine.memory, b"GET / HTTP/1.1"))
    assert desk.call("msg_pull_data", desk.ctx, 0, 14, 0) == 0
    assert desk.call("msg_pull_data", desk.ctx, 0, 15, 0) == -22
    assert desk.call("msg_apply_bytes", desk.ctx, 4) == 0


def test_messages_become_longer_and_shorter() -> None:
    desk = Desk(lambda machine: message_context(machine.memory, b"GET / HTTP/1.1"))
    assert desk.call("msg_push_data", desk.ctx, 4, 2, 0) == 0
    assert desk.context.packet is not None
    assert bytes(desk.context.packet.bytes()) == b"GET \0\0/ HTTP/1.1"
    assert get_field(desk.context.region, SK_MSG_MD, "size") == 16
    assert desk.call("msg_pop_data", desk.ctx, 3, 3, 0) == 0
    assert bytes(desk.context.packet.bytes()) == b"GET/ HTTP/1.1"
    assert desk.call("msg_pop_data", desk.ctx, 13, 1, 0) == -22
    assert desk.call("msg_push_data", desk.ctx, 14, 1, 0) == -22


def test_maps_of_sockets_are_empty() -> None:
    desk = Desk()
    table = desk.address(desk.map(MapType.SOCKMAP))
    assert desk.call("sk_redirect_map", desk.ctx, table, 0, 0) == 0
    assert desk.call("sock_map_update", desk.ctx, table, desk.put(bytes(4)), 0) == -95
