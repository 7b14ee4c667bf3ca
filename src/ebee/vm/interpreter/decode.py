"""Code -> steps: each instruction is looked at once, however often it runs."""

from __future__ import annotations

from collections.abc import Mapping

from ebee.vm.code import Code
from ebee.vm.faults import Fault
from ebee.vm.interpreter import access, alu, calls, jumps
from ebee.vm.interpreter.form import Form, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.vm.interpreter.processor import Processor

FORMS: Mapping[int, Form] = {**alu.FORMS, **jumps.FORMS, **access.FORMS, **calls.FORMS}
"""By opcode: every instruction that there is."""


class Steps:
    """A program's steps.

    Attributes:
        steps: one for each slot; behind them those that tell of a jump to nowhere.
        origins: the slots of the jumps that go there.
    """

    def __init__(self, code: Code, steps: list[Step], origins: Mapping[int, int]) -> None:
        self.code = code
        self.steps = steps
        self.origins = origins

    def slot_of(self, index: int) -> int:
        """Return the slot that a step came from."""
        return self.origins.get(index, index)

    def watched(self, reached: set[int]) -> Steps:
        """Return steps that also put their slots into a set."""
        return Steps(
            self.code, [_watched(step, i, reached) for i, step in enumerate(self.steps)], self.origins
        )


def decode(code: Code, processor: Processor) -> Steps:
    """Return the steps of a program, bound to a processor.

    What no kernel takes becomes a step that raises a Fault: nothing is wrong until it is reached.
    """
    return _Decoder(code, processor).run()


class _Decoder:
    def __init__(self, code: Code, processor: Processor) -> None:
        self._code = code
        self._processor = processor
        self._size = len(code.instructions)
        self._beyond: list[Step] = []
        self._origins: dict[int, int] = {}

    def run(self) -> Steps:
        # The first of those beyond: it stands where a program without an exit goes on.
        self._nowhere(max(0, self._size - 1), "the program ends without an exit")
        steps = [self._step(slot) for slot in range(self._size)]
        return Steps(self._code, steps + self._beyond, self._origins)

    def _step(self, slot: int) -> Step:
        site = Site(self._code, slot, self._processor, lambda distance: self._target(slot, distance))
        form = FORMS.get(site.instruction.opcode)
        try:
            if form is None:
                raise site.unknown()
            return form.step(site)
        except Fault as fault:
            return _failing(fault)

    def _target(self, slot: int, distance: int) -> int:
        target = slot + 1 + distance
        if 0 <= target < self._size:
            return target
        return self._nowhere(slot, f"jump to slot {target}, outside the program's {self._size}")

    def _nowhere(self, slot: int, message: str) -> int:
        """Add a step that complains on behalf of a slot; return where it is."""
        index = self._size + len(self._beyond)
        self._beyond.append(_failing(Fault(message)))
        self._origins[index] = slot
        return index


def _failing(fault: Fault) -> Step:
    # The fault itself is not kept: its traceback would keep everything that was going on.
    message, hint = fault.message, fault.hint

    def step() -> int:
        raise Fault(message, hint)

    return step


def _watched(step: Step, slot: int, reached: set[int]) -> Step:
    def watched() -> int:
        reached.add(slot)
        return step()

    return watched
