"""A program with the recorder's calls before its loads does what it did without them."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ebee.asm import assemble
from ebee.recording.loads import with_loads_recorded
from ebee.relocate import link
from ebee.spec import Function
from ebee.vm.machine import Machine
from tests.support.vm import run

POINTERS = (0xFFFF_8881_0000_0000, 0xFFFF_8881_0001_0000)
MEMORY = bytes(range(256))
BEGIN = "r6 = *(u64 *)(r1 +0)\nr7 = *(u64 *)(r1 +8)\n" + "".join(f"r{n} = {n}\n" for n in (0, 2, 3, 4, 5, 8))
END = "".join(f"r0 += r{n}\n" for n in (2, 3, 4, 5, 8)) + "exit"
# What a call may leave behind: nothing of what was there.
NOTE = Function("note", ".text", list(assemble("".join(f"r{n} = {90 + n}\n" for n in range(6)) + "exit")))

REGISTERS = st.sampled_from([0, 2, 3, 4, 5, 8])
LOADS = st.builds(
    "r{} = *({} *)(r{} +{})".format,
    REGISTERS,
    st.sampled_from(["u8", "u16", "u32", "u64", "s8", "s32"]),
    st.sampled_from([6, 7]),
    st.integers(0, 248),
)
SUMS = st.builds("r{} {} r{}".format, REGISTERS, st.sampled_from(["+=", "^=", "=", "*="]), REGISTERS)
SPILLS = st.builds("*(u64 *)(r10 -{}) = r{}".format, st.sampled_from([8, 16, 24]), REGISTERS)
FILLS = st.builds("r{} = *(u64 *)(r10 -{})".format, REGISTERS, st.sampled_from([8, 16, 24]))
JUMPS = st.tuples(st.sampled_from(["==", "!=", "s>", "&"]), REGISTERS, REGISTERS, st.integers(0, 9))
STATEMENTS = st.lists(st.one_of(LOADS, SUMS, SPILLS, FILLS, JUMPS), min_size=1, max_size=14)


def text_of(statements: list[str | tuple[str, int, int, int]]) -> str:
    """Return a program; jumps go forward, no further than its end."""
    lines = []
    for place, statement in enumerate(statements):
        if isinstance(statement, str):
            lines.append(statement)
        else:
            sign, left, right, distance = statement
            lines.append(f"if r{left} {sign} r{right} goto pc+{min(distance, len(statements) - place - 1)}")
    return BEGIN + "\n".join(lines) + "\n" + END


def outcome(function: Function) -> int:
    """Return what a program returns, on memory of the kernel's."""
    machine = Machine()
    for pointer in POINTERS:
        machine.memory.kernel.put(pointer, MEMORY)
    program = link(function, {"note": NOTE}).instructions
    return run(program, data=struct.pack("<2Q", *POINTERS), machine=machine).return_value


@given(STATEMENTS)
def test_the_result_is_the_same(statements: list[str | tuple[str, int, int, int]]) -> None:
    """However loads, jumps and the stack are mixed."""
    plain = Function("main", "tp_btf/x", list(assemble(text_of(statements))))
    changed = with_loads_recorded(plain, "note")
    has_loads = any("(r6" in str(each) or "(r7" in str(each) for each in statements)
    assert (len(changed.instructions) > len(plain.instructions)) == has_loads
    assert outcome(changed) == outcome(plain)
