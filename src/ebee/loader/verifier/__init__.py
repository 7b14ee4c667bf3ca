"""The verifier's refusal, explained: what is wrong, in which C line, and what to do.

Pure: a log goes in, words come out. Nothing here asks a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ebee.asm import Instruction
from ebee.loader.verifier.log import Report, read_log
from ebee.loader.verifier.scene import Finding, Line, Place, Scene
from ebee.record import NamedTuple
from ebee.source import Diagnostic, Span

__all__ = ["Explanation", "Line", "explain"]


class Explanation(NamedTuple):
    """A refusal in a learner's words.

    Attributes:
        diagnostic: the sentence, the C line, the hint; its notes name further places, and the last
            of them quotes the verifier.
        telling: the verifier's own line that says most, empty where the log has none.
        kind: the class of the refusal, such as `packet-bounds`; `unknown` where it is none of ours.
        slot: the instruction that the C line belongs to; None where it is not known.
    """

    diagnostic: Diagnostic
    telling: str
    kind: str
    slot: int | None


def explain(
    log: str,
    *,
    program: str,
    lines: Sequence[Line] = (),
    instructions: Sequence[Instruction] = (),
    license: str = "",
    program_type: str = "",
    errno: int = 0,
    poisoned: Mapping[int, str] | None = None,
) -> Explanation:
    """Say why the verifier refused a program.

    Args:
        log: the verifier's, of level 1 or higher; it may be empty, or cut at either end.
        program: its name.
        lines: the C lines of the linked program, sorted by slot.
        instructions: the linked program, one per slot.
        license: as the object declares it.
        program_type: the kernel's name of the type without its prefix, such as `XDP`.
        errno: what BPF_PROG_LOAD answered.
        poisoned: why CO-RE made an instruction invalid, by slot.

    Returns:
        An explanation, for any log; without a guess where the refusal is none that is known.
    """
    from errno import ENOSPC

    from ebee.loader.verifier import flow, rules

    report = read_log(log)
    scene = Scene(
        report, lines, instructions, program_type=program_type, license=license, poisoned=poisoned or {}
    )
    matched = rules.match(report.words)
    if matched is not None:
        rule, found = matched
        finding, kind, telling = rule.explain(scene, found), rule.name, found.string
    else:
        telling = report.words[-1] if report.words else ""
        full = flow.log_full(scene) if errno == ENOSPC and not telling else None
        finding, kind = (full, "too-complex") if full else (_unknown(report, errno), "unknown")
    slot = _stop(scene, finding)
    return Explanation(_diagnostic(scene, finding, program, telling, slot), telling, kind, slot)


def _unknown(report: Report, errno: int) -> Finding:
    """What is not known is told in the kernel's words, without a hint of ours."""
    if report.block is not None:
        block = report.block
        message = f"{block.headline}: {block.reason}" if block.reason else block.headline
        return Finding(message, block.suggestion or None)
    if report.words:
        return Finding(f"the verifier refused it: {report.words[-1]}")
    from errno import errorcode

    name = errorcode.get(errno, f"error {errno}")
    what = "the log ends before the reason" if report.steps else "the verifier gave no reason"
    return Finding(f"the kernel refused it with {name}, and {what}")


def _stop(scene: Scene, finding: Finding) -> int | None:
    if finding.slot is not None:
        return finding.slot
    if scene.last is not None:
        return scene.last.slot
    return scene.report.block.slot if scene.report.block else None


def _diagnostic(scene: Scene, finding: Finding, program: str, telling: str, slot: int | None) -> Diagnostic:
    place = _place(scene, slot)
    notes = [_note(scene.place(where), message) for message, where in finding.notes]
    if telling:
        notes.append(Diagnostic(f"the verifier says: {telling}", "note"))
    return Diagnostic(
        f"program {program}: {finding.message}",
        span=place.span if place else None,
        source_line=place.text if place else None,
        hint=finding.hint,
        notes=tuple(notes),
    )


def _place(scene: Scene, slot: int | None) -> Place | None:
    """Return the C line to blame; without line info, the last one that the log quotes."""
    place = scene.place(slot) if slot is not None else None
    comment = scene.report.comment
    if place is None and comment is not None and comment[1] and slot is not None:
        return Place(Span(comment[1], comment[2]), comment[0])
    return place


def _note(place: Place | None, message: str) -> Diagnostic:
    if place is None:
        return Diagnostic(message, "note")
    return Diagnostic(message, "note", place.span, place.text)
