"""What tests share that hold the userspace machine against the running kernel: one program in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from ebee.btf.types import Kind
from ebee.errors import KernelError
from ebee.host.kernel_types import kernel_types
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import Kernel
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import LoadedObject, load
from tests.support.objects import spec_of

INCLUDES = "#include <bpf/bpf_endian.h>\n"
UDP = bytes.fromhex("0035003500200000") + bytes(range(40))
V4 = bytes(12) + bytes.fromhex("08004500003412344000401100000a0000010a000002") + UDP
V6 = bytes(12) + bytes.fromhex("86dd6000000000281140") + bytes(range(32)) + UDP
TAGGED = bytes(range(12)) + bytes.fromhex("81000005") + V4[12:]
TAGGED_TWICE = bytes(range(12)) + bytes.fromhex("88a80007") + TAGGED[12:]
ARP = b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes(40)
FRAMES = {"v4": V4, "v6": V6, "tag": TAGGED, "tags": TAGGED_TWICE, "arp": ARP, "short": V4[:34]}

SKB_STATE = """
    r[n++] = s->len; r[n++] = s->protocol; r[n++] = s->vlan_present; r[n++] = s->vlan_tci;
    r[n++] = s->vlan_proto; r[n++] = (long)s->data_end - (long)s->data; r[n++] = s->hash;
    r[n++] = s->pkt_type;
    { char b[8] = {};
      r[n++] = bpf_skb_load_bytes_relative(s, 0, b, 8, 1); r[n++] = *(long *)b;
      r[n++] = bpf_skb_load_bytes_relative(s, 10, b, 8, 0); r[n++] = *(long *)b; }
"""
XDP_STATE = """
    r[n++] = (long)s->data_end - (long)s->data; r[n++] = (long)s->data - (long)s->data_meta;
    r[n++] = s->ingress_ifindex; r[n++] = s->rx_queue_index; r[n++] = bpf_xdp_get_buff_len(s);
"""

Answer = tuple[object, ...]


class Pair:
    """One object in both kernels, and in the simulated one with either engine."""

    def __init__(self, objects: list[LoadedObject]) -> None:
        self.objects = objects

    def answers(
        self, data: bytes = bytes(64), context: bytes = b"", values: Mapping[str, object] | None = None
    ) -> list[Answer]:
        """Return what each kernel answers: result, packet, context and variables, or the errno."""
        return [_answer(each, data, context, values or {}) for each in self.objects]

    def agree(
        self, data: bytes = bytes(64), context: bytes = b"", values: Mapping[str, object] | None = None
    ) -> Answer:
        """Check that both kernels answer the same, and return it."""
        live, interpreted, native = self.answers(data, context, values)
        assert interpreted == live, (data.hex(), context.hex(), values)
        assert native == live, (data.hex(), context.hex(), values)
        return live


def _answer(loaded: LoadedObject, data: bytes, context: bytes, values: Mapping[str, object]) -> Answer:
    for name, value in values.items():
        loaded.variables[name].value = value
    (program,) = loaded.programs.values()
    try:
        result = program.test_run(data, context=context)
    except KernelError as error:
        return ("errno", error.errno)
    variables = {name: variable.value for name, variable in loaded.variables.items()}
    return result.return_value, bytes(result.data), bytes(result.context), variables


@contextmanager
def both(text: str) -> Iterator[Pair]:
    """Load a program into the running kernel and into a simulated one for each engine."""
    spec = spec_of(INCLUDES + text)
    kernels: list[Kernel] = [LiveKernel()]
    kernels += [SimulatedKernel(engine=engine) for engine in ("interpreter", "native")]
    with ExitStack() as stack:
        yield Pair([stack.enter_context(load(spec, kernel)) for kernel in kernels])


def tc(body: str, *, section: str = "tc", state: str = SKB_STATE, globals: str = "") -> str:
    """Return a program on a packet with its answers in `r`, and the packet's state behind them."""
    head = f'{globals}\nint a, b; unsigned long flags; long r[60];\nSEC("{section}")'
    return f"{head} int f(struct __sk_buff *s)\n{{ int n = 0; {body} {state} return 1; }}\n"


def xdp(body: str) -> str:
    """Return the same of an XDP program."""
    head = 'int a, b; long r[60];\nSEC("xdp") int f(struct xdp_md *s)\n'
    return f"{head}{{ int n = 0; {body} {XDP_STATE} return 2; }}\n"


def skip_older_kernels() -> None:
    """Skip on a kernel that is older than what the machine does as: bpf_strlen() came with 6.17."""
    types = kernel_types()
    if types is None or types.find("bpf_strlen", Kind.FUNC) is None:
        pytest.skip("this kernel's helpers are older than those of the userspace machine")
