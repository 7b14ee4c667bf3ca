"""The checker held against the running kernel: what that takes, the checker takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ebee.abi.bpf import F_RDONLY_PROG, AttachType, ProgType
from ebee.abi.helpers import HELPERS
from ebee.asm import Instruction, assemble, decode, encode
from ebee.checker.contexts import layout_of
from ebee.checker.helpers import allowed
from ebee.clang import compile_c
from ebee.errors import EbeeError, VerifierError
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import Kernel, LoadAnswer, MapCreate, ProgramLoad
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import load
from ebee.loader.verifier import explain
from ebee.objfile import read_object
from ebee.source import SourceText
from ebee.spec import ObjectSpec
from ebee.spec.maps import Pinning
from tests.kernel.door import needs_root
from tests.support.objects import PRELUDE, compiled
from tests.support.refusals import read_broken
from tests.unit.checker.asked import MAPS
from tests.unit.checker.test_checker_takes import PROGRAMS

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "unit" / "loader" / "logs"
pytestmark = [needs_root, pytest.mark.userspace_machine]

# A million instructions for the kernel.
SLOW = {"loop_too_long", "loop_by_packet_length"}
# What the kernel refuses, and the checker does not, or not for the same reason: see test_checker_recorded.
MISSED = {
    "global_function_argument",
    "global_function_bad_pointer",
    "kernel_object_bad_field",
    "kernel_object_written",
    "loop_jump_sequence",
}

SOURCES = sorted(
    path
    for folder in ("examples", "tests", "src")
    for path in (ROOT / folder).rglob("*.bpf.c")
    if "no_such" not in path.name
)


def _spec(path: Path) -> ObjectSpec:
    spec = read_object(compile_c(SourceText(str(path), path.read_text())).data, path.name)
    for item in spec.maps.values():
        item.pinning = Pinning.NONE
    return spec


def _kind(spec: ObjectSpec, program: str, kernel: Kernel) -> str:
    """Return what a kernel says of one program: `taken`, a class of refusals, or nothing of the kind."""
    alone = ObjectSpec(**{name: getattr(spec, name) for name in ObjectSpec._fields})
    alone.programs = {program: spec.programs[program]}
    try:
        load(alone, kernel).close()
    except VerifierError as error:
        return explain(error.log, program=program, errno=error.errno).kind
    except EbeeError:
        return "not asked"
    return "taken"


@pytest.mark.starts_processes
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_the_kernel_takes_of_the_project_s_programs_the_checker_takes(path: Path) -> None:
    try:
        spec = _spec(path)
    except EbeeError:
        return  # it is there to fail
    for program in spec.programs:
        if _kind(spec, program, LiveKernel()) == "taken":
            assert _kind(spec, program, SimulatedKernel(engine="interpreter")) in ("taken", "not asked")


@pytest.mark.starts_processes
def test_what_the_kernel_refuses_the_checker_refuses_but_for_what_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(LOGS)
    different = set()
    for path in sorted(Path().glob("*.c")):
        broken = read_broken(path)
        if broken.name in SLOW or broken.strict:
            continue
        spec = read_object(compile_c(path.name).data, path.name)
        (program,) = spec.programs
        live = _kind(spec, program, LiveKernel())
        checked = _kind(spec, program, SimulatedKernel(engine="interpreter"))
        if live == "taken":
            assert checked == "taken", broken.name
        elif live != checked:
            different.add(broken.name)
    assert different <= MISSED


# -- programs changed at random --------------------------------------------------------------------
GROUND = (
    PRELUDE
    + """
#include <linux/if_ether.h>
struct event { __u32 pid; char comm[16]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16);
         __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2);
         __type(key, __u32); __type(value, char[64]); } cells SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
const volatile int verbose = 0;
int seen = 0;

static __noinline int hash(const char *bytes, int length)
{
    int sum = 0;
    for (int i = 0; i < 16 && i < length; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

SEC("xdp") int packets(struct xdp_md *ctx)
{
    char *data = (char *)(long)ctx->data, *end = (char *)(long)ctx->data_end;
    if (data + sizeof(struct ethhdr) + 4 > end)
        return XDP_PASS;
    __u32 key = data[12] & 1, length = (unsigned char)data[14] & 15;
    char *cell = bpf_map_lookup_elem(&cells, &key);
    if (!cell)
        return XDP_DROP;
    cell[length] += data[13];
    char *behind = data + 14 + length;
    asm volatile("" : "+r"(behind));
    if (behind + 2 <= end)
        seen += behind[1];
    if (verbose)
        bpf_printk("%d", seen);
    return XDP_PASS;
}

SEC("tp/syscalls/sys_enter_openat") int opened(void *ctx)
{
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    __u64 one = 1, *count = bpf_map_lookup_elem(&counts, &pid);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        bpf_map_update_elem(&counts, &pid, &one, BPF_ANY);
    struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event)
        return 0;
    event->pid = pid;
    bpf_get_current_comm(event->comm, sizeof(event->comm));
    seen += hash(event->comm, pid & 31);
    bpf_ringbuf_submit(event, 0);
    return 0;
}
"""
)
CHANGES = 400
IMMEDIATES = (0, 1, -1, 4, 8, 14, 16, 63, 64, 65, 255, -8, 0x7FFFFFFF)
ALU, JUMPS = range(0x00, 0xD0, 0x10), (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)


class Offered:
    """The last program that a kernel took, ready to be offered again with other instructions."""

    def __init__(self, spec: ObjectSpec, program: str, kernel: Kernel) -> None:
        alone = ObjectSpec(**{name: getattr(spec, name) for name in ObjectSpec._fields})
        alone.programs = {program: spec.programs[program]}
        self.kernel, self.offer = kernel, kernel.program_load
        kernel.program_load = self._listen  # type: ignore[method-assign]  # this kernel's alone
        self.loaded = load(alone, kernel)
        self.code = decode(self.request.instructions)

    def _listen(self, request: ProgramLoad) -> LoadAnswer:
        self.request = request._replace(func_info=b"", line_info=b"")
        return self.offer(request)

    def again(self, code: list[Instruction]) -> LoadAnswer:
        """Offer it with other instructions."""
        request = self.request._replace(instructions=encode(code), log_level=1, log_size_bytes=1 << 20)
        answer = self.offer(request)
        if answer.fd >= 0:
            self.kernel.close(answer.fd)
        return answer


@contextmanager
def _offered(program: str) -> Iterator[tuple[Offered, Offered]]:
    spec = read_object(compiled(GROUND), "ground.o")
    with ExitStack() as stack:
        kernels = (LiveKernel(), SimulatedKernel(engine="interpreter"))
        live, simulated = (Offered(spec, program, kernel) for kernel in kernels)
        stack.callback(live.loaded.close)
        stack.callback(simulated.loaded.close)
        yield live, simulated


def _changed(code: list[Instruction], slot: int, chance: random.Random) -> Instruction:
    """Return an instruction changed in one of its parts."""
    old = code[slot]
    kind, moves = old.opcode & 7, old.opcode == 0x18 or (slot and code[slot - 1].opcode == 0x18)
    if moves or old.opcode in (0x85, 0x95):
        return old
    part = chance.randrange(6)
    if part == 0:
        return Instruction(0xBF, old.dst % 10, old.dst % 10)
    if part == 1:
        return old._replace(imm=chance.choice(IMMEDIATES))
    if part == 2 and kind in (1, 2, 3, 5, 6):
        return old._replace(offset=old.offset + chance.choice((-8, -4, -1, 1, 2, 4, 8)))
    if part == 3 and kind in (4, 5, 6, 7) and old.opcode != 0x05:
        codes = ALU if kind in (4, 7) else JUMPS
        return old._replace(opcode=old.opcode & 0x0F | chance.choice(codes))
    if part == 4 and kind in (4, 7):
        return old._replace(opcode=old.opcode ^ 3)
    return old._replace(dst=chance.randrange(10))


@pytest.mark.parametrize("program", ["packets", "opened"])
def test_of_programs_changed_at_random_none_is_refused_that_the_kernel_takes(program: str) -> None:
    chance = random.Random(program)
    both = same = 0
    with _offered(program) as (live, simulated):
        for _ in range(CHANGES):
            slot, seed = chance.randrange(len(live.code)), chance.random()
            answers = []
            for offered in (live, simulated):
                code = offered.code.copy()
                code[slot] = _changed(code, slot, random.Random(seed))
                answers.append(offered.again(code))
            taken, checked = answers
            assert taken.fd < 0 or checked.fd >= 0, checked.log
            if taken.fd < 0 and checked.fd < 0:
                both += 1
                words = [explain(answer.log, program="p").telling for answer in answers]
                same += words[0] == words[1]
    # Nearly always the checker says what the kernel says.
    assert both > CHANGES // 10
    assert same > both * 0.9


# -- programs that only a close look shows to be right ---------------------------------------------
# What needs types of the kernel's or of the object's; and what is right, but too long for a kernel.
NOT_OFFERED = {"a lock taken and given back", "the kernel's own objects", "a loop of a million rounds"}
# What kernels learned between Linux 6.1 and 6.18.
LEARNED = {
    "an entry of an array that is always there, unchecked",
    "a register that is set on the only way on which it is read",
    "a test of the low half of a pointer that is never NULL",
    "an index whose copy was checked",
    "an index that lay on the stack while its copy was checked",
}


@contextmanager
def _maps(kernel: LiveKernel) -> Iterator[dict[str, str]]:
    """Make the maps that the programs name; yield how assembler text names them here."""
    with ExitStack() as stack:
        found = {}
        for item in MAPS:
            flags = item.flags & F_RDONLY_PROG
            fd = kernel.map_create(
                MapCreate(
                    item.type, item.key_size_bytes, item.value_size_bytes, item.max_entries, flags=flags
                )
            )
            stack.callback(kernel.close, fd)
            name = item.name.strip(".")
            found[f"&{name}_value"], found[f"&{name}"] = f"map[fd:{fd}][0]+0", f"map[fd:{fd}]"
            if item.contents is not None:
                kernel.map_update(fd, bytes(4), item.contents)
                kernel.map_freeze(fd)
        yield found


@pytest.mark.parametrize(
    ("name", "type", "text"), PROGRAMS, ids=[name.replace(" ", "_").replace(",", "") for name, *_ in PROGRAMS]
)
def test_the_kernel_takes_them_too(name: str, type: str, text: str) -> None:
    if name in NOT_OFFERED:
        return
    kernel = LiveKernel()
    with _maps(kernel) as maps:
        for old, new in maps.items():
            text = text.replace(old, new)
        code = encode(assemble(text))
        answer = kernel.program_load(
            ProgramLoad(ProgType[type], code, "GPL", log_level=1, log_size_bytes=1 << 16)
        )
        if answer.fd >= 0:
            kernel.close(answer.fd)
        assert answer.fd >= 0 or name in LEARNED, answer.log


# -- the tables ------------------------------------------------------------------------------------
ASKED = {
    "SOCKET_FILTER": 0,
    "SCHED_CLS": 0,
    "XDP": 0,
    "TRACEPOINT": 0,
    "CGROUP_SKB": AttachType.CGROUP_INET_EGRESS,
    "SOCK_OPS": AttachType.CGROUP_SOCK_OPS,
    "SK_MSG": AttachType.SK_MSG_VERDICT,
    "RAW_TRACEPOINT": 0,
    "SK_LOOKUP": AttachType.SK_LOOKUP,
}
SIZES = {1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}
ENDS = (Instruction(0xB7, imm=1), Instruction(0x95))


def _offer(type: str, *code: Instruction) -> LoadAnswer:
    kernel = LiveKernel()
    request = ProgramLoad(ProgType[type], encode([*code, *ENDS]), "GPL", expected_attach_type=ASKED[type])
    answer = kernel.program_load(request._replace(log_level=1, log_size_bytes=1 << 14))
    if answer.fd >= 0:
        kernel.close(answer.fd)
    return answer


@pytest.mark.parametrize("type", ASKED)
def test_no_helper_is_refused_that_the_kernel_knows_for_a_type(type: str) -> None:
    names = allowed(ProgType[type])
    assert names is not None
    for number, (name, _) in HELPERS.items():
        if number and name not in names:
            log = _offer(type, Instruction(0x85, imm=number)).log
            assert "cannot use helper" in log or "unknown func" in log or "invalid func" in log, name


@pytest.mark.parametrize("type", ASKED)
def test_no_field_of_a_context_is_refused_that_the_kernel_lets_read_or_write(type: str) -> None:
    layout = layout_of(ProgType[type])
    assert layout is not None
    for size, opcode in SIZES.items():
        for offset in range(0, 224, size):
            if not layout.allows(offset, size, writing=False):
                assert _offer(type, Instruction(opcode, 0, 1, offset)).fd < 0, (offset, size)
            if not layout.allows(offset, size, writing=True):
                store = Instruction(opcode | 0x02, 1, 2, offset)
                assert _offer(type, Instruction(0xB7, 2), store).fd < 0, (offset, size)
