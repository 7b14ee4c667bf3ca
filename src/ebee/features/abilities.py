"""Abilities of a kernel that are no type of program or map."""

from __future__ import annotations

import errno as _errno
import os
from collections.abc import Callable

from ebee.abi.bpf import F_MMAPABLE, AttachType, MapType, ProgType
from ebee.errors import KernelError, SpecError
from ebee.features.answer import Answer, no, unknown, yes
from ebee.features.code import BOUNDED_LOOP, ISA, btf, reading_map, returning
from ebee.features.probes import Probes
from ebee.host.kernel_types import VMLINUX
from ebee.kernel.errors import errno_symbol
from ebee.kernel.protocol import Kernel, LinkCreate, MapCreate, PerfEvent, ProgramLoad

_PERF_TYPE_HARDWARE, _PERF_TYPE_SOFTWARE = 0, 1
_CPU_CLOCK = 0
_CPU_CYCLES = 0
_SAMPLE_PERIOD_NS = 1_000_000_000
# A descriptor that cannot be: -1 in 32 bits.
_NO_FD = 0xFFFFFFFF
CGROUP2 = "cgroup2"


def _kernel_types(_: Probes) -> Answer:
    try:
        size = os.stat(VMLINUX).st_size
    except OSError as error:
        if not os.path.isdir("/sys/kernel"):
            return unknown("/sys/kernel is not there; is sysfs mounted?")
        return no(f"{VMLINUX} cannot be read ({error.strerror})")
    return yes(f"{VMLINUX}, {size} bytes")


def _program_types(probes: Probes) -> Answer:
    answer = probes.kernel.btf_load(btf(context="xdp_md"))
    if answer.fd >= 0:
        probes.kernel.close(answer.fd)
        return yes("types were loaded")
    if answer.errno in (_errno.EPERM, _errno.EACCES):
        return probes.denied(answer.errno, ("CAP_BPF",), "BTF")
    return no(f"the kernel takes no types of programs ({errno_symbol(answer.errno)})")


def _global_data(probes: Probes) -> Answer:
    return _with_array(probes, 0, lambda fd: probes.code(reading_map(fd), "global data"))


def _mapped_memory(probes: Probes) -> Answer:
    return _with_array(probes, F_MMAPABLE, lambda _: yes("a map was made with BPF_F_MMAPABLE"))


def _with_array(probes: Probes, flags: int, question: Callable[[int], Answer]) -> Answer:
    try:
        fd = probes.kernel.map_create(MapCreate(MapType.ARRAY, 4, 8, 1, flags))
    except KernelError as error:
        if error.errno in (_errno.EPERM, _errno.EACCES):
            return probes.denied(error.errno, ("CAP_BPF",), "maps")
        return no(f"unknown to this kernel ({errno_symbol(error.errno)})")
    try:
        return question(fd)
    finally:
        probes.kernel.close(fd)


def _xdp_links(probes: Probes) -> Answer:
    """Only an interface could tell by trying, and it is not ours to try on."""
    return probes.function("bpf_xdp_link_attach")


def _perf_links(probes: Probes) -> Answer:
    """A link to a descriptor that cannot be: EBADF from a kernel with such links, EINVAL from one without."""
    request = ProgramLoad(ProgType.TRACEPOINT, returning(0), "GPL", "probe")
    answer = probes.kernel.program_load(request)
    if answer.fd < 0:
        return probes.program(ProgType.TRACEPOINT)
    try:
        probes.kernel.close(probes.kernel.link_create(LinkCreate(answer.fd, _NO_FD, AttachType.PERF_EVENT)))
    except KernelError as error:
        if error.errno == _errno.EBADF:
            return yes("the kernel makes such links")
        return no(f"unknown to this kernel ({errno_symbol(error.errno)})")
    finally:
        probes.kernel.close(answer.fd)
    return unknown("a link to nothing was made")


def _events(kernel: Kernel, probes: Probes, kind: int, config: int, subject: str) -> Answer:
    try:
        fd = kernel.perf_event_open(PerfEvent(kind, config, sample_period=_SAMPLE_PERIOD_NS))
    except KernelError as error:
        if error.errno in (_errno.EPERM, _errno.EACCES):
            return probes.denied(error.errno, ("CAP_PERFMON",), subject)
        return no(f"this kernel or processor has none ({errno_symbol(error.errno)})")
    kernel.close(fd)
    return yes("an event was opened")


def _software_events(probes: Probes) -> Answer:
    return _events(probes.kernel, probes, _PERF_TYPE_SOFTWARE, _CPU_CLOCK, "software perf events")


def _hardware_events(probes: Probes) -> Answer:
    return _events(probes.kernel, probes, _PERF_TYPE_HARDWARE, _CPU_CYCLES, "hardware perf events")


def _cgroups(_: Probes) -> Answer:
    from ebee.host.mounts import mounted_at

    place = mounted_at(CGROUP2)
    return yes(f"cgroup2 is at {place}") if place else unknown("cgroup2 is mounted nowhere")


def _jit(_: Probes) -> Answer:
    path = "/proc/sys/net/core/bpf_jit_enable"
    try:
        with open(path) as file:
            value = file.read().strip()
    except OSError as error:
        return unknown(f"{path} cannot be read ({error.strerror})")
    return no("net.core.bpf_jit_enable is 0") if value == "0" else yes(f"net.core.bpf_jit_enable is {value}")


ABILITIES: dict[str, Callable[[Probes], Answer]] = {
    "kernel types": _kernel_types,
    "types of programs": _program_types,
    "JIT compiler": _jit,
    "bounded loops": lambda probes: probes.code(BOUNDED_LOOP, "loops"),
    "instructions v2": lambda probes: probes.code(ISA["v2"], "instructions of version 2"),
    "instructions v3": lambda probes: probes.code(ISA["v3"], "instructions of version 3"),
    "instructions v4": lambda probes: probes.code(ISA["v4"], "instructions of version 4"),
    "global data": _global_data,
    "mapped memory": _mapped_memory,
    "ring buffer": lambda probes: probes.map_type(MapType.RINGBUF),
    "XDP links": _xdp_links,
    "perf event links": _perf_links,
    "software perf events": _software_events,
    "hardware perf events": _hardware_events,
    "cgroups": _cgroups,
}
"""The abilities that are probed, by name."""


def ability(probes: Probes, name: str) -> Answer:
    """Return whether the kernel has an ability.

    Args:
        name: one of ABILITIES: `bounded loops`, `XDP links`, ...

    Raises:
        SpecError: there is no ability of that name.
    """
    probe = ABILITIES.get(name)
    if probe is None:
        from ebee.text import did_you_mean

        raise SpecError(f"probe ability '{name}': it is not known", hint=did_you_mean(name, ABILITIES))
    return probe(probes)
