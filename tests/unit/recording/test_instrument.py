"""Programs that note what they see: what is changed in an object, and what stays."""

from __future__ import annotations

import copy
import sys

import pytest

from ebee.errors import SpecError
from ebee.recording.hooks import HookFacts
from ebee.recording.instrument import Filter, instrument, scratch_name
from ebee.relocate import link
from ebee.spec import MapReference, ObjectSpec, Pinning
from ebee.spec.programs import FunctionReference
from tests.support.objects import spec_of

ONE = """
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u32); __type(value, __u64);
         __uint(pinning, LIBBPF_PIN_BY_NAME); } seen SEC(".maps");
static __attribute__((noinline)) long name(char *to, const void *from)
{ return bpf_probe_read_kernel_str(to, 16, from); }
SEC("raw_tp/sched_process_exec") int one(void *ctx)
{
    char text[16] = {};
    __u64 now = bpf_ktime_get_ns();
    __u32 pid = bpf_get_current_pid_tgid();
    if (name(text, (void *)pid) > 0) bpf_printk("%s", text);
    bpf_map_update_elem(&seen, &pid, &now, 0);
    return 0;
}
"""
TWO = ONE + 'SEC("raw_tp/sys_enter") int two(void *ctx) { return bpf_get_prandom_u32() & 1; }'


def recorded(text: str, wanted: Filter | None = None) -> ObjectSpec:
    """Return an object with the recorder's calls in all its programs."""
    spec = spec_of(text)
    called = {name for item in spec.maps.values() for name in item.initial.values()}
    hooks = [(p, HookFacts(24)) for name, p in spec.programs.items() if name not in called]
    return instrument(spec, hooks, wanted)


def names(spec: ObjectSpec, program: str) -> list[str]:
    """Return the functions that a program consists of, once it is linked."""
    return [name for _, name in link(spec.programs[program].function, spec.functions).names]


def test_helpers_that_read_are_called_through_the_recorder() -> None:
    """Also by functions of the program's; a print says nothing."""
    assert names(recorded(ONE), "one") == [
        "one@entry@0",
        "ebee_begin@0",
        "one@0",
        "ebee_end@0",
        "ebee_ktime_get_ns@0",
        "name@0",
        "ebee_trace_printk@0",
        "ebee_probe_read_kernel_str@0",
    ]


def test_helpers_that_do_not_read_stay() -> None:
    """Those of maps, and what is recorded of every event anyway."""
    before, after = spec_of(ONE).functions["one"], recorded(ONE).functions["one@0"]
    plain = [i.imm for i in after.instructions if i.opcode == 0x85 and i.src == 0]
    assert plain == [14, 2]
    assert len(before.instructions) == len(after.instructions)


def test_each_program_has_its_own_copies() -> None:
    """With maps of its own; the ring buffer is one for all."""
    spec = recorded(TWO)
    assert names(spec, "two") == [
        "two@entry@1",
        "ebee_begin@1",
        "two@1",
        "ebee_end@1",
        "ebee_get_prandom_u32@1",
    ]
    used = {
        reference.map_name
        for name, function in spec.functions.items()
        if name.endswith("@1")
        for reference in function.references
        if isinstance(reference, MapReference)
    }
    assert {"ebee.events", "ebee.scratch@1", "ebee.rodata@1"} <= used
    assert not used & {"ebee.scratch@0", "ebee.rodata@0"}
    assert scratch_name(1) == "ebee.scratch@1"


def test_facts_are_read_only_data() -> None:
    """The verifier knows them, and what is filtered by them costs nothing where nothing is."""
    spec = recorded(ONE, Filter((7, 8), skipped_tgid=9, pid=10, comm=b"ls"))
    contents = spec.maps["ebee.rodata@0"].contents
    assert contents is not None
    numbers = [int.from_bytes(contents[place : place + 4], sys.byteorder) for place in range(0, 56, 4)]
    assert numbers == [0, 0, 24, 0, 0, 0, 0, 0, 7, 0, 8, 0, 9, 10]
    assert contents[56:] == b"ls".ljust(16, b"\0")
    assert spec.maps["ebee.rodata@0"].frozen


def test_nothing_stays_pinned() -> None:
    """A recording leaves nothing behind."""
    assert spec_of(ONE).maps["seen"].pinning is Pinning.BY_NAME
    assert recorded(ONE).maps["seen"].pinning is Pinning.NONE


def test_the_object_itself_is_not_changed() -> None:
    """The same spec is loaded later."""
    spec = spec_of(ONE)
    before = copy.deepcopy((spec.functions, spec.programs, spec.maps, spec.btf_data))
    instrument(spec, [(spec.programs["one"], HookFacts(24))])
    assert (spec.functions, spec.programs, spec.maps, spec.btf_data) == before


def test_the_users_program_becomes_a_static_function() -> None:
    """The verifier checks a global one by its prototype, without the context that it gets."""
    spec = recorded(ONE)
    assert spec.btf is not None
    body = spec.btf.type(spec.functions["one@0"].type_id)
    entry = spec.btf.type(spec.functions["one@entry@0"].type_id)
    own = spec.btf.type(spec.functions["ebee_begin@0"].type_id)
    assert [(found.name, found.linkage) for found in (entry, body, own)] == [
        ("one", 1),
        ("one", 0),
        ("ebee_begin", 0),
    ]


def test_every_function_has_a_line_at_its_begin() -> None:
    """The kernel takes line info for all functions or for none."""
    spec = recorded(ONE)
    assert all(function.lines[0].slot == 0 for function in spec.functions.values())


def test_a_program_that_is_reached_by_tail_calls_goes_on_with_its_callers_event() -> None:
    """It has no begin and no end of its own."""
    text = """
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4);
             __array(values, int (void *)); } jumps SEC(".maps") = { .values = { (void *)&behind } };
    """
    behind = 'SEC("raw_tp/sys_enter") int behind(void *ctx) { return bpf_ktime_get_ns() & 1; }'
    first = 'SEC("raw_tp/sys_enter") int first(void *ctx) { bpf_tail_call(ctx, &jumps, 0); return 0; }'
    spec = recorded(behind + text + first)
    assert names(spec, "behind") == ["behind@0", "ebee_ktime_get_ns@0"]
    with pytest.raises(SpecError) as caught:
        recorded(behind + text + first + first.replace("int first", "int other"))
    assert str(caught.value) == (
        "record behind: it is reached by tail calls in an object with 2 hooks, expected one, "
        "so that it is known whose event it goes on with"
    )
    assert caught.value.hint == "put the program with its tail calls into a file of its own"


def test_calls_are_references_that_linking_fills_in() -> None:
    """As those of the program's own functions."""
    found = [r for r in recorded(ONE).functions["one@0"].references if isinstance(r, FunctionReference)]
    assert [reference.function for reference in found] == [
        "ebee_ktime_get_ns@0",
        "name@0",
        "ebee_trace_printk@0",
    ]
