"""Any packet through programs that parse and rewrite: the running kernel and both engines agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebee.errors import KernelError
from ebee.packets import generate
from ebee.packets import headers as h
from ebee.testing import BpfObject, as_dict, open_object
from tests.kernel.door import needs_root
from tests.support.objects import compiled

pytestmark = [needs_root, pytest.mark.userspace_machine]

PROGRAMS = """
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct flow { __be32 source, destination; __u8 protocol, pad[3]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024);
         __type(key, struct flow); __type(value, __u64); } flows SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 8);
         __type(key, __u32); __type(value, __u64); } sizes SEC(".maps");

static __always_inline __u16 folded(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* Wraps IPv4 in IPv4, checksums and all. */
SEC("xdp") int wrap(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data, old;
    struct iphdr *ip = (void *)(eth + 1), outer = {};
    __u32 size = end - data, index = size / 256 & 7;
    __u64 *bytes = bpf_map_lookup_elem(&sizes, &index);

    if (bytes)
        *bytes += size;
    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    if (ip->version != 4 || ip->ihl < 5)
        return XDP_ABORTED;
    struct flow key = { ip->saddr, ip->daddr, ip->protocol };
    __u64 one = 1, *count = bpf_map_lookup_elem(&flows, &key);
    if (count)
        *count += 1;
    else if (bpf_map_update_elem(&flows, &key, &one, BPF_NOEXIST))
        return XDP_DROP;
    old = *eth;
    outer.version = 4;
    outer.ihl = 5;
    outer.ttl = ip->ttl - 1;
    outer.protocol = 4;
    outer.tot_len = bpf_htons(bpf_ntohs(ip->tot_len) + sizeof(outer));
    outer.saddr = ip->daddr;
    outer.daddr = ip->saddr;
    outer.check = folded(bpf_csum_diff(0, 0, (void *)&outer, sizeof(outer), 0));
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(outer)))
        return XDP_DROP;
    data = (void *)(long)ctx->data;
    end = (void *)(long)ctx->data_end;
    if (data + sizeof(old) + sizeof(outer) > end)
        return XDP_ABORTED;
    __builtin_memcpy(data, &old, sizeof(old));
    __builtin_memcpy(data + sizeof(old), &outer, sizeof(outer));
    return XDP_TX;
}

/* Another address and port, checksums mended as the kernel's helpers do. */
SEC("tc") int translate(struct __sk_buff *skb)
{
    struct iphdr ip;
    __be32 address = bpf_htonl(0xc0000263);
    __be16 port;

    if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
        return TC_ACT_OK;
    if (ip.ihl != 5 || (ip.protocol != 6 && ip.protocol != 17))
        return TC_ACT_SHOT;
    int at = ETH_HLEN + sizeof(ip), check = at + (ip.protocol == 6 ? 16 : 6);
    int flags = BPF_F_PSEUDO_HDR | 4 | (ip.protocol == 17 ? BPF_F_MARK_MANGLED_0 : 0);
    if (bpf_l4_csum_replace(skb, check, ip.saddr, address, flags))
        return TC_ACT_STOLEN;
    bpf_l3_csum_replace(skb, ETH_HLEN + 10, ip.saddr, address, 4);
    bpf_skb_store_bytes(skb, ETH_HLEN + 12, &address, 4, 0);
    if (bpf_skb_load_bytes(skb, at, &port, 2))
        return TC_ACT_TRAP;
    bpf_l4_csum_replace(skb, check, port, bpf_htons(4242), 2);
    port = bpf_htons(4242);
    bpf_skb_store_bytes(skb, at, &port, 2, 0);
    return TC_ACT_PIPE;
}

/* Into a VLAN, longer or shorter, with room made behind the Ethernet header. */
SEC("tc") int reshape(struct __sk_buff *skb)
{
    if (skb->len & 1) {
        if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 42))
            return TC_ACT_SHOT;
    } else if (bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_MAC, 0)) {
        return TC_ACT_STOLEN;
    }
    if (bpf_skb_change_tail(skb, skb->len > 64 ? 64 : skb->len + 7, 0))
        return TC_ACT_TRAP;
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    if (data + 6 > end)
        return TC_ACT_UNSPEC;
    __builtin_memset(data, 0xee, 6);
    return skb->vlan_present ? TC_ACT_OK : TC_ACT_RECLASSIFY;
}

/* What a filter of tcpdump's does: the first bytes, the old way. */
SEC("socket") int filter(struct __sk_buff *skb)
{
    __u8 first = 0;

    if (bpf_skb_load_bytes_relative(skb, 0, &first, 1, BPF_HDR_START_NET))
        return 0;
    return first >> 4 == 6 ? -1 : skb->len > 40 ? 40 : 0;
}

SEC("cgroup_skb/egress") int allow(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct ipv6hdr *ip = data;

    if ((void *)(ip + 1) > end)
        return 0;
    return ip->nexthdr == 17 ? 3 : ip->version == 4;
}

char LICENSE[] SEC("license") = "GPL";
"""
NAMES = ("wrap", "translate", "reshape", "filter", "allow")


@pytest.fixture(scope="module")
def objects() -> Iterator[tuple[BpfObject, ...]]:
    """The programs on the running kernel, on the interpreter, as native code."""
    data = compiled(PROGRAMS, "packets.bpf.c")
    with ExitStack() as resources:
        opened = (
            resources.enter_context(open_object(data, kernel="live")),
            resources.enter_context(open_object(data, engine="interpreter")),
            resources.enter_context(open_object(data, engine="native")),
        )
        for each in opened:
            told(each, bytes(60))  # the native engine's process is started now, and stays
        yield opened


def told(bpf: BpfObject, frame: bytes) -> list[tuple[str, str, str]]:
    """Return what each program makes of a frame."""
    return [(name, *_told(bpf, frame, name)) for name in NAMES]


def _told(bpf: BpfObject, frame: bytes, name: str) -> tuple[str, str]:
    try:
        result = bpf.run_packet(frame, name)
    except KernelError as error:
        return "refused", error.errno_name
    return str(result.verdict), result.packet.data.hex()


ADDRESS = st.binary(min_size=4, max_size=4)
PAYLOAD = st.binary(max_size=90)
PORTS = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
IPV4 = st.one_of(
    st.builds(lambda a, b, p, d: h.ipv4(a, b, 17, h.udp(a, b, p, d)), ADDRESS, ADDRESS, PORTS, PAYLOAD),
    st.builds(
        lambda a, b, p, d: h.ipv4(a, b, 6, h.tcp(a, b, p, d, flags=24, sequence=1)),
        ADDRESS,
        ADDRESS,
        PORTS,
        PAYLOAD,
    ),
    st.builds(h.ipv4, ADDRESS, ADDRESS, st.integers(0, 255), PAYLOAD),
)
FRAMES = st.one_of(
    st.builds(lambda packet: h.ethernet(bytes(6), b"\2" * 6, 0x0800, packet), IPV4),
    st.builds(
        lambda kind, rest: bytes(12) + kind + rest,
        st.sampled_from([b"\x08\0", b"\x86\xdd", b"\x08\6", b"\x81\0"]),
        st.binary(max_size=120),
    ),
    st.sampled_from([packet.data for packet in generate(40)]),
    st.binary(min_size=14, max_size=60),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(frame=FRAMES)
def test_any_frame_gives_the_same(objects: tuple[BpfObject, ...], frame: bytes) -> None:
    """Verdict and every byte, of five programs."""
    live, *machines = objects
    expected = told(live, frame)
    for machine in machines:
        assert told(machine, frame) == expected


def test_what_was_counted_is_the_same(objects: tuple[BpfObject, ...]) -> None:
    """The maps, after all of it."""
    live, *machines = objects
    for name in ("flows", "sizes"):
        expected = as_dict(live.maps[name])
        assert expected
        for machine in machines:
            assert as_dict(machine.maps[name]) == expected
