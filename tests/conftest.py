"""What holds for all tests: a skip has a reason that is on the list, and the kernel is left as it was."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_SKIPS = Path(__file__).with_name("skips.txt")
_PATIENCE_S = 10.0
"""How long the kernel may take to free what was closed: it waits for readers (RCU), and for timers."""


def _good_reasons() -> list[re.Pattern[str]]:
    lines = (line.partition("#")[0].strip() for line in _SKIPS.read_text().splitlines())
    return [re.compile(line) for line in lines if line]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the skips that are not on the list."""
    for reason in _unlisted(terminalreporter):
        terminalreporter.write_line(
            f"skipped for a reason that tests/skips.txt does not list: {reason}", red=True
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail for a skip that is not on the list, where CI runs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter is not None and _unlisted(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unlisted(reporter: pytest.TerminalReporter) -> list[str]:
    good = _good_reasons()
    reasons = set()
    for report in reporter.stats.get("skipped", ()):
        if isinstance(report.longrepr, tuple):
            reasons.add(report.longrepr[2].removeprefix("Skipped: "))
    return sorted(reason for reason in reasons if not any(p.fullmatch(reason) for p in good))


@pytest.fixture(scope="session", autouse=True)
def nothing_stays_in_the_kernel() -> Iterator[None]:
    """Fail when programs, maps or links that came during the run are there at its end."""
    if os.geteuid() != 0:
        yield
        return
    before = _objects()
    yield
    end_s = time.monotonic() + _PATIENCE_S
    while (left := _objects() - before - _held_by_others()) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert not left, f"left in the kernel: {sorted(left)}"


def _objects() -> set[tuple[str, int]]:
    from ebee.kernel.live import LiveKernel
    from ebee.kernel.protocol import ObjectKind

    kernel, found = LiveKernel(), set()
    for kind in (ObjectKind.PROGRAM, ObjectKind.MAP, ObjectKind.LINK):
        number = kernel.next_id(kind, 0)
        while number is not None:
            found.add((kind.value, number))
            number = kernel.next_id(kind, number)
    return found


def _held_by_others() -> set[tuple[str, int]]:
    """Return what other processes of this machine hold open; it is theirs."""
    from ebee.introspect.holders import holders
    from ebee.kernel.protocol import ObjectKind

    return {
        (kind.value, number)
        for kind in (ObjectKind.PROGRAM, ObjectKind.MAP, ObjectKind.LINK)
        for number, processes in holders(kind).items()
        if any(process.pid != os.getpid() for process in processes)
    }
