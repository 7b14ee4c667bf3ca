"""Timers of programs: their functions are called when the machine's clock has passed, and asked to be."""

from __future__ import annotations

import pytest

from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import load
from tests.support.objects import spec_of

PROGRAM = """
struct element { struct bpf_timer timer; long calls; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, int);
    __type(value, struct element); } m SEC(".maps");
long fired, last_key;
static int call(void *map, int *key, struct element *e)
{
    last_key = *key;
    if (++fired < 2)
        bpf_timer_start(&e->timer, 1000, 0);
    return 0;
}
SEC("tc") int start(struct __sk_buff *skb)
{
    int key = 1;
    struct element *e = bpf_map_lookup_elem(&m, &key);
    if (!e || bpf_timer_init(&e->timer, &m, 1) || bpf_timer_set_callback(&e->timer, call))
        return 1;
    return bpf_timer_start(&e->timer, 5000, 0);
}
"""


@pytest.mark.parametrize("engine", ["interpreter", "native"])
def test_timers_are_called_when_the_clock_has_passed(engine: str) -> None:
    kernel = SimulatedKernel(engine=engine)
    clock = [1000]
    kernel.machine.clock_ns = lambda: clock[0]

    def called_at(now: int) -> int:
        clock[0] = now
        return kernel.run_timers()

    with load(spec_of(PROGRAM), kernel) as loaded:
        assert loaded.programs["start"].test_run(bytes(64)).return_value == 0
        assert [called_at(now) for now in (5999, 6000, 6999, 7000, 9000)] == [0, 1, 0, 1, 0]
        assert (loaded.variables["fired"].value, loaded.variables["last_key"].value) == (2, 1)
