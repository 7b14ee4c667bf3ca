"""Which programs packets go through, and what one is told of those that do not."""

from __future__ import annotations

import pytest

from ebee.errors import Notice, SpecError
from ebee.kernel.simulated import SimulatedKernel
from ebee.packets import LinkType, Packet, generate
from ebee.sessions.c import attach_points, load, trace_pipe
from ebee.sessions.packets import listen, packet_programs, run_packet, run_packets
from tests.support.objects import spec_of

MANY = """
SEC("xdp") int first(struct xdp_md *ctx) { return XDP_PASS; }
SEC("?xdp") int unasked(struct xdp_md *ctx) { return XDP_DROP; }
SEC("tc") int second(struct __sk_buff *skb) { bpf_printk("len %d", skb->len); return 0; }
SEC("xdp") int called(struct xdp_md *ctx) { return XDP_TX; }
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __type(key, __u32);
    __array(values, int(struct xdp_md *));
} steps SEC(".maps") = { .values = { (void *)&called } };
SEC("xdp") int caller(struct xdp_md *ctx) { bpf_tail_call(ctx, &steps, 0); return XDP_ABORTED; }
SEC("tracepoint/sched/sched_switch") int tracer(void *ctx) { return 0; }
"""
SPEC = spec_of(MANY)


def complaint(name: str | None, text: str = MANY) -> tuple[str, str | None]:
    """Return what is said of a program that packets do not go through."""
    with pytest.raises(SpecError) as caught:
        packet_programs(spec_of(text), name)
    return str(caught.value), caught.value.hint


def test_packets_go_where_nobody_else_leads() -> None:
    """Not to programs that are called by others, nor to those that are loaded on demand only."""
    assert packet_programs(SPEC) == ["first", "caller", "second"]
    assert packet_programs(SPEC, "unasked") == ["unasked"]
    assert packet_programs(SPEC, "called") == ["called"]


def test_other_programs_are_told_from_none() -> None:
    """With what there is."""
    assert complaint("frist") == ("run test: there is no program 'frist'", "did you mean 'first'?")
    assert complaint("tracer") == (
        "run tracer: programs of type TRACEPOINT see no packets",
        "first, called, caller, unasked, second would",
    )
    assert complaint(None, 'SEC("syscall") int call(void *ctx) { return 0; }') == (
        "run test: no program of it sees packets",
        "those of the types XDP, tc, cgroup_skb, socket filter and lwt do",
    )


def test_who_cannot_attach_hears_of_packets() -> None:
    """Programs that ebee does not attach yet run on packets all the same."""
    with pytest.raises(SpecError) as caught:
        attach_points(spec_of('SEC("tc") int cls(struct __sk_buff *skb) { return 0; }'), device="eth0")
    assert caught.value.hint == (
        "ebee cannot attach such programs yet; --pcap PACKETS or --vm runs them on packets"
    )


def test_tail_calls_lead_on() -> None:
    """The verdict is that of the last program."""
    with load(SPEC, kernel=SimulatedKernel(), programs=["caller"]) as loaded:
        assert run_packet(loaded.programs["caller"], Packet(bytes(60))).verdict == "XDP_TX"


def test_what_is_printed_belongs_to_its_packet_and_program() -> None:
    """Even where several programs see it."""
    kernel = SimulatedKernel()
    with load(SPEC, kernel=kernel, programs=["first", "second"]) as loaded, listen(SPEC, kernel) as listener:
        programs = [loaded.programs[name] for name in ("first", "second")]
        steps = list(run_packets(programs, generate(2), listener))
    assert [[result.printed for result in results] for results in steps] == [
        [(), ("len 107",)],
        [(), ("len 72",)],
    ]


def test_a_link_type_that_is_no_ethernet_is_said_once() -> None:
    """For each of them."""
    packets = [Packet(packet.data[14:], 0, LinkType.RAW) for packet in generate(3)]
    kernel = SimulatedKernel()
    with (
        load(SPEC, kernel=kernel, programs=["first"]) as loaded,
        listen(SPEC, kernel) as listener,
        pytest.warns(Notice) as said,
    ):
        list(run_packets([loaded.programs["first"]], packets, listener))
    assert [str(each.message) for each in said] == [
        "packets of link type RAW (101): programs see an Ethernet header of zeros before them"
    ]


def test_where_nobody_can_listen_it_is_said() -> None:
    """The trace pipe has one reader; packets run all the same."""
    kernel = SimulatedKernel()
    with trace_pipe(kernel=kernel), pytest.warns(Notice) as said, listen(SPEC, kernel) as listener:
        assert listener.lines() == ()
    assert str(said[0].message).startswith("what the programs print is not shown: ")
    assert "EBUSY" in str(said[0].message)
