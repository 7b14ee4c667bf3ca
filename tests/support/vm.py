"""Builders for tests of the userspace machine: a context, code from assembler text, a run.

assert result("r0 = 7\nexit") == 7
assert result("r0 = *(u16 *)(r1 +0)\nexit", data=b"\x01\x02") == 0x0201
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ebee.abi.bpf import ProgType
from ebee.asm import Instruction, assemble
from ebee.asm.opcodes import CALL, LD_IMM64, PseudoCall, PseudoLoad
from ebee.vm.code import Code, Place
from ebee.vm.machine import DEFAULT_BUDGET, Context, Engine, Machine, Outcome, function_address, map_address
from ebee.vm.memory import CONTEXT
from ebee.vm.packet import Packet

ENGINES = ("interpreter", "native")


@contextmanager
def engine_named(name: str) -> Iterator[Engine]:
    """Yield an engine on a machine of its own, which is its attribute `machine`."""
    if name == "interpreter":
        from ebee.vm.interpreter import Interpreter

        yield Interpreter(Machine())
        return
    from ebee.vm.arena import SharedArena
    from ebee.vm.native import Native

    native = Native(Machine(SharedArena()))
    try:
        yield native
    finally:
        native.close()


def context(machine: Machine, data: bytes = b"", *, packet: bytes | None = None) -> Context:
    """Return a context of plain bytes that a program may read and write, with a packet if one is given."""
    region = machine.memory.add("the context", len(data), number=CONTEXT)
    region.element(0)[:] = data
    return Context(region, None if packet is None else Packet(machine.memory, packet))


def code(
    text: str | Sequence[Instruction],
    *,
    name: str = "test",
    type: ProgType = ProgType.SOCKET_FILTER,
    lines: bool = False,
) -> Code:
    """Return a program from assembler text, or from instructions.

    `map[idx:3]` is the machine's map of index 3, `subprog[name]` the address of a function.

    Args:
        lines: whether each instruction comes from its line of the text, in a file `test.c`.
    """
    instructions = assemble(text) if isinstance(text, str) else list(text)
    begins = {slot + 1 + i.imm for slot, i in enumerate(instructions) if _names_function(i)}
    functions = {0: name} | {begin: f"f{begin}" for begin in sorted(begins)}
    places = _places(text, instructions) if lines and isinstance(text, str) else ()
    return Code(name, type, tuple(_placed(instructions)), places=places, functions=functions)


def run(
    program: str | Sequence[Instruction] | Code,
    *,
    data: bytes = b"",
    packet: bytes | None = None,
    machine: Machine | None = None,
    engine: Engine | None = None,
    budget: int = DEFAULT_BUDGET,
) -> Outcome:
    """Run a program and return its outcome: by the interpreter, on a new machine, unless others are given."""
    from ebee.vm.interpreter import Interpreter

    machine = machine or Machine()
    engine = engine or Interpreter(machine)
    ready = program if isinstance(program, Code) else code(program)
    return engine.run(ready, context(machine, data, packet=packet), budget=budget)


def result(
    program: str | Sequence[Instruction] | Code,
    *,
    data: bytes = b"",
    packet: bytes | None = None,
    machine: Machine | None = None,
    engine: Engine | None = None,
) -> int:
    """Return r0 at the end of a run, as `run` runs it."""
    return run(program, data=data, packet=packet, machine=machine, engine=engine).return_value


def _names_function(instruction: Instruction) -> bool:
    opcode, _, kind, _, _ = instruction
    return (opcode, kind) in ((CALL, PseudoCall.CALL), (LD_IMM64, PseudoLoad.FUNC))


def _placed(instructions: Sequence[Instruction]) -> list[Instruction]:
    """Return instructions whose maps and functions are addresses of the machine."""
    placed = list(instructions)
    for slot, instruction in enumerate(instructions):
        if instruction.opcode != LD_IMM64 or instruction.src == PseudoLoad.NONE:
            continue
        if instruction.src == PseudoLoad.FUNC:
            address = function_address(slot + 1 + instruction.imm)
        else:
            address = map_address(instruction.imm)
        placed[slot] = instruction._replace(src=0, imm=_signed(address & 0xFFFF_FFFF))
        placed[slot + 1] = Instruction(0, imm=_signed(address >> 32))
    return placed


def _signed(half: int) -> int:
    return half - (1 << 32) if half >> 31 else half


def _places(text: str, instructions: Sequence[Instruction]) -> list[tuple[int, Place]]:
    """Return the line of each instruction, one a line."""
    places, slot = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.partition(";")[0].strip()
        if not statement or statement.endswith(":"):
            continue
        places.append((slot, Place("test.c", number, len(line) - len(line.lstrip()) + 1, line)))
        slot += 2 if instructions[slot].opcode == LD_IMM64 else 1
    return places
