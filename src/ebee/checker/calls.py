"""Calls of helpers: whether they may be called here, and with these arguments.

Source: kernel/bpf/verifier.c, check_helper_call(), check_func_arg().
"""

from __future__ import annotations

from ebee.abi.bpf import MapType
from ebee.abi.helpers import HELPERS
from ebee.checker.access import check_map_rights, reach_memory, reach_packet, stack_bounds, variable_stack
from ebee.checker.complaint import EACCES, EINVAL, Complaint
from ebee.checker.helpers import allowed, gpl_only, may_sleep
from ebee.checker.operations import FURTHEST
from ebee.checker.prototypes import Prototype, fits, movers, prototypes
from ebee.checker.scalars import UNKNOWN, Scalar, between
from ebee.checker.state import STACK_BYTES, Frame
from ebee.checker.values import ANYTHING, SOCKET_KINDS, Pointer, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.walk import Pairs, Walk

_SLEEPABLE = 1 << 4
_WRITTEN = ("out", "inout", "room")
_WITH_CALLBACKS = ("loop", "for_each_map_elem")
_SPIN_LOCK, _SPIN_UNLOCK = "spin_lock", "spin_unlock"
_MEMORY_WANTED = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"
_MEMORY_KINDS = frozenset({"fp", "pkt", "pkt_meta", "map_key", "map_value", "mem", "ringbuf_mem", "buf"})
_WANTED = {
    "ctx": ("ctx", frozenset({"ctx"})),
    "map": ("map_ptr", frozenset({"map_ptr"})),
    "func": ("func", frozenset({"func"})),
    "alloc": ("ringbuf_mem", frozenset({"ringbuf_mem"})),
    "socket": ("sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_", frozenset(SOCKET_KINDS)),
    "lock": ("map_value, ptr_, percpu_ptr_", frozenset({"map_value"})),
}
_GPL_LICENSES = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)
_LONGEST_ERRNO = 4095


def call_helper(walk: Walk, number: int) -> Pairs:
    """Do a call of a helper; return the registers that it shows.

    Raises:
        Complaint: it may not be called here, or not so.
    """
    state = walk.state
    known = HELPERS.get(number)
    name = None if known is None else known[0]
    if state.lock is not None and name != _SPIN_UNLOCK:
        raise Complaint(EINVAL, "function calls are not allowed while holding a lock")
    if name is None or name == "unspec" or number in walk.facts.missing_helpers:
        shown = "unknown" if name is None else f"bpf_{name}"
        raise Complaint(EINVAL, f"invalid func {shown}#{number}")
    _check_allowed(walk, name, number)
    prototype = prototypes().get(number)
    if prototype is None:
        return _unknown_helper(walk, name)
    call = Call(walk, prototype, number)
    call.check()
    return call.finish()


def _check_allowed(walk: Walk, name: str, number: int) -> None:
    names = allowed(walk.code.type)
    if names is not None and name not in names:
        raise Complaint(EINVAL, f"program of this type cannot use helper bpf_{name}#{number}")
    if name in gpl_only() and walk.code.license not in _GPL_LICENSES:
        raise Complaint(EINVAL, "cannot call GPL-restricted function from non-GPL compatible program")
    if name in may_sleep() and not walk.facts.flags & _SLEEPABLE and walk.code.type.name != "SYSCALL":
        raise Complaint(EINVAL, "helper call might sleep in a non-sleepable prog")


def _unknown_helper(walk: Walk, name: str) -> Pairs:
    """Let a call do whatever it may do."""
    forget_passed(walk)
    if name in movers():
        walk.state.forget_packets()
    clobber(walk, ANYTHING)
    return ()


def forget_passed(walk: Walk) -> None:
    """Whatever the arguments of a call point at may change, and may be given back."""
    for value in walk.registers[1:6]:
        if value is ANYTHING:
            walk.state.forget_stacks()
        elif isinstance(value, Pointer) and value.kind == "fp":
            forget_stack(walk, value)
        if isinstance(value, Pointer) and value.reference:
            walk.state.release(value.reference, ANYTHING)


def forget_stack(walk: Walk, pointer: Pointer) -> None:
    """Let the stack hold anything from an address on."""
    low = max(pointer.low, -STACK_BYTES) & ~7
    walk.state.frames[pointer.frame].fill(low, max(-low, 0), "?")


def clobber(walk: Walk, result: Value | None) -> None:
    """Set r0, and leave the arguments' registers without values."""
    walk.registers[0] = result
    walk.registers[1:6] = [None] * 5


class Call:
    """One call of a helper whose prototype is known.

    Attributes:
        map: the map passed.
        key: where the key lies, for maps whose entries are always there.
        largest: the largest size passed.
    """

    def __init__(self, walk: Walk, prototype: Prototype, number: int) -> None:
        self.walk = walk
        self.prototype = prototype
        self.number = number
        self.map: Pointer | None = None
        self.key: Pointer | None = None
        self.largest: int | None = None
        self.constant = 0
        self.released = 0
        self.function: Pointer | None = None

    # -- arguments -------------------------------------------------------------------------------
    def check(self) -> None:
        """Look at all arguments in order."""
        for register, kind in enumerate(self.prototype.arguments, 1):
            if kind == "?":
                self._not_checked(self.walk.registers[register])
                continue
            value = self.walk.need(register)
            if value is ANYTHING or (isinstance(value, Scalar) and value.vague):
                self._not_known(register, kind)
            elif kind != ".":
                self._argument(register, kind, value)
        if self.map is not None and self.map.map is not None:
            self._check_map(self.map.map.type)

    def _not_checked(self, value: Value | None) -> None:
        if isinstance(value, Pointer) and value.kind == "fp" and self.prototype.name not in _WITH_CALLBACKS:
            forget_stack(self.walk, value)

    def _not_known(self, register: int, kind: str) -> None:
        """Let the helper write where it may write: through an address, or a size, that is not known."""
        if kind.startswith(_WRITTEN):
            self.walk.state.forget_stacks()
        elif kind in ("size", "size0") and self.prototype.arguments[register - 2].startswith(_WRITTEN):
            pointer = self.walk.registers[register - 1]
            if isinstance(pointer, Pointer) and pointer.kind == "fp":
                forget_stack(self.walk, pointer)

    def _argument(self, register: int, kind: str, value: Value) -> None:
        if kind in ("size", "size0"):
            self._size(register, value, zero=kind == "size0")
        elif kind == "const":
            self._constant(register, value)
        elif kind in _WANTED:
            self._typed(register, kind, value)
        else:
            self._memory(register, kind, value)

    def _typed(self, register: int, kind: str, value: Value) -> None:
        wanted, kinds = _WANTED[kind]
        if value.kind not in kinds or value.maybe_null:
            raise _mismatch(register, value, wanted)
        assert isinstance(value, Pointer)
        if kind == "map":
            self.map = value
        elif kind == "func":
            self.function = value
        elif kind == "lock":
            self._lock(register, value)
        elif kind in ("alloc", "socket"):
            self.released = value.reference

    def _memory(self, register: int, kind: str, value: Value) -> None:
        """Check the kind of an address; its size, too, where it is known by now."""
        plain, _, size = kind.partition(":")
        optional = plain.endswith("?")
        if isinstance(value, Scalar) and not value.mask and not value.value and optional:
            return
        if value.kind not in _MEMORY_KINDS or (value.maybe_null and not optional):
            raise _mismatch(register, value, _MEMORY_WANTED)
        assert isinstance(value, Pointer)
        if plain in ("in", "out", "inout", "in?", "out?", "inout?"):
            if size:
                self.touch(register, value, int(size), plain)
            return
        found = self.map.map if self.map is not None else None
        if found is None:
            return
        if plain == "key":
            self.key = value
            self.touch(register, value, found.key_size_bytes, "in")
        elif plain == "value" and found.value_size_bytes:
            self.touch(register, value, found.value_size_bytes, "in")
        elif plain == "room":
            mode = "inout" if found.type is MapType.BLOOM_FILTER else "out"
            self.touch(register, value, found.value_size_bytes, mode)

    def _size(self, register: int, value: Value, *, zero: bool) -> None:
        if not isinstance(value, Scalar):
            raise _mismatch(register, value, "scalar")
        if value.smin < 0:
            raise Complaint(
                EACCES, f"R{register} min value is negative, either use unsigned or 'var &= const'"
            )
        if value.umin == 0 and not zero:
            raise Complaint(EACCES, f"R{register} invalid zero-sized read: u64=[{value.umin},{value.umax}]")
        if value.umax >= FURTHEST:
            raise Complaint(
                EACCES, f"R{register} unbounded memory access, use 'var &= const' or 'if (var < const)'"
            )
        self.largest = value.umax
        pointer = self.walk.registers[register - 1]
        if isinstance(pointer, Pointer) and pointer is not ANYTHING:
            kind = self.prototype.arguments[register - 2]
            self.touch(register - 1, pointer, value.umax, kind)

    def _constant(self, register: int, value: Value) -> None:
        if not isinstance(value, Scalar):
            raise _mismatch(register, value, "scalar")
        if value.mask:
            raise Complaint(EACCES, f"R{register} is not a known constant'")
        self.constant = value.value

    def _check_map(self, type: MapType) -> None:
        if fits(self.prototype.name, type.name):
            return
        if self.prototype.name == "tail_call":
            raise Complaint(EINVAL, "expected prog array map for tail call")
        raise Complaint(
            EINVAL,
            f"cannot pass map_type {int(type)} into func bpf_{self.prototype.name}#{self.number}",
        )

    # -- memory that the helper touches ----------------------------------------------------------
    def touch(self, register: int, pointer: Pointer, size: int, mode: str) -> None:
        """Check bytes that the helper reads or writes, and let those that it writes be anything."""
        writing = mode.startswith(_WRITTEN)
        if pointer.maybe_null:
            return
        if pointer.kind == "fp":
            self._touch_stack(register, pointer, size, mode)
        elif pointer.kind in ("pkt", "pkt_meta"):
            reach_packet(self.walk, register, pointer, 0, size, writing=writing)
        elif pointer.kind == "map_value" and size:
            assert pointer.map is not None
            check_map_rights(pointer, 0, size, writing=writing)
            reach_memory(register, pointer, 0, size, pointer.map.value_size_bytes)
        elif pointer.kind in ("mem", "ringbuf_mem") and size:
            reach_memory(register, pointer, 0, size, pointer.size)

    def _touch_stack(self, register: int, pointer: Pointer, size: int, mode: str) -> None:
        words = "read from" if mode.startswith("in") and not mode.startswith("inout") else "write to"
        frame = self.walk.state.frames[pointer.frame]
        if not size:
            return
        if pointer.variable is not None:
            variable_stack(pointer, register, 0, size, words)
            low = max(pointer.low, -STACK_BYTES)
            high = min(pointer.offset + pointer.variable.smax + size, 0)
            if words == "write to":
                frame.fill(low, max(high - low, 0), "?")
            return
        stack_bounds(register, pointer.offset, size, words)
        self.walk.use_stack(pointer.frame, -pointer.offset)
        if words == "write to":
            frame.fill(pointer.offset, size)
        elif not self.walk.facts.unset_stack:
            first = frame.unset(pointer.offset, size)
            if first is not None:
                raise Complaint(
                    EACCES,
                    f"invalid indirect read from stack R{register} off {pointer.offset}+{first} size {size}",
                )

    # -- locks -----------------------------------------------------------------------------------
    def _lock(self, register: int, value: Pointer) -> None:
        state = self.walk.state
        if value.variable is not None or value.map is None:
            return
        if value.map.lock_offset is None:
            return
        if self.prototype.name == _SPIN_LOCK:
            if state.lock is not None:
                raise Complaint(EINVAL, "Locking two bpf_spin_locks are not allowed")
            state.lock = value.id
        elif state.lock is None:
            raise Complaint(EINVAL, "bpf_spin_unlock without taking a lock")
        else:
            state.lock = None

    # -- the result ------------------------------------------------------------------------------
    def finish(self) -> Pairs:
        """Let the helper have done its work."""
        walk, name = self.walk, self.prototype.name
        if self.released:
            walk.state.release(self.released, UNKNOWN)
        if name in movers():
            walk.state.forget_packets()
        result = self._result()
        if self.function is not None:
            self._enter_callback(self.function)
        clobber(walk, result)
        return () if result is None else ((0, result),)

    def _result(self) -> Value | None:
        kind = self.prototype.result
        if kind == "int":
            return UNKNOWN
        if kind == "bounded":
            return between(-_LONGEST_ERRNO, self.largest) if self.largest is not None else ANYTHING
        if kind in ("value", "value?"):
            return self._map_value(kind)
        if kind == "record?":
            return self._referenced("ringbuf_mem", self.constant)
        if kind in ("sock?", "sock_common?"):
            return self._referenced(kind.removesuffix("?"), 0)
        return ANYTHING if kind == "?" else None

    def _referenced(self, kind: str, size: int) -> Pointer:
        walk = self.walk
        walk.new_id()  # the kernel takes one for the result, too
        id = walk.new_id()
        walk.state.references = walk.state.references | {id: walk.state.slot}
        return Pointer(kind, maybe_null=True, id=id, reference=id, size=size)

    def _map_value(self, kind: str) -> Value:
        found = self.map.map if self.map is not None else None
        if found is None:
            return ANYTHING
        if found.type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
            if found.inner is None:
                return ANYTHING
            return Pointer("map_ptr", map=found.inner, maybe_null=True, id=self.walk.new_id())
        if found.type in (MapType.SOCKMAP, MapType.SOCKHASH, MapType.XSKMAP):
            return ANYTHING
        there = kind == "value" or self._always_there()
        if there is None:
            return ANYTHING
        return Pointer("map_value", map=found, maybe_null=not there, id=self.walk.new_id())

    def _always_there(self) -> bool | None:
        """Whether an array has an entry of this key for certain, as kernels since 6.15 know."""
        assert self.map is not None
        assert self.map.map is not None
        found = self.map.map
        if (
            found.type not in (MapType.ARRAY, MapType.PERCPU_ARRAY)
            or self.prototype.name != "map_lookup_elem"
        ):
            return False
        if self.key is None or (self.key.variable is not None and self.key.variable.vague):
            return None
        if self.key.kind != "fp" or self.key.variable is not None:
            return False
        frame = self.walk.state.frames[self.key.frame]
        key = frame.read(self.key.offset, found.key_size_bytes)
        if key is ANYTHING or (isinstance(key, Scalar) and key.vague):
            return None
        if isinstance(key, Scalar) and not key.mask:
            return not found.max_entries or key.value < found.max_entries
        return False

    # -- callbacks -------------------------------------------------------------------------------
    def _enter_callback(self, function: Pointer) -> None:
        """Follow the callback once, beside the way on which it is never called."""
        walk = self.walk
        arguments = self._callback_arguments()
        if arguments is None or len(walk.state.frames) >= walk.MOST_FRAMES:
            return
        other = walk.state.copy()
        registers: list[Value | None] = [None] * 11
        registers[1:6] = arguments
        registers[10] = Pointer("fp", frame=len(other.frames))
        other.frames.append(
            Frame(registers, {}, caller=walk.state.slot, begin=function.frame, in_callback=True)
        )
        other.slot = function.frame
        other.trail = (other.trail, walk.state.slot, ())
        walk.waiting.append(other)

    def _callback_arguments(self) -> list[Value | None] | None:
        registers = self.walk.registers
        if self.prototype.name == "loop":
            if isinstance(registers[1], Scalar) and registers[1].umax == 0:
                return None
            return [UNKNOWN, registers[3], None, None, None]
        found = self.map.map if self.map is not None else None
        if self.prototype.name == "for_each_map_elem" and found is not None:
            key = Pointer("map_key", map=found)
            return [self.map, key, Pointer("map_value", map=found, id=self.walk.new_id()), registers[3], None]
        return None


def _mismatch(register: int, value: Value, wanted: str) -> Complaint:
    name = "scalar" if isinstance(value, Scalar) else value.name
    return Complaint(EACCES, f"R{register} type={name} expected={wanted}")
