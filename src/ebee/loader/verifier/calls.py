"""Calls that the verifier refuses: helpers, their arguments, locks and references."""

from __future__ import annotations

import re

from ebee.loader.verifier.null import unchecked
from ebee.loader.verifier.scene import CALL, Finding, Scene
from ebee.loader.verifier.words import argument, kind, kinds

POISON = 195896080
_SPIN_LOCK = 93
_GPL_HINT = 'declare a licence that allows it: char LICENSE[] SEC("license") = "GPL";  (or "Dual BSD/GPL")'

# What programs a family of helpers is for; first fit.
_FOR = (
    ("bpf_xdp_", "it is for XDP programs"),
    ("bpf_skb_", "it is for programs that see a socket buffer: tc, cgroup_skb, socket filters"),
    ("bpf_get_current_", "it needs a process: a program on a tracepoint, kprobe, LSM hook or system call"),
    ("bpf_probe_", "it is for tracing programs: tracepoint, raw_tp, kprobe, fentry, perf_event"),
    ("bpf_get_stack", "it is for tracing programs: tracepoint, raw_tp, kprobe, fentry, perf_event"),
    ("bpf_perf_prog_read_value", "it is for perf_event programs"),
    ("bpf_override_return", "it is for kprobe programs on functions that allow it"),
    ("bpf_get_func_", "it is for kprobe, fentry and fexit programs"),
    ("bpf_redirect", "it is for XDP and tc programs"),
    ("bpf_msg_", "it is for sk_msg programs"),
    ("bpf_sock_ops_", "it is for sockops programs"),
    ("bpf_setsockopt", "it is for sockops and cgroup socket programs"),
)


def not_gpl(scene: Scene, found: re.Match[str]) -> Finding:
    """`cannot call GPL-restricted function from non-GPL compatible program`."""
    del found
    helper = scene.called()
    subject = f"{helper}()" if helper else "this function"
    license = f"its licence is '{scene.license}'" if scene.license else "it declares no licence"
    return Finding(f"{subject} is only for programs under the GPL, and {license}", hint=_GPL_HINT)


def wrong_type(scene: Scene, found: re.Match[str]) -> Finding:
    """`unknown func bpf_x#1`, `program of this type cannot use helper bpf_x#1`."""
    helper = found[1]
    fits = next((words for begin, words in _FOR if helper.startswith(begin)), None)
    return Finding(f"{helper}() cannot be called by {scene.a_program}", hint=fits)


def unknown_function(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid func unknown#9999`: a number that this kernel has no helper for, or a poisoned place."""
    number = int(found[1]) if len(found[1]) < 12 else 0
    last = scene.last
    why = scene.poisoned.get(last.slot, "") if last else ""
    if why and number != POISON:
        return Finding(why, hint="ask for it first: if (bpf_ksym_exists(NAME))")
    if number == POISON:
        return Finding(
            why or "a type or field is used here that this kernel does not have (a CO-RE relocation failed)",
            hint="ask for it first: if (bpf_core_field_exists(…)), bpf_core_type_exists(…)",
        )
    from ebee.asm.helpers import helper_names

    name = helper_names().get(number)
    if name is None:
        return Finding(f"calls helper number {number}, which no kernel known here has")
    return Finding(f"{name}() does not exist in this kernel")


def wrong_argument(scene: Scene, found: re.Match[str]) -> Finding:
    """`R2 type=scalar expected=fp, pkt, map_value`."""
    register, given, wanted = int(found[1]), found[2], found[3]
    origin = scene.origin(register)
    if "_or_null" in given and "_or_null" not in wanted and origin.kind == "call":
        return unchecked(scene, register, origin)
    notes: tuple[tuple[str, int], ...] = ()
    if origin.kind in ("call", "load"):
        notes = (("it comes from here", scene.step(origin.at).slot),)
    return Finding(
        f"{argument(scene, register)} is {kind(given)}, expected {kinds(wanted)}",
        hint=_argument_hint(given, wanted),
        notes=notes,
    )


def _argument_hint(given: str, wanted: str) -> str | None:
    if wanted.startswith("map_ptr"):
        return 'pass the address of a map: struct { … } name SEC(".maps"), then &name'
    if wanted == "ctx":
        return "pass on the context that the program was given"
    if given in ("scalar", "inv") and wanted.startswith("fp"):
        return "pass the address of a variable: &name"
    return None


def null_argument(scene: Scene, found: re.Match[str]) -> Finding:
    """`Possibly NULL pointer passed to helper arg2`, `… to trusted arg0`."""
    register = int(found[2]) + (found[1] == "trusted")
    origin = scene.origin(register) if register <= 5 else None
    if origin is not None and origin.kind == "call":
        return unchecked(scene, register, origin)
    return Finding(
        f"{argument(scene, register)} may be NULL",
        hint=f"check it before this line: if (!pointer) {scene.leave()}",
    )


def wrong_map(scene: Scene, found: re.Match[str]) -> Finding:
    """`cannot pass map_type 1 into func bpf_ringbuf_reserve#131`."""
    from ebee.abi.bpf import MapType

    number = int(found[1]) if len(found[1]) < 6 else -1
    names = {int(member): member.name for member in MapType}
    what = f"BPF_MAP_TYPE_{names[number]}" if number in names else f"type {number}"
    return Finding(f"{found[2]}() does not take a map of type {what}", hint=_map_hint(found[2]))


def _map_hint(helper: str) -> str | None:
    for begin, wanted in (
        ("bpf_ringbuf_", "RINGBUF"),
        ("bpf_perf_event_output", "PERF_EVENT_ARRAY"),
        ("bpf_tail_call", "PROG_ARRAY"),
        ("bpf_get_stackid", "STACK_TRACE"),
    ):
        if helper.startswith(begin):
            return f"it needs a map of type BPF_MAP_TYPE_{wanted}"
    return None


def tail_call_map(scene: Scene, found: re.Match[str]) -> Finding:
    """`expected prog array map for tail call`."""
    del scene, found
    return Finding(
        "bpf_tail_call() is given a map that holds no programs",
        hint="it needs a map of type BPF_MAP_TYPE_PROG_ARRAY",
    )


def misconfigured(scene: Scene, found: re.Match[str]) -> Finding:
    """`kernel subsystem misconfigured verifier`: before Linux 6.8 also for a tail call's wrong map."""
    if scene.called() == "bpf_tail_call":
        return tail_call_map(scene, found)
    return Finding(f"the verifier refused it: {found[0]}")


def bad_call(scene: Scene, found: re.Match[str]) -> Finding:
    """`Caller passes invalid args into func#1 ('twice')`, with the reason in the line before."""
    name = f"{found[1]}()" if found[1] else "a global function"
    reason = next(
        (
            f": argument {match[1]} is {kind(match[2])}, expected {kinds(match[3])}"
            for word in scene.report.words
            if (match := re.match(r"R(\d+) type=(\w+) expected=(.+)", word))
        ),
        "",
    )
    return Finding(f"{name} is called with an argument that does not fit{reason}")


def kernel_function(scene: Scene, found: re.Match[str]) -> Finding:
    """`calling kernel function bpf_x is not allowed`."""
    return Finding(f"{found[1]}() is a kernel function that cannot be called by {scene.a_program}")


_NOT_SLEEPING = {
    "bpf_copy_from_user": "take bpf_probe_read_user(), which does not sleep",
    "bpf_copy_from_user_task": "take bpf_probe_read_user(), which does not sleep",
}


def may_sleep(scene: Scene, found: re.Match[str]) -> Finding:
    """`helper call might sleep in a non-sleepable prog`."""
    del found
    helper = scene.called()
    return Finding(
        f"{f'{helper}()' if helper else 'the function'} may sleep, and this program may not",
        hint=_NOT_SLEEPING.get(
            helper,
            'some hooks allow it: SEC("fentry.s/…"), SEC("lsm.s/…"), SEC("uprobe.s/…"), SEC("syscall")',
        ),
    )


# -- references and locks ------------------------------------------------------------------------
_RELEASED_BY = {
    "bpf_ringbuf_reserve": "bpf_ringbuf_submit() or bpf_ringbuf_discard()",
    "bpf_sk_lookup_tcp": "bpf_sk_release()",
    "bpf_sk_lookup_udp": "bpf_sk_release()",
    "bpf_skc_lookup_tcp": "bpf_sk_release()",
    "bpf_ringbuf_reserve_dynptr": "bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr()",
    "bpf_obj_new_impl": "bpf_obj_drop()",
    "bpf_task_from_pid": "bpf_task_release()",
    "bpf_task_acquire": "bpf_task_release()",
    "bpf_cgroup_from_id": "bpf_cgroup_release()",
    "bpf_cgroup_acquire": "bpf_cgroup_release()",
}


def unreleased(scene: Scene, found: re.Match[str]) -> Finding:
    """`Unreleased reference id=2 alloc_insn=4`."""
    slot = int(found[1]) if len(found[1]) < 10 else -1
    call = next((step.text for step in reversed(scene.report.steps) if step.slot == slot), "")
    helper = call.removeprefix("call ").partition("#")[0]
    name = scene.assigned(slot, of=helper)
    subject = f"'{name}'" if name else f"what {helper}() gave" if helper else "a reference"
    release = _RELEASED_BY.get(helper)
    return Finding(
        f"{subject} is not given back on the path that ends here",
        hint=f"call {release} on every path" if release else None,
        notes=((f"it is taken here by {helper}()" if helper else "it is taken here", slot),),
    )


def lock_at_exit(scene: Scene, found: re.Match[str]) -> Finding:
    """`BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region`."""
    del found
    return Finding(
        "the program ends while it holds a lock",
        hint="call bpf_spin_unlock() on every path",
        notes=_lock_notes(scene),
    )


def call_under_lock(scene: Scene, found: re.Match[str]) -> Finding:
    """`function calls are not allowed while holding a lock`."""
    del found
    helper = scene.called()
    if helper == "bpf_spin_lock":
        return Finding(
            "takes a lock while it holds one",
            hint="call bpf_spin_unlock() before",
            notes=_lock_notes(scene),
        )
    subject = f"{helper}() is called" if helper else "a function is called"
    return Finding(
        f"{subject} while a lock is held, which allows no calls",
        hint="call it before bpf_spin_lock() or behind bpf_spin_unlock()",
        notes=_lock_notes(scene),
    )


def lock_not_allowed(scene: Scene, found: re.Match[str]) -> Finding:
    """`tracing progs cannot use bpf_spin_lock yet`, said of the map before the code is looked at."""
    calls = (
        slot
        for slot, instruction in enumerate(scene.instructions)
        if instruction.opcode == CALL and instruction.src == 0 and instruction.imm == _SPIN_LOCK
    )
    return Finding(
        f"uses a map whose values hold a bpf_spin_lock, which a {found[1]} program cannot",
        hint="leave the lock out, and count with __sync_fetch_and_add(&value->count, 1)",
        slot=next(calls, None),
    )


def _lock_notes(scene: Scene) -> tuple[tuple[str, int], ...]:
    for step in reversed(scene.report.steps[:-1]):
        if step.text.startswith("call bpf_spin_lock#"):
            return (("the lock is taken here", step.slot),)
    return ()
