"""Every object of the tests: what the running kernel takes the simulated one takes, and runs alike.

The objects are the `.bpf.c` files of the repository and the C texts that stand in the tests. Programs
that can be tried are run on a few packets on both kernels; return values, packets and maps must agree.
"""

from __future__ import annotations

import ast
import os
import re
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ebee.abi.bpf import MapType, ProgType
from ebee.abi.helpers import number_of
from ebee.asm.opcodes import CALL
from ebee.errors import EbeeError, MachineError
from ebee.kernel.protocol import Kernel, RunRequest
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import LoadedObject, load
from ebee.objfile import read_object
from ebee.sessions.c import open_spec
from ebee.spec import ObjectSpec
from tests.kernel.door import needs_root
from tests.shared.places import nothing_left_inside
from tests.support.objects import PRELUDE, compiled

pytestmark = [needs_root, pytest.mark.filterwarnings("ignore::ebee.errors.Notice")]

_HOME = Path(__file__).resolve().parents[2]
_FRAME = bytes(12) + b"\x88\xb5" + bytes(range(46))
_UDP = (
    bytes(range(1, 13)) + b"\x08\x00" + bytes.fromhex("4500002800010000401166d4c0000201c0000202") + bytes(20)
)
_TCP = (
    bytes(12)
    + b"\x08\x00"
    + bytes.fromhex("450000280001000040066600c0000201c0000202")
    + bytes.fromhex("1f900050000000010000000050020000000000000000")
)
_IPV6 = bytes(12) + b"\x86\xdd" + bytes.fromhex("6000000000140640") + bytes(32) + bytes(20)
_PACKETS = (_FRAME, _UDP, bytes(14), _TCP, _IPV6)

_ON_PACKETS = frozenset(
    (ProgType.XDP, ProgType.SOCKET_FILTER, ProgType.SCHED_CLS, ProgType.SCHED_ACT, ProgType.CGROUP_SKB)
)
_UNREADABLE = frozenset(
    (
        MapType.PROG_ARRAY,  # ids, which differ
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.STACK_TRACE,  # addresses of the kernel
    )
)

_COMPARING = re.compile("tests/shared/|/test_vm_|/simulated/|_on_both")
"""Tests that hold the kernels against each other themselves, and know the differences."""

_OF_THE_MOMENT = frozenset(
    number_of(name)
    for name in [
        "ktime_get_ns",
        "ktime_get_boot_ns",
        "ktime_get_coarse_ns",
        "ktime_get_tai_ns",
        "jiffies64",
        "get_prandom_u32",
        "get_smp_processor_id",
        "get_current_pid_tgid",
        "get_current_uid_gid",
        "get_current_comm",
        "get_current_task",
        "get_current_task_btf",
        "get_current_cgroup_id",
        "get_stackid",
        "get_stack",
        "get_numa_node_id",
    ]
)
"""Helpers that tell what is another thing each time, or of another task: such programs are loaded only."""


@cache
def _sources() -> dict[str, str | Path]:
    """Return the objects: files by their path, texts by the file and line that they stand at."""
    found: dict[str, str | Path] = {}
    for path in sorted((_HOME / "tests").rglob("*.py")):
        if _COMPARING.search(str(path)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_c(node.value):
                found[f"{path.relative_to(_HOME)}:{node.lineno}"] = node.value
    for folder in ("tests", "examples", "src"):
        for path in sorted((_HOME / folder).rglob("*.bpf.c")):
            found[str(path.relative_to(_HOME))] = path
    return found


def _is_c(text: str) -> bool:
    return 'SEC("' in text and "{" in text and "\n" in text.strip()


def _spec(source: str | Path) -> ObjectSpec | None:
    """Return an object's spec, nothing of it pinned; None for a text that is no whole object."""
    try:
        if isinstance(source, Path):
            spec = open_spec(source)
        else:
            text = source if "license" in source else PRELUDE + source
            spec = read_object(compiled(text, "test.bpf.c"), "test.bpf.c")
    except EbeeError:
        return None
    for item in spec.maps.values():
        item.pinning = type(item.pinning)(0)
    return spec if spec.programs else None


@cache
def _live() -> Kernel:
    from ebee.kernel.live import LiveKernel

    return LiveKernel()


def _is_of_the_moment(spec: ObjectSpec) -> bool:
    return any(
        one.opcode == CALL and one.src == 0 and one.imm in _OF_THE_MOMENT
        for function in spec.functions.values()
        for one in function.instructions
    )


@pytest.mark.parametrize("source", list(_sources()) if os.geteuid() == 0 else [])
def test_an_object_loads_and_runs_alike(source: str) -> None:
    """Program by program, each loaded anew."""
    spec = _spec(_sources()[source])
    if spec is None:
        return
    for name in spec.programs:
        on_live = _outcome(_live(), spec, name)
        if on_live is None:
            continue  # refused: whether the checker refuses it, too, its own tests tell
        comparable = not _is_of_the_moment(spec)
        simulated = SimulatedKernel(cpus=_live().cpu_count(), engine="interpreter")
        with nothing_left_inside(simulated):
            found = _outcome(simulated, spec, name)
            assert found == on_live if comparable else found is not None, name


def _outcome(kernel: Kernel, spec: ObjectSpec, name: str) -> list[Any] | None:
    """Return what runs of a program gave, and what its maps hold then; None where it is not taken."""
    try:
        loaded = load(spec, kernel, programs=[name])
    except EbeeError:
        return None
    with loaded:
        return [*_runs(kernel, loaded, name), _contents(loaded)]


def _runs(kernel: Kernel, loaded: LoadedObject, name: str) -> list[Any]:
    program = loaded.programs[name]
    requests: list[RunRequest] = []
    if program.type in _ON_PACKETS:
        requests = [
            RunRequest(program.fd, data=packet, data_out_bytes=len(packet) + 512) for packet in _PACKETS
        ]
    elif program.type is ProgType.RAW_TRACEPOINT:
        requests = [RunRequest(program.fd, context=struct.pack("=6Q", 0, 0, 0, 0, 0, 0), repeat=0)]
    elif program.type is ProgType.SYSCALL:
        requests = [RunRequest(program.fd, context=bytes(64), repeat=0)]
    return [_run(kernel, request) for request in requests]


def _run(kernel: Kernel, request: RunRequest) -> tuple[Any, ...]:
    try:
        answer = kernel.program_test_run(request)
    except MachineError as error:
        return ("stopped", error.details())
    except EbeeError as error:
        return (type(error), str(error).partition(": ")[2])
    return answer.return_value, answer.data


def _contents(loaded: LoadedObject) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in loaded.maps.items():
        if item.spec.type in _UNREADABLE:
            continue
        try:
            found[name] = sorted((key, item.lookup_elem(key)) for key in item.keys_as_bytes())
        except EbeeError as error:
            found[name] = getattr(error, "errno_name", str(error))
    return found
