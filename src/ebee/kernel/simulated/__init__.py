"""The simulated kernel: the same door, and behind it the userspace machine.

    kernel = SimulatedKernel()
    with ebee.load("hello.bpf.c", kernel=kernel) as obj:
        obj.programs["hello"].attach("xdp:eth0")
        print(kernel.receive("eth0", packet).verdict)

Programs, maps, links, pins and what is told about them are as on the running kernel, and refusals have
the same errno and the same words. What happens is up to the caller: packets arrive when `receive` hands
them over, tracepoints are passed when `emit` says so. Needs no rights, and no Linux.

Each module has one part of the door as a class; SimulatedKernel is all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ebee.kernel.complaints import close_error
from ebee.kernel.simulated.attaching import Attaching
from ebee.kernel.simulated.delivery import Delivery, Sent, Step
from ebee.kernel.simulated.devices import Devices
from ebee.kernel.simulated.engines import make_engine
from ebee.kernel.simulated.facts import Facts
from ebee.kernel.simulated.hooks import Hooks
from ebee.kernel.simulated.maps import Maps
from ebee.kernel.simulated.network import Network
from ebee.kernel.simulated.objects import Objects
from ebee.kernel.simulated.pipe import TraceBuffer
from ebee.kernel.simulated.programs import Programs
from ebee.kernel.simulated.state import State, locked
from ebee.kernel.simulated.symbols import Symbols
from ebee.kernel.simulated.tracing import Emitted, Tracing
from ebee.vm.faults import Refusal
from ebee.vm.helpers.common import SYMBOLS_SLOT, TYPES_SLOT
from ebee.vm.helpers.network import ETHERNET_MTU, LOOPBACK_MTU, Interface, network_of
from ebee.vm.machine import DEFAULT_BUDGET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf
    from ebee.vm.machine import Machine

__all__ = ["Delivery", "Emitted", "Sent", "SimulatedKernel", "Step"]


class SimulatedKernel(Programs, Maps, Objects, Attaching, Network, Tracing, Facts):
    """A kernel in this process.

    Args:
        engine: what runs programs: `interpreter`, `native`, or `auto`, which takes native code where there
            is a compiler for it.
        cpus: how many CPUs per-CPU maps have values for.
        devices: names of interfaces besides `lo`; `add_device` makes more.
        budget: how many instructions a run may take before it counts as endless.
        types: the kernel's own BTF, which CO-RE and BTF tracepoints look into; by default the running
            kernel's, where it can be read.

    Attributes:
        machine: what programs run on: its task, clock, random numbers and memory are settable.
    """

    label = "vm"

    def __init__(
        self,
        *,
        engine: str = "auto",
        cpus: int = 2,
        devices: Iterable[str] = ("eth0",),
        budget: int = DEFAULT_BUDGET,
        types: Btf | Callable[[], Btf | None] | None = None,
    ) -> None:
        machine, runner = make_engine(engine, cpus)
        self.state = State(machine, runner, _types(types))
        self.state.budget = budget
        self.state.devices = Devices(devices)
        self.state.hooks = Hooks()
        self.state.symbols = Symbols()
        self.state.trace = TraceBuffer(machine)
        machine.print_line = self.state.trace.print
        machine.slots[TYPES_SLOT] = self.state.types
        machine.slots[SYMBOLS_SLOT] = self.state.symbols.find
        network_of(machine).interfaces = self._interfaces

    @property
    def machine(self) -> Machine:
        """What programs run on."""
        return self.state.machine

    @property
    def engine(self) -> str:
        """The name of what runs programs: `interpreter` or `native`."""
        return self.state.engine.name

    def stop(self) -> None:
        """End the process in which native code runs, where there is one; a later run starts another."""
        end = getattr(self.state.engine, "close", None)
        if end is not None:
            end()

    def _interfaces(self) -> list[Interface]:
        """Return the interfaces as helpers of programs see them."""
        numbers = [device.ifindex for device in self.state.devices]
        return [Interface(each, LOOPBACK_MTU if each == 1 else ETHERNET_MTU) for each in numbers]

    @locked
    def run_timers(self) -> int:
        """Call the functions of all timers that are due by the machine's clock; how many.

        A timer that a function starts is called next time.

        Raises:
            MachineError: a function did what it must not.
        """
        from ebee.vm.helpers.timers import run_timers

        return run_timers(self.state.machine, self.state.engine)

    @locked
    def close(self, fd: int) -> None:
        """Give a descriptor back."""
        try:
            self.state.close(fd)
        except Refusal as refusal:
            raise close_error(refusal.errno, fd) from None


def _types(given: Btf | Callable[[], Btf | None] | None) -> Callable[[], Btf | None]:
    if given is None:
        from ebee.host.kernel_types import kernel_types

        return kernel_types
    return given if callable(given) else lambda: given
