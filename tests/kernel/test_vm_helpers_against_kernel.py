"""Helpers of the userspace machine answer as the running kernel's do, on the same programs and bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from ebee.abi.layouts import SK_BUFF, XDP_MD
from ebee.btf.types import Kind
from ebee.errors import KernelError, VerifierError
from ebee.host.kernel_types import kernel_types
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import Kernel
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import LoadedObject, load
from tests.kernel.door import needs_root
from tests.support.objects import spec_of

pytestmark = needs_root


@pytest.fixture(scope="module", autouse=True)
def recent() -> None:
    """Skip on a kernel that is older than what the machine does as: bpf_strlen() came with 6.17."""
    types = kernel_types()
    if types is None or types.find("bpf_strlen", Kind.FUNC) is None:
        pytest.skip("this kernel's helpers are older than those of the userspace machine")


INCLUDES = "#include <bpf/bpf_endian.h>\n"
UDP = bytes.fromhex("0035003500200000") + bytes(range(40))
V4 = bytes(12) + bytes.fromhex("08004500003412344000401100000a0000010a000002") + UDP
V6 = bytes(12) + bytes.fromhex("86dd6000000000281140") + bytes(range(32)) + UDP
TAGGED = bytes(range(12)) + bytes.fromhex("81000005") + V4[12:]
TAGGED_TWICE = bytes(range(12)) + bytes.fromhex("88a80007") + TAGGED[12:]
ARP = b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes(40)
FRAMES = {"v4": V4, "v6": V6, "tag": TAGGED, "tags": TAGGED_TWICE, "arp": ARP, "short": V4[:34]}

SKB_STATE = """
    r[n++] = s->len; r[n++] = s->protocol; r[n++] = s->vlan_present; r[n++] = s->vlan_tci;
    r[n++] = s->vlan_proto; r[n++] = (long)s->data_end - (long)s->data; r[n++] = s->hash;
    r[n++] = s->pkt_type;
    { char b[8] = {};
      r[n++] = bpf_skb_load_bytes_relative(s, 0, b, 8, 1); r[n++] = *(long *)b;
      r[n++] = bpf_skb_load_bytes_relative(s, 10, b, 8, 0); r[n++] = *(long *)b; }
"""
XDP_STATE = """
    r[n++] = (long)s->data_end - (long)s->data; r[n++] = (long)s->data - (long)s->data_meta;
    r[n++] = s->ingress_ifindex; r[n++] = s->rx_queue_index; r[n++] = bpf_xdp_get_buff_len(s);
"""

Answer = tuple[object, ...]


class Pair:
    """One object in both kernels, and in the simulated one with either engine."""

    def __init__(self, objects: list[LoadedObject]) -> None:
        self.objects = objects

    def answers(
        self, data: bytes = bytes(64), context: bytes = b"", values: Mapping[str, object] | None = None
    ) -> list[Answer]:
        """Return what each kernel answers: result, packet, context and variables, or the errno."""
        return [_answer(each, data, context, values or {}) for each in self.objects]

    def agree(
        self, data: bytes = bytes(64), context: bytes = b"", values: Mapping[str, object] | None = None
    ) -> Answer:
        """Check that both kernels answer the same, and return it."""
        live, interpreted, native = self.answers(data, context, values)
        assert interpreted == live, (data.hex(), context.hex(), values)
        assert native == live, (data.hex(), context.hex(), values)
        return live


def _answer(loaded: LoadedObject, data: bytes, context: bytes, values: Mapping[str, object]) -> Answer:
    for name, value in values.items():
        loaded.variables[name].value = value
    (program,) = loaded.programs.values()
    try:
        result = program.test_run(data, context=context)
    except KernelError as error:
        return ("errno", error.errno)
    variables = {name: variable.value for name, variable in loaded.variables.items()}
    return result.return_value, bytes(result.data), bytes(result.context), variables


@contextmanager
def both(text: str) -> Iterator[Pair]:
    """Load a program into the running kernel and into a simulated one for each engine."""
    spec = spec_of(INCLUDES + text)
    kernels: list[Kernel] = [LiveKernel()]
    kernels += [SimulatedKernel(engine=engine) for engine in ("interpreter", "native")]
    with ExitStack() as stack:
        yield Pair([stack.enter_context(load(spec, kernel)) for kernel in kernels])


def tc(body: str, *, section: str = "tc", state: str = SKB_STATE, globals: str = "") -> str:
    """Return a program on a packet with its answers in `r`, and the packet's state behind them."""
    head = f'{globals}\nint a, b; unsigned long flags; long r[60];\nSEC("{section}")'
    return f"{head} int f(struct __sk_buff *s)\n{{ int n = 0; {body} {state} return 1; }}\n"


def xdp(body: str) -> str:
    """Return the same of an XDP program."""
    head = 'int a, b; long r[60];\nSEC("xdp") int f(struct xdp_md *s)\n'
    return f"{head}{{ int n = 0; {body} {XDP_STATE} return 2; }}\n"


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


def test_printing_and_its_refusals() -> None:
    text = """
    long r[20];
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; char a[] = "hello %d\\n", b[] = "%d %d %d", c[] = "%d %d %d %d", d[] = "open", e[] = "%s";
      char z[] = ""; unsigned long long v[4] = {1, 2, 3, 4};
      r[n++] = bpf_trace_printk(a, sizeof a, 7); r[n++] = bpf_trace_printk(b, sizeof b, 1, 2, 3);
      r[n++] = bpf_trace_printk(c, sizeof c, 1, 2, 3); r[n++] = bpf_trace_printk(d, 4);
      r[n++] = bpf_trace_printk(e, sizeof e, 8); r[n++] = bpf_trace_printk(z, 1);
      r[n++] = bpf_trace_vprintk(c, sizeof c, v, 32); r[n++] = bpf_trace_vprintk(c, sizeof c, v, 24);
      r[n++] = bpf_trace_vprintk(c, sizeof c, v, 12); r[n++] = bpf_trace_vprintk(c, sizeof c, 0, 0);
      return 0; }
    """
    with both(text) as pair:
        pair.agree()


def test_records_without_a_reader() -> None:
    text = """
    struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(max_entries, 2); __type(key, int);
        __type(value, int); } events SEC(".maps");
    long r[20];
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; char b[8] = {};
      r[n++] = bpf_perf_event_output(s, &events, 0, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 2, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 1ULL << 52, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 100ULL << 32, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 64ULL << 32, b, 8); return 0; }
    """
    with both(text) as pair:
        pair.agree()


def test_redirects_lookups_times_and_tunnels() -> None:
    text = tc(
        """
        struct bpf_sock_tuple t = {}; struct bpf_sock *k; struct bpf_fib_lookup p = {}; __u32 m;
        struct bpf_tunnel_key key = {.tunnel_id = 5, .remote_ipv4 = 7};
        r[n++] = bpf_redirect(1, 0); r[n++] = bpf_redirect(1, 2); r[n++] = bpf_redirect_peer(1, 1);
        r[n++] = bpf_redirect_neigh(1, 0, 0, 0); r[n++] = bpf_redirect_neigh(1, 0, 0, 1);
        r[n++] = bpf_clone_redirect(s, 1, 4);
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


# -- checksums ---------------------------------------------------------------------------------------
def test_differences_of_checksums() -> None:
    text = """
    unsigned char old[32], new[32]; unsigned int old_bytes, new_bytes, seed; long r;
    SEC("tc") int f(struct __sk_buff *s)
    { if (old_bytes > 32 || new_bytes > 32) return 1;
      r = bpf_csum_diff((void *)old, old_bytes, (void *)new, new_bytes, seed); return 0; }
    """
    draw = random.Random(1)

    def some() -> list[int]:
        ones = (b"\xff" * draw.randrange(32)).ljust(32, b"\0")
        return list(draw.choice([bytes(32), b"\xff" * 32, draw.randbytes(32), ones]))

    with both(text) as pair:
        for _ in range(300):
            lengths = draw.choice([0, 4, 8, 16, 20, 28, 32]), draw.choice([0, 4, 8, 12, 32])
            seed = draw.choice([0, 1, 0xFFFF, 0xFFFF_FFFF, draw.getrandbits(32)])
            values = {"old_bytes": lengths[0], "new_bytes": lengths[1], "seed": seed}
            pair.agree(values={"old": some(), "new": some(), **values})


@pytest.mark.parametrize("layer", ["l3", "l4"])
def test_replacements_of_checksums(layer: str) -> None:
    text = f"""
    unsigned int offset; unsigned long old, new, flags; long r;
    SEC("tc") int f(struct __sk_buff *s)
    {{ r = bpf_{layer}_csum_replace(s, offset, old, new, flags); return 0; }}
    """
    draw = random.Random(2)
    offsets = (24, 24, 24, 25, 63, 64, 0, 0x10000, 0x7FFF_FFFE)
    flags = (0, 2, 4, 0, 2, 4, 1, 8, 16, 18, 34, 36, 98, 100, 130, 256, 1 << 40)
    with both(text) as pair:
        for _ in range(300):
            packet = bytes(24) + draw.choice([bytes(2), b"\xff\xff", draw.randbytes(2)]) + bytes(40)
            old, new = (draw.choice([0, 0xFFFF, draw.getrandbits(16), draw.getrandbits(64)]) for _ in "ab")
            values = {"offset": draw.choice(offsets), "old": old, "new": new, "flags": draw.choice(flags)}
            pair.agree(packet, values=values)


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


# -- text --------------------------------------------------------------------------------------------
NUMBERS = (
    *("0", "-", "- 1", "12", "-12", " 12 ", "\t\n-0x1f", "0x", "0xg", "0x1", "-0", "08", "010", "0X1F"),
    *("18446744073709551615", "18446744073709551616", "9223372036854775807", "9223372036854775808"),
    *("-9223372036854775808", "-9223372036854775809", "+5", "12abc", "abc", "FFFFFFFFFFFFFFFF"),
    *("1" * 64, "0" * 70 + "1", " " * 30 + "42", "zz", "-0x8000000000000000", "0x0x5", "--5", "1_000"),
)


def test_numbers_in_text() -> None:
    text = """
    char text[80]; unsigned int length; unsigned long flags; long r, value, ur; unsigned long uvalue;
    SEC("tc") int f(struct __sk_buff *s)
    { unsigned int n = *(volatile unsigned int *)&length;
      if (n < 1 || n > 80) return 1;
      value = 7; uvalue = 7;
      r = bpf_strtol(text, n, flags, &value); ur = bpf_strtoul(text, n, flags, &uvalue); return 0; }
    """
    with both(text) as pair:
        for number in NUMBERS:
            for flags in (0, 8, 10, 16, 1, 32):
                pair.agree(values={"text": number, "length": len(number), "flags": flags})


FORMATS = (
    *(
        "%d",
        "%5d|",
        "%-5d|",
        "%05d|",
        "%+d|",
        "% d|",
        "%-05d|",
        "%u",
        "%x",
        "%X",
        "%ld",
        "%lu",
        "%llx",
        "%lld",
    ),
    *("%020llx", "%%", "%%%d", "%c%c", "%5c|", "%-5c|", "%px", "%20px|", "%ps", "%pS", "%pB", "%u%x"),
    *("\\t%d\\n", "%lllx", "%hd", "%e", "%n", "%", "%5", "%l", "%lc", "%*d", "%.3d", "%#x", "\\1", "\\200"),
    *("%pX", "%p5", "%pI", "%pI5", "%cd", "%100d|", "%pk", "%pks1", "%pSR", "%o", "%sx"),
)
TEXT_FORMATS = (
    "%s",
    "%10s|",
    "%-10s|",
    "%3s|",
    "%pks",
    "%pus",
    "%pI4",
    "%pi4",
    "%pI6",
    "%pi6",
    "%10pI4|",
    "%s%s",
)


def _formatted(form: str, arguments: str) -> str:
    return f"""
    char out[64], source[24] = "hello\\0\\1\\2\\3"; long r, r4;
    SEC("tc") int f(struct __sk_buff *s)
    {{ static const char form[] = "{form}"; unsigned long long given[3] = {{{arguments}}};
       r = bpf_snprintf(out, 64, form, given, 24);
       r4 = bpf_snprintf(out + 60, 4, form, given, 24); return 0; }}
    """


@pytest.mark.parametrize("form", FORMATS)
def test_formats(form: str) -> None:
    text = _formatted(form, "0x123456789abcdef0, -7, 0x80000000")
    try:
        with both(text) as pair:
            pair.agree()
    except VerifierError:
        # The running kernel's verifier reads the format; the machine answers when it is used.
        with load(spec_of(INCLUDES + text), SimulatedKernel(engine="interpreter")) as machine:
            machine.programs["f"].test_run(bytes(64))
            assert machine.variables["r"].value == -22


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_formats_of_memory(form: str) -> None:
    with both(_formatted(form, ", ".join(["(unsigned long long)source"] * 3))) as pair:
        pair.agree()


# -- maps, records, callbacks, dynptrs ---------------------------------------------------------------
def test_maps_queues_and_callbacks() -> None:
    text = """
    #define MAP(name, kind, n) struct { __uint(type, BPF_MAP_TYPE_##kind); __uint(max_entries, n); \\
        __type(key, int); __type(value, long); } name SEC(".maps");
    MAP(h, HASH, 16) MAP(a, ARRAY, 5) MAP(p, PERCPU_ARRAY, 5)
    struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 2); __type(value, long); } q SEC(".maps");
    long r[60], sum;
    static long add(void *m, int *k, long *v, void *c) { sum += *k * 100 + *v; *v += 1; return 0; }
    static long three(void *m, int *k, long *v, void *c) { return *k == 3; }
    static long drop(void *m, int *k, long *v, void *c) { bpf_map_delete_elem(m, k); return 0; }
    static long count(unsigned int i, void *c) { sum += i; return i == 7; }
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0, k = 3; long v = 5;
      for (int i = 0; i < 8; i++)
      { int key = i; long value = i * i; r[n] |= bpf_map_update_elem(&h, &key, &value, 0); }
      n++;
      r[n++] = bpf_for_each_map_elem(&h, add, 0, 0); r[n++] = sum;
      r[n++] = bpf_for_each_map_elem(&a, add, 0, 0); r[n++] = bpf_for_each_map_elem(&p, add, 0, 0);
      r[n++] = bpf_for_each_map_elem(&a, three, 0, 0); r[n++] = bpf_for_each_map_elem(&a, three, 0, 1);
      r[n++] = bpf_for_each_map_elem(&h, drop, 0, 0); r[n++] = bpf_for_each_map_elem(&h, add, 0, 0);
      r[n++] = bpf_map_pop_elem(&q, &v); r[n++] = v; v = 7;
      r[n++] = bpf_map_push_elem(&q, &v, 0); v = 8; r[n++] = bpf_map_push_elem(&q, &v, 0);
      r[n++] = bpf_map_push_elem(&q, &v, 0); r[n++] = bpf_map_push_elem(&q, &v, 2);
      r[n++] = bpf_map_push_elem(&q, &v, 1); r[n++] = bpf_map_peek_elem(&q, &v); r[n++] = v;
      r[n++] = bpf_map_pop_elem(&q, &v); r[n++] = v;
      r[n++] = bpf_map_lookup_percpu_elem(&p, &k, 0) != 0; k = 9;
      r[n++] = bpf_map_lookup_percpu_elem(&p, &k, 0) != 0;
      r[n++] = bpf_loop(5, count, 0, 0); r[n++] = bpf_loop(50, count, 0, 0);
      r[n++] = bpf_loop(0, count, 0, 0);
      r[n++] = bpf_loop(3, count, 0, 1); r[n++] = bpf_loop((1 << 23) + 1, count, 0, 0);
      return 0; }
    """
    with both(text) as pair:
        pair.agree()


def test_records_of_ring_buffers() -> None:
    text = """
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
    long r[40];
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; char b[200] = {1}; char *p; struct bpf_dynptr d;
      r[n++] = bpf_ringbuf_output(&ring, b, 200, 0); r[n++] = bpf_ringbuf_output(&ring, b, 200, 8);
      p = bpf_ringbuf_reserve(&ring, 3000, 0); r[n++] = p != 0; if (p) bpf_ringbuf_submit(p, 0);
      p = bpf_ringbuf_reserve(&ring, 900, 0); r[n++] = p != 0; if (p) bpf_ringbuf_discard(p, 0);
      r[n++] = bpf_ringbuf_output(&ring, b, 200, 0);
      for (int i = 0; i < 5; i++) r[n++] = bpf_ringbuf_query(&ring, i == 4 ? 9 : i);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &d); r[n++] = bpf_dynptr_write(&d, 0, b, 8, 0);
      bpf_ringbuf_submit_dynptr(&d, 0);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 4000, 0, &d); r[n++] = bpf_dynptr_write(&d, 0, b, 8, 0);
      bpf_ringbuf_discard_dynptr(&d, 0);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 16, 1, &d); bpf_ringbuf_discard_dynptr(&d, 0);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 1 << 25, 0, &d); bpf_ringbuf_discard_dynptr(&d, 0);
      return 0; }
    """
    with both(text) as pair:
        pair.agree()


DYNPTRS = """
extern int bpf_dynptr_from_skb(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *p) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 at, void *b, __u32 b__szk) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, __u32 at, void *b, __u32 b__szk) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start, __u32 end) __ksym;
extern _Bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern _Bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *c) __ksym;
long r[40]; char buffer[64], other[16];
"""


def test_dynptrs_of_memory() -> None:
    text = (
        DYNPTRS
        + """
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; struct bpf_dynptr p, c; char t[16] = {};
      r[n++] = bpf_dynptr_from_mem(buffer, 64, 0, &p); r[n++] = bpf_dynptr_size(&p);
      r[n++] = bpf_dynptr_is_null(&p); r[n++] = bpf_dynptr_is_rdonly(&p);
      r[n++] = bpf_dynptr_write(&p, 4, "abcdefgh", 8, 0); r[n++] = bpf_dynptr_write(&p, 60, "abcdefgh", 8, 0);
      r[n++] = bpf_dynptr_write(&p, 56, "abcdefgh", 8, 1); r[n++] = bpf_dynptr_read(other, 16, &p, 2, 0);
      r[n++] = bpf_dynptr_read(other, 16, &p, 49, 0); r[n++] = bpf_dynptr_read(other, 16, &p, 48, 1);
      r[n++] = bpf_dynptr_data(&p, 0, 64) != 0; r[n++] = bpf_dynptr_data(&p, 60, 8) != 0;
      r[n++] = bpf_dynptr_adjust(&p, 4, 20); r[n++] = bpf_dynptr_size(&p);
      r[n++] = bpf_dynptr_adjust(&p, 8, 4); r[n++] = bpf_dynptr_adjust(&p, 8, 17);
      r[n++] = bpf_dynptr_clone(&p, &c); r[n++] = bpf_dynptr_read(t, 8, &c, 0, 0); r[n++] = *(long *)t;
      r[n++] = bpf_dynptr_from_mem(buffer, 64, 1, &c); r[n++] = bpf_dynptr_size(&c);
      r[n++] = bpf_dynptr_is_null(&c); r[n++] = bpf_dynptr_read(t, 8, &c, 0, 0);
      r[n++] = bpf_dynptr_write(&c, 0, t, 8, 0); r[n++] = bpf_dynptr_adjust(&c, 0, 0);
      return 0; }
    """
    )
    with both(text) as pair:
        pair.agree()


@pytest.mark.parametrize("section", ["tc", "cgroup_skb/ingress", "socket"])
def test_dynptrs_of_packets(section: str) -> None:
    writes = """
      q = bpf_dynptr_slice_rdwr(&p, 3, b, 8); r[n++] = q != 0; if (q) *(long *)q = 7;
      r[n++] = bpf_dynptr_write(&p, 30, "abcdefgh", 8, 0);
      r[n++] = bpf_dynptr_write(&p, 30, "abcdefgh", 8, 8);
      r[n++] = bpf_dynptr_write(&p, 60, "abcdefgh", 8, 0); r[n++] = bpf_dynptr_adjust(&p, 8, 24);
      r[n++] = bpf_dynptr_read(b, 16, &p, 0, 0); r[n++] = *(long *)b;
    """
    text = f"""{DYNPTRS}
    SEC("{section}") int f(struct __sk_buff *s)
    {{ int n = 0; struct bpf_dynptr p; char b[16] = {{}}, *q;
      r[n++] = bpf_dynptr_from_skb(s, 1, &p); r[n++] = bpf_dynptr_from_skb(s, 0, &p);
      r[n++] = bpf_dynptr_size(&p); r[n++] = bpf_dynptr_is_rdonly(&p);
      r[n++] = bpf_dynptr_read(b, 16, &p, 2, 0); r[n++] = *(long *)b;
      r[n++] = bpf_dynptr_read(b, 16, &p, 60, 0);
      q = bpf_dynptr_slice(&p, 3, b, 8); r[n++] = q != 0; if (q) r[n++] = *(long *)q;
      q = bpf_dynptr_slice(&p, 60, b, 8); r[n++] = q != 0; {writes if section == "tc" else ""}
      return 1; }}
    """
    with both(text) as pair:
        pair.agree(bytes(range(64)))


def test_numbers_one_after_the_other() -> None:
    text = """
    extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
    extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
    extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
    long r[40]; int begin, end;
    SEC("tc") int f(struct __sk_buff *s)
    { struct bpf_iter_num it; int *v; long n = 0;
      r[0] = bpf_iter_num_new(&it, begin, end); r[1] = 0;
      while ((v = bpf_iter_num_next(&it))) { r[1] += *v; if (++n > 100) break; }
      r[2] = n; bpf_iter_num_destroy(&it); return 0; }
    """
    ranges = ((0, 10), (5, 5), (5, 4), (-5, 5), (-(1 << 31), 8 - (1 << 31)), (2147483640, 2147483647))
    with both(text) as pair:
        for begin, end in (*ranges, (0, 8 << 20), (0, (8 << 20) + 1)):
            pair.agree(values={"begin": begin, "end": end})


def test_strings_of_kernel_functions() -> None:
    one, two = "bpf_strlen", ("strcmp", "strspn", "strcspn", "strstr")
    names = [f"extern int {one}(const char *) __ksym;"]
    names += [f"extern int bpf_{name}(const char *, const char *) __ksym;" for name in two]
    names += [f"extern int bpf_{name}(const char *, char) __ksym;" for name in ("strchr", "strrchr")]
    calls = ["bpf_strlen(a)", "bpf_strlen(e)", "bpf_strlen((void *)0)"]
    calls += [f"bpf_{name}({left}, {right})" for name in two for left in "abe" for right in "abe"]
    calls += [f"bpf_{name}(a, {c})" for name in ("strchr", "strrchr") for c in ("'o'", "'z'", "0")]
    calls += [f'bpf_strncmp(a, {size}, "{text}")' for size in (3, 4, 6) for text in ("hello", "help", "")]
    body = "".join(f"r[n++] = {call};" for call in calls)
    text = f"""{"".join(names)}
    long r[80]; char a[32] = "hello world", b[16] = "lo w", e[4] = "";
    SEC("syscall") int f(void *c) {{ int n = 0; {body} return 0; }}
    """
    with both(text) as pair:
        pair.agree(b"")


def test_memory_that_may_not_be_there() -> None:
    text = """
    long r[60]; char a[32] = "hello world", d[32];
    SEC("syscall") int f(void *c)
    { int n = 0; char comm[8];
      r[n++] = bpf_probe_read_kernel(d, 8, a); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_kernel(d, 8, (void *)8); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_kernel_str(d, 8, a); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_kernel_str(d, 32, a); r[n++] = bpf_probe_read_kernel_str(d, 0, a);
      r[n++] = bpf_probe_read_kernel_str(d, 1, a); d[0] = 1;
      r[n++] = bpf_probe_read_kernel_str(d, 16, (void *)8); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_user(d, 8, (void *)8); r[n++] = bpf_probe_read_user(d, 8, a);
      r[n++] = bpf_probe_read_user_str(d, 8, a); r[n++] = bpf_copy_from_user(d, 8, (void *)8);
      r[n++] = bpf_probe_read_kernel(d, 0, (void *)8);
      r[n++] = bpf_get_current_comm(comm, 8); r[n++] = comm[7];
      return 0; }
    """
    with both(text) as pair:
        pair.agree(b"")
