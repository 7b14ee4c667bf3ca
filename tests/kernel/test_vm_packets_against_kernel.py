"""Packets are changed by the userspace machine's helpers as by the running kernel's; contexts are, too."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from ebee.abi.contexts import SK_BUFF, XDP_MD
from tests.kernel.both_kernels import ARP, FRAMES, V4, V6, both, skip_older_kernels, tc, xdp
from tests.kernel.door import needs_root

pytestmark = [needs_root, pytest.mark.userspace_machine]


@pytest.fixture(scope="module", autouse=True)
def recent() -> None:
    """Skip where the running kernel answers otherwise."""
    skip_older_kernels()


# -- packets of socket buffers -----------------------------------------------------------------------
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize(
    "steps",
    [
        "P(8100, 5)",
        "P(1234, 5) O",
        "O O O",
        "P(8100, 5) P(88a8, 6)",
        "P(8100, 5) P(88a8, 6) P(8100, 7) O O O O",
    ],
)
def test_vlan_tags(name: str, steps: str) -> None:
    macros = (
        "#define P(kind, tag) r[n++] = bpf_skb_vlan_push(s, bpf_htons(0x##kind), tag);\n"
        "#define O r[n++] = bpf_skb_vlan_pop(s);\n"
    )
    with both(tc(steps, globals=macros)) as pair:
        pair.agree(FRAMES[name])


ROOMS = (0, 1, 4, 8, 14, 20, 28, 40, 100, 4095, 4096, -1, -4, -8, -20, -28, -40, -100, -4096)
ROOM_FLAGS = (
    *(0, 1, 2, 4, 6, 8, 10, 12, 18, 24, 26, 32, 34, 36, 64, 66, 128, 256, 384, 512, 1024),
    *(14 << 56 | 66, 14 << 56 | 68, 13 << 56 | 66, 50 << 56 | 66),
)


@pytest.mark.parametrize("name", FRAMES)
def test_room_between_headers(name: str) -> None:
    body = "r[n++] = bpf_skb_adjust_room(s, a, b, flags); r[n++] = bpf_skb_adjust_room(s, a, b, flags);"
    with both(tc(body)) as pair:
        for room in ROOMS:
            for mode in (0, 1, 2):
                pair.agree(FRAMES[name], values={"a": room, "b": mode, "flags": 0})
        for flags in ROOM_FLAGS:
            for room in (20, 40, -20, -40):
                for mode in (0, 1):
                    pair.agree(FRAMES[name], values={"a": room, "b": mode, "flags": flags})


@pytest.mark.parametrize(
    "call",
    [
        "bpf_skb_change_tail(s, a, b)",
        "bpf_skb_change_head(s, a, b)",
        "bpf_skb_pull_data(s, a)",
        "bpf_skb_change_proto(s, bpf_htons(a), b)",
        "bpf_skb_change_type(s, a)",
        "bpf_csum_level(s, a)",
        "bpf_csum_update(s, a)",
        "bpf_skb_ecn_set_ce(s)",
    ],
)
@pytest.mark.parametrize("name", FRAMES)
def test_lengths_types_and_protocols(call: str, name: str) -> None:
    with both(tc(f"r[n++] = {call};")) as pair:
        for a in (0, 1, 2, 3, 4, 13, 14, 15, 34, 60, 100, 1000, 16064, 16065, 70000, 0x0800, 0x86DD):
            pair.agree(FRAMES[name], values={"a": a, "b": 0})
        pair.agree(FRAMES[name], values={"a": 50, "b": 1})


@pytest.mark.parametrize("tos", range(4))
def test_congestion_is_marked(tos: int) -> None:
    with both(tc("r[n++] = bpf_skb_ecn_set_ce(s); r[n++] = bpf_skb_ecn_set_ce(s);")) as pair:
        for checksum in (b"\0\0", b"\xff\xff", b"\x12\x34", b"\xff\xfe", b"\0\1", b"\0\2", b"\0\3"):
            pair.agree(V4[:15] + bytes((tos,)) + V4[16:24] + checksum + V4[26:])
        pair.agree(V6[:15] + bytes((tos << 4,)) + V6[16:])


@pytest.mark.parametrize("section", ["tc", "cgroup_skb/ingress", "socket"])
def test_bytes_of_packets(section: str) -> None:
    body = "r[n++] = bpf_skb_load_bytes(s, a, c, 8);"
    if section == "tc":
        body += "r[n++] = bpf_skb_store_bytes(s, a, c + 4, 8, flags);"
    with both(tc(body, section=section, state="", globals="char c[16];")) as pair:
        for at in (0, 14, 60, 68, 74, 75, 82, 1000, 0x7FFFFFF0, -1):
            for flags in (0, 1, 2, 3, 4):
                pair.agree(V4, values={"a": at, "flags": flags})


SEQUENCE = """
struct op { unsigned char kind; int a; int b; unsigned long f; };
struct op ops[6]; int count; long r[64]; char buf[24];
static __attribute__((noinline)) int one(struct __sk_buff *s, int i)
{
    struct op *o;
    if (i < 0 || i > 5) return 0;
    o = &ops[i];
    switch (o->kind) {
    case 0: return bpf_skb_vlan_push(s, bpf_htons(o->a), o->b);
    case 1: return bpf_skb_vlan_pop(s);
    case 2: return bpf_skb_adjust_room(s, o->a, o->b, o->f);
    case 3: return bpf_skb_change_tail(s, o->a, o->f);
    case 4: return bpf_skb_change_head(s, o->a, o->f);
    case 5: return bpf_skb_change_proto(s, bpf_htons(o->a), o->f);
    case 6: return bpf_skb_store_bytes(s, o->a, buf, 12, o->f);
    case 7: return bpf_skb_load_bytes(s, o->a, buf, 16);
    case 8: return bpf_skb_load_bytes_relative(s, o->a, buf, 16, o->b);
    case 9: return bpf_l3_csum_replace(s, o->a, o->b, o->f, 2);
    case 10: return bpf_l4_csum_replace(s, o->a, o->b, o->f, 4);
    case 11: return bpf_skb_ecn_set_ce(s);
    case 12: return bpf_csum_level(s, o->a);
    }
    return 0;
}
#define STEP(i) if (i < count) { r[i * 9] = one(s, i); r[i * 9 + 1] = s->len; r[i * 9 + 2] = s->protocol; \\
    r[i * 9 + 3] = s->vlan_tci; r[i * 9 + 4] = s->vlan_proto; r[i * 9 + 5] = s->vlan_present; \\
    r[i * 9 + 6] = (long)s->data_end - (long)s->data; r[i * 9 + 7] = *(long *)buf; }
SEC("tc") int f(struct __sk_buff *s) { STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) return 0; }
"""
ENCAPSULATIONS = (0, 0, 0, 1, 2, 4, 10, 20, 18, 32, 128, 256, 14 << 56 | 66, 14 << 56 | 68, 4 << 56 | 2)


def _operation(draw: random.Random) -> tuple[int, int, int, int]:
    """Return the kind of a call and its arguments; sizes stay within the headroom of the kernel's packet."""
    kind = draw.choice((0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12))
    room = draw.choice((4, 8, 10, -4, -8, -20, -40, draw.randrange(-60, 10)))
    at, half = draw.randrange(100), draw.getrandbits(16)
    return {
        0: (kind, draw.choice((0x8100, 0x88A8, 0x1234)), half, 0),
        2: (kind, room, draw.randrange(2), draw.choice(ENCAPSULATIONS)),
        3: (kind, draw.randrange(150), 0, 0),
        4: (kind, draw.choice((0, 4, 10)), 0, 0),
        5: (kind, draw.choice((0x0800, 0x86DD)), 0, 0),
        6: (kind, at, 0, draw.randrange(4)),
        8: (kind, at, draw.randrange(2), 0),
        9: (kind, at & ~1, half, draw.getrandbits(16)),
        10: (kind, at & ~1, half, draw.getrandbits(16)),
        12: (kind, draw.randrange(4), 0, 0),
    }.get(kind, (kind, at, 0, 0))


def test_sequences_of_calls() -> None:
    draw = random.Random(3)
    with both(SEQUENCE) as pair:
        for _ in range(500):
            calls = [_operation(draw) for _ in range(draw.randrange(1, 7))]
            filled = calls + [(0, 0, 0, 0)] * (6 - len(calls))
            ops = [dict(zip(("kind", "a", "b", "f"), call, strict=True)) for call in filled]
            values = {"ops": ops, "count": len(calls), "r": [0] * 64, "buf": "z" * 20}
            pair.agree(draw.choice(list(FRAMES.values())), values=values)


def test_redirects_lookups_times_and_tunnels() -> None:
    text = tc(
        """
        struct bpf_sock_tuple t = {}; struct bpf_sock *k; struct bpf_fib_lookup p = {}; __u32 m;
        struct bpf_tunnel_key key = {.tunnel_id = 5, .remote_ipv4 = 7};
        r[n++] = bpf_redirect(1, 0); r[n++] = bpf_redirect(1, 2); r[n++] = bpf_redirect_peer(1, 1);
        r[n++] = bpf_redirect_neigh(1, 0, 0, 0); r[n++] = bpf_redirect_neigh(1, 0, 0, 1);
        r[n++] = bpf_clone_redirect(s, 1, 4); r[n++] = bpf_clone_redirect(s, 9999, 0);
        m = 0; r[n++] = bpf_check_mtu(s, 9999, &m, 0, 0);
        k = bpf_sk_lookup_udp(s, &t, 36, -1, 1); r[n++] = k != 0; if (k) bpf_sk_release(k);
        r[n++] = bpf_fib_lookup(s, &p, 64, 0); p.family = 2; p.ifindex = 1;
        r[n++] = bpf_fib_lookup(s, &p, 63, 0); r[n++] = bpf_fib_lookup(s, &p, 64, 64);
        m = 0; r[n++] = bpf_check_mtu(s, 1, &m, 0, 0); r[n++] = m;
        m = 0; r[n++] = bpf_check_mtu(s, 1, &m, 0, 2); m = 5; r[n++] = bpf_check_mtu(s, 1, &m, 0, 1);
        m = 0; r[n++] = bpf_check_mtu(s, 1, &m, 70000, 0); m = 0; r[n++] = bpf_check_mtu(s, 1, &m, 0, 1);
        r[n++] = bpf_skb_set_tstamp(s, 5, 1); r[n++] = s->tstamp; r[n++] = s->tstamp_type;
        for (int i = 0; i < 5; i++) r[n++] = bpf_skb_set_tstamp(s, i & 1, i);
        r[n++] = bpf_skb_get_tunnel_opt(s, &t, 36); r[n++] = bpf_skb_set_tunnel_opt(s, &t, 36);
        r[n++] = bpf_skb_set_tunnel_key(s, &key, 44, 0); r[n++] = bpf_skb_set_tunnel_key(s, &key, 43, 0);
        r[n++] = bpf_skb_set_tunnel_key(s, &key, 44, 1 << 10);
        r[n++] = bpf_skb_get_tunnel_key(s, &key, 44, 0);
        r[n++] = key.tunnel_id; r[n++] = bpf_skb_set_tunnel_opt(s, &t, 36);
        r[n++] = bpf_skb_set_tunnel_opt(s, &t, 35); r[n++] = bpf_skb_get_tunnel_opt(s, &t, 36);
        """,
        state="r[n++] = s->len;",
    )
    with both(text) as pair:
        pair.agree(V4)
        pair.agree(ARP)


# -- XDP ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["v4", "short"])
@pytest.mark.parametrize(
    "calls",
    [
        "r[n++] = bpf_xdp_adjust_head(s, a);",
        "r[n++] = bpf_xdp_adjust_tail(s, a);",
        "r[n++] = bpf_xdp_adjust_meta(s, a);",
        "r[n++] = bpf_xdp_adjust_meta(s, -8); r[n++] = bpf_xdp_adjust_head(s, a);",
        "r[n++] = bpf_xdp_adjust_head(s, -4); r[n++] = bpf_xdp_adjust_meta(s, a);",
    ],
)
def test_the_ends_of_xdp_packets(calls: str, name: str) -> None:
    grown = (100, 1000, 3400, 3438, 3439, 3486, 3487, 4000, 30000)
    with both(xdp(calls)) as pair:
        for move in (*range(-40, 24), -100, -212, -215, -216, -217, -224, -252, -256, -30000, *grown):
            pair.agree(FRAMES[name], values={"a": move})


def test_bytes_of_xdp_packets() -> None:
    body = "char c[8] = {}; r[n++] = bpf_xdp_load_bytes(s, a, c, 8); r[n++] = *(long *)c;"
    body += 'r[n++] = bpf_xdp_store_bytes(s, a, "abcdefgh", 8);'
    with both(xdp(body)) as pair:
        for at in (0, 14, 73, 74, 75, 82, 0xFFFF, 0x10000, -8):
            pair.agree(V4, values={"a": at})


def test_sequences_of_calls_of_xdp() -> None:
    body = """
    #define STEP(i) r[n++] = kinds[i] == 0 ? bpf_xdp_adjust_head(s, by[i]) : kinds[i] == 1 ? \\
        bpf_xdp_adjust_tail(s, by[i]) : bpf_xdp_adjust_meta(s, by[i]); r[n++] = bpf_xdp_get_buff_len(s);
    STEP(0) STEP(1) STEP(2) STEP(3) STEP(4)
    """
    draw = random.Random(4)
    with both("int kinds[5], by[5];\n" + xdp("\n" + body + "\n")) as pair:
        for _ in range(300):
            kinds = [draw.randrange(3) for _ in range(5)]
            by = [draw.choice((4, -4, 8, -8, draw.randrange(-300, 150))) for _ in kinds]
            data = draw.randbytes(draw.choice((14, 20, 64, 200, 1500)))
            pair.agree(data, values={"kinds": kinds, "by": by})


def test_whether_xdp_packets_fit_the_loopback() -> None:
    body = "__u32 mtu = b; r[n++] = bpf_check_mtu(s, 1, &mtu, a, 0); r[n++] = mtu;"
    with both(xdp(body)) as pair:
        for difference, given in ((0, 0), (0, 70000), (-100, 0), (65468, 0), (65469, 0), (0, 65536)):
            pair.agree(V4, values={"a": difference, "b": given})


# -- contexts of test runs ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    "fields",
    [
        *({"data": size, "data_end": 82} for size in (0, 3, 4, 32, 64, 68, 72)),
        {"data_meta": 4, "data_end": 82},
        {"ingress_ifindex": 1, "data_end": 82},
        {"rx_queue_index": 1, "data_end": 82},
        {"egress_ifindex": 1, "data_end": 82},
        {"ingress_ifindex": 1, "rx_queue_index": 1, "data_end": 82},
    ],
)
def test_contexts_of_xdp_test_runs(fields: dict[str, int]) -> None:
    body = "r[n++] = bpf_xdp_adjust_meta(s, -4); r[n++] = bpf_xdp_adjust_head(s, -10);"
    with both(xdp(body)) as pair:
        pair.agree(V4, bytes(XDP_MD.pack(**fields)))


@pytest.mark.parametrize("section", ["tc", "cgroup_skb/ingress", "socket"])
def test_contexts_of_buffers_test_runs(section: str) -> None:
    body = "r[n++] = s->mark; r[n++] = s->priority; r[n++] = s->ifindex; r[n++] = s->cb[4]; s->cb[1] = 77;"
    body += "r[n++] = s->ingress_ifindex; r[n++] = s->gso_segs; r[n++] = s->gso_size; r[n++] = s->pkt_type;"
    if section == "tc":
        body += "r[n++] = s->tstamp; r[n++] = s->wire_len; s->mark = 9; s->tc_index = 4; s->tstamp = 5;"
    arrays = ("cb", "data_end", "remote_ip6", "local_ip6")
    given: list[Mapping[str, int | bytes]] = [{name: 1} for name in SK_BUFF.fields if name not in arrays]
    given += [{"wire_len": size} for size in (20, 82, 65536, 65537)]
    given += [{"gso_segs": count} for count in (3, 65535, 65536)]
    given += [{"cb": bytes(range(20))}, {}]
    with both(tc(body, section=section, state="r[n++] = s->len;")) as pair:
        for fields in given:
            pair.agree(V4, bytes(SK_BUFF.pack(**fields)))
        pair.agree(V4, bytes(SK_BUFF.pack(mark=1)) + bytes(8))
        pair.agree(V4, bytes(SK_BUFF.pack(mark=1)) + bytes(7) + b"\1")
        for frame in (*FRAMES.values(), V4[:33], V6[:53], bytes(14), bytes(13), bytes(12) + b"\0\5\xff\xff"):
            pair.agree(frame)
