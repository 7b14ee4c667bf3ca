"""The userspace machine runs where Linux is not: a Python without Linux's modules and calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.objects import PRELUDE, compiled

_TEXT = """
int counter;
SEC("xdp") int hello(struct xdp_md *ctx)
{
    bpf_printk("hello %d", ++counter);
    return XDP_DROP;
}
"""

# What macOS or Windows lack of what some part of ebee uses on Linux.
_CHILD = """
import os, select, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "termios", "resource", "pwd", "grp", "ctypes", "_ctypes", "syslog"}:
            raise ModuleNotFoundError(f"this system has no {name}", name=name)

sys.meta_path.insert(0, Refuse())
sys.platform = "darwin"
for module, name in ((os, "memfd_create"), (os, "setns"), (os, "unshare"), (select, "epoll")):
    if hasattr(module, name):
        delattr(module, name)

import ebee

with ebee.load(sys.argv[1]) as obj:
    result = obj.programs["hello"].test_run(bytes(64))
    lines = ebee.trace_pipe().read_available()
    print(result.return_value, obj.variables["counter"].value, [line.message for line in lines])
"""


def test_an_object_runs_on_a_system_that_is_not_linux(tmp_path: Path) -> None:
    """By itself, with a notice that says why."""
    path = tmp_path / "hello.bpf.o"
    path.write_bytes(compiled(PRELUDE + _TEXT))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "1 1 ['hello 1']\n", done.stderr
    assert (
        "use the running kernel: this system is darwin, expected Linux; it runs on the userspace machine"
        in (done.stderr)
    )
