"""Links, what is told about them, and packets that arrive, on both kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from ebee.abi.bpf import AttachType, LinkType, MapType, ProgType
from ebee.asm import Instruction, encode
from ebee.errors import AttachError, EbeeError, GoneError, SpecError
from ebee.introspect.extras import Extras
from ebee.introspect.links import list_links
from ebee.introspect.maps import describe_map
from ebee.introspect.net import describe_network
from ebee.introspect.programs import describe_program
from ebee.kernel.protocol import Kernel, LinkCreate, ObjectKind, PerfEvent, ProgramLoad
from ebee.loader import LoadedObject
from ebee.maps import create_map
from ebee.sessions.c import load
from ebee.spec import MapSpec
from tests.shared.places import FRAME, Wire
from tests.support.objects import spec_of

_TEXT = """
    int seen = 0, dropped = 0;
    /* Only frames of the tests' own: the running kernel sends others when an interface comes up. */
    static int is_mine(struct xdp_md *ctx)
    {
        unsigned char *data = (void *)(long)ctx->data;
        return data + 14 <= (unsigned char *)(long)ctx->data_end && data[12] == 0x88 && data[13] == 0xb5;
    }
    #define MINE (skb->protocol == __builtin_bswap16(0x88b5))
    SEC("xdp") int count(struct xdp_md *ctx) { seen += is_mine(ctx); return XDP_PASS; }
    SEC("xdp") int drop(struct xdp_md *ctx) { dropped += is_mine(ctx); return XDP_DROP; }
    SEC("tc") int look(struct __sk_buff *skb) { seen += 100 * MINE; return -1; }
    SEC("tc") int cut(struct __sk_buff *skb) { dropped += 100 * MINE; return 2; }
    SEC("socket") int keep(struct __sk_buff *skb) { seen += 10000 * MINE; return 0; }
    SEC("raw_tp/sched_switch") int raw(void *ctx) { return 0; }
    SEC("tp_btf/sched_switch") int typed(void *ctx) { return 0; }
    SEC("tracepoint/sched/sched_switch") int point(void *ctx) { return 0; }
    SEC("perf_event") int event(void *ctx) { return 0; }
    SEC("cgroup_skb/egress") int group(void *ctx) { return 1; }
"""


@pytest.fixture
def obj(kernel: Kernel) -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT), kernel=kernel) as loaded:
        yield loaded


def _refusal(action: Any) -> tuple[type[EbeeError], str]:
    with pytest.raises(EbeeError) as caught:
        action()
    return type(caught.value), str(caught.value)


def test_a_packet_comes_by_the_program_on_its_interface(obj: LoadedObject, wire: Wire) -> None:
    """Until the link is closed."""
    with obj.programs["count"].attach(f"xdp:{wire.name}") as link:
        info = link.info()
        assert (info.type, info.program_id) == (LinkType.XDP, obj.programs["count"].id)
        assert info.details == {"ifindex": wire.ifindex}
        wire.send(FRAME)
        assert obj.variables["seen"].value == 1
    wire.send(FRAME)
    assert obj.variables["seen"].value == 1


def test_the_interface_tells_its_program(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """And the mode it runs in."""
    for family, mode in (("xdp", "driver"), ("xdpdrv", "driver"), ("xdpgeneric", "generic")):
        with obj.programs["count"].attach(f"{family}:{wire.name}"):
            device = next(each for each in kernel.net_devices() if each.ifindex == wire.ifindex)
            assert [(state.mode, state.program_id) for state in device.xdp] == [
                (mode, obj.programs["count"].id)
            ]
    assert not any(each.xdp for each in kernel.net_devices())


def test_a_second_program_is_told_who_is_there(obj: LoadedObject, wire: Wire) -> None:
    """With the program's id and the link's."""
    with obj.programs["count"].attach(f"xdp:{wire.name}") as link:
        with pytest.raises(AttachError) as caught:
            obj.programs["drop"].attach(f"xdp:{wire.name}")
        number, holder = obj.programs["count"].id, link.info().id
        assert str(caught.value) == (
            f"attach drop to xdp:{wire.name}: {wire.name} already runs program id {number} (driver mode)"
        )
        assert caught.value.hint == (
            f"end the process that made link id {holder}, or: ebee link detach id {holder}"
        )


def test_the_driver_and_the_generic_place_exclude_each_other(obj: LoadedObject, wire: Wire) -> None:
    """The kernel's EEXIST, or EBUSY, in our words."""
    with obj.programs["count"].attach(f"xdpdrv:{wire.name}"):
        kind, message = _refusal(lambda: obj.programs["drop"].attach(f"xdpgeneric:{wire.name}"))
        assert kind is AttachError
        assert message.startswith(f"attach drop to xdpgeneric:{wire.name}: {wire.name} already runs program")


def test_an_interface_that_is_not_there_says_so(obj: LoadedObject, wire: Wire) -> None:
    """With the nearest that is."""
    with pytest.raises(AttachError) as caught:
        obj.programs["count"].attach("xdp:vethO")
    assert str(caught.value) == "attach count to xdp:vethO: there is no device 'vethO'"
    assert caught.value.hint in ("did you mean 'veth0'?", "did you mean 'veth1'?")


def test_a_link_takes_another_program(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """Of the same type."""
    with obj.programs["count"].attach(f"xdp:{wire.name}") as link:
        kernel.link_update(link.fd, obj.programs["drop"].fd)
        assert link.info().program_id == obj.programs["drop"].id
        wire.send(FRAME)
        assert (obj.variables["seen"].value, obj.variables["dropped"].value) == (0, 1)
        assert _refusal(lambda: kernel.link_update(link.fd, obj.programs["look"].fd))[1] == (
            f"put another program into link (fd {link.fd}): this kind of link does not take another program, "
            "or not of that type (EINVAL)"
        )


def test_a_link_is_taken_off_by_force(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """It stays, at no interface; raw tracepoints do not let themselves be."""
    with obj.programs["count"].attach(f"xdp:{wire.name}") as link:
        kernel.link_detach(link.fd)
        assert link.info().details == {"ifindex": 0}
        wire.send(FRAME)
        assert obj.variables["seen"].value == 0
    with obj.programs["raw"].attach() as link:
        assert _refusal(link.detach)[1].endswith(
            "links of this kind cannot be detached by force (EOPNOTSUPP)"
        )


def test_netlink_attaches_for_good(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """Until it is taken off; the program's descriptor may go meanwhile."""
    program = obj.programs["count"]
    number = program.id
    kernel.xdp_attach(wire.ifindex, program.fd, 0)
    program.close()
    device = next(each for each in kernel.net_devices() if each.ifindex == wire.ifindex)
    assert [state.program_id for state in device.xdp] == [number]
    other = obj.programs["drop"]
    assert _refusal(lambda: kernel.xdp_attach(wire.ifindex, other.fd, 1))[0] is AttachError
    assert (
        _refusal(lambda: kernel.xdp_attach(wire.ifindex, other.fd, 0, expected_fd=other.fd))[0] is AttachError
    )
    kernel.xdp_attach(wire.ifindex, other.fd, 0)
    wire.send(FRAME)
    assert obj.variables["dropped"].value == 1
    kernel.xdp_attach(wire.ifindex, -1, 0)
    assert not any(each.xdp for each in kernel.net_devices())
    assert _refusal(lambda: kernel.xdp_attach(99999, other.fd, 0)) == (
        AttachError,
        "attach to XDP of device 99999: there is no device of that number (ENODEV)",
    )


def test_tcx_runs_one_program_after_the_other(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """Until one decides; the list tells their order."""
    programs = obj.programs
    made = [
        kernel.link_create(LinkCreate(programs[name].fd, wire.ifindex, AttachType.TCX_INGRESS))
        for name in ("look", "cut")
    ]
    try:
        info = kernel.link_info(made[0])
        assert (info.type, info.program_id) == (LinkType.TCX, programs["look"].id)
        assert info.details == {"ifindex": wire.ifindex, "attach_type": int(AttachType.TCX_INGRESS)}
        rows = kernel.program_query(wire.ifindex, AttachType.TCX_INGRESS)
        assert [row.program_id for row in rows] == [programs["look"].id, programs["cut"].id]
        assert [row.link_id for row in rows] == [kernel.link_info(fd).id for fd in made]
        wire.send(FRAME)
        assert (obj.variables["seen"].value, obj.variables["dropped"].value) == (100, 100)
        assert _refusal(
            lambda: kernel.link_create(LinkCreate(programs["look"].fd, wire.ifindex, AttachType.TCX_INGRESS))
        ) == (
            AttachError,
            f"attach to TCX_INGRESS of device {wire.ifindex}: a program is attached there already (EEXIST)",
        )
    finally:
        for fd in made:
            kernel.close(fd)
    assert kernel.program_query(wire.ifindex, AttachType.TCX_INGRESS) == []


def test_a_socket_filter_hears_an_interface(obj: LoadedObject, wire: Wire) -> None:
    """Through a packet socket of the link's own."""
    with obj.programs["keep"].attach(f"socket:{wire.name}") as link:
        assert not link.kernel_link
        wire.send(FRAME)
        assert obj.variables["seen"].value == 10000


@pytest.mark.parametrize("name", ["raw", "typed"])
def test_raw_tracepoints_tell_their_names(kernel: Kernel, obj: LoadedObject, name: str) -> None:
    """Typed ones likewise."""
    with obj.programs[name].attach() as link:
        info = link.info()
        assert info.type == LinkType.RAW_TRACEPOINT
        assert info.details == {"tp_name": "sched_switch", "cookie": 0}


def test_a_raw_tracepoint_that_is_not_there_says_so(obj: LoadedObject) -> None:
    """With the nearest, by the kernel's types."""
    with pytest.raises(AttachError) as caught:
        obj.programs["raw"].attach("raw_tp:sched_swich")
    assert (
        str(caught.value)
        == "attach raw to raw_tp:sched_swich: this kernel has no raw tracepoint 'sched_swich'"
    )
    assert caught.value.hint == "did you mean 'sched_switch'?"


def test_a_tracepoint_is_a_perf_event(kernel: Kernel, obj: LoadedObject) -> None:
    """Its link tells its name."""
    with obj.programs["point"].attach() as link:
        info = link.info()
        assert info.type == LinkType.PERF_EVENT
        assert (info.details["perf_event_type"], info.details["tp_name"]) == (5, "sched_switch")


def test_perf_events_take_links_with_cookies(kernel: Kernel, obj: LoadedObject) -> None:
    """And programs without links, one each."""
    program = obj.programs["event"]
    event = kernel.perf_event_open(PerfEvent(1, 9))
    link = kernel.link_create(LinkCreate(program.fd, event, AttachType.PERF_EVENT, cookie=77))
    assert kernel.link_info(link).details == {"perf_event_type": 6, "config": 9, "type": 1, "cookie": 77}
    kernel.perf_event_enable(event)
    kernel.close(link)
    kernel.perf_event_attach(event, program.fd)
    tried = f"run program (fd {program.fd}) at perf event (fd {event})"
    assert _refusal(lambda: kernel.perf_event_attach(event, program.fd))[1] == (
        f"{tried}: a program is attached to this event already (EEXIST)"
    )
    kernel.close(event)
    assert _refusal(lambda: kernel.perf_event_open(PerfEvent(0x7FFF, 0)))[1] == (
        "open perf event (type 32767, config 0): this kernel has no such event (ENOENT)"
    )


def test_programs_do_not_go_where_they_do_not_belong(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """Each with the kernel's errno."""
    programs = obj.programs
    assert _refusal(lambda: programs["point"].attach(f"xdp:{wire.name}")) == (
        SpecError,
        f"attach point to xdp:{wire.name}: the program is of type TRACEPOINT, expected XDP",
    )
    for fd, target, kind in (
        (programs["look"].fd, wire.ifindex, AttachType.XDP),
        (programs["count"].fd, wire.ifindex, AttachType.TCX_INGRESS),
    ):
        with pytest.raises(EbeeError) as caught:
            kernel.link_create(LinkCreate(fd, target, kind))
        assert getattr(caught.value, "errno_name", "") == "EINVAL"
    assert _refusal(lambda: kernel.raw_tracepoint_open(programs["count"].fd, "sched_switch"))[1] == (
        "attach to raw tracepoint sched_switch: the program is not of a kind that goes there (EINVAL)"
    )


def test_objects_are_found_by_their_ids(kernel: Kernel, obj: LoadedObject) -> None:
    """And gone when nobody holds them."""
    number = obj.programs["count"].id
    fd = kernel.open_id(ObjectKind.PROGRAM, number)
    assert kernel.kind_of(fd) is ObjectKind.PROGRAM
    assert kernel.program_info(fd) == kernel.program_info(obj.programs["count"].fd)
    obj.close()
    assert kernel.program_info(fd).id == number
    kernel.close(fd)
    assert _refusal(lambda: kernel.open_id(ObjectKind.PROGRAM, 4_000_000_000)) == (
        GoneError,
        "open program 4000000000: no program has this id",
    )


def test_infos_agree(kernel: Kernel, obj: LoadedObject) -> None:
    """Of programs and maps, as far as they do not depend on the machine."""
    info = kernel.program_info(obj.programs["drop"].fd, code=True)
    assert (info.name, info.gpl_compatible, info.created_by_uid) == ("drop", True, os.getuid())
    assert info.map_ids == (obj.maps[".bss"].info().id,)
    assert info.btf_id == obj.maps[".bss"].info().btf_id != 0
    assert (info.func_info_record_bytes, info.line_info_record_bytes) == (8, 16)
    assert len(info.func_info) == 8
    assert len(info.line_info) >= 16
    facts = describe_program(kernel, obj.programs["drop"].fd, Extras())
    assert (facts["type"], facts["name"], facts["map_ids"]) == ("xdp", "drop", list(info.map_ids))
    shown = describe_map(kernel, obj.maps[".bss"].fd, Extras())
    assert (shown["type"], shown["bytes_value"], shown["frozen"]) == ("array", 8, 0)


def test_a_tag_does_not_depend_on_the_numbers_of_maps(kernel: Kernel) -> None:
    """SHA-256 since 6.18, SHA-1 before; the numbers of map loads count as zero."""
    from hashlib import sha1, sha256

    with create_map(kernel, MapSpec("m", MapType.ARRAY, 4, 8, 1)) as item:
        low, high = Instruction(0x18, dst=1, src=1, imm=item.fd), Instruction(0)
        rest = [Instruction(0xB7, imm=2), Instruction(0x95)]
        code = encode([low, high, *rest])
        answer = kernel.program_load(ProgramLoad(ProgType.XDP, code, "GPL", "tagged"))
    plain = encode([low._replace(imm=0), high, *rest])
    info = kernel.program_info(answer.fd)
    kernel.close(answer.fd)
    assert info.tag in (sha256(plain).digest()[:8], sha1(plain, usedforsecurity=False).digest()[:8])
    assert info.xlated_bytes == len(code)


def test_listings_name_what_is_attached(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """As `link list` and `net list` show it."""
    with obj.programs["count"].attach(f"xdp:{wire.name}") as link:
        mine = [facts for facts in list_links(kernel, Extras()) if facts["id"] == link.info().id]
        assert mine == [
            {
                "id": link.info().id,
                "type": "xdp",
                "prog_id": obj.programs["count"].id,
                "devname": wire.name,
                "ifindex": wire.ifindex,
            }
        ]
        network = describe_network(kernel, wire.name)
        assert [(item["devname"], item["id"]) for item in network["xdp"]] == [
            (wire.name, obj.programs["count"].id)
        ]


def test_what_is_closed_says_so(kernel: Kernel, obj: LoadedObject, wire: Wire) -> None:
    """Programs and links alike."""
    link = obj.programs["count"].attach(f"xdp:{wire.name}")
    link.close()
    link.close()
    assert _refusal(link.info) == (
        GoneError,
        f"link of count at xdp:{wire.name}: used after it was closed",
    )
    program = obj.programs["count"]
    program.close()
    assert _refusal(program.info) == (GoneError, "program count: used after it was closed")
    assert _refusal(lambda: kernel.close(987654))[1] == (
        "close file descriptor 987654: the file descriptor is not of that kind, or was closed (EBADF)"
    )
