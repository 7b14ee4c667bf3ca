"""docs/testing.md: what it shows runs, and gives what it shows."""

from __future__ import annotations

import re
import shutil

import pytest

# What the tests inside import is imported here, once: pytester forgets what they imported themselves.
import ebee.kernel.simulated
import ebee.languages.c
import ebee.testing.coverage
import ebee.testing.objects  # noqa: F401
from ebee.cli import run
from tests.unit.test_docs import ROOT, blocks

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.starts_processes
PAGE = ROOT / "docs" / "testing.md"


@pytest.fixture
def beside(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the program that the page shows."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (text,) = blocks(PAGE, "c")
    (pytester.path / "firewall.bpf.c").write_text(text)
    return pytester


def shown(begin: str) -> list[str]:
    """Return the lines that the page shows under a command line."""
    (text,) = [text for text in blocks(PAGE, "console") if text.startswith(f"$ {begin}")]
    return text.splitlines()[1:]


def pytest_says(pytester: pytest.Pytester, *words: str) -> list[str]:
    """Return what pytest prints; times of day, and how long it took, left out."""
    result = pytester.runpytest_inprocess("-p", "ebee.testing.plugin", "-p", "no:cacheprovider", "-q", *words)
    return [without_time(line) for line in result.outlines if line]


def without_time(line: str) -> str:
    """Return a line without the time that a test run took."""
    return re.sub(r"in [\d.]+s", "in 0.00s", line)


def test_its_tests_pass_and_are_covered(beside: pytest.Pytester) -> None:
    """The first block of Python, with the table below it."""
    beside.makepyfile(test_firewall=blocks(PAGE, "python")[0])
    assert pytest_says(beside, "--ebee-coverage") == [without_time(line) for line in shown("pytest")]


def test_an_object_opens_outside_of_pytest(
    beside: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second one."""
    exec(compile(blocks(PAGE, "python")[1], "testing.md", "exec"), {})
    assert capsys.readouterr().out == "XDP_PASS\n"


def test_a_map_that_differs_is_told(beside: pytest.Pytester) -> None:
    """The third one fails as it says."""
    beside.makepyfile(test_counts=blocks(PAGE, "python")[2])
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = [text for language, text in fenced if not language]
    lines = pytest_says(beside)
    assert [line for line in lines if line.startswith("E ")] == text.splitlines()


def test_a_tracer_runs_over_its_recording(beside: pytest.Pytester) -> None:
    """The fourth one, with what ebee brings along."""
    for name in ("exec.bpf.c", "exec.ebee"):
        shutil.copy(ROOT / "src" / "ebee" / "recording" / "bundled" / name, beside.path)
    beside.makepyfile(test_exec=blocks(PAGE, "python")[3])
    assert pytest_says(beside)[-1] == "1 passed in 0.00s"


def test_the_command_line_says_what_is_shown(
    beside: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """First on standard error where it runs, then packets and sums."""
    first, *rest = shown("ebee run")
    assert run(["run", "firewall.bpf.c", "--vm", "--count", "5"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [first]
    assert captured.out.splitlines() == rest
