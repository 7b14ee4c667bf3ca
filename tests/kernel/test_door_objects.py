"""Maps, programs, types, ids and pins of the running kernel."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.abi.bpf import EXIST, F_MMAPABLE, NOEXIST, AttachType, MapType, ProgType
from ebee.asm import Instruction, encode
from ebee.errors import GoneError, MapError, NotSupportedError
from ebee.features.code import FUNCTION_TYPE_ID, btf
from ebee.host.cpus import possible_cpu_count
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import MapCreate, ObjectKind, ProgramLoad, RunRequest
from tests.kernel.door import complaint, load, needs_root, nothing_left_open, private_bpffs, program

pytestmark = needs_root
KERNEL = LiveKernel()


@pytest.fixture(autouse=True)
def _no_leak() -> Iterator[None]:
    with nothing_left_open():
        yield


@pytest.fixture
def hash_fd() -> Iterator[int]:
    """A hash of 4 bytes to 8."""
    fd = KERNEL.map_create(MapCreate(MapType.HASH, 4, 8, 4, name="ebee_hash"))
    yield fd
    KERNEL.close(fd)


# -- maps ------------------------------------------------------------------------------------------
def test_a_value_is_stored_found_walked_to_and_deleted(hash_fd: int) -> None:
    """What is not there is None or False, and no error."""
    assert KERNEL.map_lookup(hash_fd, b"key1", 8) is None
    assert KERNEL.map_next_key(hash_fd, None, 4) is None
    KERNEL.map_update(hash_fd, b"key1", b"value--1")
    assert KERNEL.map_lookup(hash_fd, b"key1", 8) == b"value--1"
    assert KERNEL.map_next_key(hash_fd, None, 4) == b"key1"
    assert KERNEL.map_next_key(hash_fd, b"key1", 4) is None
    assert KERNEL.map_delete(hash_fd, b"key1")
    assert not KERNEL.map_delete(hash_fd, b"key1")


def test_flags_ask_for_a_new_or_a_known_key(hash_fd: int) -> None:
    """BPF_EXIST and BPF_NOEXIST; the errors say which."""
    assert complaint(lambda: KERNEL.map_update(hash_fd, b"key1", bytes(8), EXIST)) == (
        f"store a value of map (fd {hash_fd}): the key is not there (ENOENT)",
        None,
    )
    KERNEL.map_update(hash_fd, b"key1", bytes(8), NOEXIST)
    assert complaint(lambda: KERNEL.map_update(hash_fd, b"key1", bytes(8), NOEXIST)) == (
        f"store a value of map (fd {hash_fd}): the key is there already, "
        "and BPF_NOEXIST was asked for (EEXIST)",
        None,
    )


def test_a_full_map_says_so(hash_fd: int) -> None:
    """E2BIG of an update."""
    for number in range(4):
        KERNEL.map_update(hash_fd, bytes([number, 0, 0, 0]), bytes(8))
    message, _ = complaint(lambda: KERNEL.map_update(hash_fd, b"more", bytes(8)))
    assert message.endswith("the key or index is beyond max_entries, or the map is full (E2BIG)")


def test_a_map_tells_what_it_was_made_with(hash_fd: int) -> None:
    """And the memory it takes, which only its fdinfo tells."""
    info = KERNEL.map_info(hash_fd)
    assert (info.type, info.name) == (MapType.HASH, "ebee_hash")
    assert (info.key_size_bytes, info.value_size_bytes, info.max_entries, info.flags) == (4, 8, 4, 0)
    assert info.memlock_bytes > 0
    assert not info.frozen
    assert KERNEL.kind_of(hash_fd) is ObjectKind.MAP


def test_a_frozen_map_is_read_and_no_longer_written() -> None:
    """As .rodata is."""
    fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1))
    KERNEL.map_freeze(fd)
    assert KERNEL.map_info(fd).frozen
    assert KERNEL.map_lookup(fd, bytes(4), 8) == bytes(8)
    with pytest.raises(MapError) as caught:
        KERNEL.map_update(fd, bytes(4), bytes(8))
    assert "it is frozen" in str(caught.value)
    KERNEL.close(fd)


def test_a_per_cpu_map_has_a_value_for_each_possible_cpu() -> None:
    """Each a multiple of 8 bytes."""
    fd = KERNEL.map_create(MapCreate(MapType.PERCPU_ARRAY, 4, 4, 1))
    size = 8 * possible_cpu_count()
    values = b"".join(bytes([cpu, 0, 0, 0, 0, 0, 0, 0]) for cpu in range(possible_cpu_count()))
    KERNEL.map_update(fd, bytes(4), values)
    assert KERNEL.map_lookup(fd, bytes(4), size) == values
    KERNEL.close(fd)


def test_mapped_memory_is_the_maps_own() -> None:
    """Written here, looked up there; gone with the view, descriptor included."""
    fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 16, F_MMAPABLE))
    memory = KERNEL.map_memory(fd, 16 * 8, writable=True)
    memory[8:16] = b"from mem"
    assert KERNEL.map_lookup(fd, b"\1\0\0\0", 8) == b"from mem"
    KERNEL.map_update(fd, b"\2\0\0\0", b"from map")
    assert bytes(memory[16:24]) == b"from map"
    memory.release()
    KERNEL.close(fd)


def test_memory_for_reading_is_not_written() -> None:
    """Python's own error, before any page fault."""
    fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1, F_MMAPABLE))
    memory = KERNEL.map_memory(fd, 8, writable=False)
    with pytest.raises(TypeError):
        memory[0] = 1
    memory.release()
    KERNEL.close(fd)


def test_a_map_without_the_flag_is_not_mapped(hash_fd: int) -> None:
    """A hash has no such memory."""
    with pytest.raises(NotSupportedError):
        KERNEL.map_memory(hash_fd, 8, writable=True)


def test_a_name_longer_than_the_kernel_takes_is_cut() -> None:
    """15 bytes."""
    fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1, name="a_name_that_is_too_long"))
    assert KERNEL.map_info(fd).name == "a_name_that_is_"
    KERNEL.close(fd)


# -- programs --------------------------------------------------------------------------------------
def test_a_program_is_loaded_told_about_and_run() -> None:
    """XDP_PASS for any packet."""
    fd = load(KERNEL, ProgType.XDP, 2)
    info = KERNEL.program_info(fd, code=True)
    assert (info.type, info.name, info.gpl_compatible) == (ProgType.XDP, "ebee_test", True)
    assert info.instructions == program(2)
    assert info.xlated_bytes == 16
    assert info.jited_bytes == len(info.jited)
    assert (info.created_by_uid, info.map_ids, info.orphaned) == (0, (), False)
    assert info.load_time_ns > 0
    assert info.memlock_bytes > 0
    answer = KERNEL.program_test_run(RunRequest(fd, bytes(range(64)), data_out_bytes=128))
    assert (answer.return_value, answer.data) == (2, bytes(range(64)))
    KERNEL.close(fd)


def test_a_refused_program_answers_with_the_verifiers_log() -> None:
    """And with how long it is in whole, where the kernel tells."""
    code = encode([Instruction(0x95)])
    request = ProgramLoad(ProgType.XDP, code, "GPL", log_level=1, log_size_bytes=4096)
    answer = KERNEL.program_load(request)
    assert (answer.fd, answer.errno) == (-1, 13)
    assert "R0 !read_ok" in answer.log
    assert answer.log_whole_bytes in (0, len(answer.log) + 1)


def test_types_go_to_the_kernel_and_come_back() -> None:
    """The same bytes; a program loaded with them has function information."""
    data = btf(context="xdp_md")
    types = KERNEL.btf_load(data)
    assert types.errno == 0
    told = KERNEL.btf_info(types.fd, data=True)
    assert (told.data, told.kernel, told.size_bytes) == (data, False, len(data))
    assert KERNEL.kind_of(types.fd) is ObjectKind.BTF
    info = b"".join(number.to_bytes(4, "little") for number in (0, FUNCTION_TYPE_ID))
    answer = KERNEL.program_load(
        ProgramLoad(ProgType.XDP, program(2), "GPL", "ebee_test", btf_fd=types.fd, func_info=info)
    )
    assert answer.errno == 0
    program_info = KERNEL.program_info(answer.fd, code=True)
    assert (program_info.btf_id, program_info.func_info) == (told.id, info)
    KERNEL.close(answer.fd)
    KERNEL.close(types.fd)


def test_types_that_are_none_are_refused_with_a_log() -> None:
    """The kernel's complaint is in the answer."""
    answer = KERNEL.btf_load(b"\x9f\xeb\x01\x00nonsense----------------", log_size_bytes=4096)
    assert answer.fd == -1
    assert answer.log


def test_a_program_that_uses_maps_names_them() -> None:
    """By their ids."""
    fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1))
    code = encode(
        [Instruction(0x18, 1, 1, 0, fd), Instruction(0), Instruction(0xB7, imm=2), Instruction(0x95)]
    )
    answer = KERNEL.program_load(ProgramLoad(ProgType.XDP, code, "GPL"))
    assert KERNEL.program_info(answer.fd).map_ids == (KERNEL.map_info(fd).id,)
    KERNEL.close(answer.fd)
    KERNEL.close(fd)


def test_a_program_array_tells_what_kind_of_program_owns_it() -> None:
    """Once a program that jumps through it is loaded; from its fdinfo."""
    fd = KERNEL.map_create(MapCreate(MapType.PROG_ARRAY, 4, 4, 1))
    assert KERNEL.map_info(fd).owner_prog_type is None
    jump = [Instruction(0x18, 2, 1, 0, fd), Instruction(0), Instruction(0xB7, 3), Instruction(0x85, imm=12)]
    code = encode([*jump, Instruction(0xB7, imm=2), Instruction(0x95)])
    answer = KERNEL.program_load(ProgramLoad(ProgType.XDP, code, "GPL"))
    assert answer.errno == 0
    info = KERNEL.map_info(fd)
    assert info.owner_prog_type == ProgType.XDP
    assert info.owner_jited == bool(KERNEL.program_info(answer.fd).jited_bytes)
    KERNEL.close(answer.fd)
    KERNEL.close(fd)


# -- ids and pins ----------------------------------------------------------------------------------
def test_what_is_loaded_is_listed_and_opened_by_its_id() -> None:
    """For each kind of object."""
    fd = load(KERNEL, ProgType.XDP, 2)
    wanted = KERNEL.program_info(fd).id
    seen, last = [], 0
    while (found := KERNEL.next_id(ObjectKind.PROGRAM, last)) is not None:
        seen.append(found)
        last = found
    assert wanted in seen
    assert seen == sorted(seen)
    again = KERNEL.open_id(ObjectKind.PROGRAM, wanted)
    assert KERNEL.program_info(again).id == wanted
    KERNEL.close(again)
    KERNEL.close(fd)


@pytest.mark.parametrize("kind", list(ObjectKind))
def test_an_id_that_nothing_has_is_gone(kind: ObjectKind) -> None:
    """GoneError, so that listings can pass over it."""
    with pytest.raises(GoneError):
        KERNEL.open_id(kind, 0x7FFFFFF0)
    assert KERNEL.next_id(kind, 0x7FFFFFF0) is None


def test_a_pin_gives_a_name_and_the_name_gives_a_descriptor(tmp_path: Path) -> None:
    """In a bpffs of the test's own."""
    with private_bpffs(tmp_path) as folder:
        fd = load(KERNEL, ProgType.XDP, 2)
        path = str(folder / "hello")
        KERNEL.pin(fd, path)
        again = KERNEL.open_pin(path)
        assert KERNEL.program_info(again).id == KERNEL.program_info(fd).id
        assert complaint(lambda: KERNEL.pin(fd, path)) == (
            f"pin at {path}: the name is taken (EEXIST)",
            "choose another name, or remove the file",
        )
        assert complaint(lambda: KERNEL.pin(fd, f"{path}.x")) == (
            f"pin at {path}.x: the name holds a dot, which bpffs does not take (EPERM)",
            "use an underscore",
        )
        missing = str(folder / "missing")
        assert (
            complaint(lambda: KERNEL.open_pin(missing))[0]
            == f"open pin {missing}: there is no such file (ENOENT)"
        )
        KERNEL.close(again)
        KERNEL.close(fd)


def test_a_pin_elsewhere_says_what_is_there_instead(hash_fd: int, tmp_path: Path) -> None:
    """The kernel says EPERM, which is no question of rights."""
    path = str(tmp_path / "hello")
    message, hint = complaint(lambda: KERNEL.pin(hash_fd, path))
    assert message.startswith(f"pin at {path}: {tmp_path} is on ")
    assert message.endswith(", expected bpffs (EPERM)")
    assert hint == f"use a path below /sys/fs/bpf, or mount it there: mount -t bpf bpf {tmp_path}"


def test_a_descriptor_of_something_else_is_named() -> None:
    """What it stands for is in the message."""
    message, _ = complaint(lambda: KERNEL.kind_of(0))
    assert message.startswith("look at file descriptor 0: it is '")
    assert message.endswith("', expected a program, map, link or BTF")


def test_closing_twice_is_an_error() -> None:
    """EBADF."""
    fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1))
    KERNEL.close(fd)
    assert complaint(lambda: KERNEL.close(fd))[0].endswith("was closed (EBADF)")


def test_every_descriptor_is_closed_on_exec() -> None:
    """A child inherits none of them."""
    map_fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1))
    fds = [map_fd, load(KERNEL, ProgType.XDP, 2), KERNEL.btf_load(btf()).fd]
    fds.append(KERNEL.open_id(ObjectKind.MAP, KERNEL.map_info(map_fd).id))
    assert [os.get_inheritable(fd) for fd in fds] == [False] * len(fds)
    for fd in fds:
        KERNEL.close(fd)


def test_a_query_of_a_place_without_programs_is_empty() -> None:
    """The flow dissector of this network namespace."""
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    found = KERNEL.program_query(fd, AttachType.FLOW_DISSECTOR)
    os.close(fd)
    assert all(row.program_id for row in found)


def test_a_thousand_rounds_leave_no_descriptor() -> None:
    """Within the usual limit of open files, or this would fail half-way."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
    for _ in range(300):
        fd = KERNEL.map_create(MapCreate(MapType.ARRAY, 4, 8, 1))
        KERNEL.close(KERNEL.open_id(ObjectKind.MAP, KERNEL.map_info(fd).id))
        KERNEL.close(fd)
