"""A refusal as the verifier's log at level 1 tells it: the way there, and the last words.

Source: kernel/bpf/log.c, print_verifier_state().
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

from ebee.asm.disassembler import disassemble
from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import LD_IMM64
from ebee.checker.complaint import Complaint
from ebee.checker.facts import Refused
from ebee.checker.state import State
from ebee.checker.values import ANYTHING, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.facts import Checkable, SourceLine
    from ebee.checker.walk import Pairs

_LONGEST_PATH = 20_000
_STATE_COLUMN = 38


def refused(code: Checkable, complaint: Complaint, state: State | None = None, steps: int = 0) -> Refused:
    """Return the answer: without a state, the program was refused before it was gone through."""
    lines = [] if state is None else [*_path(code, state)]
    lines += complaint.words
    limits = "(limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0"
    lines.append(f"processed {steps} insns {limits}")
    return Refused(complaint.errno, "\n".join(lines) + "\n")


def dump(state: State) -> str:
    """Return all registers that hold something."""
    return "".join(f" {text}" for text in _registers(enumerate(state.registers)))


def _registers(pairs: Iterable[tuple[int, Value | None]]) -> Iterator[str]:
    for number, value in pairs:
        if value is not None and value is not ANYTHING:
            yield f"R{number}={value.text}"


def _path(code: Checkable, state: State) -> Iterator[str]:
    steps: list[tuple[int, Pairs]] = [(state.slot, ())]
    trail = state.trail
    while trail is not None and len(steps) < _LONGEST_PATH:
        trail, slot, pairs = trail
        steps.append((slot, pairs))
    yield "0: R1=ctx() R10=fp0"
    last_place: SourceLine | None = None
    for slot, pairs in reversed(steps):
        place = _place(code, slot)
        if place is not None and place is not last_place:
            last_place = place
            yield f"; {place.text.strip()} @ {place.file.rpartition('/')[2]}:{place.line}"
        yield _step(code, slot, pairs)


def _place(code: Checkable, slot: int) -> SourceLine | None:
    index = bisect_right(code.places, slot, key=lambda entry: entry[0]) - 1
    return code.places[index][1] if index >= 0 else None


def _step(code: Checkable, slot: int, pairs: Pairs) -> str:
    instructions: list[Instruction] = list(code.instructions[slot : slot + 2])
    if not instructions or instructions[0].opcode != LD_IMM64:
        instructions = instructions[:1]
    text = next(iter(disassemble(instructions)))[1]
    shown = " ".join(dict.fromkeys(_registers(sorted(pairs, key=itemgetter(0)))))
    line = f"{slot}: {text}"
    return f"{line:<{_STATE_COLUMN}}; {shown}" if shown else line
