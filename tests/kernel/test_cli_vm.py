"""`ebee run` on packets: both kernels say the same, and without rights the machine does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ebee.errors import KernelError
from ebee.packets import LinkType, Packet, generate, read_packets, write_packets
from ebee.sessions.c import trace_pipe
from tests.kernel.door import needs_root
from tests.kernel.place import write
from tests.support.sandbox import SOURCE

pytestmark = [needs_root, pytest.mark.userspace_machine]

PROGRAMS = """
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long); }
    sizes SEC(".maps");
int small, large;
SEC("xdp") int header(struct xdp_md *ctx)
{
    if (bpf_xdp_adjust_head(ctx, -4))
        return XDP_ABORTED;
    char *data = (void *)(long)ctx->data;
    if (data + 17 > (char *)(long)ctx->data_end)
        return XDP_DROP;
    __builtin_memset(data, 0x11, 4);
    return data[16] == 8 ? XDP_TX : XDP_PASS;
}
SEC("tc") int tail(struct __sk_buff *skb)
{
    if (skb->protocol == bpf_htons(ETH_P_ARP))
        return TC_ACT_SHOT;
    return bpf_skb_change_tail(skb, skb->len + 10, 0) ? TC_ACT_STOLEN : TC_ACT_OK;
}
SEC("tcx/egress") int store(struct __sk_buff *skb)
{
    bpf_skb_store_bytes(skb, 2, "ebee", 4, 0);
    return skb->len > 100 ? TCX_DROP : TCX_NEXT;
}
SEC("cgroup_skb/egress") int count(struct __sk_buff *skb)
{
    __sync_fetch_and_add(skb->len > 100 ? &large : &small, 1);
    return skb->len <= 100;
}
SEC("socket") int begin(struct __sk_buff *skb)
{
    bpf_printk("%d bytes", skb->len);
    return skb->len > 60 ? 20 : 0;
}
"""
_WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


class Said(NamedTuple):
    """What a command line gave."""

    code: int
    out: list[str]
    err: list[str]


def ebee(folder: Path, line: str, *before: str) -> Said:
    """Run ebee in a folder."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "ebee", *line.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=False,
    )
    return Said(done.returncode, done.stdout.splitlines(), done.stderr.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with programs and packets."""
    write(tmp_path, PROGRAMS, "many.bpf.c")
    write_packets(tmp_path / "in.pcapng", generate(40, seed=5))
    return tmp_path


def test_both_kernels_say_the_same_of_each_packet(folder: Path) -> None:
    """Programs of five types, verdicts, changed bytes, variables; lines that are printed where one hears."""
    try:
        trace_pipe(kernel="live").close()
    except KernelError:
        pytest.skip("another process on this machine reads the trace pipe")
    lines = [ebee(folder, f"run many.bpf.c --pcap in.pcapng -j {where}") for where in ("--vm", "--live")]
    assert lines[0].code == lines[1].code == 0
    assert len(lines[0].out) == 41
    assert lines[0].out == lines[1].out


@pytest.mark.parametrize("program", ["header", "tail", "store", "count", "begin"])
def test_both_kernels_let_the_same_packets_pass(folder: Path, program: str) -> None:
    """To the byte, into the same file."""
    for where in ("vm", "live"):
        line = f"run many.bpf.c --program {program} --pcap in.pcapng --out {where}.pcapng --{where}"
        assert ebee(folder, line).code == 0
    assert (folder / "vm.pcapng").read_bytes() == (folder / "live.pcapng").read_bytes()
    assert 0 < len(list(read_packets(folder / "vm.pcapng"))) <= 40


@pytest.fixture
def no_rights() -> tuple[str, ...]:
    """Words that start a program without any capability."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return _WITHOUT_RIGHTS


def test_without_rights_packets_go_through_the_machine(folder: Path, no_rights: tuple[str, ...]) -> None:
    """By itself, with a line that says so and why; the packets say the same."""
    live = ebee(folder, "run many.bpf.c --pcap in.pcapng --program tail")
    assert live.err == ["tail on this kernel: packets of in.pcapng"]
    machine = ebee(folder, "run many.bpf.c --pcap in.pcapng --program tail", *no_rights)
    assert (machine.code, machine.out) == (0, live.out)
    assert len(machine.err) == 2
    assert "CAP_BPF" in machine.err[0]
    assert machine.err[0].startswith("note: ")
    assert "it runs on the userspace machine instead" in machine.err[0]
    assert machine.err[1] == "tail on the userspace machine: packets of in.pcapng"


@pytest.mark.parametrize("words", ["", "--dev lo", "--count 12"])
def test_without_rights_packets_are_made(folder: Path, no_rights: tuple[str, ...], words: str) -> None:
    """Whoever types what is typed with rights sees the program run all the same."""
    said = ebee(folder, f"run many.bpf.c {words}", *no_rights)
    assert said.code == 0
    assert sum(line[:4].strip().isdecimal() for line in said.out) == 12
    assert sum("it runs on the userspace machine instead" in line for line in said.err) == 1


def test_live_forbids_the_machine(folder: Path, no_rights: tuple[str, ...]) -> None:
    """The kernel's refusal is the answer."""
    write(folder, 'SEC("xdp") int pass(struct xdp_md *ctx) { return XDP_PASS; }', "pass.bpf.c")
    for line in ("run many.bpf.c --live --pcap in.pcapng", "run pass.bpf.c --live --dev lo"):
        said = ebee(folder, line, *no_rights)
        assert (said.code, said.out) == (1, [])
        assert said.err[0].startswith("error: ")
        assert "this process lacks CAP_" in said.err[0]


def test_without_rights_a_tracing_program_is_refused_with_the_other_way_there_is(
    folder: Path, no_rights: tuple[str, ...]
) -> None:
    """Nothing would arrive on the machine, so the kernel's refusal stands."""
    write(folder, 'SEC("raw_tp/sched_switch") int switched(void *ctx) { return 0; }', "switched.bpf.c")
    said = ebee(folder, "run switched.bpf.c", *no_rights)
    assert (said.code, said.out, len(said.err)) == (1, [], 2)
    assert said.err[0].startswith("error: ")
    assert "this process lacks CAP_BPF" in said.err[0]
    assert said.err[1].endswith("; or run it over a recording, which needs no rights: --events RECORDING")


def test_a_packet_that_the_kernel_does_not_try_is_named(folder: Path) -> None:
    """And where it would be."""
    write_packets(folder / "big.pcap", [Packet(bytes(60)), Packet(bytes(12) + b"\x08\0" + bytes(9000))])
    said = ebee(folder, "run many.bpf.c --live --program tail --pcap big.pcap")
    assert said.err[1:] == [
        "note: packet 2 was run: no IP header",
        "error: run tail on 9014 bytes: the kernel does not take this packet, context or repeat "
        "for this type of program (EINVAL)",
        "hint: the kernel tries no packet longer than a page; the userspace machine does: --vm",
    ]
    assert said.out[-3:] == ["TC_ACT_OK  1", "large = 0", "small = 0"]
    assert ebee(folder, "run many.bpf.c --vm --program tail --pcap big.pcap").code == 0


def test_ip_packets_are_the_same_on_both(folder: Path) -> None:
    """Those of a tunnel have no Ethernet header, and get one for the time of the run."""
    write_packets(folder / "raw.pcap", [Packet(packet.data[14:], 1, LinkType.RAW) for packet in generate(4)])
    outputs = []
    for where in ("vm", "live"):
        line = f"run many.bpf.c --program store --pcap raw.pcap --out {where}.pcap --{where}"
        assert ebee(folder, line).code == 0
        outputs.append((folder / f"{where}.pcap").read_bytes())
    assert outputs[0] == outputs[1]
