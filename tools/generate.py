"""Write the files that are made from the kernel's own headers, or check that they are up to date.

    python tools/generate.py            write them
    python tools/generate.py --check    change nothing; exit 1 and name the files that would change

The headers are those inside the ziglang wheel; the wheel's clang reads them. Names come from the
preprocessed text, numbers and layouts from the BTF that clang writes, helpers from the
documentation comment of linux/bpf.h. Nothing depends on the machine this runs on.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from ebee.btf import Btf, Kind, Type, decode  # noqa: E402
from ebee.btf.types import IntEncoding, Member  # noqa: E402
from ebee.elf import ElfFile  # noqa: E402

BPF_H = "linux/bpf.h"


# -- the compiler in the wheel -------------------------------------------------------------------
@cache
def wheel() -> Path:
    """Return the folder of the ziglang package."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise SystemExit("generate: the package ziglang is not installed; hint: pip install ziglang")
    return Path(spec.origin).parent


def headers() -> Path:
    """Return the folder of the kernel's user-space headers."""
    return wheel() / "lib/libc/include/any-linux-any"


def clang(arguments: Iterable[str], source: str) -> bytes:
    """Return what clang writes to its output for a C text.

    The folder for asm/ is always that of x86, so that every machine generates the same.
    """
    lib = wheel() / "lib"
    command = [str(wheel() / "zig"), "clang", "-target", "bpf", "-nostdinc", "-resource-dir", str(lib)]
    for folder in (lib / "include", lib / "libc/include/x86-linux-any", headers()):
        command += ["-isystem", str(folder)]
    with tempfile.TemporaryDirectory() as folder_name:
        result = Path(folder_name, "result")
        # linux/if.h wants the C library's struct sockaddr, which the wheel's kernel headers lack.
        Path(folder_name, "sys").mkdir()
        Path(folder_name, "sys/socket.h").write_text("struct sockaddr { char bytes[16]; };\n")
        command += ["-isystem", folder_name, *arguments, "-x", "c", "-", "-o", str(result)]
        run = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
        if run.returncode:
            raise SystemExit(f"generate: clang failed:\n{run.stderr}")
        return result.read_bytes()


def include(*names: str) -> str:
    """Return #include lines."""
    return "".join(f"#include <{name}>\n" for name in names)


def preprocess(*names: str, macros: bool = False) -> str:
    """Return headers preprocessed; with `macros` the definitions that are then in force."""
    return clang(["-E", "-dM"] if macros else ["-E", "-P"], include(*names)).decode()


def btf_of(source: str) -> Btf:
    """Return the types that clang writes for a C text."""
    elf = ElfFile(clang(["-g", "-O2", "-c"], source), "generate.o")
    section = next(section for section in elf.sections if section.name == ".BTF")
    return decode(elf.data(section))


def values(names: Iterable[str], *include_names: str) -> dict[str, int]:
    """Return the numbers of constant expressions, worked out by the compiler: an enum's BTF has them."""
    wanted = list(dict.fromkeys(names))
    members = "".join(f"V{index} = (long long)({name}),\n" for index, name in enumerate(wanted))
    btf = btf_of(f"{include(*include_names)}enum wanted {{ {members} }};\nenum wanted a;")
    found = btf.type(btf.find("wanted", Kind.ENUM, Kind.ENUM64) or 0).enumerators
    return dict(zip(wanted, (enumerator.value for enumerator in found), strict=True))


def macro_names(text: str, pattern: str) -> list[str]:
    """Return the sorted names of object-like macros with a value, of those that a pattern matches whole."""
    found = re.findall(r"^#define (\w+) +(?=\S)", text, re.MULTILINE)
    return sorted(name for name in found if re.fullmatch(pattern, name))


class CEnum(NamedTuple):
    """An enum of C: its tag (empty where it has none) and the names of its members, in order."""

    tag: str
    members: list[str]


def enums_of(text: str) -> list[CEnum]:
    """Return the enums that a preprocessed text defines."""
    blocks = re.findall(r"\benum\s*(\w*)\s*\{([^}]*)\}", text)
    return [CEnum(tag, re.findall(r"(?:^|,)\s*(\w+)", body)) for tag, body in blocks]


@cache
def kernel_version() -> str:
    """Return the version that linux/version.h tells."""
    names = [f"LINUX_VERSION_{part}" for part in ("MAJOR", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(str(number) for number in values(names, "linux/version.h").values())


def heading(what: str, *, sources: str) -> str:
    """Return the docstring of a generated module."""
    return (
        f'"""{what}\n\nGenerated by tools/generate.py from {sources} of Linux {kernel_version()}; '
        'not to be edited.\n"""\n\nfrom __future__ import annotations\n'
    )


# -- src/ebee/abi/bpf.py -------------------------------------------------------------------------
class EnumClass(NamedTuple):
    """An enum of C that becomes a class: its tag, the prefix that members drop, what it is for."""

    name: str
    tag: str
    prefix: str
    purpose: str


ENUM_CLASSES = (
    EnumClass("Command", "bpf_cmd", "BPF_", "What bpf(2) is asked to do"),
    EnumClass("MapType", "bpf_map_type", "BPF_MAP_TYPE_", "Kinds of maps"),
    EnumClass("ProgType", "bpf_prog_type", "BPF_PROG_TYPE_", "Kinds of programs"),
    EnumClass("AttachType", "bpf_attach_type", "BPF_", "Places where programs are attached"),
    EnumClass("LinkType", "bpf_link_type", "BPF_LINK_TYPE_", "Kinds of links"),
    EnumClass("XdpAction", "xdp_action", "XDP_", "What an XDP program says becomes of a packet"),
)
BPF_MACROS = r"BPF_F_\w+|BPF_PSEUDO_\w+|BPF_(OBJ_NAME_LEN|TAG_SIZE|BUILD_ID_SIZE)|XDP_FLAGS_\w+"


def bpf_module() -> str:
    """Return the text of ebee.abi.bpf: enums of bpf(2) as classes, all other constants as they are."""
    names = (BPF_H, "linux/if_link.h")
    enums = enums_of(preprocess(BPF_H))
    tags = {entry.tag for entry in ENUM_CLASSES}
    loose = [member for enum in enums if enum.tag not in tags | {"bpf_func_id"} for member in enum.members]
    loose += macro_names(preprocess(*names, macros=True), BPF_MACROS)
    number = values([*(member for enum in enums for member in enum.members), *loose], *names)
    about = "Numbers and names of the bpf(2) system call."
    parts = [heading(about, sources="linux/bpf.h and linux/if_link.h"), "from enum import IntEnum\n"]
    by_tag = {enum.tag: enum.members for enum in enums}
    parts += ["\n" + enum_class(entry, by_tag[entry.tag], number) for entry in ENUM_CLASSES]
    constants = {name.removeprefix("BPF_"): number[name] for name in loose if not is_bound(name)}
    parts += ["\n" + "".join(f"{name} = {literal(value)}\n" for name, value in constants.items())]
    return "\n".join(parts)


def enum_class(entry: EnumClass, members: Iterable[str], number: dict[str, int]) -> str:
    """Return an IntEnum. A second name of a number is an alias; a deprecated name never comes first."""
    ordered = sorted(
        (name for name in members if not is_bound(name)),
        key=lambda name: (number[name], name.endswith("_DEPRECATED")),
    )
    docstring = f'"""{entry.purpose} (enum {entry.tag}: {entry.prefix}*)."""'
    lines = [f"class {entry.name}(IntEnum):", f"    {docstring}", ""]
    lines += [f"    {python_name(name.removeprefix(entry.prefix))} = {number[name]}" for name in ordered]
    return "\n".join(lines) + "\n"


def is_bound(name: str) -> bool:
    """Whether a member only ends its enum, such as __MAX_BPF_CMD or BPF_TCP_MAX_STATES."""
    return name.startswith(("__", "MAX_")) or "_MAX_" in name


def python_name(name: str) -> str:
    """Return a name that Python takes."""
    return name + "_" if keyword.iskeyword(name) else name


def literal(value: int) -> str:
    """Return a number as a reader wants it: hexadecimal for high bits, decimal for the rest."""
    return str(value) if abs(value) < 256 else f"{'-' * (value < 0)}0x{abs(value):X}"


# -- src/ebee/abi/netlink.py ---------------------------------------------------------------------
NETLINK_HEADERS = (
    "linux/netlink.h",
    "linux/rtnetlink.h",
    "linux/if.h",
    "linux/if_link.h",
    "linux/if_ether.h",
    "linux/veth.h",
    "linux/pkt_sched.h",
    "linux/pkt_cls.h",
    "linux/tc_act/tc_bpf.h",
)
NETLINK_GROUPS = {
    "messages": r"NETLINK_(ROUTE|EXT_ACK|CAP_ACK|GET_STRICT_CHK)|NLMSG_(NOOP|ERROR|DONE|OVERRUN)|"
    r"NLM_F_(REQUEST|MULTI|ACK|DUMP_INTR|ROOT|MATCH|DUMP|REPLACE|EXCL|CREATE|CAPPED|ACK_TLVS)|"
    r"NLMSGERR_ATTR_(MSG|OFFS)|NLA_F_NESTED|NLA_TYPE_MASK",
    "what is asked of rtnetlink": r"RTM_(NEW|DEL|GET|SET)(LINK|ADDR|ROUTE|QDISC|TCLASS|TFILTER)",
    "interfaces": r"IFF_[A-Z]+(_UP)?|IFLA_(IFNAME|ADDRESS|MTU|LINK|MASTER|OPERSTATE|IFALIAS|LINKINFO|"
    r"NET_NS_PID|NET_NS_FD|LINK_NETNSID|XDP|ALT_IFNAME|EXT_MASK)|IFLA_INFO_(KIND|DATA)|"
    r"IFLA_XDP_[A-Z_]+|XDP_ATTACHED_[A-Z]+|VETH_INFO_PEER|IFA_(ADDRESS|LOCAL)|ETH_P_(ALL|IP|IPV6|ARP)",
    "queueing disciplines, classes, filters, actions": r"TC_H_[A-Z_]+|"
    r"TCA_(KIND|OPTIONS|CHAIN|INGRESS_BLOCK|EGRESS_BLOCK)|"
    r"TCA_BPF_\w+|TCA_ACT_(KIND|OPTIONS|INDEX|BPF_\w+)|TC_ACT_[A-Z]+",
}


def netlink_module() -> str:
    """Return the text of ebee.abi.netlink: the constants that ebee's messages are made of."""
    enums = enums_of(preprocess(*NETLINK_HEADERS))
    members = [member for enum in enums for member in enum.members]
    macros = macro_names(preprocess(*NETLINK_HEADERS, macros=True), "|".join(NETLINK_GROUPS.values()))
    about = "Numbers of rtnetlink: interfaces, their XDP programs, traffic control. Names are the kernel's."
    parts = [heading(about, sources="linux/rtnetlink.h and its neighbours").rstrip() + "\n"]
    for what, pattern in NETLINK_GROUPS.items():
        wanted = re.compile(rf"(?!\w+_MAX$)({pattern})")
        names = [name for name in [*members, *macros] if wanted.fullmatch(name)]
        found = values(names, *NETLINK_HEADERS)
        parts += [f"# {what}\n" + "".join(f"{name} = {literal(value)}\n" for name, value in found.items())]
    return "\n".join(parts)


# -- src/ebee/abi/layouts.py, contexts.py --------------------------------------------------------
LAYOUT_HEADERS = (BPF_H, "linux/perf_event.h", "linux/netlink.h", "linux/rtnetlink.h")
STRUCTS = {
    "PROG_INFO": "bpf_prog_info",
    "MAP_INFO": "bpf_map_info",
    "BTF_INFO": "bpf_btf_info",
    "FUNC_INFO": "bpf_func_info",
    "LINE_INFO": "bpf_line_info",
    "PERF_EVENT_ATTR": "perf_event_attr",
    "PERF_EVENT_MMAP_PAGE": "perf_event_mmap_page",
    "PERF_EVENT_HEADER": "perf_event_header",
    "NLMSGHDR": "nlmsghdr",
    "NLATTR": "nlattr",
    "IFINFOMSG": "ifinfomsg",
    "IFADDRMSG": "ifaddrmsg",
    "TCMSG": "tcmsg",
}
CONTEXTS = {
    "XDP_MD": "xdp_md",
    "SK_BUFF": "__sk_buff",
    "SOCK": "bpf_sock",
    "TCP_SOCK": "bpf_tcp_sock",
    "SOCK_TUPLE": "bpf_sock_tuple",
    "SOCK_ADDR": "bpf_sock_addr",
    "SOCK_OPS": "bpf_sock_ops",
    "SK_MSG_MD": "sk_msg_md",
    "SK_REUSEPORT_MD": "sk_reuseport_md",
    "SK_LOOKUP": "bpf_sk_lookup",
    "SYSCTL": "bpf_sysctl",
    "SOCKOPT": "bpf_sockopt",
    "CGROUP_DEV_CTX": "bpf_cgroup_dev_ctx",
    "FLOW_KEYS": "bpf_flow_keys",
    "FIB_LOOKUP": "bpf_fib_lookup",
    "TUNNEL_KEY": "bpf_tunnel_key",
}
# A part of union bpf_attr is known by its name or, where it has none, by its first field.
ATTR_PARTS = {
    "map_type": "MAP_CREATE",
    "map_fd": "MAP_ELEM",
    "batch": "MAP_BATCH",
    "prog_type": "PROG_LOAD",
    "pathname": "OBJ",
    "target_fd": "PROG_ATTACH",
    "test": "PROG_TEST_RUN",
    "start_id": "GET_ID",
    "info": "OBJ_GET_INFO",
    "query": "PROG_QUERY",
    "raw_tracepoint": "RAW_TRACEPOINT_OPEN",
    "btf": "BTF_LOAD",
    "task_fd_query": "TASK_FD_QUERY",
    "link_create": "LINK_CREATE",
    "link_update": "LINK_UPDATE",
    "link_detach": "LINK_DETACH",
    "enable_stats": "ENABLE_STATS",
    "iter_create": "ITER_CREATE",
    "prog_bind_map": "PROG_BIND_MAP",
    "token_create": "TOKEN_CREATE",
    "prog_stream_read": "PROG_STREAM_READ",
    "prog_assoc_struct_ops": "PROG_ASSOC_STRUCT_OPS",
}
ROW = tuple[str, int, str, int]


def layouts_module() -> str:
    """Return the text of ebee.abi.layouts."""
    btf = layout_btf(STRUCTS, "union bpf_attr attr;\nstruct bpf_link_info link_info;\n")
    parts = layout_heading("Layouts of what the kernel is asked: system calls, netlink, perf events.")
    return "\n".join([*parts, *attr_layouts(btf), *struct_layouts(btf, STRUCTS), *link_layouts(btf)])


def contexts_module() -> str:
    """Return the text of ebee.abi.contexts."""
    parts = layout_heading("Layouts of what programs are given: their contexts, and what helpers fill in.")
    return "\n".join([*parts, *struct_layouts(layout_btf(CONTEXTS), CONTEXTS)])


def layout_btf(structs: Mapping[str, str], more: str = "") -> Btf:
    """Return types that hold structs, and what more declares."""
    declarations = "".join(f"struct {tag} v{index};\n" for index, tag in enumerate(structs.values()))
    return btf_of(include(*LAYOUT_HEADERS) + declarations + more)


def layout_heading(about: str) -> list[str]:
    """Return how a module of layouts begins."""
    about += (
        "\n\nA struct inside another is flattened: its name and an underscore stand before its fields.\n"
        "The fields of a union overlap."
    )
    return [
        heading(about, sources="linux/bpf.h and its neighbours"),
        "from ebee.abi.layout import Layout\n",
    ]


def struct_layouts(btf: Btf, structs: Mapping[str, str]) -> list[str]:
    """Return a layout for each struct, by the constant's name and the struct's tag."""
    return [
        layout(constant, tag, struct_size(btf, tag), rows_of(btf, btf.find(tag, Kind.STRUCT) or 0))
        for constant, tag in structs.items()
    ]


def attr_layouts(btf: Btf) -> list[str]:
    """Return a layout for each part of union bpf_attr that a command uses."""
    attr = btf.type(btf.find("bpf_attr", Kind.UNION) or 0)
    texts = []
    for member in attr.members:
        rows = rows_of(btf, member.type_id)
        part = ATTR_PARTS.pop(member.name or rows[0][0], None)
        if part is None:
            raise SystemExit(f"generate: union bpf_attr has a part that is not known, with {rows[0][0]}")
        size = btf.size_bytes(member.type_id)
        texts.append(layout(f"ATTR_{part}", f"bpf_attr.{part.lower()}", size, rows))
    return [*texts, f"ATTR_SIZE_BYTES = {attr.size_bytes}\n"]


def link_layouts(btf: Btf) -> list[str]:
    """Return the common part of struct bpf_link_info, and a table of its tails by their names."""
    info = btf.type(btf.find("bpf_link_info", Kind.STRUCT) or 0)
    common = [row for member in info.members[:-1] for row in member_rows(btf, member, 0, "")]
    size = info.size_bytes
    tails = []
    for member in btf.type(info.members[-1].type_id).members:
        rows = rows_of(btf, member.type_id, info.members[-1].bit_offset)
        body = layout("", f"bpf_link_info.{member.name}", size, rows).removeprefix(" = ")
        tails.append(f'    "{member.name}": ' + body.replace("\n", "\n    ").rstrip() + ",\n")
    table = "LINK_INFO_TAILS = {\n" + "".join(tails) + "}\n"
    note = '"""The tails by the names they have in the kernel; offsets count from the struct\'s begin."""\n'
    return [layout("LINK_INFO", "bpf_link_info", size, common), table + note]


def struct_size(btf: Btf, tag: str) -> int:
    """Return the size of a struct by its tag."""
    return btf.size_bytes(btf.find(tag, Kind.STRUCT) or 0)


def layout(constant: str, name: str, size: int, rows: list[ROW]) -> str:
    """Return the definition of a Layout, as ruff formats it."""
    texts = [f'("{field}", {offset}, "{form}", {mask_text(mask)}),' for field, offset, form, mask in rows]
    listed = texts[0] if len(texts) == 1 else "".join(f"\n        {text}" for text in texts) + "\n    "
    return f'{constant} = Layout(\n    "{name}",\n    {size},\n    ({listed}),\n)\n'


def mask_text(mask: int) -> str:
    """Return a mask in hexadecimal, and 0 for none."""
    return f"0x{mask:X}" if mask else "0"


def rows_of(btf: Btf, type_id: int, base_bits: int = 0, prefix: str = "") -> list[ROW]:
    """Return the fields of a struct or union, flattened; of a single field, one row without a name."""
    _, found = btf.resolve(type_id)
    return [row for member in found.members for row in member_rows(btf, member, base_bits, prefix)]


def member_rows(btf: Btf, member: Member, base_bits: int, prefix: str) -> list[ROW]:
    """Return a field as one row, or as those of the struct that it is."""
    _, found = btf.resolve(member.type_id)
    bits = base_bits + member.bit_offset
    if found.kind in (Kind.STRUCT, Kind.UNION):
        inner = f"{prefix}{member.name}_" if member.name else prefix
        return rows_of(btf, member.type_id, bits, inner)
    if not member.name or member.name.startswith("__reserved"):
        return []
    name = prefix + member.name
    if found.kind is Kind.ARRAY:
        return [(name, bits // 8, array_form(btf, found), 0)]
    if member.bit_size:
        word_bits = found.size_bytes * 8
        mask = ((1 << member.bit_size) - 1) << bits % word_bits
        return [(name, bits // word_bits * found.size_bytes, number_form(found), mask)]
    return [(name, bits // 8, number_form(found), 0)]


def array_form(btf: Btf, array: Type) -> str:
    """Return the type of an array as a layout spells it: text, or plain bytes."""
    _, element = btf.resolve(array.type_id)
    if element.name == "char":
        return f"char[{array.length}]"
    return f"u8[{array.length * btf.size_bytes(array.type_id)}]"


def number_form(found: Type) -> str:
    """Return the type of a number as a layout spells it."""
    if found.kind is Kind.PTR:
        return "u64"
    signed = found.kind is Kind.INT and found.encoding & IntEncoding.SIGNED
    return f"{'s' if signed else 'u'}{found.size_bytes * 8}"


# -- src/ebee/abi/helpers.py and <bpf/bpf_helper_defs.h> -----------------------------------------
class Helper(NamedTuple):
    """A helper function: its number, its name without bpf_, its return type and parameters in C."""

    number: int
    name: str
    returns: str
    parameters: list[str]


# Programs see other names of the contexts than the kernel's functions, and maps are opaque to them.
PROGRAM_TYPES = {
    "sk_buff": "__sk_buff",
    "xdp_buff": "xdp_md",
    "sk_msg_buff": "sk_msg_md",
    "sk_reuseport_kern": "sk_reuseport_md",
    "bpf_sock_addr_kern": "bpf_sock_addr",
    "bpf_sock_ops_kern": "bpf_sock_ops",
}
# These take contexts of several types, and are documented once for each.
MANY_CONTEXTS = {"get_socket_cookie": ["void *ctx"], "sk_assign": ["void *ctx", "void *sk", "u64 flags"]}


@cache
def helpers() -> list[Helper]:
    """Return the helpers by number, read from the documentation comment of linux/bpf.h.

    A prototype stands one blank after the comment's star and ends with its parenthesis; what is
    said of it is indented by a tab.
    """
    text = (headers() / BPF_H).read_text()
    lines = re.findall(r"^ \* ([a-z].*? \**bpf_\w+\((?:[^()]|\n \*)*\))$", text, re.MULTILINE)
    numbers = values([f"BPF_FUNC_{name}" for name in helper_names()], BPF_H)
    found: dict[str, Helper] = {}
    for line in lines:
        head, _, parameters = re.sub(r"\s+\*\s+", " ", line).rstrip(")").partition("(")
        returns, _, name = head.rpartition("bpf_")
        number = numbers.get(f"BPF_FUNC_{name}")
        if number is not None and name not in found:
            listed = MANY_CONTEXTS.get(name, [part.strip() for part in parameters.split(",")])
            found[name] = Helper(number, name, returns.strip(), listed)
    missing = [name for name in helper_names() if name not in found and name != "unspec"]
    if missing:
        raise SystemExit(f"generate: no prototype found for {', '.join(missing)}")
    return sorted(found.values())


@cache
def helper_names() -> list[str]:
    """Return the names of enum bpf_func_id without their prefix."""
    enum = next(enum for enum in enums_of(preprocess(BPF_H)) if enum.tag == "bpf_func_id")
    return [name.removeprefix("BPF_FUNC_") for name in enum.members if not is_bound(name)]


def helpers_module() -> str:
    """Return the text of ebee.abi.helpers."""
    about = "Helper functions: their numbers, names and C prototypes."
    rows = "".join(helper_row(helper) for helper in helpers())
    functions = HELPER_FUNCTIONS.replace("ROWS", rows)
    return heading(about, sources="linux/bpf.h") + functions


def helper_row(helper: Helper) -> str:
    """Return one line of the table, or more where it is too long."""
    prototype = join_type(helper.returns, f"bpf_{helper.name}({', '.join(helper.parameters)})")
    line = f'    {helper.number}: ("{helper.name}", "{prototype}"),\n'
    if len(line) <= 111:
        return line
    pieces = ' "\n        "'.join(textwrap.wrap(prototype, 99))
    return f'    {helper.number}: (\n        "{helper.name}",\n        "{pieces}",\n    ),\n'


HELPER_FUNCTIONS = '''
HELPERS: dict[int, tuple[str, str]] = {
ROWS}
"""Number -> name without bpf_, and prototype with the kernel's own type names."""


def name_of(number: int) -> str | None:
    """Return a helper's name as programs call it, such as `bpf_map_lookup_elem`, or None."""
    known = HELPERS.get(number)
    return None if known is None else f"bpf_{known[0]}"


def prototype_of(number: int) -> str | None:
    """Return a helper's C prototype, or None."""
    known = HELPERS.get(number)
    return None if known is None else known[1]


def number_of(name: str) -> int | None:
    """Return a helper's number by its name, with or without bpf_ before it, or None."""
    short = name.removeprefix("bpf_")
    return next((number for number, known in HELPERS.items() if known[0] == short), None)
'''


def join_type(type_name: str, declared: str) -> str:
    """Return a declaration; no blank after a star."""
    return type_name + declared if type_name.endswith("*") else f"{type_name} {declared}"


def helper_definitions() -> str:
    """Return the text of <bpf/bpf_helper_defs.h>."""
    lines = [helper_definition(helper) for helper in helpers()]
    tags = sorted(set(re.findall(r"struct (\w+)", "".join(lines))))
    return "\n".join(
        [
            "/* The helper functions of eBPF programs, each a constant pointer whose value is its number.",
            " *",
            f" * Generated by tools/generate.py from linux/bpf.h of Linux {kernel_version()}.",
            " */",
            "#ifndef __BPF_HELPER_DEFS_H",
            "#define __BPF_HELPER_DEFS_H",
            "",
            *(f"struct {tag};" for tag in tags),
            "",
            *lines,
            "",
            "#endif",
            "",
        ]
    )


def helper_definition(helper: Helper) -> str:
    """Return one helper as a program sees it: with exported type names, maps as untyped pointers."""
    returns, *parameters = (program_type(part) for part in [helper.returns, *helper.parameters])
    pointer = join_type(returns, f"(* const bpf_{helper.name})({', '.join(parameters)})")
    return f"static {pointer} = (void *) {helper.number};"


def program_type(text: str) -> str:
    """Return a type or parameter as programs know it."""
    text = re.sub(r"\bstruct bpf_map\b", "void", text).replace("size_t", "unsigned long")
    text = re.sub(r"\b([us](?:8|16|32|64))\b", r"__\1", text)
    return re.sub(r"\bstruct (\w+)", lambda m: "struct " + PROGRAM_TYPES.get(m[1], m[1]), text)


# -- all of them ---------------------------------------------------------------------------------
OUTPUTS: dict[str, Callable[[], str]] = {
    "src/ebee/abi/bpf.py": bpf_module,
    "src/ebee/abi/netlink.py": netlink_module,
    "src/ebee/abi/layouts.py": layouts_module,
    "src/ebee/abi/contexts.py": contexts_module,
    "src/ebee/abi/helpers.py": helpers_module,
    "src/ebee/clang/include/bpf/bpf_helper_defs.h": helper_definitions,
}


def main(arguments: list[str]) -> int:
    """Write the files, or with --check tell which would change."""
    if arguments not in ([], ["--check"]):
        print("usage: python tools/generate.py [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, make in OUTPUTS.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if arguments:
            print(f"{name}: not what tools/generate.py makes of the headers; hint: run `make generate`")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"{name}: written")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
