"""Following a register back along the path."""

from __future__ import annotations

from ebee.loader.verifier.log import read_log
from ebee.loader.verifier.trace import Origin, follow


def origin(register: int, *instructions: str) -> Origin:
    """Follow a register back from behind the last instruction."""
    steps = read_log("".join(f"{slot}: (00) {text}\n" for slot, text in enumerate(instructions))).steps
    return follow(steps, register, len(steps))


def test_a_helper_s_result_comes_from_its_call() -> None:
    assert origin(0, "r1 = 5", "call bpf_map_lookup_elem#1") == Origin("call", 1, "bpf_map_lookup_elem")


def test_moves_are_followed() -> None:
    assert origin(7, "call bpf_get_current_task#35", "r6 = r0", "r7 = r6").at == 0


def test_arithmetic_keeps_the_origin() -> None:
    assert origin(2, "r2 = *(u32 *)(r1 +4)", "r2 += 14", "r2 &= 255") == Origin("load", 0, register=1)


def test_a_value_laid_on_the_stack_is_followed_to_what_was_laid_there() -> None:
    path = ("call bpf_map_lookup_elem#1", "*(u64 *)(r10 -8) = r0", "r0 = 1", "r3 = *(u64 *)(r10 -8)")
    assert origin(3, *path) == Origin("call", 0, "bpf_map_lookup_elem")


def test_a_call_wipes_the_registers_that_hold_arguments() -> None:
    assert origin(2, "r2 = 3", "call bpf_ktime_get_ns#5") == Origin("lost", 1, "bpf_ktime_get_ns")


def test_registers_six_to_nine_live_through_a_call() -> None:
    assert origin(6, "r6 = 3", "call bpf_ktime_get_ns#5") == Origin("constant", 0)


def test_a_call_that_may_move_the_packet_is_remembered() -> None:
    found = origin(6, "r6 = *(u32 *)(r1 +0)", "call bpf_xdp_adjust_head#44")
    assert (found.kind, found.at, found.moved_packet) == ("load", 0, 1)


def test_the_result_of_a_subprogram_is_followed_into_it() -> None:
    assert origin(0, "call pc+5", "call bpf_map_lookup_elem#1", "exit").name == "bpf_map_lookup_elem"


def test_other_registers_pass_over_a_subprogram() -> None:
    assert origin(6, "call bpf_map_lookup_elem#1", "r6 = r0", "call pc+5", "r6 = 9", "exit").at == 0


def test_an_argument_of_a_subprogram_is_followed_to_the_caller() -> None:
    assert origin(1, "call bpf_get_current_task#35", "r1 = r0", "call pc+5").at == 0


def test_a_subprogram_wipes_the_registers_that_hold_arguments_too() -> None:
    assert origin(1, "r1 = 1", "call pc+5", "r0 = 0", "exit").kind == "lost"


def test_what_was_there_from_the_begin_is_an_argument() -> None:
    assert origin(1, "r2 = 1") == Origin("argument", register=1)
