"""What random programs have not, on the running kernel and both engines.

Packet loads, tail calls, callbacks, functions within functions.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence

import pytest

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction, assemble, encode
from ebee.asm.opcodes import LD_IMM64, PseudoLoad
from ebee.btf.encode import encode as encode_types
from ebee.btf.types import FuncLinkage, IntEncoding, Kind, Parameter, Type
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import MapCreate, ProgramLoad, RunRequest
from ebee.vm.contexts import release, skb_context
from ebee.vm.machine import Engine
from ebee.vm.maps import MapSetup, make_map
from tests.kernel.door import needs_root
from tests.support import vm

pytestmark = [needs_root, pytest.mark.userspace_machine]

PACKET = bytes(range(100, 180))
PROGRAMS = MapSetup(MapType.PROG_ARRAY, "programs", 4, 4, 4)


@pytest.fixture(scope="module", params=vm.ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with vm.engine_named(request.param) as engine:
        vm.result("exit", machine=engine.machine, engine=engine)  # what it opens is open from now on
        yield engine


def in_kernel(texts: Sequence[str], kind: ProgType) -> int:
    """Load programs, each under its number in an array of programs; run the first one."""
    kernel, opened = LiveKernel(), list[int]()
    sizes = (PROGRAMS.key_size_bytes, PROGRAMS.value_size_bytes, PROGRAMS.max_entries)
    try:
        array = kernel.map_create(MapCreate(PROGRAMS.type, *sizes, name=PROGRAMS.name))
        opened.append(array)
        for index, text in enumerate(texts):
            opened.append(_load(kernel, text, kind, array))
            kernel.map_update(array, index.to_bytes(4, "little"), opened[-1].to_bytes(4, "little"))
        return kernel.program_test_run(RunRequest(opened[1], PACKET)).return_value
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _load(kernel: LiveKernel, text: str, kind: ProgType, array: int) -> int:
    """Load a program, whose functions get types: the kernel wants them where they are called back."""
    instructions = [_with_map(instruction, array) for instruction in assemble(text)]
    begins = sorted(vm.code(text).functions)
    types = kernel.btf_load(encode_types(_types(len(begins))))
    assert types.errno == 0
    request = ProgramLoad(
        kind,
        encode(instructions),
        "GPL",
        "ebee_test",
        log_level=1,
        log_size_bytes=1 << 16,
        btf_fd=types.fd,
        func_info=b"".join(struct.pack("<II", slot, 4 + index) for index, slot in enumerate(begins)),
    )
    try:
        answer = kernel.program_load(request)
    finally:
        os.close(types.fd)
    assert answer.errno == 0, answer.log
    return answer.fd


def _types(functions: int) -> list[Type]:
    """Return `long` as type 1, a function's type as type 3, and static functions from type 4 on."""
    return [
        Type(Kind.INT, "long", 8, encoding=IntEncoding.SIGNED, bit_size=64),
        Type(Kind.PTR, type_id=0),
        Type(Kind.FUNC_PROTO, type_id=1, parameters=(Parameter("a", 2), Parameter("b", 2))),
        *(Type(Kind.FUNC, f"f{index}", type_id=3, linkage=FuncLinkage.STATIC) for index in range(functions)),
    ]


def _with_map(instruction: Instruction, fd: int) -> Instruction:
    if (instruction.opcode, instruction.src) == (LD_IMM64, PseudoLoad.MAP_IDX):
        return instruction._replace(src=PseudoLoad.MAP_FD, imm=fd)
    return instruction


def on_machine(engine: Engine, texts: Sequence[str], kind: ProgType) -> int:
    machine = engine.machine
    array = machine.maps[0] = make_map(PROGRAMS, machine.memory, cpus=1, index=0)
    machine.programs = {1 + index: vm.code(text, type=kind) for index, text in enumerate(texts)}
    for index in range(len(texts)):
        array.write(index.to_bytes(4, "little"), (1 + index).to_bytes(4, "little"))
    place = skb_context(machine.memory, PACKET, kind)
    try:
        return engine.run(machine.programs[1], place).return_value & 0xFFFF_FFFF
    finally:
        release(machine.memory, place)


PACKET_LOADS = [
    "r0 = *(u8 *)skb[0]",
    "r0 = *(u16 *)skb[12]",
    "r0 = *(u32 *)skb[20]",
    "r7 = 3\nr0 = *(u32 *)skb[r7 + 7]",
    "r7 = -2\nr0 = *(u8 *)skb[r7 + 7]",
    "r7 = 0x500000003 ll\nr0 = *(u8 *)skb[r7 + 1]",
    "r0 = *(u8 *)skb[65]\nr0 += 1",
    "r0 = *(u8 *)skb[66]\nr0 += 1",
    "r0 = *(u32 *)skb[63]\nr0 += 1",
    "r0 = *(u8 *)skb[79]\nr0 += 1",
    "r0 = *(u8 *)skb[80]\nr0 += 1",
    "r7 = -9\nr0 = *(u8 *)skb[r7 + 7]\nr0 += 1",
    "r0 = *(u8 *)skb[-1]\nr0 += 1",
    "r0 = *(u8 *)skb[-2097152]\nr0 += 1",
    "r0 = *(u16 *)skb[-2097140]\nr0 += 1",
    "r0 = *(u8 *)skb[-1048576]\nr0 += 1",
    "r0 = *(u32 *)skb[-1048564]\nr0 += 1",
    "r0 = *(u8 *)skb[-2097153]\nr0 += 1",
    "r0 = *(u8 *)skb[2147483647]\nr0 += 1",
]


@pytest.mark.parametrize("kind", [ProgType.SOCKET_FILTER, ProgType.SCHED_CLS], ids=lambda kind: kind.name)
@pytest.mark.parametrize("load", PACKET_LOADS)
def test_packet_loads_find_what_the_kernels_find(engine: Engine, load: str, kind: ProgType) -> None:
    text = f"r6 = r1\n{load}\nexit"

    assert on_machine(engine, [text], kind) == in_kernel([text], kind)


_TAIL = "r1 = r6\nr2 = map[idx:0]\nr3 = {}\ncall bpf_tail_call\n"
_MARK = "r0 = *(u32 *)(r6 +8)\nr0 += 1\n*(u32 *)(r6 +8) = r0\n"
"""A tc program may count in skb->mark."""

TAIL_CALLS = {
    "to another program": ["r6 = r1\n" + _TAIL.format(1) + "r0 = 5\nexit", "r0 = 7\nexit"],
    "to nothing": ["r6 = r1\n" + _TAIL.format(3) + "r0 = 5\nexit"],
    "beyond the array": ["r6 = r1\n" + _TAIL.format(1000) + "r0 = 5\nexit"],
    "to itself, again and again": ["r6 = r1\n" + _MARK + _TAIL.format(0) + "r0 = *(u32 *)(r6 +8)\nexit"],
    "from a function, to return to its caller": [
        "r6 = r1\ncall inner\nr0 += 100\nexit\ninner:\nr6 = r1\n" + _TAIL.format(1) + "r0 = 5\nexit",
        "r0 = 7\nexit",
    ],
    "from a function, to nothing": [
        "r6 = r1\ncall inner\nr0 += 100\nexit\ninner:\nr6 = r1\n" + _TAIL.format(2) + "r0 = 5\nexit",
    ],
    "from a function and from its caller, counted together": [
        "r6 = r1\n" + _MARK + "r1 = r6\ncall inner\n" + _TAIL.format(0) + "r0 = *(u32 *)(r6 +8)\nexit\n"
        "inner:\nr6 = r1\n" + _TAIL.format(1) + "r0 = 5\nexit",
        "r6 = r1\n" + _MARK + "exit",
    ],
    "from programs that a function's tail call led to": [
        "r6 = r1\ncall inner\nr0 = *(u32 *)(r6 +8)\nexit\ninner:\nr6 = r1\n"
        + _TAIL.format(1)
        + "r0 = 5\nexit",
        "r6 = r1\n" + _MARK + _TAIL.format(1) + "r0 = 0\nexit",
    ],
}


@pytest.mark.parametrize("texts", TAIL_CALLS.values(), ids=TAIL_CALLS)
def test_tail_calls_go_where_the_kernels_go_and_as_often(engine: Engine, texts: list[str]) -> None:
    assert on_machine(engine, texts, ProgType.SCHED_CLS) == in_kernel(texts, ProgType.SCHED_CLS)


OTHERS = {
    "a callback counts in its caller's frame": """
        *(u64 *)(r10 -8) = 0
        r1 = 10
        r2 = subprog[each]
        r3 = r10
        r3 += -8
        r4 = 0
        call bpf_loop
        r1 = *(u64 *)(r10 -8)
        r0 *= 1000
        r0 += r1
        exit
    each:
        r3 = *(u64 *)(r2 +0)
        r3 += r1
        *(u64 *)(r2 +0) = r3
        r0 = 0
        if r1 < 6 goto end
        r0 = 1
    end:
        exit
    """,
    "functions within functions": """
        r1 = 3
        call one
        exit
    one:
        r6 = r1
        r1 += 1
        call two
        r0 *= r6
        exit
    two:
        r6 = r1
        *(u64 *)(r10 -512) = r6
        r1 += 1
        call three
        r6 = *(u64 *)(r10 -512)
        r0 *= r6
        exit
    three:
        r0 = r1
        exit
    """,
    "loads that acquire and stores that release": """
        r2 = 0x1122334455667788 ll
        *(u64 *)(r10 -8) = 0
        store_release((u32 *)(r10 -8), r2)
        store_release((u8 *)(r10 -3), r2)
        r0 = load_acquire((u64 *)(r10 -8))
        r1 = load_acquire((u16 *)(r10 -8))
        r0 >>= 24
        r0 ^= r1
        exit
    """,
    "may_goto that never has to jump": """
        r0 = 0
    more:
        may_goto end
        r0 += 3
        if r0 < 30 goto more
    end:
        exit
    """,
    "gotol both ways": """
        r0 = 1
        gotol first
    second:
        r0 += 10
        exit
    first:
        r0 += 100
        gotol second
    """,
    "signed division by a register that is zero or -1": """
        r6 = 0x8000000000000000 ll
        r7 = *(u32 *)(r1 +8)
        r0 = r6
        r0 s/= r7
        r8 = -1
        r8 -= r7
        r2 = r6
        r2 s/= r8
        r2 >>= 32
        r0 += r2
        r3 = r6
        r3 s%= r8
        r0 += r3
        w4 = 5
        w4 s%= w7
        r0 += r4
        exit
    """,
    "shifts by more than there are bits": """
        r2 = *(u32 *)(r1 +8)
        r2 += 67
        r0 = 1
        r0 <<= r2
        w3 = -16
        w3 s>>= w2
        r0 += r3
        exit
    """,
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_other_programs_give_what_the_kernel_gives(engine: Engine, text: str) -> None:
    kind = ProgType.SCHED_CLS

    assert on_machine(engine, [text], kind) == in_kernel([text], kind)
