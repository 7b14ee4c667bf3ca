"""Programs as bpftool describes them."""

from __future__ import annotations

import struct
import time
from typing import cast

import pytest

from ebee.btf.encode import encode
from ebee.btf.types import Kind, Type
from ebee.introspect.extras import Extras
from ebee.introspect.holders import Holder
from ebee.introspect.programs import describe_program, list_programs, program_lines, type_name
from ebee.kernel.protocol import BtfInfo, Kernel, ObjectKind, ProgramInfo
from tests.unit.introspect.fake_kernel import PROGRAM, FakeKernel


def kernel_with(*programs: ProgramInfo, types: bytes = b"", vanishing: tuple[int, ...] = ()) -> FakeKernel:
    btf = [BtfInfo(9, "", kernel=False, size_bytes=len(types), data=types)]
    return FakeKernel({ObjectKind.PROGRAM: list(programs), ObjectKind.BTF: btf}, vanishing=vanishing)


def listed(kernel: FakeKernel, extras: Extras | None = None) -> list[dict[str, object]]:
    found = list_programs(cast("Kernel", kernel), extras or Extras())
    assert not kernel.open
    return found


def test_a_program_has_bpftools_keys_in_its_order() -> None:
    """Times of the boot clock become seconds since 1970."""
    (facts,) = listed(kernel_with(PROGRAM))
    loaded_at = facts.pop("loaded_at")
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert loaded_at == pytest.approx(booted_at + 5, abs=2)
    assert list(facts.items()) == [
        ("id", 77),
        ("type", "xdp"),
        ("name", "hello"),
        ("tag", "62b717483981f1cf"),
        ("gpl_compatible", True),
        ("uid", 0),
        ("orphaned", False),
        ("bytes_xlated", 96),
        ("jited", True),
        ("bytes_jited", 67),
        ("bytes_memlock", 4096),
        ("map_ids", [1, 2]),
        ("btf_id", 9),
    ]


def test_what_a_program_has_not_is_left_out() -> None:
    """No name, no maps, no types, not compiled, loaded before the kernel told when."""
    bare = PROGRAM._replace(name="", map_ids=(), btf_id=0, jited_bytes=0, load_time_ns=0, memlock_bytes=0)
    (facts,) = listed(kernel_with(bare))
    assert facts == {
        "id": 77,
        "type": "xdp",
        "tag": "62b717483981f1cf",
        "gpl_compatible": True,
        "orphaned": False,
        "bytes_xlated": 96,
        "jited": False,
    }


def test_statistics_are_shown_where_there_are_any() -> None:
    """They are counted only when kernel.bpf_stats_enabled is 1."""
    (facts,) = listed(kernel_with(PROGRAM._replace(run_time_ns=900, run_count=3, recursion_misses=1)))
    assert [key for key in facts if key in ("run_time_ns", "run_cnt", "recursion_misses")] == [
        "run_time_ns",
        "run_cnt",
        "recursion_misses",
    ]
    assert next(program_lines(facts)) == (
        "77: xdp  name hello  tag 62b717483981f1cf  gpl run_time_ns 900 run_cnt 3 recursion_misses 1"
    )


def test_programs_that_vanish_while_they_are_listed_are_left_out() -> None:
    """Between being found and being opened."""
    later = PROGRAM._replace(id=90)
    assert [facts["id"] for facts in listed(kernel_with(PROGRAM, later, vanishing=(5, 80, 95)))] == [77, 90]


def test_a_name_the_kernel_cut_is_read_from_the_types() -> None:
    """The kernel keeps 15 bytes of it."""
    types = encode([Type(Kind.FUNC_PROTO), Type(Kind.FUNC, "keep_long_packets_only", type_id=1)])
    cut = PROGRAM._replace(
        name="keep_long_packe", func_info=struct.pack("=II", 0, 2), func_info_record_bytes=8
    )
    (facts,) = listed(kernel_with(cut, types=types))
    assert facts["name"] == "keep_long_packets_only"


def test_a_name_that_only_looks_cut_stays() -> None:
    """Types of another name are not its own."""
    types = encode([Type(Kind.FUNC_PROTO), Type(Kind.FUNC, "other", type_id=1)])
    fifteen = PROGRAM._replace(
        name="exactly_fifteen", func_info=struct.pack("=II", 0, 2), func_info_record_bytes=8
    )
    (facts,) = listed(kernel_with(fifteen, types=types))
    assert facts["name"] == "exactly_fifteen"


def test_pins_and_processes_are_shown_when_asked_for() -> None:
    """In data and in text."""
    extras = Extras({77: ["/sys/fs/bpf/hello"]}, {77: [Holder(12, "ebee"), Holder(13, "cat")]})
    kernel = kernel_with(PROGRAM)
    (facts,) = listed(kernel, extras)
    assert facts["pinned"] == ["/sys/fs/bpf/hello"]
    assert facts["pids"] == [{"pid": 12, "comm": "ebee"}, {"pid": 13, "comm": "cat"}]
    assert list(program_lines(facts))[-2:] == ["\tpinned /sys/fs/bpf/hello", "\tpids ebee(12), cat(13)"]


def test_a_program_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As bpftool prints it."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    kernel = kernel_with(PROGRAM)
    fd = kernel.open_id(ObjectKind.PROGRAM, 77)
    facts = describe_program(cast("Kernel", kernel), fd, Extras())
    facts["loaded_at"] = 1795582031
    assert list(program_lines(facts)) == [
        "77: xdp  name hello  tag 62b717483981f1cf  gpl",
        "\tloaded_at 2026-11-25T04:47:11+0000  uid 0",
        "\txlated 96B  jited 67B  memlock 4096B  map_ids 1,2",
        "\tbtf_id 9",
    ]


@pytest.mark.parametrize(("number", "name"), [(6, "xdp"), (3, "sched_cls"), (26, "tracing"), (9999, 9999)])
def test_types_are_spelled_as_bpftool_spells_them(number: int, name: str | int) -> None:
    """A type newer than ebee's tables is a number."""
    assert type_name(number) == name
