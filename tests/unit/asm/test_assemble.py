"""Text -> instructions, and complaints with their places."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction, assemble, disassemble
from ebee.errors import ParseError, SourceError, TypeMismatchError, UnknownNameError

EXIT = Instruction(0x95)


def shown(text: str) -> list[str]:
    """Return a text after it went through instructions and back."""
    return [line for _, line in disassemble(assemble(text))]


def complaint(text: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        assemble(text)
    return caught.value


def test_an_opcode_in_parentheses_may_be_left_out() -> None:
    assert assemble("r1 = 0\nexit") == assemble("(b7) r1 = 0\n(95) exit")


def test_a_label_stands_for_the_distance_in_slots() -> None:
    text = """
    again:  r2 = 0x1234567890       ; takes two slots
            if r2 == 0 goto done
            goto again
    done:   exit
    """
    assert shown(text) == [
        "(18) r2 = 0x1234567890",
        "(15) if r2 == 0x0 goto pc+1",
        "(05) goto pc-4",
        "(95) exit",
    ]


def test_a_call_or_an_address_of_a_label_is_that_of_a_subprogram() -> None:
    text = "call inner\nr1 = subprog[inner]\nexit\ninner: exit"
    assert shown(text) == ["(85) call pc+3", "(18) r1 = subprog[+2]", "(95) exit", "(95) exit"]


def test_the_far_jumps_take_labels_too() -> None:
    assert shown("top: gotol top\nmay_goto top") == ["(06) gotol pc-1", "(e5) may_goto pc-2"]


def test_a_helper_is_called_by_its_name_or_its_number() -> None:
    assert assemble("call bpf_map_lookup_elem") == assemble("call 1") == [Instruction(0x85, imm=1)]


def test_a_label_hides_a_helper_of_the_same_name() -> None:
    assert assemble("bpf_map_lookup_elem: exit\ncall bpf_map_lookup_elem")[1] == Instruction(
        0x85, 0, 1, 0, -2
    )


def test_the_address_after_a_helpers_name_in_a_dump_is_not_its_number() -> None:
    assert assemble("(85) call bpf_trace_printk#-84640") == [Instruction(0x85, imm=6)]


def test_calls_of_kernel_functions_and_unknown_helpers_keep_their_number() -> None:
    assert assemble("call kernel-function#77\ncall unknown#500") == [
        Instruction(0x85, src=2, imm=77),
        Instruction(0x85, imm=500),
    ]


def test_a_call_by_register_is_written_callx() -> None:
    assert assemble("callx r3") == [Instruction(0x8D, dst=3)]


@pytest.mark.parametrize("kind", ["id", "fd"])
def test_a_map_is_named_by_id_or_descriptor(kind: str) -> None:
    assert assemble(f"r1 = map[{kind}:5]") == [Instruction(0x18, 1, 1, 0, 5), Instruction(0)]
    assert assemble(f"r1 = map[{kind}:5][0]+4") == [Instruction(0x18, 1, 2, 0, 5), Instruction(0, imm=4)]


@pytest.mark.parametrize("text", ["r1 = 5 ll", "(18) r1 = 5", "(18) r1 = 0x5"])
def test_a_small_number_can_be_loaded_wide(text: str) -> None:
    assert assemble(text) == [Instruction(0x18, 1, imm=5), Instruction(0)]


def test_a_number_that_32_bits_would_turn_negative_is_loaded_wide() -> None:
    assert shown("r1 = 0x7fffffff\nr1 = 0x80000000") == ["(b7) r1 = 2147483647", "(18) r1 = 0x80000000"]


@pytest.mark.parametrize(
    ("loose", "exact"),
    [
        ("*(u32*)(r10 - 4) = r1", "(63) *(u32 *)(r10 -4) = r1"),
        ("r1 = *(u64 *)(r10 + 0x8)", "(79) r1 = *(u64 *)(r10 +8)"),
        ("r1 = *(u64 *)(r10)", "(79) r1 = *(u64 *)(r10 +0)"),
        ("if r1 s> -1 goto pc+0", "(65) if r1 s> 0xffffffff goto pc+0"),
        ("r0 = *(u16 *)skb[r6]", None),
        ("r1+=-5", "(07) r1 += -5"),
        ("w1 s>>= 3", "(c4) w1 s>>= 3"),
    ],
)
def test_spaces_and_number_forms_are_free(loose: str, exact: str | None) -> None:
    if exact is None:
        assert complaint(loose).message.endswith("expected a number, found ']'")
    else:
        assert shown(loose) == [exact]


def test_a_dump_of_bpftool_can_be_pasted_back() -> None:
    dump = """int hello(struct xdp_md * ctx):
; int hello(struct xdp_md *ctx) { // a comment of C
   0: (18) r1 = map[id:5][0]+4
       18 21 00 00 05 00 00 00 00 00 00 00 04 00 00 00
   2: (85) call bpf_trace_printk#-84640
   3: (15) if r0 == 0x0 goto pc+1
       15 00 01 00 00 00 00 00
   4: (85) call pc+1#bpf_prog_5a6e_inner
   5: (95) exit
"""
    assert shown(dump) == [
        "(18) r1 = map[id:5][0]+4",
        "(85) call bpf_trace_printk#6",
        "(15) if r0 == 0x0 goto pc+1",
        "(85) call pc+1",
        "(95) exit",
    ]


def test_a_line_of_the_verifiers_log_can_be_pasted_back() -> None:
    assert assemble("12: (b7) r0 = 1                       ; R0_w=1") == [Instruction(0xB7, imm=1)]


def test_an_empty_text_has_no_instructions() -> None:
    assert assemble("") == assemble("; nothing\n\n// here\n") == []


@pytest.mark.parametrize(
    ("text", "kind", "message", "hint"),
    [
        ("exot", ParseError, "1:1: expected an instruction, found 'exot'", "did you mean 'exit'?"),
        ("r12 = 0", ParseError, "1:1: expected a register r0 to r10, found 'r12'", None),
        ("r1 = r20", ParseError, "1:6: expected a register r0 to r10, found 'r20'", None),
        ("r1 = be17 r1", ParseError, None, "did you mean 'be16'?"),
        ("r1 = be16 r2", ParseError, "1:11: expected 'r1', the register on the left, found 'r2'", None),
        ("r1 =", ParseError, "1:5: expected a register, a number or a load, found the end of the line", None),
        ("r1 = 1 2", ParseError, "1:8: expected the end of the line, found '2'", None),
        ("r1 ~ 2", ParseError, "1:4: expected an assignment such as = or +=, found '~'", None),
        (
            "r1 = *(u23 *)(r1 +0)",
            ParseError,
            "1:8: expected one of the types u32, u16, u8, u64, s32, s16, s8, found 'u23'",
            "did you mean 'u32'?",
        ),
        (
            "r1 = *(u32 *)(r1 +99999)",
            ParseError,
            "1:18: expected an offset from -32768 to 32767, found '+99999'",
            None,
        ),
        (
            "r1 += 4294967296",
            ParseError,
            "1:7: expected a register or a number from -2147483648 to 4294967295, found '4294967296'",
            None,
        ),
        (
            "r1 += w2",
            TypeMismatchError,
            "1:7: expected a register of 64 bits, found 'w2'",
            "write 'r2'",
        ),
        (
            "w1 = *(u32 *)(r2 +0)",
            ParseError,
            "1:6: expected a register w0 to w10, a number, -w1 or (s8)w1 for 32 bits, found '*'",
            "loads name 64-bit registers: write 'r1'",
        ),
        (
            "(b7) r1 = r2",
            ParseError,
            "1:6: an instruction of opcode bf has (b7) before it",
            "write (bf) or leave it out",
        ),
        (
            "call bpf_map_lookup_elm",
            UnknownNameError,
            "1:6: no label or helper is called 'bpf_map_lookup_elm'",
            "did you mean 'bpf_map_lookup_elem'?",
        ),
        (
            "call zzz",
            UnknownNameError,
            "1:6: no label or helper is called 'zzz'",
            "a loaded program's dump names kernel functions that stand in for helpers: write the helper",
        ),
        (
            "goto donne\ndone: exit",
            UnknownNameError,
            "1:6: no label is called 'donne'",
            "did you mean 'done'?",
        ),
        ("goto q", UnknownNameError, "1:6: no label is called 'q'", "write a line 'q:' where it goes"),
        (
            "one: exit\none: exit",
            ParseError,
            "2:1: the label 'one' is on line 1 already",
            "give one of the two another name",
        ),
        (
            "r2 = atomic_xchg((u64 *)(r1 +0), r2)",
            ParseError,
            "1:6: expected atomic64_ for the type u64 and atomic_ for the others, found 'atomic_xchg'",
            None,
        ),
        (
            "r3 = atomic64_xchg((u64 *)(r1 +0), r2)",
            ParseError,
            "1:6: the old value goes to r3, expected r2",
            "write 'r2 = atomic64_xchg…'",
        ),
        (
            "r0 = *(s8 *)skb[0]",
            ParseError,
            "1:13: a load from a packet goes to r0 and has one of the types u32, u16, u8",
            None,
        ),
    ],
)
def test_a_wrong_line_is_a_complaint_with_its_place(
    text: str, kind: type[SourceError], message: str | None, hint: str | None
) -> None:
    error = complaint(text)
    assert type(error) is kind
    assert message is None or error.message == f"<asm>:{message}"
    assert error.hint == hint


def test_a_label_too_far_for_16_bits_says_what_reaches_it() -> None:
    error = complaint("goto end\n" + "r0 = 0\n" * 32768 + "end: exit")
    assert error.message == "<asm>:1:6: 'end' is +32768 slots away, expected at most 32767"
    assert error.hint == "gotol reaches 32 bits far (kernel 6.6)"


def test_every_wrong_line_is_told_in_the_order_of_the_text() -> None:
    error = complaint("goto nowhere\nr1 = r20\nexit\n  exot")
    assert error.details() == (
        "error: <asm>:1:6: no label is called 'nowhere'\n"
        "    1 | goto nowhere\n"
        "      |      ^~~~~~~\n"
        "hint: write a line 'nowhere:' where it goes\n"
        "error: <asm>:2:6: expected a register r0 to r10, found 'r20'\n"
        "    2 | r1 = r20\n"
        "      |      ^~~\n"
        "error: <asm>:4:3: expected an instruction, found 'exot'\n"
        "    4 |   exot\n"
        "      |   ^~~~\n"
        "hint: did you mean 'exit'?"
    )
    assert type(error) is UnknownNameError


def test_complaints_name_the_path_they_are_given() -> None:
    with pytest.raises(ParseError, match=r"^filter\.s:1:1: "):
        assemble("nonsense", path="filter.s")
