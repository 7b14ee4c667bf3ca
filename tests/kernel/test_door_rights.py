"""The door as somebody without rights: another user, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ebee
from tests.kernel.door import needs_root

pytestmark = needs_root

PREFACE = """
from ebee.abi.bpf import *
from ebee.errors import EbeeError
from ebee.kernel.errors import explain_load
from ebee.kernel.live import LiveKernel
from ebee.kernel.live.netlink import create_veth
from ebee.kernel.live.namespaces import unshare_network
from ebee.kernel.protocol import *
kernel = LiveKernel()
def load(kind):
    code = bytes([0xb7]) + bytes(7) + bytes([0x95]) + bytes(7)
    answer = kernel.program_load(ProgramLoad(kind, code, "GPL"))
    if answer.fd < 0:
        raise explain_load(answer, "load program hello", kind)
try:
    print("done", {action})
except EbeeError as error:
    print(type(error).__name__)
    print(error)
    print(error.hint)
"""


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that everybody may read: the checkout may belong to root alone."""
    folder = tmp_path_factory.mktemp("readable")
    package = Path(ebee.__file__).parent
    shutil.copytree(package, folder / "ebee", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder.parent.parent, folder.parent, folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    return folder


def as_nobody(folder: Path, action: str, *options: str) -> list[str]:
    """Return the lines that an action prints when user 65534 does it."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    options = options or ("--reuid=65534", "--regid=65534", "--clear-groups")
    code = PREFACE.replace("{action}", action)
    run = subprocess.run(
        ["setpriv", *options, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": str(folder),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    if "Permission denied" in run.stderr or "No module named" in run.stderr:
        pytest.skip("another user may not read this Python")
    assert run.stderr == ""
    return run.stdout.splitlines()


ROOT_OR_SETCAP = "run it as root (sudo), or give it the capability: setcap or AmbientCapabilities="


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("load(ProgType.XDP)", "load program hello: this process lacks CAP_BPF and CAP_NET_ADMIN"),
        ("load(ProgType.TRACEPOINT)", "load program hello: this process lacks CAP_BPF and CAP_PERFMON"),
        (
            "kernel.map_create(MapCreate(MapType.LRU_HASH, 4, 4, 1, name='counts'))",
            "create map counts: this process lacks CAP_BPF",
        ),
        ("kernel.next_id(ObjectKind.PROGRAM, 0)", "list programs: this process lacks CAP_SYS_ADMIN"),
        ("kernel.open_id(ObjectKind.MAP, 1)", "open map 1: this process lacks CAP_SYS_ADMIN"),
        ("kernel.mount('bpf', '/sys/fs/bpf')", "mount bpf on /sys/fs/bpf: this process lacks CAP_SYS_ADMIN"),
        ("create_veth('a', 'b')", "create veth a: this process lacks CAP_NET_ADMIN"),
        ("unshare_network()", "make a network namespace: this process lacks CAP_SYS_ADMIN"),
    ],
)
def test_another_user_is_told_which_capability_it_takes(readable: Path, action: str, message: str) -> None:
    """Never of ulimit, never a traceback."""
    lines = as_nobody(readable, action)
    assert lines[0] == "NotPermittedError"
    assert lines[1].startswith(message)
    assert lines[1].endswith("(EPERM)")
    assert lines[2] == ROOT_OR_SETCAP


def test_a_container_that_never_had_the_capability_is_told_how_to_start(readable: Path) -> None:
    """Root without it in the bounding set."""
    lines = as_nobody(readable, "load(ProgType.XDP)", "--bounding-set=-all", "--inh-caps=-all")
    assert lines[2] == (
        "sudo cannot give it here; a container gets it by docker run --cap-add BPF --cap-add NET_ADMIN, "
        "a systemd unit by CapabilityBoundingSet="
    )


def test_another_user_may_list_network_devices(readable: Path) -> None:
    """Reading takes no rights."""
    assert as_nobody(readable, "len(kernel.net_devices()) > 0") == ["done True"]
