"""Names in bpffs on the running kernel: what is pinned outlives its maker, and maps are shared by name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.errors import KernelError
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import ObjectKind
from ebee.pins import open_pin
from ebee.sessions.c import load
from ebee.testing import private_network
from tests.kernel.door import needs_root
from tests.kernel.place import mounted_bpffs, run_apart
from tests.support.objects import HELLO, compiled

pytestmark = needs_root
KERNEL = LiveKernel()
_PATIENCE_S = 10.0


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[str]:
    with mounted_bpffs(tmp_path) as folder:
        yield folder


def test_a_pinned_program_outlives_its_object(bpffs: str) -> None:
    """Until the name is removed."""
    with load(compiled(HELLO, "hello.bpf.c")) as obj:
        obj.programs["hello"].pin(f"{bpffs}/hello")
        number = obj.programs["hello"].id
    fd = open_pin(KERNEL, f"{bpffs}/hello", ObjectKind.PROGRAM)
    assert KERNEL.program_info(fd).id == number
    KERNEL.close(fd)
    os.unlink(f"{bpffs}/hello")


def test_a_pinned_link_stays_attached(bpffs: str) -> None:
    """And comes off with its name."""
    with private_network() as net:
        with load(compiled(HELLO, "hello.bpf.c")) as obj:
            link = obj.programs["hello"].attach(f"xdp:{net.a}")
            link.pin(f"{bpffs}/link")
            link.close()
        assert [device.name for device in KERNEL.net_devices() if device.xdp] == [net.a]
        os.unlink(f"{bpffs}/link")
        end_s = time.monotonic() + _PATIENCE_S  # the kernel frees the name when its last reader has gone
        while any(device.xdp for device in KERNEL.net_devices()) and time.monotonic() < end_s:
            time.sleep(0.01)
        assert [device.name for device in KERNEL.net_devices() if device.xdp] == []


def test_a_dot_in_a_name_is_refused_in_words(bpffs: str) -> None:
    """Bpffs takes none."""
    with load(compiled(HELLO, "hello.bpf.c")) as obj, pytest.raises(KernelError) as caught:
        obj.programs["hello"].pin(f"{bpffs}/hello.o")
    assert (
        str(caught.value)
        == f"pin at {bpffs}/hello.o: the name holds a dot, which bpffs does not take (EPERM)"
    )


_SHARED = '''
import os, warnings
from ebee.sessions.c import load
from tests.support.objects import spec_of
TEXT = """struct { __uint(type, BPF_MAP_TYPE_%s); __uint(max_entries, 4); __type(key, int); __type(value, %s);
          __uint(pinning, LIBBPF_PIN_BY_NAME); } shared SEC(".maps");"""
warnings.simplefilter("ignore")
subprocess.run(["mount", "-t", "bpf", "none", "/sys/fs/bpf"], check=True)
first = load(spec_of(TEXT % ("HASH", "long")))
first.maps["shared"][1] = 42
first.close()
'''


def test_a_map_pinned_by_name_is_shared() -> None:
    """Also when its first maker is gone."""
    text = _SHARED + (
        'with load(spec_of(TEXT % ("HASH", "long"))) as second:\n'
        '    print(second.maps["shared"][1], os.path.exists("/sys/fs/bpf/shared"))\n'
    )
    assert run_apart(text) == "42 True\n"


def test_a_map_pinned_by_name_that_differs_says_in_what() -> None:
    """Every field at once."""
    text = _SHARED + (
        "try:\n"
        '    load(spec_of(TEXT % ("ARRAY", "int")))\n'
        "except Exception as error:\n"
        "    print(error, error.hint, sep='\\n')\n"
    )
    assert run_apart(text).splitlines() == [
        "map shared: the one pinned at /sys/fs/bpf/shared has type HASH, expected ARRAY; "
        "value size 8, expected 4",
        "change the declaration, or remove the old one: rm /sys/fs/bpf/shared",
    ]


def test_bpffs_is_mounted_where_it_is_missing_and_said() -> None:
    """At its usual place only."""
    text = (
        "import warnings\n"
        "from ebee.kernel.live.mounts import unmount\n"
        "from ebee.host.mounts import bpffs_holding\n"
        "while bpffs_holding('/sys/fs/bpf'): unmount('/sys/fs/bpf')\n"
        "from ebee.sessions.c import load\n"
        "from tests.support.objects import HELLO, compiled\n"
        "with warnings.catch_warnings(record=True) as said, load(compiled(HELLO, 'hello.bpf.c')) as obj:\n"
        "    warnings.simplefilter('always')\n"
        "    obj.programs['hello'].pin('/sys/fs/bpf/hello')\n"
        "    print([str(item.message) for item in said])\n"
    )
    assert run_apart(text) == "['mounted bpffs on /sys/fs/bpf']\n"
