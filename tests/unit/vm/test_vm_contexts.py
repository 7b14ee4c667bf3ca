"""Contexts: what programs of each type get, and what test runs give back."""

from __future__ import annotations

import struct

import pytest

from ebee.abi.arch import AARCH64, X86_64, Arch
from ebee.abi.bpf import ProgType
from ebee.abi.contexts import SK_BUFF, SOCK_ADDR, XDP_MD
from ebee.vm.contexts import (
    Skb,
    arguments_context,
    enter,
    flow_context,
    iterator_context,
    message_context,
    perf_event_context,
    raw_context,
    registers_context,
    release,
    reuseport_context,
    skb_context,
    skb_context_out,
    skb_data_out,
    socket_context,
    sockopt_context,
    xdp_context,
    xdp_context_out,
    xdp_data_out,
)
from ebee.vm.faults import AccessFault, Refusal
from ebee.vm.machine import Context, Machine
from ebee.vm.memory import CONTEXT, PACKET, Memory

FRAME = bytes(12) + b"\x08\x00" + bytes.fromhex("4500001c00000000401100000a0000010a000002") + bytes(8)


def memory() -> Memory:
    """Return memory of a new machine."""
    return Machine().memory


def load(memory: Memory, context: Context, offset: int, size_bytes: int = 4) -> int:
    """Return what a program's load from its context gives."""
    return memory.load(context.region.address(0, offset), size_bytes)


def refusal(action: object) -> tuple[int, str]:
    """Return errno and detail of the refusal that a call of an action meets."""
    assert callable(action)
    with pytest.raises(Refusal) as caught:
        action()
    return caught.value.errno, caught.value.detail


# -- XDP ---------------------------------------------------------------------------------------------
def test_xdp_programs_reach_the_packet_through_pointers() -> None:
    space = memory()
    context = xdp_context(space, FRAME, ingress_ifindex=3, rx_queue_index=2)
    begin, end = load(space, context, 0), load(space, context, 4)
    assert space.read(begin, end - begin) == FRAME
    assert load(space, context, 8) == begin
    assert (load(space, context, 12), load(space, context, 16)) == (3, 2)
    with pytest.raises(
        AccessFault, match=r"read of 1 byte at the packet \+ 42: 42 bytes may be reached, from 0"
    ):
        space.load(end, 1)


def test_nothing_of_an_xdp_context_is_written() -> None:
    space = memory()
    context = xdp_context(space, FRAME)
    with pytest.raises(
        AccessFault, match=r"write of 4 bytes at the context \(xdp_md\) \+ 16: it may not be written"
    ):
        space.store(context.region.address(0, 16), 4, 1)


def test_metadata_of_a_test_run_stands_before_the_packet() -> None:
    space = memory()
    given = bytes(XDP_MD.pack(data=4, data_end=4 + len(FRAME)))
    context = xdp_context(space, b"meta" + FRAME, ctx_in=given)
    meta, begin = load(space, context, 8), load(space, context, 0)
    assert (begin - meta, space.read(meta, 8)) == (4, b"meta" + FRAME[:4])
    assert context.packet is not None
    context.packet.resize(20, space)
    assert xdp_data_out(context) == b"meta" + FRAME[:20]
    assert XDP_MD.unpack(xdp_context_out(context, given))["data_end"] == 24


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"data": 3, "data_end": 42}, "3 bytes of metadata, expected a multiple of 4 up to 216"),
        (
            {"data": 4, "data_end": 41},
            "data 4, data_end 41, data_meta 0: expected 0 <= data <= data_end = 42",
        ),
        ({"data_end": 42, "egress_ifindex": 1}, "egress_ifindex is given, and a test run has none"),
        ({"data_end": 42, "rx_queue_index": 1}, "rx_queue_index is given, and interfaces have one queue"),
    ],
)
def test_contexts_that_a_test_run_of_xdp_does_not_take(fields: dict[str, int], complaint: str) -> None:
    given = bytes(XDP_MD.pack(**fields))
    errno, detail = refusal(lambda: xdp_context(memory(), FRAME, ctx_in=given))
    assert errno == 22
    assert detail.startswith(f"ctx_in: {complaint}")


def test_a_context_longer_than_the_struct_is_refused() -> None:
    given = bytes(XDP_MD.pack(data_end=42)) + b"\0\1"
    assert refusal(lambda: xdp_context(memory(), FRAME, ctx_in=given)) == (
        7,
        "26 bytes of context, struct xdp_md has 24",
    )


def test_a_packet_has_an_ethernet_header() -> None:
    complaint = 22, "a packet of 13 bytes, expected 14 or more"
    assert refusal(lambda: xdp_context(memory(), bytes(13))) == complaint
    assert refusal(lambda: skb_context(memory(), bytes(13), ProgType.SCHED_CLS)) == complaint


# -- socket buffers ----------------------------------------------------------------------------------
def test_tc_programs_see_the_ethernet_header() -> None:
    space = memory()
    context = skb_context(space, FRAME, ProgType.SCHED_CLS, mark=7, ifindex=5)
    begin, end = load(space, context, 76), load(space, context, 80)
    assert space.read(begin, end - begin) == FRAME
    fields = SK_BUFF.unpack(context.region.element(0))
    assert {name: fields[name] for name in ("len", "mark", "protocol", "ifindex", "wire_len")} == {
        "len": 42,
        "mark": 7,
        "protocol": 8,
        "ifindex": 5,
        "wire_len": 42,
    }
    assert skb_data_out(context) == FRAME


def test_other_programs_see_the_network_header() -> None:
    space = memory()
    context = skb_context(space, FRAME, ProgType.CGROUP_SKB)
    begin, end = load(space, context, 76), load(space, context, 80)
    assert space.read(begin, end - begin) == FRAME[14:]
    assert skb_data_out(context) == bytes(14) + FRAME[14:]
    filter = skb_context(space, FRAME, ProgType.SOCKET_FILTER, from_mac=True)
    assert load(space, filter, 0) == 42


@pytest.mark.parametrize(
    ("kind", "offset", "allowed"),
    [
        (ProgType.SCHED_CLS, 8, True),
        (ProgType.SCHED_CLS, 64, True),
        (ProgType.SCHED_CLS, 152, True),
        (ProgType.SCHED_CLS, 0, False),
        (ProgType.SOCKET_FILTER, 48, True),
        (ProgType.SOCKET_FILTER, 8, False),
        (ProgType.CGROUP_SKB, 32, True),
        (ProgType.CGROUP_SKB, 44, False),
        (ProgType.SK_SKB, 44, True),
    ],
)
def test_what_may_be_written_depends_on_the_type(kind: ProgType, offset: int, allowed: bool) -> None:
    space = memory()
    context = skb_context(space, FRAME, kind)
    assert context.region.may_write(offset, 4) is allowed


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [(ProgType.SCHED_CLS, True), (ProgType.LWT_XMIT, True), (ProgType.CGROUP_SKB, False)],
)
def test_whether_the_packet_may_be_written_depends_on_the_type(kind: ProgType, allowed: bool) -> None:
    packet = skb_context(memory(), FRAME, kind).packet
    assert packet is not None
    assert packet.region.writable is allowed


def test_the_socket_has_the_packets_addresses() -> None:
    space = memory()
    context = skb_context(space, FRAME, ProgType.CGROUP_SKB)
    sock = load(space, context, 168, 8)
    assert (space.load(sock + 4, 4), space.load(sock + 24, 4)) == (2, 0x0100_000A)
    assert (load(space, context, 88), load(space, context, 92)) == (2, 0x0200_000A)


def test_a_test_run_takes_and_gives_back_some_fields() -> None:
    given = bytes(SK_BUFF.pack(mark=1, priority=2, cb=bytes(range(20)), tstamp=9, gso_size=1400))
    space = memory()
    context = skb_context(space, FRAME, ProgType.SCHED_CLS, ctx_in=given)
    assert load(space, context, 48) == 0x0302_0100
    space.store(context.region.address(0, 8), 4, 77)
    out = SK_BUFF.unpack(skb_context_out(context, given))
    assert (out["mark"], out["priority"], out["tstamp"], out["wire_len"]) == (77, 2, 9, 42)
    assert (out["len"], out["protocol"]) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"protocol": 8}, "a field is set that a test run does not take; it takes mark, priority, "),
        ({"wire_len": 41}, "wire_len 41, expected 42 to 65536"),
        ({"gso_segs": 65536}, "gso_segs 65536, expected 65535 or less"),
    ],
)
def test_contexts_that_a_test_run_of_buffers_does_not_take(fields: dict[str, int], complaint: str) -> None:
    given = bytes(SK_BUFF.pack(**fields))
    errno, detail = refusal(lambda: skb_context(memory(), FRAME, ProgType.SCHED_CLS, ctx_in=given))
    assert errno == 22
    assert detail.startswith(f"ctx_in: {complaint}")


def test_a_test_run_wants_the_whole_ip_header() -> None:
    assert refusal(lambda: skb_context(memory(), FRAME[:33], ProgType.SCHED_CLS, ctx_in=b"")) == (
        22,
        "a packet of 33 bytes, too short for its IP header",
    )
    assert skb_context(memory(), FRAME[:33], ProgType.SCHED_CLS).packet is not None


@pytest.mark.parametrize(
    ("target", "tried", "arrived"),
    [(bytes(6), 0, 0), (b"\2" * 6, 3, 0), (b"\1" * 6, 2, 2), (b"\xff" * 6, 2, 1)],
)
def test_whom_a_packet_is_for(target: bytes, tried: int, arrived: int) -> None:
    frame, kind = target + FRAME[6:], ProgType.SCHED_CLS
    space = memory()
    assert load(space, skb_context(space, frame, kind, ctx_in=b""), 4) == tried
    assert load(space, skb_context(space, frame, kind), 4) == arrived


def test_facts_are_fields_of_the_struct() -> None:
    assert refusal(lambda: skb_context(memory(), FRAME, ProgType.SCHED_CLS, length=3)) == (
        22,
        "struct __sk_buff has no field length to be set",
    )


def test_the_context_follows_the_packet() -> None:
    space = memory()
    context = skb_context(space, FRAME, ProgType.SCHED_CLS)
    assert context.packet is not None
    context.packet.insert(14, 4, space)
    begin, end = load(space, context, 76), load(space, context, 80)
    assert space.read(begin, end - begin) == FRAME[:14] + bytes(4) + FRAME[14:]
    assert load(space, context, 0) == len(FRAME) + 4


def test_a_flow_dissector_fills_in_keys() -> None:
    space = memory()
    context = flow_context(space, FRAME, flags=2)
    keys = load(space, context, 144, 8)
    assert (space.load(keys, 2), space.load(keys + 10, 2), space.load(keys + 48, 4)) == (14, 8, 2)
    space.store(keys + 12, 2, 80)
    assert context.others[0].element(0)[12] == 80
    assert isinstance(context.event, Skb)


# -- the others --------------------------------------------------------------------------------------
def test_bytes_as_they_are() -> None:
    space = memory()
    context = raw_context(space, b"12345678", "the context (sched_switch)")
    assert load(space, context, 0, 8) == int.from_bytes(b"12345678", "little")
    with pytest.raises(
        AccessFault,
        match=r"read of 8 bytes at the context \(sched_switch\) \+ 8: 8 bytes may be reached, from 0",
    ):
        load(space, context, 8, 8)


def test_arguments_are_eight_bytes_each() -> None:
    space = memory()
    context = arguments_context(space, [1, -1], 5)
    assert [load(space, context, 8 * place, 8) for place in range(4)] == [1, (1 << 64) - 1, 5, 0]
    assert refusal(lambda: arguments_context(space, [0] * 13)) == (22, "13 arguments, expected 12 or fewer")


@pytest.mark.parametrize(("arch", "register"), [(X86_64, "di"), (AARCH64, "x0")])
def test_registers_stand_where_the_architecture_has_them(arch: Arch, register: str) -> None:
    space = memory()
    context = registers_context(space, {register: 0xBEEF}, arch)
    assert load(space, context, arch.pt_regs[register], 8) == 0xBEEF


def test_registers_that_there_are_not() -> None:
    errno, detail = refusal(lambda: registers_context(memory(), {"eax": 1}, X86_64))
    assert errno == 22
    assert detail.startswith("x86_64 has no register eax; it has r15, r14, ")


def test_perf_events_tell_period_and_address() -> None:
    space = memory()
    context = perf_event_context(space, {"ip": 5}, X86_64, period=4000, address=0x1234)
    assert (load(space, context, 168, 8), load(space, context, 176, 8)) == (4000, 0x1234)


def test_addresses_of_sockets_may_be_written_in_part() -> None:
    space = memory()
    context = socket_context(space, "sock_addr", user_family=2, user_ip4=0x0100_007F, family=2, type=1)
    assert load(space, context, 4) == 0x0100_007F
    assert context.region.may_write(SOCK_ADDR.fields["user_port"].offset_bytes, 4)
    assert not context.region.may_write(0, 4)
    assert space.load(load(space, context, 64, 8) + 4, 4) == 2
    assert refusal(lambda: socket_context(space, "sock_addr", port=1)) == (
        22,
        "struct bpf_sock_addr has no field port",
    )


def test_the_value_of_an_option_is_reached_through_pointers() -> None:
    space = memory()
    context = sockopt_context(space, b"\x05\0\0\0", level=1, optname=7)
    begin, end = load(space, context, 8, 8), load(space, context, 16, 8)
    assert space.read(begin, end - begin) == b"\x05\0\0\0"
    space.store(begin, 4, 6)
    assert bytes(context.others[0].element(0)[:4]) == b"\x06\0\0\0"
    assert load(space, context, 32) == 4


def test_messages_and_reuseport_have_a_payload() -> None:
    space = memory()
    context = message_context(space, b"hello")
    assert space.read(load(space, context, 0, 8), 5) == b"hello"
    assert load(space, context, 68) == 5
    context = reuseport_context(space, b"udp-data", ip_protocol=17)
    assert load(space, context, 8, 8) - load(space, context, 0, 8) == 8
    assert load(space, context, 24) == 17


def test_iterators_tell_their_step() -> None:
    space = memory()
    context = iterator_context(space, [0xFFFF_8881_0000_0000], session=3, number=9)
    meta = load(space, context, 0, 8)
    assert struct.unpack("<3Q", space.read(meta, 24)) == (0, 3, 9)
    assert load(space, context, 8, 8) == 0xFFFF_8881_0000_0000


# -- their lives -------------------------------------------------------------------------------------
def test_an_earlier_context_can_be_entered_again() -> None:
    space = memory()
    first, second = xdp_context(space, FRAME), xdp_context(space, bytes(60))
    assert second.packet is not None
    assert space.regions[PACKET] is second.packet.region
    enter(space, first)
    assert space.regions[CONTEXT] is first.region
    assert space.read(load(space, first, 0), 42) == FRAME


def test_released_contexts_leave_nothing() -> None:
    space = memory()
    before = set(space.regions)
    release(space, xdp_context(space, FRAME))
    release(space, skb_context(space, FRAME, ProgType.SCHED_CLS))
    release(space, sockopt_context(space, b"1234"))
    release(space, iterator_context(space, [0]))
    assert set(space.regions) == before
