"""Names in bpffs: what is wrong with a path is said before the kernel is asked, and in its own words."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ebee.abi.bpf import MapType
from ebee.errors import KernelError, MapError
from ebee.kernel.protocol import MapInfo, ObjectKind
from ebee.loader.pinned import check_same
from ebee.pins import open_pin, pin
from ebee.spec import MapSpec
from tests.support.kernel import FIRST_FD, FakeKernel


@pytest.fixture
def kernel() -> FakeKernel:
    made = FakeKernel()
    made.open[FIRST_FD] = "program"
    return made


def test_a_name_that_is_taken_says_how_to_free_it(kernel: FakeKernel, tmp_path: Path) -> None:
    """Before anything else."""
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(KernelError) as caught:
        pin(kernel, FIRST_FD, str(taken))
    assert (str(caught.value), caught.value.hint, caught.value.errno) == (
        *(f"pin at {taken}: the name is taken", f"remove it first: rm {taken}", errno.EEXIST),
    )


def test_a_folder_that_is_not_there_says_how_to_make_it(kernel: FakeKernel, tmp_path: Path) -> None:
    """Pinning makes none."""
    with pytest.raises(KernelError) as caught:
        pin(kernel, FIRST_FD, f"{tmp_path}/no/name")
    assert str(caught.value) == f"pin at {tmp_path}/no/name: there is no folder {tmp_path}/no"
    assert caught.value.hint == f"make it first: mkdir -p {tmp_path}/no"


def test_a_folder_on_another_file_system_says_on_which(
    kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commonest slip."""
    monkeypatch.setattr(FakeKernel, "pin_folder", lambda *_: "ext4")
    with pytest.raises(KernelError) as caught:
        pin(kernel, FIRST_FD, f"{tmp_path}/name")
    assert str(caught.value) == f"pin at {tmp_path}/name: {tmp_path} is on ext4, expected bpffs"
    assert kernel.asked("pin") == []


def test_a_pin_that_is_not_there_names_the_nearest(kernel: FakeKernel, tmp_path: Path) -> None:
    """In the same folder."""
    (tmp_path / "hello").touch()
    with pytest.raises(KernelError) as caught:
        open_pin(kernel, f"{tmp_path}/helo")
    assert str(caught.value) == f"open pin {tmp_path}/helo: there is no such file"
    assert caught.value.hint == "did you mean 'hello'?"


def test_a_pin_of_another_kind_is_closed_again(kernel: FakeKernel, tmp_path: Path) -> None:
    """And said."""
    (tmp_path / "hello").touch()
    with pytest.raises(KernelError) as caught:
        open_pin(kernel, f"{tmp_path}/hello", ObjectKind.MAP)
    assert str(caught.value) == f"open pin {tmp_path}/hello: a program is pinned there, expected a map"
    assert list(kernel.open) == [FIRST_FD]


def test_a_pin_whose_kind_cannot_be_told_is_closed_again(kernel: FakeKernel, tmp_path: Path) -> None:
    """Without /proc, for instance."""
    (tmp_path / "hello").touch()
    kernel.failing["kind_of"] = KernelError("no /proc")
    with pytest.raises(KernelError):
        open_pin(kernel, f"{tmp_path}/hello", ObjectKind.MAP)
    assert list(kernel.open) == [FIRST_FD]


_THERE = MapInfo(5, MapType.HASH, "counts", 4, 8, 16, 1, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("type", MapType.ARRAY, "type HASH, expected ARRAY"),
        ("key_size_bytes", 8, "key size 4, expected 8"),
        ("value_size_bytes", 4, "value size 8, expected 4"),
        ("max_entries", 32, "max entries 16, expected 32"),
        ("flags", 0, "flags 1, expected 0"),
        ("map_extra", 3, "map_extra 0, expected 3"),
    ],
)
def test_a_pinned_map_that_differs_says_in_what(field: str, value: int, found: str) -> None:
    """Field by field."""
    spec = MapSpec("counts", MapType.HASH, 4, 8, 16, flags=1).replaced(**{field: value})
    with pytest.raises(MapError) as caught:
        check_same(spec, FakeKernel(), _THERE, "the one pinned at /p", "remove the old one: rm /p")
    assert str(caught.value) == f"map counts: the one pinned at /p has {found}"
    assert caught.value.hint == "change the declaration, or remove the old one: rm /p"


def test_all_that_differs_is_said_at_once() -> None:
    """And nothing of what is the same."""
    check_same(MapSpec("counts", MapType.HASH, 4, 8, 16, flags=1), FakeKernel(), _THERE, "x")
    with pytest.raises(MapError) as caught:
        check_same(MapSpec("counts", MapType.HASH, 8, 8, 32, flags=1), FakeKernel(), _THERE, "x")
    assert str(caught.value) == "map counts: x has key size 4, expected 8; max entries 16, expected 32"
