"""`ebee run --pcap` and `--vm`: packets through programs, verdicts and changed packets out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ebee.cli import run
from ebee.packets import Packet, generate, read_packets, write_packets
from tests.support.objects import PRELUDE

FIREWALL = """
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
int seen;
static int hidden;
SEC("xdp") int firewall(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    if ((void *)(eth + 1) > end)
        return XDP_ABORTED;
    seen++;
    if (eth->h_proto == bpf_htons(ETH_P_ARP)) {
        bpf_printk("ARP in packet %d", seen);
        return XDP_DROP;
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        eth->h_dest[0] = 0xee;
        return XDP_TX;
    }
    return XDP_PASS;
}
"""
TWO = """
SEC("tc") int first(struct __sk_buff *skb) { return 0; }
SEC("xdp") int second(struct xdp_md *ctx) { bpf_xdp_adjust_head(ctx, -4); return 2; }
"""
TRACER = 'SEC("tracepoint/sched/sched_switch") int tracer(void *ctx) { return 0; }'


class Said:
    """What a command line gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out.splitlines(), err.splitlines()


@pytest.fixture
def ebee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ebee:
    """Run ebee in a folder with programs and packets."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("firewall", FIREWALL), ("two", TWO), ("tracer", TRACER)):
        (tmp_path / f"{name}.bpf.c").write_text(PRELUDE + text)
    write_packets(tmp_path / "in.pcap", generate(6))

    def ebee(line: str) -> Said:
        code = run(line.split())
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return ebee


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Ebee = Callable[[str], Said]

LINES = """\
   1  XDP_PASS      IPv4 TCP 192.0.2.19:40017 > 198.51.100.3:80 [PSH ACK], 107 bytes
   2  XDP_PASS      IPv4 UDP 192.0.2.17:53930 > 198.51.100.5:53, 72 bytes
   3  XDP_TX        IPv6 TCP [2001:db8::d]:60285 > [2001:db8:100::5]:22 [FIN ACK], 74 bytes, changed
   4  XDP_PASS      IPv4 ICMP 192.0.2.20 > 198.51.100.4 echo request, 90 bytes
   5  XDP_DROP      ARP who has 192.0.2.17, tell 192.0.2.11, 60 bytes
      ARP in packet 5
   6  XDP_TX        IPv6 UDP [2001:db8::15]:55308 > [2001:db8:100::3]:53, 91 bytes, changed

XDP_PASS  3
XDP_TX    2
XDP_DROP  1
seen = 6
""".splitlines()


@pytest.mark.parametrize("engine", ["interpreter", "native"])
def test_each_packet_has_a_line_and_all_a_table(ebee: Ebee, engine: str) -> None:
    """Verdict, what the packet is, what became of it, what was printed; then counts and variables."""
    said = ebee(f"run firewall.bpf.c --engine {engine} --pcap in.pcap")
    assert (said.code, said.out) == (0, LINES)
    assert said.err == [f"firewall on the userspace machine ({engine}): packets of in.pcap"]


def test_what_passes_is_written_as_it_came(ebee: Ebee, tmp_path: Path) -> None:
    """In the input's format where the ending says nothing else; changed bytes and all, times kept."""
    passed = [
        packet.with_data(b"\xee" + packet.data[1:] if number in (3, 6) else packet.data)
        for number, packet in enumerate(generate(6), 1)
        if number != 5
    ]
    for before, after, name in [
        ("in.pcap", "out.pcap", "pcap"),
        ("in.pcap", "out.pcapng", "pcapng"),
        ("in.pcap", "out", "pcap"),
        ("out.pcapng", "again", "pcapng"),
    ]:
        assert ebee(f"run firewall.bpf.c --vm --pcap {before} --out {after}").code == 0
        with read_packets(tmp_path / after) as packets:
            assert packets.format.name == name
            assert list(packets) == passed


def test_hex_comes_in_and_goes_out(ebee: Ebee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From standard input, and to standard output; what is said then goes elsewhere."""
    (tmp_path / "in").write_text("86dd".rjust(28, "0") + "01\n" + "0806".rjust(28, "0") + "\n")
    with open(tmp_path / "in") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        said = ebee("run firewall.bpf.c --vm --pcap - --out -")
    assert said.out == ["ee 00 00 00 00 00 00 00 00 00 00 00 86 dd 01"]
    assert said.err[-3:] == ["XDP_TX    1", "XDP_DROP  1", "seen = 2"]


def test_packets_are_made_where_none_are_given(ebee: Ebee) -> None:
    """A dozen, or as many as asked."""
    said = ebee("run firewall.bpf.c --vm")
    assert said.out[:6] == LINES[:6]
    assert said.out[-4:] == ["XDP_PASS  6", "XDP_TX    5", "XDP_DROP  1", "seen = 12"]
    assert said.err == ["firewall on the userspace machine: 12 made packets; --pcap FILE takes others"]
    assert (
        ebee("run firewall.bpf.c --vm --count 1").err[0].endswith("1 made packet; --pcap FILE takes others")
    )


def test_lines_have_an_end_unless_all_are_wanted(ebee: Ebee) -> None:
    """Twenty, then how many more; what they printed is counted, too."""
    said = ebee("run firewall.bpf.c --vm --count 60")
    assert [line for line in said.out if line.startswith("  20 ")]
    assert [line for line in said.out if line.startswith(" ... ")] == [
        " ...  40 more packets, 5 more lines printed; -v shows all"
    ]
    assert "seen = 60" in said.out
    assert [line for line in ebee("run firewall.bpf.c --vm --count 60 -v").out if line.startswith("  60 ")]


def test_a_count_stops_early(ebee: Ebee) -> None:
    """Of a file's packets, the first ones."""
    assert ebee("run firewall.bpf.c --vm --pcap in.pcap --count 2").out == [
        *LINES[:2],
        "",
        "XDP_PASS  2",
        "seen = 2",
    ]


def test_json_has_a_line_for_each_packet(ebee: Ebee) -> None:
    """And one with the sums."""
    *packets, end = [json.loads(line) for line in ebee("run firewall.bpf.c --vm --pcap in.pcap -j").out]
    assert len(packets) == 6
    assert packets[4] == {
        "packet": 5,
        "timestamp_ns": 1700000000004335158,
        "description": "ARP who has 192.0.2.17, tell 192.0.2.11",
        "bytes": 60,
        "results": [
            {
                "program": "firewall",
                "verdict": "XDP_DROP",
                "return_value": 1,
                "passed": False,
                "changed": False,
                "bytes": 60,
                "data": None,
                "printed": ["ARP in packet 5"],
            }
        ],
    }
    assert packets[2]["results"][0]["data"].startswith("ee00c0")
    assert end == {
        "packets": 6,
        "verdicts": {"firewall": {"XDP_PASS": 3, "XDP_TX": 2, "XDP_DROP": 1}},
        "variables": {"seen": 6},
    }


def test_several_programs_see_each_packet_as_it_came(ebee: Ebee) -> None:
    """Each has its line and its counts; one of them may be asked for."""
    said = ebee("run two.bpf.c --vm --pcap in.pcap --count 1")
    assert said.out == [
        "   1  first   TC_ACT_OK     IPv4 TCP 192.0.2.19:40017 > 198.51.100.3:80 [PSH ACK], 107 bytes",
        "      second  XDP_PASS      107 -> 111 bytes",
        "",
        "first   TC_ACT_OK  1",
        "second  XDP_PASS   1",
    ]
    said = ebee("run two.bpf.c --vm --pcap in.pcap --program second --out out.pcap --count 1")
    assert said.out[-1] == "XDP_PASS  1"
    (packet,) = read_packets("out.pcap")
    assert packet.data[4:] == next(generate(1)).data


def test_a_damaged_file_is_told_after_what_was_whole(ebee: Ebee, tmp_path: Path) -> None:
    """The packets before it have run, and the sums are theirs."""
    whole = (tmp_path / "in.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[:-1])
    said = ebee("run firewall.bpf.c --vm --pcap cut.pcap --out out.pcap")
    assert said.code == 1
    assert said.out == [*LINES[:6], "", "XDP_PASS  3", "XDP_TX    1", "XDP_DROP  1", "seen = 5"]
    assert said.err[1:] == [
        "error: read cut.pcap: packet 6 (at byte 507): 91 bytes announced, 90 left",
        "hint: the 5 packets before it are whole: `--count 5` stops after them",
    ]
    assert len(list(read_packets(tmp_path / "out.pcap"))) == 4


def test_a_program_that_is_stopped_is_shown_with_its_line(
    ebee: Ebee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the packet that it was stopped in; those before it count."""
    monkeypatch.setattr("ebee.kernel.simulated.programs.check", lambda *facts: None)
    (tmp_path / "over.bpf.c").write_text(
        PRELUDE + 'SEC("xdp") int over(struct xdp_md *ctx)\n{\n'
        "    return ((char *)(long)ctx->data)[100] ? XDP_DROP : XDP_PASS;\n}\n"
    )
    said = ebee("run over.bpf.c --vm --pcap in.pcap")
    assert said.code == 1
    assert said.out[-1] == "XDP_DROP  1"
    assert said.err[1:] == [
        "note: packet 2 was run: IPv4 UDP 192.0.2.17:53930 > 198.51.100.5:53",
        "error: over.bpf.c:6:12: program over: read of 1 byte at the packet + 100: "
        "72 bytes may be reached, from 0",
        "    6 |     return ((char *)(long)ctx->data)[100] ? XDP_DROP : XDP_PASS;",
        "      |            ^",
        "hint: compare the end of what is reached with data_end before",
    ]


def test_a_packet_that_cannot_be_run_is_named(ebee: Ebee, tmp_path: Path) -> None:
    """Its number, what it is, and what is wrong with it."""
    write_packets(tmp_path / "x.pcap", [Packet(bytes(60)), Packet(bytes(9))])
    said = ebee("run firewall.bpf.c --vm --pcap x.pcap")
    assert said.err[1:] == [
        "note: packet 2 was run: cut short",
        "error: run firewall: a packet of 9 bytes, expected at least the 14 of an Ethernet header",
    ]
    write_packets(tmp_path / "x.pcap", [Packet(bytes(60), link_type=239)])
    assert ebee("run firewall.bpf.c --vm --pcap x.pcap").err[1:] == [
        "note: packet 1 was run: link type NFLOG (239)",
        "error: run firewall: a packet of link type NFLOG (239), expected Ethernet or IP",
        "hint: network programs see Ethernet frames",
    ]


def test_ip_packets_get_a_header_and_lose_it(ebee: Ebee, tmp_path: Path) -> None:
    """Which is said once."""
    packets = [Packet(packet.data[14:], 7, 101) for packet in generate(2)]
    write_packets(tmp_path / "raw.pcap", packets)
    said = ebee("run firewall.bpf.c --vm --pcap raw.pcap --out out")
    assert said.err[1:] == [
        "note: packets of link type RAW (101): programs see an Ethernet header of zeros before them"
    ]
    assert [packet.data for packet in read_packets("out")] == [packet.data for packet in packets]


WRONG = [
    ("--count none", "error: ebee run: count 'none', expected a number, 1 or more", None),
    ("--count 0", "error: ebee run: count '0', expected a number, 1 or more", None),
    ("--vm --live", "error: ebee run: --vm and --live, expected one of them", None),
    ("--engine fast", "error: ebee run: engine 'fast', expected interpreter or native", None),
    (
        "--live --engine native",
        "error: ebee run: --engine native and --live, expected one of them",
        "hint: the kernel runs programs itself; engines are of the userspace machine: --vm",
    ),
    (
        "--vm --dev eth0",
        "error: ebee run: --dev and --vm, expected one of them",
        "hint: with --vm nothing is attached: packets of a file, or made ones, go through the programs",
    ),
    (
        "--pcap in.pcap --duration 3",
        "error: ebee run: --duration and --pcap, expected one of them",
        "hint: with --pcap nothing is attached: packets of a file, or made ones, go through the programs",
    ),
    (
        "--pcap in.pcap --out ./in.pcap",
        "error: ebee run: --out ./in.pcap: is the file that packets are read from, expected another",
        None,
    ),
]


@pytest.mark.parametrize(("words", "message", "hint"), WRONG, ids=[words for words, _, _ in WRONG])
def test_options_that_do_not_go_together_are_told_first(
    ebee: Ebee, words: str, message: str, hint: str | None
) -> None:
    """Even of a file that is not there."""
    said = ebee(f"run gone.bpf.c {words}")
    assert said.code == 2
    assert said.err == [message, *([] if hint is None else [hint])]


def test_packets_and_json_do_not_share_standard_output(ebee: Ebee) -> None:
    """Told as JSON, since that was asked for."""
    said = ebee("run gone.bpf.c --vm -j --out -")
    assert (said.code, json.loads(said.out[0])["error"]) == (
        2,
        "ebee run: --out - and -j, expected one of them on standard output",
    )


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            "two.bpf.c --out out.pcap",
            "error: run two: 2 programs of it see packets (first, second), "
            "expected one to write what passes it",
            "hint: name one: --program first",
        ),
        (
            "two.bpf.c --program secnd",
            "error: run two: there is no program 'secnd'",
            "hint: did you mean 'second'?",
        ),
        (
            "tracer.bpf.c",
            "error: run tracer: no program of it sees packets",
            "hint: tracing programs run over a recording: --events RECORDING, which `ebee record` makes",
        ),
        (
            "tracer.bpf.c --program tracer",
            "error: run tracer: programs of type TRACEPOINT see no packets",
            None,
        ),
        (
            "firewall.bpf.c --pcap im.pcap",
            "error: read im.pcap: no such file or directory, expected a file of packets",
            "hint: did you mean 'in.pcap'?",
        ),
        (
            "firewall.bpf.c --pcap in.pcap --out no/out.pcap",
            "error: write no/out.pcap: no such file or directory",
            "hint: there is no folder no",
        ),
        (
            "firewall.bpf.c --pcap firewall.bpf.c",
            "error: read firewall.bpf.c: packet 1 (line 3): 'char' is not hex, "
            "expected two digits for each byte",
            "hint: write a packet as one line of hex, or as hexdump -C or tcpdump -xx print it",
        ),
    ],
)
def test_what_cannot_be_run_is_told(ebee: Ebee, line: str, message: str, hint: str | None) -> None:
    """Before anything runs."""
    said = ebee(f"run --vm {line}")
    assert said.code == 1
    assert said.err[-1 if hint is None else -2 :] == [message, *([] if hint is None else [hint])]
