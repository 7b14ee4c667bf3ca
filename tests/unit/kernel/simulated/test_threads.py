"""Threads may use one simulated kernel: its parts are come through one at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import load
from tests.support.objects import spec_of

_TEXT = """
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64);
             __type(key, int); __type(value, long); } counts SEC(".maps");
    long runs = 0;
    SEC("xdp") int count(struct xdp_md *ctx)
    {
        unsigned char *data = (void *)(long)ctx->data;
        if (data + 14 > (unsigned char *)(long)ctx->data_end)
            return XDP_DROP;
        int key = data[0];
        long one = 1, *value = bpf_map_lookup_elem(&counts, &key);
        if (value)
            (*value)++;
        else
            bpf_map_update_elem(&counts, &key, &one, 0);
        runs++;
        return data[0];
    }
"""
_THREADS, _ROUNDS = 4, 100


def test_runs_of_several_threads_do_not_mix() -> None:
    """Each gets the answer to its own packet, and nothing is lost."""
    kernel = SimulatedKernel()
    with load(spec_of(_TEXT), kernel) as obj, obj.programs["count"].attach("xdp:eth0"):

        def work(number: int) -> None:
            packet = bytes([number]) + bytes(59)
            for _ in range(_ROUNDS):
                assert obj.programs["count"].test_run(packet).return_value == number
                assert kernel.receive("eth0", packet).steps[0].return_value == number
                obj.maps["counts"][number + 32] = number

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(work, range(_THREADS)))
        assert obj.variables["runs"].value == 2 * _THREADS * _ROUNDS
        expected = dict.fromkeys(range(_THREADS), 2 * _ROUNDS)
        expected |= {number + 32: number for number in range(_THREADS)}
        assert dict(obj.maps["counts"].items()) == expected
    kernel.stop()
