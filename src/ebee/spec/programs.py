"""Code before it is loaded: functions with open references, and programs that begin at one."""

from __future__ import annotations

from ebee.abi.bpf import AttachType, ProgType
from ebee.asm import Instruction
from ebee.btf.ext import CoreRelocation, LineInfo
from ebee.record import NamedTuple, Record
from ebee.spec.attach import AttachPoint


class MapReference(NamedTuple):
    """A wide load in `slot` names a map: itself, or a place in its value.

    Attributes:
        offset: None for the map itself, else a byte offset into a data section's value.
    """

    slot: int
    map_name: str
    offset: int | None = None


class FunctionReference(NamedTuple):
    """The instruction in `slot` calls a function (`is_call`), or a wide load there takes its address."""

    slot: int
    function: str
    is_call: bool = True


class ExternReference(NamedTuple):
    """The instruction in `slot` names what the object has not: a kernel's function or variable.

    Attributes:
        weak: it may be missing.
        is_ksym: declared `__ksym`; otherwise another object is to define it.
        typeless: declared as `void`: the symbol's address is asked for, not a typed variable.
    """

    slot: int
    name: str
    is_call: bool
    weak: bool = False
    is_ksym: bool = True
    typeless: bool = False


Reference = MapReference | FunctionReference | ExternReference


class Function(Record):
    """One function of an object, with references still open.

    Attributes:
        name: unique in its object.
        section: the ELF section it stands in.
        instructions: one per 8-byte slot; a wide load takes two.
        references: what must be filled in before the kernel takes it.
        type_id: its FUNC in the object's BTF, 0 where there is none.
        lines: which C line each stretch of instructions comes from; slots count from the
            function's own first instruction.
        core_relocations: CO-RE relocations, slots likewise.
        is_static: visible in its own file only.
    """

    name: str
    section: str
    instructions: list[Instruction]
    references: list[Reference] = []
    type_id: int = 0
    lines: list[LineInfo] = []
    core_relocations: list[CoreRelocation] = []
    is_static: bool = False


class ProgramSpec(Record):
    """A program before it is loaded.

    Attributes:
        name: the C function's name.
        section: the ELF section's name, as written in SEC().
        type: the kernel's program type.
        function: the function it begins at.
        expected_attach_type: 0 where the type has only one place to attach to.
        attach_type_optional: kernels that do not know the attach type load it without.
        flags: BPF_F_* of BPF_PROG_LOAD (sleepable, xdp frags).
        attach_target: the kernel type that must be found before loading, such as `sched_switch` of
            tp_btf/sched_switch; empty where there is none.
        auto_attach: where it goes by itself, from its section's name; None where it must be told.
        autoload: False for a section that begins with `?`.
    """

    name: str
    section: str
    type: ProgType
    function: Function
    expected_attach_type: AttachType | int = 0
    attach_type_optional: bool = False
    flags: int = 0
    attach_target: str = ""
    auto_attach: AttachPoint | None = None
    autoload: bool = True
