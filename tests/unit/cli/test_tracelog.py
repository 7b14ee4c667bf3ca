"""`ebee prog tracelog`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ebee.cli import prog_tracelog, run
from ebee.events import TraceLine
from ebee.events.trace_pipe import parse_line

RAW = "            sshd-812     [001] ..s2.  4711.123456: bpf_trace_printk: Hello World 3"


@contextmanager
def two_lines(_: object) -> Iterator[Iterator[TraceLine]]:
    """A trace pipe with two lines, and then Ctrl-C."""

    def lines() -> Iterator[TraceLine]:
        yield parse_line(RAW)
        yield parse_line("CPU:0 [LOST 12 EVENTS]")
        raise KeyboardInterrupt

    yield lines()


@pytest.fixture(autouse=True)
def _pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prog_tracelog, "open_trace_pipe", two_lines)


def test_lines_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is the ordinary end, as with bpftool."""
    assert run(["prog", "tracelog"]) == 0
    assert capsys.readouterr() == (f"{RAW}\nCPU:0 [LOST 12 EVENTS]\n", "")


def test_each_line_is_an_object_under_j(capsys: pytest.CaptureFixture[str]) -> None:
    """One a line, so that it can be read while it grows."""
    assert run(["-j", "prog", "tracelog"]) == 0
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first == {
        "task": "sshd",
        "pid": 812,
        "cpu": 1,
        "flags": "..s2.",
        "timestamp": 4711.123456,
        "message": "Hello World 3",
    }
    assert second["message"] == "CPU:0 [LOST 12 EVENTS]"
