"""The context of XDP programs, struct xdp_md, and what BPF_PROG_TEST_RUN makes of it.

Source: net/bpf/test_run.c, bpf_prog_test_run_xdp() and xdp_convert_md_to_buff(), as to what is refused.
"""

from __future__ import annotations

import errno

from ebee.abi.contexts import XDP_MD
from ebee.vm.contexts.base import context_region, given_context, set_field, set_pointer
from ebee.vm.faults import Refusal
from ebee.vm.machine import Context
from ebee.vm.memory import Memory
from ebee.vm.packet import HEADROOM_BYTES, RESERVED_HEAD_BYTES, Packet

ETHERNET_BYTES = 14
MOST_META_BYTES = 255
LOOPBACK = 1
_MOST_GIVEN_META_BYTES = HEADROOM_BYTES - RESERVED_HEAD_BYTES


def xdp_context(
    memory: Memory,
    data: bytes,
    *,
    ctx_in: bytes = b"",
    ingress_ifindex: int = LOOPBACK,
    rx_queue_index: int = 0,
    egress_ifindex: int = 0,
) -> Context:
    """Make the context of one packet.

    Args:
        data: the packet from its Ethernet header on; with a `ctx_in`, its metadata stands before it.
        ctx_in: a struct xdp_md as BPF_PROG_TEST_RUN takes it: `data` and `data_end` count from the
            begin of the bytes, so that `data` is the length of the metadata.
        egress_ifindex: where the packet leaves, for programs of a devmap.

    Raises:
        Refusal: EINVAL or E2BIG as the kernel says it, with what is wrong.
    """
    if len(data) < ETHERNET_BYTES:
        raise Refusal(errno.EINVAL, f"a packet of {len(data)} bytes, expected {ETHERNET_BYTES} or more")
    meta = 0
    if ctx_in:
        given = XDP_MD.unpack(given_context(ctx_in, XDP_MD))
        meta = _checked(given, len(data))
        ingress_ifindex = int(given["ingress_ifindex"]) or ingress_ifindex
        rx_queue_index = int(given["rx_queue_index"])
    region = context_region(memory, XDP_MD.pack(), "the context (xdp_md)")
    set_field(region, XDP_MD, "ingress_ifindex", ingress_ifindex)
    set_field(region, XDP_MD, "rx_queue_index", rx_queue_index)
    set_field(region, XDP_MD, "egress_ifindex", egress_ifindex)
    packet = Packet(
        memory,
        data[meta:],
        ingress_ifindex=ingress_ifindex,
        meta_bytes=meta,
        headroom_bytes=HEADROOM_BYTES,
    )
    packet.with_meta()[:meta] = data[:meta]

    def follow() -> None:
        begin, end = packet.begin, packet.end
        set_pointer(region, XDP_MD, "data", packet.region.address(0, begin))
        set_pointer(region, XDP_MD, "data_end", packet.region.address(0, end))
        set_pointer(region, XDP_MD, "data_meta", packet.region.address(0, begin - packet.meta_bytes))
        memory.changed(region)

    packet.moved = follow
    follow()
    return Context(region, packet)


def xdp_data_out(context: Context) -> bytes:
    """Return what BPF_PROG_TEST_RUN gives back as data: metadata and packet."""
    assert context.packet is not None
    return bytes(context.packet.with_meta())


def xdp_context_out(context: Context, ctx_in: bytes) -> bytes:
    """Return what BPF_PROG_TEST_RUN gives back as context: what was given, with where the packet lies."""
    packet = context.packet
    assert packet is not None
    out = bytearray(given_context(ctx_in, XDP_MD))
    XDP_MD.fields["data"].put(out, packet.meta_bytes)
    XDP_MD.fields["data_end"].put(out, packet.meta_bytes + len(packet))
    return bytes(out)


def meta_is_invalid(size_bytes: int) -> bool:
    """Return whether metadata may not have that size: multiples of 4 up to 252."""
    return size_bytes % 4 != 0 or not 0 <= size_bytes <= MOST_META_BYTES


def _checked(given: dict[str, int | str | bytes], length: int) -> int:
    """Return the length of the metadata that a given context tells."""
    data, end, meta = (int(given[name]) for name in ("data", "data_end", "data_meta"))
    wrong = None
    if meta or end != length or data > end:
        wrong = (
            f"data {data}, data_end {end}, data_meta {meta}: expected 0 <= data <= data_end = {length}, for "
            "the userspace machine has packets in one piece only"
        )
    elif meta_is_invalid(data) or data > min(length - ETHERNET_BYTES, _MOST_GIVEN_META_BYTES):
        most = _MOST_GIVEN_META_BYTES
        wrong = f"{data} bytes of metadata, expected a multiple of 4 up to {most}, and a packet behind it"
    elif given["egress_ifindex"]:
        wrong = "egress_ifindex is given, and a test run has none"
    elif given["rx_queue_index"]:
        wrong = "rx_queue_index is given, and interfaces have one queue"
    if wrong:
        raise Refusal(errno.EINVAL, f"ctx_in: {wrong}")
    return data
