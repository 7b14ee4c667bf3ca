"""Objects become specs."""

from __future__ import annotations

import pytest

from ebee.abi.bpf import F_MMAPABLE, F_RDONLY_PROG, AttachType, MapType, ProgType
from ebee.errors import FormatError, SpecError, UnsupportedConstructError
from ebee.objfile import read_object
from ebee.spec import AttachPoint, Pinning
from tests.support.objects import HELLO, PRELUDE, compiled, elf_file, spec_of


def test_hello_has_one_program_two_data_maps_and_a_variable() -> None:
    """The classic gives what a learner sees in `prog show` and `map list`."""
    spec = read_object(compiled(HELLO, "hello.bpf.c"), "dir/hello.bpf.c")
    assert spec.name == "hello"
    assert spec.license == "Dual BSD/GPL"
    assert [(p.name, p.type, p.section) for p in spec.programs.values()] == [("hello", ProgType.XDP, "xdp")]
    assert {m.name: (m.kernel_name, m.frozen) for m in spec.maps.values()} == {
        ".bss": ("hello.bss", False),
        ".rodata": ("hello.rodata", True),
    }
    assert spec.variables["counter"].value == 0
    assert spec.maps[".bss"].flags == F_MMAPABLE


def test_reading_twice_gives_the_same_spec() -> None:
    """The same bytes give the same functions and maps."""
    data = compiled(HELLO, "hello.bpf.c")
    one, two = read_object(data, "hello.o"), read_object(data, "hello.o")
    assert one.functions == two.functions
    assert one.maps == two.maps
    assert one.btf_data == two.btf_data


def test_declared_maps_carry_every_number() -> None:
    """Types, sizes, flags and pinning come from the declaration's types."""
    spec = spec_of("""
        struct event { int pid; char comm[16]; };
        struct {
            __uint(type, BPF_MAP_TYPE_LRU_HASH);
            __uint(max_entries, 128);
            __type(key, __u64);
            __type(value, struct event);
            __uint(map_flags, BPF_F_NO_COMMON_LRU);
            __uint(pinning, LIBBPF_PIN_BY_NAME);
        } events SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); } perf SEC(".maps");
    """)
    events = spec.maps["events"]
    assert (events.type, events.max_entries, events.key_size_bytes, events.value_size_bytes) == (
        *(MapType.LRU_HASH, 128, 8, 20),
    )
    assert events.flags == 2
    assert events.pinning is Pinning.BY_NAME
    assert spec.btf is not None
    assert spec.btf.type(events.value_type_id).name == "event"
    assert (spec.maps["ring"].key_size_bytes, spec.maps["ring"].max_entries) == (0, 4096)
    assert (spec.maps["perf"].key_size_bytes, spec.maps["perf"].value_size_bytes) == (4, 4)


def test_slots_of_maps_of_maps_and_program_arrays_name_what_they_begin_with() -> None:
    """Initialisers of `values` are kept by index and name."""
    spec = spec_of("""
        struct inner {
            __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4);
            __type(key, int); __type(value, long);
        } one SEC(".maps"), two SEC(".maps");
        struct {
            __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 3); __type(key, int);
            __array(values, struct inner);
        } outer SEC(".maps") = { .values = { [0] = &one, [2] = &two } };
        int tail(struct xdp_md *ctx);
        struct {
            __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4);
            __array(values, int (void *));
        } jumps SEC(".maps") = { .values = { [1] = (void *)&tail } };
        SEC("xdp") int tail(struct xdp_md *ctx) { return XDP_DROP; }
    """)
    assert spec.maps["outer"].initial == {0: "one", 2: "two"}
    assert spec.maps["outer"].inner is not None
    assert spec.maps["outer"].inner.max_entries == 4
    assert spec.maps["jumps"].initial == {1: "tail"}


def test_variables_have_places_types_and_first_values() -> None:
    """Globals of .data, .bss and .rodata are found, and their first values can be set."""
    spec = spec_of("""
        const volatile int limit = 7;
        int started = 1;
        __u64 seen[4];
        char name[8] = "abc";
        SEC("xdp") int count(struct xdp_md *ctx) { seen[1] += started + name[0]; return limit; }
    """)
    values = {name: item.value for name, item in spec.variables.items()}
    assert values == {"limit": 7, "started": 1, "seen": [0, 0, 0, 0], "name": "abc"} | {
        name: value for name, value in values.items() if "." in name
    }
    assert spec.variables["limit"].read_only
    assert spec.maps[".rodata"].flags & F_RDONLY_PROG
    spec.variables["limit"].value = 9
    assert spec.variables["limit"].value == 9


def test_static_functions_beside_a_program_are_its_subprograms() -> None:
    """A static function in a program's own section is code, not a program."""
    spec = spec_of("""
        static __noinline int helper(struct xdp_md *ctx) { return ctx->rx_queue_index; }
        SEC("xdp") static __noinline int beside(struct xdp_md *ctx) { return ctx->ingress_ifindex; }
        SEC("xdp") int main_program(struct xdp_md *ctx) { return helper(ctx) + beside(ctx); }
    """)
    assert list(spec.programs) == ["main_program"]
    assert set(spec.functions) == {"helper", "beside", "main_program"}


@pytest.mark.parametrize(
    ("section", "program_type", "attach_type", "point"),
    [
        ("xdp", ProgType.XDP, AttachType.XDP, None),
        (
            "tracepoint/sched/sched_switch",
            *(ProgType.TRACEPOINT, 0, AttachPoint("tracepoint", "sched:sched_switch")),
        ),
        ("tp/sched/sched_switch", ProgType.TRACEPOINT, 0, AttachPoint("tracepoint", "sched:sched_switch")),
        ("raw_tp/sched_switch", ProgType.RAW_TRACEPOINT, 0, AttachPoint("raw_tp", "sched_switch")),
        (
            "tp_btf/sched_switch",
            *(ProgType.TRACING, AttachType.TRACE_RAW_TP, AttachPoint("tp_btf", "sched_switch")),
        ),
        ("socket", ProgType.SOCKET_FILTER, 0, None),
        ("cgroup_skb/egress", ProgType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, None),
        ("raw_tp/", ProgType.RAW_TRACEPOINT, 0, None),
    ],
)
def test_sections_tell_program_type_attach_type_and_place(
    section: str, program_type: ProgType, attach_type: int, point: AttachPoint | None
) -> None:
    """SEC() means what it means everywhere."""
    program = spec_of(f'SEC("{section}") int it(void *ctx) {{ return 0; }}').programs["it"]
    assert (program.type, program.expected_attach_type, program.auto_attach) == (
        *(program_type, attach_type, point),
    )


def test_a_question_mark_means_not_loaded_by_itself() -> None:
    """SEC("?xdp") is an XDP program that is loaded when it is asked for."""
    program = spec_of('SEC("?xdp") int it(void *ctx) { return 0; }').programs["it"]
    assert program.type is ProgType.XDP
    assert not program.autoload


def test_an_object_for_another_machine_says_which() -> None:
    """An ordinary .o is the commonest mistake."""
    with pytest.raises(FormatError) as caught:
        read_object(elf_file([(".text", 1, 6, bytes(8))], machine=62), "main.o")
    assert str(caught.value) == "object main.o: for machine x86-64, expected BPF"
    assert caught.value.hint == "compile it with `ebee compile`, or with clang's -target bpf"


def test_old_style_maps_say_how_to_write_them_now() -> None:
    """The `maps` section of old examples is refused with the way out."""
    with pytest.raises(UnsupportedConstructError) as caught:
        spec_of("""
            struct bpf_map_def { unsigned int type, key_size, value_size, max_entries, map_flags; };
            struct bpf_map_def SEC("maps") old = { 2, 4, 8, 1, 0 };
            SEC("xdp") int it(void *ctx) { int k = 0; return bpf_map_lookup_elem(&old, &k) != 0; }
        """)
    assert str(caught.value) == (
        "object test.bpf.c: map old is defined in the old section 'maps', expected '.maps'"
    )


@pytest.mark.parametrize(
    ("members", "message", "hint"),
    [
        ("__type(key, int);", "map m: no type", "write __uint(type, BPF_MAP_TYPE_…)"),
        (
            "__uint(type, 1); __uint(max_entry, 3);",
            "map m: member 'max_entry' is not known",
            "did you mean 'max_entries'?",
        ),
        ("__uint(type, 9999);", "map m: type 9999 is not known", None),
        ("__uint(type, 1); int max_entries;", "map m: member 'max_entries' carries no number", None),
        (
            "__uint(type, 1); __uint(key_size, 8); __type(key, int);",
            "map m: key_size is 8, but its type has 4 bytes",
            "leave key_size out",
        ),
    ],
)
def test_wrong_map_declarations_name_the_map_and_the_member(
    members: str, message: str, hint: str | None
) -> None:
    """A slip in a declaration is found before the kernel sees it."""
    with pytest.raises(SpecError) as caught:
        spec_of(f'struct {{ {members} }} m SEC(".maps");')
    assert str(caught.value) == message
    if hint is not None:
        assert caught.value.hint == hint


def test_without_types_maps_cannot_be_read() -> None:
    """An object compiled without -g says so."""
    from ebee.clang import CompileOptions, compile_c
    from ebee.source import SourceText

    text = PRELUDE + 'struct { __uint(type, 1); } m SEC(".maps");'
    data = compile_c(SourceText("m.bpf.c", text), options=CompileOptions(debug=False)).data
    with pytest.raises(SpecError) as caught:
        read_object(data, "m.o")
    assert str(caught.value) == "object m.o: maps are declared in .maps, but there is no BTF of them"
    assert caught.value.hint == "compile with -g"
