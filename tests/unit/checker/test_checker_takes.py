"""Programs that only a close look shows to be right: as the verifier, the checker takes them.

They stand in taken.txt, each behind `== what it does`: its type, its instructions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.abi.bpf import ProgType
from ebee.abi.helpers import HELPERS
from ebee.checker import helpers
from ebee.checker.contexts import layout_of
from ebee.checker.prototypes import movers, prototypes
from tests.unit.checker.asked import ask


def _programs() -> Iterator[tuple[str, str, str]]:
    text = (Path(__file__).parent / "taken.txt").read_text()
    for block in f"\n{text}".split("\n== ")[1:]:
        name, type, program = block.split("\n", 2)
        yield name, type, program


PROGRAMS = list(_programs())


@pytest.mark.parametrize(
    ("type", "program"),
    [row[1:] for row in PROGRAMS],
    ids=[name.replace(" ", "_").replace(",", "") for name, *_ in PROGRAMS],
)
def test_it_is_taken(type: str, program: str) -> None:
    answer = ask(program, type).answer
    assert answer is None, answer.log


def test_what_is_not_known_is_taken() -> None:
    # An instruction that the checker would refuse, but for a number that it does not know.
    text = "call bpf_get_smp_processor_id\nif r0 != 77 goto out\nr0 = *(u8 *)(r0 +0)\nout: exit"
    assert ask(text).answer is None


class TestTables:
    NAMES = {name for name, _ in HELPERS.values()}

    def test_helpers_that_are_listed_exist(self) -> None:
        for type in ProgType:
            assert (helpers.allowed(type) or frozenset()) <= self.NAMES
        assert helpers.gpl_only() | helpers.may_sleep() | movers() <= self.NAMES

    def test_a_prototype_has_no_more_arguments_than_its_declaration(self) -> None:
        for number, prototype in prototypes().items():
            declared = HELPERS[number][1].partition("(")[2].rstrip(")").split(",")
            assert len(prototype.arguments) <= len(declared), prototype.name

    def test_a_size_stands_behind_the_memory_that_it_is_of(self) -> None:
        for prototype in prototypes().values():
            for before, kind in zip(("", *prototype.arguments), prototype.arguments, strict=False):
                if kind in ("size", "size0"):
                    assert before.rstrip("?") in ("in", "out", "inout"), prototype.name

    def test_every_context_has_something_to_read(self) -> None:
        for type in ProgType:
            layout = layout_of(type)
            assert layout is None or any(layout.readable.values())
