"""`ebee prog` on the running kernel, as whole processes in namespaces of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.clang import compile_c
from ebee.source import SourceText
from tests.support.objects import HELLO, PRELUDE, elf_file
from tests.support.sandbox import EBEE, SOURCE, Ran, Sandbox, unusable

_reason = unusable()
pytestmark = [
    pytest.mark.skipif(_reason is not None, reason=str(_reason)),
    pytest.mark.starts_processes,
]

PIN = "/sys/fs/bpf/hello"
MIXED = (
    PRELUDE
    + """
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8);
         __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
SEC("raw_tp/sched_process_exec") int first(void *ctx)
{
    __u32 key = 0;
    return bpf_map_lookup_elem(&counts, &key) != 0;
}
SEC("socket") int second(struct __sk_buff *skb) { return 0; }
"""
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
def pins(sandbox: Sandbox) -> Iterator[None]:
    """Take away all pins that a test makes."""
    yield
    sandbox.run("sh", "-c", "rm -rf /sys/fs/bpf/[a-ln-oq-z]*", check=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """hello and a mixed object, as C and compiled."""
    for name, text in (("hello", HELLO), ("mixed", MIXED)):
        (tmp_path / f"{name}.bpf.c").write_text(text)
        (tmp_path / f"{name}.bpf.o").write_bytes(compile_c(SourceText(f"{name}.bpf.c", text)).data)
    return tmp_path


def pinned(sandbox: Sandbox) -> set[str]:
    """Return the names in bpffs, without those the kernel makes itself."""
    names = sandbox.run("find", "/sys/fs/bpf", "-mindepth", "1").out.split()
    return {name.removeprefix("/sys/fs/bpf/") for name in names if not name.endswith(".debug")}


def refused(ran: Ran, text: str, code: int = 1) -> None:
    assert (ran.code, ran.out, ran.err) == (code, "", text)


@pytest.mark.everywhere
def test_the_story_of_hello(sandbox: Sandbox, folder: Path, pins: None) -> None:
    """Load, list, show, dump; nothing is left once the pin is gone."""
    ran = sandbox.ebee("prog", "load", folder / "hello.bpf.o", PIN)
    match = re.fullmatch(rf"hello: id (\d+), pinned at {PIN}\n", ran.out)
    assert match, ran
    number = match[1]
    shown = sandbox.ebee("prog", "show", "id", number, "--pretty").data
    assert (shown["name"], shown["type"], shown["gpl_compatible"]) == ("hello", "xdp", True)
    assert f"{number}: xdp  name hello  tag {shown['tag']}  gpl\n" in sandbox.ebee("p", "list").out
    assert sandbox.ebee("prog", "list", "-j").data.count(shown) == 1
    assert sandbox.ebee("-j", "prog", "show", "tag", shown["tag"], "-f").data
    code = sandbox.ebee("prog", "dump", "xlated", "id", number, "linum").out
    assert code.startswith("int hello(struct xdp_md * ctx):\n; ")
    assert '; bpf_printk("Hello World %d", counter); [file:' in code
    assert "call bpf_trace_printk#" in code or "call bpf_trace_vprintk#" in code
    sandbox.run("rm", PIN, check=True)
    gone = sandbox.ebee("prog", "show", "id", number)
    refused(gone, f"error: open program {number}: no program has this id\n")


def test_a_c_file_is_compiled_first_and_that_is_said(sandbox: Sandbox, folder: Path, pins: None) -> None:
    ran = sandbox.ebee("prog", "load", folder / "hello.bpf.c", PIN)
    path = folder / "hello.bpf.c"
    assert ran.code == 0
    assert ran.err == f"note: compiled {path} first; `ebee compile {path}` keeps the object\n"


def test_loadall_pins_every_program_and_the_maps(sandbox: Sandbox, folder: Path, pins: None) -> None:
    maps = "/sys/fs/bpf/kept"
    ran = sandbox.ebee(
        "-j", "prog", "loadall", folder / "mixed.bpf.o", "/sys/fs/bpf/dir", "pinmaps", maps, check=True
    )
    assert [item["pinned"] for item in ran.data["programs"]] == [
        "/sys/fs/bpf/dir/first",
        "/sys/fs/bpf/dir/second",
    ]
    assert [item["name"] for item in ran.data["maps"]] == ["counts"]
    assert pinned(sandbox) == {"dir", "dir/first", "dir/second", "kept", "kept/counts"}


def test_a_map_that_is_there_is_used_instead(sandbox: Sandbox, folder: Path, pins: None) -> None:
    sandbox.ebee(
        "prog",
        "loadall",
        folder / "mixed.bpf.o",
        "/sys/fs/bpf/dir",
        "pinmaps",
        "/sys/fs/bpf/kept",
        check=True,
    )
    there = sandbox.ebee("-j", "map", "show", "pinned", "/sys/fs/bpf/kept/counts").data["id"]
    words = ("map", "name", "counts", "pinned", "/sys/fs/bpf/kept/counts")
    sandbox.ebee("prog", "load", folder / "mixed.bpf.o", "/sys/fs/bpf/again", *words, check=True)
    shown = sandbox.ebee("-j", "prog", "show", "pinned", "/sys/fs/bpf/again").data
    assert shown["map_ids"] == [there]


def test_autoattach_pins_links_where_sections_say_the_place(
    sandbox: Sandbox, folder: Path, pins: None
) -> None:
    ran = sandbox.ebee("prog", "loadall", folder / "mixed.bpf.o", "/sys/fs/bpf/dir", "autoattach")
    assert ran.err == "note: second: its section does not say where to attach it, so it is only pinned\n"
    link = sandbox.ebee("-j", "-f", "link", "show", "pinned", "/sys/fs/bpf/dir/first").data
    assert (link["type"], link["tp_name"]) == ("raw_tracepoint", "sched_process_exec")
    assert link["pinned"] == ["/sys/fs/bpf/dir/first"]
    refused(
        sandbox.ebee("link", "detach", "id", str(link["id"])),
        f"error: detach link id {link['id']}: links of this kind cannot be detached by force (EOPNOTSUPP)\n"
        "hint: close its descriptor, or remove its pin\n",
    )


def test_processes_that_hold_a_program_are_shown_when_asked_for(
    sandbox: Sandbox, folder: Path, pins: None
) -> None:
    sandbox.ebee("prog", "load", folder / "hello.bpf.o", PIN, check=True)
    script = (
        "from ebee.kernel.live import LiveKernel as K\n"
        f"K().open_pin('{PIN}'); print('open', flush=True); input()"
    )
    words = sandbox.words(EBEE[0], "-c", script)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        shown = sandbox.ebee("-j", "prog", "show", "pinned", PIN, "--pids").data
        holder.communicate("\n")
    assert [item["pid"] for item in shown["pids"]] == [holder.pid]
    assert shown["pids"][0]["comm"].startswith("python")


def test_bpffs_is_mounted_where_it_is_not_and_that_is_said(folder: Path) -> None:
    """In a mount namespace where /sys/fs/bpf is an empty sysfs folder; --nomount leaves it so."""
    with Sandbox() as fresh:
        fresh.run("sh", "-c", "while umount /sys/fs/bpf 2>/dev/null; do :; done")
        refused(
            fresh.ebee("prog", "load", folder / "hello.bpf.o", PIN, "--nomount"),
            "error: mount bpf on /sys/fs/bpf: not done because of --nomount\n"
            "hint: leave out --nomount, or mount it: mount -t bpf bpf /sys/fs/bpf\n",
        )
        ran = fresh.ebee("prog", "load", folder / "hello.bpf.o", PIN)
        assert (ran.code, ran.err) == (0, "note: mounted bpffs on /sys/fs/bpf\n")


def test_prog_run_tries_a_program_on_a_packet(sandbox: Sandbox, folder: Path, pins: None) -> None:
    sandbox.ebee("prog", "load", folder / "hello.bpf.o", PIN, check=True)
    (folder / "packet").write_bytes(bytes(64))
    words = ("prog", "run", "pinned", PIN, "data_in", folder / "packet", "repeat", "3")
    assert sandbox.ebee(*words, "-j").data["retval"] == 2
    sandbox.ebee(*words, "data_out", folder / "out", check=True)
    assert (folder / "out").read_bytes() == bytes(64)


def test_tracelog_prints_what_programs_print(sandbox: Sandbox, folder: Path, pins: None) -> None:
    """Until Ctrl-C, which is its ordinary end."""
    sandbox.ebee("prog", "load", folder / "hello.bpf.o", PIN, check=True)
    (folder / "packet").write_bytes(bytes(64))
    words = sandbox.words(*EBEE, "prog", "tracelog", "-j")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    reader = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    assert reader.stdout is not None
    with reader.stdout:
        run = ("prog", "run", "pinned", PIN, "data_in", folder / "packet")
        # The pipe keeps lines until somebody reads them, so it does not matter who is first.
        sandbox.ebee(*run, check=True)
        line = next((line for line in reader.stdout if "Hello World" in line or '"error"' in line), "")
        reader.send_signal(2)
        code = reader.wait(timeout=30)
    if "it is being read already" in line:
        pytest.skip("another process on this machine reads the trace pipe")
    assert '"message":"Hello World ' in line
    assert code == 0


class TestWrongInput:
    """A one-line error with a hint, the right exit code, and nothing left behind."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, sandbox: Sandbox) -> Iterator[None]:
        before = pinned(sandbox)
        yield
        assert pinned(sandbox) == before

    def test_a_missing_file(self, sandbox: Sandbox, folder: Path) -> None:
        path = folder / "helo.bpf.o"
        refused(
            sandbox.ebee("prog", "load", path, PIN),
            f"error: open {path}: no such file or directory, expected a C file or a BPF object\n"
            "hint: did you mean 'hello.bpf.o'?\n",
        )

    def test_an_error_in_c(self, sandbox: Sandbox, folder: Path) -> None:
        path = folder / "broken.bpf.c"
        path.write_text(HELLO.replace("return XDP_PASS;", "return XDP_PASS"))
        ran = sandbox.ebee("prog", "load", path, PIN)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(
            f"error: {path}:11:20: expected ';' after return statement\n"
            "   11 |     return XDP_PASS\n"
            "      |                    ^\n"
        )

    def test_an_object_for_another_machine(self, sandbox: Sandbox, folder: Path) -> None:
        path = folder / "host.o"
        path.write_bytes(elf_file([(".text", 1, 6, bytes(8))], machine=62))
        refused(
            sandbox.ebee("prog", "load", path, PIN),
            f"error: object {path}: for machine x86-64, expected BPF\n"
            "hint: compile it with `ebee compile`, or with clang's -target bpf\n",
        )

    def test_a_truncated_object(self, sandbox: Sandbox, folder: Path) -> None:
        data = (folder / "hello.bpf.o").read_bytes()
        path = folder / "cut.bpf.o"
        path.write_bytes(data[:700])
        ran = sandbox.ebee("prog", "load", path, PIN)
        assert (ran.code, ran.out) == (1, "")
        assert re.fullmatch(
            rf"error: ELF file {path}: the table of sections ends at \d+, expected within 700 bytes\n",
            ran.err,
        )

    def test_an_unknown_section(self, sandbox: Sandbox, folder: Path) -> None:
        path = folder / "section.bpf.o"
        path.write_bytes(compile_c(SourceText("s.bpf.c", HELLO.replace('SEC("xdp")', 'SEC("xpd")'))).data)
        refused(
            sandbox.ebee("prog", "load", path, PIN),
            "error: program hello: section 'xpd' is not known\nhint: did you mean 'xdp'?\n",
        )

    def test_a_path_not_on_bpffs(self, sandbox: Sandbox, folder: Path) -> None:
        for words in (("load", folder / "x"), ("loadall", folder)):
            ran = sandbox.ebee("prog", words[0], folder / "hello.bpf.o", words[1])
            place = folder / ("x" if words[0] == "load" else "hello")
            assert (ran.code, ran.out) == (1, "")
            assert ran.err.startswith(f"error: pin at {place}: {folder} is on ")
            assert ran.err.endswith(
                ", expected bpffs\n"
                f"hint: use a path below /sys/fs/bpf, or mount one there: mount -t bpf bpf {folder}\n"
            )

    def test_a_folder_that_loadall_made_goes_when_it_fails(self, sandbox: Sandbox, folder: Path) -> None:
        assert sandbox.ebee("prog", "loadall", folder / "hello.bpf.o", folder / "new").code == 1
        assert not (folder / "new").exists()

    def test_a_folder_that_is_not_there(self, sandbox: Sandbox, folder: Path) -> None:
        refused(
            sandbox.ebee("prog", "load", folder / "hello.bpf.o", "/sys/fs/bpf/no/hello"),
            "error: pin at /sys/fs/bpf/no/hello: there is no folder /sys/fs/bpf/no\n"
            "hint: make it first: mkdir -p /sys/fs/bpf/no\n",
        )

    def test_a_name_that_is_pinned_already(self, sandbox: Sandbox, folder: Path) -> None:
        sandbox.ebee("prog", "load", folder / "hello.bpf.o", PIN, check=True)
        refused(
            sandbox.ebee("prog", "load", folder / "hello.bpf.o", PIN),
            f"error: pin at {PIN}: the name is taken\nhint: remove it first: rm {PIN}\n",
        )
        sandbox.run("rm", PIN, check=True)

    def test_all_pins_are_taken_back_when_one_fails(self, sandbox: Sandbox, folder: Path) -> None:
        sandbox.run("mkdir", "-p", "/sys/fs/bpf/dir/second", check=True)
        refused(
            sandbox.ebee("prog", "loadall", folder / "mixed.bpf.o", "/sys/fs/bpf/dir"),
            "error: pin at /sys/fs/bpf/dir/second: the name is taken\n"
            "hint: remove it first: rm /sys/fs/bpf/dir/second\n",
        )
        assert pinned(sandbox) == {"dir", "dir/second"}
        sandbox.run("rmdir", "/sys/fs/bpf/dir/second", "/sys/fs/bpf/dir", check=True)

    def test_a_program_the_verifier_refuses(self, sandbox: Sandbox, folder: Path) -> None:
        path = folder / "lookup.bpf.c"
        path.write_text(MIXED.replace("return bpf_map_lookup_elem(&counts, &key) != 0;", BAD_LOOKUP))
        ran = sandbox.ebee("-j", "prog", "load", path, PIN)
        assert ran.code == 1
        assert ran.data["error"].startswith(f"{path}:")
        assert "'value' may be NULL" in ran.data["error"]
        ran = sandbox.ebee("prog", "load", path, PIN, "-v")
        assert "\nthe verifier's log:\n" in ran.err

    def test_no_rights(self, sandbox: Sandbox, folder: Path) -> None:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, to give up all rights")
        folder.chmod(0o755)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
        environment = {"PYTHONPATH": str(SOURCE)}
        ran = sandbox.run(*nobody, *EBEE, "prog", "list", env=environment)
        refused(
            ran,
            "error: list programs: this process lacks CAP_SYS_ADMIN (EPERM)\n"
            "hint: sudo cannot give it here; a container gets it by docker run --cap-add SYS_ADMIN, "
            "a systemd unit by CapabilityBoundingSet=\n",
        )

    @pytest.mark.parametrize(
        ("line", "text"),
        [
            (
                "prog show pinned /sys/fs/bpf/nothing",
                "error: open pin /sys/fs/bpf/nothing: there is no such file\n",
            ),
            (
                "prog show id 4294967294",
                "error: open program 4294967294: no program has this id\n",
            ),
            (
                "prog dump xlated name no_such_program_at_all",
                "error: program name no_such_program_at_all: no program in the kernel has this name\n"
                "hint: see what there is: ebee prog list\n",
            ),
            (
                "prog dump jited id 1",
                "error: prog dump jited: ebee cannot show machine code yet\n"
                "hint: see what it is made from: prog dump xlated\n",
            ),
            (
                "prog run id 4294967294 data_in /nothing",
                "error: read /nothing: no such file or directory, expected a packet\n",
            ),
        ],
    )
    def test_what_is_not_there(self, sandbox: Sandbox, line: str, text: str) -> None:
        refused(sandbox.ebee(*line.split()), text)


BAD_LOOKUP = """
    __u64 *value = bpf_map_lookup_elem(&counts, &key);
    return *value;"""
