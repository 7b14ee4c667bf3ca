"""All ways through a program, one after the other, as the verifier goes them.

Each way carries what the verifier would know on it. Where more is not known here, a value is `anything`,
or a number is vague; a way that such a value decides on may be one that the verifier knows to be
dead, and what is found there is no reason to refuse (`State.certain`).

The work is bounded: a place is looked at with a few different states only, loops are gone round so often
and then with all that changes in them forgotten, and after a number of steps in proportion to the
program's length all that is left is taken to be right.

Source: kernel/bpf/verifier.c, do_check().
"""

from __future__ import annotations

from collections.abc import Callable

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import CALL, EXIT, GOTO, GOTOL, LD_IMM64, MAY_GOTO, Class, PseudoCall
from ebee.checker.access import load, store
from ebee.checker.branches import branch
from ebee.checker.calls import call_helper, clobber, forget_passed
from ebee.checker.complaint import E2BIG, EACCES, EINVAL, Complaint
from ebee.checker.contexts import layout_of
from ebee.checker.endings import check_end
from ebee.checker.facts import CheckFacts, MapFacts
from ebee.checker.operations import operate
from ebee.checker.scalars import M32, Scalar, constant, of_bytes
from ebee.checker.state import Frame, State, Trail
from ebee.checker.structure import Shape
from ebee.checker.values import ANYTHING, Pointer, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.facts import Checkable

Pairs = tuple[tuple[int, Value | None], ...]

_STEPS_PER_INSTRUCTION, _STEPS_AT_LEAST, _STEPS_AT_MOST = 8, 8_000, 250_000
_REMEMBERED, _VISITS, _LONGEST_LOOK_BACK, _COMPARED = 6, 48, 48, 2
# Addresses that look like the kernel's: see vm.memory.
_REGION_SHIFT, _KERNEL_REGIONS = 52, 0xF00
_STRICT_ALIGNMENT = 1 << 0
_LEGACY = frozenset({"SOCKET_FILTER", "SCHED_CLS", "SCHED_ACT"})

# Whether the fields of jumps that have no use for them are left empty.
_USES: dict[int, Callable[[Instruction], bool]] = {
    CALL: lambda i: not i.dst and i.src <= PseudoCall.KFUNC and (not i.offset or i.src == PseudoCall.KFUNC),
    EXIT: lambda i: not (i.dst or i.src or i.imm),
    GOTO: lambda i: not (i.dst or i.src or i.imm),
    GOTOL: lambda i: not (i.dst or i.src or i.offset),
}


class Place:
    """A place that several ways lead to: the states in which it was met, and how often that was."""

    __slots__ = ("states", "visits")

    def __init__(self) -> None:
        self.states: list[State] = []
        self.visits = 0


class Walk:
    """The way through one program.

    Attributes:
        state: what is known at the instruction that is looked at.
        waiting: states that are to be followed, the next one last.
        stack_bytes: how much of the stack functions use, by where they begin.
        chains: functions that were called one by the other, by where they begin.
    """

    MOST_FRAMES = 8

    def __init__(self, code: Checkable, facts: CheckFacts, shape: Shape) -> None:
        self.code = code
        self.facts = facts
        self.shape = shape
        self.layout = layout_of(code.type)
        self.strict_alignment = bool(facts.flags & _STRICT_ALIGNMENT)
        self.steps = 0
        self.budget = min(_STEPS_AT_LEAST + _STEPS_PER_INSTRUCTION * len(shape.code), _STEPS_AT_MOST)
        self.waiting: list[State] = []
        self.stack_bytes: dict[int, int] = {}
        self.chains: set[tuple[int, ...]] = set()
        self._ids = 0
        self._places: dict[int, Place] = {}
        self._values = [
            (item.values_address, item.values_address + item.value_size_bytes, item)
            for item in facts.maps.values()
            if item.values_address
        ]
        self._may_progress_unseen = any(
            instruction.opcode == MAY_GOTO
            or (instruction.opcode == CALL and instruction.src == PseudoCall.KFUNC)
            for instruction in shape.code
        )
        self.state = self._first()

    def _first(self) -> State:
        registers: list[Value | None] = [None] * 11
        registers[1] = Pointer("ctx")
        registers[10] = Pointer("fp")
        return State([Frame(registers, {}, caller=-1, begin=0)])

    def run(self) -> Complaint | None:
        """Go all ways; return the first complaint that is certain, found at `state`."""
        self.waiting.append(self.state)
        while self.waiting and self.steps < self.budget:
            self.state = self.waiting.pop()
            try:
                self._follow()
            except Complaint as complaint:
                if self.state.certain:
                    return complaint
        return None

    def _follow(self) -> None:
        """Follow one way to its end."""
        state, code, targets, budget = self.state, self.shape.code, self.shape.targets, self.budget
        slot = state.slot
        while self.steps < budget:
            if slot in targets and self._met_before(state):
                return
            self.steps += 1
            instruction = code[slot]
            kind = instruction.opcode & 7
            if kind == Class.JMP or kind == Class.JMP32:
                following = self._jump(instruction)
                if following is None:
                    return
                state.slot = slot = following
                continue
            if kind == Class.ALU64 or kind == Class.ALU:
                pairs = operate(self, instruction)
            elif kind == Class.LDX:
                pairs = load(self, instruction)
            elif kind == Class.LD:
                pairs = self._wide_load(instruction)
                if instruction.opcode == LD_IMM64:
                    state.trail = (state.trail, slot, pairs)
                    slot += 2
                    state.slot = slot
                    continue
            else:
                pairs = store(self, instruction)
            state.trail = (state.trail, slot, pairs)
            slot += 1
            state.slot = slot

    # -- what instructions ask for -----------------------------------------------------------------
    @property
    def registers(self) -> list[Value | None]:
        return self.state.frames[-1].registers

    def need(self, register: int) -> Value:
        """Return what a register holds; complain where it holds nothing."""
        value = self.state.frames[-1].registers[register]
        if value is None:
            raise Complaint(EACCES, f"R{register} !read_ok")
        return value

    def writable(self, register: int) -> None:
        """Complain of a write to the frame pointer."""
        if register == 10:
            raise Complaint(EACCES, "frame pointer is read only")

    def in_family(self, register: int, number: Scalar) -> Scalar:
        """Return a register's number, which is going to be elsewhere too: what is learned of one holds
        for the other."""
        if number.mask and not number.id:
            number = number.linked(self.new_id())
            self.registers[register] = number
        return number

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def passed(self, pairs: Pairs) -> None:
        """Note that an instruction was gone through."""
        state = self.state
        state.trail = (state.trail, state.slot, pairs)

    def use_stack(self, frame: int, size: int) -> None:
        """Note how much of the stack a function uses."""
        if self.state.certain:
            begin = self.state.frames[frame].begin
            if size > self.stack_bytes.get(begin, 0):
                self.stack_bytes[begin] = size

    # -- wide loads --------------------------------------------------------------------------------
    def _wide_load(self, instruction: Instruction) -> Pairs:
        if instruction.opcode != LD_IMM64:
            return self._legacy_load()
        self.writable(instruction.dst)
        value = self._number_meant(instruction)
        self.registers[instruction.dst] = value
        return ((instruction.dst, value),)

    def _number_meant(self, instruction: Instruction) -> Value:
        """Return what a wide load's number stands for: a map, a value's place, a function, itself."""
        if instruction.src:
            return ANYTHING
        slot = self.state.slot
        number = (self.shape.code[slot + 1].imm & M32) << 32 | instruction.imm & M32
        found = self.facts.maps.get(number)
        if found is not None:
            return Pointer("map_ptr", map=found)
        function = self.facts.functions.get(number)
        if function is not None:
            return Pointer("func", frame=function)
        if number >> _REGION_SHIFT >= _KERNEL_REGIONS:
            # It may be the address of a variable of the kernel's.
            return ANYTHING
        return self._place_in_value(number) or constant(number)

    def _place_in_value(self, number: int) -> Value | None:
        for begin, end, item in self._values:
            if begin <= number < end:
                return Pointer("map_value", map=item, offset=number - begin)
        return None

    def _legacy_load(self) -> Pairs:
        if self.code.type.name not in _LEGACY:
            raise Complaint(EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type")
        self.need(6)
        result = of_bytes(4)
        clobber(self, result)
        return ((0, result),)

    # -- jumps, calls, ends ------------------------------------------------------------------------
    def _jump(self, instruction: Instruction) -> int | None:
        """Do an instruction of the jump classes; return where it goes on, None where it does not."""
        opcode, slot = instruction.opcode, self.state.slot
        if opcode in _USES and not _USES[opcode](instruction):
            name = {CALL: "CALL", EXIT: "EXIT"}.get(opcode, "JA")
            raise Complaint(EINVAL, f"BPF_{name} uses reserved fields")
        if opcode == CALL:
            return self._call(instruction)
        if opcode == EXIT:
            return self._exit()
        if opcode in (GOTO, GOTOL):
            self.passed(())
            return slot + 1 + (instruction.imm if opcode == GOTOL else instruction.offset)
        return branch(self, instruction)

    def _call(self, instruction: Instruction) -> int | None:
        if instruction.src == PseudoCall.CALL:
            return self._enter(self.state.slot + 1 + instruction.imm)
        if instruction.src == PseudoCall.HELPER:
            self.passed(call_helper(self, instruction.imm))
        else:
            forget_passed(self)
            clobber(self, ANYTHING)
            self.passed(())
        return self.state.slot + 1

    def _enter(self, target: int) -> int:
        """Go into a function of the program."""
        state = self.state
        if len(state.frames) >= self.MOST_FRAMES:
            raise Complaint(E2BIG, f"the call stack of {len(state.frames) + 1} frames is too deep")
        caller = self.registers
        registers: list[Value | None] = [None, *caller[1:6], None, None, None, None, None]
        registers[10] = Pointer("fp", frame=len(state.frames))
        clobber(self, None)
        state.frames.append(Frame(registers, {}, caller=state.slot, begin=target))
        self.passed(tuple((number, registers[number]) for number in range(1, 6)))
        if state.certain:
            self.chains.add(tuple(frame.begin for frame in state.frames))
        return target

    def _exit(self) -> int | None:
        state = self.state
        if len(state.frames) == 1:
            check_end(self)
            return None
        frame = state.frames[-1]
        if frame.in_callback:
            return None
        result = frame.registers[0]
        if isinstance(result, Pointer) and result.kind == "fp" and result.frame == len(state.frames) - 1:
            result = ANYTHING
        self.passed(())
        state.frames.pop()
        state.frames[-1].registers[0] = result
        return frame.caller + 1

    # -- places met before -------------------------------------------------------------------------
    def _met_before(self, state: State) -> bool:
        """Whether nothing new can be found from here on; remember that it was met otherwise."""
        place = self._places.get(state.slot)
        if place is None:
            place = self._places[state.slot] = Place()
        place.visits += 1
        rounds = self._rounds(state)
        if any(old.equals(state) for old in rounds[:_COMPARED]) and not self._may_progress_unseen:
            raise Complaint(EINVAL, *self._endless(state))
        live = self.shape.live(state.slot)
        # A loop goes on though only its numbers change; elsewhere that makes no difference after a while.
        loosely = place.visits > _REMEMBERED and not rounds
        # Where this way was before is no reason to end here: whether it is right is not known yet.
        if any(old.covers(state, live, loosely=loosely) for old in place.states if old not in rounds):
            return True
        if place.visits > _VISITS and self.steps > self.budget // 3:
            if not rounds or place.visits > 2 * _VISITS + self.budget // 3:
                return True
            state.widen(rounds[0])
            if place.states[-1].covers(state, live, loosely=True):
                return True
        self._remember(place, state)
        return False

    def _remember(self, place: Place, state: State) -> None:
        snapshot = state.copy()
        if len(place.states) < _REMEMBERED:
            place.states.append(snapshot)
        else:
            place.states[place.visits % _REMEMBERED] = snapshot
        state.seen = (state.seen, snapshot)

    def _rounds(self, state: State) -> list[State]:
        """Return what was known when this way was here before, the last time first."""
        found: list[State] = []
        link, depth = state.seen, len(state.frames)
        for _ in range(_LONGEST_LOOK_BACK):
            if link is None:
                break
            link, old = link
            if old.slot == state.slot and len(old.frames) == depth:
                found.append(old)
        return found

    def _endless(self, state: State) -> tuple[str, ...]:
        from ebee.checker.log import dump

        return (
            f"infinite loop detected at insn {state.slot}",
            f"cur state:{dump(state)}",
            f"old state:{dump(state)}",
        )


__all__ = ["MapFacts", "Pairs", "Trail", "Walk"]
