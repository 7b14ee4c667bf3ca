"""Maps of interfaces, CPUs and sockets."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import F_RDONLY_PROG, MapType
from ebee.vm.faults import AccessFault
from tests.unit.vm.maps.made import made, n4, refused

PLACES = (MapType.DEVMAP, MapType.CPUMAP, MapType.XSKMAP)
WITH_PROGRAMS = (MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP)
ALL = (*PLACES, MapType.DEVMAP_HASH)


@pytest.mark.parametrize("kind", ALL)
class TestAll:
    def test_what_was_set_is_found(self, kind: MapType) -> None:
        some = made(kind, value=4)
        some.write(n4(1), n4(7))
        assert some.memory.load(some.find(n4(1)), 4) == 7
        assert some.find(n4(2)) == some.find(n4(99)) == 0

    def test_programs_neither_set_nor_write_it(self, kind: MapType) -> None:
        some = made(kind, value=4)
        some.write(n4(1), n4(7))
        assert refused(lambda: some.update(n4(1), n4(8))) == "EINVAL"
        with pytest.raises(AccessFault, match="it may not be written"):
            some.memory.store(some.find(n4(1)), 4, 8)

    @pytest.mark.parametrize("shape", [(8, 4, 1), (4, 6, 1), (4, 4, 0)])
    def test_other_sizes_are_refused(self, kind: MapType, shape: tuple[int, int, int]) -> None:
        assert refused(lambda: made(kind, *shape)) == "EINVAL"

    def test_a_removed_one_is_not_found(self, kind: MapType) -> None:
        some = made(kind, value=4)
        some.write(n4(1), n4(7))
        some.remove(n4(1))
        assert some.find(n4(1)) == 0

    def test_unknown_flags_are_refused(self, kind: MapType) -> None:
        assert refused(lambda: made(kind, value=4).write(n4(1), n4(7), 3)) == "EINVAL"


@pytest.mark.parametrize("kind", PLACES)
class TestPlaces:
    def test_an_index_past_the_end_is_refused(self, kind: MapType) -> None:
        some = made(kind, value=4)
        assert refused(lambda: some.write(n4(4), n4(7))) == "E2BIG"
        assert refused(lambda: some.remove(n4(4))) == "EINVAL"

    def test_all_indices_are_walked(self, kind: MapType) -> None:
        assert list(made(kind, value=4).keys()) == [n4(place) for place in range(4)]

    def test_removing_what_is_not_there_is_no_error(self, kind: MapType) -> None:
        made(kind, value=4).remove(n4(1))


@pytest.mark.parametrize("kind", WITH_PROGRAMS)
def test_values_of_8_bytes_name_a_program_too(kind: MapType) -> None:
    some = made(kind, value=8)
    some.write(n4(1), n4(7) + n4(33))
    assert some.read(n4(1)) == n4(7) + n4(33)


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.CPUMAP])
def test_zero_empties_an_index(kind: MapType) -> None:
    some = made(kind, value=4)
    some.write(n4(1), n4(7))
    some.write(n4(1), n4(0))
    assert some.read(n4(1)) is None


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.CPUMAP])
def test_noexist_is_refused_for_every_index(kind: MapType) -> None:
    assert refused(lambda: made(kind, value=4).write(n4(1), n4(7), 1)) == "EEXIST"


def test_a_program_needs_an_interface() -> None:
    assert refused(lambda: made(MapType.DEVMAP).write(n4(1), n4(0) + n4(33))) == "EINVAL"


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.DEVMAP_HASH])
def test_the_kernel_adds_that_programs_only_read(kind: MapType) -> None:
    assert made(kind, value=4).setup.flags == F_RDONLY_PROG


class TestDeviceHash:
    def some(self) -> Any:
        return made(MapType.DEVMAP_HASH, value=4, entries=2)

    def test_keys_are_any_numbers(self) -> None:
        some = self.some()
        some.write(n4(70_000), n4(7))
        assert list(some.keys()) == [n4(70_000)]
        assert some.next_key(n4(1)) == n4(70_000)

    def test_a_full_map_and_a_missing_key_are_refused(self) -> None:
        some = self.some()
        some.write(n4(1), n4(7))
        some.write(n4(2), n4(7))
        assert refused(lambda: some.write(n4(3), n4(7))) == "E2BIG"
        assert refused(lambda: some.write(n4(2), n4(7), 1)) == "EEXIST"
        assert refused(lambda: some.remove(n4(3))) == "ENOENT"

    def test_an_interface_must_be_named(self) -> None:
        assert refused(lambda: self.some().write(n4(1), n4(0))) == "EINVAL"


class TestCpus:
    def test_a_cpu_that_is_not_there_is_refused(self) -> None:
        assert refused(lambda: made(MapType.CPUMAP, value=4, cpus=2).write(n4(2), n4(7))) == "ENODEV"

    def test_a_queue_has_a_length(self) -> None:
        assert refused(lambda: made(MapType.CPUMAP, value=4).write(n4(1), n4(16385))) == "EOVERFLOW"


class TestXdpSockets:
    def test_flags_say_what_must_be_there(self) -> None:
        some = made(MapType.XSKMAP, value=4)
        assert refused(lambda: some.write(n4(1), n4(7), 2)) == "ENOENT"
        some.write(n4(1), n4(7), 1)
        assert refused(lambda: some.write(n4(1), n4(7), 1)) == "EEXIST"

    def test_they_are_not_told(self) -> None:
        assert refused(lambda: made(MapType.XSKMAP, value=4).read(n4(1))) == "EOPNOTSUPP"


SOCKETS = (MapType.SOCKMAP, MapType.SOCKHASH, MapType.REUSEPORT_SOCKARRAY)


@pytest.mark.parametrize("kind", SOCKETS)
class TestSockets:
    def test_maps_of_sockets_are_made_and_empty(self, kind: MapType) -> None:
        some = made(kind)
        assert (some.find(n4(1)), some.read(n4(1))) == (0, None)

    def test_sockets_are_refused(self, kind: MapType) -> None:
        some = made(kind, value=4)
        assert refused(lambda: some.write(n4(1), n4(7))) == "EOPNOTSUPP"
        assert refused(lambda: some.update(n4(1), n4(7))) == "EOPNOTSUPP"

    def test_a_cookie_takes_8_bytes(self, kind: MapType) -> None:
        assert refused(lambda: made(kind, value=4).read(n4(1))) == "ENOSPC"
        assert refused(lambda: made(kind, value=6)) == "EINVAL"
