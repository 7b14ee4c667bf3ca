"""What the documentation shows in Python runs on the running kernel as it stands."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee import load
from ebee.errors import VerifierError
from ebee.testing import VethPair, private_network
from tests.kernel.door import needs_root
from tests.support.objects import HELLO
from tests.unit.test_docs import ROOT, blocks

pytestmark = [needs_root, pytest.mark.starts_processes]

COUNT = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
    __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, int); __type(value, long);
} counts SEC(".maps");
SEC("xdp") int count(struct xdp_md *ctx)
{
    return bpf_map_lookup_elem(&counts, &(int){0}) ? XDP_DROP : XDP_PASS;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the files that the pages name."""
    (tmp_path / "hello.bpf.c").write_text(HELLO)
    (tmp_path / "count.bpf.c").write_text(COUNT)
    before = os.getcwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.fixture
def network() -> Iterator[VethPair]:
    """An interface called eth0, as the pages have it."""
    with private_network("eth0", "peer0") as pair:
        yield pair


def test_the_page_on_loading_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block of docs/load.md, one after the other."""
    for text in blocks(ROOT / "docs" / "load.md", "python"):
        exec(compile(text, "load.md", "exec"), {})
    *lines, heard = capsys.readouterr().out.splitlines()
    assert lines == [
        "2",
        "1",
        "['hello'] xdp Dual BSD/GPL",
        "2 {7: 2}",
    ]
    # Interfaces greet each other unasked, so the packet that was heard may not be the first.
    assert re.fullmatch(r"Hello World \d+", heard)


def test_the_readme_runs(folder: Path, network: VethPair, capsys: pytest.CaptureFixture[str]) -> None:
    """Its Python prints a line for each packet; here it stops after the third."""
    (text,) = blocks(ROOT / "README.md", "python")
    stop = "                if obj.variables['counter'].value >= 4:\n                    break\n"
    sent = text.replace("        for line in", "        send()\n        for line in") + stop.replace(
        " " * 16, " " * 12, 1
    )
    frame = bytes(12) + b"\x88\xb5" + bytes(46)
    exec(compile(sent, "README.md", "exec"), {"send": lambda: network.send(frame, count=3)})
    assert any(line.startswith("Hello World") for line in capsys.readouterr().out.splitlines())


def _refusals() -> list[tuple[str, str, str]]:
    """Return the refused programs of docs/errors.md: the file's name, its text, what ebee says."""
    shown = r"^```c\n(.*?)^```\n\n```console\n\$ ebee run (\S+) .*?\n(.*?)^note: the verifier's whole log"
    text = (ROOT / "docs" / "errors.md").read_text()
    found = re.findall(shown, text, re.MULTILINE | re.DOTALL)
    return [(name, source, said) for source, name, said in found]


@pytest.mark.parametrize(("name", "source", "said"), _refusals(), ids=[name for name, _, _ in _refusals()])
def test_the_refusals_that_are_shown_are_what_is_said(
    folder: Path, name: str, source: str, said: str
) -> None:
    """All but the verifier's own words, which differ between kernels."""
    (folder / name).write_text(source)
    with pytest.raises(VerifierError) as refused:
        load(name)
    assert refused.value.diagnostic is not None
    assert _without_quotes(refused.value.diagnostic.render()) == _without_quotes(said)


def _without_quotes(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("note: the verifier says: ")]


def test_three_refusals_are_shown() -> None:
    """The page is read by the pattern that it is written for."""
    assert len(_refusals()) == 3
