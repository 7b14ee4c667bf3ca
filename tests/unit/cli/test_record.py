"""`ebee record`: what is wrong on its command line is said before anything is compiled or loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ebee.cli import run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", "0"], "error: ebee record: count '0', expected a number, 1 or more"),
        (["--count", "many"], "error: ebee record: count 'many', expected a number, 1 or more"),
        (["--pid", "self"], "error: ebee record: pid 'self', expected a number, 1 or more"),
        (["--comm", ""], "error: ebee record: comm '', expected a task's name, 1 to 15 bytes"),
        (
            ["--comm", "sixteen-letters-"],
            "error: ebee record: comm 'sixteen-letters-', expected a task's name, 1 to 15 bytes",
        ),
        (["--duration", "soon"], "error: ebee record: duration 'soon', expected a number of seconds"),
    ],
)
def test_wrong_options_are_told_first(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even of a file that is not there."""
    assert run(["record", "gone.bpf.c", *words]) == 2
    assert capsys.readouterr().err.splitlines()[0] == message


def test_a_program_that_sees_packets_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the way there is for packets; and no file is left."""
    path = tmp_path / "drop.bpf.c"
    path.write_text('__attribute__((section("xdp"), used)) int drop(void *ctx) { return 1; }')
    assert run(["record", str(path), "-o", str(tmp_path / "x.ebee")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: record drop: section 'xdp' is of type XDP, expected a tracepoint, raw_tp or tp_btf",
        "hint: packets are recorded by tcpdump -w FILE.pcap, and run by: ebee run FILE --pcap FILE.pcap",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["drop.bpf.c"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is loaded."""
    output = tmp_path / "gone" / "x.ebee"
    assert run(["record", "example:exec", "-o", str(output)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"error: write {output}: no such file or directory",
        f"hint: there is no folder {output.parent}",
    ]


def test_an_object_without_a_program_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what makes one."""
    path = tmp_path / "empty.bpf.c"
    path.write_text("int number;")
    assert run(["record", str(path), "-o", str(tmp_path / "x.ebee")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: record empty: it has no program",
        'hint: put a section before a function: SEC("tracepoint/sched/sched_process_exec")',
    ]


def test_standard_output_has_room_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The recording, or JSON."""
    assert run(["-j", "record", "gone.bpf.c", "-o", "-"]) == 2
    assert capsys.readouterr().out == (
        '{"error":"ebee record: -o - and -j, expected one of them on standard output"}\n'
    )
