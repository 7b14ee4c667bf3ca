"""Lines of the trace pipe: their parts, and a pipe that stands for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.errors import GoneError
from ebee.events import TracePipe
from ebee.events.trace_pipe import parse_line
from ebee.kernel.live.tracing import TraceFile


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "           <...>-1234    [001] ..s2.  6579.624769: bpf_trace_printk: Hello World 0",
            ("<...>", 1234, 1, "..s2.", 6579.624769, "Hello World 0"),
        ),
        (
            " Web [x] - one-77 [000] d..31 1.000001: bpf_trace_printk: a-1 [0] b",
            ("Web [x] - one", 77, 0, "d..31", 1.000001, "a-1 [0] b"),
        ),
        (
            "            bash-99      (-----) [002] ....1 2.5: bpf_trace_printk: x",
            ("bash", 99, 2, "....1", 2.5, "x"),
        ),
        (
            "            bash-99      (     99) [002] ....1 2.5: bpf_trace_printk: ",
            ("bash", 99, 2, "....1", 2.5, ""),
        ),
        (
            " a-1 [000] d 1.0: bpf_trace_printk: b-2 [001] d 2.0: bpf_trace_printk: c",
            ("a", 1, 0, "d", 1.0, "b-2 [001] d 2.0: bpf_trace_printk: c"),
        ),
        ("CPU:0 [LOST 12 EVENTS]", ("", 0, 0, "", 0.0, "CPU:0 [LOST 12 EVENTS]")),
        ("", ("", 0, 0, "", 0.0, "")),
    ],
)
def test_a_line_has_these_parts(raw: str, expected: tuple[object, ...]) -> None:
    """Task names and messages may hold anything; other lines are all message."""
    assert tuple(parse_line(raw)) == (*expected, raw)


@given(st.text())
def test_any_text_is_a_line(raw: str) -> None:
    """And stays what it was."""
    line = parse_line(raw)
    assert str(line) == raw
    assert raw.endswith(line.message)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=15),
    st.integers(0, 1 << 22),
    st.integers(0, 4095),
    st.integers(0, 10**9),
    st.text(),
)
def test_what_the_kernel_writes_is_read(task: str, pid: int, cpu: int, micros: int, message: str) -> None:
    """By its format: `%16s-%-7d [%03d] flags seconds.micros: `."""
    head = f"{task:>16}-{pid:<7d} [{cpu:03d}] d..2. {micros // 10**6:5d}.{micros % 10**6:06d}"
    line = parse_line(f"{head}: bpf_trace_printk: {message}")
    assert (line.pid, line.cpu, line.flags, line.message) == (pid, cpu, "d..2.", message)
    assert line.task == task.strip()


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[TracePipe, int]]:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    with TracePipe(TraceFile(path)) as pipe:
        writer = os.open(path, os.O_WRONLY)
        yield pipe, writer
        os.close(writer)


def test_a_line_that_is_not_whole_waits_for_its_rest(fifo: tuple[TracePipe, int]) -> None:
    """Reading never waits."""
    pipe, writer = fifo
    assert pipe.read_available() == []
    assert not pipe.wait(0)
    os.write(writer, b"one\ntw")
    assert pipe.wait(1)
    assert [line.message for line in pipe.read_available()] == ["one"]
    os.write(writer, b"o\n\xff\n")
    assert [line.message for line in pipe.read_available()] == ["two", "�"]


def test_it_is_an_iterator(fifo: tuple[TracePipe, int]) -> None:
    """Which waits for lines."""
    pipe, writer = fifo
    os.write(writer, b"one\ntwo\n")
    lines = iter(pipe)
    assert [next(lines).message, next(lines).message] == ["one", "two"]


def test_it_is_an_async_iterator_that_ends_when_the_pipe_is_closed(fifo: tuple[TracePipe, int]) -> None:
    """Also while somebody waits for a line."""
    pipe, writer = fifo

    async def read() -> list[str]:
        heard = []
        async for line in pipe:
            heard.append(line.message)
            asyncio.get_running_loop().call_soon(os.write, writer, b"more\n")
            if len(heard) == 3:
                asyncio.get_running_loop().call_soon(pipe.close)
        return heard

    os.write(writer, b"one\n")
    heard = asyncio.run(asyncio.wait_for(read(), 5))
    assert heard[:3] == ["one", "more", "more"]


def test_a_waiter_that_is_cancelled_leaves_nothing_behind(fifo: tuple[TracePipe, int]) -> None:
    """The pipe can be waited for again."""
    pipe, writer = fifo

    async def read() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(aiter(pipe)), 0.01)
        os.write(writer, b"late\n")
        return (await anext(aiter(pipe))).message

    assert asyncio.run(read()) == "late"


def test_a_closed_pipe_says_so(fifo: tuple[TracePipe, int]) -> None:
    """Closing twice does nothing, and iterating ends."""
    pipe, _ = fifo
    pipe.close()
    pipe.close()
    assert list(pipe) == []
    with pytest.raises(GoneError) as caught:
        pipe.read_available()
    assert str(caught.value) == "trace pipe: used after it was closed"
