"""Test runs, variables, tail calls, maps of maps and ring buffers on both kernels."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ebee.abi.bpf import ProgType, XdpAction
from ebee.abi.contexts import SK_BUFF, XDP_MD
from ebee.errors import EbeeError, KernelError, NotSupportedError
from ebee.kernel.protocol import Kernel, ObjectKind, RunRequest
from ebee.loader import LoadedObject
from ebee.sessions.c import load
from tests.shared.places import FRAME, named_kernel
from tests.support.objects import spec_of

_PATIENCE_S = 10.0
_IPV4 = (
    bytes(range(1, 13)) + b"\x08\x00" + bytes.fromhex("4500002800010000401166d4c0000201c0000202") + bytes(20)
)
_REFUSED = "the kernel does not take this packet, context or repeat for this type of program (EINVAL)"


@pytest.fixture(params=["live", "interpreter", "native"])
def runner(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """A kernel for tests of what programs do: with either engine of the simulated one."""
    with named_kernel(request.param) as made:
        yield made


def _load(kernel: Kernel, text: str) -> LoadedObject:
    return load(spec_of(text), kernel=kernel)


def _errno(action: Any) -> str:
    try:
        action()
    except KernelError as error:
        return error.errno_name
    return ""


_XDP = """
    int seen = 0;
    SEC("xdp") int swap(struct xdp_md *ctx)
    {
        unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
        if (data + 14 > end)
            return XDP_DROP;
        seen++;
        for (int i = 0; i < 6; i++) {
            unsigned char byte = data[i];
            data[i] = data[i + 6];
            data[i + 6] = byte;
        }
        return end - data > 20 ? XDP_TX : XDP_PASS;
    }
    SEC("xdp") int grow(struct xdp_md *ctx)
    {
        if (bpf_xdp_adjust_head(ctx, -4) || bpf_xdp_adjust_tail(ctx, 8))
            return XDP_ABORTED;
        unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
        if (data + 4 > end)
            return XDP_DROP;
        __builtin_memcpy(data, "ebee", 4);
        return XDP_PASS;
    }
    SEC("xdp") int mark(struct xdp_md *ctx)
    {
        if (bpf_xdp_adjust_meta(ctx, -4))
            return XDP_ABORTED;
        unsigned int *meta = (void *)(long)ctx->data_meta;
        if ((void *)(meta + 1) > (void *)(long)ctx->data)
            return XDP_DROP;
        *meta = 0x01020304;
        return ctx->ingress_ifindex;
    }
"""


def test_a_packet_goes_in_and_comes_out_changed(runner: Kernel) -> None:
    """With the verdict, and the variable that counts."""
    with _load(runner, _XDP) as obj:
        short = obj.programs["swap"].test_run(_IPV4[:20])
        long = obj.programs["swap"].test_run(_IPV4)
        assert (short.return_value, long.return_value) == (XdpAction.PASS, XdpAction.TX)
        assert long.data == _IPV4[6:12] + _IPV4[:6] + _IPV4[12:]
        assert obj.variables["seen"].value == 2


def test_packets_grow_at_both_ends(runner: Kernel) -> None:
    """What is added at the end is zero."""
    with _load(runner, _XDP) as obj:
        ran = obj.programs["grow"].test_run(FRAME)
        assert (ran.return_value, ran.data) == (XdpAction.PASS, b"ebee" + FRAME + bytes(8))


def test_metadata_comes_out_before_the_packet(runner: Kernel) -> None:
    """A run without a context arrives at the loopback, number 1."""
    with _load(runner, _XDP) as obj:
        ran = obj.programs["mark"].test_run(FRAME)
        assert (ran.return_value, ran.data) == (1, b"\4\3\2\1" + FRAME)


def test_a_context_that_is_given_comes_back(runner: Kernel) -> None:
    """With the lengths that the program left."""
    context = bytes(XDP_MD.pack(data=0, data_end=len(FRAME)))
    with _load(runner, _XDP) as obj:
        ran = obj.programs["grow"].test_run(FRAME, context=context)
        given = XDP_MD.unpack(ran.context)
        assert (given["data"], given["data_end"]) == (0, len(FRAME) + 12)


def test_a_program_runs_as_often_as_it_is_told(runner: Kernel) -> None:
    """The packet stays as a run leaves it."""
    with _load(runner, _XDP) as obj:
        ran = obj.programs["swap"].test_run(_IPV4, repeat=5)
        assert obj.variables["seen"].value == 5
        assert ran.data == _IPV4[6:12] + _IPV4[:6] + _IPV4[12:]
        assert ran.duration_ns > 0


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"data": bytes(13)}, "EINVAL"),
        ({"data": b""}, "EINVAL"),
        ({"data": bytes(14)}, ""),
        ({"data": bytes(60), "data_out_bytes": 59}, "ENOSPC"),
        ({"data": bytes(60), "data_out_bytes": 60}, ""),
        ({"data": bytes(60), "repeat": 0}, ""),
        ({"data": bytes(60), "flags": 1}, "EINVAL"),
        ({"data": bytes(60), "batch_size": 1}, "EINVAL"),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data_end=61))}, "EINVAL"),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data_end=60))}, ""),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data=3, data_end=60))}, "EINVAL"),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data=4, data_end=60))}, ""),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data_end=60, egress_ifindex=1))}, "EINVAL"),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data_end=60, rx_queue_index=1))}, "EINVAL"),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data_end=60, ingress_ifindex=1))}, ""),
        ({"data": bytes(60), "context": bytes(XDP_MD.pack(data_end=60, ingress_ifindex=999999))}, "ENODEV"),
        ({"data": bytes(60), "context": XDP_MD.pack(data_end=60) + b"\1"}, "E2BIG"),
        ({"data": bytes(60), "context": XDP_MD.pack(data_end=60) + b"\0"}, ""),
    ],
)
def test_an_xdp_run_is_refused_alike(kernel: Kernel, request_: dict[str, Any], expected: str) -> None:
    """With the kernel's errno."""
    with _load(kernel, 'SEC("xdp") int it(struct xdp_md *ctx) { return XDP_PASS; }') as obj:
        words = {**request_, "context": bytes(request_.get("context", b""))}
        request = RunRequest(obj.programs["it"].fd, **words)
        assert _errno(lambda: kernel.program_test_run(request)) == expected


def test_a_packet_that_is_too_short_says_so(kernel: Kernel) -> None:
    """In the same words on both."""
    with _load(kernel, 'SEC("xdp") int it(struct xdp_md *ctx) { return XDP_PASS; }') as obj:
        with pytest.raises(KernelError) as caught:
            obj.programs["it"].test_run(bytes(5))
        assert str(caught.value) == f"run it on 5 bytes: {_REFUSED}"


@pytest.mark.parametrize(("size", "data_end", "seen"), [(3520, 0, 3520), (9000, 0, 3520), (100, 60, 60)])
def test_what_does_not_fit_a_page_is_not_seen(kernel: Kernel, size: int, data_end: int, seen: int) -> None:
    """It lies in fragments, and comes out as it went in."""
    text = 'SEC("xdp") int it(struct xdp_md *ctx) { return (int)(ctx->data_end - ctx->data); }'
    packet = bytes(range(250)) * (size // 250) + bytes(size % 250)
    context = bytes(XDP_MD.pack(data_end=data_end)) if data_end else b""
    with _load(kernel, text) as obj:
        ran = obj.programs["it"].test_run(packet, context=context)
        assert (ran.return_value, ran.data) == (seen, packet)
        assert not context or XDP_MD.unpack(ran.context)["data_end"] == data_end


_TC = """
    SEC("tc") int rewrite(struct __sk_buff *skb)
    {
        unsigned char ttl = 7;
        if (skb->protocol != __builtin_bswap16(0x0800))
            return 2;
        if (bpf_skb_store_bytes(skb, 14 + 8, &ttl, 1, 0))
            return 2;
        skb->mark = skb->len;
        skb->cb[0] = 0xAA;
        skb->priority = skb->ifindex;
        return 0;
    }
    SEC("tc") int shrink(struct __sk_buff *skb)
    {
        return bpf_skb_change_tail(skb, 20, 0) ? 2 : 0;
    }
    SEC("socket") int length(struct __sk_buff *skb)
    {
        unsigned char first = 0;
        bpf_skb_load_bytes(skb, 0, &first, 1);
        return skb->len << 8 | first;
    }
    SEC("cgroup_skb/ingress") int allow(struct __sk_buff *skb) { return skb->len == 40; }
"""


def test_tc_programs_change_packet_and_context(runner: Kernel) -> None:
    """They see the Ethernet header."""
    with _load(runner, _TC) as obj:
        ran = obj.programs["rewrite"].test_run(_IPV4, context=bytes(SK_BUFF.size_bytes))
        assert (ran.return_value, ran.data) == (0, _IPV4[:22] + b"\7" + _IPV4[23:])
        out = SK_BUFF.unpack(ran.context)
        assert (out["mark"], out["priority"], out["ifindex"]) == (len(_IPV4), 1, 1)
        cb = out["cb"]
        assert isinstance(cb, bytes)
        assert cb[:4] == b"\xaa\0\0\0"


def test_tc_programs_cut_packets(runner: Kernel) -> None:
    """What comes out is as long as what is left."""
    with _load(runner, _TC) as obj:
        ran = obj.programs["shrink"].test_run(_IPV4)
        assert (ran.return_value, ran.data) == (0, _IPV4[:20])


def test_filters_see_packets_from_the_network_header(runner: Kernel) -> None:
    """What comes out has zeros in place of the header that they did not see."""
    with _load(runner, _TC) as obj:
        ran = obj.programs["length"].test_run(_IPV4)
        assert ran.return_value == 40 << 8 | 0x45
        assert ran.data == bytes(14) + _IPV4[14:]
        assert obj.programs["allow"].test_run(_IPV4).return_value == 1


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"data": bytes(13)}, "EINVAL"),
        ({"data": bytes(3712)}, ""),
        ({"data": bytes(3713)}, "EINVAL"),
        ({"data": bytes(60), "flags": 1}, "EINVAL"),
        ({"data": bytes(60), "cpu": 1}, "EINVAL"),
        ({"data": bytes(60), "context": SK_BUFF.pack(mark=1, priority=2, ifindex=1)}, ""),
        ({"data": bytes(60), "context": SK_BUFF.pack(len=60)}, "EINVAL"),
        ({"data": bytes(60), "context": SK_BUFF.pack(tc_index=1)}, "EINVAL"),
        ({"data": bytes(60), "context": SK_BUFF.pack(ifindex=999999)}, "ENODEV"),
        ({"data": bytes(60), "context": SK_BUFF.pack(wire_len=59)}, "EINVAL"),
        ({"data": bytes(60), "context": SK_BUFF.pack(), "context_out_bytes": 8}, "ENOSPC"),
    ],
)
def test_a_tc_run_is_refused_alike(kernel: Kernel, request_: dict[str, Any], expected: str) -> None:
    """With the kernel's errno."""
    with _load(kernel, 'SEC("tc") int it(struct __sk_buff *skb) { return 0; }') as obj:
        words = {**request_, "context": bytes(request_.get("context", b""))}
        request = RunRequest(obj.programs["it"].fd, **words)
        assert _errno(lambda: kernel.program_test_run(request)) == expected


_OTHERS = """
    #include <bpf/bpf_tracing.h>
    SEC("raw_tp/sched_switch") int BPF_PROG(raw, long one, long two) { return one + two; }
    SEC("syscall") int call(int *ctx) { ctx[1] = ctx[0] * 2; return ctx[1]; }
    SEC("tracepoint/sched/sched_switch") int point(void *ctx) { return 0; }
    SEC("perf_event") int event(void *ctx) { return 0; }
"""


@pytest.mark.parametrize(
    ("name", "request_", "expected"),
    [
        ("raw", {"context": struct.pack("=QQ", 3, 4), "repeat": 0}, 7),
        ("raw", {"context": struct.pack("=QQ", 3, 4), "repeat": 1}, "EINVAL"),
        ("raw", {"context": struct.pack("=QQ", 3, 4), "repeat": 0, "data": b"x"}, "EINVAL"),
        ("raw", {"context": bytes(104), "repeat": 0}, "EINVAL"),
        ("raw", {"context": bytes(15), "repeat": 0}, "EINVAL"),
        ("call", {"context": bytes(7), "repeat": 0}, "EINVAL"),
        ("raw", {"context": bytes(96), "repeat": 0}, 0),
        ("raw", {"context": struct.pack("=QQ", 3, 4), "repeat": 0, "cpu": 1}, "EINVAL"),
        ("raw", {"context": struct.pack("=QQ", 3, 4), "repeat": 0, "cpu": 0, "flags": 1}, 7),
        ("call", {"context": struct.pack("=ii", 21, 0), "repeat": 0}, 42),
        ("call", {"context": struct.pack("=ii", 21, 0), "repeat": 1}, "EINVAL"),
        ("call", {"context": struct.pack("=ii", 21, 0), "repeat": 0, "context_out_bytes": 8}, "EINVAL"),
        ("point", {"context": bytes(64), "repeat": 0}, "524"),
        ("event", {"context": bytes(64), "repeat": 0}, "524"),
    ],
)
def test_other_programs_are_tried_alike(
    kernel: Kernel, name: str, request_: dict[str, Any], expected: int | str
) -> None:
    """Those that run on arguments, on a context, and those that cannot be tried."""
    with _load(kernel, _OTHERS) as obj:
        request = RunRequest(obj.programs[name].fd, **request_)
        found: int | str
        try:
            found = kernel.program_test_run(request).return_value
        except KernelError as error:
            found = error.errno_name
        assert found == expected


def test_a_program_that_cannot_be_tried_says_so(kernel: Kernel) -> None:
    """It is no fault of the packet's."""
    with _load(kernel, _OTHERS) as obj:
        with pytest.raises(NotSupportedError) as caught:
            obj.programs["point"].test_run()
        assert str(caught.value) == (
            "run point on 0 bytes: this kernel has no test run for this type of program (ENOTSUPP)"
        )


_VARIABLES = """
    struct point { int x; long y; char name[6]; };
    int counter = 5; static int hidden = 1; const volatile int limit = 3;
    struct point point; char text[8] = "abc";
    SEC("xdp") int add(struct xdp_md *ctx) { counter += limit; hidden++; point.y = counter; return hidden; }
"""


def test_variables_are_live(runner: Kernel) -> None:
    """What a program writes is read, and the other way round."""
    with load(spec_of(_VARIABLES), variables={"limit": 7}, kernel=runner) as obj:
        variables = obj.variables
        assert obj.programs["add"].test_run(FRAME).return_value == 2
        assert (variables["counter"].value, variables["point"].value.y) == (12, 12)
        variables["counter"].value = 100
        variables["text"].value = "hello"
        assert obj.programs["add"].test_run(FRAME).return_value == 3
        assert (variables["counter"].value, variables["text"].value) == (107, "hello")
        with pytest.raises(EbeeError) as caught:
            variables["limit"].value = 1
        assert (
            str(caught.value) == "variable limit: is const and lies in .rodata, which is frozen once loaded"
        )
        assert obj.maps[".rodata"].info().frozen


_TAIL = """
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 3); __uint(key_size, 4);
             __array(values, int (void *)); } jumps SEC(".maps");
    int depth = 0;
    SEC("xdp") int last(struct xdp_md *ctx) { return 42; }
    SEC("xdp") int again(struct xdp_md *ctx) { depth++; bpf_tail_call(ctx, &jumps, 0); return 7; }
    SEC("xdp") int first(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 1); return 9; }
    SEC("socket") int other(void *ctx) { return 0; }
"""


def test_tail_calls_go_where_the_array_says(runner: Kernel) -> None:
    """An empty slot is passed by; after 33 the rest of the program goes on."""
    with _load(runner, _TAIL) as obj:
        jumps, programs = obj.maps["jumps"], obj.programs
        assert programs["first"].test_run(FRAME).return_value == 9
        jumps[1] = programs["last"].fd
        assert programs["first"].test_run(FRAME).return_value == 42
        jumps[0] = programs["again"].fd
        assert programs["again"].test_run(FRAME).return_value == 7
        assert obj.variables["depth"].value == 34
        (number,) = struct.unpack("=I", jumps.lookup_elem(struct.pack("=I", 1)) or b"")
        assert number == programs["last"].id
        with pytest.raises(EbeeError):
            jumps[2] = programs["other"].fd
        del jumps[1]
        assert programs["first"].test_run(FRAME).return_value == 9


def test_an_array_of_programs_is_emptied_when_user_space_lets_go(kernel: Kernel) -> None:
    """Though a program still uses it."""
    with _load(kernel, _TAIL) as obj:
        jumps, programs = obj.maps["jumps"], obj.programs
        jumps[1] = programs["last"].fd
        number = jumps.info().id
        assert jumps.info().owner_prog_type == ProgType.XDP
        jumps.close()
        end_s = time.monotonic() + _PATIENCE_S  # the kernel empties it some time later
        while programs["first"].test_run(FRAME).return_value == 42 and time.monotonic() < end_s:
            time.sleep(0.01)
        assert programs["first"].test_run(FRAME).return_value == 9
        kernel.close(kernel.open_id(ObjectKind.MAP, number))


_NESTED = """
    struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4);
                   __type(key, int); __type(value, long); };
    struct inner one SEC(".maps");
    struct inner two SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 5);
             __type(key, int); __type(value, long); } larger SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 3); __type(key, int);
             __array(values, struct inner); } outer SEC(".maps") = { .values = { &one, 0, &two } };
    struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 3); __type(key, long);
             __array(values, struct inner); } named SEC(".maps");
    int which = 0;
    SEC("xdp") int pick(struct xdp_md *ctx)
    {
        int key = which, place = 1;
        void *map = bpf_map_lookup_elem(&outer, &key);
        if (!map)
            return 1000;
        long *value = bpf_map_lookup_elem(map, &place);
        if (!value)
            return 1001;
        (*value)++;
        return *value;
    }
    SEC("xdp") int by_name(struct xdp_md *ctx)
    {
        long key = 77;
        int place = 1;
        void *map = bpf_map_lookup_elem(&named, &key);
        long *value = map ? bpf_map_lookup_elem(map, &place) : 0;
        return value ? *value : 1000;
    }
"""


def test_maps_of_maps_hold_maps(runner: Kernel) -> None:
    """By descriptor when written, by id when read; one that is unlike the pattern is refused."""
    with _load(runner, _NESTED) as obj:
        maps, pick = obj.maps, obj.programs["pick"]
        maps["two"][1] = 10
        which = obj.variables["which"]
        assert pick.test_run(FRAME).return_value == 1
        which.value = 2
        assert pick.test_run(FRAME).return_value == 11
        assert maps["two"][1] == 11
        which.value = 1
        assert pick.test_run(FRAME).return_value == 1000
        key = struct.pack("=I", 2)
        assert maps["outer"].lookup_elem(key) == struct.pack("=I", maps["two"].info().id)
        with pytest.raises(EbeeError):
            maps["outer"].update_elem(key, struct.pack("=I", maps["larger"].fd))
        maps["named"].update_elem(struct.pack("=q", 77), struct.pack("=I", maps["two"].fd))
        assert obj.programs["by_name"].test_run(FRAME).return_value == 11
        number = maps["one"].info().id
        maps["one"].close()
        runner.close(runner.open_id(ObjectKind.MAP, number))  # the outer map holds it


_RING = """
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
    SEC("xdp") int tell(struct xdp_md *ctx)
    {
        unsigned long one = 0x1122334455667788;
        long put = bpf_ringbuf_output(&ring, &one, sizeof(one), 0);
        unsigned int *two = bpf_ringbuf_reserve(&ring, 4, 0);
        if (!two)
            return 100;
        *two = 0xAABBCCDD;
        bpf_ringbuf_submit(two, 0);
        unsigned int *three = bpf_ringbuf_reserve(&ring, 12, 0);
        if (!three)
            return 101;
        bpf_ringbuf_discard(three, 0);
        return put;
    }
"""


def test_a_ring_buffer_holds_the_same_bytes(runner: Kernel) -> None:
    """Positions, headers, and what was discarded."""
    with _load(runner, _RING) as obj:
        ring = obj.maps["ring"]
        assert obj.programs["tell"].test_run(FRAME).return_value == 0
        with runner.map_memory(ring.fd, 4096, writable=True) as consumer:
            assert bytes(consumer[:8]) == bytes(8)
        with runner.map_memory(ring.fd, 4096 + 2 * 4096, writable=False, offset_bytes=4096) as producer:
            assert bytes(producer[:8]) == struct.pack("=Q", 16 + 16 + 24)
            data = producer[4096:]
            assert bytes(data[:4]) == struct.pack("=I", 8)
            assert bytes(data[8:16]) == struct.pack("=Q", 0x1122334455667788)
            assert bytes(data[16:20]) == struct.pack("=I", 4)
            assert bytes(data[24:28]) == struct.pack("=I", 0xAABBCCDD)
            assert bytes(data[32:36]) == struct.pack("=I", 12 | 1 << 30)
            assert bytes(data[4096 + 8 : 4096 + 16]) == bytes(data[8:16])
            del data
