"""A program's code with its C lines, from the records that the kernel keeps."""

from __future__ import annotations

import struct
from typing import Any, cast

import pytest

from ebee.asm import Instruction, encode
from ebee.btf import decode
from ebee.btf.encode import encode as encode_types
from ebee.btf.types import IntEncoding, Kind, Parameter, Type
from ebee.errors import NotPermittedError
from ebee.introspect.symbols import CallNames
from ebee.introspect.types import prototype
from ebee.introspect.xlated import code_facts, code_lines, program_code
from ebee.kernel.protocol import BtfInfo, Kernel, ObjectKind
from tests.unit.introspect.fake_kernel import PROGRAM, FakeKernel

STRINGS = b"\0a.c\0\tint x = 1;\0return x;\0"
FILE, FIRST, SECOND = (STRINGS.index(text) for text in (b"a.c", b"\tint", b"return"))
TYPES = encode_types(
    [
        Type(Kind.INT, "int", size_bytes=4, encoding=IntEncoding.SIGNED, bit_size=32),
        Type(Kind.STRUCT, "xdp_md"),
        Type(Kind.PTR, type_id=2),
        Type(Kind.FUNC_PROTO, type_id=1, parameters=(Parameter("ctx", 3),)),
        Type(Kind.FUNC, "hello", type_id=4, linkage=1),
    ],
    strings=STRINGS,
)
CODE = [
    Instruction(0x18, dst=1, src=1, imm=5),
    Instruction(0),
    Instruction(0xB7, imm=2),
    Instruction(0x95),
]


def kernel_with(**changes: Any) -> tuple[Kernel, int]:
    info = PROGRAM._replace(
        instructions=encode(CODE),
        func_info=struct.pack("=II", 0, 5),
        func_info_record_bytes=8,
        line_info=struct.pack("=IIII", 0, FILE, FIRST, 3 << 10 | 6)
        + struct.pack("=IIII", 2, FILE, SECOND, 4 << 10),
        line_info_record_bytes=16,
    )._replace(**changes)
    btf = BtfInfo(9, "", kernel=False, size_bytes=len(TYPES), data=TYPES)
    kernel = FakeKernel({ObjectKind.PROGRAM: [info], ObjectKind.BTF: [btf]})
    return cast("Kernel", kernel), kernel.open_id(ObjectKind.PROGRAM, 77)


def test_lines_of_c_stand_before_their_instructions() -> None:
    """Below the function's prototype; white space in front of them is left out."""
    assert list(code_lines(program_code(*kernel_with()))) == [
        "int hello(struct xdp_md * ctx):",
        "; int x = 1;",
        "   0: (18) r1 = map[id:5]",
        "; return x;",
        "   2: (b7) r0 = 2",
        "   3: (95) exit",
    ]


def test_numbers_of_lines_and_bytes_are_shown_when_asked_for() -> None:
    """A wide load has sixteen bytes."""
    lines = list(code_lines(program_code(*kernel_with()), opcodes=True, linum=True))
    assert lines[1] == "; int x = 1; [file:a.c line_num:3 line_col:6]"
    assert lines[3] == "       18 11 00 00 05 00 00 00 00 00 00 00 00 00 00 00"


def test_json_has_bpftools_keys() -> None:
    """What is unknown is left out: here the second line's column."""
    first, second, last = code_facts(program_code(*kernel_with()), opcodes=True, linum=True)
    assert list(first) == ["proto", "src", "file", "line_num", "line_col", "disasm", "opcodes"]
    assert list(second) == ["src", "file", "line_num", "disasm", "opcodes"]
    assert last == {
        "disasm": "(95) exit",
        "opcodes": {
            "code": "0x95",
            "src_reg": "0x0",
            "dst_reg": "0x0",
            "off": ["0x00", "0x00"],
            "imm": ["0x00", "0x00", "0x00", "0x00"],
        },
    }


def test_a_line_whose_code_the_verifier_removed_still_comes_once() -> None:
    """It is shown at the next instruction."""
    changed = struct.pack("=IIII", 0, FILE, FIRST, 3 << 10) + struct.pack("=IIII", 1, FILE, SECOND, 4 << 10)
    lines = list(code_lines(program_code(*kernel_with(line_info=changed))))
    assert lines[3] == "; return x;"


def test_longer_records_of_newer_kernels_are_read_by_their_head() -> None:
    """Their size is told beside them."""
    longer = struct.pack("=IIII8x", 0, FILE, FIRST, 3 << 10) + struct.pack(
        "=IIII8x", 2, FILE, SECOND, 4 << 10
    )
    kernel, fd = kernel_with(line_info=longer, line_info_record_bytes=24)
    assert [line for line in code_lines(program_code(kernel, fd)) if line.startswith(";")] == [
        "; int x = 1;",
        "; return x;",
    ]


def test_a_program_without_types_is_bare_instructions() -> None:
    """As those compiled without -g are."""
    assert next(code_lines(program_code(*kernel_with(btf_id=0)))) == "   0: (18) r1 = map[id:5]"


def test_code_that_the_kernel_keeps_to_itself_is_an_error() -> None:
    """It says what it takes."""
    with pytest.raises(NotPermittedError) as caught:
        program_code(*kernel_with(instructions=b""))
    assert str(caught.value) == "dump program id 77: the kernel does not show its instructions"
    assert caught.value.hint == "it takes CAP_SYS_ADMIN, and kernel.kptr_restrict must not be 2"


def test_calls_have_the_names_of_the_kernels_symbols() -> None:
    """Their number is the distance from __bpf_call_base."""
    names = CallNames(
        b"ffffffff81000000 T first\n"
        b"ffffffff81000100 T __bpf_call_base\n"
        b"ffffffff81000200 t bpf_trace_printk\n"
        b"ffffffffc0000000 t bpf_prog_6deef7357e7b4530_inner\t[bpf]\n"
    )
    assert names.base == 0xFFFFFFFF81000100
    assert names(names.base + 0x100) == "bpf_trace_printk"
    assert names(0xFFFFFFFFC0000000) == "bpf_prog_6deef7357e7b4530_inner"
    assert names(names.base + 4) is None
    assert names(0) is None


def test_hidden_symbols_leave_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """With kernel.kptr_restrict they are all zero, and no name is right."""
    hidden = CallNames(b"0000000000000000 T __bpf_call_base\n0000000000000000 t bpf_trace_printk\n")
    monkeypatch.setattr("ebee.introspect.xlated.call_names", lambda _: hidden)
    code = encode([Instruction(0x85, imm=6000), Instruction(0x85, src=1, offset=1, imm=0), Instruction(0x95)])
    kernel, fd = kernel_with(instructions=code, btf_id=0, jited_ksyms=(0,))
    assert list(code_lines(program_code(kernel, fd))) == [
        "   0: (85) call 0x1770#6000",
        "   1: (85) call pc+1#0x0",
        "   2: (95) exit",
    ]


PROTOTYPES = [
    (Type(Kind.PTR, type_id=0), "void * x"),
    (Type(Kind.TYPEDEF, "u32", type_id=1), "u32 x"),
    (Type(Kind.CONST, type_id=1), "const int x"),
    (Type(Kind.VOLATILE, type_id=1), "volatile int x"),
    (Type(Kind.RESTRICT, type_id=1), "restrict int x"),
    (Type(Kind.UNION, "u"), "union u x"),
    (Type(Kind.ENUM, "e", size_bytes=4), "enum e x"),
    (Type(Kind.FWD, "later"), "struct later x"),
    (Type(Kind.FWD, "later", flag=True), "union later x"),
    (Type(Kind.FLOAT, "double", size_bytes=8), "double x"),
    (Type(Kind.ARRAY, type_id=1, index_type_id=1, length=4), "int [4]x"),
]


@pytest.mark.parametrize(("parameter", "spelled"), PROTOTYPES)
def test_prototypes_are_spelled_as_bpftool_spells_them(parameter: Type, spelled: str) -> None:
    """With its spaces."""
    integer = Type(Kind.INT, "int", size_bytes=4, bit_size=32)
    function = Type(Kind.FUNC_PROTO, parameters=(Parameter("x", 2), Parameter("", 2), Parameter("", 0)))
    types = decode(encode_types([integer, parameter, function, Type(Kind.FUNC, "f", type_id=3)]))
    nameless = spelled.removesuffix("x").rstrip()
    assert prototype(types, 4) == f"void f({spelled}, {nameless}, ...)"
