"""CO-RE matching: what a relocation's value is on a given kernel.

A relocation names a type of the object's own BTF and a path within it. The answer is what the path
means in the kernel's BTF: an offset, a size, a type's id, an enumerator's value; or that there is no
such thing, and why.

Source: include/uapi/linux/bpf.h, enum bpf_core_relo_kind and struct bpf_core_relo;
Documentation/bpf/llvm_reloc.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from ebee.btf.btf import Btf
from ebee.btf.compatible import COMPOSITES, ENUMS, Comparison, essential_name, same_kind
from ebee.btf.types import IntEncoding, Kind, Member, Type
from ebee.errors import RelocationError
from ebee.record import NamedTuple
from ebee.text import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf.ext import CoreRelocation

_LONGEST_PATH = 64
_U64 = (1 << 64) - 1


class CoreKind(IntEnum):
    """What a relocation asks. The kernel's names are BPF_CORE_FIELD_BYTE_OFFSET and so on."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12

    @property
    def is_field(self) -> bool:
        """Whether it asks about a member."""
        return self <= CoreKind.FIELD_RSHIFT_U64

    @property
    def is_enumerator(self) -> bool:
        """Whether it asks about an enumerator."""
        return self in (CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE)


class Answer(NamedTuple):
    """What a relocation comes to.

    Attributes:
        what: the relocation in words: `struct task_struct.pid (0:3)`.
        value: what the instruction is to hold.
        expected: what the compiler put there; None where it could not know.
        poison: why there is no value, a sentence; empty where there is one.
        local_size_bytes, target_size_bytes: of the field, for an instruction that reads or writes it;
            0 where it is a bit field or no field.
        resize: why an instruction that reads or writes the field cannot be changed to the other size;
            empty where it can.
    """

    what: str
    value: int
    expected: int | None = None
    poison: str = ""
    local_size_bytes: int = 0
    target_size_bytes: int = 0
    resize: str = ""


class _Step(NamedTuple):
    """One step of a path: the member `number` of a struct, called `name`, or (no name) an array's index.

    Attributes:
        type_id: the struct whose member it is, or the type of the array's element.
    """

    type_id: int
    number: int
    name: str = ""


class _Path(NamedTuple):
    """A relocation's path in one BTF; the steps of anonymous members are left out."""

    btf: Btf
    root_id: int
    steps: tuple[_Step, ...] = ()
    bit_offset: int = 0


class _Missing(Exception):  # noqa: N818 - a word about the kernel, not an error
    """The target does not have it; says what it has."""


class _Value(NamedTuple):
    """A relocation's value in one BTF, and the size and type of the field that an instruction touches."""

    number: int
    certain: bool = True
    size_bytes: int = 0
    type: Type | None = None


class Matcher:
    """Answers relocations of one object against the kernel's types.

    Candidates of a type are looked up once. A relocation that only some of them satisfy rules the
    others out for those that follow, as libbpf does it; so one Matcher should serve a whole object.

    Args:
        local: the object's types.
        targets: the kernel's types: vmlinux first, then modules', asked where vmlinux has no type of
            the name.
    """

    def __init__(self, local: Btf, targets: Sequence[Btf]) -> None:
        self.local = local
        self.targets = tuple(targets)
        self._candidates: dict[int, list[tuple[Btf, int]]] = {}
        self._comparisons = [Comparison(local, target) for target in self.targets]

    def resolve(self, relocation: CoreRelocation) -> Answer:
        """Return what a relocation comes to.

        Raises:
            RelocationError: the relocation contradicts the object's own types, or several types of
                the kernel give different answers.
            FormatError: the BTF contradicts itself.
        """
        kind, path = _local_path(self.local, relocation)
        what = describe(self.local, relocation)
        if kind is CoreKind.TYPE_ID_LOCAL:
            return Answer(what, path.root_id)
        found, reasons = self._matches(kind, path, what)
        ours = _value(kind, path)
        if not found:
            return self._missing(kind, path, what, ours, reasons)
        answers = [_answer(what, ours, _value(kind, target)) for target in found]
        _check_agreement(what, found, answers)
        self._candidates[path.root_id] = [(target.btf, target.root_id) for target in found]
        return answers[0]

    def _matches(self, kind: CoreKind, path: _Path, what: str) -> tuple[list[_Path], list[str]]:
        """Return the path in every candidate that has it, and why the others have it not."""
        found: list[_Path] = []
        reasons: list[str] = []
        for target, type_id in self._candidates_of(path.root_id, what):
            try:
                found.append(self._match(kind, path, target, type_id))
            except _Missing as missing:
                reasons.append(str(missing))
        return found, reasons

    def _match(self, kind: CoreKind, path: _Path, target: Btf, type_id: int) -> _Path:
        comparison = self._comparisons[self.targets.index(target)]
        if kind.is_field:
            return _match_field(comparison, path, type_id)
        if kind.is_enumerator:
            return _match_enumerator(path, target, type_id)
        matches = kind is CoreKind.TYPE_MATCHES
        agree = comparison.types_match if matches else comparison.types_compatible
        if not agree(path.root_id, type_id):
            raise _Missing(f"the kernel's {_title(target, type_id)} has another shape")
        return _Path(target, type_id)

    def _missing(self, kind: CoreKind, path: _Path, what: str, ours: _Value, reasons: list[str]) -> Answer:
        expected = ours.number if ours.certain else None
        if kind in (CoreKind.FIELD_EXISTS, CoreKind.ENUMVAL_EXISTS) or not (
            kind.is_field or kind.is_enumerator
        ):
            return Answer(what, 0, expected)
        why = reasons[0] if reasons else self._no_type(path.root_id)
        return Answer(what, 0, expected, poison=f"{what}: {why}")

    def _no_type(self, type_id: int) -> str:
        wanted = self.local.type(type_id)
        for target in self.targets:
            for other in target.find_all(essential_name(wanted.name)):
                found = target.type(other)
                if found.kind in (Kind.TYPEDEF, *COMPOSITES, *ENUMS):
                    word = "typedef " if found.kind is Kind.TYPEDEF else ""
                    there = f"{word}{_title(target, other)}"
                    return f"the kernel has no {_title(self.local, type_id)}, but a {there}"
        return f"the kernel has no {_title(self.local, type_id)}"

    def _candidates_of(self, type_id: int, what: str) -> list[tuple[Btf, int]]:
        if type_id not in self._candidates:
            wanted = self.local.type(type_id)
            name = essential_name(wanted.name)
            if not name:
                raise RelocationError(f"CO-RE, {what}: the type has no name, expected one to look for")
            main = [hit for target in self.targets[:1] for hit in _named(target, name, wanted)]
            rest = [] if main else [h for target in self.targets[1:] for h in _named(target, name, wanted)]
            self._candidates[type_id] = main or rest
        return self._candidates[type_id]


def _named(target: Btf, name: str, wanted: Type) -> list[tuple[Btf, int]]:
    """Return a BTF's own types of a name, whatever their flavour, and of a kind."""
    return [
        (target, type_id)
        for type_id in target.find_flavours(name)
        if same_kind(wanted, target.type(type_id)) and essential_name(target.type(type_id).name) == name
    ]


# -- paths -----------------------------------------------------------------------------------------


def _local_path(local: Btf, relocation: CoreRelocation) -> tuple[CoreKind, _Path]:
    """Return a relocation's kind and its path in the object's own types."""
    try:
        kind = CoreKind(relocation.kind)
    except ValueError:
        raise RelocationError(
            f"CO-RE: relocation kind {relocation.kind}, expected one up to {max(CoreKind)}"
        ) from None
    numbers = _numbers(relocation.access)
    if kind.is_field:
        return kind, _field_path(local, relocation, numbers)
    if kind.is_enumerator:
        _, found = local.resolve(relocation.type_id)
        if found.kind not in ENUMS or len(numbers) != 1 or numbers[0] >= len(found.enumerators):
            raise _crooked(local, relocation, "an enumerator")
        step = _Step(relocation.type_id, numbers[0], found.enumerators[numbers[0]].name)
        return kind, _Path(local, relocation.type_id, (step,))
    if numbers != [0]:
        raise _crooked(local, relocation, "a whole type")
    return kind, _Path(local, relocation.type_id)


def _numbers(access: str) -> list[int]:
    parts = access.split(":")
    if len(parts) > _LONGEST_PATH or not all(p.isascii() and p.isdecimal() and len(p) < 11 for p in parts):
        raise RelocationError(f"CO-RE: path {access[:40]!r}, expected numbers with colons between")
    return [int(part) for part in parts]


def _field_path(local: Btf, relocation: CoreRelocation, numbers: list[int]) -> _Path:
    type_id, _ = local.resolve(relocation.type_id)
    path = _Path(local, relocation.type_id, (_Step(type_id, numbers[0]),))
    path = path._replace(bit_offset=8 * numbers[0] * local.size_bytes(type_id))
    for number in numbers[1:]:
        _, found = local.resolve(type_id)
        if found.kind in COMPOSITES and number < len(found.members):
            member = found.members[number]
            path = _stepped(path, type_id, number, member)
            type_id, _ = local.resolve(member.type_id)
        elif found.kind is Kind.ARRAY and _has_element(path, found, number):
            type_id, _ = local.resolve(found.type_id)
            path = _indexed(path, type_id, number)
        else:
            raise _crooked(local, relocation, "a member")
    return path


def _stepped(path: _Path, type_id: int, index: int, member: Member) -> _Path:
    steps = (*path.steps, _Step(type_id, index, member.name)) if member.name else path.steps
    return path._replace(steps=steps, bit_offset=path.bit_offset + member.bit_offset)


def _indexed(path: _Path, element_id: int, index: int) -> _Path:
    offset = 8 * index * path.btf.size_bytes(element_id) if index else 0
    step = _Step(element_id, index)
    return path._replace(steps=(*path.steps, step), bit_offset=path.bit_offset + offset)


def _has_element(path: _Path, array: Type, index: int) -> bool:
    """Whether an array has so many elements; a flexible one, last in its struct, has any number."""
    if index < array.length:
        return True
    last = path.steps[-1]
    if array.length or not last.name:
        return False
    return last.number == len(path.btf.type(last.type_id).members) - 1


def _match_field(comparison: Comparison, path: _Path, type_id: int) -> _Path:
    """Return the path that leads to the same field in a candidate."""
    target = comparison.target
    ours = path.steps[0]
    found = _Path(target, type_id)
    type_id, _ = target.resolve(type_id)
    found = _indexed(found, type_id, ours.number)
    for step in path.steps[1:]:
        if step.name:
            found, type_id = _match_member(comparison, step, found, type_id)
        else:
            found, type_id = _match_element(step, found, type_id)
        type_id, _ = target.resolve(type_id)
    return found


def _match_member(comparison: Comparison, step: _Step, found: _Path, type_id: int) -> tuple[_Path, int]:
    target = comparison.target
    place = _find_member(target, type_id, step.name)
    if place is None:
        raise _Missing(_no_member(target, type_id, step.name))
    owner_id, index, bit_offset = place
    theirs = target.type(owner_id).members[index]
    ours = comparison.local.type(step.type_id).members[step.number]
    if not comparison.fields_compatible(ours.type_id, theirs.type_id):
        raise _Missing(
            f"member '{step.name}' of the kernel's {_title(target, type_id)} is "
            f"{_spelled(target, theirs.type_id)}, expected {_spelled(comparison.local, ours.type_id)}"
        )
    step = _Step(owner_id, index, theirs.name)
    found = found._replace(steps=(*found.steps, step), bit_offset=found.bit_offset + bit_offset)
    return found, theirs.type_id


def _find_member(target: Btf, type_id: int, name: str) -> tuple[int, int, int] | None:
    """Return the owner of a member, its number there and its bit offset; anonymous members are entered.

    Each type is entered once: where it was searched in vain, it would be again.
    """
    todo, seen = [(type_id, 0)], set[int]()
    while todo:
        owner_id, base = todo.pop()
        owner_id, owner = target.resolve(owner_id)
        if owner.kind not in COMPOSITES or owner_id in seen:
            continue
        seen.add(owner_id)
        for index, member in enumerate(owner.members):
            if member.name == name:
                return owner_id, index, base + member.bit_offset
        nameless = [(m.type_id, base + m.bit_offset) for m in owner.members if not m.name]
        todo.extend(reversed(nameless))
    return None


def _match_element(step: _Step, found: _Path, type_id: int) -> tuple[_Path, int]:
    array = found.btf.type(type_id)
    if array.kind is not Kind.ARRAY:
        raise _Missing(f"the kernel has {_spelled(found.btf, type_id)}, expected an array")
    if not _has_element(found, array, step.number):
        raise _Missing(f"the kernel's array has {array.length} elements, expected more than {step.number}")
    element_id, _ = found.btf.resolve(array.type_id)
    return _indexed(found, element_id, step.number), element_id


def _match_enumerator(path: _Path, target: Btf, type_id: int) -> _Path:
    name = essential_name(path.steps[0].name)
    _, found = target.resolve(type_id)
    for index, enumerator in enumerate(found.enumerators):
        if essential_name(enumerator.name) == name:
            return _Path(target, type_id, (_Step(type_id, index, enumerator.name),))
    near = nearest(name, (enumerator.name for enumerator in found.enumerators), count=3)
    raise _Missing(f"the kernel's {_title(target, type_id)} has no '{name}'{_near(near)}")


# -- values ----------------------------------------------------------------------------------------


def _value(kind: CoreKind, path: _Path) -> _Value:
    """Return what a relocation of that kind comes to on a path."""
    if kind.is_field:
        return _Value(1) if kind is CoreKind.FIELD_EXISTS else _field_value(kind, path)
    if kind is CoreKind.ENUMVAL_VALUE:
        _, found = path.btf.resolve(path.root_id)
        return _Value(found.enumerators[path.steps[0].number].value)
    if kind is CoreKind.TYPE_SIZE:
        return _Value(path.btf.size_bytes(path.root_id))
    if kind is CoreKind.TYPE_ID_TARGET:
        return _Value(path.root_id, certain=False)
    return _Value(1)


def _field_value(kind: CoreKind, path: _Path) -> _Value:
    last = path.steps[-1]
    if not last.name:
        return _element_value(kind, path, last.type_id)
    member = path.btf.type(last.type_id).members[last.number]
    type_id, found = path.btf.resolve(member.type_id)
    if kind is CoreKind.FIELD_SIGNED:
        return _Value(int(_is_signed(found)))
    offset, size = _window(path, type_id, found, member.bit_size)
    bits = member.bit_size or 8 * size
    certain = not member.bit_size
    if kind is CoreKind.FIELD_BYTE_OFFSET:
        return _offset_value(path.btf, offset, type_id) if certain else _Value(offset, certain=False)
    if kind is CoreKind.FIELD_BYTE_SIZE:
        return _Value(size, certain)
    if kind is CoreKind.FIELD_RSHIFT_U64:
        return _Value(64 - bits & _U64)
    below = path.bit_offset - 8 * offset
    little = path.btf.byte_order == "little"
    return _Value((64 - (below + bits) if little else 64 - 8 * size + below) & _U64, certain)


def _element_value(kind: CoreKind, path: _Path, type_id: int) -> _Value:
    """Return the value for a whole type or an array's element, which is never a bit field."""
    if kind is CoreKind.FIELD_BYTE_OFFSET:
        return _offset_value(path.btf, path.bit_offset // 8, type_id)
    if kind is CoreKind.FIELD_BYTE_SIZE:
        return _Value(path.btf.size_bytes(type_id))
    raise RelocationError(f"CO-RE: {kind.name} of an array's element, expected a member of a struct")


def _offset_value(btf: Btf, offset: int, type_id: int) -> _Value:
    """Return an offset, with the size of what an instruction reads there: of an array, one element."""
    element_id, found = btf.resolve(type_id)
    for _ in range(_LONGEST_PATH):
        if found.kind is not Kind.ARRAY:
            break
        element_id, found = btf.resolve(found.type_id)
    return _Value(offset, True, btf.size_bytes(element_id), btf.resolve(type_id)[1])


def _window(path: _Path, type_id: int, found: Type, bit_size: int) -> tuple[int, int]:
    """Return offset and size of the bytes to read; of a bit field, the smallest aligned ones around it."""
    if not bit_size:
        return path.bit_offset // 8, path.btf.size_bytes(type_id)
    size = found.size_bytes or 1
    while True:
        offset = path.bit_offset // 8 // size * size
        if path.bit_offset + bit_size <= 8 * (offset + size):
            return offset, size
        if size >= 8:
            raise RelocationError(
                f"CO-RE: a bit field of {bit_size} bits at bit {path.bit_offset}, "
                f"expected one that a read of 8 bytes holds"
            )
        size *= 2


def _is_signed(found: Type) -> bool:
    if found.kind in ENUMS:
        return found.flag
    return found.kind is Kind.INT and bool(found.encoding & IntEncoding.SIGNED)


def _answer(what: str, ours: _Value, theirs: _Value) -> Answer:
    return Answer(
        what,
        theirs.number,
        ours.number if ours.certain else None,
        local_size_bytes=ours.size_bytes,
        target_size_bytes=theirs.size_bytes,
        resize="" if ours.size_bytes == theirs.size_bytes else _resize(what, ours, theirs),
    )


def _resize(what: str, ours: _Value, theirs: _Value) -> str:
    """Return why a field cannot be read at its other size; reading fills up with zeros, so signs count."""
    mine, other = ours.type, theirs.type
    if mine is None or other is None:
        where = "in the kernel" if other is None else "in the object only"
        return f"{what}: it is a bit field {where}, and the instruction reads or writes whole bytes"
    if mine.kind is other.kind is Kind.PTR:
        return ""
    if mine.kind is other.kind is Kind.INT and not _is_signed(mine) and not _is_signed(other):
        return ""
    return (
        f"{what}: the kernel's field has {theirs.size_bytes} bytes, expected {ours.size_bytes}; "
        f"only pointers and unsigned integers can be read at another size"
    )


def _check_agreement(what: str, found: list[_Path], answers: list[Answer]) -> None:
    first, answer = found[0], answers[0]
    for path, other in zip(found[1:], answers[1:], strict=True):
        if path.bit_offset != first.bit_offset or other.value != answer.value:
            ids = f"{_title(first.btf, first.root_id)} [{first.root_id}] and [{path.root_id}]"
            raise RelocationError(
                f"CO-RE, {what}: the kernel has several types of that name that disagree: {ids} give "
                f"{answer.value} and {other.value}",
                hint="before it, check with bpf_core_field_exists() for a member that only one of them has",
            )


# -- words -----------------------------------------------------------------------------------------


def describe(local: Btf, relocation: CoreRelocation) -> str:
    """Return a relocation in words: `struct task_struct.pid (0:3)`, `enum bpf_map_type.BPF_MAP_TYPE_HASH`."""
    try:
        kind, path = _local_path(local, relocation)
    except (RelocationError, ValueError):
        return f"type {relocation.type_id} ({relocation.access})"
    title = _title(local, relocation.type_id)
    if not kind.is_field:
        return f"{title}.{path.steps[0].name}" if path.steps else title
    words = "".join(f".{step.name}" if step.name else f"[{step.number}]" for step in path.steps[1:])
    first = f"[{path.steps[0].number}]" if path.steps[0].number else ""
    return f"{title}{first}{words} ({relocation.access})"


_KEYWORDS = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}


def _title(btf: Btf, type_id: int) -> str:
    """Return what C calls a type: `struct sock`, `pid_t`."""
    found = btf.type(type_id)
    if found.kind is Kind.FWD:
        return f"{'union' if found.flag else 'struct'} {found.name}, declared only"
    keyword = _KEYWORDS.get(found.kind, "")
    return f"{keyword} {found.name or '(anonymous)'}".strip()


def _spelled(btf: Btf, type_id: int) -> str:
    """Return a field's type for a message: `struct sock`, `an int`, `a pointer`."""
    _, found = btf.resolve(type_id)
    if found.kind in _KEYWORDS:
        return f"{_KEYWORDS[found.kind]} {found.name}" if found.name else f"a {_KEYWORDS[found.kind]}"
    if found.kind is Kind.ARRAY:
        return f"an array of {_title(btf, found.type_id)}"
    return "a pointer" if found.kind is Kind.PTR else found.name or found.kind.name.lower()


def _no_member(target: Btf, type_id: int, name: str) -> str:
    _, owner = target.resolve(type_id)
    if owner.kind not in COMPOSITES:
        return f"the kernel has {_spelled(target, type_id)}, expected a struct with a member '{name}'"
    near = nearest(name, _member_names(target, type_id), count=3)
    return f"the kernel's {_title(target, type_id)} has no member '{name}'{_near(near)}"


def _member_names(target: Btf, type_id: int) -> list[str]:
    names, todo, seen = list[str](), [type_id], set[int]()
    while todo:
        owner_id, owner = target.resolve(todo.pop())
        if owner_id in seen:
            continue
        seen.add(owner_id)
        names += [member.name for member in owner.members if member.name]
        todo += [member.type_id for member in owner.members if not member.name]
    return names


def _near(names: list[str]) -> str:
    return f" (nearest: {', '.join(names)})" if names else ""


def _crooked(local: Btf, relocation: CoreRelocation, expected: str) -> RelocationError:
    return RelocationError(
        f"CO-RE: path {relocation.access} leads nowhere in {_title(local, relocation.type_id)}, "
        f"expected {expected}"
    )
