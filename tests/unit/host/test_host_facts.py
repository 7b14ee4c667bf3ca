"""Facts that are read from files: mounts, rights, CPUs, symbols, tracepoints, configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ebee.errors import FormatError
from ebee.host import interfaces as host_interfaces
from ebee.host.cpus import parse_ranges, possible_cpu_count
from ebee.host.interfaces import interfaces, near_interface
from ebee.host.kallsyms import Symbol, Symbols
from ebee.host.kernel_facts import parse_config
from ebee.host.mounts import bpffs_holding, file_system_of, mount_holding, parse_mountinfo
from ebee.host.rights import parse_capabilities, parse_lockdown, read_rights
from ebee.host.tracefs import categories, events, parse_format

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
25 22 0:22 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
30 25 0:27 / /sys/fs/bpf rw,nosuid,nodev,noexec,relatime shared:9 - bpf bpf rw,mode=700
31 22 0:28 / /mnt/with\040space ro,relatime - bpf bpf rw
32 22 0:29 / /mnt/covered rw - bpf bpf rw
33 22 0:30 / /mnt/covered rw - tmpfs none rw
34 25 0:31 / /sys/kernel/tracing rw - tracefs tracefs ro
half a line
"""

FORMAT = """name: sched_process_exec
ID: 311
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:0;
\tfield:unsigned long args[6];\toffset:32;\tsize:48;\tsigned:0;

print fmt: "filename=%s pid=%d", __get_str(filename), REC->pid
"""


# -- mounts ----------------------------------------------------------------------------------------
def test_mounts_are_read_with_their_spaces_and_options() -> None:
    """Octal escapes; read-only by the mount's or the file system's options; half lines left out."""
    found = {mount.path: mount for mount in parse_mountinfo(MOUNTINFO.splitlines())}
    assert found["/mnt/with space"].read_only
    assert found["/sys/kernel/tracing"].read_only
    assert not found["/sys/fs/bpf"].read_only
    assert found["/sys/fs/bpf"].type == "bpf"
    assert len(found) == 6


def test_the_mount_that_holds_a_path_is_the_longest_and_of_equals_the_latest() -> None:
    """What is mounted over another hides it."""
    known = parse_mountinfo(MOUNTINFO.splitlines())
    held = {
        path: mount_holding(path, known) for path in ("/sys/fs/bpf/a/b", "/sys/fs/bpfother", "/mnt/covered/x")
    }
    assert {path: mount and mount.type for path, mount in held.items()} == {
        "/sys/fs/bpf/a/b": "bpf",
        "/sys/fs/bpfother": "sysfs",
        "/mnt/covered/x": "tmpfs",
    }


def test_a_plain_folder_is_on_no_bpffs(tmp_path: Path) -> None:
    """And the file system it is on has a name."""
    assert bpffs_holding(str(tmp_path)) is None
    assert file_system_of(str(tmp_path)) not in ("", "bpf", "unknown")


# -- rights ----------------------------------------------------------------------------------------
def test_capabilities_are_named_by_their_bits() -> None:
    """Bits that have no name yet are passed over."""
    assert parse_capabilities("0") == frozenset()
    assert parse_capabilities(f"{1 << 39 | 1 << 21 | 1 << 12:x}") == {
        "CAP_BPF",
        "CAP_SYS_ADMIN",
        "CAP_NET_ADMIN",
    }
    assert parse_capabilities(f"{1 << 63:x}") == frozenset()


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("none [integrity] confidentiality\n", "integrity"),
        ("[none] integrity confidentiality\n", "none"),
        ("", None),
        (None, None),
    ],
)
def test_the_lockdown_mode_is_the_one_in_brackets(text: str | None, mode: str | None) -> None:
    """None where it cannot be told."""
    assert parse_lockdown(text) == mode


def test_rights_are_read_for_this_process() -> None:
    """Whoever runs the tests."""
    rights = read_rights()
    assert rights.user_id == os.geteuid()
    assert rights.effective is not None
    assert rights.bounding is not None


def test_without_proc_nothing_is_known_and_nothing_is_blamed(tmp_path: Path) -> None:
    """Facts that cannot be read are None, and no capability counts as missing."""
    rights = read_rights(str(tmp_path))
    assert (rights.effective, rights.bounding) == (None, None)
    assert rights.holds("CAP_BPF")
    assert rights.initial_user_namespace
    assert (rights.unprivileged_bpf_disabled, rights.seccomp, rights.no_new_privileges) == (None, None, None)


# -- CPUs ------------------------------------------------------------------------------------------
def test_lists_of_cpus_are_ranges() -> None:
    """As sysfs writes them."""
    assert parse_ranges("0\n") == [0]
    assert parse_ranges("0-3,8,10-11") == [0, 1, 2, 3, 8, 10, 11]


def test_a_list_of_cpus_that_is_none_is_an_error() -> None:
    """It names what it found."""
    with pytest.raises(FormatError) as caught:
        parse_ranges("0-x")
    assert str(caught.value) == "list of CPUs: '0-x', expected ranges such as 0-3,8"


def test_there_are_at_least_as_many_possible_cpus_as_there_are() -> None:
    """Per-CPU maps have a value for each."""
    assert possible_cpu_count() >= (os.cpu_count() or 1)


# -- symbols ---------------------------------------------------------------------------------------
def test_symbols_are_found_by_name_and_by_address() -> None:
    """An address within a function belongs to it; below the first to nobody."""
    text = "ffffffff81000000 T first\nffffffff81000100 t second\nffffffffc0000000 t third\t[module]\n"
    symbols = Symbols(text)
    assert symbols.find("third") == Symbol(0xFFFFFFFFC0000000, "t", "third", "module")
    assert symbols.at(0xFFFFFFFF81000110) == (symbols.find("second"), 0x10)
    assert symbols.at(0x1000) is None
    assert symbols.find("fourth") is None
    assert not symbols.addresses_hidden


def test_hidden_addresses_are_noticed() -> None:
    """kernel.kptr_restrict shows zeros."""
    symbols = Symbols("0000000000000000 T first\n0000000000000000 T second\n")
    assert symbols.addresses_hidden
    assert symbols.at(0x1000) is None
    assert symbols.names() == ["first", "second"]


# -- tracepoints -----------------------------------------------------------------------------------
def test_a_tracepoints_format_tells_its_fields() -> None:
    """Arrays have a length; a string of its own place keeps its type."""
    found = parse_format(FORMAT)
    assert (found.id, found.name) == (311, "sched_process_exec")
    assert [field.name for field in found.fields] == ["common_type", "common_pid", "filename", "comm", "args"]
    comm, filename = found.fields[3], found.fields[2]
    assert (comm.type, comm.length, comm.offset_bytes, comm.size_bytes) == ("char", 16, 12, 16)
    assert (filename.type, filename.length) == ("__data_loc char[]", 0)
    assert [field.common for field in found.fields] == [True, True, False, False, False]
    assert found.print_format.startswith('"filename=%s pid=%d"')


def test_categories_and_events_are_folders_with_a_format(tmp_path: Path) -> None:
    """Files between them, such as `enable`, are none."""
    for event in ("sched/sched_switch", "sched/sched_exit", "net/netif_rx"):
        (tmp_path / "events" / event).mkdir(parents=True)
        (tmp_path / "events" / event / "format").touch()
    (tmp_path / "events" / "enable").touch()
    (tmp_path / "events" / "sched" / "filter").touch()
    assert categories(str(tmp_path)) == ["net", "sched"]
    assert events(str(tmp_path), "sched") == ["sched_exit", "sched_switch"]


# -- the rest --------------------------------------------------------------------------------------
def test_a_kernels_configuration_is_what_is_on() -> None:
    """Options that are off stand there as comments."""
    lines = ["# CONFIG_KPROBES is not set", "CONFIG_BPF=y", 'CONFIG_LSM="lockdown,bpf"', "CONFIG_HZ=250", ""]
    assert parse_config(lines) == {"CONFIG_BPF": "y", "CONFIG_LSM": "lockdown,bpf", "CONFIG_HZ": "250"}


def test_interfaces_have_names_and_a_near_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network namespace has a loopback."""
    assert "lo" in interfaces()
    monkeypatch.setattr(host_interfaces, "interfaces", lambda: {"lo": 1, "eth0": 2})
    assert near_interface("eth1") == "did you mean 'eth0'?"
    assert near_interface("wlan0") == "devices here: lo, eth0"
