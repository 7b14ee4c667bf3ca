"""Objects are loaded whole or not at all, and every refusal has its words."""

from __future__ import annotations

import errno
import warnings

import pytest

from ebee.abi.bpf import AttachType, ProgType
from ebee.asm import decode
from ebee.errors import (
    EbeeError,
    KernelError,
    MapError,
    Notice,
    NotSupportedError,
    RelocationError,
    SpecError,
)
from ebee.kernel.protocol import LoadAnswer, MapInfo
from ebee.loader import load
from ebee.maps import create_map
from ebee.relocate.references import MISSING_KFUNC_CALL
from ebee.spec import MapSpec
from tests.support.kernel import FIRST_FD, FakeKernel
from tests.support.objects import spec_of

_TWO = """
    int seen; const volatile int limit = 7;
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int); __type(value, int); }
        counts SEC(".maps");
    SEC("xdp") int one(struct xdp_md *ctx) { seen++; return limit; }
    SEC("socket") int two(struct __sk_buff *skb) { int k = 0; return bpf_map_lookup_elem(&counts, &k) != 0; }
    SEC("?raw_tp/sched_switch") int three(void *ctx) { return 0; }
"""


def test_types_come_first_then_maps_then_programs() -> None:
    """Each needs the descriptors of those before it."""
    kernel = FakeKernel()
    with load(spec_of(_TWO), kernel) as loaded:
        names = [name for name, _ in kernel.calls if name in ("btf_load", "map_create", "program_load")]
        assert names == ["btf_load", *["map_create"] * 3, *["program_load"] * 2]
        assert list(loaded.programs) == ["one", "two"]
        assert list(loaded.maps) == ["counts", ".rodata", ".bss"] or set(loaded.maps) == {
            *("counts", ".rodata", ".bss"),
        }
    assert kernel.open == {}


def test_closing_twice_gives_each_descriptor_back_once() -> None:
    """The fake kernel fails on a second close."""
    kernel = FakeKernel()
    loaded = load(spec_of(_TWO), kernel)
    loaded.close()
    loaded.close()
    assert kernel.open == {}


@pytest.mark.parametrize("failing", ["map_create", "map_update", "map_freeze"])
def test_a_map_that_fails_takes_back_all_before_it(failing: str) -> None:
    """Nothing stays in the kernel."""
    kernel = FakeKernel()
    kernel.failing[failing] = MapError("no", errno=22)
    with pytest.raises(MapError):
        load(spec_of(_TWO), kernel)
    assert kernel.open == {}


def test_a_program_that_is_refused_takes_back_all_before_it() -> None:
    """The first program is taken, the second is not."""
    kernel = FakeKernel()
    kernel.refusals = [LoadAnswer(0, 0, ""), *[LoadAnswer(-1, errno.EPERM, "")] * 3]
    with pytest.raises(KernelError):
        load(spec_of(_TWO), kernel)
    assert kernel.open == {}
    assert [what for name, what in kernel.calls if name == "close" and "program" in str(what)] == [
        "program one"
    ]


def test_programs_are_closed_before_maps_and_maps_before_types() -> None:
    """In the opposite order of their making."""
    kernel = FakeKernel()
    load(spec_of(_TWO), kernel).close()
    closed = [str(what).partition(" ")[0] for name, what in kernel.calls if name == "close"]
    assert closed == ["program", "program", "map", "map", "map", "btf"]


def test_a_log_that_does_not_fit_is_asked_for_with_more_room() -> None:
    """First without a log, then with 64 KiB, four times as much at ENOSPC, or as much as the kernel says."""
    kernel = FakeKernel()
    kernel.refusals = [
        LoadAnswer(-1, errno.EACCES, ""),
        LoadAnswer(-1, errno.ENOSPC, "R0 invalid"),
        LoadAnswer(-1, errno.ENOSPC, "R0 invalid", 1_000_000),
        LoadAnswer(-1, errno.EACCES, "0: R0 invalid mem access 'scalar'\n", 900_000),
    ]
    with pytest.raises(EbeeError):
        load(spec_of('SEC("socket") int it(void *ctx) { return 0; }'), kernel)
    asked = [(request.log_level, request.log_size_bytes) for request in kernel.asked("program_load")]
    assert asked == [(0, 0), (1, 1 << 16), (1, 1 << 18), (1, 1 << 20)]


def test_a_log_without_end_is_given_up_at_16_mib() -> None:
    """What was written until then is explained."""
    kernel = FakeKernel()
    kernel.refusals = [LoadAnswer(-1, errno.ENOSPC, "R0 invalid mem access 'scalar'\n")] * 20
    with pytest.raises(EbeeError):
        load(spec_of('SEC("socket") int it(void *ctx) { return 0; }'), kernel)
    assert max(request.log_size_bytes for request in kernel.asked("program_load")) == 1 << 24
    assert len(kernel.asked("program_load")) == 6


def test_kernels_that_do_not_know_the_attach_type_load_without() -> None:
    """XDP has one since 5.9 only."""
    kernel = FakeKernel()
    kernel.refusals = [LoadAnswer(-1, errno.E2BIG, "")]
    with load(spec_of('SEC("xdp") int it(void *ctx) { return 0; }'), kernel):
        types = [request.expected_attach_type for request in kernel.asked("program_load")]
    assert types == [AttachType.XDP, 0]


def test_types_that_the_kernel_refuses_are_said_and_left_out() -> None:
    """A kernel without this BTF loads the programs all the same."""
    kernel = FakeKernel()
    kernel.btf_errno = errno.EINVAL
    spec = spec_of(_TWO)
    with pytest.warns(Notice) as said:
        load(spec, kernel).close()
    assert [str(item.message) for item in said] == [
        "object test: this kernel does not take its types, so listings show none (Invalid name)"
    ]
    assert all(request.btf_fd == 0 for request in kernel.asked("map_create"))
    assert all(not request.func_info for request in kernel.asked("program_load"))


def test_types_refused_for_want_of_rights_are_not_spoken_of() -> None:
    """The first map or program says it better."""
    kernel = FakeKernel()
    kernel.btf_errno = errno.EPERM
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(spec_of(_TWO), kernel).close()


def test_a_program_that_is_not_there_is_named_with_the_nearest() -> None:
    """One name may be given as a string."""
    with pytest.raises(SpecError) as caught:
        load(spec_of(_TWO), FakeKernel(), programs="on")
    assert str(caught.value) == "object test: there is no program 'on'"
    assert caught.value.hint == "did you mean 'one'?"


def test_programs_behind_a_question_mark_are_loaded_when_named() -> None:
    """And nothing else is, then."""
    kernel = FakeKernel()
    with load(spec_of(_TWO), kernel, programs=["three"]) as loaded:
        assert [(p.name, p.type) for p in loaded.programs.values()] == [("three", ProgType.RAW_TRACEPOINT)]


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        ("xpd", "did you mean 'xdp'?"),
        ("xdp_drop", "did you mean 'xdp'?"),
        ("socket/first", "did you mean 'socket'?"),
        (
            "zzzzzzzz",
            'sections are such as SEC("xdp"), SEC("tracepoint/CATEGORY/NAME"), SEC("tp_btf/NAME")',
        ),
    ],
)
def test_an_unknown_section_is_named_with_the_nearest(section: str, hint: str) -> None:
    """Also those that were good before libbpf 1.0."""
    with pytest.raises(SpecError) as caught:
        load(spec_of(f'SEC("{section}") int it(void *ctx) {{ return 0; }}'), FakeKernel())
    assert str(caught.value) == f"program it: section '{section}' is not known"
    assert caught.value.hint == hint


_JUMPS = """
    int second(struct xdp_md *ctx);
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4);
             __array(values, int (void *)); } jumps SEC(".maps") = { .values = { [1] = (void *)&second } };
    SEC("?xdp") int second(struct xdp_md *ctx) { return 1; }
    SEC("xdp") int first(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 1); return 2; }
"""


def test_a_program_array_brings_the_programs_that_it_names() -> None:
    """Though they are not loaded by themselves, and only one other was asked for."""
    kernel = FakeKernel()
    with load(spec_of(_JUMPS), kernel, programs=["first"]) as loaded:
        assert set(loaded.programs) == {"first", "second"}
        slot = loaded.programs["second"].fd.to_bytes(4, "little")
        assert kernel.asked("map_update") == [("map jumps", (1).to_bytes(4, "little"), slot)]


def test_maps_of_maps_are_made_after_a_pattern_and_filled() -> None:
    """The pattern goes at once."""
    kernel = FakeKernel()
    spec = spec_of("""
        struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4);
                       __type(key, int); __type(value, long); } one SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 3); __type(key, int);
                 __array(values, struct inner); } outer SEC(".maps") = { .values = { [2] = &one } };
    """)
    with load(spec, kernel) as loaded:
        requests = {request.name: request for request in kernel.asked("map_create")}
        assert requests["outer"].inner_map_fd > FIRST_FD
        assert requests["outer"].inner_map_fd not in kernel.open
        assert kernel.asked("map_update") == [
            ("map outer", (2).to_bytes(4, "little"), loaded.maps["one"].fd.to_bytes(4, "little"))
        ]


def test_data_sections_are_filled_and_constants_frozen() -> None:
    """Sections of zeros need no writing."""
    kernel = FakeKernel()
    spec = spec_of(_TWO)
    spec.variables["limit"].value = 9
    with load(spec, kernel):
        assert kernel.asked("map_update") == [("map test.rodata", bytes(4), (9).to_bytes(4, "little"))]
        assert kernel.asked("map_freeze") == ["map test.rodata"]


def test_maps_of_the_callers_take_the_place_of_the_objects_and_stay_open() -> None:
    """They are checked, used and left alone."""
    kernel = FakeKernel()
    mine = create_map(kernel, MapSpec("mine", spec_of(_TWO).maps["counts"].type, 4, 4, 4))
    kernel.map_info = lambda fd: _info()  # type: ignore[method-assign]
    load(spec_of(_TWO), kernel, maps={"counts": mine}).close()
    assert list(kernel.open) == [mine.fd]
    mine.close()


def _info() -> MapInfo:
    return MapInfo(1, 1, "mine", 4, 4, 4, 0, 0, 0, 0, 0, 0, 0)


_WEAK = """
    extern void missing_function(void) __ksym __weak;
    extern const int missing_variable __ksym __weak;
    SEC("raw_tp/sched_switch") int it(void *ctx)
    {
        if (bpf_ksym_exists(missing_function)) missing_function();
        return &missing_variable ? 1 : 0;
    }
"""


def test_weak_externs_that_are_missing_become_zero() -> None:
    """So that a program can ask for them."""
    kernel = FakeKernel()
    with load(spec_of(_WEAK), kernel):
        code = decode(kernel.asked("program_load")[0].instructions)
    wide = [(code[i].src, code[i].imm, code[i + 1].imm) for i, item in enumerate(code) if item.opcode == 0x18]
    assert set(wide) == {(0, 0, 0)}
    assert [item.imm for item in code if item.opcode == 0x85] == [MISSING_KFUNC_CALL]


@pytest.mark.parametrize(
    ("declaration", "message", "hint"),
    [
        (
            "extern void nothing_like_this(void) __ksym;",
            "extern nothing_like_this: this kernel has no such kernel function",
            "declare it __weak to load without it",
        ),
        (
            "extern void nothing_like_this(void);",
            "extern nothing_like_this: not defined in this object, and not declared __ksym or __kconfig",
            "link the object that defines it into this one; if it is the kernel's, declare it so, "
            "and compile with -g",
        ),
    ],
)
def test_externs_that_are_missing_are_named(declaration: str, message: str, hint: str) -> None:
    """With the way out."""
    text = f'{declaration} SEC("raw_tp/sched_switch") int it(void *c) {{ nothing_like_this(); return 0; }}'
    with pytest.raises(RelocationError) as caught:
        load(spec_of(text), FakeKernel())
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_an_object_for_the_other_byte_order_says_so() -> None:
    """Before anything is asked of the kernel."""
    kernel = FakeKernel()
    spec = spec_of(_TWO)
    spec.byte_order = "big"
    with pytest.raises(SpecError) as caught:
        load(spec, kernel)
    assert str(caught.value) == (
        "object test: compiled for big-endian machines, and this one is little-endian"
    )
    assert kernel.calls == []


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("struct_ops/x", "program it: is of a struct of operations (struct_ops), which ebee cannot load yet"),
        (
            "freplace/x",
            "program it: replaces a function of another program, which ebee cannot load yet",
        ),
    ],
)
def test_kinds_of_programs_that_ebee_cannot_load_say_so(section: str, message: str) -> None:
    """Rather than let the kernel say EINVAL."""
    with pytest.raises(NotSupportedError) as caught:
        load(spec_of(f'SEC("{section}") int it(void *ctx) {{ return 0; }}'), FakeKernel())
    assert str(caught.value) == message


def test_a_tp_btf_program_for_no_tracepoint_names_the_nearest() -> None:
    """Before the kernel is asked."""
    with pytest.raises(RelocationError) as caught:
        load(spec_of('SEC("tp_btf/sched_swich") int it(void *ctx) { return 0; }'), FakeKernel())
    assert str(caught.value) == (
        "program it: this kernel has no tracepoint 'sched_swich' to attach section 'tp_btf/sched_swich' to"
    )
    assert caught.value.hint == "did you mean 'sched_switch'?"


def test_a_count_of_no_instructions_is_no_reason() -> None:
    """The verifier ends its log with it even when it was not asked."""
    kernel = FakeKernel()
    log = "processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    kernel.refusals = [LoadAnswer(-1, errno.EINVAL, log)] * 3
    with pytest.raises(NotSupportedError):
        load(spec_of('SEC("socket") int it(void *ctx) { return 0; }'), kernel)
