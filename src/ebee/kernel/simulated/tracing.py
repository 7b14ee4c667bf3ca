"""Tracing in the simulated kernel: hooks that are passed when somebody says so, and the trace pipe."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import contextmanager

from ebee.abi.arch import host
from ebee.errors import SpecError
from ebee.kernel.protocol import TraceSource
from ebee.kernel.simulated.hooks import Attached
from ebee.kernel.simulated.runs import lent, run
from ebee.kernel.simulated.state import State, locked
from ebee.record import NamedTuple
from ebee.vm.contexts import arguments_context, perf_event_context, raw_context
from ebee.vm.faults import Refusal
from ebee.vm.machine import Context, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SAME_PLACE = {"raw_tp": "tp_btf", "tp_btf": "raw_tp"}
"""Families whose programs run at the same tracepoint, on the same arguments."""
_WITH_ARGUMENTS = frozenset(("raw_tp", "tp_btf", "fentry", "fexit", "fmod_ret", "lsm"))
_KERNEL_HALF = 1 << 63


class Emitted(NamedTuple):
    """A program that ran because its hook was passed.

    Attributes:
        return_value: 32 bits without a sign.
    """

    program: str
    return_value: int


class Tracing:
    """The part of the simulated kernel that traces."""

    state: State

    def open_trace_pipe(self) -> TraceSource:
        """Through a pipe of the operating system's."""
        return self.state.trace.open()

    def tracepoint_id(self, category: str, name: str) -> int:
        """Any tracepoint is there: it is passed when `emit` says so."""
        return self.state.hooks.tracepoint_id(category, name)

    def hooks(self) -> list[str]:
        """Return the hooks at which programs are attached, by the names that `emit` takes."""
        return self.state.hooks.names()

    @locked
    def emit(
        self,
        hook: str,
        context: bytes = b"",
        *,
        task: Task | None = None,
        memory: Iterable[tuple[int, bytes]] = (),
        cpu: int = 0,
        program: str | None = None,
    ) -> list[Emitted]:
        """Let a hook be passed, and return what its programs said, in the order they were attached.

        Args:
            hook: `tracepoint:CATEGORY:NAME`, `raw_tp:NAME`, `tp_btf:NAME` (both kinds run for either),
                `fentry:FUNCTION`, `fexit:`, `fmod_ret:`, `lsm:`, or `perf_event:TYPE:CONFIG`.
            context: of tracepoints the record, from its common fields on; of the others 8 bytes
                little-endian for each argument; of perf events nothing.
            task: the task that passes it; by default the machine's.
            memory: what probe_read finds, for this event: address and bytes; addresses with the
                highest bit are the kernel's, the others the task's.
            cpu: on which it happens.
            program: run this one only, of those that are attached there.

        Raises:
            SpecError: there is no such kind of hook.
            MachineError: a program did what it must not; with its line.
        """
        self._check(hook)
        with self._happening(task, memory):
            return [
                self._run(attached, hook, context, cpu)
                for attached in self._attached(hook)
                if program is None or attached.current().name == program[:15]
            ]

    def _attached(self, hook: str) -> list[Attached]:
        family, _, name = hook.partition(":")
        other = _SAME_PLACE.get(family)
        return self.state.hooks.at(hook) + (self.state.hooks.at(f"{other}:{name}") if other else [])

    def _run(self, attached: Attached, hook: str, data: bytes, cpu: int) -> Emitted:
        program = attached.current()
        cookie = 0 if attached.link is None else attached.link.cookie
        with lent(self.state, self._context(hook, data, cookie)) as context:
            ran = run(self.state, program, context, cpu=cpu)
        return Emitted(program.code.name, ran.return_value)

    def _context(self, hook: str, data: bytes, cookie: int) -> Context:
        family, memory = hook.partition(":")[0], self.state.machine.memory
        if family == "tracepoint":
            return raw_context(memory, data, f"the context ({hook})", cookie=cookie)
        if family == "perf_event":
            return perf_event_context(memory, {}, host(), cookie=cookie)
        padded = data.ljust(-(-len(data) // 8) * 8, b"\0")
        arguments = [value for (value,) in struct.iter_unpack("<Q", padded)]
        try:
            return arguments_context(memory, arguments, cookie=cookie)
        except Refusal as refusal:
            raise SpecError(f"emit {hook}: {refusal.detail}") from None

    def _check(self, hook: str) -> None:
        family, _, rest = hook.partition(":")
        known = ("tracepoint", "perf_event", *sorted(_WITH_ARGUMENTS))
        if family not in known or not rest:
            raise SpecError(
                f"emit {hook}: expected {', '.join(known)} and a name",
                hint="such as tracepoint:sched:sched_switch",
            )

    @contextmanager
    def _happening(self, task: Task | None, memory: Iterable[tuple[int, bytes]]) -> Iterator[None]:
        """Set what programs see of the task and its memory, for one event."""
        machine = self.state.machine
        before = machine.task
        pieces = list(memory)
        for address, data in pieces:
            where = machine.memory.kernel if address & _KERNEL_HALF else machine.memory.user
            where.put(address, data)
        machine.task = task or before
        try:
            yield
        finally:
            machine.task = before
            if pieces:
                machine.memory.user.clear()
                machine.memory.kernel.clear()
