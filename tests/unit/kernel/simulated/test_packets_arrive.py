"""Packets that are handed to simulated interfaces go by the programs there, and leave by others."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import EbeeError, GoneError, MachineError, SpecError
from ebee.kernel.protocol import LinkCreate
from ebee.kernel.simulated import Sent, SimulatedKernel, Step
from ebee.loader import LoadedObject, load
from tests.support.objects import spec_of

_FRAME = bytes(12) + b"\x88\xb5" + bytes(range(46))

_TEXT = """
    struct { __uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 4);
             __uint(key_size, 4); __uint(value_size, 4); } ports SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_DEVMAP_HASH); __uint(max_entries, 4);
             __uint(key_size, 4); __uint(value_size, 4); } all SEC(".maps");
    int verdict = XDP_PASS, target = 0, tc_verdict = -1;
    SEC("xdp") int say(struct xdp_md *ctx) { return verdict; }
    SEC("xdp") int to(struct xdp_md *ctx) { return bpf_redirect(target, 0); }
    SEC("xdp") int by_port(struct xdp_md *ctx) { return bpf_redirect_map(&ports, target, XDP_DROP); }
    SEC("xdp") int to_all(struct xdp_md *ctx) { return bpf_redirect_map(&all, 0, 8 | 16); }
    SEC("xdp") int stamp(struct xdp_md *ctx)
    {
        unsigned char *data = (void *)(long)ctx->data;
        if (data + 1 > (unsigned char *)(long)ctx->data_end)
            return XDP_DROP;
        data[0] = ctx->ingress_ifindex;
        return XDP_PASS;
    }
    SEC("tc") int decide(struct __sk_buff *skb) { return tc_verdict; }
    SEC("tc") int away(struct __sk_buff *skb) { return bpf_redirect(target, 0); }
    SEC("tc") int copy(struct __sk_buff *skb) { bpf_clone_redirect(skb, target, 0); return -1; }
    SEC("socket") int ten(struct __sk_buff *skb) { return 10; }
    SEC("cgroup_skb/ingress") int none(struct __sk_buff *skb) { return 0; }
    SEC("xdp") int wild(struct xdp_md *ctx)
    {
        unsigned char *data = (void *)(long)ctx->data;
        return data + 14 > (unsigned char *)(long)ctx->data_end ? XDP_DROP : data[13];
    }
"""


@pytest.fixture
def kernel() -> SimulatedKernel:
    return SimulatedKernel(devices=("eth0", "eth1"))


@pytest.fixture
def obj(kernel: SimulatedKernel) -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT), kernel) as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("returned", "verdict", "sent"),
    [(0, "aborted", 0), (1, "drop", 0), (2, "pass", 0), (3, "tx", 1), (99, "aborted", 0)],
)
def test_a_verdict_is_told(
    kernel: SimulatedKernel, obj: LoadedObject, returned: int, verdict: str, sent: int
) -> None:
    """With the program that gave it; a packet that is sent back leaves where it came in."""
    obj.variables["verdict"].value = returned
    with obj.programs["say"].attach("xdp:eth0"):
        delivery = kernel.receive("eth0", _FRAME)
    assert delivery.verdict == verdict
    assert delivery.steps == [Step("say", ProgType.XDP, AttachType.XDP, returned)]
    assert delivery.sent == [Sent("eth0", 2, _FRAME)] * sent


def test_a_program_sees_where_the_packet_came_in_and_changes_it(
    kernel: SimulatedKernel, obj: LoadedObject
) -> None:
    """The interface's number is in the context."""
    with obj.programs["stamp"].attach("xdp:eth1"):
        assert kernel.receive("eth1", _FRAME).packet == b"\3" + _FRAME[1:]
        assert kernel.receive(3, _FRAME).packet == b"\3" + _FRAME[1:]
        assert kernel.receive("eth0", _FRAME).packet == _FRAME


def test_a_packet_goes_where_it_is_sent(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """By an interface's number, by a map of interfaces, to all but the one it came from."""
    target, ports = obj.variables["target"], obj.maps["ports"]
    target.value = 3
    with obj.programs["to"].attach("xdp:eth0"):
        delivery = kernel.receive("eth0", _FRAME)
        assert (delivery.verdict, delivery.sent) == ("redirect", [Sent("eth1", 3, _FRAME)])
    with obj.programs["by_port"].attach("xdp:eth0"):
        assert kernel.receive("eth0", _FRAME).verdict == "drop"
        ports.update_elem(struct.pack("=I", 3), struct.pack("=I", 3))
        assert kernel.receive("eth0", _FRAME).sent == [Sent("eth1", 3, _FRAME)]
    for key, ifindex in ((10, 1), (20, 2), (30, 3)):
        obj.maps["all"].update_elem(struct.pack("=I", key), struct.pack("=I", ifindex))
    with obj.programs["to_all"].attach("xdp:eth0"):
        names = {sent.device for sent in kernel.receive("eth0", _FRAME).sent}
        assert names == {"lo", "eth1"}


_PORTS = """
    struct { __uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 4);
             __uint(key_size, 4); __uint(value_size, 8); } ports SEC(".maps");
    int verdict = XDP_PASS;
    SEC("xdp") int to(struct xdp_md *ctx) { return bpf_redirect_map(&ports, 1, 0); }
    SEC("xdp/devmap") int leaving(struct xdp_md *ctx)
    {
        unsigned char *data = (void *)(long)ctx->data;
        if (data + 2 > (unsigned char *)(long)ctx->data_end)
            return XDP_DROP;
        data[0] = ctx->ingress_ifindex;
        data[1] = ctx->egress_ifindex;
        return verdict;
    }
"""


def test_a_port_has_a_program_of_its_own(kernel: SimulatedKernel) -> None:
    """It sees both interfaces, and decides whether the packet leaves."""
    with load(spec_of(_PORTS), kernel) as obj, obj.programs["to"].attach("xdp:eth0"):
        value = struct.pack("=II", 3, obj.programs["leaving"].fd)
        obj.maps["ports"].update_elem(struct.pack("=I", 1), value)
        shown = obj.maps["ports"].lookup_elem(struct.pack("=I", 1))
        assert shown == struct.pack("=II", 3, obj.programs["leaving"].id)
        delivery = kernel.receive("eth0", _FRAME)
        assert [step.program for step in delivery.steps] == ["to", "leaving"]
        assert delivery.sent == [Sent("eth1", 3, b"\2\3" + _FRAME[2:])]
        obj.variables["verdict"].value = 1
        delivery = kernel.receive("eth0", _FRAME)
        assert (delivery.verdict, delivery.sent) == ("redirect", [])


def test_tc_comes_after_xdp_and_sockets_hear_between(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """In the kernel's order; a socket gets as much as its filter says, though tc drops the packet."""
    obj.variables["tc_verdict"].value = 2
    fd = kernel.link_create(LinkCreate(obj.programs["decide"].fd, 2, AttachType.TCX_INGRESS))
    with obj.programs["say"].attach("xdp:eth0"), obj.programs["ten"].attach("socket:eth0"):
        delivery = kernel.receive("eth0", _FRAME)
    kernel.close(fd)
    assert [step.program for step in delivery.steps] == ["say", "ten", "decide"]
    assert (delivery.verdict, delivery.heard) == ("drop", [_FRAME[:10]])


def test_tc_sends_packets_and_copies(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """A copy leaves though the packet goes on."""
    obj.variables["target"].value = 3
    for name, verdict in (("away", "redirect"), ("copy", "pass")):
        fd = kernel.link_create(LinkCreate(obj.programs[name].fd, 2, AttachType.TCX_INGRESS))
        delivery = kernel.receive("eth0", _FRAME)
        kernel.close(fd)
        assert (delivery.verdict, delivery.sent) == (verdict, [Sent("eth1", 3, _FRAME)])


def test_what_leaves_goes_by_tc_egress(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """And then out, unless a program drops it."""
    assert kernel.send("eth0", _FRAME).sent == [Sent("eth0", 2, _FRAME)]
    obj.variables["tc_verdict"].value = 2
    fd = kernel.link_create(LinkCreate(obj.programs["decide"].fd, 2, AttachType.TCX_EGRESS))
    delivery = kernel.send("eth0", _FRAME)
    kernel.close(fd)
    assert (delivery.verdict, delivery.sent) == ("drop", [])


def test_programs_of_cgroups_see_what_arrives(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """As if a socket of each cgroup had the packet; any folder stands for a cgroup here."""
    folder = os.open("/", os.O_RDONLY)
    fd = kernel.link_create(LinkCreate(obj.programs["none"].fd, folder, AttachType.CGROUP_INET_INGRESS))
    assert kernel.link_info(fd).details["attach_type"] == AttachType.CGROUP_INET_INGRESS
    (row,) = kernel.program_query(folder, AttachType.CGROUP_INET_INGRESS)
    assert row.program_id == obj.programs["none"].id
    assert kernel.receive("eth0", _FRAME).verdict == "drop"
    kernel.close(fd)
    os.close(folder)
    assert kernel.receive("eth0", _FRAME).verdict == "pass"


def test_runs_are_counted(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """As the kernel does where its statistics are on."""
    with obj.programs["say"].attach("xdp:eth0"):
        for _ in range(3):
            kernel.receive("eth0", _FRAME)
    info = obj.programs["say"].info()
    assert info.run_count == 3
    assert info.run_time_ns > 0


def test_interfaces_are_made_on_demand(kernel: SimulatedKernel) -> None:
    """One of a name; a name that no interface can have is refused."""
    assert kernel.add_device("wlan0") == 4
    assert kernel.add_device("wlan0") == 4
    assert [device.name for device in kernel.net_devices()] == ["lo", "eth0", "eth1", "wlan0"]
    with pytest.raises(SpecError) as caught:
        kernel.add_device("a name")
    assert str(caught.value) == "add device 'a name': a device's name has 1 to 15 characters, no blanks"


def _refusal(kernel: SimulatedKernel, device: str, packet: bytes) -> EbeeError:
    with pytest.raises(EbeeError) as caught:
        kernel.receive(device, packet)
    return caught.value


def test_a_device_that_is_not_there_says_so(kernel: SimulatedKernel) -> None:
    """With the nearest, or all there are."""
    error = _refusal(kernel, "eht0", _FRAME)
    assert type(error) is GoneError
    assert (str(error), error.hint) == (
        "receive on eht0: the userspace machine has no such device",
        "did you mean 'eth0'?",
    )
    assert _refusal(kernel, "wlan7", _FRAME).hint == (
        "devices here: lo, eth0, eth1; add_device() makes another"
    )


def test_a_packet_without_a_header_says_so(kernel: SimulatedKernel, obj: LoadedObject) -> None:
    """Whether or not a program is there to see it."""
    words = "receive on eth0: a packet of 5 bytes, expected 14 or more"
    assert str(_refusal(kernel, "eth0", b"short")) == words
    with obj.programs["say"].attach("xdp:eth0"):
        assert str(_refusal(kernel, "eth0", b"short")) == words


def test_a_program_that_is_stopped_says_at_which_line() -> None:
    """To whoever let the packet arrive; the kernel stays as it was."""
    text = """
    SEC("xdp") int endless(struct xdp_md *ctx)
    {
        volatile long count = 0;
        while (count < 100000)
            count++;
        return count;
    }
    """
    kernel = SimulatedKernel(budget=1000)
    with load(spec_of(text), kernel) as obj, obj.programs["endless"].attach("xdp:eth0"):
        before = set(kernel.machine.memory.regions)
        with pytest.raises(MachineError) as caught:
            kernel.receive("eth0", _FRAME)
        assert str(caught.value).startswith("test.bpf.c:")
        assert "stopped after 1,000 instructions" in str(caught.value)
        assert "count" in caught.value.details().splitlines()[1]  # the line itself
        assert set(kernel.machine.memory.regions) == before
        assert obj.programs["endless"].info().run_count == 1
