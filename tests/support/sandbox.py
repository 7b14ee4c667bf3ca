"""A place of its own for command lines: private mount and network namespaces, with an empty bpffs.

They go, with all pins, links and interfaces in them, when the process that holds them ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

SOURCE = Path(__file__).resolve().parents[2] / "src"
_TOOLS = ("unshare", "nsenter", "ip", "mount")
_HOLD = "mount -t bpf bpf /sys/fs/bpf && ip link set lo up && echo ready && exec cat"


def unusable() -> str | None:
    """Return why no sandbox can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root: makes mount and network namespaces"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}" if missing else None


class Ran(NamedTuple):
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


class Sandbox:
    """Namespaces that commands run in, for use in a `with`."""

    def __enter__(self) -> Sandbox:
        self._holder = subprocess.Popen(
            ["unshare", "-m", "-n", "sh", "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Its `cat` ends with its input, and the namespaces with it.
        self._holder.communicate()

    def words(self, *words: str | Path) -> list[str]:
        """Return the command line that runs another one inside."""
        folder = os.getcwd()
        return [*("nsenter", "-t", str(self._holder.pid), "-m", "-n", f"--wd={folder}"), *map(str, words)]

    def run(self, *words: str | Path, env: dict[str, str] | None = None, check: bool = False) -> Ran:
        """Run a program inside; with `check` it must succeed."""
        done = subprocess.run(
            self.words(*words), capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=60
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert not check or ran.code == 0, f"{words}: {ran}"
        return ran

    def ebee(self, *words: str | Path, check: bool = False) -> Ran:
        """Run `python -m ebee` inside."""
        return self.run(*EBEE, *words, env={"PYTHONPATH": str(SOURCE)}, check=check)

    def bpftool(self, *words: str | Path) -> Ran:
        """Run bpftool inside."""
        return self.run("bpftool", *words)

    def veth(self, name: str, peer: str, *, up: bool = True) -> None:
        """Make two interfaces that are joined."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", peer, check=True)
        for each in (name, peer) if up else ():
            self.run("ip", "link", "set", each, "up", check=True)


EBEE = (sys.executable, "-m", "ebee")
