"""Bytecode -> C: a function for each of the program's, its registers as variables, a label for each block.

What the C may not do by itself (a bad access, a helper, the end of the budget) it asks the function
pointers in `struct state` for. The same program gives the same text on every machine whose maps have the
same numbers, so that the compiled text is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    CLASS_MASK,
    EXIT,
    GOTO,
    GOTOL,
    LD_IMM64,
    MAY_GOTO,
    MODE_MASK,
    SIZE_MASK,
    Atomic,
    Class,
    Mode,
    PseudoCall,
    Size,
)
from ebee.record import Record
from ebee.vm.machine import MOST_FRAMES, STACK_BYTES
from ebee.vm.memory import CONTEXT, STACK
from ebee.vm.native.arithmetic import alu, condition, number
from ebee.vm.native.frames import frame_bytes
from ebee.vm.native.liveness import budget_checks, live_registers
from ebee.vm.native.origins import Facts, Origin, Origins, region_of
from ebee.vm.native.shape import Block, blocks_of, functions_of, is_legacy_load, wide_number

_END = Instruction(EXIT)
_BYTES = {Size.B: 1, Size.H: 2, Size.W: 4, Size.DW: 8}
_ARGUMENTS = "r1, r2, r3, r4, r5"
# Functions get all registers, as the interpreter's do. Those that one does not read cost nothing.
_REGISTERS = "r0, r1, r2, r3, r4, r5, r6, r7, r8, r9"
_PARAMETERS = ", ".join(f"u64 r{number}" for number in range(10))
_TAIL_CALL = 12
_CALL_AT = f"static u64 call_at(struct state *s, u64 slot, u64 address, {_PARAMETERS});"
_LOOKUP, _LOOP = 1, 181
# Helpers that change no region and call nothing: what they are in C.
_QUIET = {
    _LOOKUP: "s->lookup(s, {}, r1, r2, r3, r4, r5)",
    2: "s->update(s, {}, r1, r2, r3, r4, r5)",
    3: "s->erase(s, {}, r1, r2, r3, r4, r5)",
    8: "s->cpu",
    **dict.fromkeys((5, 125, 160), "s->clock(s, {})"),
    93: "s->lock_spin(s, {}, r1)",
    94: "s->unlock_spin(s, {}, r1)",
}


class Setting(Record):
    """What a program is compiled for.

    Attributes:
        functions: slots at which functions begin, beside those that are called.
        facts: what is known of pointers.
        is_single: tells whether a region has one element.
        refused: the slots of instructions that no kernel takes.
    """

    functions: Collection[int]
    facts: Facts
    is_single: Callable[[int], bool]
    refused: Collection[int]


def generate(instructions: Sequence[Instruction], setting: Setting) -> str:
    """Return a program as C, to be compiled behind state.h and program.h."""
    if not instructions:
        return f"static {_signature(0)} {{ s->stop(s, OUTSIDE, 0, 1, 0); }}\n{_dispatch([0])}\n"
    # What comes behind a refused instruction is not reached from it, and its fields mean nothing.
    instructions = [
        _END._replace(imm=one.imm) if slot in setting.refused else one
        for slot, one in enumerate(instructions)
    ]
    begins = functions_of(instructions, setting.functions)
    prototypes = [f"static {_signature(begin)};" for begin in begins]
    bodies = [_Function(instructions, begin, setting, begins).text() for begin in begins]
    return "\n".join([*prototypes, _CALL_AT, *bodies, _dispatch(begins)]) + "\n"


def _signature(begin: int) -> str:
    return f"u64 f{begin}(struct state *const s, {_PARAMETERS})"


def _dispatch(begins: Sequence[int]) -> str:
    """Return the function that calls a function by its address, which a register holds or a helper."""
    cases = "".join(f"\tcase {begin}: return f{begin}(s, {_REGISTERS});\n" for begin in begins)
    known = "".join(f"case {begin}: " for begin in begins)
    return (
        "static int is_function(u64 address)\n"
        f"{{\n\tswitch (function_slot(address)) {{\n\t{known}return 1;\n\t}}\n\treturn 0;\n}}\n"
        f"{_CALL_AT.rstrip(';')}\n{{\n"
        "\tif (address <= 0xffffffff)\n"
        f"\t\treturn s->depth--, s->callx(s, slot, address, {_ARGUMENTS});\n"
        f"\tif (unlikely(s->depth >= {MOST_FRAMES}))\n"
        "\t\ts->depth--, s->stop(s, STEP, slot, address, 0);\n"
        f"\tswitch (function_slot(address)) {{\n{cases}\t}}\n"
        "\ts->depth--, s->stop(s, STEP, slot, address, 0);\n}"
    )


class _Function:
    """One function on its way to C."""

    def __init__(
        self, instructions: Sequence[Instruction], begin: int, setting: Setting, begins: Sequence[int]
    ) -> None:
        self._instructions = instructions
        self._begin = begin
        self._setting = setting
        self._begins = begins
        self._blocks = blocks_of(instructions, begin)
        start = None if begin == 0 else (*[None] * 10, Origin("frame", 0))
        given = () if start is None else (start,)
        self._origins = Origins(instructions, self._blocks, begin, setting.facts, *given)
        self._guessed: set[int] = set()
        self._live = live_registers(instructions, self._blocks)
        self._checks = budget_checks(self._blocks, begin, self._after_calls())

    def _after_calls(self) -> set[int]:
        """Return the blocks behind calls of what may use up the budget."""
        return {
            block.next
            for block in self._blocks.values()
            if block.next is not None and _calls(self._instructions[block.last])
        }

    def text(self) -> str:
        """Return the function."""
        body = [line for leader in sorted(self._blocks) for line in self._block(leader)]
        looks = " ".join(f"look(&g{region}, {region});" for region in sorted(self._guessed))
        define = f"#define LOOK{self._begin} {looks}"
        return "\n".join([define, _signature(self._begin), "{", *self._head(), *body, "}"])

    def _head(self) -> Iterator[str]:
        yield "\tu64 loops = 0;"
        yield "\ts64 left = s->left;"
        yield "\tconst u64 depth = s->depth;"
        yield f"\tconst u64 r10 = {STACK}ul << REGION_SHIFT | depth << ELEMENT_SHIFT | {STACK_BYTES};"
        yield f"\tu8 *const top = REGIONS[{STACK}].base + depth * {STACK_BYTES} + {STACK_BYTES};"
        yield from (f"\tstruct guess g{region};" for region in sorted(self._guessed))
        slots = [slot for block in self._blocks.values() for slot in block.slots]
        used_bytes = frame_bytes(self._instructions, slots, self._origins)
        if used_bytes:
            yield f"\t__builtin_memset_inline(top - {used_bytes}, 0, {used_bytes});"
        yield "\t(void)r10, (void)top, (void)loops;"
        yield f"\t{self._look()}"
        yield f"\tgoto b{self._begin};"

    def _look(self) -> str:
        """Return C that learns where the guessed regions are: at the begin, and after calls."""
        return f"LOOK{self._begin}"

    # -- blocks ----------------------------------------------------------------------------------
    def _block(self, leader: int) -> Iterator[str]:
        block = self._blocks[leader]
        yield f"b{leader}:"
        if leader in self._checks:
            kept = ", ".join(f"r{n}" if n in self._live[leader] else "0" for n in range(10))
            needed = self._checks[leader]
            yield f"\tif (unlikely(left < {needed}) && (left = more(s, left)) < {needed})"
            yield f"\t\treturn finish(s, {leader}, left, loops, {kept});"
        yield f"\tleft -= {len(block.slots)};"
        for slot in block.slots:
            if slot in self._setting.refused:
                yield f"\ts->stop(s, STEP, {slot}, 0, 0);"
                return
            yield from (f"\t{line}" for line in self._instruction(slot, block))
        if block.next is not None and block.target is None:
            yield f"\t{self._goto(block.last, block.next)}"

    def _goto(self, slot: int, target: int) -> str:
        """Return C that goes on at a slot, coming from another."""
        if target in self._blocks:
            return f"goto b{target};"
        fell = target == len(self._instructions) and self._instructions[slot].opcode not in (GOTO, GOTOL)
        return f"s->stop(s, OUTSIDE, {slot}, {int(fell)}, 0);"

    def _instruction(self, slot: int, block: Block) -> Iterator[str]:
        instruction = self._instructions[slot]
        opcode, kind = instruction.opcode, instruction.opcode & CLASS_MASK
        if opcode == LD_IMM64:
            yield f"r{instruction.dst} = {number(wide_number(self._instructions, slot))};"
        elif opcode == EXIT:
            yield "s->left = left; return r0;"
        elif opcode in (CALL, CALLX):
            yield from self._call(slot, instruction)
        elif kind in (Class.ALU, Class.ALU64):
            yield f"r{instruction.dst} = {alu(instruction)};"
        elif opcode not in (GOTO, GOTOL) and kind in (Class.JMP, Class.JMP32):
            assert block.target is not None
            assert block.next is not None
            taken = "loops++ >= MOST_LOOPS" if opcode == MAY_GOTO else condition(instruction)
            yield f"if ({taken}) {self._jump(slot, block.target)} else {self._goto(slot, block.next)}"
        elif is_legacy_load(instruction):
            yield from self._legacy_load(slot, instruction)
        elif kind in (Class.LDX, Class.ST, Class.STX):
            yield self._access(slot, instruction)

    def _jump(self, slot: int, target: int) -> str:
        """Return C that jumps, which outside of the program is another complaint than falling off its end."""
        return f"goto b{target};" if target in self._blocks else f"s->stop(s, OUTSIDE, {slot}, 0, 0);"

    # -- memory ----------------------------------------------------------------------------------
    def _access(self, slot: int, instruction: Instruction) -> str:
        kind, mode = instruction.opcode & CLASS_MASK, instruction.opcode & MODE_MASK
        size = _BYTES[instruction.opcode & SIZE_MASK]
        if kind == Class.LDX:
            value = self._load(slot, instruction, size)
            cast = f"(u64)(s64)(s{8 * size})" if mode == Mode.MEMSX else ""
            return f"r{instruction.dst} = {cast}{value};"
        if kind == Class.STX and mode == Mode.ATOMIC:
            return self._atomic(slot, instruction, size)
        value = f"r{instruction.src}" if kind == Class.STX else number(instruction.imm)
        return self._store(slot, instruction, size, value)

    def _load(self, slot: int, instruction: Instruction, size: int) -> str:
        register, offset = instruction.src, instruction.offset
        place = self._own_frame(slot, register, offset, size)
        if place is not None:
            return f"fetch({place}, {size})"
        way = self._way(slot, register)
        return f"load{way}{slot}, {_plus(register, offset)}, {size})"

    def _store(self, slot: int, instruction: Instruction, size: int, value: str) -> str:
        place = self._own_frame(slot, instruction.dst, instruction.offset, size)
        if place is not None:
            return f"put({place}, {size}, {value});"
        address = _plus(instruction.dst, instruction.offset)
        return f"store{self._way(slot, instruction.dst)}{slot}, {address}, {size}, {value});"

    def _atomic(self, slot: int, instruction: Instruction, size: int) -> str:
        kind = instruction.imm
        if kind == Atomic.LOAD_ACQ:
            value = self._load(slot, instruction, size)
            return f"r{instruction.dst} = {value}; __atomic_thread_fence(__ATOMIC_ACQUIRE);"
        if kind == Atomic.STORE_REL:
            text = self._store(slot, instruction, size, f"r{instruction.src}")
            return f"__atomic_thread_fence(__ATOMIC_RELEASE); {text}"
        address = _plus(instruction.dst, instruction.offset)
        place = self._own_frame(slot, instruction.dst, instruction.offset, size)
        where = place or f"reach({address}, {size}, 1)"
        call = f"atomic(s, {where}, {slot}, {address}, {size}, {kind:#x}, r{instruction.src}, r0)"
        if kind == Atomic.CMPXCHG:
            return f"r0 = {call};"
        return f"r{instruction.src} = {call};" if kind & Atomic.FETCH else f"{call};"

    def _own_frame(self, slot: int, register: int, offset: int, size: int) -> str | None:
        """Return C for a place in this function's frame, where it is certain to be there."""
        origin = self._origins.before(slot)[register]
        if origin is None or origin.kind != "frame":
            return None
        place = origin.value + offset
        return f"top - {-place}" if -STACK_BYTES <= place <= -size else None

    def _way(self, slot: int, register: int) -> str:
        """Return how an address is reached, as C: first looked for in the region that it is guessed in."""
        region = region_of(self._origins.before(slot)[register])
        if region == CONTEXT and self._setting.facts.context_pointers:
            return "_special(s, "
        if not region or region == STACK:
            return "_any(s, "
        self._guessed.add(region)
        return (
            f"_one(s, &g{region}, " if self._setting.is_single(region) else f"_many(s, &g{region}, {region}, "
        )

    # -- calls -----------------------------------------------------------------------------------
    def _call(self, slot: int, instruction: Instruction) -> Iterator[str]:
        given = f"s, {slot}, {_ARGUMENTS}"
        if instruction.opcode == CALLX:
            register = f"r{instruction.dst or instruction.imm}"
            yield "s->left = left; s->depth = depth + 1;"
            yield f"r0 = call_at(s, {slot}, {register}, {_REGISTERS});"
            yield f"left = s->left; s->depth = depth; {self._look()}"
        elif instruction.src == PseudoCall.CALL:
            yield from self._local_call(slot, slot + 1 + instruction.imm)
        elif instruction.src == PseudoCall.HELPER and instruction.imm == _TAIL_CALL:
            yield "s->left = left;"
            yield f"if (tail_call(s, {slot}, r1, r2, r3, &r0)) return r0;"
        elif instruction.src == PseudoCall.HELPER and instruction.imm in _QUIET:
            yield self._lookup_array(slot, instruction) or f"r0 = {_QUIET[instruction.imm].format(slot)};"
        else:
            loops = instruction.src == PseudoCall.HELPER and instruction.imm == _LOOP
            result = f"loop(s, {slot}, depth, {_ARGUMENTS})" if loops else f"s->helper({given})"
            yield f"s->left = left; r0 = {result}; left = s->left; {self._look()}"

    def _lookup_array(self, slot: int, instruction: Instruction) -> str | None:
        """Return C for a lookup in an array that is known; None for any other call."""
        held = self._origins.before(slot)[1]
        if instruction.imm != _LOOKUP or held is None or held.kind != "number":
            return None
        array = self._setting.facts.array_at(held.value)
        if array is None:
            return None
        place = self._own_frame(slot, 2, 0, 4)
        call = f"lookup_array({{}}, {array.entries}, {array.region}, s->cpu * {array.copy_step})"
        if place is not None:
            return f"r0 = {call.format(place)};"
        return (
            f"{{ const u8 *key = reach(r2, 4, 0); r0 = likely(key != 0) ? {call.format('key')}"
            f" : s->lookup(s, {slot}, {_ARGUMENTS}); }}"
        )

    def _local_call(self, slot: int, target: int) -> Iterator[str]:
        if target not in self._begins:
            yield f"s->stop(s, OUTSIDE, {slot}, 0, 0);"
            return
        yield f"if (unlikely(depth + 1 >= {MOST_FRAMES})) s->stop(s, STEP, {slot}, 0, 0);"
        yield f"s->left = left; s->depth = depth + 1; r0 = f{target}(s, {_REGISTERS});"
        yield f"left = s->left; s->depth = depth; {self._look()}"

    def _legacy_load(self, slot: int, instruction: Instruction) -> Iterator[str]:
        size = _BYTES[instruction.opcode & SIZE_MASK]
        indirect = instruction.opcode & MODE_MASK == Mode.IND
        register = f"r{instruction.src}" if indirect else "0"
        yield f"r0 = s->packet(s, {slot}, (u64)(s64)(s32){register}, {number(instruction.imm)}, {size});"
        yield "if (r0 == NO_PACKET_BYTES) { s->left = left; return 0; }"


def _calls(instruction: Instruction) -> bool:
    """Return whether an instruction calls a function of the program, or what may call one."""
    if instruction.opcode == CALLX:
        return True
    helper = instruction.src == PseudoCall.HELPER
    return instruction.opcode == CALL and not (helper and instruction.imm in (*_QUIET, _TAIL_CALL))


def _plus(register: int, offset: int) -> str:
    return f"r{register} + {number(offset)}" if offset else f"r{register}"
