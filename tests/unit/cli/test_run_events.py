"""`ebee run --events`: what is printed over a recording, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ebee.cli import run

HOOKS = "tracepoint:syscalls:sys_enter_execve, tracepoint:sched:sched_process_exec"


def output(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the lines that a command prints."""
    assert run(["run", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_an_example_runs_over_its_recording(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines as they come, then what maps hold."""
    lines = output(capsys, "example:exec", "--events", "example:exec")
    assert lines[0].lstrip().startswith("sh-")
    assert ": bpf_trace_printk: starts /bin/sh as process " in lines[0]
    assert lines[13:17] == ["", "13 events", "starts: 6 entries", "  /bin/sh = 1"]


def test_so_many_events_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """With --count."""
    lines = output(capsys, "example:exec", "--events", "example:exec", "--count", "1")
    assert lines[1:] == ["", "1 event", "starts: 1 entry", "  /bin/sh = 1"]


def test_an_example_on_the_machine_needs_no_recording_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It brings its own along."""
    assert "13 events" in output(capsys, "example:exec", "--vm")


def test_json_has_an_object_for_each_event_and_one_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Each in a line of its own."""
    *events, end = [
        json.loads(line) for line in output(capsys, "-j", "example:exec", "--events", "example:exec")
    ]
    assert events[1] == {
        "event": 2,
        "time_ns": events[1]["time_ns"],
        "cpu": events[1]["cpu"],
        "pid": events[1]["pid"],
        "tgid": events[1]["pid"],
        "comm": "sh",
        "programs": ["asked"],
        "printed": ["asks for /usr/bin/ls /etc/apt"],
        "records": {},
    }
    assert end["maps"]["starts"][0] == {"key": {"text": "/bin/sh"}, "value": 1}
    assert {name: end[name] for name in ("events", "variables", "missing", "cut")} == {
        "events": 13,
        "variables": {},
        "missing": 0,
        "cut": 0,
    }


TRACER = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct pair { __u32 a, b; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 64); __type(key, __u32);
         __type(value, __u64); } by_slot SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct pair);
         __type(value, __u64); } by_pair SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } out SEC(".maps");
int count;
SEC("tracepoint/syscalls/sys_enter_execve") int p(void *ctx)
{
    __u64 value = 0, one = 1;
    __u32 slot = ++count;
    bpf_probe_read_user(&value, 8, (void *)4096);
    bpf_map_update_elem(&by_slot, &slot, &one, BPF_ANY);
    for (__u32 i = 0; i < 5; i++) {
        struct pair pair = { slot, i };
        bpf_map_update_elem(&by_pair, &pair, &one, BPF_ANY);
    }
    bpf_ringbuf_output(&out, &value, 8, 0);
    return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


def test_what_maps_hold_is_shown_in_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty entries of each, empty slots left out; -v shows all; reads that found nothing are said."""
    path = tmp_path / "own.bpf.c"
    path.write_text(TRACER)
    assert run(["run", str(path), "--events", "example:exec"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[:5] == ["", "6 events", "out: 6 records, 48 bytes", "by_slot: 6 entries", "  1 = 1"]
    assert lines[10] == "by_pair: 30 entries"
    assert lines[11].startswith("  a=")
    assert lines[-2:] == ["  ... 10 more; -v shows all", "count = 6"]
    assert said.err.splitlines()[-1] == (
        "note: 6 reads found nothing: the program reads what it did not when it was recorded; record it again"
    )
    assert len(output(capsys, str(path), "--events", "example:exec", "-v")) == len(lines) + 9


@pytest.mark.parametrize(
    "other", ["--dev lo", "--mode xdp", "--duration 1", "--pcap x", "--out x", "--program p"]
)
def test_other_options_do_not_go_with_a_recording(other: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is attached."""
    assert run(["run", "gone.bpf.c", "--events", "gone.ebee", *other.split()]) == 2
    assert capsys.readouterr().err.splitlines()[:2] == [
        f"error: ebee run: {other.split()[0]} and --events, expected one of them",
        "hint: with --events nothing is attached: the programs run over what was recorded",
    ]


def test_the_running_kernel_has_no_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    """They are of the userspace machine."""
    assert run(["run", "gone.bpf.c", "--events", "gone.ebee", "--live"]) == 2
    assert capsys.readouterr().err.splitlines()[:2] == [
        "error: ebee run: --live and --events, expected one of them",
        "hint: recordings run on the userspace machine",
    ]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ["example:open", "--events", "gone.ebee"],
            "error: open recording gone.ebee: no such file or directory",
            "hint: make one where root is allowed: ebee record FILE -o events.ebee",
        ),
        (
            ["example:opne", "--events", "x"],
            "error: open example:opne: there is no such example",
            "hint: did you mean 'open'?",
        ),
        (
            ["example:open", "--events", "example:opne"],
            "error: open example:opne: there is no such example",
            "hint: did you mean 'open'?",
        ),
    ],
)
def test_what_is_not_there_is_told(
    words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do."""
    assert run(["run", *words]) == 1
    assert capsys.readouterr().err.splitlines() == [message, hint]


def test_a_recording_of_another_program_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """What it has and what is wanted."""
    assert run(["run", "example:open", "--events", "example:exec"]) == 1
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith("error: replay open: ")
    assert message.endswith(f"exec.ebee has events of {HOOKS}, expected tracepoint:syscalls:sys_enter_openat")
    assert hint == (
        "hint: it was made with another program; record this one where root is allowed: ebee record FILE"
    )


def test_a_recording_that_is_cut_short_is_told_with_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its one block is not whole, so there is nothing to sum up."""
    from ebee.recording.examples import recording_path

    whole = Path(recording_path("example:exec")).read_bytes()
    path = tmp_path / "cut.ebee"
    path.write_bytes(whole[:-10])
    assert run(["run", "example:exec", "--events", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0].startswith(f"error: recording {path}: ends within the block at byte ")


def test_a_recording_comes_through_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a machine elsewhere."""
    import io
    import sys

    from ebee.recording.examples import recording_path

    data = Path(recording_path("example:exec")).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert "13 events" in output(capsys, "example:exec", "--events", "-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text")))
    assert run(["run", "example:exec", "--events", "-"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == (
        "error: recording standard input: does not begin as a recording does"
    )
