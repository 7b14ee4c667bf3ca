"""What runs on interfaces."""

from __future__ import annotations

import json
from typing import cast

import pytest

from ebee.abi.bpf import LinkType
from ebee.cli.output import json_text
from ebee.errors import AttachError
from ebee.introspect.net import describe_network, network_lines
from ebee.kernel.protocol import AttachedProgram, Kernel, LinkInfo, NetDevice, ObjectKind, TcFilter, XdpState
from tests.unit.introspect.fake_kernel import PROGRAM, FakeKernel


@pytest.fixture
def kernel() -> FakeKernel:
    """Two interfaces: one with XDP, a classifier and a tcx program; one with nothing."""
    netfilter = LinkInfo(8, LinkType.NETFILTER, 79, {"pf": 10, "hooknum": 3, "priority": 10, "flags": 0})
    fake = FakeKernel({ObjectKind.PROGRAM: [PROGRAM], ObjectKind.LINK: [netfilter]})
    fake.devices = [NetDevice(1, "lo", up=True), NetDevice(4, "eth0", up=True, xdp=(XdpState("driver", 77),))]
    fake.filters = {4: [TcFilter(4, 0, "clsact/ingress", 1, 1, 3, "classify", 78)]}
    fake.attached = {(4, "TCX_EGRESS"): [AttachedProgram(77, link_id=6)]}
    return fake


def test_everything_is_listed_in_bpftools_shape(kernel: FakeKernel) -> None:
    """tc and tcx differ in their keys there, so they do here."""
    assert describe_network(cast("Kernel", kernel)) == {
        "xdp": [{"devname": "eth0", "ifindex": 4, "mode": "driver", "id": 77}],
        "tc": [
            {
                "devname": "eth0",
                "ifindex": 4,
                "kind": "tcx/egress",
                "name": "hello",
                "prog_id": 77,
                "link_id": 6,
            },
            {"devname": "eth0", "ifindex": 4, "kind": "clsact/ingress", "name": "classify", "id": 78},
        ],
        "flow_dissector": [],
        "netfilter": [{"pf": "ip6", "hook": "output", "prio": 10, "flags": 0, "id": 79}],
    }
    assert not kernel.open


def test_the_text_has_a_part_for_each_family(kernel: FakeKernel) -> None:
    """As bpftool prints it."""
    assert list(network_lines(describe_network(cast("Kernel", kernel)))) == [
        "xdp:",
        "eth0(4) driver id 77",
        "",
        "tc:",
        "eth0(4) tcx/egress hello prog_id 77 link_id 6",
        "eth0(4) clsact/ingress classify id 78",
        "",
        "flow_dissector:",
        "",
        "netfilter:",
        "ip6 output prio 10 id 79",
        "",
    ]


def test_a_flow_dissector_is_valid_json(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """bpftool's is not: it writes a key straight into a list."""
    monkeypatch.setattr(
        kernel,
        "program_query",
        lambda _, kind, __=0: [AttachedProgram(80)] if kind.name == "FLOW_DISSECTOR" else [],
    )
    facts = describe_network(cast("Kernel", kernel))
    assert json.loads(json_text([facts]))[0]["flow_dissector"] == [{"id": 80}]
    assert "id 80" in list(network_lines(facts))


def test_one_device_can_be_looked_at(kernel: FakeKernel) -> None:
    """Others are left out."""
    assert describe_network(cast("Kernel", kernel), "lo")["xdp"] == []


def test_a_device_that_is_not_there_is_an_error(kernel: FakeKernel) -> None:
    """The nearest is named."""
    with pytest.raises(AttachError) as caught:
        describe_network(cast("Kernel", kernel), "eht0")
    assert str(caught.value) == "look at eht0: there is no device 'eht0'"
    assert caught.value.hint == "did you mean 'eth0'?"
