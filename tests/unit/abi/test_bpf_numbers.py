"""Generated numbers, held against the header's text by reading it another way."""

from __future__ import annotations

import re
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path

import pytest

from ebee.abi import bpf, netlink
from ebee.abi.helpers import HELPERS, name_of, number_of, prototype_of

ZIGLANG = find_spec("ziglang")
assert ZIGLANG is not None
assert ZIGLANG.origin is not None
HEADERS = Path(ZIGLANG.origin).parent / "lib/libc/include/any-linux-any/linux"
BPF_H = re.sub(r"/\*.*?\*/", "", (HEADERS / "bpf.h").read_text(), flags=re.DOTALL)


def counted(tag: str) -> dict[str, int]:
    """Return an enum's members by counting lines, as a C compiler does."""
    block = re.search(rf"^enum {tag} \{{(.*?)^\}}", BPF_H, re.DOTALL | re.MULTILINE)
    assert block is not None
    found: dict[str, int] = {}
    following = 0
    for name, value in re.findall(r"(\w+)(?:\s*=\s*([^,\n]+))?,", block[1]):
        if value:
            shift = re.fullmatch(r"1 << (\d+)", value)
            following = 1 << int(shift[1]) if shift else found.get(value, -1)
            following = int(value, 0) if following == -1 else following
        found[name] = following
        following += 1
    return found


@pytest.mark.parametrize(
    ("enum", "tag", "prefix"),
    [
        (bpf.Command, "bpf_cmd", "BPF_"),
        (bpf.MapType, "bpf_map_type", "BPF_MAP_TYPE_"),
        (bpf.ProgType, "bpf_prog_type", "BPF_PROG_TYPE_"),
        (bpf.AttachType, "bpf_attach_type", "BPF_"),
        (bpf.XdpAction, "xdp_action", "XDP_"),
    ],
)
def test_every_member_has_the_number_that_counting_the_header_gives(
    enum: type[IntEnum], tag: str, prefix: str
) -> None:
    """No member is left out, none is made up, all have the header's numbers."""
    header = {name.removeprefix(prefix): number for name, number in counted(tag).items()}
    header = {name: number for name, number in header.items() if not name.startswith("__MAX")}
    assert {name: int(member) for name, member in enum.__members__.items()} == header
    assert prefix + "*" in (enum.__doc__ or "")


def test_link_types_are_those_of_the_header() -> None:
    """Members with their own number, as enum bpf_link_type writes them."""
    header = dict(re.findall(r"\bBPF_LINK_TYPE_(\w+) = (\d+),", BPF_H))
    assert {name: str(int(member)) for name, member in bpf.LinkType.__members__.items()} == header


def test_a_deprecated_name_is_only_an_alias() -> None:
    """What a map type is called is its current name."""
    assert bpf.MapType(19).name == "CGROUP_STORAGE"
    assert bpf.MapType["CGROUP_STORAGE_DEPRECATED"] is bpf.MapType.CGROUP_STORAGE
    assert bpf.Command(10).name == "PROG_TEST_RUN"


def test_flags_that_are_written_as_shifts_have_their_bit() -> None:
    """Every `BPF_F_X (1U << N)` and `BPF_F_X = (1U << N)` is there."""
    shifts = re.findall(r"BPF_(F_\w+)\s*=?\s*\(1U(?:LL)? << (\d+)\)", BPF_H)
    assert len(shifts) > 40
    assert {name: getattr(bpf, name) for name, _ in shifts} == {name: 1 << int(bit) for name, bit in shifts}


def test_other_constants_are_spot_checked() -> None:
    """Names drop BPF_ and keep the rest."""
    assert (bpf.PSEUDO_MAP_FD, bpf.PSEUDO_MAP_VALUE, bpf.PSEUDO_CALL, bpf.PSEUDO_FUNC) == (1, 2, 1, 4)
    assert (bpf.OBJ_NAME_LEN, bpf.TAG_SIZE) == (16, 8)
    assert (bpf.XDP_FLAGS_SKB_MODE, bpf.XDP_FLAGS_DRV_MODE, bpf.XDP_FLAGS_REPLACE) == (2, 4, 16)
    assert (bpf.ANY, bpf.NOEXIST, bpf.EXIST, bpf.F_LOCK) == (0, 1, 2, 4)
    assert (bpf.RINGBUF_BUSY_BIT, bpf.F_CURRENT_CPU) == (1 << 31, 0xFFFFFFFF)


def test_netlink_numbers_are_spot_checked() -> None:
    """Names keep the kernel's prefixes, since they come from many families."""
    assert (netlink.RTM_GETLINK, netlink.RTM_SETLINK, netlink.RTM_GETTFILTER) == (18, 19, 46)
    assert (netlink.IFLA_XDP, netlink.IFLA_XDP_FD, netlink.IFLA_XDP_FLAGS) == (43, 1, 3)
    assert (netlink.TCA_BPF_ID, netlink.TCA_BPF_NAME, netlink.VETH_INFO_PEER) == (11, 7, 1)
    assert (netlink.TC_H_CLSACT, netlink.TC_H_MIN_INGRESS) == (0xFFFFFFF1, 0xFFF2)
    assert (netlink.NLM_F_DUMP, netlink.NLM_F_REQUEST, netlink.ETH_P_ALL) == (0x300, 1, 3)


def test_helpers_are_numbered_as_the_header_maps_them() -> None:
    """Each FN(name, number) of the header has a row, and no other."""
    mapped = {int(number): name for name, number in re.findall(r"\bFN\((\w+), (\d+), ##ctx\)", BPF_H)}
    del mapped[0]
    assert {number: name for number, (name, _) in HELPERS.items()} == mapped


def test_helpers_are_found_by_number_and_by_name() -> None:
    """Unknown ones give None."""
    assert (name_of(1), name_of(0), name_of(9999)) == ("bpf_map_lookup_elem", None, None)
    assert (number_of("bpf_ringbuf_reserve"), number_of("ringbuf_reserve"), number_of("no")) == (
        131,
        131,
        None,
    )
    assert prototype_of(1) == "void *bpf_map_lookup_elem(struct bpf_map *map, const void *key)"
    assert prototype_of(6) == "long bpf_trace_printk(const char *fmt, u32 fmt_size, ...)"
    assert prototype_of(9999) is None


def test_every_prototype_names_its_helper() -> None:
    """A prototype is one line of C that ends with its parameters."""
    for name, prototype in HELPERS.values():
        assert re.fullmatch(rf"[a-z][\w ]*?\W\**bpf_{name}\([^()\n]+\)", prototype), prototype
