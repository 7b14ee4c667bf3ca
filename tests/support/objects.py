"""Objects for tests: C text compiled by ebee, and ELF files built by hand."""

from __future__ import annotations

import struct
from functools import cache

from ebee.clang import compile_c
from ebee.objfile import read_object
from ebee.source import SourceText
from ebee.spec import ObjectSpec

HELLO = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int counter = 0;

SEC("xdp")
int hello(struct xdp_md *ctx)
{
    bpf_printk("Hello World %d", counter);
    counter++;
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""

PRELUDE = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nchar LICENSE[] SEC("license") = "GPL";\n'


@cache
def compiled(text: str, name: str = "test.bpf.c") -> bytes:
    """Return the object that C text compiles to."""
    return compile_c(SourceText(name, text)).data


def spec_of(text: str, name: str = "test.bpf.c") -> ObjectSpec:
    """Return the spec of C text, with the usual includes and a licence in front."""
    return read_object(compiled(PRELUDE + text, name), name)


def elf_file(
    sections: list[tuple[str, int, int, bytes]], *, machine: int = 247, file_type: int = 1, mark: str = "<"
) -> bytes:
    """Return an ELF file with these sections: name, type, flags, contents."""
    names = b"\0"
    places = []
    for name in [*(section[0] for section in sections), ".shstrtab"]:
        places.append(len(names))
        names += name.encode() + b"\0"
    body, headers = b"", [bytes(64)]
    everything = [*sections, (".shstrtab", 3, 0, names)]
    for (_, kind, flags, contents), place in zip(everything, places, strict=True):
        offset = 64 + len(body)
        headers.append(
            struct.pack(mark + "IIQQQQIIQQ", place, kind, flags, 0, offset, len(contents), 0, 0, 1, 0)
        )
        body += contents
    identity = b"\x7fELF" + bytes((2, 1 if mark == "<" else 2, 1)) + bytes(9)
    rest = struct.pack(
        mark + "HHIQQQIHHHHHH",
        *(file_type, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1),
    )
    return identity + rest + body + b"".join(headers)
