"""What must hold for any code, not for chosen examples."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from ebee.asm import Instruction, address_text, assemble, decode, disassemble, encode
from ebee.asm.helpers import helper_names
from ebee.asm.opcodes import (
    ALU_SIGNS,
    ATOMIC_NAMES,
    CALL,
    EXIT,
    GOTO,
    GOTOL,
    GOTOX,
    JUMP_SIGNS,
    LD_IMM64,
    MAY_GOTO,
    SIGN_EXTENSIONS,
    SIGNED_SIZE_NAMES,
    SIZE_NAMES,
    Alu,
    Atomic,
    Class,
    Mode,
    Offset,
    PseudoLoad,
    Size,
    Source,
)
from ebee.errors import SourceError

Code = tuple[Instruction, ...]

registers = st.integers(0, 10)
offsets = st.integers(-(1 << 15), (1 << 15) - 1)
numbers = st.integers(-(1 << 31), (1 << 31) - 1)
nothing = st.just(0)
byte_orders: st.SearchStrategy[Literal["little", "big"]] = st.sampled_from(["little", "big"])
any_code = st.lists(st.binary(min_size=8, max_size=8), max_size=40).map(b"".join)


def made(
    opcode: st.SearchStrategy[int],
    *,
    dst: st.SearchStrategy[int] = nothing,
    src: st.SearchStrategy[int] = nothing,
    offset: st.SearchStrategy[int] = nothing,
    imm: st.SearchStrategy[int] = nothing,
) -> st.SearchStrategy[Code]:
    return st.builds(Instruction, opcode, dst, src, offset, imm).map(lambda instruction: (instruction,))


def wide(source: int, low: st.SearchStrategy[int], high: st.SearchStrategy[int]) -> st.SearchStrategy[Code]:
    return st.builds(
        lambda dst, imm, upper: (Instruction(LD_IMM64, dst, source, 0, imm), Instruction(0, imm=upper)),
        registers,
        low,
        high,
    )


def either(*opcodes: int) -> st.SearchStrategy[int]:
    return st.sampled_from(opcodes)


ids = st.integers(0, (1 << 31) - 1)
alu_classes = (Class.ALU, Class.ALU64)
jump_classes = (Class.JMP, Class.JMP32)
divisions = [group | op for group in alu_classes for op in (Alu.DIV, Alu.MOD)]
fetching = [op | Atomic.FETCH for op in ATOMIC_NAMES]
valid_instructions = st.one_of(
    made(either(*(group | op for group in alu_classes for op in ALU_SIGNS)), dst=registers, imm=numbers),
    made(
        either(*(group | op | Source.X for group in alu_classes for op in ALU_SIGNS)),
        dst=registers,
        src=registers,
    ),
    made(either(*divisions), dst=registers, offset=st.just(Offset.SIGNED), imm=numbers),
    made(
        either(*(opcode | Source.X for opcode in divisions)),
        dst=registers,
        src=registers,
        offset=st.just(Offset.SIGNED),
    ),
    made(
        either(*(group | Alu.MOV | Source.X for group in alu_classes)),
        dst=registers,
        src=registers,
        offset=st.sampled_from(list(SIGN_EXTENSIONS)),
    ),
    made(
        either(Class.ALU64 | Alu.MOV | Source.X),
        dst=registers,
        src=registers,
        offset=st.just(Offset.ADDR_SPACE_CAST),
        imm=numbers,
    ),
    made(either(*(group | Alu.NEG for group in alu_classes)), dst=registers),
    made(
        either(Class.ALU | Alu.END, Class.ALU | Alu.END | Source.X, Class.ALU64 | Alu.END),
        dst=registers,
        imm=st.sampled_from([16, 32, 64]),
    ),
    made(
        either(*(group | op for group in jump_classes for op in JUMP_SIGNS)),
        dst=registers,
        offset=offsets,
        imm=numbers,
    ),
    made(
        either(*(group | op | Source.X for group in jump_classes for op in JUMP_SIGNS)),
        dst=registers,
        src=registers,
        offset=offsets,
    ),
    made(either(GOTO, MAY_GOTO), offset=offsets),
    made(either(GOTOL), imm=numbers),
    made(either(GOTOX), dst=registers),
    made(either(EXIT)),
    made(either(CALL), imm=st.sampled_from(sorted(helper_names()))),
    made(either(CALL), src=st.sampled_from([1, 2]), imm=numbers),
    made(either(*(Class.LD | mode | size for mode in (Mode.ABS,) for size in (0, 8, 16))), imm=numbers),
    made(either(*(Class.LD | Mode.IND | size for size in (0, 8, 16))), src=registers, imm=numbers),
    made(
        either(
            *(Class.LDX | Mode.MEM | size for size in SIZE_NAMES),
            *(Class.LDX | Mode.MEMSX | size for size in SIGNED_SIZE_NAMES),
        ),
        dst=registers,
        src=registers,
        offset=offsets,
    ),
    made(
        either(*(Class.ST | Mode.MEM | size for size in SIZE_NAMES)),
        dst=registers,
        offset=offsets,
        imm=numbers,
    ),
    made(
        either(*(Class.STX | Mode.MEM | size for size in SIZE_NAMES)),
        dst=registers,
        src=registers,
        offset=offsets,
    ),
    made(
        either(*(Class.STX | Mode.ATOMIC | size for size in (Size.W, Size.DW))),
        dst=registers,
        src=registers,
        offset=offsets,
        imm=st.sampled_from([*ATOMIC_NAMES, *fetching, Atomic.XCHG, Atomic.CMPXCHG]),
    ),
    made(
        either(*(Class.STX | Mode.ATOMIC | size for size in SIZE_NAMES)),
        dst=registers,
        src=registers,
        offset=offsets,
        imm=st.sampled_from([Atomic.LOAD_ACQ, Atomic.STORE_REL]),
    ),
    wide(PseudoLoad.NONE, numbers, numbers),
    wide(PseudoLoad.MAP_FD, ids, nothing),
    wide(PseudoLoad.MAP_VALUE, ids, ids),
    wide(PseudoLoad.BTF_ID, ids, ids),
    wide(PseudoLoad.FUNC, numbers, nothing),
    wide(PseudoLoad.MAP_IDX, ids, nothing),
    wide(PseudoLoad.MAP_IDX_VALUE, ids, ids),
)
valid_code = st.lists(valid_instructions, max_size=12).map(lambda parts: [i for part in parts for i in part])
# Words of the language in any order come nearer to it than any characters do.
WORDS = (
    "r1 w2 r10 r11 = += s/= s> == -5 0x10 ( ) [ ] * & , # : ; // if goto call exit lock map id fd btf pc "
    "+3 ll skb u32 s8 (b7) (18) 7: x: x subprog be16 atomic64_xchg load_acquire store_release "
    "addr_space_cast bpf_redirect"
)
words = st.sampled_from(WORDS.split())
sentences = st.lists(words, max_size=14).map(" ".join)


def outcome(text: str) -> tuple[list[Instruction], SourceError | None]:
    try:
        return assemble(text), None
    except SourceError as error:
        return [], error


@given(valid_code)
def test_assembling_a_disassembly_gives_the_same_instructions(code: list[Instruction]) -> None:
    text = "\n".join(line for _, line in disassemble(code, address_name=address_text))
    assert assemble(text) == code


@given(valid_code, byte_orders)
def test_encoding_and_decoding_changes_no_instruction(
    code: list[Instruction], byte_order: Literal["little", "big"]
) -> None:
    assert decode(encode(code, byte_order), byte_order) == code


@given(any_code, byte_orders)
def test_decoding_and_encoding_changes_no_byte(code: bytes, byte_order: Literal["little", "big"]) -> None:
    assert encode(decode(code, byte_order), byte_order) == code


@given(any_code, byte_orders)
def test_any_bytes_have_a_text_of_one_line_an_instruction(
    code: bytes, byte_order: Literal["little", "big"]
) -> None:
    slots = []
    for slot, text in disassemble(decode(code, byte_order), address_name=address_text):
        slots.append(slot)
        assert text
        assert "\n" not in text
    assert slots == sorted(set(slots))


@given(st.one_of(st.text(max_size=60), sentences, st.lists(sentences, max_size=4).map("\n".join)))
def test_any_text_gives_instructions_that_encode_or_a_complaint_with_a_place(text: str) -> None:
    code, error = outcome(text)
    if error is None:
        assert decode(encode(code)) == code
    else:
        assert error.diagnostics[0].span is not None
        assert error.details()
