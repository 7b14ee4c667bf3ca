"""The shape of a program: encodings, jumps, functions, what can be reached, what is read later.

Source: kernel/bpf/verifier.c, check_subprogs(), check_cfg(), compute_live_registers().
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    CALL,
    EXIT,
    GOTO,
    GOTOL,
    LD_IMM64,
    MAY_GOTO,
    Alu,
    Atomic,
    Class,
    Jump,
    Mode,
    PseudoCall,
    Size,
    Source,
)
from ebee.checker.complaint import EINVAL, Complaint

_HIGHEST_REGISTER = 10
_ARGUMENTS = 0x3E
_CLOBBERED = 0x3F
_LEGACY_USES = 1 << 6


class Shape:
    """A program whose instructions are all known and whose jumps all hit.

    Attributes:
        targets: slots that jumps lead to.
        loops: those of them that a jump back leads to.
        begins: where functions begin, sorted; the first is 0.
    """

    def __init__(self, code: Sequence[Instruction], functions: Mapping[int, int]) -> None:
        """Check a program's shape.

        Args:
            code: its instructions.
            functions: slots by the addresses that wide loads name functions by.

        Raises:
            Complaint: it has none that could run.
        """
        if not code:
            raise Complaint(EINVAL, "last insn is not an exit or jmp")
        self.code = code
        self.functions = {key: slot for key, slot in functions.items() if 0 <= slot < len(code)}
        self.begins = self._function_begins()
        self.targets: set[int] = set()
        self.loops: set[int] = set()
        self._check_jumps()
        self._check_encodings()
        self._check_reach()
        self._live: list[int] | None = None

    def function_of(self, slot: int) -> int:
        """Return where the function begins that a slot belongs to."""
        return self.begins[bisect_right(self.begins, slot) - 1]

    def function_at(self, slot: int) -> int | None:
        """Return which function's address a wide load takes; None where it takes none."""
        first, second = self.code[slot], self.code[slot + 1]
        return self.functions.get((second.imm & 0xFFFF_FFFF) << 32 | first.imm & 0xFFFF_FFFF)

    def live(self, slot: int) -> int:
        """Return the registers that are read from a slot on before they are set, as bits."""
        if self._live is None:
            self._live = self._live_registers()
        return self._live[slot]

    # -- functions and jumps ---------------------------------------------------------------------
    def _function_begins(self) -> list[int]:
        begins = {0}
        for slot, instruction in enumerate(self.code):
            if instruction.opcode == CALL and instruction.src == PseudoCall.CALL:
                target = slot + 1 + instruction.imm
                if not 0 <= target < len(self.code):
                    raise Complaint(EINVAL, "call to invalid destination")
                begins.add(target)
            elif instruction.opcode == LD_IMM64 and slot + 1 < len(self.code):
                named = self.function_at(slot)
                if named is not None:
                    begins.add(named)
        return sorted(begins)

    def _check_jumps(self) -> None:
        ends = [*self.begins[1:], len(self.code)]
        for begin, end in zip(self.begins, ends, strict=True):
            for slot in range(begin, end):
                target = jump_target(self.code[slot], slot)
                if target is None:
                    continue
                if not begin <= target < end:
                    raise Complaint(EINVAL, f"jump out of range from insn {slot} to {target}")
                self.targets.add(target)
                if target <= slot:
                    self.loops.add(target)
            if self.code[end - 1].opcode not in (EXIT, GOTO, GOTOL):
                raise Complaint(EINVAL, "last insn is not an exit or jmp")

    def _check_encodings(self) -> None:
        slot, count = 0, len(self.code)
        while slot < count:
            opcode, dst, src, _, imm = self.code[slot]
            if opcode & 7 == Class.LDX and imm:
                raise Complaint(EINVAL, "BPF_LDX uses reserved fields")
            if not known(opcode):
                raise Complaint(EINVAL, f"unknown opcode {opcode:02x}")
            if opcode == LD_IMM64:
                if slot + 1 == count or self.code[slot + 1][:4] != (0, 0, 0, 0):
                    raise Complaint(EINVAL, "invalid bpf_ld_imm64 insn")
                slot += 1
            for register in (dst, src):
                if register > _HIGHEST_REGISTER:
                    raise Complaint(EINVAL, f"R{register} is invalid")
            slot += 1

    def _check_reach(self) -> None:
        reached = bytearray(len(self.code) + 1)
        waiting = [0]
        while waiting:
            slot = waiting.pop()
            while slot < len(self.code) and not reached[slot]:
                reached[slot] = 1
                following = self._following(slot)
                waiting += following[1:]
                if not following:
                    break
                slot = following[0]
        slot = 0
        while slot < len(self.code):
            if not reached[slot]:
                raise Complaint(EINVAL, f"unreachable insn {slot}")
            if self.code[slot].opcode == LD_IMM64:
                if reached[slot + 1]:
                    raise Complaint(EINVAL, f"jump into the middle of ldimm64 insn {slot}")
                slot += 1
            slot += 1

    def _following(self, slot: int) -> list[int]:
        """Return where a program may go from a slot, the functions that it calls included."""
        instruction = self.code[slot]
        opcode = instruction.opcode
        if opcode == EXIT:
            return []
        target = jump_target(instruction, slot)
        if opcode in (GOTO, GOTOL):
            return [] if target is None else [target]
        if opcode == LD_IMM64:
            function = self.function_at(slot)
            return [slot + 2] if function is None else [slot + 2, function]
        if opcode == CALL and instruction.src == PseudoCall.CALL:
            return [slot + 1, slot + 1 + instruction.imm]
        return [slot + 1] if target is None else [slot + 1, target]

    # -- liveness --------------------------------------------------------------------------------
    def _live_registers(self) -> list[int]:
        count = len(self.code)
        live = [0] * (count + 2)
        effects = [_effects(instruction) for instruction in self.code]
        ways = [self._ways(slot) for slot in range(count)]
        changed, rounds = True, 0
        while changed:
            changed = False
            rounds += 1
            if rounds > 16:
                return [0x7FF] * (count + 2)
            for slot in range(count - 1, -1, -1):
                uses, sets = effects[slot]
                after = 0
                for following in ways[slot]:
                    after |= live[following]
                before = uses | after & ~sets
                if before != live[slot]:
                    live[slot] = before
                    changed = True
        return live

    def _ways(self, slot: int) -> list[int]:
        following = self._following(slot)
        instruction = self.code[slot]
        calls = instruction.opcode == LD_IMM64 or instruction.opcode == CALL
        return following[:1] if calls else following


def jump_target(instruction: Instruction, slot: int) -> int | None:
    """Return where an instruction may jump to; None for one that is no jump."""
    opcode = instruction.opcode
    if opcode == GOTOL:
        return slot + 1 + instruction.imm
    if opcode & 7 not in (Class.JMP, Class.JMP32) or opcode & 0xF0 in (Jump.CALL, Jump.EXIT):
        return None
    return slot + 1 + instruction.offset


def _effects(instruction: Instruction) -> tuple[int, int]:
    """Return the registers that an instruction reads, and those that it sets, as bits."""
    opcode, dst, src, _, imm = instruction
    kind, to, by = opcode & 7, 1 << dst, 1 << src
    if kind in (Class.ALU, Class.ALU64):
        uses = by if opcode & Source.X and opcode & 0xF0 != Alu.END else 0
        return (uses, to) if opcode & 0xF0 == Alu.MOV else (uses | to, to)
    if kind == Class.LDX:
        return by, to
    if kind == Class.LD:
        return (0, to) if opcode == LD_IMM64 else (_LEGACY_USES | by, _CLOBBERED)
    if kind == Class.ST:
        return to, 0
    if kind == Class.STX:
        fetches = opcode & 0xE0 == Mode.ATOMIC and imm & Atomic.FETCH
        if fetches and imm == Atomic.CMPXCHG:
            return to | by | 1, 1
        loads = opcode & 0xE0 == Mode.ATOMIC and imm == Atomic.LOAD_ACQ
        return (by, to) if loads else (to | by, by if fetches else 0)
    if opcode == CALL:
        return _ARGUMENTS, _CLOBBERED
    if opcode == EXIT:
        return 1, 0
    if opcode in (GOTO, GOTOL, MAY_GOTO):
        return 0, 0
    return to | (by if opcode & Source.X else 0), 0


def known(opcode: int) -> bool:
    """Return whether the verifier knows an opcode."""
    return opcode in _KNOWN


def _opcodes() -> frozenset[int]:
    sizes = (Size.W, Size.H, Size.B, Size.DW)
    binary = (0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xA0, 0xB0, 0xC0)
    tests = (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)
    found = {CALL, EXIT, GOTO, GOTOL, MAY_GOTO, LD_IMM64}
    found |= {
        kind | code | source for kind in (Class.ALU, Class.ALU64) for code in binary for source in (0, 8)
    }
    found |= {Class.ALU | Alu.NEG, Class.ALU64 | Alu.NEG}
    found |= {Class.ALU | Alu.END, Class.ALU | Alu.END | 8, Class.ALU64 | Alu.END}
    found |= {
        kind | code | source for kind in (Class.JMP, Class.JMP32) for code in tests for source in (0, 8)
    }
    found |= {kind | Mode.MEM | size for kind in (Class.LDX, Class.ST, Class.STX) for size in sizes}
    found |= {Class.LDX | Mode.MEMSX | size for size in sizes[:3]}
    found |= {Class.STX | Mode.ATOMIC | size for size in sizes}
    found |= {Class.LD | mode | size for mode in (Mode.ABS, Mode.IND) for size in sizes[:3]}
    return frozenset(found)


_KNOWN = _opcodes()
