"""The native engine from outside: what it runs, what it refuses, what it leaves behind."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.abi.bpf import MapType
from ebee.abi.helpers import number_of
from ebee.asm import Instruction
from ebee.errors import MachineError, SpecError, ToolError
from ebee.vm.arena import SharedArena
from ebee.vm.contexts import xdp_context
from ebee.vm.helpers import registry
from ebee.vm.machine import Context, Machine, Run
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.native import Native, process
from tests.support.vm import code, context, result, run

pytestmark = pytest.mark.starts_processes

TASK_HELPER = number_of("get_current_task") or 0
ENDLESS = """
more:
    r0 += 1
    goto more
"""
LOOP = """
    r0 = 0
more:
    r0 += 1
    if r0 < 1000 goto more
    exit
"""


@pytest.fixture
def machine() -> Machine:
    return Machine(SharedArena())


@pytest.fixture
def native(machine: Machine) -> Iterator[Native]:
    engine = Native(machine)
    yield engine
    engine.close()


def runners() -> list[int]:
    """Return the processes that native engines of this process have started, and that are still there."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                after_name = file.read().rpartition(")")[2].split()
            with open(f"/proc/{name}/cmdline") as file:
                command = file.read()
        except OSError:
            continue
        if int(after_name[1]) == os.getpid() and command == "ebee-vm\0":
            found.append(int(name))
    return found


# -- what it runs ------------------------------------------------------------------------------------
def test_it_counts_the_instructions_of_the_last_run(native: Native) -> None:
    assert run(LOOP, machine=native.machine, engine=native)[:2] == (1000, 2002)


def test_a_repeated_run_finds_the_context_as_the_last_one_left_it(native: Native) -> None:
    text = "r0 = *(u64 *)(r1 +0)\nr0 += 1\n*(u64 *)(r1 +0) = r0\nexit"
    made = context(native.machine, bytes(8))

    assert native.run(code(text), made, repeat=1000).return_value == 1000
    assert bytes(made.region.element(0)) == (1000).to_bytes(8, "little")


def test_a_helper_sees_the_slots_of_its_own_round_only(
    native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(run: Run, *registers: int) -> int:
        run.slots["seen"] = number = int(bool(run.slots.get("seen"))) + registers[0]
        return number

    registry.all_helpers()
    monkeypatch.setitem(registry._TABLE, TASK_HELPER, note)
    program = code("r1 = 3\ncall bpf_get_current_task\nexit")

    assert native.run(program, context(native.machine), repeat=3).return_value == 3


def test_what_helpers_raise_comes_out_and_the_next_run_works(
    native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run, *registers: int) -> int:
        raise ZeroDivisionError("in a helper")

    registry.all_helpers()
    monkeypatch.setitem(registry._TABLE, TASK_HELPER, broken)

    with pytest.raises(ZeroDivisionError, match="in a helper"):
        result("call bpf_get_current_task\nexit", machine=native.machine, engine=native)
    assert result("r0 = 7\nexit", machine=native.machine, engine=native) == 7


def test_an_interrupt_ends_the_program_and_the_next_run_works(native: Native) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    result("r0 = 7\nexit", machine=native.machine, engine=native)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(ENDLESS, machine=native.machine, engine=native, budget=1 << 60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert result("r0 = 8\nexit", machine=native.machine, engine=native) == 8


def test_a_budget_that_is_given_in_slices_is_counted_whole(native: Native) -> None:
    budget = (1 << 30) + 12345

    with pytest.raises(MachineError) as failure:
        run(code(ENDLESS, lines=True), machine=native.machine, engine=native, budget=budget)

    assert str(failure.value) == (
        "test.c:4:5: program test: stopped after 1,073,754,169 instructions, in a loop?"
    )


def test_the_kernels_memory_is_read_through_pointers_to_it(native: Native) -> None:
    native.machine.memory.kernel.put(0xFFFF_8881_0000_1000, b"\x2a\0\0\0")
    text = "r1 = 0xffff888100001000 ll\nr0 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +64)\nr0 += r2\nexit"

    assert result(text, machine=native.machine, engine=native) == 0x2A


def test_fields_of_a_context_are_written_where_that_is_allowed(native: Native) -> None:
    made = context(native.machine, bytes(16))
    made.region.writable, made.region.writable_parts = False, ((4, 8),)

    program = code("*(u32 *)(r1 +4) = 9\nr0 = *(u32 *)(r1 +4)\n*(u32 *)(r1 +8) = 9\nexit")
    with pytest.raises(MachineError) as failure:
        native.run(program, made)

    assert str(failure.value) == (
        "run test: instruction 2: write of 4 bytes at the context + 8: it may not be written"
    )
    assert bytes(made.region.element(0)) == bytes([0, 0, 0, 0, 9, *bytes(11)])


def test_more_pointer_fields_than_there_is_room_for_are_asked_for(native: Native) -> None:
    made = context(native.machine, bytes(160))
    made.region.pointers = {offset: offset << 8 for offset in range(0, 160, 8)}

    assert native.run(code("r0 = *(u32 *)(r1 +152)\nexit"), made).return_value == 152 << 8


def test_an_atomic_operation_on_an_odd_address_works(native: Native) -> None:
    text = "r2 = 5\nlock *(u64 *)(r1 +3) += r2\nr0 = *(u64 *)(r1 +3)\nexit"

    assert result(text, data=b"\0\0\0\7" + bytes(12), machine=native.machine, engine=native) == 12


def test_an_array_that_takes_the_place_of_another_is_found(native: Native) -> None:
    program = code(
        "*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[idx:0]\ncall bpf_map_lookup_elem\n"
        "if r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)\nout:\nexit"
    )
    found = []
    for entries in (1, 2, 3):
        setup = MapSetup(MapType.ARRAY, "a", 4, 8, entries)
        made = make_map(setup, native.machine.memory, cpus=2, index=0)
        native.machine.maps[0] = made
        if entries > 1:
            made.write((1).to_bytes(4, "little"), entries.to_bytes(8, "little"))
        found.append(native.run(program, context(native.machine)).return_value)

    assert found == [0, 2, 3]


def test_a_packet_that_a_helper_moves_is_found_at_its_new_place(native: Native) -> None:
    made = xdp_context(native.machine.memory, bytes(range(64)))
    text = """
        r6 = r1
        r2 = *(u32 *)(r6 +0)
        r7 = *(u8 *)(r2 +0)
        r2 = 10
        call bpf_xdp_adjust_head
        r2 = *(u32 *)(r6 +0)
        r0 = *(u8 *)(r2 +0)
        r0 <<= 8
        r0 |= r7
        r2 += -1
        r2 = *(u8 *)(r2 +0)
        exit
    """

    with pytest.raises(MachineError) as failure:
        native.run(code(text), made)

    assert str(failure.value) == (
        "run test: instruction 10: read of 1 byte at the packet - 1: 54 bytes may be reached, from 0"
    )


def test_the_machines_clock_is_asked_unless_it_is_the_systems(native: Native) -> None:
    program = code("call bpf_ktime_get_ns\nexit")
    before = time.monotonic_ns()
    now = native.run(program, context(native.machine)).return_value
    native.machine.clock_ns = lambda: 42

    assert before <= now <= time.monotonic_ns()
    assert native.run(program, context(native.machine)).return_value == 42


def test_a_lock_taken_in_c_is_held_for_the_helpers_in_python(native: Native) -> None:
    text = """
        r6 = r1
        call bpf_spin_lock
        r1 = r6
        call bpf_spin_unlock
        r1 = r6
        call bpf_spin_lock
        r1 = r6
        call bpf_spin_lock
        exit
    """

    with pytest.raises(MachineError) as failure:
        result(text, data=bytes(8), machine=native.machine, engine=native)

    assert str(failure.value) == (
        "run test: instruction 7: call of bpf_spin_lock: this program holds a lock already"
    )


@pytest.mark.parametrize(
    ("times", "stop_at", "expected"),
    [(0, 99, 0), (5, 99, 5), (5, 2, 3), (1 << 23, 4, 5), ((1 << 23) + 1, 4, (1 << 32) - errno.E2BIG)],
)
def test_bpf_loop_calls_until_it_is_told_to_stop(
    native: Native, times: int, stop_at: int, expected: int
) -> None:
    text = f"""
        r1 = {times}
        r2 = subprog[again]
        r3 = {stop_at}
        r4 = 0
        call bpf_loop
        exit
    again:
        r0 = 0
        if r1 != r2 goto on
        r0 = 1
    on:
        exit
    """

    assert result(text, machine=native.machine, engine=native) == expected


# -- compiling ---------------------------------------------------------------------------------------
def test_a_program_is_compiled_once_whoever_runs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EBEE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("EBEE_CACHE", raising=False)
    compiled = []
    for _ in range(2):
        engine = Native(Machine(SharedArena()))
        program = code("r0 = 123\nexit")
        for _ in range(2):
            result(program, machine=engine.machine, engine=engine)
        compiled.append(engine.compiled)
        engine.close()

    assert compiled == [1, 0]


def test_a_missing_compiler_is_told(native: Native, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBEE_CLANG", "/nonexistent/clang")

    with pytest.raises(ToolError) as failure:
        result("r0 = 1\nexit", machine=native.machine, engine=native)

    assert str(failure.value) == (
        "looking for the compiler that EBEE_CLANG names: '/nonexistent/clang' does not exist, "
        "expected a clang that can be run"
    )


def test_a_compiler_that_fails_is_told_with_what_it_says(
    native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBEE_CLANG", "/bin/false")

    with pytest.raises(ToolError) as failure:
        result("r0 = 1\nexit", machine=native.machine, engine=native)

    assert str(failure.value) == "compiling machine code: /bin/false ended with status 1"


def test_memory_of_this_process_alone_is_refused() -> None:
    with pytest.raises(SpecError) as failure:
        Native(Machine())

    assert str(failure.value) == (
        "native engine: the machine's memory is this process's own, expected a SharedArena"
    )
    assert failure.value.hint == "make the machine as Machine(SharedArena())"


# -- its process -------------------------------------------------------------------------------------
def test_the_process_is_started_by_the_first_run_and_ended_by_close(native: Native) -> None:
    before = runners()
    result("r0 = 1\nexit", machine=native.machine, engine=native)
    started = [pid for pid in runners() if pid not in before]
    native.close()

    assert len(started) == 1
    assert not set(started) & set(runners())


def test_an_engine_that_nobody_holds_ends_its_process_and_closes_its_files() -> None:
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    before = runners()
    engine = Native(Machine(SharedArena()))
    result("r0 = 1\nexit", machine=engine.machine, engine=engine)
    del engine
    gc.collect()

    assert runners() == before
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_process_that_dies_is_told_and_another_one_started(native: Native) -> None:
    result("r0 = 1\nexit", machine=native.machine, engine=native)
    assert native._arena.runner is not None
    os.kill(native._arena.runner.pid, signal.SIGSEGV)

    with pytest.raises(MachineError) as failure:
        result("r0 = 1\nexit", machine=native.machine, engine=native)

    assert str(failure.value) == (
        "run test: the process of the native engine ended by SIGSEGV, expected it to run the program"
    )
    assert failure.value.hint == (
        "run it on the interpreter to see where; the next native run starts another process"
    )
    assert result("r0 = 2\nexit", machine=native.machine, engine=native) == 2


def test_its_process_ends_with_the_one_that_started_it_even_in_an_endless_program() -> None:
    script = (
        "import os, sys, threading, time\n"
        "from tests.support.vm import code, context\n"
        "from ebee.vm.arena import SharedArena\n"
        "from ebee.vm.machine import Machine\n"
        "from ebee.vm.native import Native\n"
        "native = Native(Machine(SharedArena()))\n"
        "native.run(code('r0 = 1\\nexit'), context(native.machine))\n"
        "print(native._arena.runner.pid, flush=True)\n"
        "endless = code('more:\\nr0 += 1\\ngoto more')\n"
        "native.run(endless, context(native.machine), budget=1 << 60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        runner = os.pidfd_open(pid)
        parent.kill()
    try:
        assert _ends(runner)
    finally:
        os.close(runner)


def _ends(pidfd: int) -> bool:
    """Wait for a process that is not a child; False when it takes a minute."""
    from select import POLLIN, poll

    poller = poll()
    poller.register(pidfd, POLLIN)
    return bool(poller.poll(60_000))


def test_a_copy_of_the_process_by_fork_is_told_that_its_memory_is_not_its_own(native: Native) -> None:
    result("r0 = 1\nexit", machine=native.machine, engine=native)
    pid = os.fork()
    if pid == 0:
        try:
            result("r0 = 5\nexit", machine=native.machine, engine=native)
        except ToolError as error:
            os._exit(str(error).startswith("native engine: this process is a copy by fork"))
        os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert result("r0 = 6\nexit", machine=native.machine, engine=native) == 6


def test_two_engines_on_one_machine_share_its_process(native: Native) -> None:
    other = Native(native.machine)
    values = [
        result(f"r0 = {number}\nexit", machine=native.machine, engine=engine)
        for number, engine in enumerate([native, other, native, other])
    ]

    assert values == [0, 1, 2, 3]


def test_its_process_has_only_the_files_that_it_needs(native: Native) -> None:
    result("r0 = 1\nexit", machine=native.machine, engine=native)
    assert native._arena.runner is not None
    folder = f"/proc/{native._arena.runner.pid}/fd"

    assert sorted(os.listdir(folder)) == ["0", "1", "3"]


def test_where_no_file_in_memory_may_be_run_one_on_disk_is(
    native: Native, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(data: bytes, sources: list[int], held: list[int]) -> int:
        raise PermissionError(errno.EACCES, "forbidden")

    monkeypatch.setattr(process, "_spawn_from_memory", forbidden)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert result("r0 = 9\nexit", machine=native.machine, engine=native) == 9
    assert list(tmp_path.iterdir()) == []


def test_its_process_may_ask_the_kernel_for_next_to_nothing(native: Native) -> None:
    result("r0 = 1\nexit", machine=native.machine, engine=native)
    assert native._arena.runner is not None
    with open(f"/proc/{native._arena.runner.pid}/status") as file:
        status = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)

    assert status["Seccomp"].strip() == "2"
    assert status["NoNewPrivs"].strip() == "1"


def test_instructions_may_be_given_as_such(native: Native) -> None:
    made: Context = context(native.machine)

    assert native.run(code([Instruction(0xB7, imm=4), Instruction(0x95)]), made).return_value == 4
