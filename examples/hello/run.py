"""Hello, in a network of its own: compile, load, attach, send packets, hear what the program says.

Run it as root: `python run.py`. It touches no interface of this machine and leaves nothing behind.
Without the rights for it, the same program runs on the userspace machine, over packets that are made.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ebee
from ebee.testing import generate, private_network

PACKETS = 5
FRAME = bytes(12) + b"\x88\xb5" + b"hello".ljust(46, b"\0")  # an EtherType that is free for experiments
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hello.bpf.c")


@contextmanager
def network_of_its_own() -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Give an interface, where it is, and what sends packets to it."""
    with private_network() as net:
        where = f"one end of a cable; {PACKETS} packets go into the other, {net.b}"
        yield net.a, where, lambda: net.send(FRAME, count=PACKETS)


@contextmanager
def userspace_machine(kernel: ebee.SimulatedKernel) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Give an interface of the machine's."""

    def send() -> None:
        for packet in generate(PACKETS):
            kernel.receive("eth0", packet.data)

    yield "eth0", f"an interface of the userspace machine; {PACKETS} packets are made for it", send


def main() -> None:
    kernel = ebee.choose_kernel()
    vm = kernel.label == "vm"
    place = userspace_machine(kernel) if vm else network_of_its_own()
    with place as (device, where, send), ebee.load(SOURCE, kernel=kernel) as obj:
        hello = obj.programs["hello"]
        info = hello.info()
        print(f"loaded    {hello.name}: {hello.type.name}, id {info.id}, tag {info.tag.hex()}")
        code = f"{info.jited_bytes} bytes of machine code" if info.jited_bytes else "a program of the machine"
        print(f"          {info.xlated_bytes} bytes of eBPF became {code}")
        lines = ebee.trace_pipe(kernel=kernel)
        lines.read_available()  # what was printed before belongs to others
        with lines, hello.attach(f"xdp:{device}"):
            print(f"attached  to {device}, {where}")
            send()
            while lines.wait(timeout_s=0 if vm else 0.5):
                for line in lines.read_available():
                    if line.message.startswith("Hello World"):
                        print(f"heard     {line}")
        print(f"counter   {obj.variables['counter'].value}")
    print("detached and removed everything")


if __name__ == "__main__":
    # What ebee does unasked comes as a warning; here it is one line.
    warnings.showwarning = lambda message, *_: print(f"note: {message}", file=sys.stderr)
    try:
        main()
    except ebee.EbeeError as error:
        print(f"error: {error.details()}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever reads this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
