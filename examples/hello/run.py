"""Hello, in a network of its own: compile, load, attach, send packets, hear what the program says.

Run it as root: `python run.py`. It touches no interface of this machine and leaves nothing behind.
"""

import os
import sys

import ebee
from ebee.testing import private_network

PACKETS = 5
FRAME = bytes(12) + b"\x88\xb5" + b"hello".ljust(46, b"\0")  # an EtherType that is free for experiments


def main() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    with private_network() as net, ebee.load(os.path.join(folder, "hello.bpf.c")) as obj:
        hello = obj.programs["hello"]
        info = hello.info()
        print(f"loaded    {hello.name}: {hello.type.name}, id {info.id}, tag {info.tag.hex()}")
        print(f"          {info.xlated_bytes} bytes of eBPF became {info.jited_bytes} bytes of machine code")
        lines = ebee.trace_pipe()
        lines.read_available()  # what was printed before belongs to others
        with lines, hello.attach(f"xdp:{net.a}"):
            print(f"attached  to {net.a}, one end of a cable; {PACKETS} packets go into the other, {net.b}")
            net.send(FRAME, count=PACKETS)
            while lines.wait(timeout_s=0.5):
                for line in lines.read_available():
                    if line.message.startswith("Hello World"):
                        print(f"heard     {line}")
        print(f"counter   {obj.variables['counter'].value}")
    print("detached and removed everything")


if __name__ == "__main__":
    try:
        main()
    except ebee.EbeeError as error:
        print(f"error: {error.details()}", file=sys.stderr)
        sys.exit(error.exit_code)
