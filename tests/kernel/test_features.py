"""Probes of the running kernel, and the doctor's report."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ebee.abi.bpf import MapType, ProgType
from ebee.errors import SpecError
from ebee.features import Answer, Probes, Status
from ebee.features.abilities import ABILITIES, ability
from ebee.features.doctor import Finding, Health, examine
from ebee.features.hooks import HOOKS
from ebee.host.rights import CAPABILITIES, Rights
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import LoadAnswer, ObjectKind, ProgramLoad
from tests.kernel.door import needs_root, nothing_left_open

pytestmark = needs_root
KERNEL = LiveKernel()
ALL = frozenset(CAPABILITIES)
ROOT = Rights(ALL, ALL)


@pytest.fixture(scope="module")
def probes() -> Probes:
    """One for all: it keeps the kernel's types."""
    return Probes(KERNEL)


@pytest.fixture(autouse=True)
def _no_leak() -> Iterator[None]:
    with nothing_left_open():
        yield


# -- answers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["socket", "xdp", "tc", "tracepoint", "raw_tp", "perf_event", "cgroup_skb"])
def test_hooks_of_every_kernel_work(probes: Probes, name: str) -> None:
    """Of every one that ebee is tested on."""
    assert probes.hook(name) == Answer(Status.YES, "a program was loaded")


@pytest.mark.parametrize("name", list(HOOKS))
def test_every_hook_has_an_answer_with_a_reason(probes: Probes, name: str) -> None:
    """Root is never told "could not tell" for want of rights."""
    answer = probes.hook(name)
    assert answer.reason
    assert "lacks" not in answer.reason


def test_kprobes_are_there_exactly_when_their_event_source_is(probes: Probes) -> None:
    """Their programs load on every kernel, which says nothing."""
    has_kprobes = Path("/sys/bus/event_source/devices/kprobe").is_dir()
    assert probes.hook("kprobe").is_yes == has_kprobes
    if not has_kprobes:
        assert probes.hook("kprobe") == Answer(Status.NO, "this kernel has no perf event source 'kprobe'")


@pytest.mark.parametrize("name", ["tp_btf", "iter"])
def test_tracing_by_types_is_probed_for_each_hook(probes: Probes, name: str) -> None:
    """Kernels that refuse fentry still have these."""
    if probes.types() is None:
        pytest.skip("this kernel tells no types")
    assert probes.hook(name).status is Status.YES


def test_an_array_a_hash_and_a_ring_buffer_can_be_made(probes: Probes) -> None:
    """Of every kernel since 5.8."""
    for map_type in (MapType.ARRAY, MapType.HASH, MapType.RINGBUF, MapType.ARRAY_OF_MAPS, MapType.SK_STORAGE):
        assert probes.map_type(map_type) == Answer(Status.YES, "a map was made")


def test_every_map_type_has_an_answer(probes: Probes) -> None:
    """Those that are newer than the kernel are unknown to it."""
    for map_type in MapType:
        if map_type is not MapType.UNSPEC:
            assert probes.map_type(map_type).status is not Status.UNKNOWN


def test_helpers_are_probed_for_a_program_type(probes: Probes) -> None:
    """The same helper is known to one type and not to another."""
    assert probes.helper("map_lookup_elem", ProgType.XDP).is_yes
    assert probes.helper("bpf_skb_store_bytes", ProgType.SCHED_CLS).is_yes
    answer = probes.helper("bpf_skb_store_bytes", ProgType.XDP)
    assert answer.status is Status.NO
    assert "skb_store_bytes" in answer.reason or "unknown func" in answer.reason


@pytest.mark.parametrize("name", list(ABILITIES))
def test_every_ability_has_an_answer(probes: Probes, name: str) -> None:
    """With a reason."""
    assert ability(probes, name).reason


@pytest.mark.parametrize("name", ["bounded loops", "instructions v2", "instructions v3", "global data"])
def test_abilities_of_every_kernel_are_found(probes: Probes, name: str) -> None:
    """All since 5.3."""
    assert ability(probes, name).is_yes


def test_names_that_are_not_known_have_neighbours(probes: Probes) -> None:
    """Hooks, abilities, helpers."""
    questions: dict[str, Callable[[], Answer]] = {
        "fentry": lambda: probes.hook("fentri"),
        "bounded loops": lambda: ability(probes, "bounded loop"),
        "map_lookup_elem": lambda: probes.helper("map_lookup_elm", ProgType.XDP),
    }
    for nearest, question in questions.items():
        with pytest.raises(SpecError) as caught:
            question()
        assert caught.value.hint == f"did you mean '{nearest}'?"


def test_nothing_stays_loaded(probes: Probes) -> None:
    """No program called `probe` is left; the kernel frees them a little later, so it is asked again."""
    for name in HOOKS:
        probes.hook(name)
    deadline = time.monotonic() + 5
    while left_programs() and time.monotonic() < deadline:
        os.sched_yield()
    assert left_programs() == []


def left_programs() -> list[int]:
    """Return the ids of loaded programs that a probe of this process made."""
    found, last = [], 0
    while (number := KERNEL.next_id(ObjectKind.PROGRAM, last)) is not None:
        last = number
        try:
            fd = KERNEL.open_id(ObjectKind.PROGRAM, number)
        except Exception:  # it went meanwhile, or is not ours to open
            continue
        if KERNEL.program_info(fd).name == "probe":
            found.append(number)
        KERNEL.close(fd)
    return found


# -- kernels that answer otherwise -------------------------------------------------------------------
class Answering(LiveKernel):
    """A kernel that answers every load alike."""

    def __init__(self, number: int, log: str = "") -> None:
        self.answer = LoadAnswer(-1, number, log)

    def program_load(self, request: ProgramLoad) -> LoadAnswer:
        return self.answer


def test_a_refusal_with_all_rights_is_policy() -> None:
    """EPERM and nothing in the log."""
    answer = Probes(Answering(errno.EPERM), rights=ROOT).program(ProgType.LSM)
    assert answer == Answer(
        Status.NO, "policy of this kernel refuses LSM programs (EPERM, with nothing in the log)", refused=True
    )


def test_a_refusal_without_rights_tells_nothing() -> None:
    """It may well work for root."""
    answer = Probes(Answering(errno.EPERM), rights=Rights(frozenset(), ALL)).program(ProgType.XDP)
    assert answer == Answer(Status.UNKNOWN, "this process lacks CAP_BPF and CAP_NET_ADMIN")


def test_a_seccomp_filter_tells_nothing_about_the_kernel() -> None:
    """Not even a socket filter is let through."""
    answer = Probes(Answering(errno.EPERM), rights=ROOT._replace(seccomp=2)).program(ProgType.XDP)
    assert answer == Answer(Status.UNKNOWN, "a seccomp filter refuses the system call")


def test_an_unknown_type_is_a_plain_no() -> None:
    """EINVAL before the verifier said a word."""
    answer = Probes(Answering(errno.EINVAL), rights=ROOT).program(ProgType.NETFILTER)
    assert answer == Answer(Status.NO, "unknown to this kernel (EINVAL)")


def test_a_verifier_that_dislikes_the_probe_leaves_it_open() -> None:
    """The kernel knows the type, and ours was no good example."""
    answer = Probes(Answering(errno.EINVAL, "R0 has value 0\nprocessed 2 insns"), rights=ROOT).program(
        ProgType.XDP
    )
    assert answer == Answer(Status.UNKNOWN, "the verifier refused the probe: R0 has value 0")


# -- the doctor ------------------------------------------------------------------------------------
def test_the_report_has_its_sections() -> None:
    """All that `ebee doctor` shows, and soon: a fifth of a second, or twenty times that under emulation."""
    begin = time.monotonic()
    report = examine(KERNEL)
    assert time.monotonic() - begin < 30
    assert [section.title for section in report.sections] == [
        "kernel",
        "BTF",
        "rights",
        "lockdown",
        "mounts",
        "hooks",
        "abilities",
    ]


def test_every_finding_is_one_line_and_what_is_missing_says_how_to_mend_it() -> None:
    """Hooks above all."""
    for section in examine(KERNEL).sections:
        for finding in section.findings:
            assert finding.found
            assert "\n" not in finding.found + finding.mend
            if section.title == "hooks" and finding.health is Health.WARN:
                assert finding.mend, finding.name


def test_the_report_of_a_kernel_that_refuses_says_what_to_use_instead() -> None:
    """Everything is refused; the essential is a failure."""
    probes = Probes(Answering(errno.EPERM), rights=ROOT)
    report = examine(probes.kernel, probes=probes)
    assert report.health is Health.FAIL
    assert report.find("fentry") == Finding(
        "fentry",
        Health.WARN,
        "policy of this kernel refuses fentry programs (EPERM, with nothing in the log)",
        "use tp_btf, raw_tp or a tracepoint near it",
    )


def test_the_report_without_rights_fails_at_the_capability_and_tells_the_rest_apart() -> None:
    """What could not be told is no warning."""
    probes = Probes(Answering(errno.EPERM), rights=Rights(frozenset(), ALL, unprivileged_bpf_disabled=2))
    report = examine(probes.kernel, probes=probes)
    assert report.find("CAP_BPF") == Finding(
        "CAP_BPF", Health.FAIL, "not held; needed to load programs and maps", "run it as root (sudo)"
    )
    assert report.find("xdp") == Finding(
        "xdp",
        Health.UNKNOWN,
        "this process lacks CAP_BPF and CAP_NET_ADMIN, and kernel.unprivileged_bpf_disabled is 2",
        "run it as root (sudo)",
    )


def test_the_report_of_a_locked_kernel_says_so() -> None:
    """Mode confidentiality."""
    probes = Probes(KERNEL, rights=ROOT._replace(lockdown="confidentiality", security_modules=("lockdown",)))
    report = examine(KERNEL, probes=probes)
    mode = report.find("mode")
    assert mode is not None
    assert (mode.health, mode.mend) == (
        Health.WARN,
        "boot without lockdown=confidentiality, or with Secure Boot off",
    )
    assert report.find("nothing of the kind") is None


def test_the_report_without_proc_blames_nobody() -> None:
    """Capabilities that cannot be told are no missing ones."""
    probes = Probes(KERNEL, rights=Rights(None, None))
    assert examine(KERNEL, probes=probes).find("CAP_BPF") == Finding(
        "CAP_BPF", Health.UNKNOWN, "/proc does not tell", "mount -t proc proc /proc"
    )
