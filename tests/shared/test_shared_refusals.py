"""What no kernel takes is refused alike: the same class of error, the same words, the same line."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import ProgType
from ebee.asm import Instruction, encode
from ebee.errors import EbeeError, KernelError, RelocationError, SpecError, VerifierError
from ebee.kernel.protocol import Kernel, ProgramLoad
from ebee.sessions.c import load
from tests.support.objects import spec_of

_REFUSED = {
    "null": (
        """
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4);
                 __type(key, int); __type(value, long); } counts SEC(".maps");
        SEC("xdp") int bad(struct xdp_md *ctx)
        {
            int key = 1;
            long *value = bpf_map_lookup_elem(&counts, &key);
            return *value;
        }
        """,
        "test.bpf.c:11:20: program bad: 'value' may be NULL here: "
        "bpf_map_lookup_elem() finds nothing when the key is not in map 'counts'",
    ),
    "packet": (
        """
        SEC("xdp") int bad(struct xdp_md *ctx)
        {
            unsigned char *data = (void *)(long)ctx->data;
            return data[13];
        }
        """,
        None,
    ),
    "context": (
        """
        SEC("xdp") int bad(int *ctx) { return ctx[40]; }
        """,
        None,
    ),
    "stack": (
        """
        SEC("socket") int bad(void *ctx)
        {
            char text[8];
            bpf_get_current_comm(text, 16);
            return text[0];
        }
        """,
        None,
    ),
    "helper": (
        """
        static void (*helper)(void) = (void *)70000;
        SEC("xdp") int bad(struct xdp_md *ctx) { helper(); return 0; }
        """,
        None,
    ),
    "wrong helper": (
        """
        SEC("socket") int bad(struct __sk_buff *skb) { return bpf_xdp_adjust_head((void *)skb, 4); }
        """,
        None,
    ),
    "value": (
        """
        int table[4];
        SEC("xdp") int bad(struct xdp_md *ctx) { return table[ctx->rx_queue_index]; }
        """,
        None,
    ),
}


def _refusal(kernel: Kernel, text: str) -> EbeeError:
    with pytest.raises(EbeeError) as caught:
        load(spec_of(text), kernel=kernel)
    return caught.value


_SAID: dict[str, tuple[type[EbeeError], str, str | None, str]] = {}
"""What the kernel that was asked first said; the second must say the same."""


@pytest.mark.parametrize("name", list(_REFUSED))
def test_a_program_that_is_wrong_is_refused_alike(kernel: Kernel, name: str) -> None:
    """With its line, the reason and the hint."""
    text, expected = _REFUSED[name]
    error = _refusal(kernel, text)
    assert isinstance(error, VerifierError)
    assert error.diagnostic is not None
    said = (type(error), str(error), error.hint, error.diagnostic.render())
    if expected is not None:
        assert said[1] == expected
    assert _SAID.setdefault(name, said) == said


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (
            'SEC("tp_btf/no_such_thing") int it(void *ctx) { return 0; }',
            RelocationError,
            "program it: this kernel has no tracepoint 'no_such_thing' to attach section "
            "'tp_btf/no_such_thing' to",
        ),
        (
            'extern void no_such_function(void) __attribute__((section(".ksyms")));\n'
            'SEC("xdp") int it(void *ctx) { no_such_function(); return 0; }',
            RelocationError,
            "extern no_such_function: this kernel has no such kernel function",
        ),
        (
            'SEC("xpd") int it(void *ctx) { return 0; }',
            SpecError,
            "program it: section 'xpd' is not known",
        ),
    ],
)
def test_what_an_object_asks_for_and_is_not_there_is_refused_alike(
    kernel: Kernel, text: str, kind: type[EbeeError], expected: str
) -> None:
    """Before any program is loaded."""
    error = _refusal(kernel, text)
    assert (type(error), str(error)) == (kind, expected)


_EXIT = [Instruction(0xB7), Instruction(0x95)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"instructions": b""}, 7),
        ({"type": ProgType.TRACING}, 22),
        ({"type": ProgType.CGROUP_SOCK_ADDR}, 22),
        ({"type": ProgType.SK_LOOKUP}, 22),
        ({"type": ProgType.SYSCALL, "expected_attach_type": 3, "flags": 1 << 4}, 22),
        ({"type": ProgType.CGROUP_SKB, "expected_attach_type": 37}, 22),
        ({"flags": 1 << 4}, 22),
        ({"flags": 1 << 20}, 22),
        ({"name": "a b"}, 22),
        ({"btf_fd": 987654, "func_info": bytes(8)}, 9),
        ({"instructions": encode([Instruction(0x18, dst=1, src=1, imm=987654), Instruction(0), *_EXIT])}, 9),
        ({"instructions": encode([Instruction(0x18, dst=1, src=5, imm=0), Instruction(0), *_EXIT])}, 71),
        ({"instructions": encode([Instruction(0xB7)])}, 22),
        ({"instructions": encode([Instruction(0xFF), *_EXIT])}, 22),
    ],
)
def test_a_load_is_refused_with_the_kernel_s_errno(
    kernel: Kernel, request_: dict[str, Any], expected: int
) -> None:
    """By the door, without the loader."""
    plain = ProgramLoad(ProgType.XDP, encode(_EXIT), "GPL", "odd")
    answer = kernel.program_load(plain._replace(**request_))
    assert (answer.fd, answer.errno) == (-1, expected)


def test_a_log_comes_as_far_as_there_is_room(kernel: Kernel) -> None:
    """ENOSPC says that it was longer; without a level there is none."""
    code = encode([Instruction(0x18, dst=1, src=1, imm=987654), Instruction(0), *_EXIT])
    request = ProgramLoad(ProgType.XDP, code, "GPL", "odd", log_level=1, log_size_bytes=1 << 12)
    answer = kernel.program_load(request)
    assert answer.log.splitlines()[0] == "fd 987654 is not pointing to valid bpf_map"
    assert kernel.program_load(request._replace(log_level=0, log_size_bytes=0)).log == ""


def test_types_that_are_none_are_refused(kernel: Kernel) -> None:
    """With a reason, where there is room for it."""
    answer = kernel.btf_load(b"no types", log_size_bytes=1 << 12)
    assert (answer.fd, answer.errno) == (-1, 22)


def test_a_descriptor_of_nothing_is_said(kernel: Kernel) -> None:
    """Of maps, programs, links, types."""
    for ask, what in (
        (kernel.map_info, "map"),
        (kernel.program_info, "program"),
        (kernel.link_info, "link"),
        (kernel.btf_info, "BTF"),
    ):
        with pytest.raises(KernelError) as caught:
            ask(987654)
        assert str(caught.value) == (
            f"ask about {what} (fd 987654): the file descriptor is not of that kind, or was closed (EBADFD)"
        )
