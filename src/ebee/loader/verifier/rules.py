"""The verifier's refusals and what each means, as a table: the first rule that fits is taken.

Rules for lines that explain stand before those for lines that only follow from them. A message in
braces refers to the groups of its pattern.

Source: the texts of kernel/bpf/verifier.c, Linux 5.10 to 6.18.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ebee.loader.verifier import bounds, calls, context, flow, null, packets, stack, words
from ebee.loader.verifier.scene import Finding, Scene
from ebee.record import NamedTuple

Explain = Callable[[Scene, "re.Match[str]"], Finding]


class Rule(NamedTuple):
    """A refusal: its name, its pattern in the log, and what explains it."""

    name: str
    pattern: str
    explain: Explain


def _says(message: str, hint: str | None = None) -> Explain:
    """Return an explanation that is the same wherever it happens, but for the pattern's groups."""

    def explain(scene: Scene, found: re.Match[str]) -> Finding:
        del scene
        return Finding(message.format(*found.groups()), hint)

    return explain


def _says_of_kind(message: str) -> Explain:
    """Return an explanation in which `{}` is the kind of pointer that the pattern's group names."""
    return lambda scene, found: Finding(message.format(words.kind(found[1])))


_STACK = r"(?:R(?P<register>\d+) )?off[ =](?P<off>-?\d+)(?:\+(?P<inner>\d+))? size[ =](?P<size>\d+)"
_OLD_STACK = r"off=(?P<off>-?\d+) (?:access_)?size=(?P<size>\d+)"
_COMPUTE = "keep the pointer as it is, and compute with numbers"
_TRACE_RIGHT = "it needs the right to trace (CAP_PERFMON)"

_POINTERS = (
    Rule("unchecked-null", r"R(\d+) invalid mem access '(\w+)_or_null_?\w*'", null.maybe_null),
    Rule("not-a-pointer", r"R(\d+) invalid mem access '(?:scalar|inv)'", null.number_dereferenced),
    Rule(
        "map-dereferenced",
        r"R\d+ invalid mem access 'map_ptr'",
        _says("reads or writes the map itself", "look a value up: bpf_map_lookup_elem(&map, &key)"),
    ),
    Rule(
        "wrong-memory",
        r"R\d+ invalid mem access '(?!\w*_or_null)(\w+)'",
        _says_of_kind("reads or writes through {}, which allows neither"),
    ),
    Rule("unchecked-null", r"R(\d+) pointer arithmetic on \w+_or_null\w* prohibited", null.null_arithmetic),
    Rule(
        "unchecked-null",
        r"(?:Possibly )?NULL pointer passed to (helper|trusted) arg(\d)",
        calls.null_argument,
    ),
    Rule("no-value", r"R(\d+) !read_ok", null.no_value),
)

_MEMORY = (
    Rule(
        "packet-bounds",
        r"invalid access to packet, off=(-?\d+) size=(\d+), R(\d+)\(id=(\d+),off=(-?\d+),r=(\d+)\)",
        packets.packet,
    ),
    Rule(
        "packet-read-only", r"cannot write into packet", _says("this program may not write into the packet")
    ),
    Rule(
        "out-of-bounds",
        r"invalid access to (?:map value|map key|memory|\w+mem), \w+_size=(\d+) off=(-?\d+) size=(\d+)",
        bounds.out_of_bounds,
    ),
    Rule("unbounded-index", r"R\d+ unbounded memory access, make sure", bounds.unbounded),
    Rule("negative-index", r"R\d+ min value is negative, either use unsigned index", bounds.negative),
    Rule("negative-index", r"R\d+ min value is outside", bounds.negative),
    Rule("negative-index", r"value -\d+ makes \w+ pointer be out of bounds", bounds.negative),
    Rule("negative-index", r"R\d+ (?:has unknown|unbounded) min", bounds.negative),
    Rule("unbounded-index", r"math between \w+ pointer and register with unbounded", bounds.unbounded),
    Rule("unbounded-index", r"\w+ pointer offset -?\d+ is not allowed", bounds.unbounded),
    Rule("unbounded-index", r"value \d+ makes \w+ pointer be out of bounds", bounds.unbounded),
    Rule("unbounded-size", r"R(\d+) min value is negative, either use unsigned or", bounds.size_argument),
    Rule("unbounded-size", r"R(\d+) unbounded memory access, use", bounds.size_argument),
    Rule("zero-size", r"R(\d+) invalid zero-sized read", bounds.zero_size),
    Rule("not-constant", r"R(\d+) (?:is not a|must be a) known constant", bounds.not_constant),
    Rule(
        "read-only-map",
        r"write into map forbidden",
        _says(
            "writes a const variable, or a map that programs may only read",
            "drop the const of the variable, or BPF_F_RDONLY_PROG of the map",
        ),
    ),
    Rule(
        "write-only-map",
        r"read from map forbidden",
        _says("reads a map that programs may only write", "drop BPF_F_WRONLY_PROG of the map"),
    ),
    Rule(
        "read-only-memory",
        r"R\d+ cannot write into (\w+)",
        _says_of_kind("writes through {}, which may only be read"),
    ),
    Rule("stack-too-large", r"combined stack size of (\d+) calls is (\d+)", stack.calls),
    Rule("stack-too-large", rf"invalid (?:write|indirect access) to stack {_STACK}", stack.outside),
    Rule("stack-too-large", rf"invalid stack (?:type R\d+ )?{_OLD_STACK}", stack.outside),
    Rule("stack-uninitialised", rf"invalid (?:indirect )?read from stack {_STACK}", stack.unset),
    Rule("unbounded-index", r"variable-offset (?:indirect )?\w+ (?:from|to) stack", bounds.stack_index),
    Rule("unbounded-index", r"variable stack (?:read|access)", bounds.stack_index),
    Rule("context-field", r"invalid bpf_context access off=(-?\d+) size=(\d+)", context.field),
    Rule(
        "context-address",
        r"variable ctx access|dereference of modified ctx ptr",
        _says(
            "reads the context at an address that was computed, expected a fixed field of it",
            "read the fields one by one, each by its name, and choose among the values",
        ),
    ),
    Rule(
        "kernel-field",
        r"access beyond struct (\w+) at off (\d+)",
        _says("reaches byte {1} of the kernel's struct {0}, which is not that long"),
    ),
    Rule(
        "kernel-read-only",
        r"only read is supported",
        _says("writes memory of the kernel's that may only be read"),
    ),
    Rule(
        "misaligned",
        r"misaligned (\w+) access off .* size (\d+)",
        _says(
            "{1} bytes are read or written at an address in {0} memory that is no multiple of {1}",
            "copy them byte by byte: __builtin_memcpy(&copy, pointer, sizeof(copy))",
        ),
    ),
)

_CALLS = (
    Rule("licence", r"cannot call GPL|call kernel function from non-GPL", calls.not_gpl),
    Rule("licence", r"programs must have a GPL compatible license", calls.not_gpl),
    Rule(
        "helper-not-allowed",
        r"(?:unknown func|program of this type cannot use helper) (\w+)#\d+",
        calls.wrong_type,
    ),
    Rule("no-such-helper", r"invalid func \w+#(\d+)", calls.unknown_function),
    Rule(
        "global-function-call",
        r"Caller passes invalid args into func#\d+(?: \('(\w+)'\))?",
        calls.bad_call,
    ),
    Rule("wrong-argument", r"R(\d+) type=(\w+) expected=(.+)", calls.wrong_argument),
    Rule("wrong-map", r"cannot pass map_type (\d+) into func (\w+)#\d+", calls.wrong_map),
    Rule("wrong-map", r"expected prog array map for tail call", calls.tail_call_map),
    Rule("wrong-map", r"kernel subsystem misconfigured verifier", calls.misconfigured),
    Rule("kernel-function", r"calling kernel function (\w+) is not allowed", calls.kernel_function),
    Rule("may-sleep", r"helper call might sleep|helper call is not allowed in non-sleep", calls.may_sleep),
    Rule(
        "no-such-argument",
        r"func '(\w+)' doesn't have (\d+)-th argument",
        _says("takes argument {1} of {0}, which has not so many"),
    ),
    Rule(
        "calls-too-deep",
        r"the call stack of (\d+) frames is too deep",
        _says("functions call each other {} deep, expected 8 at most", "merge some of them"),
    ),
    Rule(
        "recursion",
        r"recursive call from|back-edge from function",
        _says("a function calls itself, directly or through others", "write it as a loop with a fixed limit"),
    ),
    Rule("unreleased", r"Unreleased reference id=\d+ alloc_insn=(\d+)", calls.unreleased),
    Rule("lock-held", r"cannot be used inside bpf_spin_lock-ed region", calls.lock_at_exit),
    Rule("lock-held", r"bpf_spin_unlock is missing", calls.lock_at_exit),
    Rule("lock-held", r"function calls are not allowed while holding a lock", calls.call_under_lock),
    Rule("lock-held", r"Locking two bpf_spin_locks are not allowed", calls.call_under_lock),
    Rule(
        "lock-not-allowed",
        r"(tracing|socket filter|sleepable) progs cannot use bpf_spin_lock",
        calls.lock_not_allowed,
    ),
    Rule(
        "lock-touched",
        r"bpf_spin_lock cannot be accessed directly",
        _says("reads or writes the lock itself", "copy the fields behind it, not the whole value"),
    ),
)

_FLOW = (
    Rule("endless-loop", r"infinite loop detected at insn (\d+)", flow.endless),
    Rule("endless-loop", r"back-edge from insn (\d+) to (\d+)", flow.back_edge),
    Rule("too-complex", r"The sequence of (\d+) jumps is too complex", flow.too_many_paths),
    Rule("too-complex", r"BPF program is too large\. Processed (\d+) insn", flow.too_large),
    Rule("unreachable", r"unreachable insn (\d+)", flow.unreachable),
    Rule("no-exit", r"last insn is not an exit or jmp", flow.open_end),
    Rule("no-exit", r"jump out of range from insn (\d+)", flow.jump_out),
    Rule(
        "return-value",
        r"At program exit the register R0 has (.*?)\s*should have been in (.*)",
        flow.return_value,
    ),
    Rule(
        "pointer-arithmetic",
        r"R\d+ pointer arithmetic with (\S+) operator prohibited",
        _says("computes {} with a pointer, expected numbers only", _COMPUTE),
    ),
    Rule(
        "pointer-arithmetic",
        r"R\d+ pointer (\S+) pointer prohibited",
        _says("computes {} with two pointers, expected a pointer and a number", _COMPUTE),
    ),
    Rule(
        "pointer-arithmetic",
        r"R\d+ (?:bitwise operator \S+ on pointer|32-bit pointer arithm|tried to \w+ pointer from scalar)",
        _says("computes with a pointer as if it were a number", _COMPUTE),
    ),
    Rule(
        "pointer-arithmetic",
        r"R\d+ pointer arithmetic on (\w+) prohibited",
        _says_of_kind("adds to {}, which must stay as it is"),
    ),
    Rule(
        "pointer-leak",
        r"R\d+ pointer comparison prohibited",
        _says("compares a pointer with a number", _TRACE_RIGHT),
    ),
    Rule("pointer-leak", r"R\d+ leaks addr", _says("gives a kernel address away", _TRACE_RIGHT)),
    Rule("arithmetic", r"div by zero", _says("divides by a constant 0")),
    Rule("arithmetic", r"invalid shift (-?\d+)", _says("shifts by {} bits, more than the value has")),
    Rule(
        "arithmetic", r"frame pointer is read only", _says("writes register r10, which points to the stack")
    ),
)

RULES = (*_POINTERS, *_MEMORY, *_CALLS, *_FLOW)

_COMPILED = [(re.compile(rule.pattern), rule) for rule in RULES]


def match(lines: list[str]) -> tuple[Rule, re.Match[str]] | None:
    """Return the first rule that fits one of the lines, with what it found there."""
    for pattern, rule in _COMPILED:
        for line in lines:
            if found := pattern.search(line):
                return rule, found
    return None
