"""The verifier's log -> the path it went last, and the words with which it stopped.

At log level 1 the kernel keeps of its log the path that failed: the instructions in the order in which
it went through them, each with the registers that changed, lines of C in between, and behind the last
instruction one or two lines that say what is wrong. Only the end is read, so that the work is bounded
however long the log is.

    ; *value += 1; @ count.c:20
    7: (79) r1 = *(u64 *)(r0 +0)          ; R0=map_value(...)
    R0 invalid mem access 'map_value_or_null'
    processed 7 insns (limit 1000000) ...

Before Linux 6.9 the C lines have no ` @ file:line`. Linux 7.3 puts a longer text behind the telling line:
`Verification failed: …`, then paragraphs `Reason:`, `At:`, `Causal path:`, `Suggestion:`.

Source: kernel/bpf/verifier.c, do_check(); kernel/bpf/log.c; kernel/bpf/diagnostics.c.
"""

from __future__ import annotations

import re

from ebee.record import NamedTuple

_TAIL_CHARACTERS = 1 << 20
_LONGEST_LINE = 4000
_MOST_WORDS = 12

_STEP = re.compile(r"(\d+): \(([0-9a-f]{2})\) ([^;]*?)(?:\s*;\s*(.*))?$")
_STATE = re.compile(r"(?:\d+:|from \d+ to \d+.*?:| frame\d+:|\s*)\s*(?:frame\d+: )?\s*(R\d+(?:_\w+)?=.*)$")
_PLACED_COMMENT = re.compile(r"; (.*) @ (\S+):(\d+)$")
_SUMMARY = re.compile(r"processed \d+ insns \(limit ")

# Lines that tell what the verifier does, never why it stops.
_NOISE = re.compile(
    r"""\s*$|;|from\ \d+\ to\ \d+|\s*frame\d+:|\d+:\ R|\s*R\d+(_\w+)?=|processed\ \d+|verification\ time
    |stack\ depth\ [\d+]+$|func\#\d+\ @|Live\ regs\ before|\s*\d+:\ [.0-9]{10}|mark_precise:|regs=|last_idx
    |parent\ |propagating|caller:|callee:|returning\ from\ callee|to\ caller\ at|Validating\ \w+\(\)
    |Func\#\d+\ (\('\w+'\)\ )?is\ (global|safe)|cur\ state:|old\ state:|func\ '\w+'\ arg\d+\ has
    |arg\#\d+\ reference\ type\('UNKNOWN|\d+:\ safe$|\d+:\ \([0-9a-f]{2}\)""",
    re.VERBOSE,
)


class Step(NamedTuple):
    """One instruction of the path: where it stands, its text, the registers that it changed."""

    slot: int
    opcode: int
    text: str
    state: str = ""


class Block(NamedTuple):
    """What Linux 7.3 adds: its own headline, reason and suggestion, and where it stopped."""

    headline: str
    reason: str = ""
    suggestion: str = ""
    slot: int | None = None


class Report(NamedTuple):
    """What a log says.

    Attributes:
        steps: the path, oldest first; as much of it as the log's end holds.
        words: the lines with which the verifier stopped, first one first.
        comment: the C line printed last, with its file and line where the kernel names them.
        block: the paragraphs of Linux 7.3.
        entry: the registers known before the first step.
    """

    steps: list[Step]
    words: list[str]
    comment: tuple[str, str, int] | None = None
    block: Block | None = None
    entry: str = ""


def read_log(log: str) -> Report:
    """Return what a log says; any text gives an answer.

    Args:
        log: of level 1 or higher, whole or cut at either end.
    """
    tail, block = _split_block(_end_of(log))
    steps: list[Step] = []
    words: list[str] = []
    comment, entry = None, ""
    for line in map(_without_summary, tail.split("\n")):
        step = _STEP.match(line)
        if step is not None:
            slot, opcode, text, state = step.groups()
            steps.append(Step(_number(slot), int(opcode, 16), text, state or ""))
            words = []
        elif (state_dump := _STATE.match(line)) is not None:
            # The registers before the next step belong behind the one before it.
            if steps:
                steps[-1] = steps[-1]._replace(state=f"{steps[-1].state} {state_dump[1]}")
            else:
                entry = state_dump[1]
        elif (placed := _PLACED_COMMENT.match(line)) is not None:
            comment = (placed[1], placed[2], _number(placed[3]))
        elif line.startswith("; "):
            comment = (line[2:], "", 0)
        elif not _NOISE.match(line):
            words.append(line.strip())
    return Report(steps, words[-_MOST_WORDS:], comment, block, entry)


def _end_of(log: str) -> str:
    """Return the whole lines at the end of a log."""
    tail = log[-_TAIL_CHARACTERS:]
    return tail if len(tail) == len(log) else tail.partition("\n")[2]


def _without_summary(line: str) -> str:
    """Cut the statistics off: the kernel forgets the line's end before them for some refusals."""
    line = line[:_LONGEST_LINE].rstrip()
    found = _SUMMARY.search(line)
    return line[: found.start()] if found else line


def _number(digits: str) -> int:
    """Return the number; a number no instruction can have where a broken log has too many digits."""
    return int(digits) if len(digits) < 10 else -1


_TITLE = re.compile(r"^(Reason|At|Causal path|Suggestion):\n", re.MULTILINE)
_POINTED = re.compile(r"^\s*>>> +(\d+) \| \(", re.MULTILINE)
_INDEX = re.compile(r"^\s*insn (\d+)$", re.MULTILINE)


def _split_block(tail: str) -> tuple[str, Block | None]:
    """Take the paragraphs of Linux 7.3 off the log's end."""
    head, mark, rest = tail.rpartition("Verification failed: ")
    if not mark or (head and not head.endswith("\n")):
        return tail, None
    headline, _, body = rest.partition("\n")
    pieces = _TITLE.split(body)
    parts = dict(zip(pieces[1::2], pieces[2::2], strict=False))
    at = parts.get("At", "")
    pointed = _POINTED.search(at) or _INDEX.search(at)
    block = Block(
        headline.strip(),
        _paragraph(parts.get("Reason", "")),
        _paragraph(parts.get("Suggestion", "")),
        _number(pointed[1]) if pointed else None,
    )
    return head, block


def _paragraph(text: str) -> str:
    """Return the first paragraph as one line, without its full stop."""
    first = text.strip().split("\n\n")[0]
    kept = (line.strip() for line in first[:_LONGEST_LINE].splitlines() if not _SUMMARY.match(line))
    return " ".join(kept).rstrip(".")
