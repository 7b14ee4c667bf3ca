"""Answer: yes, no, or could not tell; and why."""

from __future__ import annotations

from enum import Enum

from ebee.record import NamedTuple


class Status(Enum):
    """The three answers of a probe."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "could not tell"


class Answer(NamedTuple):
    """What a probe found.

    Attributes:
        status: yes, no or could not tell.
        reason: what was seen, in a few words.
        refused: a no of policy: the kernel knows the thing and does not allow it to anybody.
    """

    status: Status
    reason: str
    refused: bool = False

    @property
    def is_yes(self) -> bool:
        """Whether it is a yes; could-not-tell is none."""
        return self.status is Status.YES


def yes(reason: str) -> Answer:
    """Return a yes."""
    return Answer(Status.YES, reason)


def no(reason: str) -> Answer:
    """Return a no: this kernel has no such thing."""
    return Answer(Status.NO, reason)


def refused(reason: str) -> Answer:
    """Return a no of policy."""
    return Answer(Status.NO, reason, refused=True)


def unknown(reason: str) -> Answer:
    """Return a could-not-tell."""
    return Answer(Status.UNKNOWN, reason)
