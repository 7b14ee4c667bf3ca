"""Whatever the instructions are, the checker answers, and soon."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction
from ebee.checker import CheckFacts, MapFacts, Refused, check
from ebee.loader.verifier import explain
from ebee.vm.code import Code
from ebee.vm.machine import function_address, map_address

MAPS = {
    map_address(0): MapFacts("hash", MapType.HASH, 4, 8, 10),
    map_address(1): MapFacts("array", MapType.ARRAY, 4, 16, 2, values_address=0x21 << 52),
    map_address(2): MapFacts("ring", MapType.RINGBUF, 0, 0, 4096),
    map_address(3): MapFacts("locked", MapType.HASH, 4, 8, 10, lock_offset=0),
    map_address(4): MapFacts("nested", MapType.ARRAY_OF_MAPS, 4, 4, 2),
}
FUNCTIONS = {function_address(slot): slot for slot in range(-2, 40)}
NUMBERS = st.sampled_from([0, 1, 2, 4, 8, -1, -8, 16, 64, 255, 512, -512, 1 << 16, (1 << 31) - 1, -(1 << 31)])
ANY_INSTRUCTION = st.builds(
    Instruction,
    st.integers(0, 255),
    st.integers(0, 15),
    st.integers(0, 15),
    st.integers(-(1 << 15), (1 << 15) - 1),
    st.integers(-(1 << 31), (1 << 31) - 1),
)
# Few registers and short distances, so that instructions have to do with one another.
LIKELY_INSTRUCTION = st.builds(
    Instruction,
    st.sampled_from(
        [0x07, 0x0F, 0x17, 0xB7, 0xBF, 0xBC, 0x57, 0x67, 0x61, 0x71, 0x79, 0x7B, 0x63, 0x7A, 0xDB]
    )
    | st.sampled_from([0x15, 0x1D, 0x25, 0x2D, 0x55, 0x65, 0xA5, 0xD5, 0x16, 0x05, 0x85, 0x95]),
    st.sampled_from([0, 1, 2, 3, 6, 10]),
    st.sampled_from([0, 1, 2, 3, 10]),
    st.integers(-10, 10) | st.sampled_from([-8, -16, -512]),
    NUMBERS | st.sampled_from([1, 2, 3, 12, 44, 131, 132, 133, 181, 164]),
)


@st.composite
def wide_loads(draw: st.DrawFn) -> list[Instruction]:
    """Draw a load of a map, a value's place, a function or a number."""
    address = draw(
        st.sampled_from([*MAPS, 0x21 << 52, (0x21 << 52) + 8, *FUNCTIONS]) | st.integers(0, (1 << 64) - 1)
    )
    low, high = address & 0xFFFFFFFF, address >> 32
    halves = [half - (1 << 32) if half >> 31 else half for half in (low, high)]
    return [Instruction(0x18, draw(st.integers(0, 9)), imm=halves[0]), Instruction(0, imm=halves[1])]


PIECES = st.one_of(
    LIKELY_INSTRUCTION.map(lambda one: [one]), wide_loads(), ANY_INSTRUCTION.map(lambda one: [one])
)
PROGRAMS = st.lists(PIECES, max_size=30).map(lambda pieces: [one for piece in pieces for one in piece])
EXIT = Instruction(0x95)


def answer(instructions: list[Instruction], type: ProgType) -> Refused | None:
    code = Code("p", type, tuple(instructions), license="GPL")
    return check(code, CheckFacts(maps=MAPS, functions=FUNCTIONS))


@given(PROGRAMS, st.sampled_from(list(ProgType)))
@example([], ProgType.XDP)
@example([Instruction(0x18)], ProgType.XDP)
@settings(max_examples=300, deadline=2000)
def test_any_instructions_get_an_answer_that_can_be_explained(
    instructions: list[Instruction], type: ProgType
) -> None:
    found = answer(instructions, type)
    if found is not None:
        assert found.errno in (7, 13, 22)
        assert found.log.endswith("\n")
        assert explain(found.log, program="p", instructions=instructions, errno=found.errno).telling


@given(st.lists(LIKELY_INSTRUCTION, min_size=1, max_size=40), st.sampled_from(list(ProgType)))
@settings(max_examples=300, deadline=2000)
def test_likely_instructions_get_an_answer_in_time(instructions: list[Instruction], type: ProgType) -> None:
    ends = [Instruction(0xB7), EXIT]
    answer([Instruction(0xBF, 6, 1), *instructions, *ends], type)
