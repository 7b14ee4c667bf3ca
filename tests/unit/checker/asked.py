"""Programs in assembler text, as the checker is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ebee.abi.bpf import AttachType, MapType, ProgType
from ebee.asm import Instruction, assemble
from ebee.checker import CheckFacts, MapFacts, Refused, check
from ebee.loader.verifier import Explanation, explain
from ebee.vm.code import Code
from ebee.vm.machine import function_address, map_address

COUNTS = MapFacts("counts", MapType.HASH, 4, 8, 100, kernel_pointers=())
CELLS = MapFacts("cells", MapType.ARRAY, 4, 64, 2, kernel_pointers=())
EVENTS = MapFacts("events", MapType.RINGBUF, 0, 0, 4096)
STATE = MapFacts("state", MapType.ARRAY, 4, 16, 1, lock_offset=0, kernel_pointers=())
PROGRAMS = MapFacts("programs", MapType.PROG_ARRAY, 4, 4, 2)
LIMITS = MapFacts(
    ".rodata", MapType.ARRAY, 4, 8, 1, flags=1 << 7, values_address=0x20 << 52, contents=bytes((7, *bytes(7)))
)
DATA = MapFacts(".data", MapType.ARRAY, 4, 16, 1, values_address=0x21 << 52, kernel_pointers=())
MAPS = [COUNTS, CELLS, EVENTS, STATE, PROGRAMS, LIMITS, DATA]
ADDRESSES = {item.name.strip("."): map_address(index) for index, item in enumerate(MAPS)}
VALUES = {"rodata_value": LIMITS.values_address, "data_value": DATA.values_address}


class Asked(NamedTuple):
    """A program and what the checker answered."""

    code: Code
    answer: Refused | None

    @property
    def last_words(self) -> list[str]:
        """The log's lines behind the last instruction, the count of instructions aside."""
        assert self.answer is not None, "it was taken"
        lines = self.answer.log.splitlines()[:-1]
        steps = [index for index, line in enumerate(lines) if line[:1].isdigit()]
        return lines[steps[-1] + 1 if steps else 0 :]

    @property
    def explanation(self) -> Explanation:
        assert self.answer is not None, "it was taken"
        return explain(
            self.answer.log,
            program=self.code.name,
            instructions=self.code.instructions,
            license=self.code.license,
            program_type=self.code.type.name,
            errno=self.answer.errno,
        )


def ask(
    text: str,
    type: str = "XDP",
    *,
    attach: AttachType | int = 0,
    license: str = "GPL",
    flags: int = 0,
    unset_stack: bool = True,
    missing_helpers: tuple[int, ...] = (),
) -> Asked:
    """Check a program in assembler text.

    Args:
        text: one instruction a line; `&counts` and its like are addresses of maps.
    """
    for name, address in (VALUES | ADDRESSES).items():
        text = text.replace(f"&{name}", f"{address:#x} ll")
    return ask_of(
        assemble(text),
        type,
        attach=attach,
        license=license,
        flags=flags,
        unset_stack=unset_stack,
        missing_helpers=missing_helpers,
    )


def ask_of(
    instructions: Sequence[Instruction],
    type: str = "XDP",
    *,
    attach: AttachType | int = 0,
    license: str = "GPL",
    flags: int = 0,
    unset_stack: bool = True,
    missing_helpers: tuple[int, ...] = (),
) -> Asked:
    """Check instructions."""
    code = Code("p", ProgType[type], tuple(instructions), expected_attach_type=attach, license=license)
    facts = CheckFacts(
        maps=dict(zip(ADDRESSES.values(), MAPS, strict=True)),
        functions={function_address(slot): slot for slot in range(len(instructions))},
        flags=flags,
        unset_stack=unset_stack,
        missing_helpers=missing_helpers,
    )
    return Asked(code, check(code, facts))
