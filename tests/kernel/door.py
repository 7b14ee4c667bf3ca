"""What the tests of the door share: small programs, and a check that every descriptor is given back."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ebee.abi.bpf import ProgType
from ebee.asm import Instruction, encode
from ebee.errors import EbeeError
from ebee.kernel.live import LiveKernel
from ebee.kernel.live.mounts import unmount
from ebee.kernel.protocol import ProgramLoad

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the live kernel is asked as root")


def program(result: int = 0) -> bytes:
    """Return the code of a program that returns a number."""
    return encode([Instruction(0xB7, imm=result), Instruction(0x95)], sys.byteorder)


def load(kernel: LiveKernel, kind: ProgType, result: int = 0, name: str = "ebee_test") -> int:
    """Return the descriptor of a program that returns a number."""
    answer = kernel.program_load(ProgramLoad(kind, program(result), "GPL", name))
    assert answer.errno == 0, errno.errorcode[answer.errno]
    return answer.fd


def descriptors() -> dict[str, str]:
    """Return what this process has open."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Fail when more is open at the end than was at the begin."""
    # Whoever collects garbage inside need not look through what is there already, which takes a fifth
    # of a second.
    gc.freeze()
    before = descriptors()
    yield
    left = {name: target for name, target in descriptors().items() if name not in before}
    assert left == {}


def complaint(action: Callable[[], object]) -> tuple[str, str | None]:
    """Return the message and the hint of the error that an action raises."""
    with pytest.raises(EbeeError) as caught:
        action()
    return str(caught.value), caught.value.hint


def output(*command: str) -> str:
    """Return what another program says; skip where it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def private_bpffs(folder: Path) -> Iterator[Path]:
    """Mount a bpffs of its own in a folder."""
    LiveKernel().mount("bpf", str(folder))
    try:
        yield folder
    finally:
        unmount(str(folder))
