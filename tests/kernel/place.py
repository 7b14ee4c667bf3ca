"""A place of one's own for tests that load and attach: a network with a veth pair, and an empty bpffs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ebee.kernel.live import LiveKernel
from ebee.kernel.live.mounts import unmount
from tests.support.objects import PRELUDE

FRAME = bytes(12) + b"\x88\xb5" + bytes(46)
"""An Ethernet frame of a type that is free for experiments, so that no protocol answers it."""
_HOME = str(Path(__file__).resolve().parents[2])
_PRIVATE = """
import subprocess, sys
from ebee.kernel.live.namespaces import unshare_mounts
unshare_mounts()
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
"""


@contextmanager
def mounted_bpffs(folder: Path) -> Iterator[str]:
    """Mount a bpffs in a folder, and take it off again."""
    LiveKernel().mount("bpf", str(folder))
    try:
        yield str(folder)
    finally:
        unmount(str(folder))


def run_apart(text: str) -> str:
    """Run Python text in a process and a mount namespace of its own; return what it prints.

    What it mounts and pins below /sys/fs/bpf goes with it.
    """
    command = [sys.executable, "-c", _PRIVATE + text]
    environment = {"PYTHONPATH": f"{_HOME}/src:{_HOME}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=_HOME, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(folder: Path, text: str, name: str = "test.bpf.c") -> str:
    """Write C text with the usual includes and a licence in front; return its path."""
    path = folder / name
    path.write_text(PRELUDE + text)
    return str(path)
