"""What an opcode has: a function that makes its steps, the fields it uses, the register it writes."""

from __future__ import annotations

from collections.abc import Callable

from ebee.asm.instruction import encode
from ebee.asm.opcodes import CALLX, CLASS_MASK, FRAME_POINTER, OPERATION_MASK, Class
from ebee.record import NamedTuple
from ebee.vm.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.vm.code import Code
    from ebee.vm.interpreter.processor import Processor

Step = Callable[[], int]
"""An instruction bound to its operands: does what it does and returns the slot that comes next."""


class Returned(Exception):  # noqa: N818  # how a step ends the function that it is in
    """The function returns; its result is in r0."""


FIELD_NAMES = {"dst": "destination", "src": "source", "offset": "offset", "imm": "number"}


class Site:
    """An instruction in its place: what a step is made from.

    Attributes:
        code: the program; `instruction` is what stands at `slot` in it.
        second: the slot behind it, for wide loads; None at the program's end.
        following: the slot that comes next, where no jump is taken.
        processor: what the step works on.
        target: gives the slot that lies so many behind the next one, where a jump goes.
    """

    def __init__(
        self,
        code: Code,
        slot: int,
        processor: Processor,
        target: Callable[[int], int],
    ) -> None:
        self.code = code
        self.instruction = code.instructions[slot]
        self.second = code.instructions[slot + 1] if slot + 1 < len(code.instructions) else None
        self.slot = slot
        self.following = slot + 1
        self.processor = processor
        self.registers = processor.registers
        self.target = target

    @property
    def operation(self) -> int:
        """What an arithmetic instruction or a jump does."""
        return self.instruction.opcode & OPERATION_MASK

    @property
    def is_64(self) -> bool:
        """Whether an arithmetic instruction or a jump looks at all 64 bits."""
        return self.instruction.opcode & CLASS_MASK in (Class.ALU64, Class.JMP)

    def text(self) -> str:
        """Return the instruction as the kernel's tools print it: `(07) r0 += 1`."""
        from ebee.asm.disassembler import disassemble

        if self.instruction.opcode == CALLX:  # which the kernel's tools print as a call of a helper
            return f"({CALLX:02x}) callx r{self.instruction.dst or self.instruction.imm}"
        slots = [self.instruction] if self.second is None else [self.instruction, self.second]
        return next(disassemble(slots))[1]

    def wrong(self, field: str, expected: str) -> Fault:
        """Return the complaint about a field with a value that no kernel takes."""
        value = getattr(self.instruction, field)
        return Fault(f"{self.text()}: its {FIELD_NAMES[field]} is {value}, expected {expected}")

    def must_be_zero(self, field: str) -> None:
        """Raise a Fault where a field that has no use is not zero."""
        if getattr(self.instruction, field):
            raise self.wrong(field, "0 because it has no use")

    def must_not_write(self, field: str) -> None:
        """Raise a Fault where the register that a field names is the frame pointer."""
        if getattr(self.instruction, field) == FRAME_POINTER:
            raise Fault(f"{self.text()}: r10 is the frame pointer, which may not be written")

    def unknown(self) -> Fault:
        """Return the complaint about an instruction that does not exist."""
        raw = " ".join(f"{byte:02x}" for byte in encode([self.instruction]))
        return Fault(f"{raw}: no kernel has such an instruction")


class Form(NamedTuple):
    """How the instructions of an opcode are run.

    Attributes:
        make: makes the step of one.
        uses: the names of the fields that mean something, with spaces between; others must be 0.
        writes: the field that names the register it writes, if any.
    """

    make: Callable[[Site], Step]
    uses: str
    writes: str = ""

    def step(self, site: Site) -> Step:
        """Return the step of an instruction.

        Raises:
            Fault: it is one that no kernel takes.
        """
        used = self.uses.split()
        for field in FIELD_NAMES:
            if field not in used:
                site.must_be_zero(field)
        for field in ("dst", "src"):
            if getattr(site.instruction, field) > FRAME_POINTER:
                raise site.wrong(field, "a register from r0 to r10")
        if self.writes:
            site.must_not_write(self.writes)
        return self.make(site)
