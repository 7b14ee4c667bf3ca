"""The documentation: links lead somewhere, and what it shows can be run."""

from __future__ import annotations

import re
import tomllib
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
def test_every_anchor_is_a_heading(page: Path) -> None:
    """A heading that was renamed takes the links to it along."""
    for target, anchor in re.findall(r"\]\(([^):#]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target if target else page).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        known = [re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings]
        assert anchor in known


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


def floors() -> dict[str, int]:
    """Return the packages and modules of ebee by the floor that docs/architecture.md puts them on."""
    rows = re.findall(r"^\| (\d+) \| (`.+?`) \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    return {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}


def test_the_rooms_are_those_that_are_there() -> None:
    """Each package and module of ebee has its row in docs/architecture.md, and no row is left over."""
    found = [path for path in (ROOT / "src/ebee").iterdir() if path.suffix == ".py" or path.is_dir()]
    assert set(floors()) == {path.stem for path in found if not path.stem.startswith("__")}


def test_the_floors_are_those_that_are_checked() -> None:
    """docs/architecture.md and the import contract say the same."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    checked = [set(re.findall(r"\w+", layer)) for layer in reversed(layers)]
    drawn = floors()
    # What nothing stands below shares the ground floor.
    checked[:2] = [checked[0] | checked[1]]
    assert [{name for name in drawn if drawn[name] == floor} for floor in range(len(checked))] == checked


def test_each_command_is_on_a_page() -> None:
    """What nobody can read about is not there."""
    text = " ".join(page.read_text() for page in ROOT.glob("docs/*.md"))
    for word, entry in COMMANDS.items():
        names = [f"{word} {name}" for name in entry.commands] if isinstance(entry, Group) else [word]
        for name in names:
            last = name.split()[-1]
            assert f"ebee {name}" in text or re.search(rf"`(?:{word} )?{last} ", text), name


def test_the_glossary_is_in_order() -> None:
    """A word is found by its first letter, once, and its home is there."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|(.*)\|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = [word.lower() for word, _, _ in rows if word not in ("word", "---")]
    assert words == sorted(set(words))
