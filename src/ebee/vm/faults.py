"""Why a program stops: told without its place, which the engine adds."""

from __future__ import annotations

from ebee.errors import MachineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.vm.code import Code


class Fault(Exception):  # noqa: N818  # caught inside; what users see is a MachineError
    """A program did what it must not.

    Args:
        message: what it did and why that is wrong, as one line.
    """

    hint: str | None = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AccessFault(Fault):
    """Memory that may not be reached.

    Attributes:
        address, size_bytes: where and how much.
    """

    def __init__(self, message: str, address: int, size_bytes: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.address = address
        self.size_bytes = size_bytes


class BudgetFault(Fault):
    """The instructions that a run may take are used up."""


class Refusal(Exception):  # noqa: N818  # an answer with an errno, caught inside
    """A map or a helper says no, with the kernel's errno: an answer, not a fault.

    Args:
        errno: positive.
        detail: what is wrong, where the errno alone does not say.
    """

    def __init__(self, errno: int, detail: str = "") -> None:
        super().__init__(errno, detail)
        self.errno = errno
        self.detail = detail


def stopped(fault: Fault, code: Code, slot: int) -> MachineError:
    """Return the error that a fault of a program is, with the line where it stopped.

    Args:
        slot: the instruction that did it.
    """
    from ebee.source import Diagnostic, Span

    place = code.place_of(slot)
    diagnostic = None
    message = f"run {code.name}: instruction {slot}: {fault.message}"
    if place is not None:
        span = Span(place.file, place.line, place.column)
        found = f"program {code.name}: {fault.message}"
        diagnostic = Diagnostic(found, span=span, source_line=place.text or None, hint=fault.hint)
        message = diagnostic.headline()
    return MachineError(message, program=code.name, slot=slot, diagnostic=diagnostic, hint=fault.hint)
