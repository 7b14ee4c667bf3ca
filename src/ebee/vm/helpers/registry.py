"""Which function answers which helper number.

A helper is a plain function of the run and the five argument registers; what it returns goes into r0
(negative errnos as Python's negative numbers). It raises a Fault for what stops the program, such as
memory it may not read; and a Refusal becomes a negative errno.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ebee.abi.helpers import name_of, number_of
from ebee.vm.faults import Fault
from ebee.vm.machine import Run

HelperFunction = Callable[[Run, int, int, int, int, int], int]

_MODULES = (
    *("maps", "general", "probing", "strings", "printing", "callbacks"),
    *("checksums", "skb", "headers", "routing", "xdp"),
    *("buffers", "dynptr", "stacks", "storage", "timers", "sockets"),
)
_TABLE: dict[int, HelperFunction] = {}
_to_import = list(_MODULES)


def helper(name: str) -> Callable[[HelperFunction], HelperFunction]:
    """Register a function as a helper of the kernel's, by its name without `bpf_`."""
    number = number_of(name)
    assert number is not None, name

    def register(function: HelperFunction) -> HelperFunction:
        _TABLE[number] = function
        return function

    return register


def find_helper(number: int) -> HelperFunction:
    """Return the function of a helper.

    Raises:
        Fault: the machine has no such helper; the hint names the nearest it has.
    """
    known = all_helpers()
    if number not in known:
        raise _missing(number, known)
    return known[number]


def all_helpers() -> dict[int, HelperFunction]:
    """Return all helpers of the machine, by number."""
    # A module may have been imported by itself before, so that a table with rows says nothing.
    while _to_import:
        import_module(f"ebee.vm.helpers.{_to_import.pop()}")
    return _TABLE


def _missing(number: int, known: dict[int, HelperFunction]) -> Fault:
    from ebee.text import did_you_mean

    name = name_of(number)
    if name is None:
        return Fault(f"call of helper {number}: no kernel has such a helper")
    names = [other for other in map(name_of, known) if other is not None]
    return Fault(f"call of {name}: the userspace machine has no such helper", did_you_mean(name, names))
