"""What BPF_PROG_LOAD is given -> Code of the machine: maps, functions and symbols become addresses."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping
from sys import byteorder

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction, decode, encode
from ebee.asm.opcodes import LD_IMM64, PseudoCall, PseudoLoad
from ebee.kernel.protocol import ProgramLoad
from ebee.kernel.simulated.state import State
from ebee.kernel.simulated.things import BtfThing, MapThing
from ebee.record import Record
from ebee.vm.code import Code, Place
from ebee.vm.faults import Refusal
from ebee.vm.machine import function_address, map_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf

_CALL = 0x85
_MAP_LOADS = (PseudoLoad.MAP_FD, PseudoLoad.MAP_VALUE, PseudoLoad.MAP_IDX, PseudoLoad.MAP_IDX_VALUE)
_WITH_VALUE = (PseudoLoad.MAP_VALUE, PseudoLoad.MAP_IDX_VALUE)
_BY_INDEX = (PseudoLoad.MAP_IDX, PseudoLoad.MAP_IDX_VALUE)
_U32 = 0xFFFFFFFF


class Unfit(Exception):  # noqa: N818  # an answer with an errno and a log, caught inside
    """Instructions name what is not there: the errno, and what the verifier writes into its log."""

    def __init__(self, number: int, log: str) -> None:
        super().__init__(number, log)
        self.errno = number
        self.log = log


class Resolved(Record):
    """A program ready for the machine, and what its loads name.

    Attributes:
        maps: each once, in the order they are named.
        loads: the map that a wide load names, by its slot.
        functions: slots of functions, by the address that loads name them by.
    """

    code: Code
    maps: list[MapThing] = []
    loads: dict[int, MapThing] = {}
    functions: dict[int, int] = {}


def resolve(request: ProgramLoad, state: State, btf: BtfThing | None) -> Resolved:
    """Return a program with every reference filled in.

    Raises:
        Unfit: a load names what is not there.
        Refusal: the program, its types or its lines are damaged.
    """
    instructions = decode(request.instructions, byteorder)
    types = None if btf is None else btf.btf
    found = Resolved(Code(request.name, ProgType(request.type), ()))
    for slot, instruction in enumerate(instructions):
        if instruction.opcode == LD_IMM64 and instruction.src:
            if slot + 1 == len(instructions):
                raise Unfit(errno.EINVAL, "invalid bpf_ld_imm64 insn\n")
            address = _address(request, state, found, slot, instructions[slot : slot + 2])
            low, high = struct.unpack("<ii", struct.pack("<Q", address))
            instructions[slot] = instruction._replace(src=0, imm=low)
            instructions[slot + 1] = instructions[slot + 1]._replace(imm=high)
    found.code = Code(
        request.name,
        ProgType(request.type),
        tuple(instructions),
        expected_attach_type=request.expected_attach_type,
        license=request.license,
        places=() if types is None else list(_places(request, types)),
        functions=_functions(request, types),
        kernel_functions=_kernel_functions(instructions, state),
    )
    return found


def shown_code(instructions: bytes, loads: Mapping[int, MapThing]) -> bytes:
    """Return instructions as the kernel shows them: descriptors of maps are ids.

    Args:
        loads: the map that each wide load names, by its slot.
    """
    shown = decode(instructions, byteorder)
    for slot, item in loads.items():
        src = PseudoLoad.MAP_VALUE if shown[slot].src in _WITH_VALUE else PseudoLoad.MAP_FD
        shown[slot] = shown[slot]._replace(src=src, imm=item.id)
    return encode(shown, byteorder)


def _address(request: ProgramLoad, state: State, found: Resolved, slot: int, load: list[Instruction]) -> int:
    """Return the address that a wide load stands for."""
    first, second = load
    if first.src in _MAP_LOADS:
        item = found.loads[slot] = _map_of(request, state, first)
        if item not in found.maps:
            found.maps.append(item)
        return _map_address(item, first, second.imm & _U32)
    if first.src == PseudoLoad.FUNC:
        target = slot + 1 + first.imm
        found.functions[function_address(target)] = target
        return function_address(target)
    if first.src == PseudoLoad.BTF_ID:
        return _symbol(state, first.imm & _U32)
    raise Unfit(errno.EINVAL, "unrecognized bpf_ld_imm64 insn\n")


def _map_address(item: MapThing, load: Instruction, offset: int) -> int:
    if load.src not in _WITH_VALUE:
        return map_address(item.vm.index)
    if item.request.type != MapType.ARRAY or item.vm.values is None:
        raise Unfit(errno.EINVAL, "no direct value access support for this map type\n")
    if item.request.max_entries != 1 or offset >= item.request.value_size_bytes:
        text = f"value_size={item.request.value_size_bytes} off={offset}"
        raise Unfit(errno.EINVAL, f"invalid access to map value pointer, {text}\n")
    return item.vm.values.address(0, offset)


def _map_of(request: ProgramLoad, state: State, load: Instruction) -> MapThing:
    fd = load.imm
    if load.src in _BY_INDEX:
        if not 0 <= load.imm < len(request.fd_array):
            raise Unfit(errno.EPROTO, "fd_idx without fd_array is invalid\n")
        fd = request.fd_array[load.imm]
    try:
        return state.get(fd, MapThing)
    except Refusal as refusal:
        raise Unfit(refusal.errno, f"fd {fd} is not pointing to valid bpf_map\n") from None


def _symbol(state: State, type_id: int) -> int:
    """Return where a variable or a function of the kernel lies, by its type."""
    types = state.types()
    if types is None or not 0 < type_id < len(types):
        raise Unfit(errno.EINVAL, f"ldimm64 insn specifies invalid btf_id {type_id}.\n")
    name = types.type(type_id).name
    return state.symbols.address(name)


def _places(request: ProgramLoad, types: Btf) -> Iterator[tuple[int, Place]]:
    for slot, file, text, place in _records(request.line_info, request.line_info_record_bytes, "=IIII"):
        name = types.string(file).removeprefix("./")
        yield slot, Place(name, place >> 10, place & 0x3FF, types.string(text))


def _functions(request: ProgramLoad, types: Btf | None) -> dict[int, str]:
    if types is None or not request.func_info:
        return {0: request.name}
    records = _records(request.func_info, request.func_info_record_bytes, "=II")
    return {slot: types.type(type_id).name for slot, type_id in records}


def _kernel_functions(instructions: list[Instruction], state: State) -> dict[int, str]:
    """Return the names of the kernel functions that are called, by the number of the call."""
    numbers = {i.imm for i in instructions if i.opcode == _CALL and i.src == PseudoCall.KFUNC}
    types = state.types() if numbers else None
    if types is None:
        return {number: f"function {number}" for number in numbers}
    return {number: types.type(number).name for number in numbers if 0 < number < len(types)}


def _records(data: bytes, record_bytes: int, layout: str) -> Iterator[tuple[int, ...]]:
    """Go through the head of each record; newer compilers may write longer ones."""
    if record_bytes < struct.calcsize(layout):
        raise Refusal(errno.EINVAL, f"records of {record_bytes} bytes")
    for start in range(0, len(data) - record_bytes + 1, record_bytes):
        yield struct.unpack_from(layout, data, start)
