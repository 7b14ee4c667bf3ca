"""The kernel's refusal of a program -> the error to raise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ebee.asm import Instruction
from ebee.btf import Btf
from ebee.errors import KernelError, VerifierError
from ebee.kernel.errors import explain_load
from ebee.kernel.protocol import LoadAnswer
from ebee.loader.verifier import Line, explain
from ebee.relocate import LinkedProgram
from ebee.relocate.references import MISSING_KFUNC_CALL
from ebee.spec import ObjectSpec, ProgramSpec
from ebee.spec.programs import ExternReference


def refused(
    program: ProgramSpec,
    spec: ObjectSpec,
    linked: LinkedProgram,
    instructions: Sequence[Instruction],
    answer: LoadAnswer,
    poisoned: Mapping[str, Mapping[int, str]],
) -> KernelError:
    """Return why the kernel did not take a program.

    Where the verifier wrote a log, it is the verifier's refusal, with the C line; where it wrote
    none, the kernel refused before: rights, policy, or a kind of program that it does not know.

    Args:
        poisoned: by function, why CO-RE made an instruction invalid, by slot of the function.
    """
    if _is_empty(answer.log):
        return explain_load(
            answer._replace(log=""),
            f"load program {program.name}",
            program.type,
            program.expected_attach_type,
        )
    explanation = explain(
        answer.log,
        program=program.name,
        lines=_lines(linked, spec.btf),
        instructions=instructions,
        license=spec.license,
        program_type=program.type.name,
        errno=answer.errno,
        poisoned=dict(_reasons(linked, instructions, poisoned)),
    )
    diagnostic = explanation.diagnostic
    return VerifierError(
        diagnostic.headline(),
        program=program.name,
        log=answer.log,
        errno=answer.errno,
        diagnostic=diagnostic,
        hint=diagnostic.hint,
    )


def _reasons(
    linked: LinkedProgram, instructions: Sequence[Instruction], poisoned: Mapping[str, Mapping[int, str]]
) -> Iterator[tuple[int, str]]:
    """Go through the slots that were made invalid before loading, and why."""
    for start, name in linked.names:
        for slot, reason in poisoned.get(name, {}).items():
            yield start + slot, reason
    for reference in linked.references:
        if instructions[reference.slot].imm == MISSING_KFUNC_CALL and isinstance(reference, ExternReference):
            yield reference.slot, f"calls {reference.name}(), a function that this kernel does not have"


def _is_empty(log: str) -> bool:
    """Whether the verifier said nothing: its count of nothing done is no reason."""
    return not log.strip() or (log.startswith("processed 0 insns") and log.count("\n") <= 1)


def _lines(linked: LinkedProgram, btf: Btf | None) -> list[Line]:
    """Return the C lines of a linked program; BTF holds their text, so the file need not be there."""
    if btf is None:
        return []
    return [
        Line(
            line.slot,
            btf.string(line.file_offset).removeprefix("./"),
            line.line,
            line.column,
            btf.string(line.text_offset),
        )
        for line in linked.lines
    ]
