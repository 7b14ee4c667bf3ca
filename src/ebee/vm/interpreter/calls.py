"""Calls: of helpers, of functions of the program, of other programs; and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ebee.abi.helpers import number_of
from ebee.asm.opcodes import CALL, CALLX, EXIT, PseudoCall
from ebee.vm.faults import Refusal
from ebee.vm.helpers.registry import HelperFunction, find_helper
from ebee.vm.interpreter.form import Form, Returned, Site, Step
from ebee.vm.interpreter.numbers import U32, U64

_TAIL_CALL = number_of("tail_call")


def _call(site: Site) -> Step:
    """Make the call of what the source field says."""
    makers: dict[int, Callable[[Site], Step]] = {
        PseudoCall.HELPER: _helper,
        PseudoCall.CALL: _local,
        PseudoCall.KFUNC: _kernel_function,
    }
    kind = site.instruction.src
    if kind != PseudoCall.KFUNC:
        site.must_be_zero("offset")
    if kind not in makers:
        raise site.wrong("src", "0 for a helper, 1 for a function of the program, 2 for one of the kernel")
    return makers[kind](site)


def _helper(site: Site) -> Step:
    number = site.instruction.imm
    return _tail_call(site) if number == _TAIL_CALL else _calling(site, find_helper(number))


def _calling(site: Site, function: HelperFunction) -> Step:
    """Call a function of the machine's: its result goes into r0, a refusal as a negative errno."""
    registers, following, processor = site.registers, site.following, site.processor

    def step() -> int:
        try:
            registers[0] = function(processor.run, *registers[1:6]) & U64
        except Refusal as refusal:
            registers[0] = -refusal.errno & U64
        return following

    return step


def _tail_call(site: Site) -> Step:
    """Go on in another program, in this function's place; go on here where there is none."""
    registers, following, processor = site.registers, site.following, site.processor

    def step() -> int:
        processor.tail_call(registers[2], registers[3] & U32)
        return following

    return step


def _local(site: Site) -> Step:
    following, processor = site.following, site.processor
    target = site.target(site.instruction.imm)

    def step() -> int:
        processor.call(target)
        return following

    return step


def _kernel_function(site: Site) -> Step:
    from ebee.vm.helpers.kfuncs import find_kfunc

    name = site.code.kernel_functions.get(site.instruction.imm, f"kernel function {site.instruction.imm}")
    return _calling(site, find_kfunc(name))


def _call_register(site: Site) -> Step:
    """Call what a register points at. Compilers name it in dst; LLVM before 19 in the number."""
    registers, following, processor = site.registers, site.following, site.processor
    register = site.instruction.dst or site.instruction.imm
    if site.instruction.dst:
        site.must_be_zero("imm")
    elif not 0 <= register <= 10:
        raise site.wrong("imm", "a register from 0 to 10")

    def step() -> int:
        number = registers[register]
        if number <= U32:
            return _calling(site, find_helper(number))()
        processor.call(processor.function_at(number))
        return following

    return step


def _exit(site: Site) -> Step:
    def step() -> int:
        raise Returned

    return step


FORMS: Mapping[int, Form] = {
    CALL: Form(_call, "src offset imm"),
    CALLX: Form(_call_register, "dst imm"),
    EXIT: Form(_exit, ""),
}
