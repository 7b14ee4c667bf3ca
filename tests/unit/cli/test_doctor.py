"""`ebee doctor`: a report on one screen."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ebee.cli import doctor, run
from ebee.features.doctor import Finding, Health, Report, Section

HOOKS = tuple(Finding(f"hook{number}", Health.OK, "a program was loaded") for number in range(9))
LSM = Finding("lsm", Health.WARN, "policy refuses LSM programs", "use tp_btf")
RIGHTS = Section(
    "rights", (Finding("CAP_BPF", Health.OK, "held"), Finding("seccomp", Health.UNKNOWN, "untold"))
)
REPORT = Report((RIGHTS, Section("hooks", (*HOOKS, LSM))))


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Callable[[Report], None]:
    """Put a report in the place of what this machine gives."""

    def put(report: Report) -> None:
        monkeypatch.setattr(doctor, "examine", lambda _: report)

    return put


def test_what_is_well_shares_lines(
    examined: Callable[[Report], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """In a long section; what is not has a line each, and one that says how to mend it."""
    examined(REPORT)
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out == (
        "rights\n"
        "  ok   CAP_BPF  held\n"
        "  ?    seccomp  untold\n"
        "hooks\n"
        "  ok   hook0, hook1, hook2, hook3, hook4, hook5, hook6, hook7, hook8\n"
        "  warn lsm  policy refuses LSM programs\n"
        "         mend: use tp_btf\n"
        "\n"
        "eBPF works here; what is marked warn does not. `ebee doctor -v` shows each finding.\n"
    )


def test_verbose_shows_each_finding(
    examined: Callable[[Report], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was seen."""
    examined(REPORT)
    assert run(["doctor", "-v"]) == 0
    assert "  ok   hook8  a program was loaded\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("health", "verdict"),
    [
        (
            Health.FAIL,
            "this kernel takes no programs until what is marked FAIL is mended; "
            "the userspace machine runs them meanwhile: ebee run FILE --vm",
        ),
        (Health.OK, "all that was looked at works here. `ebee doctor -v` shows each finding."),
    ],
)
def test_the_last_line_sums_up(
    health: Health, verdict: str, examined: Callable[[Report], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence."""
    examined(Report((Section("rights", (Finding("CAP_BPF", health, "so"),)),)))
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == verdict


def test_json_has_every_finding(
    examined: Callable[[Report], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the worst of all in front."""
    examined(REPORT)
    assert run(["doctor", "-j"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["health"] == "warn"
    assert data["sections"][1]["findings"][-1] == {
        "name": "lsm",
        "health": "warn",
        "found": "policy refuses LSM programs",
        "mend": "use tp_btf",
    }
