"""Which lines of C a test run reached: from the instructions that the interpreter visited."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from ebee.record import NamedTuple
from ebee.text import columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.kernel.protocol import Kernel
    from ebee.vm.code import Code


class FileCoverage(NamedTuple):
    """The lines of one file that make instructions, and those of them that were reached.

    Attributes:
        file: as the object names it.
        lines, reached: numbers from 1, in order.
    """

    file: str
    lines: tuple[int, ...]
    reached: tuple[int, ...]

    @property
    def missing(self) -> tuple[int, ...]:
        """The lines that were not reached."""
        reached = set(self.reached)
        return tuple(line for line in self.lines if line not in reached)

    @property
    def percent(self) -> float:
        """How many of a hundred lines were reached."""
        return 100 * len(self.reached) / len(self.lines) if self.lines else 100.0


class Coverage:
    """Lines of all objects of a test run, whichever test reached them.

    Attributes:
        lines: by file and number, whether the line was reached.
    """

    def __init__(self) -> None:
        self.lines: dict[str, dict[int, bool]] = {}

    @contextmanager
    def watch(self, kernel: Kernel) -> Iterator[None]:
        """Count what the programs of a userspace machine do meanwhile; its engine is the interpreter."""
        from ebee.kernel.simulated import SimulatedKernel
        from ebee.vm.interpreter import Interpreter, Visited

        assert isinstance(kernel, SimulatedKernel)
        engine = kernel.state.engine
        assert isinstance(engine, Interpreter)
        visited = engine.visited = Visited()
        try:
            yield
        finally:
            engine.visited = None
            for code in kernel.state.machine.programs.values():
                self.add(code, visited.of(code))

    def add(self, code: Code, slots: Iterable[int]) -> None:
        """Count a program: its lines, and those that the slots that were visited belong to.

        A line is reached when any of its instructions is.
        """
        visited = set(slots)
        ends = [first for first, _ in code.places[1:]] + [len(code.instructions)]
        for (first, place), end in zip(code.places, ends, strict=True):
            if not place.line or not _is_of_the_users(place.file):
                continue
            lines = self.lines.setdefault(place.file, {})
            reached = any(slot in visited for slot in range(first, end))
            lines[place.line] = lines.get(place.line, False) or reached

    def merge(self, lines: Mapping[str, Mapping[int, bool]]) -> None:
        """Add what another process counted."""
        for file, numbers in lines.items():
            own = self.lines.setdefault(file, {})
            for number, reached in numbers.items():
                own[number] = own.get(number, False) or reached

    def files(self) -> list[FileCoverage]:
        """Return what was reached, file by file in the order of their names as they are shown."""
        return [
            FileCoverage(file, tuple(sorted(lines)), tuple(sorted(n for n, hit in lines.items() if hit)))
            for file, lines in sorted(self.lines.items(), key=lambda item: _shown(item[0]))
        ]

    def lcov(self) -> str:
        """Return what was reached as an LCOV tracefile (geninfo(1)); a line counts once or not at all."""
        lines = []
        for each in self.files():
            reached = set(each.reached)
            lines += ["TN:", f"SF:{os.path.abspath(each.file)}"]
            lines += [f"DA:{line},{int(line in reached)}" for line in each.lines]
            lines += [f"LF:{len(each.lines)}", f"LH:{len(each.reached)}", "end_of_record"]
        return "".join(f"{line}\n" for line in lines)

    def table(self) -> list[str]:
        """Return what was reached as lines of a table; the last one has the sum."""
        files = self.files()
        if not files:
            return ["no program with line information ran on the userspace machine"]
        rows = [_row(_shown(each.file), each, ranges(each.lines, each.missing)) for each in files]
        if len(files) > 1:
            lines = tuple(range(sum(len(each.lines) for each in files)))
            reached = lines[: sum(len(each.reached) for each in files)]
            rows.append(_row("all", FileCoverage("", lines, reached), ""))
        head = ("file", "lines", "reached", "%", "missing")
        return [line.rstrip() for line in columns(_right_aligned([head, *rows]))]


def _is_of_the_users(file: str) -> bool:
    """Whether a file is none of the headers that come with ebee or the compiler."""
    return f"{os.sep}ebee{os.sep}clang{os.sep}" not in file and f"{os.sep}ziglang{os.sep}" not in file


def _shown(file: str) -> str:
    """Return a path as seen from here, where it lies below."""
    if not os.path.isabs(file):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith(os.pardir) else relative


def _row(name: str, found: FileCoverage, missing: str) -> tuple[str, ...]:
    # 100 means all: a line that is missing keeps it below.
    percent = int(found.percent)
    return (name, str(len(found.lines)), str(len(found.reached)), f"{percent}%", missing)


def _right_aligned(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return rows whose three columns of numbers end at the same place."""
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return [(row[0], *(row[place].rjust(widths[place]) for place in (1, 2, 3)), row[4]) for row in rows]


def ranges(lines: Iterable[int], missing: Iterable[int]) -> str:
    """Return missing lines for people: `14, 20-23`; lines that make no instructions join others."""
    left, runs = set(missing), list[list[int]]()
    begins = True
    for line in lines:
        if line not in left:
            begins = True
            continue
        if begins:
            runs.append([line])
        else:
            runs[-1].append(line)
        begins = False
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
