"""`ebee run`: what is wrong on its command line is said before anything is compiled or loaded."""

from __future__ import annotations

import pytest

from ebee.cli import run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mode", "turbo"], "error: ebee run: mode 'turbo', expected xdp, xdpdrv, xdpgeneric, xdpoffload"),
        (["--duration", "soon"], "error: ebee run: duration 'soon', expected a number of seconds"),
        (["--duration=-1"], "error: ebee run: duration '-1', expected a number of seconds"),
        (["--duration", "inf"], "error: ebee run: duration 'inf', expected a number of seconds"),
    ],
)
def test_wrong_options_are_told_first(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even of a file that is not there."""
    assert run(["run", "gone.bpf.c", *words]) == 2
    assert capsys.readouterr().err.splitlines()[0] == message


def test_a_file_that_is_not_there_is_named(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 1."""
    monkeypatch.chdir(str(tmp_path))
    assert run(["run", "gone.bpf.c"]) == 1
    assert capsys.readouterr().err == "error: compiling gone.bpf.c: no such file, expected a C source file\n"
