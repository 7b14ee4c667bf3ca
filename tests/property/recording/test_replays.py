"""Any event that can be read runs, or is an error of ebee's."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.errors import EbeeError
from ebee.recording import Recording, replay
from ebee.recording.events import Event, encode_event
from ebee.recording.recordings import Header, RecordedProgram
from tests.property.recording.test_recording_files import EVENTS, written
from tests.support.objects import spec_of

TEXT = """
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 8); __uint(key_size, 4);
         __uint(value_size, 1016); } stacks SEC(".maps");
SEC("tracepoint/any/thing") int formatted(unsigned long long *ctx)
{
    char name[16], comm[16];
    __u64 stack[4];
    bpf_get_current_comm(comm, sizeof(comm));
    bpf_probe_read_user_str(name, sizeof(name), (void *)ctx[1]);
    bpf_get_stackid(ctx, &stacks, 0);
    bpf_get_stack(ctx, stack, sizeof(stack), BPF_F_USER_STACK);
    bpf_printk("%s %s %llu", comm, name, bpf_ktime_get_tai_ns());
    return bpf_get_prandom_u32() + bpf_get_current_ancestor_cgroup_id(2);
}
SEC("raw_tp/thing") int raw(unsigned long long *ctx)
{
    char name[16];
    bpf_probe_read_kernel_str(name, sizeof(name), (void *)ctx[0]);
    bpf_printk("%s %llu %llu", name, bpf_ktime_get_ns(), bpf_jiffies64());
    return 0;
}
"""
HOOKS = (RecordedProgram("formatted", "tracepoint:any:thing"), RecordedProgram("raw", "raw_tp:thing"))
HEADER = Header("any", HOOKS, cpus=2, byte_order=sys.byteorder)


@settings(deadline=None, max_examples=20)
@given(st.lists(EVENTS, min_size=1, max_size=12))
def test_any_events_run_or_are_an_error(events: list[Event]) -> None:
    """Whatever their numbers, their bytes, and what lies where."""
    data = written([encode_event(event, sys.byteorder) for event in events], HEADER)
    with (
        replay(spec_of(TEXT), Recording(io.BytesIO(data), "x"), engine="interpreter") as run,
        suppress(EbeeError),
    ):
        for step in run.steps():
            assert step.lines
