"""What BPF_PROG_LOAD refuses before it looks at the instructions.

Source: kernel/bpf/syscall.c, bpf_prog_load(), bpf_prog_load_check_attach().
"""

from __future__ import annotations

import errno

from ebee.abi.bpf import OBJ_NAME_LEN, ProgType
from ebee.kernel.meanings import ENOTSUPP
from ebee.kernel.protocol import ProgramLoad

_INSTRUCTION_BYTES = 8
_MOST_INSTRUCTIONS = 1_000_000
_NEED_TARGET = frozenset((ProgType.TRACING, ProgType.LSM, ProgType.EXT))
_SLEEPABLE = 1 << 4
_MAY_SLEEP = frozenset(
    (ProgType.TRACING, ProgType.LSM, ProgType.KPROBE, ProgType.STRUCT_OPS, ProgType.SYSCALL)
)
_KNOWN_FLAGS = 0xFF | 1 << 16

# Numbers of the attach types that a type of program may be loaded for; types that are not here take any.
_ATTACH_TYPES: dict[ProgType, tuple[int, ...]] = {
    ProgType.CGROUP_SKB: (0, 1),
    ProgType.CGROUP_SOCK: (0, 2, 12, 13, 34),
    ProgType.CGROUP_SOCK_ADDR: (8, 9, 10, 11, 14, 15, 19, 20, 29, 30, 31, 32, 49, 50, 51, 52, 53),
    ProgType.CGROUP_SOCKOPT: (21, 22),
    ProgType.SK_REUSEPORT: (0, 39, 40),
    ProgType.SK_LOOKUP: (36,),
    ProgType.SYSCALL: (0,),
    ProgType.NETFILTER: (45,),
}


def wrong_at_once(request: ProgramLoad) -> int:
    """Return the errno of what is wrong with a load as such; 0 for nothing."""
    count, rest = divmod(len(request.instructions), _INSTRUCTION_BYTES)
    if not count or count > _MOST_INSTRUCTIONS:
        return errno.E2BIG
    try:
        kind = ProgType(request.type)
    except ValueError:
        return errno.EINVAL
    if kind is ProgType.STRUCT_OPS:
        return ENOTSUPP
    unfit = (
        rest
        or kind is ProgType.UNSPEC
        or not is_name(request.name)
        or request.flags & ~_KNOWN_FLAGS
        or (request.flags & _SLEEPABLE and kind not in _MAY_SLEEP)
        or request.expected_attach_type not in _ATTACH_TYPES.get(kind, (request.expected_attach_type,))
        or (kind in _NEED_TARGET and not request.attach_btf_id)
    )
    return errno.EINVAL if unfit else 0


def is_name(name: str) -> bool:
    """Return whether the kernel takes a name: letters, digits, `_` and `.`."""
    return all(letter.isascii() and (letter.isalnum() or letter in "_.") for letter in name)


def kept_name(name: str) -> str:
    """Return as much of a name as the kernel keeps."""
    return name[: OBJ_NAME_LEN - 1]
