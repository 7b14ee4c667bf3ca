"""A folder to work in, a cache of its own, and files that look as if saved a while ago."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import ebee

HELLO = """\
#include <linux/bpf.h>
#define SEC(name) __attribute__((section(name), used))
int counter = 0;
SEC("xdp") int hello(struct xdp_md *ctx) {
    counter++;
    return XDP_PASS;
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""

# For processes of the tests' own: they find the same ebee, from whatever folder they run in.
PYTHONPATH = str(Path(ebee.__file__).parent.parent)

Write = Callable[[str, str], Path]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty; the cache lies beside it; no variable of the caller's matters."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EBEE_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("EBEE_CACHE", "EBEE_CLANG", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    return folder


@pytest.fixture
def write(workspace: Path) -> Write:
    """Writes a file whose time of change lies in the past, as that of most files does."""

    def write_file(name: str, text: str) -> Path:
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        return path

    return write_file
