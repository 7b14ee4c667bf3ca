"""Finding the compiler."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ebee.clang import Toolchain, find_toolchain
from ebee.errors import ToolError

HINT = "correct EBEE_CLANG, or unset it to use the clang of the ziglang package"


def test_the_wheel_is_found_without_being_imported() -> None:
    toolchain = find_toolchain({})
    assert toolchain.command[0].endswith("/ziglang/zig")
    assert toolchain.command[1:] == ("clang",)
    assert "ziglang" not in sys.modules


def test_our_own_headers_come_before_the_wheels() -> None:
    folders = find_toolchain({}).include_folders(("x86-linux-any", "any-linux-any"))
    tails = [folder.rpartition("/ebee/")[2].rpartition("/ziglang/")[2] for folder in folders]
    assert tails == [
        "clang/include",
        "lib/include",
        "lib/libc/include/x86-linux-any",
        "lib/libc/include/any-linux-any",
    ]


def test_missing_headers_in_the_wheel_are_an_error() -> None:
    toolchain = find_toolchain({})
    with pytest.raises(ToolError) as caught:
        toolchain.include_folders(("vax-linux-any",))
    assert str(caught.value) == (
        f"looking for kernel headers: {toolchain.headers}/vax-linux-any is missing, "
        "expected the ziglang package's"
    )


def test_a_compiler_can_be_named_by_path_or_by_name(tmp_path: Path) -> None:
    clang = tmp_path / "my-clang"
    clang.write_text("#!/bin/sh\n")
    clang.chmod(0o755)
    by_path = find_toolchain({"EBEE_CLANG": str(clang)})
    by_name = find_toolchain({"EBEE_CLANG": "my-clang", "PATH": f"/nowhere:{tmp_path}"})
    assert by_path == by_name
    assert by_path.command == (str(clang),)
    assert "-nostdlibinc" in by_path.flags


def test_another_compiler_at_the_same_path_has_another_identity(tmp_path: Path) -> None:
    clang = tmp_path / "clang"

    def identity(text: str) -> str:
        clang.write_text(text)
        clang.chmod(0o755)
        return find_toolchain({"EBEE_CLANG": str(clang)}).identity

    assert identity("one") != identity("three")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("{0}/none", "'{0}/none' does not exist"),
        ("{0}", "'{0}' is a folder"),
        ("{0}/text", "'{0}/text' is not executable"),
        ("no-such-clang", "no 'no-such-clang' in PATH"),
    ],
)
def test_a_name_that_leads_to_no_compiler_is_an_error(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "text").write_text("")
    with pytest.raises(ToolError) as caught:
        find_toolchain({"EBEE_CLANG": name.format(tmp_path), "PATH": "/nowhere"})
    assert str(caught.value) == (
        f"looking for the compiler that EBEE_CLANG names: {why.format(tmp_path)}, "
        "expected a clang that can be run"
    )
    assert caught.value.hint == HINT


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(ToolError) as caught:
        find_toolchain({})
    assert str(caught.value) == (
        "looking for a compiler: no ziglang package and no EBEE_CLANG, expected one of them"
    )
    assert caught.value.hint == "pip install ziglang, or set EBEE_CLANG to a clang that has the BPF target"


def test_without_the_wheel_a_named_compiler_uses_the_systems_headers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "meta_path", [])
    clang = tmp_path / "clang"
    clang.write_text("")
    clang.chmod(0o755)
    toolchain = find_toolchain({"EBEE_CLANG": str(clang)})
    assert isinstance(toolchain, Toolchain)
    assert toolchain.include_folders(("x86-linux-any",))[0].endswith("/ebee/clang/include")
