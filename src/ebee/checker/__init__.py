"""A small static check of a program before the userspace machine runs it.

It answers as the kernel's verifier does: an errno, and a log in the verifier's own words, which is
explained like the kernel's. What it does not know for certain it lets pass; the machine watches every
access anyway while the program runs.
"""

from __future__ import annotations

from ebee.checker.facts import CheckFacts, MapFacts, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.facts import Checkable

__all__ = ["CheckFacts", "MapFacts", "Refused", "check"]


def check(code: Checkable, facts: CheckFacts) -> Refused | None:
    """Return why a program must not run; None where nothing speaks against it.

    Never raises, whatever the instructions are, and takes time in proportion to their number.

    Args:
        code: a program as the machine takes it (`ebee.vm.code.Code`).
        facts: the maps and functions that its wide loads name.
    """
    from ebee.checker.complaint import Complaint
    from ebee.checker.log import refused
    from ebee.checker.shared import check_maps, check_stack
    from ebee.checker.structure import Shape
    from ebee.checker.walk import Walk

    try:
        shape = Shape(code.instructions, facts.functions)
        check_maps(code, facts)
    except Complaint as complaint:
        return refused(code, complaint)
    walk = Walk(code, facts, shape)
    found = walk.run()
    if found is not None:
        return refused(code, found, walk.state, walk.steps)
    try:
        check_stack(walk)
    except Complaint as complaint:
        return refused(code, complaint, steps=walk.steps)
    return None
