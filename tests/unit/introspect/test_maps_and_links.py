"""Maps and links as bpftool describes them."""

from __future__ import annotations

from typing import cast

import pytest

from ebee.abi.bpf import PERF_EVENT_KRETPROBE, PERF_EVENT_TRACEPOINT, AttachType, LinkType
from ebee.introspect.extras import Extras
from ebee.introspect.links import link_lines, list_links
from ebee.introspect.maps import list_maps, map_lines
from ebee.kernel.protocol import Kernel, LinkInfo, MapInfo, NetDevice, ObjectKind
from tests.unit.introspect.fake_kernel import MAP, PROGRAM, FakeKernel


def maps(*infos: MapInfo) -> list[dict[str, object]]:
    return list_maps(cast("Kernel", FakeKernel({ObjectKind.MAP: list(infos)})), Extras())


def links(*infos: LinkInfo) -> list[dict[str, object]]:
    kernel = FakeKernel({ObjectKind.LINK: list(infos), ObjectKind.PROGRAM: [PROGRAM]})
    kernel.devices = [NetDevice(4, "eth0", up=True)]
    return list_links(cast("Kernel", kernel), Extras())


def test_a_map_has_bpftools_keys_in_its_order() -> None:
    """`frozen` is a number there."""
    (facts,) = maps(MAP)
    assert list(facts.items()) == [
        ("id", 5),
        ("type", "hash"),
        ("name", "counts"),
        ("flags", 1),
        ("bytes_key", 4),
        ("bytes_value", 16),
        ("max_entries", 16),
        ("bytes_memlock", 2464),
        ("frozen", 0),
        ("btf_id", 9),
    ]
    assert list(map_lines(facts)) == [
        "5: hash  name counts  flags 0x1",
        "\tkey 4B  value 16B  max_entries 16  memlock 2464B",
        "\tbtf_id 9",
    ]


def test_a_program_array_tells_whose_programs_it_takes() -> None:
    """Once a program has used it."""
    (facts,) = maps(MAP._replace(type=3, owner_prog_type=6, owner_jited=True, frozen=True, btf_id=0))
    assert list(facts)[-3:] == ["owner_prog_type", "owner_jited", "frozen"]
    assert list(map_lines(facts))[-2:] == ["\towner_prog_type xdp  owner jited", "\tfrozen"]


@pytest.mark.parametrize(
    ("info", "facts", "line"),
    [
        (
            LinkInfo(3, LinkType.RAW_TRACEPOINT, 77, {"tp_name": "sched_switch", "cookie": 0}),
            {"id": 3, "type": "raw_tracepoint", "prog_id": 77, "tp_name": "sched_switch"},
            "\ttp 'sched_switch'",
        ),
        (
            LinkInfo(3, LinkType.XDP, 77, {"ifindex": 4}),
            {"id": 3, "type": "xdp", "prog_id": 77, "devname": "eth0", "ifindex": 4},
            "\tdev eth0(4)",
        ),
        (
            LinkInfo(3, LinkType.XDP, 77, {"ifindex": 5}),
            {"id": 3, "type": "xdp", "prog_id": 77, "ifindex": 5},
            "\tifindex 5",
        ),
        (
            LinkInfo(3, LinkType.TCX, 77, {"ifindex": 4, "attach_type": AttachType.TCX_INGRESS}),
            {
                "id": 3,
                "type": "tcx",
                "prog_id": 77,
                "devname": "eth0",
                "ifindex": 4,
                "attach_type": "tcx_ingress",
            },
            "\tdev eth0(4)  attach_type tcx_ingress",
        ),
        (
            LinkInfo(3, LinkType.TRACING, 77, {"attach_type": AttachType.TRACE_RAW_TP, "target_obj_id": 1}),
            {
                "id": 3,
                "type": "tracing",
                "prog_id": 77,
                "prog_type": "xdp",
                "attach_type": "trace_raw_tp",
                "target_obj_id": 1,
            },
            "\tprog_type xdp  attach_type trace_raw_tp  target_obj_id 1",
        ),
        (
            LinkInfo(
                3,
                LinkType.PERF_EVENT,
                77,
                {"perf_event_type": PERF_EVENT_TRACEPOINT, "tp_name": "sched_switch", "cookie": 0},
            ),
            {"id": 3, "type": "perf_event", "prog_id": 77, "tracepoint": "sched_switch"},
            "\ttracepoint sched_switch",
        ),
        (
            LinkInfo(
                3,
                LinkType.PERF_EVENT,
                77,
                {"perf_event_type": PERF_EVENT_KRETPROBE, "func_name": "vfs_read", "offset": 0, "cookie": 7},
            ),
            {
                "id": 3,
                "type": "perf_event",
                "prog_id": 77,
                "retprobe": True,
                "func": "vfs_read",
                "offset": 0,
                "cookie": 7,
            },
            "\tretprobe True  func vfs_read  offset 0  cookie 7",
        ),
        (
            LinkInfo(3, LinkType.NETFILTER, 77, {"pf": 2, "hooknum": 1, "priority": -5, "flags": 0}),
            {
                "id": 3,
                "type": "netfilter",
                "prog_id": 77,
                "pf": "ip",
                "hook": "input",
                "prio": -5,
                "flags": 0,
            },
            "\tpf ip  hook input  prio -5  flags 0",
        ),
        (
            LinkInfo(3, LinkType.NETNS, 77, {"netns_ino": 8, "attach_type": AttachType.FLOW_DISSECTOR}),
            {"id": 3, "type": "netns", "prog_id": 77, "netns_ino": 8, "attach_type": "flow_dissector"},
            "\tnetns_ino 8  attach_type flow_dissector",
        ),
        (LinkInfo(3, 250, 77, {}), {"id": 3, "type": 250, "prog_id": 77}, "3: 250  prog 77"),
    ],
)
def test_a_link_tells_what_its_type_has_to_tell(info: LinkInfo, facts: dict[str, object], line: str) -> None:
    """By bpftool's keys, in its order; a type newer than ebee's tables is a number."""
    (found,) = links(info)
    assert list(found.items()) == list(facts.items())
    assert list(link_lines(found))[-1] == line
