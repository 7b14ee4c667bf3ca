"""Names in bpffs on both kernels: what is pinned outlives its maker."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ebee.abi.bpf import MapType
from ebee.errors import EbeeError, KernelError
from ebee.introspect.objects import pins
from ebee.kernel.protocol import Kernel, ObjectKind
from ebee.loader.pinned import shared_map
from ebee.maps import Map, create_map
from ebee.pins import open_pin, pin
from ebee.sessions.c import load
from ebee.spec import MapSpec, ObjectSpec
from tests.shared.places import Wire
from tests.support.objects import HELLO, compiled, spec_of

_PATIENCE_S = 10.0


def _refusal(action: Any) -> tuple[str, str | None]:
    with pytest.raises(EbeeError) as caught:
        action()
    return str(caught.value), caught.value.hint


def test_a_pinned_program_outlives_its_object(kernel: Kernel, bpffs: str) -> None:
    """Until the name is removed."""
    with load(compiled(HELLO, "hello.bpf.c"), kernel=kernel) as obj:
        obj.programs["hello"].pin(f"{bpffs}/hello")
        number = obj.programs["hello"].id
    fd = open_pin(kernel, f"{bpffs}/hello", ObjectKind.PROGRAM)
    assert kernel.program_info(fd).id == number
    assert pins(kernel, ObjectKind.PROGRAM)[number] == [f"{bpffs}/hello"]
    kernel.close(fd)
    kernel.unpin(f"{bpffs}/hello")
    assert not kernel.is_pinned(f"{bpffs}/hello")


def test_a_pinned_map_keeps_its_values(kernel: Kernel, bpffs: str) -> None:
    """Opened by its name it is the same map."""
    text = """struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int);
                       __type(value, long); } m SEC(".maps");
              SEC("socket") int it(void *ctx) { return 0; }"""
    spec = spec_of(text)
    with load(spec, kernel=kernel) as obj:
        obj.maps["m"][1] = 42
        pin(kernel, obj.maps["m"].fd, f"{bpffs}/m")
    with Map(kernel, open_pin(kernel, f"{bpffs}/m", ObjectKind.MAP), spec.maps["m"], spec.btf) as again:
        assert dict(again.items()) == {1: 42}


def test_a_pinned_link_stays_attached(kernel: Kernel, bpffs: str, wire: Wire) -> None:
    """And comes off with its name."""
    with load(compiled(HELLO, "hello.bpf.c"), kernel=kernel) as obj:
        link = obj.programs["hello"].attach(f"xdp:{wire.name}")
        link.pin(f"{bpffs}/link")
        link.close()
    assert [device.name for device in kernel.net_devices() if device.xdp] == [wire.name]
    kernel.unpin(f"{bpffs}/link")
    end_s = time.monotonic() + _PATIENCE_S  # the kernel frees the name when its last reader has gone
    while any(device.xdp for device in kernel.net_devices()) and time.monotonic() < end_s:
        time.sleep(0.01)
    assert not any(device.xdp for device in kernel.net_devices())


def test_names_that_cannot_be_say_why(
    kernel: Kernel, bpffs: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Taken, with a dot, elsewhere."""
    with create_map(kernel, MapSpec("m", MapType.HASH, 4, 4, 1)) as item:
        pin(kernel, item.fd, f"{bpffs}/m")
        assert _refusal(lambda: pin(kernel, item.fd, f"{bpffs}/m")) == (
            f"pin at {bpffs}/m: the name is taken",
            f"remove it first: rm {bpffs}/m",
        )
        assert _refusal(lambda: kernel.pin(item.fd, f"{bpffs}/m")) == (
            f"pin at {bpffs}/m: the name is taken (EEXIST)",
            "choose another name, or remove the file",
        )
        assert _refusal(lambda: pin(kernel, item.fd, f"{bpffs}/a.b"))[0] == (
            f"pin at {bpffs}/a.b: the name holds a dot, which bpffs does not take (EPERM)"
        )
        elsewhere = kernel.pin_folder(str(tmp_path_factory.getbasetemp()))
        folder = str(tmp_path_factory.getbasetemp())
        assert _refusal(lambda: pin(kernel, item.fd, f"{folder}/m"))[0] == (
            f"pin at {folder}/m: {folder} is on {elsewhere}, expected bpffs"
        )
        assert _refusal(lambda: kernel.pin(item.fd, f"{folder}/m"))[0] == (
            f"pin at {folder}/m: {folder} is on {elsewhere}, expected bpffs (EPERM)"
        )
        assert _refusal(lambda: kernel.pin(item.fd, "/no such folder/m"))[0] == (
            "pin at /no such folder/m: the folder is not there (ENOENT)"
        )
        assert _refusal(lambda: kernel.pin(98765, f"{bpffs}/x"))[0] == (
            f"pin at {bpffs}/x: the name holds a dot, "
            "or the file descriptor is of nothing that can be pinned (EINVAL)"
        )


def test_what_is_not_pinned_says_so(kernel: Kernel, bpffs: str) -> None:
    """With the nearest name; and what is pinned of another kind, too."""
    with create_map(kernel, MapSpec("m", MapType.HASH, 4, 4, 1)) as item:
        pin(kernel, item.fd, f"{bpffs}/counts")
    assert _refusal(lambda: open_pin(kernel, f"{bpffs}/count")) == (
        f"open pin {bpffs}/count: there is no such file",
        "did you mean 'counts'?",
    )
    assert _refusal(lambda: open_pin(kernel, f"{bpffs}/counts", ObjectKind.PROGRAM))[0] == (
        f"open pin {bpffs}/counts: a map is pinned there, expected a program"
    )
    with pytest.raises(KernelError) as caught:
        kernel.open_pin(f"{bpffs}/count")
    assert (str(caught.value), caught.value.errno_name) == (
        f"open pin {bpffs}/count: there is no such file (ENOENT)",
        "ENOENT",
    )
    with pytest.raises(KernelError) as caught:
        kernel.unpin(f"{bpffs}/count")
    assert caught.value.errno_name == "ENOENT"


def test_maps_are_shared_by_their_names(kernel: Kernel, bpffs: str) -> None:
    """The second that asks gets the first one's; one that differs says in what."""
    spec = MapSpec("shared", MapType.HASH, 4, 8, 4)
    whole = ObjectSpec("test")

    def shared(item: MapSpec) -> Map:
        return shared_map(item, whole, kernel, lambda: create_map(kernel, item), bpffs)

    with shared(spec) as first:
        first.update_elem(bytes(4), b"12345678")
    with shared(spec) as second:
        assert second.lookup_elem(bytes(4)) == b"12345678"
    assert _refusal(lambda: shared(spec.replaced(value_size_bytes=4))) == (
        f"map shared: the one pinned at {bpffs}/shared has value size 8, expected 4",
        f"change the declaration, or remove the old one: rm {bpffs}/shared",
    )
