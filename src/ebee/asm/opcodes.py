"""The numbers that an eBPF instruction is made of, in plain integers, and the signs they are written with.

An opcode's low three bits are its class. For arithmetic and jumps the upper four are the operation and
the fourth bit says where the second operand comes from; for loads and stores two bits are the size
and three the mode.

Names are the kernel's without their BPF_ prefix: `Class.ALU64` is BPF_ALU64.

Source: Documentation/bpf/standardization/instruction-set.rst, include/uapi/linux/bpf.h.
"""

from __future__ import annotations

CLASS_MASK = 0x07
SIZE_MASK = 0x18
MODE_MASK = 0xE0
SOURCE_MASK = 0x08
OPERATION_MASK = 0xF0


class Class:
    """What sort of instruction it is (BPF_LD and so on)."""

    LD = 0x00
    LDX = 0x01
    ST = 0x02
    STX = 0x03
    ALU = 0x04
    JMP = 0x05
    JMP32 = 0x06
    ALU64 = 0x07


class Size:
    """How much memory a load or store touches (BPF_W and so on): 4, 2, 1 or 8 bytes."""

    W = 0x00
    H = 0x08
    B = 0x10
    DW = 0x18


class Mode:
    """How a load or store finds its memory (BPF_IMM and so on).

    MEMSX sign-extends and came with instruction set v4 (kernel 6.6). ATOMIC was called XADD before
    5.12. NOSPEC is a speculation barrier that only the kernel itself puts into programs.
    """

    IMM = 0x00
    ABS = 0x20
    IND = 0x40
    MEM = 0x60
    MEMSX = 0x80
    ATOMIC = 0xC0
    NOSPEC = 0xC0


class Source:
    """Where the second operand comes from: BPF_K, the immediate; BPF_X, the source register."""

    K = 0x00
    X = 0x08


class Alu:
    """Arithmetic operations of the classes ALU and ALU64 (BPF_ADD and so on)."""

    ADD = 0x00
    SUB = 0x10
    MUL = 0x20
    DIV = 0x30
    OR = 0x40
    AND = 0x50
    LSH = 0x60
    RSH = 0x70
    NEG = 0x80
    MOD = 0x90
    XOR = 0xA0
    MOV = 0xB0
    ARSH = 0xC0
    END = 0xD0


class Jump:
    """Jump operations of the classes JMP and JMP32 (BPF_JA and so on).

    JCOND, the kernel-decided jumps such as may_goto, came with kernel 6.9.
    """

    JA = 0x00
    JEQ = 0x10
    JGT = 0x20
    JGE = 0x30
    JSET = 0x40
    JNE = 0x50
    JSGT = 0x60
    JSGE = 0x70
    CALL = 0x80
    EXIT = 0x90
    JLT = 0xA0
    JLE = 0xB0
    JSLT = 0xC0
    JSLE = 0xD0
    JCOND = 0xE0


class Endian:
    """To which byte order Alu.END in class ALU converts: BPF_TO_LE, BPF_TO_BE (the source bit)."""

    LE = 0x00
    BE = 0x08


class Atomic:
    """What an atomic store does, in its immediate (BPF_FETCH and so on).

    ADD, OR, AND and XOR are those of `Alu`; FETCH added to one returns the old value. LOAD_ACQ and
    STORE_REL came with kernel 6.15.
    """

    ADD = 0x00
    OR = 0x40
    AND = 0x50
    XOR = 0xA0
    FETCH = 0x01
    XCHG = 0xE1
    CMPXCHG = 0xF1
    LOAD_ACQ = 0x100
    STORE_REL = 0x110


class PseudoLoad:
    """What a wide load's number stands for, in its source register (BPF_PSEUDO_MAP_FD and so on).

    NONE is the number itself. The second slot's immediate is the offset into the value for
    MAP_VALUE and MAP_IDX_VALUE, and the file descriptor of the module's BTF for BTF_ID.
    """

    NONE = 0
    MAP_FD = 1
    MAP_VALUE = 2
    BTF_ID = 3
    FUNC = 4
    MAP_IDX = 5
    MAP_IDX_VALUE = 6


class PseudoCall:
    """What a call's number stands for, in its source register.

    HELPER: a helper's id. CALL (BPF_PSEUDO_CALL): slots from the next instruction to a subprogram.
    KFUNC (BPF_PSEUDO_KFUNC_CALL): the BTF id of a kernel function.
    """

    HELPER = 0
    CALL = 1
    KFUNC = 2


class Offset:
    """Meanings that an offset field has where it is not an offset.

    SIGNED makes a DIV or MOD signed and ADDR_SPACE_CAST makes a 64-bit register MOV a cast between
    address spaces. ADDR_PERCPU is the kernel's own, never loaded by a user. A register MOV with 8,
    16 or 32 extends the sign from that many bits.
    """

    SIGNED = 1
    ADDR_SPACE_CAST = 1
    ADDR_PERCPU = -1


# Whole opcodes that loaders look for.
LD_IMM64 = Class.LD | Mode.IMM | Size.DW
CALL = Class.JMP | Jump.CALL
CALLX = Class.JMP | Jump.CALL | Source.X
EXIT = Class.JMP | Jump.EXIT
GOTO = Class.JMP | Jump.JA
GOTOL = Class.JMP32 | Jump.JA
GOTOX = Class.JMP | Jump.JA | Source.X
MAY_GOTO = Class.JMP | Jump.JCOND
NOSPEC = Class.ST | Mode.NOSPEC

FRAME_POINTER = 10
# The kernel's scratch register: BPF_REG_AX stands in programs it has hardened, never in a user's.
LAST_REGISTER = 11

ALU_SIGNS = {
    Alu.ADD: "+=",
    Alu.SUB: "-=",
    Alu.MUL: "*=",
    Alu.DIV: "/=",
    Alu.OR: "|=",
    Alu.AND: "&=",
    Alu.LSH: "<<=",
    Alu.RSH: ">>=",
    Alu.MOD: "%=",
    Alu.XOR: "^=",
    Alu.MOV: "=",
    Alu.ARSH: "s>>=",
}
SIGNED_ALU_SIGNS = {Alu.DIV: "s/=", Alu.MOD: "s%="}
JUMP_SIGNS = {
    Jump.JEQ: "==",
    Jump.JGT: ">",
    Jump.JGE: ">=",
    Jump.JSET: "&",
    Jump.JNE: "!=",
    Jump.JSGT: "s>",
    Jump.JSGE: "s>=",
    Jump.JLT: "<",
    Jump.JLE: "<=",
    Jump.JSLT: "s<",
    Jump.JSLE: "s<=",
}
SIZE_NAMES = {Size.W: "u32", Size.H: "u16", Size.B: "u8", Size.DW: "u64"}
SIGNED_SIZE_NAMES = {Size.W: "s32", Size.H: "s16", Size.B: "s8"}
ATOMIC_NAMES = {Atomic.ADD: "add", Atomic.OR: "or", Atomic.AND: "and", Atomic.XOR: "xor"}
SIGN_EXTENSIONS = {8: "(s8)", 16: "(s16)", 32: "(s32)"}
