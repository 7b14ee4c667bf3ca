"""When a type of an object and a type of the kernel count as the same, by CO-RE's rules.

Three questions, from the loosest to the strictest: may a field of one type be read as the other
(`fields_compatible`), do two types of one name have the same shape (`types_compatible`), does every
member of the local type have its match in the target (`types_match`).

Source: Documentation/bpf/llvm_reloc.rst; tools/lib/bpf/relo_core.h; the behaviour of libbpf 1.x.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ebee.btf.btf import Btf
from ebee.btf.types import IntEncoding, Kind, Type
from ebee.errors import RelocationError

_FLAVOUR = re.compile(r"(.*[^_])___[^_]", re.DOTALL)
_DEEPEST = 32
_MOST_STEPS = 1_000_000
"""Comparisons for one question; hostile types could ask for any number of them."""

COMPOSITES = (Kind.STRUCT, Kind.UNION)
ENUMS = (Kind.ENUM, Kind.ENUM64)


def essential_name(name: str) -> str:
    """Return a name without its flavour: `task_struct` of `task_struct___old`."""
    found = _FLAVOUR.match(name)
    return found[1] if found else name


def same_kind(local: Type, target: Type) -> bool:
    """Whether two types are of one kind; all enums are."""
    return local.kind is target.kind or (local.kind in ENUMS and target.kind in ENUMS)


class Comparison:
    """Questions about a pair of BTFs; answers are kept.

    Args:
        local: the object's types.
        target: the kernel's.
    """

    __slots__ = ("_answers", "_steps", "local", "target")

    def __init__(self, local: Btf, target: Btf) -> None:
        self.local = local
        self.target = target
        self._answers: dict[tuple[str, int, int, bool], bool] = {}
        self._steps = 0

    def fields_compatible(self, local_id: int, target_id: int) -> bool:
        """Whether a field of the local type may stand for one of the target type.

        Structs and unions stand for one another; ints, pointers, floats each for their like whatever
        the size; enums where their names agree or one has none; arrays where their elements do.
        """
        for _ in range(_DEEPEST):
            _, local = self.local.resolve(local_id)
            _, target = self.target.resolve(target_id)
            if local.kind in COMPOSITES and target.kind in COMPOSITES:
                return True
            if not same_kind(local, target):
                return False
            if local.kind is not Kind.ARRAY:
                return _plain_fields_compatible(local, target)
            local_id, target_id = local.type_id, target.type_id
        raise _too_deep()

    def types_compatible(self, local_id: int, target_id: int) -> bool:
        """Whether two types, whose names the caller compared, have one shape as far as it shows.

        Members are not looked at; pointers, arrays and prototypes are followed.
        """
        same = same_kind(self.local.type(local_id), self.target.type(target_id))
        return same and self._compatible(local_id, target_id, False, 0)

    def types_match(self, local_id: int, target_id: int) -> bool:
        """Whether all that the local type says holds of the target type.

        Every local member and enumerator is there by name and matches in its turn; ints agree in size
        and sign, arrays in length; behind a pointer a struct's name is enough.
        """
        return self._match(local_id, target_id, False, 0)

    def _once(
        self,
        question: str,
        answer: Callable[[int, int, bool, int], bool],
        local_id: int,
        target_id: int,
        behind: bool,
        depth: int,
    ) -> bool:
        """Answer a question, from memory where it was asked before."""
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise _too_deep()
        key = (question, local_id, target_id, behind)
        if key not in self._answers:
            self._answers[key] = answer(local_id, target_id, behind, depth)
        return self._answers[key]

    def _compatible(self, local_id: int, target_id: int, behind: bool, depth: int) -> bool:
        return self._once("compatible", self._ask_compatible, local_id, target_id, behind, depth)

    def _ask_compatible(self, local_id: int, target_id: int, behind: bool, depth: int) -> bool:
        _, local = self.local.resolve(local_id)
        _, target = self.target.resolve(target_id)
        if not same_kind(local, target):
            return False
        if local.kind in (Kind.VOID, Kind.FWD, *COMPOSITES, *ENUMS):
            return True
        if local.kind is Kind.INT:
            return local.bit_offset == target.bit_offset == 0
        if local.kind in (Kind.PTR, Kind.ARRAY):
            return self._compatible(local.type_id, target.type_id, behind, depth + 1)
        return local.kind is Kind.FUNC_PROTO and self._prototypes(
            self._compatible, local, target, behind, depth
        )

    def _match(self, local_id: int, target_id: int, behind: bool, depth: int) -> bool:
        return self._once("match", self._ask_match, local_id, target_id, behind, depth)

    def _ask_match(self, local_id: int, target_id: int, behind: bool, depth: int) -> bool:
        _, local = self.local.resolve(local_id)
        _, target = self.target.resolve(target_id)
        if essential_name(local.name) != essential_name(target.name):
            return False
        if behind and (local.kind is Kind.FWD or local.kind in COMPOSITES):
            return _composite_kind(local) is _composite_kind(target) is not None
        if not same_kind(local, target):
            return False
        if local.kind in COMPOSITES:
            return self._members_match(local, target, behind, depth)
        if local.kind in ENUMS:
            return _enumerators_match(local, target)
        if local.kind in (Kind.PTR, Kind.ARRAY):
            # An array's length is 0 in a pointer, so one comparison serves both.
            behind = behind or local.kind is Kind.PTR
            same = local.length == target.length
            return same and self._match(local.type_id, target.type_id, behind, depth + 1)
        if local.kind is Kind.FUNC_PROTO:
            return self._prototypes(self._match, local, target, behind, depth)
        return _leaves_match(local, target)

    def _members_match(self, local: Type, target: Type, behind: bool, depth: int) -> bool:
        if len(local.members) > len(target.members):
            return False
        by_name: dict[str, list[int]] = {}
        for member in target.members:
            by_name.setdefault(essential_name(member.name), []).append(member.type_id)
        return all(
            any(
                self._match(member.type_id, type_id, behind, depth + 1)
                for type_id in by_name.get(essential_name(member.name), ())
            )
            for member in local.members
        )

    def _prototypes(
        self,
        agree: Callable[[int, int, bool, int], bool],
        local: Type,
        target: Type,
        behind: bool,
        depth: int,
    ) -> bool:
        if len(local.parameters) != len(target.parameters):
            return False
        pairs = [(local.type_id, target.type_id)]
        pairs += [
            (mine.type_id, theirs.type_id)
            for mine, theirs in zip(local.parameters, target.parameters, strict=True)
        ]
        return all(agree(mine, theirs, behind, depth + 1) for mine, theirs in pairs)


def _plain_fields_compatible(local: Type, target: Type) -> bool:
    if local.kind in (Kind.PTR, Kind.FLOAT):
        return True
    if local.kind is Kind.FWD or local.kind in ENUMS:
        ours, theirs = essential_name(local.name), essential_name(target.name)
        return not ours or not theirs or ours == theirs
    # Ints of every size and sign stand for one another; only those that carry a bit field's place do not.
    return local.kind is Kind.INT and local.bit_offset == target.bit_offset == 0


def _composite_kind(found: Type) -> Kind | None:
    """Return whether a type, or what a forward declaration promises, is a struct or a union."""
    if found.kind is Kind.FWD:
        return Kind.UNION if found.flag else Kind.STRUCT
    return found.kind if found.kind in COMPOSITES else None


def _enumerators_match(local: Type, target: Type) -> bool:
    known = {essential_name(enumerator.name) for enumerator in target.enumerators}
    same_size = local.size_bytes == target.size_bytes
    return same_size and all(essential_name(e.name) in known for e in local.enumerators)


def _leaves_match(local: Type, target: Type) -> bool:
    if local.kind is Kind.INT:
        same_sign = not (local.encoding ^ target.encoding) & IntEncoding.SIGNED
        return same_sign and local.size_bytes == target.size_bytes
    if local.kind is Kind.FWD:
        return local.flag == target.flag
    return local.kind is Kind.VOID


def _too_deep() -> RelocationError:
    return RelocationError(
        f"comparing types: nested or entangled beyond all sense, expected at most {_DEEPEST} levels"
    )
