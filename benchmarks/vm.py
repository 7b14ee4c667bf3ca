"""The userspace machine against the kernel's own compiler: the same bytecode, in turn, round by round.

Run it as root: `python -m benchmarks.vm`. The kernel's times are those that BPF_PROG_TEST_RUN measures
and gives back as the mean of its repetitions: it leaves out the time that others ran on its processor. So
the native engine, which repeats a run as often, is timed by the processor time of its process, with the
message there and back in it. Ratios are medians of the ratios within a round. The interpreter runs each
program once a round, on this process's processor time.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction, assemble, encode
from ebee.asm.opcodes import LD_IMM64, PseudoLoad
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import MapCreate, ProgramLoad, RunRequest
from ebee.vm.arena import SharedArena
from ebee.vm.code import Code
from ebee.vm.contexts import xdp_context
from ebee.vm.interpreter import Interpreter
from ebee.vm.machine import Context, Engine, Machine, map_address
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.native import Native

PACKET = bytes(range(256)) * 5 + bytes(46)
"""1,326 bytes: an Ethernet frame of the usual size."""
ENTRIES = 64
MAPS = (
    MapSetup(MapType.ARRAY, "array", 4, 8, ENTRIES),
    MapSetup(MapType.HASH, "hash", 4, 8, 4 * ENTRIES),
)

ALU = """
    r0 = 1
    r2 = 100000
more:
    r0 += r2
    r0 ^= 0x5bd1e995
    r0 <<= 1
    r2 -= 1
    if r2 != 0 goto more
    r0 &= 0x7fffffff
    exit
"""
BYTE_SUM = """
    r2 = *(u32 *)(r1 +0)
    r3 = *(u32 *)(r1 +4)
    r0 = 0
    r4 = 0
more:
    r5 = r2
    r5 += 1
    if r5 > r3 goto out
    r6 = *(u8 *)(r2 +0)
    r0 += r6
    r2 += 1
    r4 += 1
    if r4 < 1000 goto more
out:
    exit
"""
BRANCHES = """
    r0 = 0
    r2 = 27
    r3 = 0
more:
    r4 = r2
    r4 &= 1
    if r4 == 0 goto even
    r5 = r2
    r2 *= 3
    r2 += 1
    r2 &= 0xffffff
    goto next
even:
    r2 >>= 1
next:
    if r2 > 1 goto on
    r2 = r3
    r2 += 27
    r0 += 1
on:
    r3 += 1
    if r3 < 4000 goto more
    exit
"""
LOOKUPS = """
    r6 = 0
    r7 = 0
more:
    r1 = r6
    r1 &= 63
    *(u32 *)(r10 -4) = r1
    *(u64 *)(r10 -16) = r6
    r2 = r10
    r2 += -4
    r1 = map[idx:0]
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 +0)
    r1 += 1
    *(u64 *)(r0 +0) = r1
    r7 += r1
    r2 = r10
    r2 += -4
    r1 = map[idx:1]
    call bpf_map_lookup_elem
    if r0 == 0 goto absent
    r1 = *(u64 *)(r0 +0)
    r7 += r1
absent:
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    r1 = map[idx:1]
    call bpf_map_update_elem
    r6 += 1
    if r6 < 1000 goto more
out:
    r0 = r7
    r0 &= 0x7fffffff
    exit
"""


class Case(NamedTuple):
    """A program to be timed.

    Attributes:
        repeat: how often it runs in a round.
        goal: the largest ratio of the native engine's time to the kernel's.
    """

    name: str
    text: str
    repeat: int
    goal: float


CASES = (
    Case("arithmetic, 100,000 times 5", ALU, 20, 1.2),
    Case("sum of 1,000 bytes of a packet, checked", BYTE_SUM, 5000, 2),
    Case("branches, 4,000 steps", BRANCHES, 1000, 2),
    Case("maps, 1,000 lookups in an array, lookups and updates in a hash", LOOKUPS, 200, 2),
)


class Times(NamedTuple):
    """Of one run: nanoseconds."""

    kernel_ns: float
    native_ns: float
    interpreter_ns: float


class Subject:
    """A program in the kernel and on two machines."""

    def __init__(self, case: Case, kernel: LiveKernel, maps: Sequence[int]) -> None:
        self.case = case
        self._kernel = kernel
        instructions = assemble(case.text)
        self._fd = _load(kernel, _with_maps(instructions, lambda index: (PseudoLoad.MAP_FD, maps[index])))
        code = _with_maps(instructions, lambda index: (0, map_address(index)))
        self.code = Code("benchmark", ProgType.XDP, tuple(code))
        self.machines = [_machine(SharedArena()), _machine(None)]
        self.contexts = [xdp_context(machine.memory, PACKET) for machine in self.machines]
        self.native = Native(self.machines[0])
        self.interpreter = Interpreter(self.machines[1])
        self.instructions = self.interpreter.run(self.code, self.contexts[1]).instructions

    def times(self) -> Times:
        """Return the times of a round."""
        request = RunRequest(self._fd, PACKET, repeat=self.case.repeat)
        kernel_ns = self._kernel.program_test_run(request).duration_ns
        native_ns = _timed(self.native, self.code, self.contexts[0], self.case.repeat, _process_clock)
        interpreter_ns = _timed(self.interpreter, self.code, self.contexts[1], 1, _own_clock)
        return Times(kernel_ns, native_ns, interpreter_ns)

    def results(self) -> list[int]:
        """Return what the program gives in each place, on new maps or after as many runs."""
        answer = self._kernel.program_test_run(RunRequest(self._fd, PACKET)).return_value
        engines: list[tuple[Engine, Context]] = [(self.native, self.contexts[0])]
        return [answer, *(engine.run(self.code, context).return_value for engine, context in engines)]

    def close(self) -> None:
        self.native.close()
        os.close(self._fd)


def _timed(
    engine: Engine, code: Code, context: Context, repeat: int, clock_of: Callable[[Machine], int]
) -> float:
    time.sleep(0.002)  # the process looks for orders for a while after each; then it sleeps
    began = clock_of(engine.machine)
    engine.run(code, context, repeat=repeat)
    return (clock_of(engine.machine) - began) / repeat


def _own_clock(machine: Machine) -> int:
    return time.process_time_ns()


def _process_clock(machine: Machine) -> int:
    """Return the processor time of a machine's process, by the clock that clock_getcpuclockid(3) names."""
    assert isinstance(machine.memory.arena, SharedArena)
    runner = machine.memory.arena.runner
    return 0 if runner is None else time.clock_gettime_ns((~runner.pid << 3) | 2)


def _machine(arena: SharedArena | None) -> Machine:
    machine = Machine(arena)
    for index, setup in enumerate(MAPS):
        machine.maps[index] = make_map(setup, machine.memory, cpus=machine.cpus, index=index)
    return machine


def _with_maps(
    instructions: Sequence[Instruction], place: Callable[[int], tuple[int, int]]
) -> list[Instruction]:
    """Return instructions with what stands for each map, `map[idx:N]`: the source field and a number."""
    placed = list(instructions)
    for slot, instruction in enumerate(instructions):
        if instruction.opcode == LD_IMM64 and instruction.src == PseudoLoad.MAP_IDX:
            src, number = place(instruction.imm)
            placed[slot] = instruction._replace(src=src, imm=_signed(number & 0xFFFFFFFF))
            placed[slot + 1] = Instruction(0, imm=_signed(number >> 32))
    return placed


def _signed(half: int) -> int:
    return half - (1 << 32) if half >> 31 else half


def _load(kernel: LiveKernel, instructions: Sequence[Instruction]) -> int:
    # Without a log: that of a loop of 100,000 rounds finds no room.
    answer = kernel.program_load(ProgramLoad(ProgType.XDP, encode(instructions), "GPL", "ebee_bench"))
    if answer.errno:
        raise SystemExit(f"benchmark vm: the kernel refuses a program: {os.strerror(answer.errno)}")
    return answer.fd


@contextmanager
def kernel_maps(kernel: LiveKernel) -> Iterator[list[int]]:
    """Make the maps in the kernel; give their descriptors."""
    made = [
        kernel.map_create(
            MapCreate(
                type=setup.type,
                key_size_bytes=setup.key_size_bytes,
                value_size_bytes=setup.value_size_bytes,
                max_entries=setup.max_entries,
                name=f"ebee_{setup.name}",
            )
        )
        for setup in MAPS
    ]
    try:
        yield made
    finally:
        for descriptor in made:
            os.close(descriptor)


def compile_times(subjects: Sequence[Subject], rounds: int) -> list[str]:
    """Return a table of how long the first run of each program takes, compiler and all."""
    lines = ["| first run of | instructions | compiled, ms | found compiled, ms |", "|---|--:|--:|--:|"]
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            cold, warm = [], []
            for number in range(rounds):
                os.environ["EBEE_CACHE_DIR"] = f"{folder}/{subject.case.name}-{number}"
                first_run_ms("r0 = 0\nexit")  # so that the engine's own part is there
                cold.append(first_run_ms(subject.case.text))
                warm.append(first_run_ms(subject.case.text))
            size = len(subject.code.instructions)
            name, first, second = subject.case.name, statistics.median(cold), statistics.median(warm)
            lines.append(f"| {name} | {size} | {first:.0f} | {second:.1f} |")
    return lines


def first_run_ms(text: str) -> float:
    """Return how long a new engine takes from a program's bytecode to its first result."""
    machine = _machine(SharedArena())
    code = _with_maps(assemble(text), lambda index: (0, map_address(index)))
    program = Code("benchmark", ProgType.XDP, tuple(code))
    context = xdp_context(machine.memory, PACKET)
    native = Native(machine)
    began = time.perf_counter()
    native.run(program, context)
    took = (time.perf_counter() - began) * 1000
    native.close()
    return took


def table(subjects: Sequence[Subject], times: Sequence[Sequence[Times]]) -> list[str]:
    """Return the table as Markdown lines."""
    lines = [
        "| | instructions | kernel, ns each | native, ns each | ratio | goal | interpreter, million/s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for subject, own in zip(subjects, times, strict=True):
        count = subject.instructions
        kernel = statistics.median(t.kernel_ns for t in own) / count
        native = statistics.median(t.native_ns for t in own) / count
        ratio = statistics.median(t.native_ns / t.kernel_ns for t in own)
        rate = 1000 * count / statistics.median(t.interpreter_ns for t in own)
        lines.append(
            f"| {subject.case.name} | {count:,} | {kernel:.3f} | {native:.3f} | {ratio:.2f} "
            f"| ≤ {subject.case.goal:g} | {rate:.1f} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    kernel = LiveKernel()
    with kernel_maps(kernel) as maps:
        subjects = [Subject(case, kernel, maps) for case in CASES]
        for subject in subjects[:3]:
            results = subject.results()
            if len(set(results)) > 1:
                print(f"benchmark vm: {subject.case.name}: results differ: {results}", file=sys.stderr)
                return 1
        for _ in range(2):
            _ = [subject.times() for subject in subjects]
        rows = [[subject.times() for subject in subjects] for _ in range(rounds)]
        by_subject = [list(column) for column in zip(*rows, strict=True)]
        print(f"vm: the same bytecode; Linux {platform.release()}, {os.cpu_count()} CPUs, {rounds} rounds\n")
        print("\n".join(table(subjects, by_subject)), end="\n\n")
        for subject in subjects:
            subject.close()
        print("\n".join(compile_times(subjects, min(rounds, 5))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
