"""What people read for a given output of clang's: each folder holds source, output and rendering."""

from __future__ import annotations

from pathlib import Path

import pytest

from ebee.clang.diagnostics import source_error
from ebee.source import SourceText

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/messages.txt"))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_rendering_is_as_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    source = SourceText("source.c", Path("source.c").read_text())
    error = source_error(Path("messages.txt").read_text(), source)
    assert error is not None
    told = f"{type(error).__name__}: {error}\n\n{error.details()}\n"
    assert told == Path("expected.txt").read_text()
