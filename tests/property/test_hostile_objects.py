"""Objects from anywhere: an error or a result, never anything else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.btf import Btf
from ebee.btf.types import Member
from ebee.errors import EbeeError, Notice
from ebee.loader import load
from ebee.objfile import read_object
from ebee.relocate import link
from tests.support.kernel import FakeKernel
from tests.support.objects import HELLO, compiled, elf_file
from tests.unit.btf.builder import Builder

_RICH = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long);
} one SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, int);
         __array(values, struct inner); } outer SEC(".maps") = { .values = { &one } };
extern int LINUX_KERNEL_VERSION __kconfig;
extern void missing_function(void) __ksym __weak;
const volatile int limit = 7;
static long seen;
struct task_struct { int pid; } __attribute__((preserve_access_index));
static __noinline int sub(struct task_struct *task)
{
    seen++;
    return task->pid + limit + LINUX_KERNEL_VERSION;
}
SEC("tp_btf/sched_switch") int it(__u64 *ctx)
{
    if (missing_function)
        missing_function();
    return sub((void *)ctx[1]);
}
SEC("xdp") int hello(struct xdp_md *ctx) { bpf_printk("%d", limit); return XDP_PASS; }
char LICENSE[] SEC("license") = "GPL";
"""


_NAMES = [".maps", ".BTF", ".BTF.ext", "xdp", ".text", "license", ".bss", ".rodata", ".symtab"]


def _kernel_types() -> Btf:
    """Return a small kernel's types: a task, and the tracepoint that the object names."""
    types = Builder()
    number = types.integer("int", 4, signed=True)
    types.struct("task_struct", 8, Member("state", number, 0), Member("pid", number, 32))
    types.typedef("btf_trace_sched_switch", types.pointer())
    return types.btf()


@pytest.fixture(autouse=True, scope="module")
def _small_kernel() -> Iterator[None]:
    types = _kernel_types()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeKernel, "types", lambda _: types)
        yield


def _read(data: bytes) -> None:
    """Read, link, look at all there is, and load; only ebee's own errors may come out."""
    for action in (_look, _load):
        message = "one line"
        try:
            action(data)
        except EbeeError as error:
            message = str(error)
        assert message
        assert "\n" not in message


def _look(data: bytes) -> None:
    spec = read_object(data, "hostile.o")
    for program in spec.programs.values():
        link(program.function, spec.functions)
    for variable in spec.variables.values():
        _ = variable.value


def _load(data: bytes) -> None:
    """Load into a kernel that takes everything; whatever comes of it, nothing stays open."""
    kernel = FakeKernel()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)  # bpffs mounted, for a map that became a pinned one
            with load(read_object(data, "hostile.o"), kernel) as loaded:
                assert len(kernel.asked("program_load")) == len(loaded.programs)
    finally:
        assert kernel.open == {}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_real_object_with_bytes_changed_gives_an_error_or_a_spec(data: st.DataObject) -> None:
    """Any few bytes of a real object may be anything."""
    text = data.draw(st.sampled_from([HELLO, _RICH]))
    broken = bytearray(compiled(text, "hostile.bpf.c"))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    _read(bytes(broken))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([HELLO, _RICH]), st.floats(0, 1))
def test_a_real_object_cut_short_gives_an_error_or_a_spec(text: str, part: float) -> None:
    """A download that broke off is an object, too."""
    whole = compiled(text, "hostile.bpf.c")
    _read(whole[: int(len(whole) * part)])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [".maps", ".BTF", ".BTF.ext", "xdp", ".text", "license", ".bss", ".rodata", ".symtab"]
            ),
            st.integers(0, 12),
            st.integers(0, 7),
            st.binary(max_size=80),
        ),
        max_size=6,
    )
)
def test_sections_of_any_kind_with_any_bytes_give_an_error_or_a_spec(
    sections: list[tuple[str, int, int, bytes]],
) -> None:
    """The names mean what they mean, whatever stands in them."""
    _read(elf_file(sections))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_an_error_or_a_spec(data: bytes) -> None:
    """So does a file of nothing in particular, with and without the magic number."""
    _read(data)
    _read(b"\x7fELF\x02\x01\x01" + data)
