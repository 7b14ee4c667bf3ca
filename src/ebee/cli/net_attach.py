"""`ebee net attach`, `ebee net detach`: by netlink, so that it lasts until somebody takes it back."""

from __future__ import annotations

from contextlib import ExitStack

from ebee.abi.bpf import ProgType
from ebee.cli.call import Answer, Call
from ebee.cli.selectors import Selector, take_selector
from ebee.cli.words import Words
from ebee.errors import AttachError, NotSupportedError, SpecError, notify
from ebee.introspect.net import find_named
from ebee.kernel.protocol import Kernel, NetDevice, ObjectKind, ProgramInfo
from ebee.links.devices import find_device, warn_if_down
from ebee.links.xdp import FLAGS_UPDATE_IF_NOEXIST, MODE_FLAGS, explained
from ebee.spec import AttachPoint

_TCX = ("tcx_ingress", "tcx_egress")
_FAMILIES = {"driver": "xdpdrv", "generic": "xdpgeneric", "offload": "xdpoffload"}


def main(call: Call) -> Answer:
    words = call.words
    family = words.choice((*MODE_FLAGS, *_TCX))
    selector = take_selector(words, ObjectKind.PROGRAM) if call.command[-1] == "attach" else None
    device = _device(words)
    overwrite = selector is not None and words.keyword("overwrite") is not None
    words.finish()
    if family in _TCX:
        raise NotSupportedError(
            f"{' '.join(call.command)} {family}: ebee attaches no tcx programs yet",
            hint="XDP programs go on interfaces: xdp, xdpdrv, xdpgeneric, xdpoffload",
        )
    point = AttachPoint(family, device)
    if selector is None:
        return _detach(call.kernel(), point)
    return _attach(call.kernel(), selector, point, words, overwrite=overwrite)


def _device(words: Words) -> str:
    words.choice(("dev",))
    return words.take("the name of a device")


def _attach(
    kernel: Kernel, selector: Selector, point: AttachPoint, words: Words, *, overwrite: bool
) -> Answer:
    with ExitStack() as resources:
        fd = selector.open_one(kernel, resources, words)
        info = kernel.program_info(fd)
        name = info.name or f"id {info.id}"
        _check_type(info, name, point)
        device = find_device(kernel, name, point)
        warn_if_down(device)
        flags = MODE_FLAGS[point.family] | (0 if overwrite else FLAGS_UPDATE_IF_NOEXIST)
        try:
            kernel.xdp_attach(device.ifindex, fd, flags)
        except AttachError as error:
            raise explained(kernel, name, point, error) from None
    return Answer(None, lambda: [f"attached {name} (id {info.id}) to {point}"])


def _check_type(info: ProgramInfo, name: str, point: AttachPoint) -> None:
    if info.type != ProgType.XDP:
        from ebee.introspect.programs import type_name

        raise SpecError(
            f"attach {name} to {point}: the program is of type {type_name(info.type)}, expected xdp",
            hint="see which programs are: ebee prog list",
        )


def _detach(kernel: Kernel, point: AttachPoint) -> Answer:
    device = find_named(kernel, point.target, f"detach from {point}")
    if not device.xdp:
        notify(f"{device.name} runs no XDP program, so there is nothing to detach")
        return Answer(None, list)
    try:
        kernel.xdp_attach(device.ifindex, -1, MODE_FLAGS[point.family])
    except AttachError as error:
        raise _held_by_link(kernel, device, point, error) from None
    left = _programs(kernel, device)
    gone = [state for state in device.xdp if state not in left]
    if not gone:
        raise _other_mode(device, point)
    return Answer(None, lambda: [f"detached program id {state.program_id} from {point}" for state in gone])


def _programs(kernel: Kernel, device: NetDevice) -> tuple[object, ...]:
    return next((item.xdp for item in kernel.net_devices() if item.ifindex == device.ifindex), ())


def _other_mode(device: NetDevice, point: AttachPoint) -> AttachError:
    there = ", ".join(f"program id {state.program_id} in {state.mode} mode" for state in device.xdp)
    family = _FAMILIES.get(device.xdp[0].mode, "xdp")
    return AttachError(
        f"detach from {point}: {device.name} runs {there}, not in the mode named",
        hint=f"name its mode: ebee net detach {family} dev {device.name}",
    )


def _held_by_link(kernel: Kernel, device: NetDevice, point: AttachPoint, error: AttachError) -> AttachError:
    """Say which link holds the program: netlink does not take it off such."""
    from ebee.abi.bpf import LinkType
    from ebee.introspect.objects import each

    for fd in each(kernel, ObjectKind.LINK):
        info = kernel.link_info(fd)
        if info.type is LinkType.XDP and info.details.get("ifindex") == device.ifindex:
            return AttachError(
                f"detach from {point}: the program is held by link id {info.id}",
                errno=error.errno,
                hint=f"end the process that made the link, or: ebee link detach id {info.id}",
            )
    return error
