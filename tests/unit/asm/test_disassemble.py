"""Instructions -> the kernel's text.

The texts were held against kernel/bpf/disasm.c for all 256 opcodes, and against what bpftool 7.1 and 7.5
print for programs that a kernel had loaded.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from ebee.asm import Instruction, address_text, decode, disassemble

KERNEL_TEXTS = [
    ("b701000000000000", "(b7) r1 = 0"),
    ("b401000080ffffff", "(b4) w1 = -128"),
    ("bf16000000000000", "(bf) r6 = r1"),
    ("bf21080000000000", "(bf) r1 = (s8)r2"),
    ("bf21200000000000", "(bf) r1 = (s32)r2"),
    ("bc21100000000000", "(bc) w1 = (s16)w2"),
    ("bf21010000000100", "(bf) r1 = addr_space_cast(r2, 1, 0)"),
    ("bf00ffff00000000", "(bf) r0 = &(void __percpu *)(r0)"),
    ("0700000001000000", "(07) r0 += 1"),
    ("9c21000000000000", "(9c) w1 %= w2"),
    ("9f21010000000000", "(9f) r1 s%= r2"),
    ("3f21010000000000", "(3f) r1 s/= r2"),
    ("3401010005000000", "(34) w1 s/= 5"),
    ("c701000020000000", "(c7) r1 s>>= 32"),
    ("8701000000000000", "(87) r1 = -r1"),
    ("d401000010000000", "(d4) r1 = le16 r1"),
    ("dc01000020000000", "(dc) r1 = be32 r1"),
    ("d701000010000000", "(d7) r1 = bswap16 r1"),
    ("631afcff00000000", "(63) *(u32 *)(r10 -4) = r1"),
    ("7a0af8ffffffffff", "(7a) *(u64 *)(r10 -8) = -1"),
    ("7121000000000000", "(71) r1 = *(u8 *)(r2 +0)"),
    ("9121000000000000", "(91) r1 = *(s8 *)(r2 +0)"),
    ("280000000c000000", "(28) r0 = *(u16 *)skb[12]"),
    ("5070000009000000", "(50) r0 = *(u8 *)skb[r7 + 9]"),
    ("db21000000000000", "(db) lock *(u64 *)(r1 +0) += r2"),
    ("c321040040000000", "(c3) lock *(u32 *)(r1 +4) |= r2"),
    ("db21000001000000", "(db) r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)"),
    ("c3210000a1000000", "(c3) r2 = atomic_fetch_xor((u32 *)(r1 +0), r2)"),
    ("db210000e1000000", "(db) r2 = atomic64_xchg((u64 *)(r1 +0), r2)"),
    ("db210000f1000000", "(db) r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)"),
    ("d321000000010000", "(d3) r1 = load_acquire((u8 *)(r2 +0))"),
    ("db21000010010000", "(db) store_release((u64 *)(r1 +0), r2)"),
    ("05000a0000000000", "(05) goto pc+10"),
    ("0600000000000100", "(06) gotol pc+65536"),
    ("0d01000000000000", "(0d) gotox r1"),
    ("e500fdff00000000", "(e5) may_goto pc-3"),
    ("1507030000000000", "(15) if r7 == 0x0 goto pc+3"),
    ("c601ffffffffffff", "(c6) if w1 s< 0xffffffff goto pc-1"),
    ("2d21030000000000", "(2d) if r1 > r2 goto pc+3"),
    ("8500000006000000", "(85) call bpf_trace_printk#6"),
    ("85000000ffffff7f", "(85) call unknown#2147483647"),
    ("8510000003000000", "(85) call pc+3"),
    ("852000004d000000", "(85) call kernel-function#77"),
    ("9500000000000000", "(95) exit"),
    ("c200000000000000", "(c2) nospec"),
]
WIDE_LOADS = [
    ("18010000efcdab890000000067452301", "(18) r1 = 0x123456789abcdef"),
    ("18110000050000000000000000000000", "(18) r1 = map[id:5]"),
    ("18210000050000000000000004000000", "(18) r1 = map[id:5][0]+4"),
    ("18610000020000000000000004000000", "(18) r1 = map[idx:2]+4"),
    ("18410000030000000000000000000000", "(18) r1 = subprog[+3]"),
]
BAD_OPCODES = [
    ("0000000000000000", "BUG_ld_00"),
    ("0100000000000000", "BUG_ldx_01"),
    ("0200000000000000", "BUG_st_02"),
    ("0300000000000000", "BUG_03"),
    ("db21000002000000", "BUG_db"),
    ("e721000005000000", "(e7) r1 (null) 5"),
    ("fd21000000000000", "(fd) if r1 (null) r2 goto pc+0"),
    ("0e21000000000000", "(0e) if w1 jmp w2 goto pc+0"),
    ("e511000000000000", "(e5) if r1 (null) 0x0 goto pc+0"),
]


def texts(code: str) -> list[tuple[int, str]]:
    return list(disassemble(decode(bytes.fromhex(code))))


@pytest.mark.parametrize(("code", "text"), KERNEL_TEXTS)
def test_an_instruction_reads_as_the_kernel_prints_it(code: str, text: str) -> None:
    assert texts(code) == [(0, text)]


@pytest.mark.parametrize(("code", "text"), WIDE_LOADS)
def test_a_wide_load_is_one_text_for_two_slots(code: str, text: str) -> None:
    assert texts(code + "9500000000000000") == [(0, text), (2, "(95) exit")]


@pytest.mark.parametrize(("code", "text"), BAD_OPCODES)
def test_an_opcode_that_means_nothing_still_has_the_kernels_text(code: str, text: str) -> None:
    assert texts(code) == [(0, text)]


def test_a_wide_load_cut_off_at_the_end_has_no_upper_half() -> None:
    assert texts("180100002a000000") == [(0, "(18) r1 = 0x2a")]


def test_no_instructions_give_no_text() -> None:
    assert texts("") == []


def test_calls_of_known_helpers_do_not_ask_for_a_name() -> None:
    code = decode(bytes.fromhex("8500000001000000"))
    assert list(disassemble(code, call_name=lambda _: "never")) == [(0, "(85) call bpf_map_lookup_elem#1")]


def test_other_calls_are_named_by_the_caller() -> None:
    code = decode(bytes.fromhex("8500000060b5feff" + "85100300010000008520000005000000"))
    names = {0: "bpf_trace_printk", 1: "+3#bpf_prog_5a6e_inner", 2: "bpf_rdonly_cast"}
    named = disassemble(code, call_name=lambda instruction: names[instruction.src])
    assert [text for _, text in named] == [
        "(85) call bpf_trace_printk#-84640",
        "(85) call pc+3#bpf_prog_5a6e_inner",
        "(85) call bpf_rdonly_cast#5",
    ]


def test_a_caller_without_a_name_leaves_the_kernels_own() -> None:
    code = decode(bytes.fromhex("8500000060b5feff" + "8510030001000000" + "8520000005000000"))
    named = disassemble(code, call_name=lambda _: None, address_name=lambda *_: None)
    assert [text for _, text in named] == [
        "(85) call unknown#-84640",
        "(85) call pc+1",
        "(85) call kernel-function#5",
    ]


def test_numbers_of_wide_loads_are_named_by_the_caller() -> None:
    code = [Instruction(0x18, 1, 1, 0, -2), Instruction(0, imm=-1)]
    named = disassemble(code, address_name=lambda _, number: f"<{number:x}>")
    assert list(named) == [(0, "(18) r1 = <fffffffffffffffe>")]


@pytest.mark.parametrize(
    ("source", "upper", "text"),
    [
        (0, 0, "0x7"),
        (1, 0, "map[id:7]"),
        (3, 0, "btf[id:7]"),
        (3, 9, "btf[id:7,fd:9]"),
        (5, 0, "map[idx:7]"),
        (6, 8, "map[idx:7]+8"),
    ],
)
def test_address_text_keeps_every_pseudo_source(source: int, upper: int, text: str) -> None:
    assert address_text(Instruction(0x18, 1, source, 0, 7), upper << 32 | 7) == text


def test_importing_the_package_brings_neither_helper_tables_nor_heavy_modules() -> None:
    heavy = "'difflib', 'dataclasses', 'ebee.abi', 'ebee.asm.statements', 'json', 'ctypes'"
    check = f"import sys, ebee.asm; print(sorted(set(sys.modules) & {{{heavy}}}))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
