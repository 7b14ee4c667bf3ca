"""What the checker says of broken programs: the verifier's last words, and what they are explained by.

The programs stand in refusals.txt, each behind `== what is wrong`: its type with further facts, its
instructions, `-- errno`, the verifier's last words, the explanation, its hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import errorcode
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ebee.abi.bpf import AttachType
from ebee.asm import Instruction
from tests.unit.checker.asked import ask, ask_of


class Case(NamedTuple):
    """A broken program, and all that is said of it."""

    name: str
    type: str
    facts: dict[str, Any]
    program: str
    errno: str
    said: list[str]


def _cases() -> Iterator[Case]:
    text = (Path(__file__).parent / "refusals.txt").read_text()
    for block in f"\n{text}".split("\n== ")[1:]:
        program, _, answer = block.partition("\n-- ")
        name, facts, *instructions = program.splitlines()
        errno, *said = answer.strip().splitlines()
        type, *given = facts.split()
        yield Case(name, type, dict(map(_fact, given)), "\n".join(instructions), errno, said)


def _fact(text: str) -> tuple[str, Any]:
    """Return a fact of `ask`, such as `flags=1` or `attach=CGROUP_INET_EGRESS`."""
    name, _, value = text.partition("=")
    if name == "attach":
        return name, AttachType[value]
    if name == "missing_helpers":
        return name, (int(value),)
    return name, {"False": False}.get(value, int(value) if value.isdigit() else value)


CASES = list(_cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_the_refusal_is_the_verifier_s_and_is_explained_like_it(case: Case) -> None:
    asked = ask(case.program, case.type, **case.facts)
    assert asked.answer is not None
    diagnostic = asked.explanation.diagnostic
    said = [*asked.last_words, diagnostic.message.removeprefix("program p: ")]
    said += [f"hint: {diagnostic.hint}"] if diagnostic.hint else []
    assert (errorcode[asked.answer.errno], said) == (case.errno, case.said)


def test_every_program_of_the_list_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_an_unknown_opcode_is_named() -> None:
    asked = ask_of([Instruction(0xFF), Instruction(0x95)])
    assert asked.last_words == ["unknown opcode ff"]


def test_an_endless_loop_shows_what_does_not_change() -> None:
    asked = ask("r0 = 0\ntop: r1 = 1\nif r1 == 1 goto top\nexit")
    assert asked.last_words == [
        "infinite loop detected at insn 1",
        "cur state: R0=0 R1=1 R10=fp0",
        "old state: R0=0 R1=1 R10=fp0",
    ]
    assert asked.explanation.kind == "endless-loop"


def test_a_loop_that_waits_for_a_random_number_is_endless_to_the_verifier() -> None:
    asked = ask("top: call bpf_get_prandom_u32\nif r0 != 5 goto top\nexit")
    assert asked.last_words[0] == "infinite loop detected at insn 0"


def test_the_whole_log_has_the_verifier_s_shape() -> None:
    asked = ask(
        """
        r2 = *(u32 *)(r1 +0)
        r3 = *(u32 *)(r1 +4)
        r4 = r2
        r4 += 14
        if r4 > r3 goto out
        r0 = *(u8 *)(r2 +14)
        out: r0 = 0
        exit
        """
    )
    assert asked.answer is not None
    assert asked.answer.log == (
        "0: R1=ctx() R10=fp0\n"
        "0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2=pkt()\n"
        "1: (61) r3 = *(u32 *)(r1 +4)          ; R1=ctx() R3=pkt_end()\n"
        "2: (bf) r4 = r2                       ; R2=pkt() R4=pkt()\n"
        "3: (07) r4 += 14                      ; R4=pkt(off=14)\n"
        "4: (2d) if r4 > r3 goto pc+1          ; R3=pkt_end() R4=pkt(off=14,r=14)\n"
        "5: (71) r0 = *(u8 *)(r2 +14)\n"
        "invalid access to packet, off=14 size=1, R2(id=0,off=14,r=14)\n"
        "R2 offset is outside of the packet\n"
        "processed 6 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    )
