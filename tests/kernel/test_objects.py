"""Objects on the running kernel: loaded, tried out, refused, and nothing left."""

from __future__ import annotations

import errno

import pytest

from ebee.errors import GoneError, NotSupportedError, VerifierError
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import LoadAnswer, ProgramLoad
from ebee.sessions.c import load
from tests.kernel.door import needs_root
from tests.kernel.place import FRAME
from tests.support.objects import HELLO, compiled, spec_of

pytestmark = needs_root
KERNEL = LiveKernel()


def test_hello_runs_on_a_packet_and_counts() -> None:
    """Without being attached anywhere."""
    with load(compiled(HELLO, "hello.bpf.c")) as obj:
        hello = obj.programs["hello"]
        result = hello.test_run(FRAME, repeat=3)
        assert (result.return_value, result.data) == (2, FRAME)
        assert obj.variables["counter"].value == 3
        assert hello.info().name == "hello"
        assert hello.id == hello.info().id


def test_programs_carry_types_and_lines_into_the_kernel() -> None:
    """So that `prog dump` shows the C lines."""
    with load(compiled(HELLO, "hello.bpf.c")) as obj:
        info = KERNEL.program_info(obj.programs["hello"].fd, code=True)
        assert info.btf_id
        assert len(info.func_info) == info.func_info_record_bytes
        assert info.line_info


def test_a_closed_program_says_so() -> None:
    """Closing twice does nothing."""
    obj = load(compiled(HELLO, "hello.bpf.c"))
    obj.close()
    obj.close()
    with pytest.raises(GoneError) as caught:
        obj.programs["hello"].info()
    assert str(caught.value) == "program hello: used after it was closed"


_TAIL = """
    int deny(struct xdp_md *ctx); int again(struct xdp_md *ctx);
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __uint(key_size, 4);
             __array(values, int (void *)); } jumps SEC(".maps") = { .values = {
        [1] = (void *)&deny, [3] = (void *)&again } };
    int depth;
    SEC("xdp") int deny(struct xdp_md *ctx) { return 1; }
    SEC("xdp") int again(struct xdp_md *ctx) { if (++depth < 5) bpf_tail_call(ctx, &jumps, 3);
                                               bpf_tail_call(ctx, &jumps, 1); return 0; }
    SEC("xdp") int start(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 3); return 2; }
"""


def test_tail_calls_reach_the_programs_that_the_array_names() -> None:
    """From slot to slot."""
    with load(spec_of(_TAIL)) as obj:
        assert obj.programs["start"].test_run(FRAME).return_value == 1
        assert obj.variables["depth"].value == 5


_SUBPROGRAMS = """
    static __noinline long add(long a, long b) { return a + b; }
    __noinline int twice(int a) { return add(a, a); }
    static long each(__u32 index, void *sum) { *(long *)sum += index; return 0; }
    SEC("xdp") int it(struct xdp_md *ctx)
    {
        long sum = 0;
        bpf_loop(5, each, &sum, 0);
        return twice(sum);
    }
"""


def test_subprograms_and_callbacks_are_linked() -> None:
    """Static, global, and by their address."""
    with load(spec_of(_SUBPROGRAMS)) as obj:
        assert obj.programs["it"].test_run(FRAME).return_value == 20


_CORE = """
    struct task_struct___mine { int pid; int no_such_member; } __attribute__((preserve_access_index));
    struct nothing_like_this___x { int a; };
    int pid, has_pid = -1, has_none = -1, size = -1;
    SEC("raw_tp/sys_enter") int it(void *ctx)
    {
        struct task_struct___mine *task = (void *)bpf_get_current_task();
        has_pid = bpf_core_field_exists(task->pid);
        has_none = bpf_core_field_exists(task->no_such_member);
        size = bpf_core_type_exists(struct nothing_like_this___x);
        return 0;
    }
"""


def test_core_relocations_answer_what_this_kernel_has() -> None:
    """Fields that are there, fields and types that are not."""
    with load(spec_of("#include <bpf/bpf_core_read.h>\n" + _CORE)) as obj:
        with obj.programs["it"].attach():
            KERNEL.net_devices()
        found = {name: obj.variables[name].value for name in ("has_pid", "has_none", "size")}
    assert found == {"has_pid": 1, "has_none": 0, "size": 0}


def test_values_of_the_kernels_configuration_arrive() -> None:
    """LINUX_KERNEL_VERSION is there without any configuration."""
    text = """
        extern int LINUX_KERNEL_VERSION __kconfig; extern int CONFIG_NOT_SUCH __kconfig __weak;
        SEC("xdp") int it(struct xdp_md *ctx) { return (LINUX_KERNEL_VERSION >> 16) + CONFIG_NOT_SUCH; }
    """
    from os import uname

    with load(spec_of(text)) as obj:
        assert obj.programs["it"].test_run(FRAME).return_value == int(uname().release.partition(".")[0])
        assert obj.variables["CONFIG_NOT_SUCH"].value == 0


def test_a_symbol_of_the_kernel_has_its_address() -> None:
    """`extern const void name __ksym`."""
    from ebee.host.kallsyms import kernel_symbols

    text = """
        extern const void bpf_prog_put __ksym; extern const void no_such_symbol __ksym __weak;
        unsigned long there, none = 1;
        SEC("xdp") int it(struct xdp_md *c) { there = (long)&bpf_prog_put; none = (long)&no_such_symbol;
                                              return 2; }
    """
    symbol = kernel_symbols().find("bpf_prog_put")
    if symbol is None or not symbol.address:
        pytest.skip("the kernel hides the addresses of its symbols")
    with load(spec_of(text)) as obj:
        obj.programs["it"].test_run(FRAME)
        assert obj.variables["there"].value == symbol.address
        assert obj.variables["none"].value == 0


def test_a_refused_program_takes_those_before_it_along() -> None:
    """Each descriptor is given back."""
    text = """
        int seen;
        SEC("xdp") int good(struct xdp_md *ctx) { seen++; return 2; }
        SEC("xdp") int bad(struct xdp_md *ctx) { return *(int *)(long)ctx->data; }
    """
    with pytest.raises(VerifierError) as caught:
        load(spec_of(text))
    assert caught.value.program == "bad"
    assert "\n" not in str(caught.value)
    assert caught.value.log


def test_a_long_log_is_fetched_whole() -> None:
    """Longer than the first room for it."""
    lines = "".join(f"if (ctx->rx_queue_index & {1 << n % 31}) seen += {n};" for n in range(1500))
    text = f"""
        volatile int seen;
        SEC("xdp") int it(struct xdp_md *ctx) {{ {lines} return *(int *)(long)seen; }}
    """
    with pytest.raises(VerifierError) as caught:
        load(spec_of(text))
    assert len(caught.value.log) > 1 << 16
    assert "processed" in caught.value.log.splitlines()[-1]


def test_programs_of_a_type_that_cannot_be_tried_say_so() -> None:
    """Tracepoints have no packet to be given."""
    with (
        load(spec_of('SEC("tp/sched/sched_switch") int it(void *c) { return 0; }')) as obj,
        pytest.raises(NotSupportedError),
    ):
        obj.programs["it"].test_run()


class _OldKernel(LiveKernel):
    """A kernel that does not know XDP's attach type."""

    def program_load(self, request: ProgramLoad) -> LoadAnswer:
        if request.expected_attach_type:
            return LoadAnswer(-1, errno.E2BIG, "")
        return super().program_load(request)


def test_kernels_that_do_not_know_an_attach_type_load_without() -> None:
    """As those before 5.9."""
    with load(compiled(HELLO, "hello.bpf.c"), kernel=_OldKernel()) as obj:
        assert obj.programs["hello"].test_run(FRAME).return_value == 2


@pytest.mark.parametrize("cpu", ["v1", "v2", "v3", "v4"])
@pytest.mark.parametrize("debug", [True, False])
def test_every_instruction_set_loads_with_and_without_types(cpu: str, debug: bool) -> None:
    """Without -g there are no lines, and variables are bytes."""
    from ebee.clang import CompileOptions, compile_c
    from ebee.source import SourceText

    options = CompileOptions(cpu=cpu, debug=debug)
    data = compile_c(SourceText("hello.bpf.c", HELLO), options=options).data
    with load(data) as obj:
        obj.programs["hello"].test_run(FRAME)
        assert obj.variables["counter"].value in (1, (1).to_bytes(4, "little"))


def test_a_weak_kernel_function_that_is_missing_and_called_is_named() -> None:
    """The verifier knows it by a number only."""
    text = """
        extern int no_such_function(void) __ksym __weak;
        SEC("xdp") int it(struct xdp_md *ctx) { return no_such_function(); }
    """
    with pytest.raises(VerifierError) as caught:
        load(spec_of(text))
    assert str(caught.value).endswith(
        "program it: calls no_such_function(), a function that this kernel does not have"
    )
    assert caught.value.hint == "ask for it first: if (bpf_ksym_exists(NAME))"
