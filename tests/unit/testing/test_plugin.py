"""The plugin for pytest: tests of a user's, run as pytest runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What the tests inside import is imported here, once: pytester forgets what they imported themselves.
import ebee.kernel.simulated
import ebee.languages.c
import ebee.testing.coverage
import ebee.testing.objects  # noqa: F401

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.starts_processes

FIREWALL = """\
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __u16);
    __type(value, long);
} counts SEC(".maps");

const volatile int limit = 2;
int seen;

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;

    if ((void *)(eth + 1) > end)
        return XDP_ABORTED;
    __u16 protocol = bpf_ntohs(eth->h_proto);
    long *count = bpf_map_lookup_elem(&counts, &protocol), one = 1;
    if (count)
        *count += 1;
    else
        bpf_map_update_elem(&counts, &protocol, &one, BPF_ANY);
    if (++seen > limit) {
        bpf_printk("%d is too many", seen);
        return XDP_DROP;
    }
    if (protocol == ETH_P_ARP)
        eth->h_source[0] = 0xee;
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
"""

OVER = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long); }
    values SEC(".maps");
SEC("xdp") int over(struct xdp_md *ctx)
{
    int key = 0;
    long *value = bpf_map_lookup_elem(&values, &key);
    return value ? value[ctx->data_end - ctx->data] : 0;
}
char LICENSE[] SEC("license") = "GPL";
"""

TESTS = """\
import pytest

from ebee.testing import as_dict, assert_map

pytestmark = pytest.mark.ebee("firewall.bpf.c")
ARP = bytes(12) + b"\\x08\\x06" + bytes(46)
IPV4 = bytes(12) + b"\\x08\\x00" + bytes(46)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run tests beside the firewall."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (pytester.path / "firewall.bpf.c").write_text(FIREWALL)

    def run(text: str, *words: str) -> pytest.RunResult:
        pytester.makepyfile(TESTS + text)
        return pytester.runpytest_inprocess(
            "-p", "ebee.testing.plugin", "-p", "no:cacheprovider", "--strict-markers", *words
        )

    return run


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Run(Protocol):
        def __call__(self, text: str, *words: str) -> pytest.RunResult: ...


def test_packets_go_in_and_verdicts_come_out(run: Run) -> None:
    """With the packet as the program left it, what it printed, its maps and variables."""
    result = run("""
def test_firewall(bpf_object):
    first, second = bpf_object.run_packets([ARP, IPV4])
    assert (first.verdict, second.verdict) == ("XDP_PASS", "XDP_PASS")
    assert first.packet.data == ARP[:6] + b"\\xee" + ARP[7:]
    assert first.changed and not second.changed
    third = bpf_object.run_packet(IPV4, "firewall")
    assert (third.verdict, third.return_value, third.passed) == ("XDP_DROP", 1, False)
    assert third.printed == ("3 is too many",)
    assert bpf_object.maps["counts"] == {0x0806: 1, 0x0800: 2}
    assert bpf_object.variables["seen"].value == 3
    assert bpf_object.kernel.label == "vm"
""")
    result.assert_outcomes(passed=1)


def test_what_is_attached_sees_what_arrives(run: Run) -> None:
    """On the userspace machine, at an interface."""
    result = run("""
@pytest.mark.ebee("firewall.bpf.c", variables={"limit": 1})
def test_firewall(bpf_object):
    with bpf_object.programs["firewall"].attach("xdp:eth0"):
        verdicts = [bpf_object.kernel.receive("eth0", packet).verdict for packet in (IPV4, ARP)]
    assert verdicts == ["pass", "drop"]
    assert bpf_object.printed() == ("2 is too many",)
""")
    result.assert_outcomes(passed=1)


def test_each_test_has_its_own_object(run: Run) -> None:
    """What one counted, the next one does not see."""
    result = run("""
@pytest.mark.parametrize("number", [1, 2])
def test_firewall(bpf_object, number):
    bpf_object.run_packet(ARP)
    assert bpf_object.variables["seen"].value == 1
""")
    result.assert_outcomes(passed=2)


def test_variables_are_set_before_loading(run: Run) -> None:
    """Constant ones, too; the nearest mark counts."""
    result = run("""
@pytest.mark.ebee("firewall.bpf.c", variables={"limit": 0}, programs=["firewall"], engine="native")
def test_firewall(bpf_object):
    assert bpf_object.run_packet(ARP).verdict == "XDP_DROP"
""")
    result.assert_outcomes(passed=1)


def test_a_map_that_differs_is_told_entry_by_entry(run: Run) -> None:
    """Rather than as two long dicts."""
    result = run("""
def test_compared(bpf_object):
    bpf_object.run_packet(ARP)
    assert bpf_object.maps["counts"] == {0x0806: 2, 7: 1}

def test_asserted(bpf_object):
    bpf_object.run_packet(ARP)
    assert_map(bpf_object.maps["counts"], {0x0806: 2})

def test_as_dict(bpf_object):
    bpf_object.run_packet(ARP)
    assert as_dict(bpf_object.maps["counts"]) == {0x0806: 1}
""")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E       assert map counts: 2 entries differ",
            "E           [[]7]: found no such key, expected 1",
            "E           [[]2054]: found 1, expected 2",
            "E       AssertionError: map counts: 1 entry differs",
            "E         [[]2054]: found 1, expected 2",
        ]
    )


def test_coverage_is_a_table_of_c_lines(run: Run) -> None:
    """Lines, those that were reached, and the ranges that were not."""
    result = run(
        """
def test_firewall(bpf_object):
    bpf_object.run_packets([IPV4, IPV4])
""",
        "--ebee-coverage",
    )
    result.stdout.fnmatch_lines(["*= ebee coverage: lines of C =*", "file *missing", "firewall.bpf.c *%*"])
    (row,) = [line for line in result.outlines if line.startswith("firewall.bpf.c")]
    assert row.split("%")[1].strip() == "31, 35"


def test_coverage_is_written_for_other_tools(run: Run, pytester: pytest.Pytester) -> None:
    """As a file that editors read; what cannot be written is told."""
    text = "def test_it(bpf_object): bpf_object.run_packet(ARP)\n"
    result = run(text, "--ebee-coverage-lcov=c.info")
    result.stdout.fnmatch_lines(["firewall.bpf.c *", "wrote c.info"])
    written = (pytester.path / "c.info").read_text().splitlines()
    assert written[:2] == ["TN:", f"SF:{pytester.path}/firewall.bpf.c"]
    assert "DA:35,1" in written
    result = run(text, "--ebee-coverage-lcov=no/c.info")
    result.stdout.fnmatch_lines(["error: write no/c.info: no such file or directory"])


def test_tracing_programs_run_over_a_recording(run: Run) -> None:
    """One beside the test, or one that ebee brings along."""
    result = run("""
import os
import ebee.recording
FOLDER = os.path.join(os.path.dirname(ebee.recording.__file__), "bundled")

@pytest.mark.ebee(f"{FOLDER}/exec.bpf.c", events="example:exec")
def test_example(bpf_object):
    steps = bpf_object.run_events()
    assert steps[0].event.comm == b"sh"
    assert steps[0].lines[0].message.startswith("starts /bin/sh as process")
    assert sum(bpf_object.maps["starts"].values()) > 1

@pytest.mark.ebee("firewall.bpf.c", events=f"{FOLDER}/exec.ebee")
def test_another(bpf_object):
    pass

def test_none(bpf_object):
    from ebee import EbeeError
    with pytest.raises(EbeeError) as caught:
        bpf_object.run_events()
    assert str(caught.value) == "run firewall: it was opened without a recording"
    assert caught.value.hint == 'name one that `ebee record` wrote: events="exec.ebee"'
""")
    result.assert_outcomes(passed=2, errors=1)


def test_coverage_costs_nothing_unasked(run: Run) -> None:
    """No table."""
    result = run("def test_firewall(bpf_object): pass\n")
    assert not any("lines of C" in line for line in result.outlines)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("ebee()", "bpf_object: 0 sources, expected one"),
        ('ebee("a.bpf.c", "b.bpf.c")', "bpf_object: 2 sources, expected one"),
        (
            'ebee("firewall.bpf.c", kernal="vm")',
            "bpf_object: 'kernal' means nothing here, expected kernel, programs, variables, engine, events",
        ),
        (
            'ebee("firewall.bpf.c", events="x.ebee", kernel="vm")',
            "bpf_object: events and kernel, expected one of them: recordings run all programs on the machine",
        ),
        ('ebee("firewall.bpf.c", kernel="kvm")', "bpf_object: kernel 'kvm', expected vm, live or both"),
    ],
)
def test_a_wrong_mark_is_told(run: Run, mark: str, message: str) -> None:
    """Without a traceback, with how it is written."""
    result = run(f"pytestmark = []\n@pytest.mark.{mark}\ndef test_it(bpf_object): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message, 'hint: mark it: @pytest.mark.ebee("prog.bpf.c")'])
    assert not any("plugin.py" in line for line in result.outlines)


def test_a_test_without_a_mark_is_told(pytester: pytest.Pytester, run: Run) -> None:
    """It cannot be known what to load."""
    result = run("pytestmark = []\ndef test_it(bpf_object): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["bpf_object: the test has no mark that names its object"])


def test_a_mistake_in_the_c_is_shown_with_its_line(run: Run, pytester: pytest.Pytester) -> None:
    """As the command line shows it."""
    (pytester.path / "broken.bpf.c").write_text("int x\n")
    result = run('@pytest.mark.ebee("broken.bpf.c")\ndef test_it(bpf_object): pass\n')
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["error: *broken.bpf.c:1:6: expected ';' after top level declarator"])
    assert not any("plugin.py" in line for line in result.outlines)


def test_a_program_that_is_stopped_is_shown_with_its_line(run: Run, pytester: pytest.Pytester) -> None:
    """The line of the test, and the line of the C; nothing of ebee's own."""
    folder = pytester.mkdir("src")
    (folder / "over.bpf.c").write_text(OVER)
    result = run(
        """
@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    from ebee.kernel.simulated import programs
    monkeypatch.setattr(programs, "check", lambda *facts: None)

@pytest.mark.ebee("../{}/src/over.bpf.c")
def test_it(bpf_object):
    bpf_object.run_packets([ARP])
""".replace("{}", pytester.path.name)
    )
    result.assert_outcomes(failed=1)
    lines = [line for line in result.outlines if line.startswith(("E ", ">"))]
    file, place = folder / "over.bpf.c", "map 'values', element 0 + 480"
    assert lines == [
        ">       bpf_object.run_packets([ARP])",
        f"E       ebee.errors.MachineError: {file}:9:20: program over: read of 8 bytes at {place}: "
        "8 bytes may be reached, from 0",
        f"E       error: {file}:9:20: program over: read of 8 bytes at {place}: "
        "8 bytes may be reached, from 0",
        "E           9 |     return value ? value[ctx->data_end - ctx->data] : 0;",
        "E             |                    ^",
    ]
    assert not any("objects.py" in line or "processor.py" in line for line in result.outlines)


def test_which_program_is_to_be_told(run: Run, pytester: pytest.Pytester) -> None:
    """Where several see packets."""
    (pytester.path / "two.bpf.c").write_text(
        '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nchar L[] SEC("license") = "GPL";\n'
        'SEC("xdp") int one(struct xdp_md *c) { return 1; }\n'
        'SEC("xdp") int two(struct xdp_md *c) { return 2; }\n'
    )
    result = run("""
@pytest.mark.ebee("two.bpf.c")
def test_two(bpf_object):
    from ebee import EbeeError
    assert bpf_object.run_packet(ARP, "two").verdict == "XDP_PASS"
    with pytest.raises(EbeeError) as caught:
        bpf_object.run_packet(ARP)
    assert str(caught.value) == (
        "run two: 2 programs of it see packets (one, two), expected the name of one"
    )
    assert caught.value.hint == "name it: run_packet(packet, 'one')"
""")
    result.assert_outcomes(passed=1)


def test_a_mark_without_a_source_changes_the_one_around_it(run: Run) -> None:
    """And one with a source begins anew."""
    result = run(
        """
pytestmark = pytest.mark.ebee("firewall.bpf.c", kernel="live", engine="native")

@pytest.mark.ebee(kernel="vm")
def test_changed(bpf_object):
    assert (bpf_object.kernel.label, bpf_object.kernel.engine) == ("vm", "native")

@pytest.mark.ebee("firewall.bpf.c")
def test_anew(bpf_object):
    assert (bpf_object.kernel.label, bpf_object.kernel.engine) == ("vm", "interpreter")
"""
    )
    result.assert_outcomes(passed=2)


def test_both_kernels_are_two_tests(run: Run) -> None:
    """The live one is skipped, with its reason, where rights lack."""
    result = run(
        """
@pytest.mark.ebee("firewall.bpf.c", kernel="both")
def test_firewall(bpf_object):
    assert bpf_object.run_packet(ARP).verdict == "XDP_PASS"
""",
        "-v",
        "-rs",
    )
    names = [line.split()[0].split("::")[1] for line in result.outlines if "::test_firewall[" in line]
    assert names == ["test_firewall[vm]", "test_firewall[live]"]
    outcomes = result.parseoutcomes()
    assert outcomes in ({"passed": 2}, {"passed": 1, "skipped": 1})


def test_the_kernel_is_chosen_on_the_command_line(run: Run) -> None:
    """For marks that name none."""
    result = run("def test_it(bpf_object): pass\n", "--ebee-kernel=both", "-v", "-rs")
    assert sum("::test_it[" in line for line in result.outlines) == 2


def test_the_plugin_imports_nothing_unasked(tmp_path: Path) -> None:
    """Whoever tests something else pays for one small module."""
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert {name for name in sys.modules if name.startswith('ebee')} == {\n"
        "        'ebee', 'ebee.version', 'ebee.testing', 'ebee.testing.plugin'}\n"
        "    assert not {'ctypes', 'ziglang'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "ebee.testing.plugin", "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_pytest_finds_the_plugin_by_itself() -> None:
    """By its entry point, wherever ebee is installed."""
    import tomllib

    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["entry-points"]["pytest11"] == {"ebee": "ebee.testing.plugin"}
