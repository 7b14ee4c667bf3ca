"""What is known at one place of one path: registers and stacks of all functions entered, what is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ebee.checker.arithmetic import cut
from ebee.checker.scalars import UNKNOWN, VAGUE, ZERO, Scalar, constant, of_bytes
from ebee.checker.values import ANYTHING, PACKET_KINDS, Pointer, Value, somewhere
from ebee.record import NamedTuple

STACK_BYTES = 512
_UNSET = "--------"
_ANY = "????????"

Trail = tuple["Trail | None", int, tuple[tuple[int, "Value | None"], ...]]
"""The path so far, last step first: the path before it, its slot, the registers that it changed."""


Seen = tuple["Seen | None", "State"]


class Slot(NamedTuple):
    """Eight bytes of the stack.

    Attributes:
        value: a register laid there, in the low `size` bytes; None for none.
        bytes: what each byte is: `s` part of the register, `0` zero, `m` set, `-` never set, `?` not
            known, not even whether it belongs to a pointer.
    """

    value: Value | None = None
    size: int = 0
    bytes: str = _UNSET


_NEVER_SET = Slot()
NOT_KNOWN = Slot(None, 0, _ANY)


class Frame:
    """A function that was entered."""

    __slots__ = ("begin", "caller", "in_callback", "registers", "stack")

    def __init__(
        self,
        registers: list[Value | None],
        stack: dict[int, Slot],
        *,
        caller: int,
        begin: int,
        in_callback: bool = False,
    ) -> None:
        self.registers = registers
        self.stack = stack
        self.caller = caller
        self.begin = begin
        self.in_callback = in_callback

    def copy(self) -> Frame:
        return Frame(
            self.registers.copy(),
            self.stack.copy(),
            caller=self.caller,
            begin=self.begin,
            in_callback=self.in_callback,
        )

    # -- the stack -------------------------------------------------------------------------------
    def read(self, offset: int, size: int) -> Value | None:
        """Return what bytes of the stack hold, at an offset from r10; None where one was never set."""
        slot = self.stack.get(offset >> 3, _NEVER_SET)
        at = offset & 7
        if at == 0 and slot.value is not None and size <= slot.size:
            if size == slot.size == 8:
                return slot.value
            return cut(slot.value, size) if isinstance(slot.value, Scalar) else of_bytes(size)
        if at + size > 8:
            return ANYTHING
        kinds = slot.bytes[at : at + size]
        if "?" in kinds:
            return ANYTHING
        if "-" in kinds:
            return None
        if kinds == "0" * size:
            return ZERO
        if isinstance(slot.value, Scalar) and not slot.value.mask and at + size <= slot.size:
            return constant(slot.value.value >> 8 * at & ((1 << 8 * size) - 1))
        return of_bytes(size)

    def holds_pointer(self, offset: int) -> bool:
        """Return whether a byte of the stack belongs to a pointer that was laid there."""
        slot = self.stack.get(offset >> 3)
        return slot is not None and isinstance(slot.value, Pointer)

    def write(self, offset: int, size: int, value: Value) -> None:
        """Set bytes of the stack."""
        place, at = offset >> 3, offset & 7
        old = self.stack.get(place, _NEVER_SET)
        if size == 8 and at == 0:
            self.stack[place] = NOT_KNOWN if value is ANYTHING else Slot(value, 8, "ssssssss")
            return
        kept_value, kept_size, kinds = _broken(old, at, size)
        if at == 0 and isinstance(value, Scalar):
            self.stack[place] = Slot(cut(value, size), size, "s" * size + kinds[size:])
            return
        mark = _mark(value)
        self.stack[place] = Slot(kept_value, kept_size, kinds[:at] + mark * size + kinds[at + size :])

    def fill(self, offset: int, size: int, mark: str = "m") -> None:
        """Let bytes hold what somebody else wrote; `?` where not even that is certain."""
        end = offset + size
        while offset < end:
            place, at = offset >> 3, offset & 7
            count = min(8 - at, end - offset)
            value, kept, kinds = _broken(self.stack.get(place, _NEVER_SET), at, count)
            self.stack[place] = Slot(value, kept, kinds[:at] + mark * count + kinds[at + count :])
            offset += count

    def unset(self, offset: int, size: int) -> int | None:
        """Return the first of some bytes that was never set, counted from the first."""
        for index in range(size):
            slot = self.stack.get((offset + index) >> 3, _NEVER_SET)
            if slot.bytes[(offset + index) & 7] == "-":
                return index
        return None


def _mark(value: Value) -> str:
    if value is ANYTHING or (isinstance(value, Scalar) and value.vague):
        return "?"
    return "0" if isinstance(value, Scalar) and not value.mask and not value.value else "m"


def _broken(slot: Slot, at: int, size: int) -> tuple[Value | None, int, str]:
    """Return what stays of a slot when some of its bytes are written over."""
    if slot.value is None or slot.size <= at:
        return slot.value, slot.size, slot.bytes
    return None, 0, slot.bytes.replace("s", _mark(slot.value))


class State:
    """All of it.

    Attributes:
        references: what must be given back, by id: the slot of the call that gave it.
        lock: the id of what holds the lock that is taken; None for none.
        certain: whether the kernel is sure to go this way, too.
        trail: how it came here.
        seen: what was known at the places that it went through to which several ways lead: the last first.
    """

    __slots__ = ("certain", "frames", "lock", "references", "seen", "slot", "trail")

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames
        self.references: dict[int, int] = {}
        self.lock: int | None = None
        self.certain = True
        self.slot = 0
        self.trail: Trail | None = None
        self.seen: Seen | None = None

    @property
    def registers(self) -> list[Value | None]:
        return self.frames[-1].registers

    def copy(self) -> State:
        other = State([frame.copy() for frame in self.frames])
        other.references = self.references
        other.lock = self.lock
        other.certain = self.certain
        other.slot = self.slot
        other.trail = self.trail
        other.seen = self.seen
        return other

    # -- all values ------------------------------------------------------------------------------
    def values(self) -> Iterator[Value]:
        """Go through all that registers and stacks hold."""
        for frame in self.frames:
            for value in frame.registers:
                if value is not None:
                    yield value
            for slot in frame.stack.values():
                if slot.value is not None:
                    yield slot.value

    def replace(self, change: Callable[[Value], Value]) -> None:
        """Change values wherever they are; `change` gives the same object for what stays."""
        for frame in self.frames:
            for number, value in enumerate(frame.registers):
                if value is not None and (other := change(value)) is not value:
                    frame.registers[number] = other
            for place, slot in list(frame.stack.items()):
                if slot.value is not None and (other := change(slot.value)) is not slot.value:
                    frame.stack[place] = slot._replace(value=other)

    def forget_packets(self) -> None:
        """The packet may have moved: what pointed into it is a mere number."""
        self.replace(
            lambda value: UNKNOWN if isinstance(value, Pointer) and value.kind in PACKET_KINDS else value
        )

    def forget_stacks(self) -> None:
        """Somebody wrote who knows where."""
        for frame in self.frames:
            frame.fill(-STACK_BYTES, STACK_BYTES, "?")

    def release(self, reference: int, left: Value) -> None:
        """Something was given back: what pointed at it is another value from now on."""
        self.references = {id: slot for id, slot in self.references.items() if id != reference}
        self.replace(
            lambda value: left if isinstance(value, Pointer) and value.reference == reference else value
        )

    # -- comparing -------------------------------------------------------------------------------
    def covers(self, other: State, live: int, *, loosely: bool) -> bool:
        """Whether nothing can be wrong with another state that is not wrong with this.

        Args:
            live: the registers of the last function that are read later, as bits.
            loosely: numbers are not compared; what is overlooked then is overlooked.
        """
        if (
            len(self.frames) != len(other.frames)
            or (self.lock is None) != (other.lock is None)
            or len(self.references) != len(other.references)
            or (other.certain and not self.certain)
        ):
            return False
        last = len(self.frames) - 1
        return all(
            mine.caller == theirs.caller
            and _frame_covers(mine, theirs, live if index == last else 0x7C0, loosely=loosely)
            for index, (mine, theirs) in enumerate(zip(self.frames, other.frames, strict=True))
        )

    def equals(self, other: State) -> bool:
        """Whether it is the same in everything, and nothing in it is vague."""
        if len(self.frames) != len(other.frames) or self.lock != other.lock:
            return False
        for mine, theirs in zip(self.frames, other.frames, strict=True):
            for value, old in zip(mine.registers, theirs.registers, strict=True):
                if value is not old and not _same(value, old):
                    return False
            if mine.caller != theirs.caller or mine.stack.keys() != theirs.stack.keys():
                return False
        return (
            self.references == other.references
            and self._is_settled()
            and all(
                _same_slot(slot, theirs.stack[place])
                for mine, theirs in zip(self.frames, other.frames, strict=True)
                for place, slot in mine.stack.items()
            )
        )

    def _is_settled(self) -> bool:
        """Whether the kernel knows no more than is known here."""
        return not any(
            value is ANYTHING or (isinstance(value, Scalar) and value.vague)
            for frame in self.frames
            for value in frame.registers
        )

    def widen(self, earlier: State) -> None:
        """Forget what changed since an earlier visit of the same place."""
        for mine, theirs in zip(self.frames, earlier.frames, strict=True):
            for number, value in enumerate(mine.registers):
                mine.registers[number] = _widened(value, theirs.registers[number])
            for place in mine.stack.keys() | theirs.stack.keys():
                slot, old = mine.stack.get(place, _NEVER_SET), theirs.stack.get(place, _NEVER_SET)
                if not _same_slot(slot, old):
                    mine.stack[place] = NOT_KNOWN


def _frame_covers(mine: Frame, theirs: Frame, live: int, *, loosely: bool) -> bool:
    for number in range(10):
        if live >> number & 1 and not _covers(
            mine.registers[number], theirs.registers[number], loosely=loosely
        ):
            return False
    for place, slot in mine.stack.items():
        other = theirs.stack.get(place)
        if other is slot:
            continue
        if slot.value is None and other is not None and "?" not in slot.bytes and other.value is None:
            continue
        if other is None or not _covers(slot.value, other.value, loosely=loosely):
            return False
    return True


def _covers(mine: Value | None, theirs: Value | None, *, loosely: bool) -> bool:
    if mine is theirs or mine is None:
        # Whatever was fine without a value is fine with one.
        return True
    if isinstance(mine, Scalar):
        return isinstance(theirs, Scalar) and (loosely or mine.covers(theirs))
    return isinstance(theirs, Pointer) and mine.covers(theirs)


def _same(mine: Value | None, theirs: Value | None) -> bool:
    if mine is theirs:
        return mine is not ANYTHING and not (isinstance(mine, Scalar) and mine.vague)
    if isinstance(mine, Scalar) and isinstance(theirs, Scalar):
        return mine.bounds == theirs.bounds and not mine.vague and not theirs.vague
    return (
        isinstance(mine, Pointer)
        and isinstance(theirs, Pointer)
        and mine.covers(theirs)
        and theirs.covers(mine)
        and mine.kind != ANYTHING.kind
        and mine.id == theirs.id
    )


def _same_slot(mine: Slot, theirs: Slot) -> bool:
    return mine is theirs or (
        mine.bytes == theirs.bytes and "?" not in mine.bytes and _same(mine.value, theirs.value)
    )


def _widened(value: Value | None, earlier: Value | None) -> Value | None:
    if value is earlier or _same(value, earlier):
        return value
    if isinstance(value, Scalar) and isinstance(earlier, Scalar):
        return VAGUE
    if isinstance(value, Pointer) and isinstance(earlier, Pointer) and value.is_like(earlier):
        return somewhere(value)
    return ANYTHING
