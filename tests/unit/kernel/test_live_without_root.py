"""The live kernel against a bpf(2) of our own: old kernels, kernels that change their mind, races."""

from __future__ import annotations

import ctypes
import errno
import inspect
from collections.abc import Callable

import pytest

from ebee.abi.bpf import Command, MapType, ProgType
from ebee.abi.layouts import ATTR_MAP_ELEM, ATTR_OBJ_GET_INFO, MAP_INFO, PROG_INFO
from ebee.errors import GoneError, KernelError, NotSupportedError
from ebee.kernel.live import LiveKernel, maps, objects, programs
from ebee.kernel.live.syscall import address, buffer, c_string
from ebee.kernel.protocol import Kernel, MapCreate, ObjectKind, ProgramLoad

# A descriptor that nobody has, so that nothing is found under /proc/self/fdinfo.
NO_FD = 0x7FFFFFFF
Bpf = Callable[[Command, bytearray], int]


def failing(*numbers: int, then: int = 7) -> Bpf:
    """Return a bpf(2) that fails with each errno in turn, then succeeds."""
    left = list(numbers)

    def bpf(_: Command, __: bytearray) -> int:
        if left:
            raise OSError(left.pop(0), "")
        return then

    return bpf


def writes_info(answers: list[bytes]) -> Bpf:
    """Return a bpf(2) that answers BPF_OBJ_GET_INFO_BY_FD with each of these in turn, then the last."""
    left = list(answers)

    def bpf(_: Command, attributes: bytearray) -> int:
        told = left.pop(0) if len(left) > 1 else left[0]
        asked = ATTR_OBJ_GET_INFO.unpack(bytes(attributes))
        length = min(int(asked["info_len"]), len(told))
        ctypes.memmove(int(asked["info"]), told, length)
        ATTR_OBJ_GET_INFO.fields["info_len"].put(attributes, length)
        return 0

    return bpf


def test_the_live_kernel_has_every_method_of_the_door() -> None:
    """With the same parameters, so that the simulated one can stand in its place."""
    for name, method in vars(Kernel).items():
        if name.startswith("_") or not callable(method):
            continue
        assert list(inspect.signature(getattr(LiveKernel, name)).parameters) == list(
            inspect.signature(method).parameters
        ), name


def test_a_load_that_a_signal_broke_off_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """EAGAIN twice, then it works."""
    monkeypatch.setattr(programs, "bpf", failing(errno.EAGAIN, errno.EAGAIN))
    answer = LiveKernel().program_load(ProgramLoad(ProgType.XDP, bytes(16), "GPL"))
    assert (answer.fd, answer.errno) == (7, 0)


def test_a_load_that_is_broken_off_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is EAGAIN, and no hang."""
    monkeypatch.setattr(programs, "bpf", failing(*[errno.EAGAIN] * 100))
    answer = LiveKernel().program_load(ProgramLoad(ProgType.XDP, bytes(16), "GPL"))
    assert (answer.fd, answer.errno) == (-1, errno.EAGAIN)


def test_a_refused_load_is_an_answer_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked explains it."""
    monkeypatch.setattr(programs, "bpf", failing(errno.EACCES))
    assert LiveKernel().program_load(ProgramLoad(ProgType.XDP, bytes(16), "GPL")).errno == errno.EACCES


def test_an_object_that_vanished_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between listing its id and opening it."""
    monkeypatch.setattr(objects, "bpf", failing(errno.ENOENT))
    with pytest.raises(GoneError) as caught:
        LiveKernel().open_id(ObjectKind.MAP, 12)
    assert str(caught.value) == "open map 12: no map has this id"


def test_an_old_kernels_shorter_answer_leaves_newer_fields_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 4.13 knew map_info up to map_flags only."""
    told = bytes(MAP_INFO.pack(type=MapType.HASH, id=5, key_size=4, value_size=8, max_entries=10))[:24]
    monkeypatch.setattr(objects, "bpf", writes_info([told]))
    info = LiveKernel().map_info(NO_FD)
    assert (info.id, info.type, info.key_size_bytes, info.max_entries) == (5, MapType.HASH, 4, 10)
    assert (info.name, info.btf_id, info.map_extra) == ("", 0, 0)


def test_arrays_that_grew_between_two_questions_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program got a second map meanwhile."""
    one, two = (bytes(PROG_INFO.pack(id=9, nr_map_ids=count)) for count in (1, 2))
    asked: list[int] = []
    answering = writes_info([one, two, two])

    def bpf(command: Command, attributes: bytearray) -> int:
        question = ATTR_OBJ_GET_INFO.unpack(bytes(attributes))
        raw = ctypes.string_at(int(question["info"]), int(question["info_len"]))
        asked.append(int(PROG_INFO.unpack(raw)["nr_map_ids"]))
        return answering(command, attributes)

    monkeypatch.setattr(objects, "bpf", bpf)
    info = LiveKernel().program_info(NO_FD)
    assert asked == [0, 1, 2]
    assert len(info.map_ids) == 2


def test_a_program_whose_device_is_gone_is_orphaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says ENODEV and tells nothing else."""
    monkeypatch.setattr(objects, "bpf", failing(errno.ENODEV))
    assert LiveKernel().program_info(NO_FD).orphaned


def test_a_map_that_does_not_fit_its_type_names_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """EINVAL says nothing; the message says what was asked for."""
    monkeypatch.setattr(maps, "bpf", failing(errno.EINVAL))
    with pytest.raises(KernelError) as caught:
        LiveKernel().map_create(MapCreate(MapType.RINGBUF, 0, 0, 1000, name="events"))
    assert str(caught.value) == (
        "create map events: the kernel does not take type RINGBUF, key 0 bytes, value 0 bytes, "
        "max_entries 1000, flags 0x0 (EINVAL)"
    )


def test_the_quick_way_to_fill_an_elements_attributes_is_the_layouts() -> None:
    """Field by field."""
    quick = maps.element(3, 0x1122334455667788, 0x99AABBCCDDEEFF00, 4)
    assert quick == ATTR_MAP_ELEM.pack(map_fd=3, key=0x1122334455667788, value=0x99AABBCCDDEEFF00, flags=4)


def test_file_systems_that_are_not_the_kernels_own_are_not_mounted() -> None:
    """The door mounts four, and no disk."""
    with pytest.raises(KernelError) as caught:
        LiveKernel().mount("ext4", "/mnt")
    assert str(caught.value) == "mount ext4 on /mnt: expected one of bpf, debugfs, securityfs, tracefs"


def test_an_architecture_without_a_table_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of system calls are not guessed."""
    from ebee.abi import arch

    with pytest.raises(NotSupportedError):
        arch.by_name("sparc64")


def test_addresses_are_of_the_memory_itself() -> None:
    """Of bytes, of a bytearray, and of memory that the kernel writes to; 0 of nothing."""
    room = buffer(4)
    ctypes.memmove(address(room), b"abcd", 4)
    assert room.raw == b"abcd"
    mutable = bytearray(b"1234")
    ctypes.memmove(address(mutable), b"wxyz", 4)
    assert mutable == b"wxyz"
    assert ctypes.string_at(address(b"text"), 4) == b"text"
    assert (address(b""), address(bytearray()), address(buffer(0))) == (0, 0, 0)


def test_texts_end_at_their_zero_byte_and_keep_odd_bytes() -> None:
    """The kernel does not promise UTF-8."""
    assert c_string(b"abc\0def") == "abc"
    assert c_string(b"\xff\0").encode("utf-8", "surrogateescape") == b"\xff"
