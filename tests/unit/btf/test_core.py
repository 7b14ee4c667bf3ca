"""CO-RE relocations against kernels that were built for the purpose."""

from __future__ import annotations

import pytest

from ebee.btf import Btf
from ebee.btf.core import Answer, CoreKind, Matcher, describe
from ebee.btf.ext import CoreRelocation
from ebee.btf.types import Member
from ebee.errors import RelocationError
from tests.unit.btf.builder import Builder

OFFSET, SIZE, EXISTS = CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_BYTE_SIZE, CoreKind.FIELD_EXISTS
SIGNED, LEFT, RIGHT = CoreKind.FIELD_SIGNED, CoreKind.FIELD_LSHIFT_U64, CoreKind.FIELD_RSHIFT_U64


def task(name: str = "task", *, pid: int = 0, size: int = 4, signed: bool = True) -> tuple[Builder, int]:
    """struct task { int pid at a byte offset; char comm[4]; struct task *parent; }"""
    types = Builder()
    number, char = types.integer("number", size, signed=signed), types.char()
    comm, parent = types.array(char, 4), types.pointer(5)
    members = Member("pid", number, 8 * pid), Member("comm", comm, 64), Member("parent", parent, 128)
    return types, types.struct(name, 64, *members)


def ask(local: tuple[Builder, int], target: Builder | Btf, kind: CoreKind, access: str = "0") -> Answer:
    types, type_id = local
    kernel = target.btf() if isinstance(target, Builder) else target
    return Matcher(types.btf(), [kernel]).resolve(CoreRelocation(0, type_id, access, kind))


def test_a_field_that_moved_is_found_where_it_is() -> None:
    answer = ask(task(), task(pid=40)[0], OFFSET, "0:0")
    assert (answer.value, answer.expected, answer.poison) == (40, 0, "")
    assert answer.what == "struct task.pid (0:0)"


def test_an_element_of_an_array_adds_its_offset() -> None:
    assert ask(task(), task(pid=40)[0], OFFSET, "0:1:3").value == 11
    assert ask(task(), task(pid=40)[0], OFFSET, "2:0").value == 168


def test_flavours_are_left_out_on_both_sides() -> None:
    assert ask(task("task___mine"), task("task___theirs", pid=12)[0], OFFSET, "0:0").value == 12


@pytest.mark.parametrize(
    ("size", "signed", "resizable"), [(8, False, True), (8, True, False), (2, False, True)]
)
def test_only_unsigned_integers_may_be_read_at_another_size(size: int, signed: bool, resizable: bool) -> None:
    answer = ask(task(signed=False), task(size=size, signed=signed)[0], OFFSET, "0:0")
    assert (answer.local_size_bytes, answer.target_size_bytes) == (4, size)
    assert answer.resize == (
        ""
        if resizable
        else "struct task.pid (0:0): the kernel's field has 8 bytes, expected 4; only pointers and unsigned "
        "integers can be read at another size"
    )


def test_size_sign_and_shifts_of_a_field_are_the_kernels() -> None:
    kernel = task(size=2, signed=False)[0]
    values = [ask(task(), kernel, kind, "0:0").value for kind in (SIZE, SIGNED, LEFT, RIGHT, EXISTS)]
    assert values == [2, 0, 48, 48, 1]


@pytest.mark.parametrize(("order", "shift"), [("little", 64 - 15), ("big", 8 * 4 + 8)])
def test_a_field_that_became_a_bit_field_is_read_as_the_bytes_around_it(order: str, shift: int) -> None:
    types = Builder()
    u32 = types.integer("u32", 4)
    types.struct("task", 8, Member("pid", u32, 40, 7))
    kernel = types.btf("big" if order == "big" else "little")
    answer = ask(task(), kernel, OFFSET, "0:0")
    assert (answer.value, answer.expected) == (4, 0)
    assert answer.resize == (
        "struct task.pid (0:0): it is a bit field in the kernel, and the instruction reads or writes "
        "whole bytes"
    )
    assert [ask(task(), kernel, kind, "0:0").value for kind in (SIZE, LEFT, RIGHT)] == [4, shift, 57]


def test_a_bit_field_across_its_type_is_read_at_twice_the_size() -> None:
    types = Builder()
    types.struct("task", 8, Member("pid", types.integer("u32", 4), 28, 8))
    assert ask(task(), types, SIZE, "0:0").value == 8


def test_a_field_in_anonymous_members_is_found() -> None:
    types = Builder()
    s32 = types.integer("s32", 4, signed=True)
    inner = types.struct("", 8, Member("other", s32, 0), Member("pid", s32, 32))
    union = types.union("", 8, Member("", inner, 0))
    types.struct("task", 16, Member("first", s32, 0), Member("", union, 64))
    assert ask(task(), types, OFFSET, "0:0").value == 12


def test_a_flexible_array_at_the_end_has_any_element() -> None:
    kernel = Builder()
    char = kernel.char()
    kernel.struct(
        "task", 8, Member("pid", kernel.integer("n", 4), 0), Member("comm", kernel.array(char, 0), 64)
    )
    assert ask(task(), kernel, OFFSET, "0:1:3").value == 11


def shrunk() -> Builder:
    types = Builder()
    char, u32 = types.char(), types.integer("u32", 4)
    types.struct("task", 8, Member("comm", types.array(char, 2), 0), Member("ppid", u32, 32))
    return types


def pointing() -> Builder:
    types = Builder()
    types.struct("task", 8, Member("pid", types.pointer(), 0))
    return types


def otherwise() -> Builder:
    types = Builder()
    types.typedef("task", types.integer("int", 4))
    return types


@pytest.mark.parametrize(
    ("kernel", "access", "reason"),
    [
        (
            shrunk(),
            "0:0",
            "struct task.pid (0:0): the kernel's struct task has no member 'pid' (nearest: ppid)",
        ),
        (
            shrunk(),
            "0:1:3",
            "struct task.comm[3] (0:1:3): the kernel's array has 2 elements, expected more than 3",
        ),
        (shrunk(), "0:2", "struct task.parent (0:2): the kernel's struct task has no member 'parent'"),
        (
            pointing(),
            "0:0",
            "struct task.pid (0:0): member 'pid' of the kernel's struct task is a pointer, expected number",
        ),
        (Builder(), "0:0", "struct task.pid (0:0): the kernel has no struct task"),
        (otherwise(), "0:0", "struct task.pid (0:0): the kernel has no struct task, but a typedef task"),
    ],
)
def test_what_the_kernel_has_not_is_poison_with_a_reason(kernel: Builder, access: str, reason: str) -> None:
    assert ask(task(), kernel, OFFSET, access).poison == reason
    exists = ask(task(), kernel, EXISTS, access)
    assert (exists.value, exists.poison) == (0, "")


def test_types_of_one_name_that_agree_are_one() -> None:
    kernel = task(pid=4)[0]
    kernel.struct("task___b", 64, Member("pid", 1, 32))
    assert ask(task(), kernel, OFFSET, "0:0").value == 4


def test_types_of_one_name_that_disagree_are_an_error() -> None:
    kernel = task(pid=4)[0]
    kernel.struct("task", 64, Member("pid", 1, 64))
    with pytest.raises(RelocationError) as caught:
        ask(task(), kernel, OFFSET, "0:0")
    assert str(caught.value) == (
        "CO-RE, struct task.pid (0:0): the kernel has several types of that name that disagree: struct task "
        "[5] and [6] give 4 and 8"
    )


def test_a_field_that_one_candidate_has_rules_out_the_others() -> None:
    kernel, type_id = task(pid=4)
    kernel.struct("task", 64, Member("pid", 1, 64))
    local, _ = task()
    matcher = Matcher(local.btf(), [kernel.btf()])
    assert matcher.resolve(CoreRelocation(0, type_id, "0:2", EXISTS)).value == 1
    assert matcher.resolve(CoreRelocation(0, type_id, "0:0", OFFSET)).value == 4


def test_modules_are_asked_where_vmlinux_has_no_such_type() -> None:
    local, type_id = task()
    relocation = CoreRelocation(0, type_id, "0:0", OFFSET)
    module, vmlinux = task(pid=20)[0].btf(), task(pid=4)[0].btf()
    assert Matcher(local.btf(), [Builder().btf(), module]).resolve(relocation).value == 20
    assert Matcher(local.btf(), [vmlinux, module]).resolve(relocation).value == 4


def test_a_whole_type_is_found_measured_and_named() -> None:
    kernel = Builder()
    kernel.integer("unrelated", 4)
    type_id = kernel.struct("task", 48)
    kinds = [CoreKind.TYPE_EXISTS, CoreKind.TYPE_SIZE, CoreKind.TYPE_ID_TARGET, CoreKind.TYPE_ID_LOCAL]
    assert [ask(task(), kernel, kind).value for kind in kinds] == [1, 48, type_id, 5]
    assert [ask(task(), Builder(), kind).value for kind in kinds] == [0, 0, 0, 5]
    assert ask(task(), Builder(), CoreKind.TYPE_SIZE).poison == ""


def test_type_matches_looks_at_every_member() -> None:
    grown = task(pid=40)[0]
    assert ask(task(), grown, CoreKind.TYPE_MATCHES).value == 1
    assert ask(task(), task(size=8)[0], CoreKind.TYPE_MATCHES).value == 0
    assert ask(task(), task(signed=False)[0], CoreKind.TYPE_MATCHES).value == 0
    assert ask(task(), shrunk(), CoreKind.TYPE_MATCHES).value == 0


def pointer_to(kind: str) -> tuple[Builder, int]:
    """typedef of a pointer to struct s: whole, or declared only; or to a union s"""
    types = Builder()
    made = {"struct": lambda: types.struct("s", 4), "union": lambda: types.union("s", 4)}
    inner = made[kind]() if kind in made else types.forward("s", union=kind == "declared union")
    return types, types.typedef("handle", types.pointer(inner))


def test_behind_a_pointer_a_declaration_matches_its_kind() -> None:
    def matches(local: str, target: str) -> int:
        return ask(pointer_to(local), pointer_to(target)[0], CoreKind.TYPE_MATCHES).value

    assert matches("struct", "declared") == matches("declared", "struct") == matches("struct", "struct") == 1
    assert matches("union", "declared union") == matches("declared union", "union") == 1
    assert matches("union", "declared") == matches("struct", "union") == matches("declared", "union") == 0


def test_function_types_are_compared_by_their_parameters() -> None:
    def callback(count: int) -> tuple[Builder, int]:
        types = Builder()
        number = types.integer("int", 4, signed=True)
        return types, types.typedef("callback", types.pointer(types.prototype(number, *[number] * count)))

    for kind in (CoreKind.TYPE_EXISTS, CoreKind.TYPE_MATCHES):
        assert ask(callback(2), callback(2)[0], kind).value == 1
        assert ask(callback(2), callback(1)[0], kind).value == 0


def test_enumerators_have_the_kernels_values_whatever_their_width() -> None:
    local, kernel = Builder(), Builder()
    local_id = local.enum("mode___mine", OFF=0, ON___new=1, GONE=2)
    kernel.enum("mode", 8, wide=True, ON=1 << 40, OFF=9)
    value, exists = CoreKind.ENUMVAL_VALUE, CoreKind.ENUMVAL_EXISTS
    assert [ask((local, local_id), kernel, value, index).value for index in "01"] == [9, 1 << 40]
    assert [ask((local, local_id), kernel, exists, index).value for index in "012"] == [1, 1, 0]
    assert ask((local, local_id), kernel, value, "2").poison == (
        "enum mode___mine.GONE: the kernel's enum mode has no 'GONE' (nearest: ON)"
    )


@pytest.mark.parametrize(
    ("kind", "access", "message"),
    [
        (99, "0", "CO-RE: relocation kind 99, expected one up to 12"),
        (OFFSET, "0:x", "CO-RE: path '0:x', expected numbers with colons between"),
        (OFFSET, "0:9", "CO-RE: path 0:9 leads nowhere in struct task, expected a member"),
        (OFFSET, "0:1:4", "CO-RE: path 0:1:4 leads nowhere in struct task, expected a member"),
        (CoreKind.TYPE_SIZE, "1", "CO-RE: path 1 leads nowhere in struct task, expected a whole type"),
        (CoreKind.ENUMVAL_VALUE, "0", "CO-RE: path 0 leads nowhere in struct task, expected an enumerator"),
    ],
)
def test_a_relocation_that_contradicts_the_object_is_an_error(kind: int, access: str, message: str) -> None:
    local, type_id = task()
    with pytest.raises(RelocationError) as caught:
        Matcher(local.btf(), [task()[0].btf()]).resolve(CoreRelocation(0, type_id, access, kind))
    assert str(caught.value) == message


def test_a_type_without_a_name_cannot_be_looked_for() -> None:
    types = Builder()
    type_id = types.struct("", 4, Member("x", types.integer("int", 4), 0))
    with pytest.raises(RelocationError) as caught:
        ask((types, type_id), Builder(), CoreKind.TYPE_SIZE)
    assert str(caught.value) == "CO-RE, struct (anonymous): the type has no name, expected one to look for"


def test_a_relocation_is_described_in_names() -> None:
    types, type_id = task()
    btf = types.btf()
    assert describe(btf, CoreRelocation(0, type_id, "1:1:2", OFFSET)) == "struct task[1].comm[2] (1:1:2)"
    assert describe(btf, CoreRelocation(0, type_id, "0", CoreKind.TYPE_SIZE)) == "struct task"
    assert describe(btf, CoreRelocation(0, type_id, "7:7", OFFSET)) == f"type {type_id} (7:7)"


def test_anonymous_members_that_double_at_each_level_are_searched_once() -> None:
    kernel = Builder()
    inner = kernel.integer("int", 4)
    for level in range(200):
        inner = kernel.struct("task" if level == 199 else "", 4, Member("", inner, 0), Member("", inner, 0))
    assert "has no member 'pid'" in ask(task(), kernel, OFFSET, "0:0").poison
