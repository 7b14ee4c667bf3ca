"""Helpers of packets: bytes, headers, checksums, where packets go."""

from __future__ import annotations

import struct

import pytest

from ebee.abi.bpf import MapType, ProgType
from ebee.abi.contexts import FIB_LOOKUP, SOCK, TUNNEL_KEY
from ebee.vm.contexts import Skb, raw_context, skb_context, xdp_context
from ebee.vm.faults import AccessFault, Fault
from ebee.vm.helpers.checksums import folded, sum_of
from ebee.vm.helpers.network import Interface, Redirect, Route, Socket, network_of
from tests.unit.vm.helpers.desk import Desk

IP_HEADER = bytes.fromhex("4500003012344000401100000a0000010a000002")
UDP = bytes.fromhex("003500350024000d") + bytes(range(20))
FRAME = bytes.fromhex("020000000001020000000002") + b"\x08\x00" + IP_HEADER + UDP
LENGTH = len(FRAME)


def tc(frame: bytes = FRAME) -> Desk:
    """Return a desk with a packet as tc programs see it."""
    return Desk(lambda machine: skb_context(machine.memory, frame, ProgType.SCHED_CLS))


def xdp(frame: bytes = FRAME) -> Desk:
    """Return a desk with a packet as XDP programs see it."""
    return Desk(lambda machine: xdp_context(machine.memory, frame), type=ProgType.XDP)


def packet(desk: Desk) -> bytes:
    """Return the packet as it is now."""
    assert desk.context.packet is not None
    return bytes(desk.context.packet.bytes())


def skb(desk: Desk) -> Skb:
    """Return the socket buffer."""
    assert isinstance(desk.context.event, Skb)
    return desk.context.event


# -- bytes -------------------------------------------------------------------------------------------
def test_bytes_come_out_of_the_packet() -> None:
    desk = tc()
    place = desk.room(4)
    assert desk.call("skb_load_bytes", desk.ctx, 26, place, 4) == 0
    assert desk.get(place, 4) == bytes((10, 0, 0, 1))
    assert desk.call("skb_load_bytes", desk.ctx, LENGTH - 3, place, 4) == -14
    assert desk.get(place, 4) == bytes(4)


def test_bytes_are_counted_from_a_header() -> None:
    desk = Desk(lambda machine: skb_context(machine.memory, FRAME, ProgType.CGROUP_SKB))
    place = desk.room(4)
    assert desk.call("skb_load_bytes_relative", desk.ctx, 12, place, 4, 0) == 0
    assert desk.get(place, 4) == b"\x08\x00\x45\x00"
    assert desk.call("skb_load_bytes_relative", desk.ctx, 12, place, 4, 1) == 0
    assert desk.get(place, 4) == bytes((10, 0, 0, 1))
    assert desk.call("skb_load_bytes_relative", desk.ctx, 0, place, 4, 2) == -14


def test_bytes_go_into_the_packet() -> None:
    desk = tc()
    skb(desk).set("hash", 5)
    assert desk.call("skb_store_bytes", desk.ctx, 0, desk.put(b"abc"), 3, 0) == 0
    assert (packet(desk)[:4], skb(desk).get("hash")) == (b"abc\0", 5)
    assert desk.call("skb_store_bytes", desk.ctx, 0, desk.put(b"abc"), 3, 2) == 0
    assert skb(desk).get("hash") == 0
    assert desk.call("skb_store_bytes", desk.ctx, LENGTH - 2, desk.put(b"abc"), 3, 0) == -14
    assert desk.call("skb_store_bytes", desk.ctx, 0, desk.put(b"abc"), 3, 4) == -22


def test_the_context_must_be_the_programs_own() -> None:
    desk = tc()
    with pytest.raises(
        Fault,
        match=r"call of bpf_skb_load_bytes: the scratch \+ 0 is given, "
        r"expected the context \(__sk_buff\) as it came",
    ):
        desk.call("skb_load_bytes", desk.put(bytes(8)), 0, desk.room(4), 4)


def test_a_program_without_packets_has_none() -> None:
    desk = Desk(lambda machine: raw_context(machine.memory, bytes(8), "the context (tracepoint)"))
    with pytest.raises(
        Fault, match=r"call of bpf_xdp_get_buff_len: the context \(tracepoint\) has no packet"
    ):
        desk.call("xdp_get_buff_len", desk.ctx)


def test_all_of_a_packet_is_readable() -> None:
    desk = tc()
    assert desk.call("skb_pull_data", desk.ctx, LENGTH) == 0
    assert desk.call("skb_pull_data", desk.ctx, LENGTH + 1) == -12


# -- lengths -----------------------------------------------------------------------------------------
def test_the_tail_is_cut_and_grows() -> None:
    desk = tc()
    assert desk.call("skb_change_tail", desk.ctx, 20, 0) == 0
    assert (packet(desk), skb(desk).get("len")) == (FRAME[:20], 20)
    assert desk.call("skb_change_tail", desk.ctx, 24, 0) == 0
    assert packet(desk) == FRAME[:20] + bytes(4)
    assert desk.call("skb_change_tail", desk.ctx, 13, 0) == -22
    assert desk.call("skb_change_tail", desk.ctx, 16065, 0) == -22


def test_a_packet_that_outgrows_its_buffer_gets_another() -> None:
    desk = tc()
    assert desk.call("skb_change_tail", desk.ctx, 9000, 0) == 0
    assert packet(desk) == FRAME + bytes(9000 - LENGTH)
    assert desk.call("skb_change_head", desk.ctx, 4000, 0) == 0
    assert packet(desk) == bytes(4000) + FRAME + bytes(9000 - LENGTH)
    begin = desk.machine.memory.load(desk.ctx + 76, 4)
    assert desk.get(begin + 4000, LENGTH) == FRAME


def test_room_is_made_behind_headers() -> None:
    desk = tc()
    assert desk.call("skb_adjust_room", desk.ctx, 4, 1, 0) == 0
    assert packet(desk) == FRAME[:14] + bytes(4) + FRAME[14:]
    assert desk.call("skb_adjust_room", desk.ctx, -4, 1, 0) == 0
    assert desk.call("skb_adjust_room", desk.ctx, 8, 0, 0) == 0
    assert packet(desk) == FRAME[:34] + bytes(8) + FRAME[34:]
    assert desk.call("skb_adjust_room", desk.ctx, 0x1000, 0, 0) == -14
    assert desk.call("skb_adjust_room", desk.ctx, 4, 2, 0) == -524
    assert desk.call("skb_adjust_room", desk.ctx, 4, 0, 1 << 20) == -22


def test_a_packet_is_put_into_another_protocol_once() -> None:
    desk = tc()
    assert desk.call("skb_adjust_room", desk.ctx, 40, 1, 4) == 0
    assert skb(desk).protocol == 0x86DD
    assert desk.call("skb_adjust_room", desk.ctx, 40, 1, 4) == -114
    assert desk.call("skb_change_tail", desk.ctx, 60, 0) == -524


def test_ipv4_becomes_ipv6() -> None:
    desk = tc()
    assert desk.call("skb_change_proto", desk.ctx, 0xDD86, 0) == 0
    assert (skb(desk).protocol, len(packet(desk))) == (0x86DD, LENGTH + 20)
    assert desk.call("skb_change_proto", desk.ctx, 0x0008, 0) == 0
    assert packet(desk) == FRAME
    assert desk.call("skb_change_proto", desk.ctx, 0x0608, 0) == -524


def test_the_second_tag_moves_into_the_bytes() -> None:
    desk = tc()
    assert desk.call("skb_vlan_push", desk.ctx, 0x0081, 5) == 0
    assert (packet(desk), skb(desk).get("vlan_tci"), skb(desk).get("vlan_present")) == (FRAME, 5, 1)
    assert desk.call("skb_vlan_push", desk.ctx, 0xA888, 7) == 0
    assert packet(desk) == FRAME[:12] + b"\x81\x00\x00\x05" + FRAME[12:]
    assert desk.call("skb_vlan_pop", desk.ctx) == 0
    assert (packet(desk), skb(desk).get("vlan_tci"), skb(desk).protocol) == (FRAME, 5, 0x0800)
    assert desk.call("skb_vlan_pop", desk.ctx) == 0
    assert skb(desk).get("vlan_present") == 0


@pytest.mark.parametrize(("ecn", "answer", "after"), [(0, 0, 0), (1, 1, 3), (2, 1, 3), (3, 1, 3)])
def test_congestion_is_marked_where_the_packet_allows_it(ecn: int, answer: int, after: int) -> None:
    header = bytearray(IP_HEADER)
    header[1] = ecn
    header[10:12] = (~folded(sum_of(bytes(header))) & 0xFFFF).to_bytes(2, "little")
    desk = tc(FRAME[:14] + bytes(header) + UDP)
    assert desk.call("skb_ecn_set_ce", desk.ctx) == answer
    now = packet(desk)[14:34]
    assert now[1] == after
    assert folded(sum_of(now)) == 0xFFFF


# -- what is said of a packet ------------------------------------------------------------------------
def test_the_hash_is_of_the_flow() -> None:
    first, second = tc(), tc(FRAME[:-1] + b"x")
    other = tc(FRAME[:26] + b"\x0b" + FRAME[27:])
    value = first.call("get_hash_recalc", first.ctx)
    assert value == second.call("get_hash_recalc", second.ctx) != other.call("get_hash_recalc", other.ctx)
    assert first.call("set_hash", first.ctx, 9) == 0
    assert first.call("get_hash_recalc", first.ctx) == 9
    assert first.call("set_hash_invalid", first.ctx) == 0
    assert first.call("get_hash_recalc", first.ctx) == value


def test_a_tunnels_key_is_what_was_set() -> None:
    desk = tc()
    place = desk.room(TUNNEL_KEY.size_bytes)
    assert desk.call("skb_get_tunnel_key", desk.ctx, place, 44, 0) == -22
    assert desk.get(place, 44) == bytes(44)
    key = bytes(TUNNEL_KEY.pack(tunnel_id=7, tunnel_ttl=64))
    assert desk.call("skb_set_tunnel_key", desk.ctx, desk.put(key), 44, 0) == 0
    assert desk.call("skb_get_tunnel_key", desk.ctx, place, 44, 0) == 0
    assert desk.get(place, 44) == key
    assert desk.call("skb_set_tunnel_key", desk.ctx, desk.put(key), 43, 0) == -22


def test_the_packets_type_is_changed() -> None:
    desk = tc()
    assert desk.call("skb_change_type", desk.ctx, 3) == 0
    assert skb(desk).get("pkt_type") == 3
    assert desk.call("skb_change_type", desk.ctx, 4) == -22


def test_the_socket_is_the_tasks() -> None:
    desk = tc()
    desk.machine.task.cgroup_id, desk.machine.task.ancestors = 30, (1, 30)
    network_of(desk.machine).socket_uid = 1000
    assert desk.call("skb_cgroup_id", desk.ctx) == 30
    assert desk.call("skb_ancestor_cgroup_id", desk.ctx, 0) == 1
    assert desk.call("get_socket_uid", desk.ctx) == 1000
    assert desk.call("get_socket_cookie", desk.ctx) == 1


# -- checksums ---------------------------------------------------------------------------------------
def test_differences_and_replacements_give_the_sum_made_anew() -> None:
    desk = tc()
    header = bytearray(IP_HEADER)
    header[10:12] = (~folded(sum_of(IP_HEADER)) & 0xFFFF).to_bytes(2, "little")
    desk.call("skb_store_bytes", desk.ctx, 14, desk.put(bytes(header)), 20, 0)
    old, new = IP_HEADER[12:16], bytes((192, 0, 2, 77))
    difference = desk.call("csum_diff", desk.put(old), 4, desk.put(new), 4, 0)
    desk.call("skb_store_bytes", desk.ctx, 26, desk.put(new), 4, 0)
    assert desk.call("l3_csum_replace", desk.ctx, 24, 0, difference, 0) == 0
    assert folded(sum_of(packet(desk)[14:34])) == 0xFFFF
    desk.call("skb_store_bytes", desk.ctx, 26, desk.put(old), 4, 0)
    was, now = (int.from_bytes(part, "little") for part in (new, old))
    assert desk.call("l3_csum_replace", desk.ctx, 24, was, now, 4) == 0
    assert folded(sum_of(packet(desk)[14:34])) == 0xFFFF


def test_a_checksum_of_zero_means_none() -> None:
    desk = tc()
    desk.call("skb_store_bytes", desk.ctx, 40, desk.put(bytes(2)), 2, 0)
    assert desk.call("l4_csum_replace", desk.ctx, 40, 1, 2, 2 | 32) == 0
    assert packet(desk)[40:42] == bytes(2)
    desk.call("skb_store_bytes", desk.ctx, 40, desk.put(b"\x01\0"), 2, 0)
    assert desk.call("l4_csum_replace", desk.ctx, 40, 0, 1, 2 | 32) == 0
    assert packet(desk)[40:42] == b"\xff\xff"


@pytest.mark.parametrize("name", ["l3_csum_replace", "l4_csum_replace"])
def test_checksums_that_cannot_be_replaced(name: str) -> None:
    desk = tc()
    assert desk.call(name, desk.ctx, 25, 0, 0, 2) == -14
    assert desk.call(name, desk.ctx, LENGTH, 0, 0, 2) == -14
    assert desk.call(name, desk.ctx, 24, 0, 0, 3) == -22
    assert desk.call(name, desk.ctx, 24, 1, 0, 0) == -22
    assert desk.call(name, desk.ctx, 24, 0, 0, 1 << 20) == -22


def test_what_the_device_found_right() -> None:
    desk = tc()
    levels = [desk.call("csum_level", desk.ctx, level) for level in (0, 1, 0, 1, 0, 3, 0, 4)]
    assert levels == [-13, 0, 0, 0, 1, 0, -13, -22]
    assert desk.call("csum_update", desk.ctx, 1) == -524


# -- XDP ---------------------------------------------------------------------------------------------
def test_the_packets_ends_move_within_its_frame() -> None:
    desk = xdp()
    assert desk.call("xdp_adjust_head", desk.ctx, 4) == 0
    assert packet(desk) == FRAME[4:]
    assert desk.call("xdp_adjust_head", desk.ctx, -220) == 0
    assert desk.call("xdp_adjust_head", desk.ctx, -1) == -22
    assert desk.call("xdp_adjust_tail", desk.ctx, -4) == 0
    assert desk.call("xdp_adjust_tail", desk.ctx, 8) == 0
    assert packet(desk)[-9:] == FRAME[-5:-4] + bytes(8)
    assert desk.call("xdp_adjust_tail", desk.ctx, 4000) == -22
    assert desk.call("xdp_get_buff_len", desk.ctx) == LENGTH + 216 + 4


def test_metadata_moves_with_the_packet() -> None:
    desk = xdp()
    assert desk.call("xdp_adjust_meta", desk.ctx, -4) == 0
    meta = desk.machine.memory.load(desk.ctx + 8, 4)
    desk.machine.memory.write(meta, b"meta")
    assert desk.call("xdp_adjust_head", desk.ctx, 10) == 0
    assert desk.context.packet is not None
    assert bytes(desk.context.packet.with_meta()) == b"meta" + FRAME[10:]
    assert desk.call("xdp_adjust_meta", desk.ctx, -3) == -13
    assert desk.call("xdp_adjust_meta", desk.ctx, 8) == -22


def test_bytes_of_xdp_packets() -> None:
    desk = xdp()
    place = desk.room(4)
    assert desk.call("xdp_load_bytes", desk.ctx, 26, place, 4) == 0
    assert desk.get(place, 4) == bytes((10, 0, 0, 1))
    assert desk.call("xdp_store_bytes", desk.ctx, 0, desk.put(b"abcd"), 4) == 0
    assert packet(desk)[:4] == b"abcd"
    assert desk.call("xdp_load_bytes", desk.ctx, LENGTH, place, 4) == -22
    assert desk.call("xdp_load_bytes", desk.ctx, 0x10000, place, 4) == -14


# -- where packets go --------------------------------------------------------------------------------
def test_redirects_are_noted() -> None:
    desk = tc()
    assert desk.call("redirect", 5, 1) == 7
    assert desk.run.redirected == Redirect("redirect", 5, flags=1)
    assert desk.call("redirect", 5, 2) == 2
    assert desk.call("redirect_peer", 6, 0) == 7
    assert desk.run.redirected == Redirect("redirect_peer", 6)
    neighbour = struct.pack("<I16s", 2, bytes((192, 0, 2, 1)))
    assert desk.call("redirect_neigh", 7, desk.put(neighbour), 20, 0) == 7
    assert desk.run.redirected == Redirect("redirect_neigh", 7, neighbour=neighbour)


def test_copies_are_noted() -> None:
    desk = tc()
    network_of(desk.machine).interfaces = (Interface(5),)
    assert desk.call("clone_redirect", desk.ctx, 5, 0) == 0
    assert desk.call("clone_redirect", desk.ctx, 6, 0) == -22
    assert skb(desk).cloned_to == [(5, 0, FRAME)]


def test_a_map_says_where_xdp_packets_go() -> None:
    desk = xdp()
    desk.run.code = desk.run.code.replaced(type=ProgType.XDP)
    table = desk.map(MapType.DEVMAP, value=4)
    table.write(struct.pack("<I", 1), struct.pack("<I", 12))
    address = desk.address(table)
    assert desk.call("redirect_map", address, 1, 0) == 4
    assert desk.run.redirected == Redirect("redirect_map", 12, table.index, 1)
    assert desk.call("redirect_map", address, 2, 2) == 2
    assert desk.run.redirected is None
    assert desk.call("redirect_map", address, 1, 1 << 10) == 0
    assert desk.call("redirect", 5, 0) == 4
    assert desk.call("redirect", 5, 1) == 0


def test_a_packet_fits_an_interface_or_not() -> None:
    desk = tc()
    network_of(desk.machine).interfaces = (Interface(5, mtu=LENGTH - 14),)
    mtu = desk.put(bytes(4))
    assert desk.call("check_mtu", desk.ctx, 5, mtu, 0, 0) == 0
    assert desk.number(mtu, 4) == LENGTH - 14
    mtu = desk.put(bytes(4))
    assert desk.call("check_mtu", desk.ctx, 5, mtu, 1, 0) == 1
    assert desk.call("check_mtu", desk.ctx, 6, mtu, 0, 0) == -19


def test_routes_are_those_that_were_set() -> None:
    desk = tc()
    network_of(desk.machine).routes = (
        Route("0.0.0.0/0", 2, gateway="192.0.2.1"),
        Route("198.51.100.0/24", 3, source_mac=b"source", target_mac=b"target"),
        Route("198.51.100.7/32", 4, target_mac=None),
    )

    def ask(target: str, flags: int = 0, size: int = 64, family: int = 2) -> tuple[int, dict[str, object]]:
        address = int.from_bytes(bytes(map(int, target.split("."))), "little")
        place = desk.put(bytes(FIB_LOOKUP.pack(family=family, ipv4_dst=address, tot_len=100)))
        answer = desk.call("fib_lookup", desk.ctx, place, size, flags)
        return answer, dict(FIB_LOOKUP.unpack(desk.get(place, 64)))

    answer, found = ask("198.51.100.9")
    assert (answer, found["ifindex"], found["smac"], found["dmac"]) == (0, 3, b"source", b"target")
    answer, found = ask("203.0.113.1")
    assert (answer, found["ifindex"], found["ipv4_dst"]) == (0, 2, int.from_bytes((192, 0, 2, 1), "little"))
    assert ask("198.51.100.7")[0] == 7
    assert ask("198.51.100.7", 4)[0] == 0
    assert ask("198.51.100.9", 16)[0] == 9
    assert ask("198.51.100.9", size=63)[0] == -22
    assert ask("198.51.100.9", family=3)[0] == -97
    network_of(desk.machine).routes = ()
    assert ask("198.51.100.9")[0] == 4


def test_sockets_are_those_that_were_set() -> None:
    desk = tc()
    client, server = bytes((192, 0, 2, 9)), bytes((192, 0, 2, 1))
    place = desk.put(client + server + struct.pack(">HH", 4000, 80))
    assert desk.call("sk_lookup_tcp", desk.ctx, place, 12, -1, 0) == 0
    listener = Socket("tcp", 80, facts={"mark": 7})
    connection = Socket("tcp", 80, "192.0.2.1", 4000, "192.0.2.9", state=1)
    network_of(desk.machine).sockets = (listener, connection)
    sock = desk.call("sk_lookup_tcp", desk.ctx, place, 12, -1, 0)
    fields = SOCK.unpack(desk.get(sock, 80))
    assert (fields["state"], fields["src_port"], fields["dst_port"]) == (1, 80, 0xA00F)
    assert (fields["src_ip4"], fields["dst_ip4"]) == tuple(
        int.from_bytes(end, "little") for end in (server, client)
    )
    assert desk.call("sk_release", sock) == 0
    with pytest.raises(AccessFault, match="memory that is gone"):
        desk.get(sock, 4)
    network_of(desk.machine).sockets = (listener,)
    assert desk.call("skc_lookup_tcp", desk.ctx, place, 12, 0, 0) == 0
    sock = desk.call("skc_lookup_tcp", desk.ctx, place, 12, -1, 0)
    assert SOCK.unpack(desk.get(sock, 80))["mark"] == 7
    assert desk.call("sk_lookup_udp", desk.ctx, place, 12, -1, 0) == 0
    assert desk.call("sk_lookup_tcp", desk.ctx, place, 11, -1, 0) == 0
    assert desk.call("sk_lookup_tcp", desk.ctx, place, 12, -1, 1) == 0


def test_only_sockets_that_were_found_are_given_back() -> None:
    desk = tc()
    with pytest.raises(
        Fault,
        match=r"call of bpf_sk_release: null is given, expected a socket that a lookup has found",
    ):
        desk.call("sk_release", 0)
