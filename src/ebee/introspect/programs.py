"""Programs in the kernel, described as bpftool describes them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ebee.abi.bpf import ProgType
from ebee.introspect.extras import Extras, extra_lines
from ebee.introspect.objects import each
from ebee.kernel.protocol import Kernel, ObjectKind, ProgramInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Facts = dict[str, "Any"]

_NAME_BYTES = 15
"""BPF_OBJ_NAME_LEN without its zero: a name that long may have been cut."""


def list_programs(kernel: Kernel, extras: Extras) -> list[Facts]:
    """Describe every program.

    Raises:
        NotPermittedError: it needs CAP_SYS_ADMIN.
    """
    return [describe_program(kernel, fd, extras) for fd in each(kernel, ObjectKind.PROGRAM)]


def describe_program(kernel: Kernel, fd: int, extras: Extras) -> Facts:
    """Describe one program.

    Returns:
        id, type, name, tag (16 hex digits), gpl_compatible, run_time_ns, run_cnt, recursion_misses
        (where statistics are on), loaded_at (seconds since 1970), uid, orphaned, bytes_xlated,
        jited, bytes_jited, bytes_memlock, map_ids, btf_id, pinned, pids; what a program has not, or was
        not asked for, is left out.
    """
    info = kernel.program_info(fd)
    return {**_identity(kernel, fd, info), **_facts(info), **extras.of(info.id)}


def _identity(kernel: Kernel, fd: int, info: ProgramInfo) -> Facts:
    facts: Facts = {"id": info.id, "type": type_name(info.type)}
    name = full_name(kernel, fd, info)
    if name:
        facts["name"] = name
    facts |= {"tag": info.tag.hex(), "gpl_compatible": info.gpl_compatible}
    if info.run_time_ns:
        facts |= {"run_time_ns": info.run_time_ns, "run_cnt": info.run_count}
    if info.recursion_misses:
        facts["recursion_misses"] = info.recursion_misses
    return facts


def _facts(info: ProgramInfo) -> Facts:
    facts: Facts = {}
    if info.load_time_ns:
        facts |= {"loaded_at": _wall_clock_s(info.load_time_ns), "uid": info.created_by_uid}
    facts |= {"orphaned": info.orphaned, "bytes_xlated": info.xlated_bytes, "jited": info.jited_bytes > 0}
    if info.jited_bytes:
        facts["bytes_jited"] = info.jited_bytes
    if info.memlock_bytes:
        facts["bytes_memlock"] = info.memlock_bytes
    if info.map_ids:
        facts["map_ids"] = list(info.map_ids)
    if info.btf_id:
        facts["btf_id"] = info.btf_id
    return facts


def program_lines(facts: Facts) -> Iterator[str]:
    """Yield a program as lines for people."""
    yield header(facts)
    if "loaded_at" in facts:
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(facts["loaded_at"]))
        yield f"\tloaded_at {when}  uid {facts['uid']}{'  orphaned' if facts['orphaned'] else ''}"
    code = f"\txlated {facts['bytes_xlated']}B"
    code += f"  jited {facts['bytes_jited']}B" if facts["jited"] else "  not jited"
    if "bytes_memlock" in facts:
        code += f"  memlock {facts['bytes_memlock']}B"
    if "map_ids" in facts:
        code += f"  map_ids {','.join(map(str, facts['map_ids']))}"
    yield code
    if "btf_id" in facts:
        yield f"\tbtf_id {facts['btf_id']}"
    yield from extra_lines(facts)


def header(facts: Facts) -> str:
    """Return a program's first line: `77: xdp  name hello  tag 62b717483981f1cf  gpl`."""
    words = [str(facts["type"])]
    if "name" in facts:
        words.append(f"name {facts['name']}")
    words.append(f"tag {facts['tag']}")
    if facts["gpl_compatible"]:
        words.append("gpl")
    line = f"{facts['id']}: {'  '.join(words)}"
    for key in ("run_time_ns", "run_cnt", "recursion_misses"):
        if key in facts:
            line += f" {key} {facts[key]}"
    return line


def type_name(number: int) -> str | int:
    """Return a program type as bpftool spells it, such as `sched_cls`; the number where it is new."""
    try:
        return ProgType(number).name.lower()
    except ValueError:
        return number


def full_name(kernel: Kernel, fd: int, info: ProgramInfo) -> str:
    """Return the C function's name, where the kernel's 15 bytes may have cut it."""
    if len(info.name) < _NAME_BYTES or not info.btf_id:
        return info.name
    from ebee.introspect.types import program_types

    types = program_types(kernel, info.btf_id)
    code = kernel.program_info(fd, code=True)
    if types is None or len(code.func_info) < 8:
        return info.name
    import sys

    found = types.type(int.from_bytes(code.func_info[4:8], sys.byteorder)).name
    return found if found.startswith(info.name) else info.name


def _wall_clock_s(boot_time_ns: int) -> int:
    """Return a time of the boot clock as seconds since 1970."""
    started_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return (started_ns + boot_time_ns) // 1_000_000_000
