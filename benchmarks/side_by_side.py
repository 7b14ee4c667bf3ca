"""Time commands side by side: in turn, round by round, so that a busy machine is busy for all.

What is measured is the whole process, from fork to the end of its last child: wall time by the
monotonic clock, CPU time (user and system) by the kernel's own accounting. Figures are medians over
the rounds; ratios are medians of the ratios within a round.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Contestant(NamedTuple):
    """One way of doing the work.

    Attributes:
        name: its row in the table.
        script: a shell script that does the work once.
        environment: variables beside those of this process.
        prepare: run before each round, not measured.
        goal: the largest ratio of wall times to the first contestant; None where none is set.
    """

    name: str
    script: str
    environment: Mapping[str, str] = {}
    prepare: Callable[[], None] = lambda: None
    goal: float | None = None


class Sample(NamedTuple):
    """One run: milliseconds."""

    wall_ms: float
    cpu_ms: float


def measure(contestants: Sequence[Contestant], *, rounds: int, warm_up: int = 2) -> dict[str, list[Sample]]:
    """Return the samples of each contestant.

    Raises:
        SystemExit: a run failed; with what it wrote to standard error.
    """
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for number in range(warm_up + rounds):
        for contestant in contestants:
            contestant.prepare()
            sample = _run(contestant)
            if number >= warm_up:
                samples[contestant.name].append(sample)
    return samples


def _run(contestant: Contestant) -> Sample:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        ["/bin/sh", "-ec", contestant.script],
        env={**os.environ, **contestant.environment},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wall_s = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{contestant.name}: exit code {done.returncode}: {done.stderr.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(wall_s * 1000, cpu_s * 1000)


def table(contestants: Sequence[Contestant], samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Return the table as Markdown lines; ratios are to the first contestant."""
    lines = [
        "| | wall, ms (median) | least to most | CPU, ms | wall, ratio | goal |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    first = samples[contestants[0].name]
    for contestant in contestants:
        own = samples[contestant.name]
        walls = [sample.wall_ms for sample in own]
        ratio = statistics.median(a.wall_ms / b.wall_ms for a, b in zip(own, first, strict=True))
        goal = "" if contestant.goal is None else f"≤ {contestant.goal:g}"
        lines.append(
            f"| {contestant.name} | {statistics.median(walls):.0f} | {min(walls):.0f} to {max(walls):.0f} "
            f"| {statistics.median(sample.cpu_ms for sample in own):.0f} | {ratio:.2f} | {goal} |"
        )
    return lines
