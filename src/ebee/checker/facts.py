"""What the checker must know besides the code, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ebee.abi.bpf import AttachType, MapType, ProgType
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ebee.asm.instruction import Instruction
else:
    Protocol = object


class SourceLine(Protocol):
    """A line of the user's: `ebee.vm.code.Place` is one."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def text(self) -> str: ...


class Checkable(Protocol):
    """A program that can be checked: `ebee.vm.code.Code` is one. Its attributes are described there."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> ProgType: ...
    @property
    def instructions(self) -> Sequence[Instruction]: ...
    @property
    def expected_attach_type(self) -> AttachType | int: ...
    @property
    def license(self) -> str: ...
    @property
    def places(self) -> Sequence[tuple[int, SourceLine]]: ...
    @property
    def functions(self) -> Mapping[int, str]: ...
    @property
    def kernel_functions(self) -> Mapping[int, str]: ...


class MapFacts(NamedTuple):
    """A map that the program names.

    Attributes:
        flags: as it was created with: BPF_F_RDONLY_PROG and its like.
        values_address: where its first value lies, for wide loads of addresses of values; 0 for none.
        contents: what its one value holds for good: of frozen read-only data. None where it may change.
        lock_offset: where a value has its struct bpf_spin_lock; None where it has none.
        kernel_pointers: offsets at which values hold pointers of the kernel's; None where it is not
            known, and any eight bytes of a value may be one.
        inner: what the maps in a map of maps look like.
    """

    name: str
    type: MapType
    key_size_bytes: int
    value_size_bytes: int
    max_entries: int = 0
    flags: int = 0
    values_address: int = 0
    contents: bytes | None = None
    lock_offset: int | None = None
    kernel_pointers: Collection[int] | None = None
    inner: MapFacts | None = None


class CheckFacts(NamedTuple):
    """What the kernel knows of a program that is loaded, besides its code.

    Attributes:
        maps: by the address at which wide loads name them.
        functions: the slot at which a function begins, by the address that wide loads name it by.
        flags: of BPF_PROG_LOAD: BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT.
        unset_stack: whether bytes of the stack may be read that were never set, as kernels since 6.3
            let whoever may trace.
        missing_helpers: numbers of helpers that this kernel does not have at all.
    """

    maps: Mapping[int, MapFacts] = {}
    functions: Mapping[int, int] = {}
    flags: int = 0
    unset_stack: bool = True
    missing_helpers: Collection[int] = ()


class Refused(NamedTuple):
    """The answer to a program that must not run.

    Attributes:
        errno: positive, as BPF_PROG_LOAD of the kernel answers.
        log: in the shape and the words of the verifier's log at level 1.
    """

    errno: int
    log: str
