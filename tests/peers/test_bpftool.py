"""On the same loaded programs ebee says what bpftool says, key by key; see differences.txt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ebee.clang.toolchain import OWN_INCLUDE
from tests.support.sandbox import Ran, Sandbox, unusable

HERE = Path(__file__).parent
SOURCE = HERE / "programs.bpf.c"
PINS = "/sys/fs/bpf/programs"
MAP_PINS = "/sys/fs/bpf/maps"
PROGRAMS = (
    "hello",
    "with_functions",
    "on_exec",
    "on_exec_raw",
    "on_exec_typed",
    "keep_long_packets_only",
    "on_ingress",
)

_reason = unusable() or (None if shutil.which("bpftool") else "needs bpftool to compare with")
pytestmark = pytest.mark.skipif(_reason is not None, reason=str(_reason))


def _differences() -> dict[tuple[str, str], str]:
    """Return who has each key that only one of them prints, by command and key."""
    lines = [line for line in (HERE / "differences.txt").read_text().splitlines() if not line.startswith("#")]
    parts = [[part.strip() for part in line.split("|")] for line in lines]
    return {(command, key): owner for command, key, owner, _ in parts}


DIFFERENCES = _differences()


def without_extras(command: str, data: Any) -> Any:
    """Return ebee's data without the keys that differences.txt lists for a command."""
    if isinstance(data, list):
        return [without_extras(command, item) for item in data]
    if isinstance(data, dict):
        return {
            key: without_extras(command, item)
            for key, item in data.items()
            if DIFFERENCES.get((command, key)) != "ebee"
        }
    return data


def in_order(data: Any) -> Any:
    """Return data in a form whose comparison minds the order of keys too."""
    if isinstance(data, dict):
        return [(key, in_order(item)) for key, item in data.items()]
    return [in_order(item) for item in data] if isinstance(data, list) else data


def assert_same(command: str, ours: Ran, theirs: Ran) -> None:
    """Compare what both printed under -j."""
    assert ours.code == theirs.code == 0, (ours, theirs)
    assert in_order(without_extras(command, ours.data)) == in_order(theirs.data)


@pytest.fixture(scope="module")
def object_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of all kinds, compiled by ebee."""
    path = tmp_path_factory.mktemp("peers") / "programs.bpf.o"
    with Sandbox() as sandbox:
        sandbox.ebee("compile", SOURCE, "-o", path, check=True)
    return path


@pytest.fixture(scope="module")
def loaded(object_file: Path) -> Iterator[Sandbox]:
    """The programs, loaded and pinned by ebee."""
    with Sandbox() as sandbox:
        sandbox.ebee("prog", "loadall", object_file, PINS, "pinmaps", MAP_PINS, check=True)
        yield sandbox


def both(sandbox: Sandbox, *words: str) -> tuple[Ran, Ran]:
    return sandbox.ebee(*words), sandbox.bpftool(*words)


@pytest.mark.parametrize("program", PROGRAMS)
def test_prog_show_has_the_same_facts(loaded: Sandbox, program: str) -> None:
    assert_same("prog show", *both(loaded, "-j", "prog", "show", "pinned", f"{PINS}/{program}"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_prog_show_has_the_same_text(loaded: Sandbox, program: str) -> None:
    ours, theirs = both(loaded, "prog", "show", "pinned", f"{PINS}/{program}")
    assert ours.out == theirs.out


def test_prog_list_has_the_same_programs_in_the_same_order(loaded: Sandbox) -> None:
    mine = {loaded.ebee("-j", "prog", "show", "pinned", f"{PINS}/{name}").data["id"] for name in PROGRAMS}
    ours, theirs = both(loaded, "-j", "prog", "list")
    # Others on this machine may load and unload meanwhile.
    ours_here = [item for item in ours.data if item["id"] in mine]
    theirs_here = [item for item in theirs.data if item["id"] in mine]
    assert len(ours_here) == len(PROGRAMS)
    assert in_order(without_extras("prog show", ours_here)) == in_order(theirs_here)


def test_indented_json_holds_the_same(loaded: Sandbox) -> None:
    """Layout is nobody's business; keys and values are."""
    ours, theirs = both(loaded, "--pretty", "prog", "show", "pinned", f"{PINS}/with_functions")
    kept = {key: value for key, value in ours.data.items() if key != "orphaned"}
    assert kept == theirs.data


def test_names_that_the_kernel_cut_are_whole(loaded: Sandbox) -> None:
    ours, theirs = both(loaded, "-j", "prog", "show", "name", "keep_long_packets_only")
    assert ours.data["name"] == theirs.data["name"] == "keep_long_packets_only"


@pytest.mark.parametrize("wish", [(), ("linum",), ("opcodes",)])
@pytest.mark.parametrize("program", PROGRAMS)
def test_prog_dump_xlated_has_the_same_json(loaded: Sandbox, program: str, wish: tuple[str, ...]) -> None:
    ours, theirs = both(loaded, "-j", "prog", "dump", "xlated", "pinned", f"{PINS}/{program}", *wish)
    assert ours.out == theirs.out


@pytest.mark.parametrize("wish", [(), ("linum",), ("opcodes",)])
@pytest.mark.parametrize("program", PROGRAMS)
def test_prog_dump_xlated_has_the_same_text(loaded: Sandbox, program: str, wish: tuple[str, ...]) -> None:
    ours, theirs = both(loaded, "prog", "dump", "xlated", "pinned", f"{PINS}/{program}", *wish)
    assert ours.out == theirs.out


def test_prog_dump_xlated_writes_the_same_file(loaded: Sandbox, tmp_path: Path) -> None:
    words = ("prog", "dump", "xlated", "pinned", f"{PINS}/with_functions", "file")
    loaded.ebee(*words, tmp_path / "ours", check=True)
    loaded.bpftool(*words, tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes() != b""


@pytest.mark.parametrize("name", ["seen_by_device", "totals", "jumps", "programs_bss", "programs_rodata"])
def test_map_show_has_the_same_facts(loaded: Sandbox, name: str) -> None:
    assert_same("map show", *both(loaded, "-j", "map", "show", "pinned", f"{MAP_PINS}/{name}"))
    ours, theirs = both(loaded, "map", "show", "pinned", f"{MAP_PINS}/{name}")
    assert ours.out == theirs.out


def test_where_programs_are_pinned_is_shown_with_bpffs(loaded: Sandbox) -> None:
    ours, theirs = both(loaded, "-j", "-f", "prog", "show", "pinned", f"{PINS}/hello")
    # A bpffs mounted over another one is walked through twice by bpftool.
    assert ours.data["pinned"] == sorted(set(theirs.data["pinned"])) == [f"{PINS}/hello"]


def test_net_list_shows_xdp_and_traffic_control(loaded: Sandbox) -> None:
    loaded.veth("left", "right")
    loaded.ebee("net", "attach", "xdp", "pinned", f"{PINS}/hello", "dev", "left", check=True)
    loaded.ebee("net", "attach", "xdpgeneric", "pinned", f"{PINS}/with_functions", "dev", "right", check=True)
    loaded.run("tc", "qdisc", "add", "dev", "left", "clsact", check=True)
    for place in ("ingress", "egress"):
        words = ("tc", "filter", "add", "dev", "left", place, "bpf", "da", "pinned", f"{PINS}/on_ingress")
        loaded.run(*words, check=True)
    try:
        assert_same("net show", *both(loaded, "-j", "net", "list"))
        assert_same("net show", *both(loaded, "-j", "net", "list", "dev", "left"))
        ours, theirs = both(loaded, "net", "list")
        assert ours.out == f"{theirs.out}netfilter:\n\n"
        assert [item["mode"] for item in ours_xdp(loaded)] == ["generic", "driver"]
        assert len(loaded.ebee("-j", "net", "list").data[0]["tc"]) == 2
    finally:
        loaded.run("ip", "link", "delete", "left")


def ours_xdp(sandbox: Sandbox) -> list[dict[str, Any]]:
    found = sandbox.ebee("-j", "net", "list").data[0]["xdp"]
    return sorted(found, key=lambda item: str(item["mode"]), reverse=True)


def test_link_show_has_the_same_facts(loaded: Sandbox, object_file: Path) -> None:
    loaded.ebee("prog", "loadall", object_file, "/sys/fs/bpf/attached", "autoattach", check=True)
    try:
        for name in ("on_exec", "on_exec_raw", "on_exec_typed"):
            words = ("-j", "link", "show", "pinned", f"/sys/fs/bpf/attached/{name}")
            ours, theirs = both(loaded, *words)
            # bpftool 7.1 ends with 255 though it succeeded.
            assert ours.code == 0
            assert in_order(without_extras("link show", ours.data)) == in_order(theirs.data)
    finally:
        loaded.run("rm", "-r", "/sys/fs/bpf/attached")


def test_prog_run_gives_the_same_packet_and_return_value(loaded: Sandbox, tmp_path: Path) -> None:
    packet = tmp_path / "packet"
    packet.write_bytes(bytes(range(64)))
    words = ("prog", "run", "pinned", f"{PINS}/hello", "data_in", str(packet), "data_out", "-")
    ours, theirs = both(loaded, "-j", *words)
    assert list(ours.data) == list(theirs.data)
    assert ours.data | {"duration": 0} == theirs.data | {"duration": 0}
    ours, theirs = both(loaded, *words)
    assert ours.out.splitlines()[:-1] == theirs.out.splitlines()[:-1]


def test_an_object_of_ebee_loads_under_bpftool(object_file: Path) -> None:
    with Sandbox() as sandbox:
        ran = sandbox.bpftool("prog", "loadall", object_file, PINS)
        assert ran.code == 0, ran
        for program in PROGRAMS:
            words = ("prog", "dump", "xlated", "pinned", f"{PINS}/{program}", "linum")
            ours, theirs = both(sandbox, *words)
            assert ours.out == theirs.out


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs a clang of the distribution's")
def test_an_object_of_another_clang_loads_under_ebee_and_shows_the_same(tmp_path: Path) -> None:
    path = tmp_path / "programs.bpf.o"
    headers = f"-I/usr/include/{os.uname().machine}-linux-gnu"
    command = ["clang", "-target", "bpf", "-g", "-O2", headers, f"-I{OWN_INCLUDE}", "-c", str(SOURCE)]
    subprocess.run([*command, "-o", str(path)], check=True, timeout=60)
    with Sandbox() as sandbox:
        sandbox.ebee("prog", "loadall", path, PINS, check=True)
        for program in PROGRAMS:
            assert_same("prog show", *both(sandbox, "-j", "prog", "show", "pinned", f"{PINS}/{program}"))
            ours, theirs = both(
                sandbox, "-j", "prog", "dump", "xlated", "pinned", f"{PINS}/{program}", "linum"
            )
            assert ours.out == theirs.out


def test_both_loaders_give_the_same_program(object_file: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.ebee("prog", "loadall", object_file, f"{PINS}1", check=True)
        sandbox.bpftool("prog", "loadall", object_file, f"{PINS}2")
        for program in PROGRAMS:
            one = sandbox.ebee("-j", "prog", "show", "pinned", f"{PINS}1/{program}").data
            other = sandbox.ebee("-j", "prog", "show", "pinned", f"{PINS}2/{program}").data
            # libbpf ties .rodata to every program of an object, also to those that do not use it.
            assert [key for key in one if key != "map_ids"] == [key for key in other if key != "map_ids"]
            for key in ("type", "name", "gpl_compatible", "bytes_xlated", "jited"):
                assert one[key] == other[key], (program, key)
