"""From a C file or an object to running programs: sources, places, and all or nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ebee.errors import AttachError, EbeeError, FormatError, Notice, SpecError
from ebee.sessions.c import attach_points, load, open_spec, prints, start
from ebee.spec import AttachPoint
from tests.support.kernel import FakeKernel
from tests.support.objects import HELLO, compiled, spec_of


def test_a_source_is_a_c_file_an_object_its_bytes_or_a_spec(tmp_path: Path) -> None:
    """All give the same programs."""
    c_file, object_file = tmp_path / "hello.bpf.c", tmp_path / "hello.bpf.o"
    c_file.write_text(HELLO)
    data = compiled(HELLO, "hello.bpf.c")
    object_file.write_bytes(data)
    specs = [open_spec(source) for source in (c_file, str(c_file), object_file, data)]
    assert [list(spec.programs) for spec in specs] == [["hello"]] * 4
    assert [spec.name for spec in specs] == ["hello", "hello", "hello", "bytes"]
    assert open_spec(specs[0]) is specs[0]


def test_what_the_compiler_warns_of_is_said(tmp_path: Path) -> None:
    """As a Notice with its place."""
    c_file = tmp_path / "warn.bpf.c"
    c_file.write_text("static int unused(void) { return 1; }\n#warning think again\n")
    with pytest.warns(Notice, match="think again"):
        open_spec(c_file)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "helo.o",
            "open {}/helo.o: no such file or directory, expected a C file or a BPF object",
            "did you mean 'hello.o'?",
        ),
        (
            "no/hello.o",
            "open {}/no/hello.o: no such file or directory, expected a C file or a BPF object",
            "there is no folder {}/no",
        ),
        ("", "open {}/: is a directory, expected a C file or a BPF object", None),
        ("text.txt", "open {}/text.txt: is text, expected a BPF object", "name C files with the ending .c"),
        ("empty.o", "ELF file {}/empty.o: begins with nothing, expected 7f 45 4c 46 (ELF)", None),
    ],
)
def test_a_file_that_is_none_of_these_says_what_it_is(
    name: str, message: str, hint: str | None, tmp_path: Path
) -> None:
    """With the nearest name where there is no such file."""
    (tmp_path / "hello.o").touch()
    (tmp_path / "empty.o").touch()
    (tmp_path / "text.txt").write_text("int main() {}")
    with pytest.raises((SpecError, FormatError)) as caught:
        open_spec(f"{tmp_path}/{name}")
    error = caught.value
    assert isinstance(error, EbeeError)
    assert str(error) == message.format(tmp_path)
    assert error.hint == (hint and hint.format(tmp_path))


def test_variables_are_set_before_loading() -> None:
    """Constants too; unknown ones are named with the nearest."""
    kernel = FakeKernel()
    spec = spec_of('const volatile int limit = 1; SEC("xdp") int it(void *c) { return limit; }')
    load(spec, variables={"limit": 5}, kernel=kernel).close()
    assert kernel.asked("map_update")[0][2] == (5).to_bytes(4, "little")
    with pytest.raises(SpecError) as caught:
        load(spec, variables={"limits": 5}, kernel=kernel)
    assert str(caught.value) == "object test: there is no global variable 'limits'"
    assert caught.value.hint == "did you mean 'limit'?"


_ALL = """
    SEC("xdp") int packets(void *c) { return 2; }
    SEC("socket") int filter(void *c) { return 0; }
    SEC("raw_tp/sched_switch") int raw(void *c) { return 0; }
    SEC("?xdp") int later(void *c) { return 0; }
"""


def test_each_program_goes_where_its_section_or_the_device_says() -> None:
    """Those that are not loaded go nowhere."""
    assert attach_points(spec_of(_ALL), device="eth0", xdp_family="xdpgeneric") == {
        "packets": AttachPoint("xdpgeneric", "eth0"),
        "filter": AttachPoint("socket", "eth0"),
        "raw": AttachPoint("raw_tp", "sched_switch"),
    }


def test_a_program_without_a_place_says_what_is_missing() -> None:
    """A device, or another way."""
    with pytest.raises(SpecError) as caught:
        attach_points(spec_of(_ALL), device=None)
    assert str(caught.value) == "attach packets: programs of type XDP go on an interface, none is named"
    with pytest.raises(SpecError) as caught:
        attach_points(spec_of('SEC("cgroup_skb/egress") int it(void *c) { return 1; }'), device=None)
    assert str(caught.value) == (
        "attach it: section 'cgroup_skb/egress' does not say where a program of type CGROUP_SKB goes"
    )


def test_only_programs_that_print_make_one_listen() -> None:
    """Listening takes lines away from others."""
    assert prints(spec_of('SEC("xdp") int it(void *c) { bpf_printk("x"); return 0; }'))
    assert not prints(spec_of(_ALL))


def test_running_attaches_all_and_closing_takes_all_back() -> None:
    """In one go."""
    kernel = FakeKernel()
    spec = spec_of('SEC("xdp") int it(void *c) { return 2; } SEC("raw_tp/x") int raw(void *c) { return 0; }')
    with start(spec, device="eth0", kernel=kernel) as running:
        assert [str(link.point) for link in running.links] == ["xdp:eth0", "raw_tp:x"]
        assert not running.prints
        assert list(running.lines(0)) == []
    assert kernel.open == {}


def test_a_place_that_is_refused_leaves_nothing_attached() -> None:
    """Nor loaded."""
    kernel = FakeKernel()
    kernel.failing["raw_tracepoint_open"] = AttachError("no", errno=errno.EINVAL)
    spec = spec_of('SEC("xdp") int it(void *c) { return 2; } SEC("raw_tp/x") int raw(void *c) { return 0; }')
    with pytest.raises(AttachError):
        start(spec, device="eth0", kernel=kernel)
    assert kernel.asked("link_create") != []
    assert kernel.open == {}


def test_an_object_attaches_what_says_its_place_and_takes_it_back_whole() -> None:
    """LoadedObject.attach: all or nothing, closed first."""
    kernel = FakeKernel()
    spec = spec_of(
        'SEC("raw_tp/x") int a(void *c) { return 0; } SEC("raw_tp/y") int b(void *c) { return 0; }'
    )
    with load(spec, kernel=kernel) as loaded:
        assert [link.program for link in loaded.attach()] == ["a", "b"]
        assert [link.program for link in loaded.links] == ["a", "b"]
    closed = [str(what) for what in kernel.asked("close")]
    assert closed[:2] == ["raw tracepoint y", "raw tracepoint x"]
    assert kernel.open == {}


def test_an_object_without_a_program_cannot_be_run() -> None:
    """A forgotten SEC() is legal C, and says nothing of itself."""
    with pytest.raises(SpecError) as caught:
        start(spec_of("int forgotten(struct xdp_md *ctx) { return XDP_PASS; }"), kernel=FakeKernel())
    assert str(caught.value) == "run test: it has no program"
    assert caught.value.hint == 'put a section before a function: SEC("xdp")'
