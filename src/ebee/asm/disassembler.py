"""Instructions -> the text that the kernel's verifier log and `bpftool prog dump xlated` print.

Every opcode has its own small function, made when the first text is asked for: looking one up is
several times quicker than asking for class, mode and operation at each instruction.

The text is that of kernel/bpf/disasm.c with all up to gotox (Linux 6.19). It is not always enough to
tell two encodings apart: fields an instruction has no use for are not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from ebee.asm.helpers import helper_names
from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    ALU_SIGNS,
    ATOMIC_NAMES,
    CLASS_MASK,
    EXIT,
    GOTO,
    GOTOL,
    GOTOX,
    JUMP_SIGNS,
    LD_IMM64,
    MAY_GOTO,
    MODE_MASK,
    OPERATION_MASK,
    SIGN_EXTENSIONS,
    SIGNED_ALU_SIGNS,
    SIGNED_SIZE_NAMES,
    SIZE_MASK,
    SIZE_NAMES,
    SOURCE_MASK,
    Alu,
    Atomic,
    Class,
    Jump,
    Mode,
    Offset,
    PseudoCall,
    PseudoLoad,
    Size,
    Source,
)

CallName = Callable[[Instruction], "str | None"]
AddressName = Callable[[Instruction, int], "str | None"]

_Text = Callable[[Instruction], str]
_U32 = 0xFFFF_FFFF
# What the C library prints for a name that a table has not; the kernel's tables have such gaps.
_NO_NAME = "(null)"


def disassemble(
    instructions: Sequence[Instruction],
    *,
    call_name: CallName | None = None,
    address_name: AddressName | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield each instruction's slot and its text, such as `(b7) r1 = 0`, without a line end.

    A wide load takes two slots and gives one text.

    Args:
        instructions: in slots, as `decode` gives them. Any slots at all: those that no kernel knows
            read `BUG_…` or hold `(null)`, as in the kernel.
        call_name: asked for a call that is not to a helper of a known id. For a call of a
            subprogram it returns what follows `call pc`, such as `+3#bpf_prog_5a6e_inner`; for
            others the function's name. None leaves `+3`, `kernel-function` or `unknown`.
        address_name: asked for every wide load, with its 64-bit number; returns what stands to the
            right of `=`. None leaves what bpftool prints: `map[id:5]`, `map[id:5][0]+4`,
            `map[idx:5]+4`, `subprog[+3]`, `0x2a`.

    Source: kernel/bpf/disasm.c, print_bpf_insn(); tools/bpf/bpftool/xlated_dumper.c.
    """
    texts = _texts()
    slot, count = 0, len(instructions)
    while slot < count:
        instruction = instructions[slot]
        opcode = instruction.opcode
        if opcode == LD_IMM64:
            # A wide load cut off at the end has no upper half.
            upper = instructions[slot + 1].imm if slot + 1 < count else 0
            yield slot, _wide_load(instruction, upper, address_name)
            slot += 2
            continue
        text = texts[opcode]
        yield slot, text(instruction) if text is not None else _call(instruction, call_name)
        slot += 1


def address_text(instruction: Instruction, number: int) -> str:
    """Return what a wide load's number stands for, so that no pseudo source is lost.

    Unlike bpftool's text this keeps map indexes and BTF ids apart from plain numbers:
    `map[idx:2]`, `btf[id:77]`, `btf[id:77,fd:9]`. An `address_name` for
    `disassemble` where the text is to be assembled again.
    """
    if instruction.src == PseudoLoad.MAP_IDX:
        return f"map[idx:{instruction.imm}]"
    if instruction.src == PseudoLoad.BTF_ID:
        descriptor = f",fd:{number >> 32}" if number >> 32 else ""
        return f"btf[id:{instruction.imm & _U32}{descriptor}]"
    return _address(instruction, number)


def _wide_load(instruction: Instruction, upper: int, address_name: AddressName | None) -> str:
    number = (upper & _U32) << 32 | instruction.imm & _U32
    name = address_name(instruction, number) if address_name is not None else None
    if name is None:
        name = _address(instruction, number)
    return f"(18) r{instruction.dst} = {name}"


def _address(instruction: Instruction, number: int) -> str:
    """Return bpftool's text for a wide load's number; it prints both halves as signed numbers."""
    low = instruction.imm
    if instruction.src == PseudoLoad.MAP_FD:
        return f"map[id:{low}]"
    if instruction.src == PseudoLoad.MAP_VALUE:
        return f"map[id:{low}][0]+{_signed_32(number >> 32)}"
    if instruction.src == PseudoLoad.MAP_IDX_VALUE:
        return f"map[idx:{low}]+{_signed_32(number >> 32)}"
    if instruction.src == PseudoLoad.FUNC:
        return f"subprog[{low:+d}]"
    return f"0x{number:x}"


def _signed_32(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _call(instruction: Instruction, call_name: CallName | None) -> str:
    name = helper_names().get(instruction.imm) if instruction.src == PseudoCall.HELPER else None
    if name is None and call_name is not None:
        name = call_name(instruction)
    if instruction.src == PseudoCall.CALL:
        return f"({instruction.opcode:02x}) call pc{name or f'{instruction.imm:+d}'}"
    if name is None:
        name = "kernel-function" if instruction.src == PseudoCall.KFUNC else "unknown"
    return f"({instruction.opcode:02x}) call {name}#{instruction.imm}"


@cache
def _texts() -> tuple[_Text | None, ...]:
    """Return a function for each of the 256 opcodes; None for calls, whose text needs names."""
    makers: dict[int, Callable[[int], _Text | None]] = {
        Class.LD: _load_packet,
        Class.LDX: _load,
        Class.ST: _store_immediate,
        Class.STX: _store,
        Class.ALU: _alu,
        Class.JMP: _jump,
        Class.JMP32: _jump,
        Class.ALU64: _alu,
    }
    return tuple(makers[opcode & CLASS_MASK](opcode) for opcode in range(256))


def _fixed(text: str) -> _Text:
    return lambda _: text


def _alu(opcode: int) -> _Text:
    operation = opcode & OPERATION_MASK
    letter = "w" if opcode & CLASS_MASK == Class.ALU else "r"
    if operation == Alu.END:
        return _end(opcode)
    if operation == Alu.NEG:
        form = f"({opcode:02x}) {letter}%d = -{letter}%d"
        return lambda i: form % (i.dst, i.dst)
    if opcode == Class.ALU64 | Alu.MOV | Source.X:
        return _move_64(opcode)
    if opcode & SOURCE_MASK:
        return _alu_register(opcode, letter)
    return _alu_immediate(opcode, letter)


def _end(opcode: int) -> _Text:
    order = "be" if opcode & SOURCE_MASK else "le"
    if opcode & CLASS_MASK == Class.ALU64:
        order = "bswap"
    form = f"({opcode:02x}) r%d = {order}%d r%d"
    return lambda i: form % (i.dst, i.imm, i.dst)


def _alu_register(opcode: int, letter: str) -> _Text:
    signs = _alu_signs(opcode)
    plain = f"({opcode:02x}) {letter}%d {signs[0]} {letter}%d"
    forms = {offset: f"({opcode:02x}) {letter}%d {sign} {letter}%d" for offset, sign in signs.items()}
    if opcode & OPERATION_MASK == Alu.MOV:
        forms |= {
            bits: f"({opcode:02x}) {letter}%d = {extension}{letter}%d"
            for bits, extension in SIGN_EXTENSIONS.items()
        }
    return lambda i: forms.get(i.offset, plain) % (i.dst, i.src)


def _alu_immediate(opcode: int, letter: str) -> _Text:
    signs = _alu_signs(opcode)
    plain = f"({opcode:02x}) {letter}%d {signs[0]} %d"
    forms = {offset: f"({opcode:02x}) {letter}%d {sign} %d" for offset, sign in signs.items()}
    return lambda i: forms.get(i.offset, plain) % (i.dst, i.imm)


def _alu_signs(opcode: int) -> dict[int, str]:
    """Return an operation's signs by offset field, ready for a format; 0 is the plain one."""
    operation = opcode & OPERATION_MASK
    signs = {0: ALU_SIGNS.get(operation, _NO_NAME)}
    if operation in SIGNED_ALU_SIGNS:
        signs[Offset.SIGNED] = SIGNED_ALU_SIGNS[operation]
    return {offset: sign.replace("%", "%%") for offset, sign in signs.items()}


def _move_64(opcode: int) -> _Text:
    move = _alu_register(opcode, "r")
    per_cpu = f"({opcode:02x}) r%d = &(void __percpu *)(r%d)"
    cast = f"({opcode:02x}) r%d = addr_space_cast(r%d, %d, %d)"

    def text(i: Instruction) -> str:
        if i.offset == Offset.ADDR_SPACE_CAST:
            return cast % (i.dst, i.src, i.imm >> 16 & 0xFFFF, i.imm & 0xFFFF)
        return per_cpu % (i.dst, i.src) if i.offset == Offset.ADDR_PERCPU else move(i)

    return text


def _load_packet(opcode: int) -> _Text:
    mode = opcode & MODE_MASK
    start = f"({opcode:02x}) r0 = *({SIZE_NAMES[opcode & SIZE_MASK]} *)skb"
    if mode == Mode.ABS:
        absolute = start + "[%d]"
        return lambda i: absolute % i.imm
    if mode == Mode.IND:
        indirect = start + "[r%d + %d]"
        return lambda i: indirect % (i.src, i.imm)
    return _fixed(f"BUG_ld_{opcode:02x}")


def _load(opcode: int) -> _Text:
    mode, size = opcode & MODE_MASK, opcode & SIZE_MASK
    if mode not in (Mode.MEM, Mode.MEMSX):
        return _fixed(f"BUG_ldx_{opcode:02x}")
    name = SIZE_NAMES[size] if mode == Mode.MEM else SIGNED_SIZE_NAMES.get(size, _NO_NAME)
    form = f"({opcode:02x}) r%d = *({name} *)(r%d %+d)"
    return lambda i: form % (i.dst, i.src, i.offset)


def _store_immediate(opcode: int) -> _Text:
    mode = opcode & MODE_MASK
    if mode == Mode.NOSPEC:
        return _fixed(f"({opcode:02x}) nospec")
    if mode != Mode.MEM:
        return _fixed(f"BUG_st_{opcode:02x}")
    form = f"({opcode:02x}) *({SIZE_NAMES[opcode & SIZE_MASK]} *)(r%d %+d) = %d"
    return lambda i: form % (i.dst, i.offset, i.imm)


def _store(opcode: int) -> _Text:
    mode = opcode & MODE_MASK
    if mode == Mode.ATOMIC:
        return _atomic(opcode)
    if mode != Mode.MEM:
        return _fixed(f"BUG_{opcode:02x}")
    form = f"({opcode:02x}) *({SIZE_NAMES[opcode & SIZE_MASK]} *)(r%d %+d) = r%d"
    return lambda i: form % (i.dst, i.offset, i.src)


def _atomic(opcode: int) -> _Text:
    forms = _atomic_forms(opcode)
    bug = f"BUG_{opcode:02x}"

    def text(i: Instruction) -> str:
        form = forms.get(i.imm)
        return form % {"dst": i.dst, "src": i.src, "offset": i.offset} if form else bug

    return text


def _atomic_forms(opcode: int) -> dict[int, str]:
    """Return the text of each atomic operation by its immediate."""
    size = SIZE_NAMES[opcode & SIZE_MASK]
    wide = "64" if opcode & SIZE_MASK == Size.DW else ""
    at_dst, at_src = f"({size} *)(r%(dst)d %(offset)+d)", f"({size} *)(r%(src)d %(offset)+d)"
    forms = {operation: f"lock *{at_dst} {ALU_SIGNS[operation]} r%(src)d" for operation in ATOMIC_NAMES}
    for operation, name in ATOMIC_NAMES.items():
        fetch = f"r%(src)d = atomic{wide}_fetch_{name}({at_dst}, r%(src)d)"
        forms[operation | Atomic.FETCH] = fetch
    forms[Atomic.CMPXCHG] = f"r0 = atomic{wide}_cmpxchg({at_dst}, r0, r%(src)d)"
    forms[Atomic.XCHG] = f"r%(src)d = atomic{wide}_xchg({at_dst}, r%(src)d)"
    forms[Atomic.LOAD_ACQ] = f"r%(dst)d = load_acquire({at_src})"
    forms[Atomic.STORE_REL] = f"store_release({at_dst}, r%(src)d)"
    return {operation: f"({opcode:02x}) {form}" for operation, form in forms.items()}


def _jump(opcode: int) -> _Text | None:
    if opcode & OPERATION_MASK == Jump.CALL:
        return None
    if opcode == MAY_GOTO:
        return _kernel_decided_jump(opcode)
    special: dict[int, _Text] = {
        GOTO: lambda i: f"(05) goto pc{i.offset:+d}",
        GOTOL: lambda i: f"(06) gotol pc{i.imm:+d}",
        GOTOX: lambda i: f"(0d) gotox r{i.dst}",
        EXIT: lambda _: "(95) exit",
    }
    return special.get(opcode) or _conditional_jump(opcode)


def _kernel_decided_jump(opcode: int) -> _Text:
    may_goto = f"({opcode:02x}) may_goto pc%+d"
    unknown = _conditional_jump(opcode)
    return lambda i: may_goto % i.offset if i.src == 0 else unknown(i)


def _conditional_jump(opcode: int) -> _Text:
    letter = "w" if opcode & CLASS_MASK == Class.JMP32 else "r"
    # These three have names in the kernel's table too, and show them in opcodes that mean nothing.
    odd = {Jump.JA: "jmp", Jump.CALL: "call", Jump.EXIT: "exit"}
    operation = opcode & OPERATION_MASK
    sign = JUMP_SIGNS.get(operation) or odd.get(operation, _NO_NAME)
    start = f"({opcode:02x}) if {letter}%d {sign} "
    if opcode & SOURCE_MASK:
        register = start + letter + "%d goto pc%+d"
        return lambda i: register % (i.dst, i.src, i.offset)
    immediate = start + "0x%x goto pc%+d"
    return lambda i: immediate % (i.dst, i.imm & _U32, i.offset)
