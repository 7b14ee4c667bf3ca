"""From hello.bpf.c to an attached program and back: ebee against clang and bpftool.

Run it as root: `make bench`. Every contestant compiles the same file, loads it, attaches it to the
same interface in a private network namespace and detaches it again. `clang` and `bpftool` are those
on the PATH; clang gets ebee's own <bpf/…> headers, so that both compile the same text.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.side_by_side import Contestant, measure, table
from ebee.kernel.live import LiveKernel
from ebee.kernel.live.namespaces import unshare_mounts
from ebee.testing import private_network

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "examples" / "hello" / "hello.bpf.c"
PIN = "/sys/fs/bpf/hello"


def contestants(folder: Path, device: str) -> list[Contestant]:
    """Return the ways to do it; the rival first."""
    headers = ROOT / "src" / "ebee" / "clang" / "include"
    asm_headers = f"/usr/include/{platform.machine()}-linux-gnu"
    out = folder / "hello.bpf.o"
    ebee = f"{sys.executable} -m ebee"
    # What stands next to the interpreter is what users type; `-m` where it was not installed.
    script = Path(sys.executable).with_name("ebee")
    if script.exists():
        ebee = str(script)
    # Installed by pip, modules have their bytecode beside them; a checkout gets it in the warm-up.
    bytecode = {"PYTHONDONTWRITEBYTECODE": ""}
    cold = {"EBEE_CACHE_DIR": str(folder / "cold"), **bytecode}
    warm = {"EBEE_CACHE_DIR": str(folder / "warm"), **bytecode}

    def forget() -> None:
        shutil.rmtree(folder / "cold", ignore_errors=True)

    def commands(compile_line: str, tool: str) -> str:
        return (
            f"{compile_line}; {tool} prog load {out} {PIN}; "
            f"{tool} net attach xdp pinned {PIN} dev {device}; {tool} net detach xdp dev {device}; rm {PIN}"
        )

    run = f"{ebee} run {SOURCE} --dev {device} --duration 0"
    four = commands(f"{ebee} compile {SOURCE} -o {out}", ebee)
    clang = f"clang -target bpf -g -O2 -I{headers} -I{asm_headers} -c {SOURCE} -o {out}"
    return [
        Contestant("clang, three times bpftool", commands(clang, "bpftool")),
        Contestant("ebee run, cold", run, cold, forget, goal=2),
        Contestant("ebee run, warm", run, warm, goal=1),
        Contestant("four times ebee, cold", four, cold, forget),
        Contestant("four times ebee, warm", four, warm),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    missing = [tool for tool in ("clang", "bpftool") if shutil.which(tool) is None]
    if missing:
        print(f"benchmark hello: needs {' and '.join(missing)} to compare with", file=sys.stderr)
        return 1
    unshare_mounts()
    LiveKernel().mount("bpf", "/sys/fs/bpf")
    with tempfile.TemporaryDirectory() as name, private_network() as net:
        ways = contestants(Path(name), net.a)
        samples = measure(ways, rounds=rounds)
    print(f"hello: compile, load, attach, detach; Linux {platform.release()}, {os.cpu_count()} CPUs")
    print(f"{rounds} rounds, in turn; ratios are to the first row, within a round\n")
    print("\n".join(table(ways, samples)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
