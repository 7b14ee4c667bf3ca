"""The running kernel is taken where it lets this process, the userspace machine where it does not."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import pytest

import ebee
from ebee.errors import EbeeError, Notice, NotPermittedError, NotSupportedError, SpecError, VerifierError
from ebee.kernel.protocol import Kernel, LoadAnswer
from ebee.kernel.simulated import SimulatedKernel
from ebee.sessions import kernels
from ebee.sessions.c import load, open_spec, start, trace_pipe
from ebee.sessions.kernels import choose_kernel, on_kernel
from tests.support.kernel import FakeKernel
from tests.support.objects import HELLO, compiled, spec_of

_DENIED = NotPermittedError("load it: this process lacks CAP_BPF (EPERM)", errno=1)
_FRAME = bytes(60)


@pytest.fixture(autouse=True)
def _machine_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_shared", [])
    monkeypatch.setattr(kernels, "_fallen_back", set())


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKernel]:
    """A running kernel that takes everything, until a test says otherwise."""
    kernel = FakeKernel()
    monkeypatch.setattr(kernels, "live_kernel", lambda: kernel)
    yield kernel
    assert kernel.open == {}


def _notices(action: object) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        action()  # type: ignore[operator]
    return [str(item.message) for item in said if item.category is Notice]


def test_the_running_kernel_is_taken_where_it_lets_this_process(running: FakeKernel) -> None:
    """Nothing is said."""
    assert _notices(lambda: choose_kernel()) == []
    assert choose_kernel() is running
    assert choose_kernel("auto") is running
    assert choose_kernel("live") is running


def test_a_kernel_is_taken_as_it_is(running: FakeKernel) -> None:
    """Whichever it is."""
    kernel = SimulatedKernel()
    assert choose_kernel(kernel) is kernel
    assert on_kernel(kernel, lambda chosen: chosen) is kernel


def test_vm_is_the_same_machine_each_time() -> None:
    """A process has one; an engine that is named gets one of its own."""
    first = choose_kernel("vm")
    assert isinstance(first, SimulatedKernel)
    assert choose_kernel("vm", devices=["wlan7"]) is first
    assert "wlan7" in [device.name for device in first.net_devices()]
    other = choose_kernel("vm", engine="interpreter")
    assert other is not first
    assert isinstance(other, SimulatedKernel)
    assert other.engine == "interpreter"


def test_a_kernel_of_no_such_name_says_what_there_is() -> None:
    """Engines likewise."""
    with pytest.raises(SpecError) as caught:
        choose_kernel("wm")
    assert str(caught.value) == "choose a kernel: 'wm', expected auto, live, vm"
    with pytest.raises(SpecError) as caught:
        choose_kernel("vm", engine="jit")
    assert str(caught.value) == "userspace machine: engine 'jit', expected auto, interpreter, native"


def test_without_rights_the_machine_is_taken_and_said_once(running: FakeKernel) -> None:
    """For each reason."""
    refusal = LoadAnswer(-1, 95, "")
    running.refusals = [refusal, refusal]
    said = _notices(lambda: choose_kernel())
    assert said == [
        "load a program: this kernel has no XDP programs (EOPNOTSUPP); "
        "it runs on the userspace machine instead, which nothing real arrives at"
    ]
    assert _notices(lambda: choose_kernel()) == []


def test_a_system_that_is_not_linux_has_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running kernel is refused when it is asked for by name."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotSupportedError) as caught:
        choose_kernel("live")
    assert str(caught.value) == "use the running kernel: this system is darwin, expected Linux"
    assert caught.value.hint == "the userspace machine runs programs everywhere: kernel='vm'"
    assert len(_notices(lambda: choose_kernel())) == 1


def test_what_the_running_kernel_refuses_is_done_on_the_machine(running: FakeKernel) -> None:
    """And said with the refusal's words."""
    asked: list[Kernel] = []

    def action(kernel: Kernel) -> str:
        asked.append(kernel)
        if kernel is running:
            raise _DENIED
        return kernel.label

    said = _notices(lambda: asked.append(on_kernel(None, action)))  # type: ignore[arg-type]
    assert [getattr(kernel, "label", kernel) for kernel in asked] == ["fake", "vm", "vm"]
    assert said == [
        "load it: this process lacks CAP_BPF (EPERM); "
        "it runs on the userspace machine instead, which nothing real arrives at"
    ]
    with pytest.raises(NotPermittedError):
        on_kernel("live", action)


def test_where_both_refuse_the_running_kernel_s_word_counts(running: FakeKernel) -> None:
    """It is no want of rights then, and nothing is said of the machine."""

    def action(kernel: Kernel) -> None:
        raise _DENIED if kernel is running else NotSupportedError("neither")

    def asked() -> None:
        with pytest.raises(NotPermittedError) as caught:
            on_kernel(None, action)
        assert caught.value is _DENIED

    assert _notices(asked) == []


def test_errors_of_the_user_s_come_from_the_machine(running: FakeKernel) -> None:
    """A program that no kernel takes is refused there."""
    running.failing["map_create"] = _DENIED
    bad = 'SEC("xdp") int bad(struct xdp_md *ctx) { return *(int *)(long)ctx->data; } int counter = 0;'

    def asked() -> None:
        with pytest.raises(VerifierError) as caught:
            load(spec_of(bad + 'SEC("xdp") int use(void *c) { return counter++; }'))
        assert "bad" in str(caught.value)

    assert len(_notices(asked)) == 1


def test_an_object_runs_without_rights(running: FakeKernel) -> None:
    """What its programs print is heard by who asks for the trace pipe next."""
    running.failing["map_create"] = _DENIED
    with pytest.warns(Notice, match="userspace machine"):
        obj = load(compiled(HELLO, "hello.bpf.c"))
    with obj, obj.programs["hello"].attach("xdp:eth0"), trace_pipe() as pipe:
        assert isinstance(obj.kernel, SimulatedKernel)
        obj.kernel.receive("eth0", _FRAME)
        assert [line.message for line in pipe.read_available()] == ["Hello World 0"]
        assert obj.variables["counter"].value == 1


def test_a_session_on_the_machine_has_the_interface_that_is_named() -> None:
    """Whatever its name."""
    with start(open_spec(compiled(HELLO, "hello.bpf.c")), device="wlan42", kernel="vm") as running:
        kernel = running.loaded.kernel
        assert isinstance(kernel, SimulatedKernel)
        assert kernel.receive("wlan42", _FRAME).verdict == "pass"
        assert [line.message for line in running.lines(0)] == ["Hello World 0"]


def test_load_takes_names_of_kernels() -> None:
    """By the façade, too."""
    with ebee.load(compiled(HELLO, "hello.bpf.c"), kernel="vm") as obj:
        assert obj.kernel.label == "vm"
        assert obj.programs["hello"].test_run(_FRAME).return_value == 2
    with pytest.raises(EbeeError) as caught:
        ebee.load(compiled(HELLO, "hello.bpf.c"), kernel="kvm")
    assert str(caught.value) == "choose a kernel: 'kvm', expected auto, live, vm"
