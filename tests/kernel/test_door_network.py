"""Interfaces, XDP and traffic control, in a network namespace of the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.abi.bpf import (
    XDP_FLAGS_DRV_MODE,
    XDP_FLAGS_HW_MODE,
    XDP_FLAGS_SKB_MODE,
    XDP_FLAGS_UPDATE_IF_NOEXIST,
    AttachType,
    LinkType,
    ProgType,
)
from ebee.errors import AttachError, NotSupportedError
from ebee.kernel.live import LiveKernel
from ebee.kernel.live.netlink import create_veth, delete_link, set_link_up
from ebee.kernel.protocol import LinkCreate, NetDevice
from ebee.testing.network import VethPair, private_network
from tests.kernel.door import complaint, load, needs_root, nothing_left_open, output, private_bpffs

pytestmark = needs_root
KERNEL = LiveKernel()
PASS = 2
DRIVER, GENERIC = XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE


@pytest.fixture
def pair() -> Iterator[VethPair]:
    """A veth pair in a network namespace of its own."""
    with nothing_left_open(), private_network("veth0", "veth1") as pair:
        yield pair


@pytest.fixture
def xdp(pair: VethPair) -> Iterator[int]:
    """A program that lets every packet pass."""
    fd = load(KERNEL, ProgType.XDP, PASS)
    yield fd
    KERNEL.close(fd)


def device(name: str) -> NetDevice:
    """Return an interface by its name."""
    return next(each for each in KERNEL.net_devices() if each.name == name)


def test_interfaces_are_listed_as_ip_lists_them(pair: VethPair) -> None:
    """Names, numbers, and whether they are up."""
    told = json.loads(output("ip", "-j", "link", "show"))
    assert [(each.ifindex, each.name, each.up) for each in KERNEL.net_devices()] == [
        (each["ifindex"], each["ifname"], "UP" in each["flags"]) for each in told
    ]


def test_an_interface_goes_up_and_down(pair: VethPair) -> None:
    """And is seen so."""
    set_link_up(pair.a_index, up=False)
    assert not device("veth0").up
    set_link_up(pair.a_index)
    assert device("veth0").up


def test_interfaces_are_made_and_removed_in_pairs(pair: VethPair) -> None:
    """With one its peer goes."""
    first, second = create_veth("left", "right")
    assert (device("left").ifindex, device("right").ifindex) == (first, second)
    delete_link(first)
    assert {each.name for each in KERNEL.net_devices()}.isdisjoint({"left", "right"})


def test_a_name_that_is_taken_or_too_long_is_refused(pair: VethPair) -> None:
    """In words."""
    assert complaint(lambda: create_veth("veth0", "other"))[0] == (
        "create veth veth0: a device of that name is there already (EEXIST)"
    )
    assert complaint(lambda: create_veth("a_name_too_long_for_it", "other"))[1] == (
        "a device's name has at most 15 characters"
    )


@pytest.mark.parametrize(("flags", "mode", "number"), [(DRIVER, "driver", 1), (GENERIC, "generic", 2)])
def test_xdp_by_netlink_is_seen_by_us_and_by_ip(
    pair: VethPair, xdp: int, flags: int, mode: str, number: int
) -> None:
    """And is gone when it is detached."""
    KERNEL.xdp_attach(pair.a_index, xdp, flags | XDP_FLAGS_UPDATE_IF_NOEXIST)
    program_id = KERNEL.program_info(xdp).id
    assert device("veth0").xdp == ((mode, program_id),)
    told = json.loads(output("ip", "-j", "link", "show", "dev", "veth0"))[0]["xdp"]
    assert (told["mode"], told["prog"]["id"]) == (number, program_id)
    KERNEL.xdp_attach(pair.a_index, -1, flags)
    assert device("veth0").xdp == ()


def test_a_second_program_is_told_which_one_is_there(pair: VethPair, xdp: int) -> None:
    """The kernel's words, and the id."""
    KERNEL.xdp_attach(pair.a_index, xdp, DRIVER)
    message, hint = complaint(
        lambda: KERNEL.xdp_attach(pair.a_index, xdp, DRIVER | XDP_FLAGS_UPDATE_IF_NOEXIST)
    )
    assert message == "attach to XDP of device veth0: XDP program already attached (EBUSY)"
    there = KERNEL.program_info(xdp).id
    assert (
        hint == f"veth0 runs program {there} in driver mode: detach it first, the link that holds it included"
    )
    KERNEL.xdp_attach(pair.a_index, -1, DRIVER)


def test_a_program_is_replaced_only_by_whom_expects_it(pair: VethPair, xdp: int) -> None:
    """IFLA_XDP_EXPECTED_FD."""
    other = load(KERNEL, ProgType.XDP, PASS, "ebee_other")
    KERNEL.xdp_attach(pair.a_index, xdp, DRIVER)
    with pytest.raises(AttachError):
        KERNEL.xdp_attach(pair.a_index, other, DRIVER, expected_fd=other)
    KERNEL.xdp_attach(pair.a_index, other, DRIVER, expected_fd=xdp)
    assert device("veth0").xdp[0].program_id == KERNEL.program_info(other).id
    KERNEL.xdp_attach(pair.a_index, -1, DRIVER)
    KERNEL.close(other)


def test_a_driver_without_xdp_is_told_to_go_generic(pair: VethPair, xdp: int) -> None:
    """The loopback interface."""
    set_link_up(device("lo").ifindex)
    with pytest.raises(NotSupportedError) as caught:
        KERNEL.xdp_attach(device("lo").ifindex, xdp, DRIVER)
    assert "attach to XDP of device lo: underlying driver does not support XDP in native mode" in str(
        caught.value
    )
    assert caught.value.hint == "attach it in generic mode, which every device has: xdpgeneric on lo"


def test_offloading_to_a_veth_is_refused_with_a_reason(pair: VethPair, xdp: int) -> None:
    """The kernel says EINVAL and no word."""
    assert complaint(lambda: KERNEL.xdp_attach(pair.a_index, xdp, XDP_FLAGS_HW_MODE))[1] == (
        "offloading takes a driver that can, and a program that was loaded for this device"
    )


def test_a_device_that_is_not_there_is_told_with_those_that_are(pair: VethPair, xdp: int) -> None:
    """By number and name."""
    here = ", ".join(f"{each.ifindex} {each.name}" for each in KERNEL.net_devices())
    assert complaint(lambda: KERNEL.xdp_attach(999, xdp, DRIVER)) == (
        "attach to XDP of device 999: there is no device of that number (ENODEV)",
        f"devices here: {here}",
    )


def test_xdp_by_a_link_goes_with_it(pair: VethPair, xdp: int) -> None:
    """It can take another program, be detached, and tells its device."""
    other = load(KERNEL, ProgType.XDP, PASS, "ebee_other")
    link = KERNEL.link_create(LinkCreate(xdp, pair.a_index, AttachType.XDP, GENERIC))
    info = KERNEL.link_info(link)
    assert (info.type, info.details) == (LinkType.XDP, {"ifindex": pair.a_index})
    assert device("veth0").xdp == (("generic", KERNEL.program_info(xdp).id),)
    KERNEL.link_update(link, other)
    assert device("veth0").xdp == (("generic", KERNEL.program_info(other).id),)
    KERNEL.link_detach(link)
    assert device("veth0").xdp == ()
    KERNEL.close(link)
    KERNEL.close(other)


def test_a_link_keeps_others_away(pair: VethPair, xdp: int) -> None:
    """Another link, and netlink too."""
    link = KERNEL.link_create(LinkCreate(xdp, pair.a_index, AttachType.XDP, DRIVER))
    message, hint = complaint(
        lambda: KERNEL.link_create(LinkCreate(xdp, pair.a_index, AttachType.XDP, DRIVER))
    )
    assert message == "attach to XDP of device veth0: another program is attached there already (EBUSY)"
    assert hint is not None
    assert f"program {KERNEL.program_info(xdp).id} in driver mode" in hint
    with pytest.raises(AttachError) as caught:
        KERNEL.xdp_attach(pair.a_index, -1, DRIVER)
    assert "can't replace active BPF XDP link" in str(caught.value)
    KERNEL.close(link)
    assert device("veth0").xdp == ()


# -- traffic control -------------------------------------------------------------------------------
def test_filters_are_those_that_bpftool_and_tc_know(pair: VethPair, tmp_path: Path) -> None:
    """Below clsact, both ways, and below a qdisc with a handle."""
    fd = load(KERNEL, ProgType.SCHED_CLS)
    with private_bpffs(tmp_path) as folder:
        path = str(folder / "cls")
        KERNEL.pin(fd, path)
        output("tc", "qdisc", "add", "dev", "veth0", "clsact")
        output("tc", "filter", "add", "dev", "veth0", "ingress", "bpf", "da", "pinned", path)
        output(*f"tc filter add dev veth0 egress prio 7 protocol ip bpf da pinned {path}".split())
        output("tc", "qdisc", "add", "dev", "veth1", "root", "handle", "1:", "htb")
        output(*f"tc filter add dev veth1 parent 1: bpf pinned {path}".split())
        found = [*KERNEL.tc_filters(pair.a_index), *KERNEL.tc_filters(pair.b_index)]
        program_id = KERNEL.program_info(fd).id
        assert [(each.kind, each.priority, each.protocol, each.program_id) for each in found] == [
            ("clsact/ingress", 49152, 3, program_id),
            ("clsact/egress", 7, 0x0800, program_id),
            ("htb", 49152, 3, program_id),
        ]
        told = json.loads(output("bpftool", "-j", "net", "show"))[0]["tc"]
        assert sorted((each["ifindex"], each["kind"], each["name"], each["id"]) for each in told) == sorted(
            (each.ifindex, each.kind, each.name, each.program_id) for each in found
        )
    KERNEL.close(fd)


def test_an_interface_without_queueing_has_no_filters(pair: VethPair) -> None:
    """An empty list."""
    assert KERNEL.tc_filters(pair.a_index) == []


def test_tcx_programs_are_found_by_a_query(pair: VethPair) -> None:
    """With the link that holds them; kernels before 6.6 have no tcx."""
    fd = load(KERNEL, ProgType.SCHED_CLS)
    try:
        link = KERNEL.link_create(LinkCreate(fd, pair.a_index, AttachType.TCX_INGRESS))
    except NotSupportedError:
        KERNEL.close(fd)
        pytest.skip("this kernel has no tcx")
    info = KERNEL.link_info(link)
    rows = KERNEL.program_query(pair.a_index, AttachType.TCX_INGRESS)
    assert [(row.program_id, row.link_id) for row in rows] == [(KERNEL.program_info(fd).id, info.id)]
    assert info.details == {"ifindex": pair.a_index, "attach_type": AttachType.TCX_INGRESS}
    KERNEL.close(link)
    assert KERNEL.program_query(pair.a_index, AttachType.TCX_INGRESS) == []
    KERNEL.close(fd)
