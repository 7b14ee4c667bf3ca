"""What a hook hands its program: sizes, hidden bytes, strings behind the record."""

from __future__ import annotations

import pytest

from ebee.errors import SpecError
from ebee.host.tracefs import parse_format
from ebee.recording.hooks import HookFacts, hook_name, tracepoint_facts
from tests.support.objects import spec_of

COMMON = """\
name: any
ID: 1
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

"""


def facts(*fields: str, category: str = "any") -> HookFacts:
    """Return what a tracepoint of these fields hands its program."""
    return tracepoint_facts(
        category, parse_format(COMMON + "".join(f"\t{field}\n" for field in fields)).fields
    )


def test_a_record_ends_with_its_last_field() -> None:
    """Rounded up to 8 bytes, of which the first 8 are the kernel's own."""
    found = facts(
        "field:int a;	offset:8;	size:4;	signed:1;",
        "field:char b;	offset:12;	size:1;	signed:0;",
    )
    assert found[:3] == (16, 8, ())


def test_strings_lie_right_behind_the_fixed_part() -> None:
    """So that one is not rounded up."""
    found = facts(
        "field:__data_loc char[] name;	offset:8;	size:4;	signed:0;",
        "field:int a;	offset:12;	size:4;	signed:1;",
        "field:int b;	offset:16;	size:4;	signed:1;",
    )
    assert found[:3] == (20, 8, (8,))


def test_system_calls_have_numbers_alone() -> None:
    """Newer kernels show strings that programs do not get."""
    found = facts(
        "field:int __syscall_nr;	offset:8;	size:4;	signed:1;",
        "field:const char * filename;	offset:16;	size:8;	signed:0;",
        "field:__data_loc char[] __filename_val;	offset:24;	size:4;	signed:0;",
        category="syscalls",
    )
    assert found[:3] == (24, 8, ())


def test_a_tracepoint_without_fields_has_its_common_ones() -> None:
    """Nothing to be seen."""
    assert facts()[:3] == (8, 8, ())


def test_what_no_field_fills_is_known() -> None:
    """The kernel leaves there what lay there before."""
    found = facts(
        "field:int __syscall_nr;	offset:8;	size:4;	signed:1;",
        "field:const char * filename;	offset:16;	size:8;	signed:0;",
        "field:char last;	offset:24;	size:1;	signed:0;",
    )
    assert found.gaps() == [(12, 16), (25, 32)]
    assert HookFacts(24).gaps() == []


@pytest.mark.parametrize(
    ("section", "hook"),
    [
        ("tracepoint/sched/sched_switch", "tracepoint:sched:sched_switch"),
        ("tp/sched/sched_switch", "tracepoint:sched:sched_switch"),
        ("raw_tracepoint/sched_switch", "raw_tp:sched_switch"),
        ("tp_btf/sched_switch", "tp_btf:sched_switch"),
    ],
)
def test_hooks_are_called_as_attach_points_are(section: str, hook: str) -> None:
    """Whatever the section's spelling."""
    spec = spec_of(f'SEC("{section}") int p(void *c) {{ return 0; }}')
    assert hook_name(spec.programs["p"]) == hook


@pytest.mark.parametrize(
    ("section", "message", "hint"),
    [
        (
            "xdp",
            "record p: section 'xdp' is of type XDP, expected a tracepoint, raw_tp or tp_btf",
            "packets are recorded by tcpdump -w FILE.pcap, and run by: ebee run FILE --pcap FILE.pcap",
        ),
        (
            "kprobe/do_exit",
            "record p: section 'kprobe/do_exit' is of type KPROBE, expected a tracepoint, raw_tp or tp_btf",
            "many functions have a tracepoint or a raw tracepoint near by: ls /sys/kernel/tracing/events",
        ),
        (
            "fentry/do_exit",
            "record p: section 'fentry/do_exit' is of type TRACING, expected a tracepoint, raw_tp or tp_btf",
            "many functions have a tracepoint or a raw tracepoint near by: ls /sys/kernel/tracing/events",
        ),
        (
            "perf_event",
            "record p: section 'perf_event' is of type PERF_EVENT, expected a tracepoint, raw_tp or tp_btf",
            None,
        ),
        (
            "tracepoint",
            "record p: section 'tracepoint' does not say where the program goes",
            'such as SEC("tracepoint/sched/sched_process_exec")',
        ),
    ],
)
def test_what_cannot_be_recorded_is_told(section: str, message: str, hint: str | None) -> None:
    """With another way where there is one."""
    spec = spec_of(f'SEC("{section}") int p(void *c) {{ return 0; }}')
    with pytest.raises(SpecError) as caught:
        hook_name(spec.programs["p"])
    assert (str(caught.value), caught.value.hint) == (message, hint)
