"""The native engine: compiles programs, gives them to the process that runs them, answers what it asks."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from struct import Struct

from ebee.abi.arch import Arch, host
from ebee.errors import MachineError, SpecError, ToolError
from ebee.record import Record
from ebee.vm.arena import CONTROL_AT, MAP_TABLE_AT, SEEN_AT, SharedArena
from ebee.vm.code import Code
from ebee.vm.contexts import enter
from ebee.vm.faults import Fault, Refusal, stopped
from ebee.vm.interpreter.decode import Steps, decode
from ebee.vm.interpreter.numbers import U32, U64
from ebee.vm.machine import DEFAULT_BUDGET, Context, Machine, Outcome, Run
from ebee.vm.maps.arrays import ArrayMap
from ebee.vm.maps.base import VmMap
from ebee.vm.maps.hash import HashMap
from ebee.vm.memory import REGION_SHIFT
from ebee.vm.native import layout
from ebee.vm.native.away import AwayProcessor, refused_slots
from ebee.vm.native.compile import MachineCode, compile_code, source_text
from ebee.vm.native.generator import Setting, generate
from ebee.vm.native.layout import Order, Said
from ebee.vm.native.origins import Array, Facts
from ebee.vm.native.process import RunnerProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LOCK_SLOT: Final = "lock"
_MOST_BUDGET: Final = 1 << 62
_ARGUMENTS: Final = 6
_REGISTERS: Final = 10
MOST_MAPS: Final = 1 << 16
MAP_ROW: Final = Struct("<IIIIIIQ32x")


class _Program(Record):
    """A compiled program.

    Attributes:
        number: its place among all of this engine, by which the process names it.
        entry: where it is entered, in the process.
        arrays: the arrays that its code knows, by their index; another one needs other code.
    """

    code: Code
    steps: Steps
    number: int
    entry: int
    arrays: dict[int, VmMap]


class Native:
    """An engine that runs machine code, in a process of its own: what goes wrong there stays there.

    Bounds are checked on every access, as the interpreter does; the outcome is the same.

    Args:
        machine: its memory has to be a `SharedArena`: `Machine(SharedArena())`.

    Attributes:
        compiled: how many programs were compiled, and not found compiled already.

    Raises:
        SpecError: the machine's memory cannot be shared.
        NotSupportedError: ebee has no tables for this processor.
    """

    name = "native"

    def __init__(self, machine: Machine) -> None:
        if not isinstance(machine.memory.arena, SharedArena):
            raise SpecError(
                "native engine: the machine's memory is this process's own, expected a SharedArena",
                hint="make the machine as Machine(SharedArena())",
            )
        self.machine = machine
        self.compiled = 0
        self._arena = machine.memory.arena
        self._arch: Arch = host()
        self._words = self._arena.window(CONTROL_AT, layout.STATE_BYTES).cast("Q")
        self._words[layout.ARENA_BYTES] = self._arena.size_bytes
        self._processor = AwayProcessor(machine, self._steps_of, self._call_there)
        self._programs: list[_Program] = []
        self._by_code: dict[int, _Program] = {}
        self._running: Run | None = None
        self._round = self._budget = 0
        self._waiting = False
        self._shown: dict[int, VmMap] = {}
        self._arrays: dict[int, VmMap] = {}
        self._rows = self._arena.window(MAP_TABLE_AT, MOST_MAPS * MAP_ROW.size)

    def close(self) -> None:
        """End the process. A later run starts another."""
        if self._arena.runner is not None:
            self._arena.runner.close()
            self._arena.runner = None

    def run(
        self,
        code: Code,
        context: Context,
        *,
        budget: int = DEFAULT_BUDGET,
        cpu: int = 0,
        repeat: int = 1,
    ) -> Outcome:
        """Run a program from its first instruction with r1 at the context; the last run's outcome.

        Args:
            budget: how many instructions each run may take.
            cpu: whose values per-CPU maps give.
            repeat: how often; the packet and the context stay as a run leaves them.

        Raises:
            MachineError: it did what it must not, or took more than its budget; with its line. Or
                the process that ran it ended.
            ToolError: the program could not be compiled, or the process not started.
        """
        memory = self.machine.memory
        enter(memory, context)
        memory.changed(context.region)
        if context.packet is not None:
            memory.changed(context.packet.region)
        run = self._new_run(code, context, budget, cpu)
        value = self._start(run, 0, (context.region.address(),), budget, repeat)
        return Outcome(value, min(budget, _MOST_BUDGET) - self._left, self._redirected(run))

    def _redirected(self, run: Run) -> object:
        """Return where the last round points; it has not set it where another one did."""
        return run.redirected if self._round == self._words[layout.ROUND] else None

    def source(self, code: Code, context: Context) -> str:
        """Return the C that a program becomes, without what stands before all of them."""
        return generate(code.instructions, self._setting(code, context))

    # -- runs ------------------------------------------------------------------------------------
    def _new_run(self, code: Code, context: Context, budget: int, cpu: int) -> Run:
        def call(address: int, arguments: Sequence[int]) -> int:
            if self._running is run:
                return self._processor.call_back(address, arguments)
            # The run is over: a timer's function, say, begins a run of its own.
            return self._start(run, address, arguments, budget, 1)

        run = Run(self.machine, code, context, call, cpu=cpu)
        return run

    def _start(self, run: Run, address: int, arguments: Sequence[int], budget: int, repeat: int) -> int:
        """Enter a function, or the program for address 0, and answer until it returns its r0."""
        assert self._running is None, "one run at a time"
        self._show_maps()
        program = self._program(run.code, run.context)
        runner = self._started()
        words = self._words
        words[layout.ENTRY], words[layout.ENTERING] = program.entry, program.number
        words[layout.FUNCTION], words[layout.REPEAT], words[layout.CPU] = address, repeat, run.cpu
        words[layout.BUDGET] = min(budget, _MOST_BUDGET)
        words[layout.PROGRAM] = program.number
        words[layout.REAL_CLOCK] = int(self.machine.clock_ns is time.monotonic_ns)
        self._set_arguments(arguments)
        self._running, self._round, self._budget = run, 0, budget
        try:
            return self._converse(runner, Order.RUN)
        except BaseException:
            self._abort(runner)
            raise
        finally:
            self._running = None

    def _set_arguments(self, arguments: Sequence[int]) -> None:
        for index in range(5):
            given = arguments[index] if index < len(arguments) else 0
            self._words[layout.CALL + index] = given & U64

    def _converse(self, runner: RunnerProcess, order: int) -> int:
        """Give an order and answer all questions until the function it began has returned; return its r0."""
        words = self._words
        while True:
            words[layout.ORDER] = order
            self._waiting = True  # before it is so: whoever interrupts in between ends the process
            runner.say()
            if not runner.hear():
                raise self._gone(runner)
            self._waiting = False
            kind = words[layout.KIND]
            if kind in (Said.DONE, Said.RETURNED):
                return words[layout.VALUE]
            words[layout.VALUE] = self._answer(kind)
            order = Order.ANSWER

    def _abort(self, runner: RunnerProcess) -> None:
        """Let the process give up its program: it waits for an answer, or it is ended."""
        if self._waiting:
            self.close()
        else:
            self._words[layout.ORDER] = Order.ABORT
            runner.say()
        self._waiting = False

    def _started(self) -> RunnerProcess:
        """Return the process, a new one where there is none."""
        runner = self._arena.runner
        if runner is not None and runner.is_of_another:
            raise ToolError(
                "native engine: this process is a copy by fork, and its memory is the original's too",
                hint="make the machine after the fork, or run programs on the interpreter",
            )
        if runner is None or not runner.is_open:
            runner = RunnerProcess(self._arena.descriptor, self._words, self._arch)
            self._arena.runner = runner
        return runner

    def _gone(self, runner: RunnerProcess) -> MachineError:
        status = runner.close()
        self._arena.runner = None
        assert self._running is not None
        name = self._running.code.name
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return MachineError(
            f"run {name}: the process of the native engine ended {how}, expected it to run the program",
            program=name,
            hint="run it on the interpreter to see where; the next native run starts another process",
        )

    # -- answers ---------------------------------------------------------------------------------
    def _answer(self, kind: int) -> int:
        """Do what the process asks for, and return what it waits for."""
        words, processor = self._words, self._processor
        program = self._programs[words[layout.PROGRAM]]
        slot, sent = words[layout.SLOT], words[layout.ARGUMENTS : layout.ARGUMENTS + _ARGUMENTS].tolist()
        self._stand(program)
        try:
            if kind == Said.STEP:
                return self._with_lock(processor.run, lambda: processor.take(slot, sent))
            if kind == Said.FINISH:
                return self._with_lock(processor.run, lambda: self._finish(slot))
            if kind == Said.TAIL_CALL:
                return self._tail_call(sent[0], sent[1] & U32)
            processor.complain_outside(slot, fell=bool(sent[0]))
        except Fault as fault:
            raise stopped(fault, program.code, slot) from None
        raise AssertionError(f"the process says {kind}")

    def _stand(self, program: _Program) -> None:
        words = self._words
        run, depth = self._current_run(), words[layout.DEPTH]
        self._processor.stand(run, program.steps, depth, self._budget, self._left)

    @property
    def _left(self) -> int:
        """How many instructions the run may still take."""
        return self._words[layout.LEFT] + self._words[layout.MORE]

    @_left.setter
    def _left(self, left: int) -> None:
        self._words[layout.LEFT], self._words[layout.MORE] = 0, left

    def _finish(self, slot: int) -> int:
        """Run a function to its end here, where the budget is looked at with every instruction."""
        words, processor = self._words, self._processor
        registers = words[layout.REGISTERS : layout.REGISTERS + _REGISTERS].tolist()
        result = processor.finish(slot, registers, words[layout.LOOPS], words[layout.TAIL_CALLS])
        self._left, words[layout.TAIL_CALLS] = processor.left, processor.tail_calls
        return result

    def _with_lock(self, run: Run, action: Callable[[], int]) -> int:
        """Let helpers here see the spin lock that is held there, and the other way round."""
        held = self._words[layout.LOCK]
        if held:
            run.slots[_LOCK_SLOT] = held
        result = action()
        if held or _LOCK_SLOT in run.slots:
            lock = run.slots.pop(_LOCK_SLOT, 0)
            assert isinstance(lock, int)
            self._words[layout.LOCK] = lock
        return result

    def _current_run(self) -> Run:
        """Return what helpers see; each round of a repeated run has its own."""
        run = self._running
        assert run is not None
        if self._words[layout.ROUND] != self._round:
            self._round = self._words[layout.ROUND]
            run.slots, run.redirected = {}, None
        return run

    def _call_there(self, address: int, arguments: Sequence[int]) -> int:
        """Call a function of the program that asks, in the process that waits for the answer."""
        assert self._arena.runner is not None
        words, processor = self._words, self._processor
        program = self._program(processor.program.code, processor.run.context)
        saved = words[layout.PROGRAM], words[layout.SLOT], words[layout.DEPTH]
        words[layout.ENTRY], words[layout.ENTERING] = program.entry, program.number
        words[layout.FUNCTION], words[layout.DEPTH] = address, processor.frame
        self._left, words[layout.TAIL_CALLS] = processor.left, processor.tail_calls
        self._set_arguments(arguments)
        value = self._converse(self._arena.runner, Order.CALL)
        words[layout.PROGRAM], words[layout.SLOT], words[layout.DEPTH] = saved
        self._stand(program)
        return value

    def _tail_call(self, map_address: int, index: int) -> int:
        code = self._processor.program_in(map_address, index)
        if code is None:
            return 0
        program = self._program(code, self._current_run().context)
        self._words[layout.ENTERING] = program.number
        return program.entry

    # -- programs --------------------------------------------------------------------------------
    def _steps_of(self, code: Code) -> Steps:
        return self._by_code[id(code)].steps

    def _program(self, code: Code, context: Context) -> _Program:
        """Return a program compiled; it is kept, so that its id stays its own."""
        found = self._by_code.get(id(code))
        if found is not None and all(self.machine.maps.get(i) is known for i, known in found.arrays.items()):
            return found
        self._arrays = {}
        text = source_text("state.h", "program.h") + self.source(code, context)
        compiled = compile_code(text, "program", self._arch)
        self.compiled += not compiled.from_cache
        steps = decode(code, self._processor)
        program = _Program(code, steps, len(self._programs), self._placed(compiled), self._arrays)
        self._programs.append(program)
        self._by_code[id(code)] = program
        return program

    def _placed(self, compiled: MachineCode) -> int:
        """Put code where the process can run it; return where it is entered."""
        try:
            return self._arena.place_code(compiled.data) + compiled.entry
        except Refusal as refusal:
            raise ToolError(
                f"native engine: programs fill {refusal.detail}, expected room for one more",
                hint="make another machine",
            ) from None

    def _setting(self, code: Code, context: Context) -> Setting:
        pointers = {offset: address >> REGION_SHIFT for offset, address in context.region.pointers.items()}
        regions = self.machine.memory.regions

        def is_single(number: int) -> bool:
            return number in regions and regions[number].elements == 1

        refused = refused_slots(code, self._processor)
        facts = Facts(pointers, self._found_in, self._array_at)
        return Setting(code.functions, facts, is_single, refused)

    def _found_in(self, map_address: int) -> int:
        found = self.machine.map_at(map_address)
        return 0 if found is None or found.values is None else found.values.number

    def _array_at(self, map_address: int) -> Array | None:
        found = self.machine.map_at(map_address)
        if type(found) is not ArrayMap or found.values is None:
            return None
        self._arrays[found.index] = found
        entries = found.setup.max_entries
        return Array(found.values.number, entries, entries if found.per_cpu else 0)

    def _show_maps(self) -> None:
        """Bring the table of maps up to date: maps come and go between runs."""
        maps = self.machine.maps
        for index, found in maps.items():
            if self._shown.get(index) is not found and index < MOST_MAPS:
                self._shown[index] = found
                self._rows[index * MAP_ROW.size : (index + 1) * MAP_ROW.size] = map_row(found)
        for index in [index for index in self._shown if index not in maps]:
            del self._shown[index]
            self._rows[index * MAP_ROW.size : (index + 1) * MAP_ROW.size] = bytes(MAP_ROW.size)


def map_row(found: VmMap) -> bytes:
    """Return what maps.c knows about a map; zeros for one of a kind that it leaves to this process."""
    setup, values = found.setup, found.values
    if values is None or type(found) not in (ArrayMap, HashMap):
        return bytes(MAP_ROW.size)
    kind, table, step = layout.ARRAY, 0, setup.max_entries
    if isinstance(found, HashMap):
        kind, table, step = layout.HASH, SEEN_AT + found.table_start, found.capacity
    per_cpu = isinstance(found, ArrayMap | HashMap) and found.per_cpu
    sizes = (setup.key_size_bytes, setup.value_size_bytes, setup.max_entries)
    return MAP_ROW.pack(kind, *sizes, values.number, step if per_cpu else 0, table)
