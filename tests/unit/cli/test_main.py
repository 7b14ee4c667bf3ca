"""Finding the command, help, and what comes of errors."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ebee.cli import run
from ebee.cli.call import Answer, Call
from ebee.cli.main import find_command
from ebee.cli.table import COMMANDS, Entry, Group
from ebee.errors import KernelError, Notice, ParseError, SpecError, VerifierError
from ebee.source import Diagnostic, Span


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("prog show", ("prog", "show")),
        ("p s", ("prog", "show")),
        ("prog", ("prog", "show")),
        ("pro li", ("prog", "list")),
        ("p du xlated id 7", ("prog", "dump")),
        ("-j n l", ("net", "list")),
        ("p loada x y", ("prog", "loadall")),
        ("map", ("map", "show")),
        ("v", ("version",)),
    ],
)
def test_words_may_be_shortened(line: str, path: tuple[str, ...]) -> None:
    """As long as they stay clear; a group alone means its listing."""
    assert find_command(line.split()).path == path


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "porg list",
            "error: ebee: there is no command 'porg'\nhint: did you mean 'prog'?\n",
        ),
        (
            "prog l",
            "error: ebee prog: 'l' may be list or load or loadall\n",
        ),
        (
            "net x",
            "error: ebee net: there is no command 'x'\nhint: commands are show, list, attach, detach, help\n",
        ),
        (
            "net list dvice",
            "error: expected dev, found 'dvice'\nusage: ebee net { show | list } [dev DEVICE]\n",
        ),
        (
            "prog show foo 1",
            "error: expected one of id, pinned, tag, name, found 'foo'\n"
            "usage: ebee prog { show | list } [PROG] [--pids]\n",
        ),
        (
            "prog show id",
            "error: expected a program's id, found the end of the line\n"
            "usage: ebee prog { show | list } [PROG] [--pids]\n",
        ),
        (
            "prog show tag abcd",
            "error: expected a tag of 16 hex digits, found 'abcd'\n"
            "usage: ebee prog { show | list } [PROG] [--pids]\n",
        ),
    ],
)
def test_a_wrong_command_line_says_what_was_expected(
    line: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage, on standard error, and ends with 2."""
    assert run(line.split()) == 2
    assert capsys.readouterr() == ("", text)


def test_a_wrong_command_line_is_json_under_j(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs that read the output find the error there, wherever -j stands."""
    for line in ("-j porg", "porg -j", "porg -vj"):
        assert run(line.split()) == 2
        out, err = capsys.readouterr()
        assert json.loads(out) == {
            "error": "ebee: there is no command 'porg'",
            "hint": "did you mean 'prog'?",
        }
        assert err == ""


def test_every_command_has_help_and_a_module() -> None:
    """The table names modules that exist and are valid Python, and help can be shown for each."""
    folder = Path(sys.modules["ebee.cli"].__file__ or "").parent
    for name, entry in COMMANDS.items():
        entries = entry.commands if isinstance(entry, Group) else {name: entry}
        for item in entries.values():
            assert (folder / f"{item.module}.py").is_file(), item
            assert item.help
            assert all(line.startswith(name) for line in item.usage)


@pytest.mark.parametrize("line", ["", "help", "-h", "--help"])
def test_help_lists_every_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with 0."""
    assert run(line.split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in COMMANDS:
        assert f"\n  {name} " in out


@pytest.mark.parametrize("line", ["prog help", "prog -h", "help prog", "p h"])
def test_help_of_a_group_shows_each_usage(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As bpftool's does."""
    assert run(line.split()) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: ebee prog { show | list } [PROG] [--pids]\n")
    assert "ebee prog loadall OBJECT PATH" in out


@pytest.mark.parametrize("line", ["compile -h", "help compile", "compile --help x.c"])
def test_help_of_a_command_lists_its_options(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside those that every command has."""
    assert run(line.split()) == 0
    out = capsys.readouterr().out
    assert "-o, --output OUT" in out
    assert "-j, --json" in out


def test_help_as_json_is_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """So that no -j ever gives what is no JSON."""
    assert run(["-j", "net", "help"]) == 0
    assert json.loads(capsys.readouterr().out)["usage"][0] == "net { show | list } [dev DEVICE]"


Main = Callable[[Call], Answer | None]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Main], None]:
    """Put a function in the place of `ebee version`."""

    def put(main: Main) -> None:
        module = ModuleType("ebee.cli.stand_in")
        module.main = main  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ebee.cli.stand_in", module)
        monkeypatch.setitem(COMMANDS, "try", Entry("stand_in", "try", ("try",)))

    return put


def raising(error: BaseException) -> Main:
    def main(_: Call) -> Answer | None:
        raise error

    return main


DIAGNOSTIC = Diagnostic("expected ';'", "error", Span("a.c", 3, 5), "int x", "write ;")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (SpecError("load a.o: it holds no program"), 1, "error: load a.o: it holds no program\n"),
        (
            KernelError("pin at /x: the name is taken", errno=17, hint="remove it first: rm /x"),
            1,
            "error: pin at /x: the name is taken\nhint: remove it first: rm /x\n",
        ),
        (
            ParseError("a.c:3:5: expected ';'", diagnostics=[DIAGNOSTIC]),
            1,
            "error: a.c:3:5: expected ';'\n    3 | int x\n      |     ^\nhint: write ;\n",
        ),
        (
            VerifierError("program x: refused", program="x", log="0: R1\nbad\n", errno=13, hint="mend it"),
            1,
            "error: program x: refused\nhint: mend it\n"
            "note: the verifier's whole log: the same command with -v\n",
        ),
        (
            OSError(28, "No space left on device", "out.o"),
            1,
            "error: ebee try: out.o: no space left on device\n",
        ),
        (
            ZeroDivisionError("division by zero"),
            1,
            "error: ebee try: ZeroDivisionError: division by zero (a mistake of ebee's own)\n"
            "hint: please report it to ebee's issue tracker with what EBEE_TRACEBACK=1 shows\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_a_line_and_a_hint(
    error: BaseException,
    code: int,
    text: str,
    command: Callable[[Main], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Never a traceback; on standard error."""
    command(raising(error))
    assert run(["try"]) == code
    assert capsys.readouterr() == ("", text)


def test_the_verifiers_log_is_shown_when_asked_for(
    command: Callable[[Main], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """With -v, and with -d, as bpftool's users write it."""
    command(raising(VerifierError("program x: refused", program="x", log="0: R1\nbad\n", errno=13)))
    for switch in ("-v", "-d", "--verbose"):
        assert run(["try", switch]) == 1
        err = capsys.readouterr().err
        assert err == "error: program x: refused\n\nthe verifier's log:\n0: R1\nbad\n"


def test_an_error_under_j_is_json_on_standard_output(
    command: Callable[[Main], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where bpftool has it too."""
    command(raising(SpecError("no", hint="yes")))
    assert run(["-j", "try"]) == 1
    assert capsys.readouterr() == ('{"error":"no","hint":"yes"}\n', "")


def test_a_traceback_is_shown_to_those_who_ask_for_it(
    command: Callable[[Main], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EBEE_TRACEBACK=1 is for reports."""
    monkeypatch.setenv("EBEE_TRACEBACK", "1")
    command(raising(ZeroDivisionError()))
    assert run(["try"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_notice_is_a_note_on_standard_error(
    command: Callable[[Main], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each time it is given, not once."""

    def main(_: Call) -> Answer:
        for _number in range(2):
            warnings.warn("mounted bpffs on /sys/fs/bpf", Notice, stacklevel=1)
        return Answer([], list)

    command(main)
    assert run(["try"]) == 0
    assert capsys.readouterr() == ("", "note: mounted bpffs on /sys/fs/bpf\n" * 2)


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """As `ebee help | head -1` does."""
    script = "import sys; from ebee.cli import run; sys.exit(run(['help']))"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (141, b"")


@pytest.mark.parametrize("line", ["help", "--version", "version -j", "porg"])
def test_closed_streams_are_no_reason_for_a_traceback(line: str) -> None:
    """As cron and daemons start programs."""
    script = f"exec '{sys.executable}' -m ebee {line} >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", script], timeout=30).returncode == (2 if line == "porg" else 0)


@pytest.mark.parametrize("line", ["version", "-V", "--version", "prog -V"])
def test_the_version_is_told(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it is asked for."""
    from ebee.version import __version__

    assert run(line.split()) == 0
    assert capsys.readouterr().out == f"ebee {__version__}\n"
