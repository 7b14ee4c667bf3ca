"""ObjectSpec -> the same programs, which also note what they see.

Each program becomes three: one that begins an event, calls the user's program as a function, and
sends the event; the user's program, whose calls of helpers that read the outside world are aimed at
the recorder's functions; and those functions, with maps of this program's own. Calls are changed where
they stand; only `loads` puts instructions between others.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from ebee.abi.bpf import ProgType
from ebee.abi.helpers import name_of
from ebee.asm import Instruction
from ebee.btf import Kind
from ebee.btf import decode as decode_btf
from ebee.btf.encode import encode
from ebee.btf.ext import LineInfo
from ebee.btf.types import FuncLinkage, Type
from ebee.errors import SpecError
from ebee.record import NamedTuple
from ebee.recording.hooks import HookFacts
from ebee.spec import Function, MapReference, MapSpec, ObjectSpec, Pinning, ProgramSpec
from ebee.spec.programs import FunctionReference, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

EVENTS: Final = "ebee.events"
"""The ring buffer that events come out of."""
LOST: Final = "ebee.lost"
"""The per-CPU counter of those that found no room in it."""
_PREFIX = "ebee_"
_CALL = 0x85
_PSEUDO_CALL = 1
_MOVE = 0xBF
_EXIT = 0x95
# struct facts in recorder.bpf.c.
_FACTS = struct.Struct("=IIII4IQQII16s")


class Filter(NamedTuple):
    """Which tasks' events are recorded.

    Attributes:
        namespace: device and inode of the pid namespace that ids are of.
        skipped_tgid: a process that is left out; 0 for none.
        pid: the one thread or process whose events are taken; 0 for all.
        comm: the one task name whose events are taken; empty for all.
    """

    namespace: tuple[int, int] = (0, 0)
    skipped_tgid: int = 0
    pid: int = 0
    comm: bytes = b""


def scratch_name(index: int) -> str:
    """Return the map in which a program's events grow."""
    return f"ebee.scratch@{index}"


def _data_name(index: int) -> str:
    return f"ebee.rodata@{index}"


def instrument(
    spec: ObjectSpec,
    hooks: Sequence[tuple[ProgramSpec, HookFacts]],
    wanted: Filter | None = None,
    *,
    loads: bool = True,
) -> ObjectSpec:
    """Return an object whose programs do as before and record what they see.

    Args:
        spec: the user's; it is not changed.
        hooks: the programs to record, whose place here is their number in events.
        wanted: whose events are recorded; by default everybody's.
        loads: whether direct loads of typed programs are recorded.

    Raises:
        SpecError: the object reaches a program by tail calls from several hooks.
        SourceError, ToolError: the recorder's own part could not be compiled.
    """
    recorder = _recorder()
    own_types, types = _with_types(spec, recorder, [program for program, _ in hooks])
    # Nothing is to stay behind, so no map is shared by its name.
    maps = {name: item.replaced(pinning=Pinning.NONE) for name, item in spec.maps.items()}
    result = spec.replaced(programs={}, functions={}, maps=maps, **types)
    result.maps |= _shared_maps(recorder)
    for index, (program, facts) in enumerate(hooks):
        # Programs with typed arguments follow their pointers without a helper.
        main = program.function.name if loads and program.type is ProgType.TRACING else ""
        copies = _Copies(spec, recorder, own_types, index, main)
        result.maps |= copies.maps(_facts(index, facts, wanted or Filter()))
        result.functions |= copies.functions()
        begin = copies.entry(program)
        result.functions[begin.name] = begin
        result.programs[program.name] = program.replaced(function=begin)
    for program in _reached_by_tail_calls(spec, hooks):
        body = result.functions[_copy_name(program.function.name, 0)]
        result.programs[program.name] = program.replaced(function=body)
    return result


@cache
def _recorder() -> ObjectSpec:
    from ebee.clang import compile_c
    from ebee.objfile import read_object

    path = os.path.join(os.path.dirname(__file__), "recorder.bpf.c")
    return read_object(compile_c(path).data, path)


def _shared_maps(recorder: ObjectSpec) -> dict[str, MapSpec]:
    """Return the maps that all programs of an object use; their types are not the object's."""
    events = recorder.maps["events"].replaced(name=EVENTS, kernel_name="ebee_events")
    lost = recorder.maps["lost"].replaced(name=LOST, kernel_name="ebee_lost", key_type_id=0, value_type_id=0)
    return {EVENTS: events, LOST: lost}


def _facts(index: int, facts: HookFacts, wanted: Filter) -> bytes:
    dynamic = (*facts.dynamic, 0, 0, 0, 0)[:4]
    return _FACTS.pack(
        *(0, index, facts.context_bytes, facts.hidden_bytes),
        *dynamic,
        *wanted.namespace,
        wanted.skipped_tgid,
        wanted.pid,
        wanted.comm[:15],
    )


def _copy_name(name: str, index: int) -> str:
    return f"{name}@{index}"


class _Copies:
    """Copies of all functions, the user's and the recorder's, for one program.

    Args:
        types: of the added functions, by name.
        loading: the function whose direct loads are recorded; empty for none.
    """

    def __init__(
        self,
        spec: ObjectSpec,
        recorder: ObjectSpec,
        types: dict[str, int],
        index: int,
        loading: str,
    ) -> None:
        self._loading = loading
        self._spec = spec
        self._recorder = recorder
        self._types = types
        self._index = index

    def maps(self, facts: bytes) -> dict[str, MapSpec]:
        """Return the maps that this program has for itself."""
        scratch = self._recorder.maps["scratch"].replaced(
            name=scratch_name(self._index), kernel_name="ebee_scratch", key_type_id=0, value_type_id=0
        )
        data = self._recorder.maps[".rodata"].replaced(
            name=_data_name(self._index), kernel_name="ebee.rodata", value_type_id=0, contents=facts
        )
        return {scratch.name: scratch, data.name: data}

    def functions(self) -> dict[str, Function]:
        """Return the functions."""
        own = [self._of_recorder(function) for function in self._recorder.functions.values()]
        users = [self._of_user(function) for function in self._spec.functions.values()]
        return {function.name: function for function in (*own, *users)}

    def entry(self, program: ProgramSpec) -> Function:
        """Return what the kernel calls in a program's place; r6 is free here, for the program is below."""
        function = program.function
        calls = [f"{_PREFIX}begin", function.name, f"{_PREFIX}end"]
        return Function(
            name=_copy_name(f"{program.name}@entry", self._index),
            section=function.section,
            instructions=[
                Instruction(_MOVE, dst=6, src=1),
                Instruction(_CALL, src=_PSEUDO_CALL, imm=-1),
                Instruction(_MOVE, dst=1, src=6),
                Instruction(_CALL, src=_PSEUDO_CALL, imm=-1),
                Instruction(_MOVE, dst=6, src=0),
                Instruction(_CALL, src=_PSEUDO_CALL, imm=-1),
                Instruction(_MOVE, dst=0, src=6),
                Instruction(_EXIT),
            ],
            references=[
                FunctionReference(slot, _copy_name(name, self._index))
                for slot, name in zip((1, 3, 5), calls, strict=True)
            ],
            type_id=function.type_id,
            lines=[line._replace(slot=0) for line in function.lines[:1]],
        )

    def _of_user(self, function: Function) -> Function:
        if function.name == self._loading:
            from ebee.recording.loads import with_loads_recorded

            function = with_loads_recorded(function, f"{_PREFIX}load")
        found = [(slot, name) for slot, name in _reading_calls(function) if name in self._recorder.functions]
        instructions = list(function.instructions)
        for slot, _ in found:
            instructions[slot] = Instruction(_CALL, src=_PSEUDO_CALL, imm=-1)
        calls = [FunctionReference(slot, _copy_name(name, self._index)) for slot, name in found]
        references: list[Reference] = [*map(self._aimed, function.references), *calls]
        return function.replaced(
            name=_copy_name(function.name, self._index),
            instructions=instructions,
            references=sorted(references, key=lambda reference: reference.slot),
            type_id=self._types.get(function.name, function.type_id),
        )

    def _of_recorder(self, function: Function) -> Function:
        return function.replaced(
            name=_copy_name(function.name, self._index),
            references=[self._at_own_map(reference) for reference in function.references],
            type_id=self._types.get(function.name, 0),
            lines=[LineInfo(0, 0, 0, 1, 1)],
        )

    def _aimed(self, reference: Reference) -> Reference:
        if isinstance(reference, FunctionReference):
            return reference._replace(function=_copy_name(reference.function, self._index))
        return reference

    def _at_own_map(self, reference: Reference) -> Reference:
        assert isinstance(reference, MapReference), reference
        names = {"events": EVENTS, "lost": LOST, "scratch": scratch_name(self._index)}
        names[".rodata"] = _data_name(self._index)
        return reference._replace(map_name=names[reference.map_name])


def _reading_calls(function: Function) -> Iterator[tuple[int, str]]:
    """Go through the calls of helpers: the slot, and what the recorder's likeness would be called."""
    for slot, instruction in enumerate(function.instructions):
        if instruction.opcode == _CALL and instruction.src == 0:
            name = name_of(instruction.imm)
            if name is not None:
                yield slot, _PREFIX + name.removeprefix("bpf_")


def _with_types(
    spec: ObjectSpec, recorder: ObjectSpec, programs: Iterable[ProgramSpec]
) -> tuple[dict[str, int], dict[str, object]]:
    """Return types for the added functions by name, and the object's fields that hold all types.

    The user's programs are functions that are called now: static ones, so that the verifier checks
    them with the context that they are given rather than by their prototypes.
    """
    if spec.btf is None:
        return {}, {}
    types = [found for type_id, found in spec.btf if type_id]
    ids: dict[str, int] = {}
    types.append(Type(Kind.FUNC_PROTO))
    prototype = len(types)
    for name in recorder.functions:
        types.append(Type(Kind.FUNC, name, type_id=prototype, linkage=FuncLinkage.STATIC))
        ids[name] = len(types)
    for program in programs:
        if program.function.type_id:
            found = spec.btf.type(program.function.type_id)
            types.append(found._replace(linkage=FuncLinkage.STATIC))
            ids[program.function.name] = len(types)
    data = encode(types, strings=spec.btf.strings, byte_order=spec.btf.byte_order)
    return ids, {"btf": decode_btf(data), "btf_data": data}


def _reached_by_tail_calls(
    spec: ObjectSpec, hooks: Sequence[tuple[ProgramSpec, HookFacts]]
) -> list[ProgramSpec]:
    """Return the programs that program arrays begin with; they go on with the event of their caller."""
    recorded = {program.name for program, _ in hooks}
    names = {name for item in spec.maps.values() for name in item.initial.values()}
    found = [program for name, program in spec.programs.items() if name in names - recorded]
    if found and len(hooks) > 1:
        raise SpecError(
            f"record {found[0].name}: it is reached by tail calls in an object with {len(hooks)} hooks, "
            "expected one, so that it is known whose event it goes on with",
            hint="put the program with its tail calls into a file of its own",
        )
    return found
