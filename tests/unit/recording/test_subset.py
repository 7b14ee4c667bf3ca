"""Those of the kernel's types that a program depends on, out of all there are."""

from __future__ import annotations

from ebee.btf import Kind, decode
from ebee.btf.encode import encode
from ebee.btf.types import Member, Parameter, Type
from ebee.recording.subset import needed_types
from ebee.relocate.core import apply_core_relocations
from ebee.spec import ObjectSpec
from tests.support.objects import spec_of

# The kernel's types, as they are numbered: struct task has an inner struct, a pointer, an array.
KERNEL = decode(
    encode(
        [
            Type(Kind.INT, "int", 4, bit_size=32),  # 1
            Type(Kind.STRUCT, "inner", 8, members=(Member("a", 1, 0), Member("b", 1, 32))),  # 2
            Type(Kind.STRUCT, "elsewhere", 4, members=(Member("x", 1, 0),)),  # 3
            Type(Kind.PTR, type_id=3),  # 4
            Type(Kind.ARRAY, type_id=1, index_type_id=1, length=4),  # 5
            Type(Kind.TYPEDEF, "inner_t", type_id=2),  # 6
            Type(
                Kind.STRUCT,
                "task",
                40,
                members=(
                    Member("pad", 5, 0),
                    Member("in", 6, 128),
                    Member("to", 4, 192),
                    Member("pid", 1, 256),
                ),
            ),  # 7
            Type(Kind.PTR, type_id=7),  # 8
            Type(
                Kind.FUNC_PROTO, parameters=(Parameter("", 4), Parameter("task", 8), Parameter("n", 1))
            ),  # 9
            Type(Kind.PTR, type_id=9),  # 10
            Type(Kind.TYPEDEF, "btf_trace_exec", type_id=10),  # 11
            Type(Kind.STRUCT, "unused", 4, members=(Member("x", 1, 0),)),  # 12
        ]
    )
)
PROGRAM = """
struct inner { int b; } __attribute__((preserve_access_index));
struct task { int pid; struct inner in; } __attribute__((preserve_access_index));
SEC("%s") int p(unsigned long long *ctx)
{
    struct task *task = (void *)ctx[0];
    int pid = 0;
    bpf_probe_read_kernel(&pid, 4, &task->pid);
    return pid;
}
"""


def names(data: bytes) -> set[str]:
    """Return the names of all types in a BTF section."""
    return {found.name for _, found in decode(data) if found.name}


def spec(section: str = "tracepoint/any/exec") -> ObjectSpec:
    """Return an object whose program asks for a field of struct task."""
    return spec_of(PROGRAM % section)


def test_a_struct_comes_with_what_lies_within_it() -> None:
    """And without what its pointers point at."""
    found = decode(needed_types(spec(), KERNEL))
    assert names(needed_types(spec(), KERNEL)) == {"task", "inner", "inner_t", "int"}
    task = found.type(found.find("task", Kind.STRUCT) or 0)
    assert [(member.name, member.bit_offset) for member in task.members] == [
        ("pad", 0),
        ("in", 128),
        ("to", 192),
        ("pid", 256),
    ]
    assert found.resolve(task.members[2].type_id)[1].type_id == 0


def test_relocations_come_to_the_same() -> None:
    """Which is what they are for."""
    function, local = spec().functions["p"], spec().btf
    assert local is not None
    some, all_types = decode(needed_types(spec(), KERNEL)), KERNEL
    assert apply_core_relocations(function, local, [some]) == apply_core_relocations(
        function, local, [all_types]
    )


def test_a_typed_tracepoint_comes_with_its_arguments() -> None:
    """Its programs are loaded by the name of its type."""
    found = decode(needed_types(spec("tp_btf/exec"), KERNEL))
    pointer = found.type(found.find("btf_trace_exec", Kind.TYPEDEF) or 0).type_id
    prototype = found.type(found.type(pointer).type_id)
    assert [parameter.name for parameter in prototype.parameters] == ["", "task", "n"]
    task = found.resolve(found.resolve(prototype.parameters[1].type_id)[1].type_id)[1]
    assert (task.name, task.size_bytes) == ("task", 40)


def test_a_raw_tracepoint_comes_with_the_same() -> None:
    """A typed program may run over its events."""
    plain = spec_of('SEC("raw_tp/exec") int p(void *c) { return 0; }')
    assert "btf_trace_exec" in names(needed_types(plain, KERNEL))


def test_a_program_that_asks_for_no_type_needs_none() -> None:
    """Nor where the kernel has none."""
    plain = spec_of('SEC("tracepoint/any/exec") int p(void *c) { return 0; }')
    assert needed_types(plain, KERNEL) == b""
    assert needed_types(spec(), None) == b""


def test_a_type_that_the_kernel_has_not_is_left_out() -> None:
    """The error comes where it is asked for."""
    other = spec_of(PROGRAM.replace("task", "tusk") % "tracepoint/any/exec")
    assert names(needed_types(other, KERNEL)) == set()


def test_a_tracepoint_of_a_module_is_there_without_its_arguments() -> None:
    """The module's types are elsewhere."""
    other = spec_of('SEC("raw_tp/of_module") int p(void *c) { return 0; }')
    found = decode(needed_types(other, KERNEL))
    typedef = found.type(found.find("btf_trace_of_module", Kind.TYPEDEF) or 0)
    assert found.type(typedef.type_id) == Type(Kind.PTR)
