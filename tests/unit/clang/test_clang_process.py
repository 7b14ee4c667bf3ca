"""Running the compiler under strange conditions: no rights, no home, closed streams, old Pythons."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ebee.clang import CompileOptions, compile_c
from ebee.clang.process import run_compiler
from ebee.errors import ToolError

from .conftest import HELLO, PYTHONPATH, Write

SHELL = "/bin/sh"
COMPILE = "import sys; from ebee.clang import compile_c; print(len(compile_c(sys.argv[1]).data))"


def test_streams_and_status_are_returned() -> None:
    script = "cat; echo bad >&2; echo rule > /proc/self/fd/3; exit 7"
    finished = run_compiler([SHELL, "-c", script], stdin=b"text", timeout_s=10)
    assert finished == (7, b"text", b"bad\n", b"rule\n")


def test_more_output_than_a_pipe_holds_is_returned_whole() -> None:
    data = os.urandom(300_000)
    finished = run_compiler([SHELL, "-c", "cat; cat <&0 >&2"], stdin=data, timeout_s=10)
    assert finished.output == data


def test_a_program_that_cannot_be_started_is_a_tool_error() -> None:
    with pytest.raises(ToolError) as caught:
        run_compiler(["/nowhere/clang"], stdin=b"", timeout_s=10)
    assert str(caught.value) == (
        "starting the compiler /nowhere/clang: No such file or directory, expected a program that can be run"
    )


@pytest.mark.parametrize("missing", ["pidfd_open", "memfd_create"])
def test_a_python_without_the_newer_calls_does_the_same(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, missing)
    finished = run_compiler([SHELL, "-c", "cat; echo x >&2; exit 3"], stdin=b"text", timeout_s=10)
    assert finished == (3, b"text", b"x\n", b"")


def test_without_pidfd_a_stuck_program_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(ToolError, match=r"did not end within 0\.05 s"):
        run_compiler([SHELL, "-c", "sleep 1000"], stdin=b"", timeout_s=0.05)


def test_a_caller_that_ignores_its_children_gets_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run_compiler([SHELL, "-c", "cat"], stdin=b"text", timeout_s=10).output == b"text"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_caller_with_closed_streams_can_compile(write: Write) -> None:
    path = write("hello.bpf.c", HELLO)
    program = (
        "import os, sys\n"
        "for number in range(3): os.close(number)\n"
        "from ebee.clang import CompileOptions, compile_c\n"
        "ok = compile_c(sys.argv[1], options=CompileOptions(cache=False)).data[:4] == b'\\x7fELF'\n"
        "os._exit(0 if ok else 1)"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 0


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to become nobody"
)
@pytest.mark.parametrize("home", ["/proc", None], ids=["unwritable", "unset"])
def test_nobody_compiles_in_a_folder_that_cannot_be_written(tmp_path: Path, home: str | None) -> None:
    folder = Path("/tmp") / f"ebee-nobody-{os.getpid()}"  # tmp_path is closed to other users
    folder.mkdir(mode=0o755)
    try:
        (folder / "hello.bpf.c").write_text(HELLO)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH}
        environ |= {} if home is None else {"HOME": home}
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
        if subprocess.run([*words, sys.executable, "-c", "import ebee"], env=environ, check=False).returncode:
            pytest.skip("this Python or this copy of ebee lies where nobody may not read")
        finished = subprocess.run(
            [*words, sys.executable, "-c", COMPILE, "hello.bpf.c"],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.stderr == ""
        assert int(finished.stdout) > 1000
        assert [path.name for path in folder.iterdir()] == ["hello.bpf.c"]
    finally:
        shutil.rmtree(folder)


def test_compiling_imports_nothing_slow(write: Write) -> None:
    path = write("hello.bpf.c", HELLO)
    compile_c(path, options=CompileOptions())
    program = (
        "import sys\nbefore = set(sys.modules)\nfrom ebee.clang import compile_c\ncompile_c(sys.argv[1])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", "import sys; sys.path += sys.argv[2:]\n" + program, path, *sys.path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    slow = {
        "subprocess",
        "tempfile",
        "hashlib",
        "json",
        "difflib",
        "dataclasses",
        "importlib.util",
        "ziglang",
    }
    assert not slow & set(loaded)
    assert "ebee.clang.diagnostics" not in loaded
