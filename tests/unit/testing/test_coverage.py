"""Coverage of C lines, from slots and the lines they come from."""

from __future__ import annotations

import os

import pytest

from ebee.abi.bpf import ProgType
from ebee.asm import Instruction
from ebee.testing.coverage import Coverage, ranges
from ebee.vm.code import Code, Place


def code(*places: tuple[int, str, int], length: int = 10) -> Code:
    """Return a program whose slots come from lines of files."""
    return Code(
        "p",
        ProgType.XDP,
        tuple(Instruction(0x95) for _ in range(length)),
        places=[(slot, Place(file, line, 1, "")) for slot, file, line in places],
    )


def test_a_line_is_reached_when_any_of_its_instructions_is() -> None:
    """A line may stand at several places; code before the first line counts nowhere."""
    coverage = Coverage()
    program = code((1, "a.c", 4), (3, "a.c", 7), (5, "a.c", 4), (6, "a.c", 9), (8, "a.c", 0))
    coverage.add(program, {0, 5, 7, 8})
    (found,) = coverage.files()
    assert (found.lines, found.reached, found.missing) == ((4, 7, 9), (4, 9), (7,))


def test_programs_and_tests_add_up() -> None:
    """Two programs share a function; two tests reach a branch each."""
    coverage = Coverage()
    coverage.add(code((0, "a.c", 1), (5, "a.c", 2)), {0})
    coverage.add(code((0, "a.c", 2), (5, "a.c", 3)), {1})
    (found,) = coverage.files()
    assert (found.reached, found.missing) == ((1, 2), (3,))


@pytest.mark.parametrize(
    ("lines", "missing", "shown"),
    [
        ([1, 2, 3], [], ""),
        ([1, 5, 9], [5], "5"),
        ([1, 5, 9, 12], [5, 9], "5-9"),
        ([1, 5, 9, 12], [1, 9, 12], "1, 9-12"),
    ],
)
def test_missing_lines_are_ranges(lines: list[int], missing: list[int], shown: str) -> None:
    """Lines without instructions between them do not part a range."""
    assert ranges(lines, missing) == shown


def test_the_table_has_a_row_for_each_file() -> None:
    """Paths as seen from here; a hundred per cent is all and nothing less; headers of ebee's stay out."""
    coverage = Coverage()
    here = os.path.join(os.getcwd(), "tests", "a.bpf.c")
    lines = [(slot, here, slot + 1) for slot in range(200)]
    coverage.add(code(*lines, length=200), set(range(199)))
    coverage.add(code((0, "b.bpf.c", 3), (1, "/x/ebee/clang/include/bpf/bpf_helpers.h", 9)), {0, 1})
    assert coverage.table() == [
        "file           lines  reached     %  missing",
        "b.bpf.c            1        1  100%",
        "tests/a.bpf.c    200      199   99%  200",
        "all              201      200   99%",
    ]


def test_a_run_without_programs_says_so() -> None:
    """An empty table would be taken for a mistake."""
    assert Coverage().table() == ["no program with line information ran on the userspace machine"]


def test_other_tools_read_a_tracefile() -> None:
    """LCOV: a record for each file, with absolute paths."""
    coverage = Coverage()
    coverage.add(code((0, "a.c", 4), (5, "a.c", 9)), {0})
    assert coverage.lcov().splitlines() == [
        "TN:",
        f"SF:{os.getcwd()}/a.c",
        "DA:4,1",
        "DA:9,0",
        "LF:2",
        "LH:1",
        "end_of_record",
    ]


def test_what_other_processes_counted_adds_up() -> None:
    """As workers of pytest-xdist send it."""
    coverage, other = Coverage(), Coverage()
    coverage.add(code((0, "a.c", 1), (5, "a.c", 2)), {0})
    other.add(code((0, "a.c", 2), (5, "b.c", 3)), {0})
    coverage.merge(other.lines)
    assert [(each.file, each.reached, each.missing) for each in coverage.files()] == [
        ("a.c", (1, 2), ()),
        ("b.c", (), (3,)),
    ]
