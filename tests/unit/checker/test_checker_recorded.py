"""The C programs whose refusals were recorded: the checker's is explained with the same line and hint.

Source of what is expected: the recordings of Linux 6.18 in tests/unit/loader/logs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ebee.kernel.simulated import SimulatedKernel
from tests.support.refusals import Recording, read_broken, read_recording, refuse

LOGS = Path(__file__).parents[1] / "loader" / "logs"
PROGRAMS = [read_broken(path) for path in sorted(LOGS.glob("*.c"))]

# What the checker leaves to the machine, which finds it while the program runs, or not at all.
TAKEN = {
    "global_function_argument",  # functions that are not static are looked at with what they are given
    "kernel_object_bad_field",  # the kernel's own objects are not looked into
    "kernel_object_written",
    "loop_by_packet_length",  # loops are followed so far, and then taken to end
    "loop_jump_sequence",
    "loop_too_long",
    "stack_uninitialised_key",  # as by kernels since 6.3
}
# Refused, and otherwise: the kernel looks at the call, the checker into the function.
OTHERWISE = {"global_function_bad_pointer": ("not-a-pointer", 8)}


def _refusal(name: str, monkeypatch: pytest.MonkeyPatch) -> Recording | None:
    monkeypatch.chdir(LOGS)
    return refuse(read_broken(Path(f"{name}.c")), SimulatedKernel(engine="interpreter"))


@pytest.mark.parametrize("name", [p.name for p in PROGRAMS if p.name not in TAKEN | OTHERWISE.keys()])
def test_the_explanation_is_that_of_the_kernel_s_refusal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _refusal(name, monkeypatch)
    assert found is not None
    of_kernel = read_recording(LOGS / f"{name}.6.18.txt")
    explained = found.explained()
    said = f"class {explained.kind}, slot {explained.slot}\n{explained.diagnostic.render()}"
    assert said == of_kernel.explanation
    assert found.facts["errno"] == of_kernel.facts["errno"]


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_what_is_left_to_the_machine_is_listed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _refusal(name, monkeypatch) is None


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_what_is_refused_for_another_reason_is_listed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _refusal(name, monkeypatch)
    assert found is not None
    explained = found.explained()
    span = explained.diagnostic.span
    assert (explained.kind, span.line if span else 0) == OTHERWISE[name]
