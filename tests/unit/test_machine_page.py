"""What README.md and docs/machine.md show of the userspace machine is what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.objects import HELLO
from tests.unit.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "machine.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the files that the pages name."""
    (tmp_path / "hello.bpf.c").write_text(HELLO)
    (tmp_path / "forever.bpf.c").write_text(blocks(PAGE, "c")[0])
    before = os.getcwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def shown(path: Path, command: str) -> list[str]:
    """Return the lines that a page shows below a command."""
    for block in blocks(path, "console"):
        _, found, rest = block.partition(f"$ {command}\n")
        if found:
            return rest.partition("$ ")[0].splitlines()
    raise AssertionError(f"{path.name} shows no {command}")


def said(command: str) -> set[str]:
    """Return the lines that a command prints, to either stream."""
    done = subprocess.run(
        [sys.executable, "-m", "ebee", *command.split()[1:]],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return set((done.stdout + done.stderr).splitlines())


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("README.md", "ebee run hello.bpf.c --vm --count 3"),
        ("README.md", "ebee run example:exec --count 2"),
        ("docs/machine.md", "ebee run forever.bpf.c --vm --count 1"),
    ],
)
def test_what_is_shown_is_printed(page: str, command: str) -> None:
    """Line by line; the two streams may mix otherwise."""
    printed = said(command)
    assert [line for line in shown(ROOT / page, command) if line and line not in printed] == []


def test_the_fallback_prints_what_the_page_shows() -> None:
    """But for the reason, which is of the machine that it was shown on."""
    printed = said("ebee run hello.bpf.c --vm --count 3")
    lines = shown(PAGE, "ebee run hello.bpf.c --count 3")
    assert lines[0].startswith("note: create map hello.bss: this process lacks CAP_BPF")
    assert [line for line in lines[1:] if line and line not in printed] == []


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Each block by itself."""
    for text in blocks(PAGE, "python"):
        exec(compile(text, "machine.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == ["2 1", "pass"]
