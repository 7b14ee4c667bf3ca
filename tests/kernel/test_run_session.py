"""A C file runs: compiled, loaded, attached, heard, and taken off again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.errors import AttachError, KernelError, VerifierError
from ebee.kernel.live import LiveKernel
from ebee.sessions.c import load, open_spec, start, trace_pipe
from ebee.testing import VethPair, private_network
from tests.kernel.door import needs_root
from tests.kernel.place import FRAME, write

pytestmark = needs_root
KERNEL = LiveKernel()


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Skip where somebody else listens: the trace pipe is one for the machine."""
    try:
        trace_pipe().close()
    except KernelError:
        pytest.skip("another process on this machine reads the trace pipe")


@pytest.fixture
def net() -> Iterator[VethPair]:
    with private_network() as made:
        yield made


def test_what_a_program_prints_is_heard(net: VethPair, tmp_path: Path) -> None:
    """Its own lines, with the message's parts in place."""
    path = write(
        tmp_path,
        'int n; SEC("xdp") int say(struct xdp_md *c) { bpf_printk("ebee says %d", n++); return XDP_PASS; }',
    )
    with start(open_spec(path), device=net.a) as running:
        assert running.prints
        net.send(FRAME, count=3)
        heard = [line.message for line in running.lines(0.5) if line.message.startswith("ebee says")]
    assert heard[:3] == ["ebee says 0", "ebee says 1", "ebee says 2"]
    assert [device.name for device in KERNEL.net_devices() if device.xdp] == []


def test_the_trace_pipe_iterates(net: VethPair, tmp_path: Path) -> None:
    """As long as one goes on asking."""
    path = write(tmp_path, 'SEC("xdp") int say(struct xdp_md *c) { bpf_printk("ebee iterates"); return 2; }')
    with (
        load(path) as obj,
        trace_pipe() as lines,
        obj.programs["say"].attach(f"xdpgeneric:{net.a}"),
    ):
        net.send(FRAME)
        line = next(each for each in lines if each.message == "ebee iterates")
    assert line.timestamp_s > 0
    assert line.pid >= 0


def test_a_refused_program_attaches_nothing(net: VethPair, tmp_path: Path) -> None:
    """The others neither."""
    path = write(
        tmp_path,
        """
        SEC("xdp") int good(struct xdp_md *ctx) { return 2; }
        SEC("xdp") int bad(struct xdp_md *ctx) { return *(int *)(long)ctx->data; }
        """,
    )
    with pytest.raises(VerifierError):
        start(open_spec(path), device=net.a)
    assert all(not device.xdp for device in KERNEL.net_devices())


def test_a_place_that_is_taken_takes_all_off_again(net: VethPair, tmp_path: Path) -> None:
    """Two XDP programs do not fit on one interface."""
    path = write(
        tmp_path,
        """
        SEC("xdp") int one(struct xdp_md *ctx) { return 2; }
        SEC("xdp") int two(struct xdp_md *ctx) { return 2; }
        """,
    )
    with pytest.raises(AttachError, match=r"attach two to xdp:veth0: veth0 already runs program id \d+"):
        start(open_spec(path), device=net.a)
    assert all(not device.xdp for device in KERNEL.net_devices())
