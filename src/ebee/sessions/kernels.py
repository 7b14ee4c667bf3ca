"""Which kernel programs go to: the running one, or the userspace machine where that says no.

The userspace machine is chosen by its name, `vm`, or by itself where the running kernel refuses for
want of rights or support; then a Notice says so and why, once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from ebee.errors import (
    EbeeError,
    KernelError,
    NotPermittedError,
    NotSupportedError,
    SpecError,
    notify,
)
from ebee.kernel.protocol import Kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar

    from ebee.kernel.simulated import SimulatedKernel

    _Made = TypeVar("_Made")
    Wanted: TypeAlias = Kernel | str | None
    """A kernel, or `live`, `vm`, `auto`; None is `auto`."""

KERNELS = ("auto", "live", "vm")
_REFUSALS = (NotPermittedError, NotSupportedError)

_shared: list[SimulatedKernel] = []
_fallen_back: set[str] = set()


def choose_kernel(wanted: Wanted = None, *, engine: str | None = None, devices: Iterable[str] = ()) -> Kernel:
    """Return the kernel to use.

    Args:
        wanted: `live`: the running one, whatever it says. `vm`: the userspace machine, the same one each
            time in a process. `auto` or None: the running one if it lets this process load anything at
            all, else the userspace machine, which a Notice says. A kernel is returned as it is.
        engine: of the userspace machine, `interpreter` or `native`; one that is named gets a machine of
            its own.
        devices: interfaces that the userspace machine has, besides its own.

    Raises:
        SpecError: there is no kernel, or no engine, of that name.
        NotSupportedError: `live`, and this system is not Linux.
    """
    if wanted is None or wanted == "auto":
        return _automatic(engine, devices)
    if wanted == "live":
        return live_kernel()
    if wanted == "vm":
        return simulated_kernel(engine=engine, devices=devices)
    if isinstance(wanted, str):
        raise SpecError(f"choose a kernel: '{wanted}', expected {', '.join(KERNELS)}")
    return wanted


def on_kernel(wanted: Wanted, action: Callable[[Kernel], _Made], *, devices: Iterable[str] = ()) -> _Made:
    """Do something on the kernel that is wanted, and return what it gives.

    With `auto` or None it is done on the running kernel first. If that refuses for want of rights or
    support, it is done on the userspace machine instead, and a Notice says so and why.

    Raises:
        What the action raises. Where both refuse, the running kernel's refusal.
    """
    if wanted is not None and wanted != "auto":
        return action(choose_kernel(wanted, devices=devices))
    try:
        return action(live_kernel())
    except _REFUSALS as error:
        return _instead(error, action, devices)


def _instead(refusal: KernelError, action: Callable[[Kernel], _Made], devices: Iterable[str]) -> _Made:
    """Do on the userspace machine what the running kernel refused."""
    try:
        made = action(simulated_kernel(devices=devices))
    except _REFUSALS:
        raise refusal from None
    except EbeeError:
        _fall_back(refusal)
        raise
    _fall_back(refusal)
    return made


def live_kernel() -> Kernel:
    """Return the door to the kernel that this process runs on.

    Raises:
        NotSupportedError: this system is not Linux.
    """
    if sys.platform != "linux":
        raise NotSupportedError(
            f"use the running kernel: this system is {sys.platform}, expected Linux",
            hint="the userspace machine runs programs everywhere: kernel='vm'",
        )
    from ebee.kernel.live import LiveKernel

    return LiveKernel()


def simulated_kernel(*, engine: str | None = None, devices: Iterable[str] = ()) -> SimulatedKernel:
    """Return the userspace machine of this process, with interfaces of the names that the host has.

    Args:
        engine: one that is named gets a machine of its own.
        devices: more interfaces.
    """
    from ebee.kernel.simulated import SimulatedKernel

    names = ("eth0", *_interfaces(), *devices)
    if engine is not None:
        return SimulatedKernel(engine=engine, devices=names)
    # A process that was forked has a copy of the machine, whose descriptors are its parent's.
    if not _shared:
        _shared.append(SimulatedKernel(devices=names))
    for name in devices:
        _shared[0].add_device(name)
    return _shared[0]


def tracing_kernel(wanted: Wanted) -> Kernel:
    """Return the kernel whose trace pipe is meant: with None the one that programs went to last."""
    if wanted is None and _fallen_back:
        return simulated_kernel()
    return choose_kernel(wanted)


def _automatic(engine: str | None, devices: Iterable[str]) -> Kernel:
    """Return the running kernel if it loads the smallest program there is."""
    try:
        kernel = live_kernel()
        _try(kernel)
    except _REFUSALS as refusal:
        _fall_back(refusal)
        return simulated_kernel(engine=engine, devices=devices)
    return kernel


def _try(kernel: Kernel) -> None:
    from ebee.abi.bpf import ProgType
    from ebee.asm import Instruction, encode
    from ebee.kernel.protocol import ProgramLoad

    code = encode([Instruction(0xB7), Instruction(0x95)], sys.byteorder)
    answer = kernel.program_load(ProgramLoad(ProgType.XDP, code, "GPL", "ebee_try"))
    if answer.fd >= 0:
        kernel.close(answer.fd)
        return
    from ebee.kernel.errors import explain_load

    raise explain_load(answer, "load a program", ProgType.XDP)


def _fall_back(refusal: KernelError) -> None:
    """Say, once for each reason, that programs go to the userspace machine."""
    why = refusal.message
    if why not in _fallen_back:
        _fallen_back.add(why)
        notify(f"{why}; it runs on the userspace machine instead, which nothing real arrives at")


def _interfaces() -> list[str]:
    from ebee.host.interfaces import interfaces

    try:
        return list(interfaces())
    except OSError:
        return []
