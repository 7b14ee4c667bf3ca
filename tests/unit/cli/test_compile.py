"""`ebee compile`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ebee.cli import run
from tests.support.objects import HELLO


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with hello.bpf.c in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.bpf.c").write_text(HELLO)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_object_stands_beside_where_one_works(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With .o for .c; the line says where."""
    assert run(["compile", "hello.bpf.c"]) == 0
    data = (folder / "hello.bpf.o").read_bytes()
    assert data.startswith(b"\x7fELF")
    assert capsys.readouterr() == (f"wrote hello.bpf.o: {len(data)} bytes\n", "")


def test_the_object_goes_where_it_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And -j tells the same as data."""
    assert run(["-j", "compile", "hello.bpf.c", "-o", "x.o", "-DA=1", "-O3", "--cpu", "v2"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["output"], facts["bytes"], facts["warnings"]) == ("x.o", (folder / "x.o").stat().st_size, 0)


def test_standard_output_is_a_place_too(folder: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Nothing else is printed there."""
    assert run(["compile", "hello.bpf.c", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"\x7fELF")
    assert names(folder) == ["hello.bpf.c"]


def test_instructions_are_shown_as_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the C lines, and what instructions refer to."""
    assert run(["compile", "hello.bpf.c", "--emit", "asm"]) == 0
    text = (folder / "hello.bpf.s").read_text()
    assert text.startswith("xdp: hello:\n")
    assert "\n; counter++;\n" in text
    assert "  # .bss\n" in text


def test_warnings_are_shown_with_their_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the object is written all the same."""
    (folder / "warns.bpf.c").write_text(HELLO.replace("counter++;", "int unused; counter++;"))
    assert run(["compile", "warns.bpf.c", "--clang=-Wall"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith(
        "warning: warns.bpf.c:10:9: unused variable 'unused'\n   10 |     int unused; counter++;\n"
    )
    assert out.startswith("wrote warns.bpf.o: ")


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("compile", 2, "error: expected a C file, found the end of the line\nusage: ebee compile FILE "),
        ("compile no.c", 1, "error: compiling no.c: no such file, expected a C source file\n"),
        (
            "compile hello.bpf.c -o no/x.o",
            1,
            "error: write no/x.o: no such file or directory\nhint: make the folder first: mkdir -p no\n",
        ),
        (
            "compile hello.bpf.c --emit llvm",
            2,
            "error: option --emit: found 'llvm', expected object or asm\n",
        ),
        (
            "compile hello.bpf.c --cpu v9",
            1,
            "error: compile options: cpu 'v9', expected one of v1, v2, v3, v4\n",
        ),
        ("compile hello.bpf.c other.c", 2, "error: expected the end of the line, found 'other.c'\n"),
        (
            "compile hello.bpf.c -o",
            2,
            "error: option -o: expected OUT, found the end of the line\n",
        ),
        (
            "compile hello.bpf.c --optimize 3",
            2,
            "error: option --optimize is not known here\nhint: did you mean '--optimise'?\n",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    line: str, code: int, text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And no file is left behind."""
    before = names(folder)
    assert run(line.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(text)
    assert names(folder) == before


def test_an_error_in_c_shows_the_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And leaves an older object as it was."""
    (folder / "hello.bpf.o").write_bytes(b"older")
    (folder / "hello.bpf.c").write_text(HELLO.replace("return XDP_PASS;", "return XDP_PASS"))
    assert run(["compile", "hello.bpf.c"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: hello.bpf.c:11:20: expected ';' after return statement\n"
        "   11 |     return XDP_PASS\n"
        "      |                    ^\n"
    )
    assert (folder / "hello.bpf.o").read_bytes() == b"older"
