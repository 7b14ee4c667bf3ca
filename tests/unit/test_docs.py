"""The documentation: links lead somewhere, and what it shows can be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ebee.cli.table import COMMANDS, Group
from tests.support.objects import compiled

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_to_a_file(page: Path) -> None:
    """A page that was renamed takes its links along."""
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_c_that_is_shown_compiles(page: Path) -> None:
    """A learner copies it as it stands."""
    for text in blocks(page, "c"):
        assert compiled(text, "shown.bpf.c").startswith(b"\x7fELF")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_that_is_shown_is_python(page: Path) -> None:
    """Every block stands by itself."""
    for text in blocks(page, "python"):
        compile(text, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_shown_exist(page: Path) -> None:
    """`$ ebee prog list` is a command of the table."""
    shown = re.findall(r"^\$ (?:sudo )?ebee (?:-\w+ )*(\w+)(?: (\w+))?", page.read_text(), re.MULTILINE)
    for word, following in shown:
        entry = COMMANDS[word]
        if isinstance(entry, Group):
            assert following in entry.commands, f"ebee {word} {following}"
