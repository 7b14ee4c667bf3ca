"""`ebee net` on the running kernel, on interfaces of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.clang import compile_c
from ebee.source import SourceText
from tests.kernel.test_cli_prog import refused
from tests.support.objects import HELLO, PRELUDE
from tests.support.sandbox import Ran, Sandbox, unusable

_reason = unusable()
pytestmark = [
    pytest.mark.skipif(_reason is not None, reason=str(_reason)),
    pytest.mark.starts_processes,
]

PIN = "/sys/fs/bpf/hello"
OTHER = PRELUDE + 'SEC("socket") int other(struct __sk_buff *skb) { return 0; }\n'


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """hello and a socket filter, loaded."""
    folder = tmp_path_factory.mktemp("net")
    with Sandbox() as made:
        for name, text in (("hello", HELLO), ("other", OTHER)):
            path = folder / f"{name}.bpf.o"
            path.write_bytes(compile_c(SourceText(f"{name}.bpf.c", text)).data)
            made.ebee("prog", "load", path, f"/sys/fs/bpf/{name}", check=True)
        yield made


@pytest.fixture
def veth(sandbox: Sandbox) -> Iterator[None]:
    """Two joined interfaces, `left` and `right`, that are up."""
    sandbox.veth("left", "right")
    yield
    sandbox.run("ip", "link", "delete", "left")


def attach(sandbox: Sandbox, *words: str, kind: str = "xdp", device: str = "left") -> Ran:
    return sandbox.ebee("net", "attach", kind, "pinned", PIN, "dev", device, *words)


def hello_id(sandbox: Sandbox) -> int:
    return int(sandbox.ebee("-j", "prog", "show", "pinned", PIN).data["id"])


def xdp(sandbox: Sandbox) -> list[tuple[str, str, int]]:
    """Return what the listing has: device, mode, program."""
    found = sandbox.ebee("-j", "net", "list").data[0]["xdp"]
    return [(item["devname"], item["mode"], item["id"]) for item in found]


@pytest.mark.parametrize(
    ("kind", "mode"), [("xdp", "driver"), ("xdpdrv", "driver"), ("xdpgeneric", "generic")]
)
def test_a_program_is_attached_listed_and_detached(
    sandbox: Sandbox, veth: None, kind: str, mode: str
) -> None:
    """It stays when the command ends, and `ip link` names it too."""
    number = hello_id(sandbox)
    ran = attach(sandbox, kind=kind)
    assert ran == (0, f"attached hello (id {number}) to {kind}:left\n", "")
    assert xdp(sandbox) == [("left", mode, number)]
    assert re.search(rf"prog/xdp id {number} ", sandbox.run("ip", "link", "show", "dev", "left").out)
    ran = sandbox.ebee("net", "detach", kind, "dev", "left")
    assert ran == (0, f"detached program id {number} from {kind}:left\n", "")
    assert xdp(sandbox) == []


def test_actions_print_null_under_j_as_bpftool_does(sandbox: Sandbox, veth: None) -> None:
    assert sandbox.ebee("-j", "net", "attach", "xdp", "pinned", PIN, "dev", "left") == (0, "null\n", "")
    assert sandbox.ebee("-j", "net", "detach", "xdp", "dev", "left") == (0, "null\n", "")


def test_a_device_that_is_down_is_attached_to_with_a_warning(sandbox: Sandbox, veth: None) -> None:
    sandbox.run("ip", "link", "set", "left", "down", check=True)
    ran = attach(sandbox)
    assert ran.code == 0
    assert ran.err == "note: left is down: no packet will arrive until `ip link set left up`\n"
    assert len(xdp(sandbox)) == 1


def test_a_device_that_is_not_there(sandbox: Sandbox, veth: None) -> None:
    refused(
        attach(sandbox, device="lefd"),
        "error: attach hello to xdp:lefd: there is no device 'lefd'\nhint: did you mean 'left'?\n",
    )
    refused(
        sandbox.ebee("net", "detach", "xdp", "dev", "eth9"),
        "error: detach from xdp:eth9: there is no device 'eth9'\nhint: devices here: lo, right, left\n",
    )
    refused(
        sandbox.ebee("net", "list", "dev", "rihgt"),
        "error: look at rihgt: there is no device 'rihgt'\nhint: did you mean 'right'?\n",
    )


def test_a_program_that_is_attached_already_is_replaced_only_when_told_so(
    sandbox: Sandbox, veth: None
) -> None:
    number = hello_id(sandbox)
    assert attach(sandbox).code == 0
    refused(
        attach(sandbox),
        f"error: attach hello to xdp:left: left already runs program id {number} (driver mode)\n"
        "hint: detach it first: ebee net detach xdp dev left\n",
    )
    assert attach(sandbox, "overwrite").code == 0
    assert xdp(sandbox) == [("left", "driver", number)]


def test_detaching_in_another_mode_says_which_mode_to_name(sandbox: Sandbox, veth: None) -> None:
    number = hello_id(sandbox)
    attach(sandbox, kind="xdpgeneric")
    refused(
        sandbox.ebee("net", "detach", "xdp", "dev", "left"),
        f"error: detach from xdp:left: left runs program id {number} in generic mode, not in the mode named\n"
        "hint: name its mode: ebee net detach xdpgeneric dev left\n",
    )
    assert xdp(sandbox) == [("left", "generic", number)]


def test_detaching_where_nothing_is_attached_is_said(sandbox: Sandbox, veth: None) -> None:
    """It is no error, as with bpftool: what was wanted is so."""
    ran = sandbox.ebee("net", "detach", "xdp", "dev", "left")
    assert ran == (0, "", "note: left runs no XDP program, so there is nothing to detach\n")


def test_a_program_of_another_type_is_refused(sandbox: Sandbox, veth: None) -> None:
    refused(
        sandbox.ebee("net", "attach", "xdp", "pinned", "/sys/fs/bpf/other", "dev", "left"),
        "error: attach other to xdp:left: the program is of type socket_filter, expected xdp\n"
        "hint: see which programs are: ebee prog list\n",
    )
    assert xdp(sandbox) == []


def test_tcx_is_not_yet(sandbox: Sandbox, veth: None) -> None:
    refused(
        sandbox.ebee("net", "attach", "tcx_ingress", "pinned", PIN, "dev", "left"),
        "error: net attach tcx_ingress: ebee attaches no tcx programs yet\n"
        "hint: XDP programs go on interfaces: xdp, xdpdrv, xdpgeneric, xdpoffload\n",
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "net attach xpd id 1 dev left",
            "error: expected one of xdp, xdpgeneric, xdpdrv, xdpoffload, tcx_ingress, tcx_egress, "
            "found 'xpd'\n"
            "hint: did you mean 'xdp'?\n",
        ),
        ("net attach xdp id 1", "error: expected dev, found the end of the line\n"),
        ("net attach xdp id 1 dev", "error: expected the name of a device, found the end of the line\n"),
        ("net attach xdp id 1 dev left now", "error: expected the end of the line, found 'now'\n"),
    ],
)
def test_a_wrong_line_shows_the_usage(sandbox: Sandbox, line: str, text: str) -> None:
    refused(
        sandbox.ebee(*line.split()),
        f"{text}usage: ebee net attach ATTACH_TYPE PROG dev DEVICE [overwrite]\n",
        code=2,
    )


def test_a_program_held_by_a_link_is_not_taken_off_by_netlink(
    sandbox: Sandbox, veth: None, tmp_path: Path
) -> None:
    """The message names the link, and `link detach` takes it off."""
    script = (
        "from ebee.kernel.live import LiveKernel as K; from ebee.kernel.protocol import LinkCreate\n"
        "from ebee.abi.bpf import AttachType\n"
        "k = K(); d = next(d for d in k.net_devices() if d.name == 'left')\n"
        f"l = k.link_create(LinkCreate(k.open_pin('{PIN}'), d.ifindex, AttachType.XDP))\n"
        "k.pin(l, '/sys/fs/bpf/link')\n"
    )
    from tests.support.sandbox import EBEE, SOURCE

    sandbox.run(EBEE[0], "-c", script, env={"PYTHONPATH": str(SOURCE)}, check=True)
    (link,) = [item for item in sandbox.ebee("-j", "link", "list").data if item.get("devname") == "left"]
    refused(
        sandbox.ebee("net", "detach", "xdp", "dev", "left"),
        f"error: detach from xdp:left: the program is held by link id {link['id']}\n"
        f"hint: end the process that made the link, or: ebee link detach id {link['id']}\n",
    )
    sandbox.ebee("link", "detach", "id", str(link["id"]), check=True)
    assert xdp(sandbox) == []
    sandbox.run("rm", "/sys/fs/bpf/link", check=True)
