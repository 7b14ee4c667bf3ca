"""What programs print on the simulated kernel: tracefs's lines, through a pipe, none lost that has room."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterator

import pytest

from ebee.errors import KernelError
from ebee.events.trace_pipe import TracePipe, open_trace_pipe
from ebee.kernel.simulated import SimulatedKernel
from ebee.kernel.simulated import pipe as pipe_module
from ebee.vm.machine import Task


@pytest.fixture
def kernel() -> SimulatedKernel:
    made = SimulatedKernel()
    made.machine.task = Task(pid=17, comm="make")
    made.machine.clock_ns = lambda: 1_234_567_891_000
    return made


@pytest.fixture
def pipe(kernel: SimulatedKernel) -> Iterator[TracePipe]:
    with open_trace_pipe(kernel) as opened:
        yield opened


def test_a_line_is_tracefs_s(kernel: SimulatedKernel, pipe: TracePipe) -> None:
    """With the task, the CPU and the time before it."""
    kernel.state.trace.print("hello world")
    (line,) = pipe.read_available()
    assert line.raw == "            make-17      [000] ....1  1234.567891: bpf_trace_printk: hello world"
    assert (line.task, line.pid, line.cpu, line.timestamp_s, line.message) == (
        "make",
        17,
        0,
        1234.567891,
        "hello world",
    )
    assert pipe.read_available() == []


def test_lines_wait_for_a_reader(kernel: SimulatedKernel) -> None:
    """Those that came before it, and those that come after it was closed."""
    kernel.state.trace.print("early")
    with open_trace_pipe(kernel) as pipe:
        assert [line.message for line in pipe.read_available()] == ["early"]
    kernel.state.trace.print("between")
    with open_trace_pipe(kernel) as pipe:
        assert [line.message for line in pipe.read_available()] == ["between"]


def test_more_than_a_pipe_holds_comes_in_order(kernel: SimulatedKernel, pipe: TracePipe) -> None:
    """A pipe has 64 KiB; the rest follows as it is read."""
    for number in range(5000):
        kernel.state.trace.print(f"line {number}")
    heard: list[str] = []
    while select.select([pipe.fd], [], [], 0)[0]:
        heard += [line.message for line in pipe.read_available()]
    assert heard == [f"line {number}" for number in range(5000)]


def test_what_is_too_much_is_lost_and_said(kernel: SimulatedKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first, as the kernel does."""
    monkeypatch.setattr(pipe_module, "_MOST_LINES", 3)
    for number in range(5):
        kernel.state.trace.print(f"line {number}")
    with open_trace_pipe(kernel) as pipe:
        raw = [line.raw for line in pipe.read_available()]
    assert raw[0] == "CPU:0 [LOST 2 EVENTS]"
    assert [line.rpartition(" ")[2] for line in raw[1:]] == ["2", "3", "4"]


def test_it_has_one_reader(kernel: SimulatedKernel, pipe: TracePipe) -> None:
    """A second is told so."""
    del pipe
    with pytest.raises(KernelError) as caught:
        open_trace_pipe(kernel)
    assert str(caught.value) == "open trace_pipe of the userspace machine: it is being read already (EBUSY)"
    assert caught.value.hint == "the trace pipe has one reader at a time: close the other one first"


def test_it_can_be_awaited(kernel: SimulatedKernel, pipe: TracePipe) -> None:
    """As the running kernel's can."""

    async def read() -> str:
        asyncio.get_running_loop().call_later(0, kernel.state.trace.print, "late")
        return (await anext(aiter(pipe))).message

    assert asyncio.run(asyncio.wait_for(read(), 5)) == "late"
