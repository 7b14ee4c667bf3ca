"""All commands: their names, one line of help, usage, options, and the module that has each.

To add one: write `ebee/cli/NAME.py` with `def main(call: Call) -> Answer | None`, and its row here.
"""

from __future__ import annotations

from ebee.cli.words import Option
from ebee.record import NamedTuple


class Entry(NamedTuple):
    """One command.

    Attributes:
        module: below `ebee.cli`; its `main` is called.
        help: one line.
        usage: how it is written, without `ebee`.
        options: its own; those in GLOBAL every command has.
    """

    module: str
    help: str
    usage: tuple[str, ...]
    options: tuple[Option, ...] = ()


class Group(NamedTuple):
    """A word that commands follow.

    Attributes:
        default: the command that the word alone means.
        notes: further lines of its help.
    """

    help: str
    commands: dict[str, Entry]
    default: str = "show"
    notes: tuple[str, ...] = ()


GLOBAL = (
    Option(("-j", "--json"), "", "print JSON"),
    Option(("-p", "--pretty"), "", "print JSON, indented"),
    Option(("-v", "--verbose"), "", "print all there is, such as the verifier's log"),
    Option(("-d", "--debug"), "", "the same as --verbose"),
    Option(("-f", "--bpffs"), "", "show where objects are pinned"),
    Option(("-n", "--nomount"), "", "mount neither bpffs nor tracefs"),
    Option(("-V", "--version"), "", "print the version"),
    Option(("-h", "--help"), "", "print help"),
)

_PIDS = Option(("--pids",), "", "show which processes hold each object open")
_PROG = "PROG := { id ID | pinned PATH | tag TAG | name NAME }"
_MAP = "MAP := { id ID | pinned PATH | name NAME }"
_LINK = "LINK := { id ID | pinned PATH }"
_ATTACH_TYPE = "ATTACH_TYPE := { xdp | xdpgeneric | xdpdrv | xdpoffload }"
_LOAD_WORDS = "[type TYPE] [map { idx N | name NAME } MAP]... [pinmaps DIR] [autoattach]"

_PROG_SHOW = Entry(
    "prog_show", "list programs, or show one", ("prog { show | list } [PROG] [--pids]",), (_PIDS,)
)
_MAP_SHOW = Entry("map_show", "list maps, or show one", ("map { show | list } [MAP] [--pids]",), (_PIDS,))
_LINK_SHOW = Entry(
    "link_show", "list links, or show one", ("link { show | list } [LINK] [--pids]",), (_PIDS,)
)
_NET_SHOW = Entry("net_show", "list programs on interfaces", ("net { show | list } [dev DEVICE]",))

COMMANDS: dict[str, Entry | Group] = {
    "compile": Entry(
        "compile",
        "compile a C file to a BPF object",
        (
            "compile FILE [-o OUT] [-D NAME=VALUE]... [-I DIR]... [-O LEVEL] [--cpu v1..v4] [--no-debug] "
            "[--emit { object | asm }]",
        ),
        (
            Option(
                ("-o", "--output"),
                "OUT",
                "where to write; - is standard output; by default FILE with .o for .c",
            ),
            Option(("-D", "--define"), "NAME[=VALUE]", "define a macro", many=True),
            Option(("-I", "--include"), "DIR", "search a folder for includes", many=True),
            Option(("-O", "--optimise"), "LEVEL", "0, 1, 2 (the default), 3, s or z"),
            Option(("--cpu",), "SET", "the instruction set: v1, v2, v3 (the default) or v4"),
            Option(("--clang",), "WORD", "a further word for clang, such as --clang=-Wall", many=True),
            Option(("--no-debug",), "", "without line information and BTF"),
            Option(("--no-cache",), "", "compile even if the same was compiled before"),
            Option(("--emit",), "KIND", "object (the default) or asm, the instructions as text"),
        ),
    ),
    "run": Entry(
        "run",
        "run a program: attached on this kernel until Ctrl-C, on packets, or over a recording",
        (
            "run FILE [--dev DEVICE] [--mode MODE] [--duration SECONDS] [--vm | --live]",
            "run FILE --pcap PACKETS [--out OUT] [--count N] [--program NAME] [--vm | --live]",
            "run FILE --events RECORDING [--count N]",
        ),
        (
            Option(("--dev",), "DEVICE", "the interface for programs that go on one"),
            Option(("--mode",), "MODE", "how XDP programs attach: xdp, xdpdrv, xdpgeneric or xdpoffload"),
            Option(("--duration",), "SECONDS", "stop after so long"),
            Option(
                ("--pcap",), "PACKETS", "run packets through it: pcap, pcapng or hex; - is standard input"
            ),
            Option(("--out",), "OUT", "write the packets that pass, as the program leaves them"),
            Option(
                ("--events",), "RECORDING", "run over what `ebee record` wrote: a file, -, or example:exec"
            ),
            Option(("--count",), "N", "so many packets or events at most; without --pcap, so many are made"),
            Option(("--program",), "NAME", "this program alone, where FILE has several"),
            Option(("--vm",), "", "on the userspace machine, which needs no rights"),
            Option(("--live",), "", "on this machine's kernel or not at all"),
            Option(("--engine",), "ENGINE", "of the userspace machine: interpreter or native"),
        ),
    ),
    "record": Entry(
        "record",
        "record what a tracing program's hooks see, to run it anywhere later",
        ("record FILE [-o OUT] [--duration SECONDS] [--count N] [--comm NAME] [--pid PID]",),
        (
            Option(
                ("-o", "--output"), "OUT", "where to write; by default FILE with .ebee; - is standard output"
            ),
            Option(("--duration",), "SECONDS", "stop after so long"),
            Option(("--count",), "N", "stop after so many events"),
            Option(("--comm",), "NAME", "only tasks of this name"),
            Option(("--pid",), "PID", "only this process or thread"),
        ),
    ),
    "prog": Group(
        "programs in the kernel",
        {
            "show": _PROG_SHOW,
            "list": _PROG_SHOW,
            "dump": Entry(
                "prog_dump",
                "show a program's instructions and C lines",
                ("prog dump xlated PROG [opcodes] [linum] [file PATH]",),
            ),
            "pin": Entry("prog_pin", "give a program a name in bpffs", ("prog pin PROG PATH",)),
            "load": Entry(
                "prog_load",
                "load an object and pin its first program at PATH",
                (f"prog load OBJECT PATH {_LOAD_WORDS}",),
            ),
            "loadall": Entry(
                "prog_load",
                "load an object and pin all its programs below PATH",
                (f"prog loadall OBJECT PATH {_LOAD_WORDS}",),
            ),
            "run": Entry(
                "prog_run",
                "try a program on a packet from a file",
                (
                    "prog run PROG data_in FILE [data_out FILE [data_size_out N]] "
                    "[ctx_in FILE [ctx_out FILE [ctx_size_out N]]] [repeat N]",
                ),
            ),
            "tracelog": Entry("prog_tracelog", "print what programs print, until Ctrl-C", ("prog tracelog",)),
        },
        notes=(_PROG, _MAP),
    ),
    "map": Group("maps in the kernel", {"show": _MAP_SHOW, "list": _MAP_SHOW}, notes=(_MAP,)),
    "link": Group(
        "links: programs and where they are attached",
        {
            "show": _LINK_SHOW,
            "list": _LINK_SHOW,
            "pin": Entry("link_change", "give a link a name in bpffs", ("link pin LINK PATH",)),
            "detach": Entry("link_change", "detach a link's program by force", ("link detach LINK",)),
        },
        notes=(_LINK,),
    ),
    "net": Group(
        "programs on network interfaces",
        {
            "show": _NET_SHOW,
            "list": _NET_SHOW,
            "attach": Entry(
                "net_attach",
                "attach a program to an interface",
                ("net attach ATTACH_TYPE PROG dev DEVICE [overwrite]",),
            ),
            "detach": Entry(
                "net_attach", "take a program off an interface", ("net detach ATTACH_TYPE dev DEVICE",)
            ),
        },
        notes=(_PROG, _ATTACH_TYPE),
    ),
    "doctor": Entry("doctor", "tell what works on this machine, and how to mend what does not", ("doctor",)),
    "version": Entry("show_version", "print the version", ("version",)),
}
