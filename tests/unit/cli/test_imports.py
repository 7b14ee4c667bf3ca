"""Which modules each command imports: start-up is a feature, and one careless import undoes it."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What no listing needs; the slowest first.
HEAVY = {
    "typing",
    "numpy",
    "rich",
    "click",
    "asyncio",
    "logging",
    "email",
    "http",
    "urllib",
    "subprocess",
    "inspect",
    "dataclasses",
    "tempfile",
    "shutil",
    "socket",
    "difflib",
    "pathlib",
    "datetime",
    "decimal",
    "unittest",
    "ziglang",
}
COMPILER = "ebee.clang"

_CHILD = """
import sys
from ebee.__main__ import main
sys.argv[1:] = {words!r}
try:
    main()
finally:
    sys.stderr.write("\\nMODULES " + " ".join(sys.modules))
"""


def imported(*words: str) -> set[str]:
    """Return the modules that a command line imports, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(words=list(words))], capture_output=True, text=True, timeout=60
    )
    return set(done.stderr.rpartition("\nMODULES ")[2].split())


@pytest.mark.parametrize(
    "line",
    [
        "prog list -j",
        "prog show id 4294967294",
        "map list -j",
        "link list -j",
        "net list -j",
        "prog list -f",
        "version -j",
        "help",
        "prog help",
        "compile -h",
    ],
)
def test_a_listing_imports_nothing_heavy(line: str) -> None:
    """Neither numpy nor what the standard library has of the kind."""
    modules = imported(*line.split())
    assert not HEAVY & modules
    assert COMPILER not in modules


def test_the_version_imports_next_to_nothing() -> None:
    """Not even `typing`, which takes as long as a bare start."""
    modules = imported("--version")
    assert {name for name in modules if name.startswith("ebee")} == {"ebee", "ebee.__main__", "ebee.version"}
    assert not {"typing", "enum", "re", "collections", "ctypes"} & modules


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("prog list -j", {"prog_show", "showing"}),
        ("map list -j", {"map_show", "showing"}),
        ("net list -j", {"net_show"}),
        ("version -j", {"show_version"}),
        ("prog help", {"show_help"}),
    ],
)
def test_only_the_command_that_runs_is_imported(line: str, own: set[str]) -> None:
    """Help of a group imports none of its commands."""
    common = {"main", "call", "words", "table", "output", "failures", "selectors"}
    found = {
        name.removeprefix("ebee.cli.") for name in imported(*line.split()) if name.startswith("ebee.cli.")
    }
    assert found - common == own


def test_a_listing_knows_nothing_of_objects_and_loading() -> None:
    """`prog list -j` needs the kernel's door and how programs are described."""
    rooms = {name.split(".")[1] for name in imported("prog", "list", "-j") if name.startswith("ebee.")}
    assert rooms <= {
        "__main__",
        "abi",
        "cli",
        "errors",
        "host",
        "introspect",
        "kernel",
        "record",
        "text",
        "version",
    }


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("prog load no.o /sys/fs/bpf/x", {"difflib"}),
        ("compile no.c", {"difflib"}),
        ("run no.o", {"difflib"}),
        ("run no.o --vm", {"difflib"}),
    ],
)
def test_loading_and_compiling_import_what_they_need_only(line: str, allowed: set[str]) -> None:
    """No numpy, no network, no terminal tables."""
    assert HEAVY & imported(*line.split()) <= allowed


def test_attaching_knows_nothing_of_packets_and_the_machine() -> None:
    """Whoever has rights does not pay for what runs without them."""
    rooms = {name.split(".")[1] for name in imported("run", "no.o") if name.startswith("ebee.")}
    assert not {"vm", "checker", "packets", "clang", "testing"} & rooms
