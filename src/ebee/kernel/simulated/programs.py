"""BTF and programs of the simulated kernel: load, try, query."""

from __future__ import annotations

import errno
import time

from ebee.abi.bpf import AttachType
from ebee.btf import decode as decode_btf
from ebee.checker import CheckFacts, Refused, check
from ebee.errors import FormatError
from ebee.kernel.complaints import query_error, run_error
from ebee.kernel.protocol import AttachedProgram, LoadAnswer, ProgramLoad, RunAnswer, RunRequest
from ebee.kernel.simulated.code import Resolved, Unfit, resolve
from ebee.kernel.simulated.load_rules import kept_name, wrong_at_once
from ebee.kernel.simulated.state import State, locked
from ebee.kernel.simulated.things import BtfThing, ProgramThing
from ebee.vm.faults import Refusal


class Programs:
    """The part of the simulated kernel that loads and runs."""

    state: State

    @locked
    def btf_load(self, data: bytes, *, log_size_bytes: int = 0) -> LoadAnswer:
        """Keep types; bytes that are no BTF are EINVAL, with the reason as the log."""
        try:
            types = decode_btf(data)
        except FormatError as error:
            return _refused(Refused(errno.EINVAL, f"{error}\n"), log_size_bytes)
        thing = BtfThing(data, types)
        self.state.register(thing)
        return LoadAnswer(self.state.open(thing), 0, "")

    @locked
    def program_load(self, request: ProgramLoad) -> LoadAnswer:
        """Resolve, check, keep."""
        log_size_bytes = request.log_size_bytes if request.log_level else 0
        number = wrong_at_once(request)
        if number:
            return LoadAnswer(-1, number, "")
        request = request._replace(name=kept_name(request.name))
        try:
            # Types that neither functions nor lines refer to are not looked at.
            typed = request.btf_fd and (request.func_info or request.line_info)
            btf = self.state.get(request.btf_fd, BtfThing) if typed else None
            target = _target(request, self.state)
            resolved = resolve(request, self.state, btf)
        except Unfit as unfit:
            return _refused(Refused(unfit.errno, unfit.log), log_size_bytes)
        except Refusal as refusal:
            return LoadAnswer(-1, refusal.errno, "")
        except FormatError as error:
            return _refused(Refused(errno.EINVAL, f"{error}\n"), log_size_bytes)
        refused = check(resolved.code, _check_facts(request, resolved))
        if refused is not None:
            return _refused(refused, log_size_bytes)
        thing = self._kept(request, resolved, btf)
        thing.attach_target = target
        return LoadAnswer(self.state.open(thing), 0, "")

    def _kept(self, request: ProgramLoad, resolved: Resolved, btf: BtfThing | None) -> ProgramThing:
        thing = ProgramThing(self.state, request, resolved.code, tuple(resolved.maps), btf)
        thing.loads = resolved.loads
        thing.load_time_ns = _boot_time_ns()
        self.state.register(thing)
        self.state.machine.programs[thing.id] = thing.code
        return thing

    @locked
    def program_test_run(self, request: RunRequest) -> RunAnswer:
        """Run it on the machine; a MachineError of the program's goes to the caller."""
        from ebee.kernel.simulated.trials import try_program

        try:
            return try_program(self.state, request)
        except Refusal as refusal:
            raise run_error(refusal.errno, request, hint=refusal.detail or None) from None

    def program_query(self, target: int, attach_type: AttachType, flags: int = 0) -> list[AttachedProgram]:
        """What the devices and hooks hold."""
        del flags
        try:
            return self.state.devices.query(target, attach_type)
        except Refusal as refusal:
            raise query_error(refusal.errno, attach_type) from None


def _target(request: ProgramLoad, state: State) -> str:
    """Return the name of what a tracing program was loaded for.

    Raises:
        Unfit: the kernel's types hold nothing of that number.
    """
    if not request.attach_btf_id:
        return ""
    types = state.types()
    if types is None or not request.attach_btf_id < len(types):
        raise Unfit(errno.EINVAL, f"attach_btf_id {request.attach_btf_id} is invalid\n")
    return types.type(request.attach_btf_id).name.removeprefix("btf_trace_")


def _check_facts(request: ProgramLoad, resolved: Resolved) -> CheckFacts:
    from ebee.kernel.simulated.map_facts import map_facts
    from ebee.vm.machine import map_address

    maps = {map_address(item.vm.index): map_facts(item) for item in resolved.maps}
    return CheckFacts(maps=maps, functions=resolved.functions, flags=request.flags)


def _refused(refused: Refused, log_size_bytes: int) -> LoadAnswer:
    """Return the answer to a refusal, with as much of the log as there is room for (ENOSPC for less)."""
    if not log_size_bytes:
        return LoadAnswer(-1, refused.errno, "")
    whole_bytes = len(refused.log) + 1
    if whole_bytes > log_size_bytes:
        return LoadAnswer(-1, errno.ENOSPC, refused.log[-log_size_bytes + 1 :], whole_bytes)
    return LoadAnswer(-1, refused.errno, refused.log, whole_bytes)


def _boot_time_ns() -> int:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
