"""Every error that ebee raises, in one tree.

    EbeeError                       one line: what was tried: what was found, expected what
    ├── SourceError                 text of the user's is wrong; carries Diagnostics with places
    │   ├── ParseError              not the language (a C syntax error, a broken script)
    │   ├── UnknownNameError        a name that means nothing here
    │   ├── TypeMismatchError       a value of the wrong type
    │   └── UnsupportedConstructError   right, but ebee does not take it (yet)
    ├── ToolError                   the compiler is missing, crashed or gave nonsense
    ├── FormatError                 bytes are not what they claim to be (also a ValueError)
    ├── SpecError                   a specification contradicts itself (also a ValueError)
    ├── RelocationError             an instruction cannot be made ready for this kernel
    ├── KernelError                 the kernel said no (also an OSError, with its errno)
    │   ├── VerifierError           the verifier refused a program; carries the log
    │   ├── NotPermittedError       rights, lockdown, seccomp or policy; says which
    │   ├── NotSupportedError       this kernel has no such thing
    │   ├── AttachError             a program could not be attached
    │   └── MapError                a map operation failed
    ├── MachineError                the userspace machine stopped a program; says where and why
    ├── GoneError                   used after it was closed, or vanished meanwhile
    ├── CommandError                the command line is wrong
    └── InternalError               a mistake of ebee's own

`str(error)` is always one line. `error.hint` says what to do, `error.details()` gives all there is
to say: the line, the hint, and what the class carries besides (places, the verifier's log).

What is no error but must not happen in silence is a Notice, given by `notify`.
"""

from __future__ import annotations

import errno as _errno
import sys
import warnings
from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.source import Diagnostic


class Notice(UserWarning):
    """What ebee does unasked and says aloud: a file system mounted, a device that is down."""


def notify(message: str) -> None:
    """Give a Notice, as a warning at the line of whoever called into ebee."""
    depth, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("ebee."):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, Notice, stacklevel=depth)


class EbeeError(Exception):
    """The base of all of ebee's errors.

    Args:
        message: one line, `what was tried: what was found, expected what`.
        hint: one sentence that says what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def details(self) -> str:
        """Return everything the error knows, over several lines."""
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class SourceError(EbeeError):
    """Text of the user's is wrong.

    Attributes:
        diagnostics: each complaint with its place; the first one made the message.
    """

    def __init__(
        self, message: str, *, diagnostics: Sequence[Diagnostic] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = tuple(diagnostics)

    def details(self) -> str:
        if not self.diagnostics:
            return super().details()
        return "\n".join(diagnostic.render() for diagnostic in self.diagnostics)


class ParseError(SourceError):
    """The text is not a sentence of its language."""


class UnknownNameError(SourceError):
    """A name that means nothing where it stands."""


class TypeMismatchError(SourceError):
    """A value of one type where another is needed."""


class UnsupportedConstructError(SourceError):
    """The text is right, but ebee does not take it."""


class ToolError(EbeeError):
    """The compiler is missing, crashed or gave something that cannot be used."""


class FormatError(EbeeError, ValueError):
    """Bytes are not what they claim to be."""


class SpecError(EbeeError, ValueError):
    """A specification contradicts itself, or asks for what cannot be."""


class RelocationError(EbeeError):
    """An instruction cannot be made ready for this kernel."""


class KernelError(EbeeError, OSError):
    """The kernel refused.

    Attributes:
        errno: the kernel's error number, or 0 where there was none.
    """

    errno: int

    def __init__(self, message: str, *, errno: int = 0, hint: str | None = None) -> None:
        EbeeError.__init__(self, message, hint=hint)
        self.errno = errno

    def about(self, handle: str, name: str) -> KernelError:
        """Return this error with a name in place of `handle (fd 3)`, which is all that the door knows."""
        self.message = self.message.replace(handle, name, 1)
        self.args = (self.message,)
        return self

    @property
    def errno_name(self) -> str:
        """The symbol of the error number, such as `EPERM`; the number itself where it has none."""
        return _errno.errorcode.get(self.errno, str(self.errno))


class VerifierError(KernelError):
    """The verifier refused a program.

    Attributes:
        program: the program's name.
        log: the verifier's log, whole.
        diagnostic: the refusal with its place in the user's text, where one could be found.
    """

    def __init__(
        self,
        message: str,
        *,
        program: str,
        log: str,
        errno: int,
        diagnostic: Diagnostic | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, errno=errno, hint=hint)
        self.program = program
        self.log = log
        self.diagnostic = diagnostic

    def details(self) -> str:
        head = super().details() if self.diagnostic is None else self.diagnostic.render()
        return f"{head}\n\nthe verifier's log:\n{self.log.rstrip()}"


class NotPermittedError(KernelError):
    """The caller has not the right, or the kernel's policy forbids it."""


class NotSupportedError(KernelError):
    """This kernel has no such thing."""


class AttachError(KernelError):
    """A program could not be attached or detached."""


class MapError(KernelError):
    """A map could not be made, read or written."""


class MachineError(EbeeError):
    """The userspace machine stopped a program, which did what it must not.

    Attributes:
        program: its name.
        slot: the instruction at which it stopped.
        diagnostic: the complaint with the user's line, where line info tells it.
    """

    def __init__(
        self,
        message: str,
        *,
        program: str = "",
        slot: int = 0,
        diagnostic: Diagnostic | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.program = program
        self.slot = slot
        self.diagnostic = diagnostic

    def details(self) -> str:
        return super().details() if self.diagnostic is None else self.diagnostic.render()


class GoneError(EbeeError):
    """The thing was closed, or vanished while it was looked at."""


class CommandError(EbeeError):
    """The command line is wrong."""

    exit_code = 2


class InternalError(EbeeError):
    """A mistake of ebee's own; worth a report."""
