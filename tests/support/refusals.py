"""Broken programs, and what kernels said of them.

A folder holds C files, each broken in one way, and recordings of their refusals. The head of a C file
says where it is broken:

    // refused: *value += 1;                   the line to blame begins with this
    // note: __u64 *value = bpf_map_lookup     a further line that must be named
    // class: unchecked-null                   the class of the refusal
    // strict                                  load it with strict alignment
    // without: perfmon,sys_admin              load it without these capabilities

A recording, `name.6.18.txt`, has the sections facts, lines, code, log and explanation, each behind a
line `== name`.

Record on the running kernel (root): python -m tests.support.refusals FOLDER [NAME…]
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from ebee.asm import decode
from ebee.kernel.protocol import Kernel
from ebee.loader.verifier import Explanation, Line, explain

_LONGEST_LOG = 12_000
_KEPT_OF_A_LONG_LOG = 4_000


class Broken(NamedTuple):
    """A C file that is broken in one way, and where."""

    path: Path
    text: list[str]
    refused: str
    notes: list[str]
    kind: str
    strict: bool
    without: str

    @property
    def name(self) -> str:
        return self.path.stem

    def lines(self, begin: str) -> set[int]:
        """Return the numbers of the lines that begin so; `}` stands for the last of its kind."""
        found = [
            number
            for number, line in enumerate(self.text, 1)
            if line.strip().startswith(begin) and not line.startswith("//")
        ]
        return {found[-1]} if begin == "}" else set(found)


def read_broken(path: Path) -> Broken:
    """Return a broken program with what its head says."""
    text = path.read_text().splitlines()
    head: dict[str, list[str]] = {}
    for line in text:
        if not line.startswith("// "):
            break
        key, _, value = line[3:].partition(":")
        head.setdefault(key, []).append(value.strip())
    return Broken(
        path,
        text,
        refused=head.get("refused", [""])[0],
        notes=head.get("note", []),
        kind=head.get("class", [""])[0],
        strict="strict" in head,
        without=head.get("without", [""])[0],
    )


class Recording(NamedTuple):
    """What one kernel said of one program."""

    broken: Broken
    facts: dict[str, str]
    lines: list[tuple[int, str, int, int]]
    code: bytes
    log: str
    explanation: str

    def explained(self) -> Explanation:
        """Explain it anew."""
        return explain(
            self.log,
            program=self.facts["program"],
            lines=[
                Line(slot, path, line, column, self._text(path, line))
                for slot, path, line, column in self.lines
            ],
            instructions=decode(self.code),
            license=self.facts["license"],
            program_type=self.facts["type"],
            errno=int(self.facts["errno"]),
        )

    def _text(self, path: str, line: int) -> str:
        text = self.broken.text
        return text[line - 1] if path == self.broken.path.name and 1 <= line <= len(text) else ""


def read_recording(path: Path) -> Recording:
    """Return a recording with the program it belongs to."""
    parts: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("== "):
            part = parts[line[3:]] = []
        else:
            part.append(line)
    rows = (line.split() for line in parts["lines"])
    return Recording(
        broken=read_broken(path.parent / f"{path.name.partition('.')[0]}.c"),
        facts={key: value.strip() for key, _, value in (line.partition(":") for line in parts["facts"])},
        lines=[(int(slot), file, int(line), int(column)) for slot, file, line, column in rows],
        code=bytes.fromhex("".join(parts["code"])),
        log="\n".join(parts["log"]),
        explanation="\n".join(parts.get("explanation", [])),
    )


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording, with its explanation as it is now."""
    rendered = recording.explained()
    facts = "\n".join(f"{key}: {value}".rstrip() for key, value in recording.facts.items())
    lines = "\n".join(" ".join(map(str, line)) for line in recording.lines)
    code = "\n".join(recording.code[at : at + 8].hex() for at in range(0, len(recording.code), 8))
    path.write_text(
        f"== facts\n{facts}\n== lines\n{lines}\n== code\n{code}\n== log\n{recording.log}\n"
        f"== explanation\nclass {rendered.kind}, slot {rendered.slot}\n{rendered.diagnostic.render()}\n"
    )


def refuse(broken: Broken, kernel: Kernel | None = None) -> Recording | None:
    """Compile a program and offer it to a kernel, by default the running one; None where that takes it.

    The file is compiled by its bare name, so the caller stands in its folder.
    """
    from ebee.clang import compile_c
    from ebee.errors import VerifierError
    from ebee.kernel.protocol import LoadAnswer, ProgramLoad
    from ebee.loader import load
    from ebee.objfile import read_object

    if kernel is None:
        from ebee.kernel.live import LiveKernel

        kernel = LiveKernel()
    requests: list[ProgramLoad] = []
    offer = kernel.program_load

    def listening(request: ProgramLoad) -> LoadAnswer:
        if broken.strict:
            request = request._replace(flags=request.flags | 1)
        requests.append(request)
        return offer(request)

    kernel.program_load = listening  # type: ignore[method-assign]  # this kernel's alone
    spec = read_object(compile_c(broken.path.name).data, broken.path.name)
    try:
        load(spec, kernel).close()
    except VerifierError as error:
        refusal, request = error, requests[-1]
    else:
        return None
    assert spec.btf is not None
    lines = [
        (slot, spec.btf.string(file).removeprefix("./"), place >> 10, place & 0x3FF)
        for slot, file, _, place in struct.iter_unpack("=IIII", request.line_info)
    ]
    facts = {
        "program": refusal.program,
        "type": request.type.name,
        "license": request.license,
        "errno": str(refusal.errno),
        "kernel": os.uname().release,
    }
    return Recording(broken, facts, lines, request.instructions, _short(refusal.log), refusal.details())


def _short(log: str) -> str:
    """Keep the end of a long log: a loop that goes on for ever says the same for ever."""
    log = log.rstrip()
    return log if len(log) <= _LONGEST_LOG else log[-_KEPT_OF_A_LONG_LOG:].partition("\n")[2]


def kernel_label() -> str:
    """Return the running kernel's version without its build: `6.18`."""
    return ".".join(os.uname().release.split("-")[0].split(".")[:2])


def main(folder: str, *names: str) -> None:
    """Record what the running kernel says of the programs in a folder."""
    folder = str(Path(folder).resolve())
    os.chdir(folder)
    for path in sorted(Path().glob("*.c")):
        broken = read_broken(path)
        if names and broken.name not in names:
            continue
        if broken.without and not os.environ.get("LESSENED"):
            _record_with_less(broken, folder)
            continue
        recording = refuse(broken)
        if recording is None:
            sys.stderr.write(f"{broken.name}: taken\n")
        else:
            write_recording(Path(f"{broken.name}.{kernel_label()}.txt"), recording)


def _record_with_less(broken: Broken, folder: str) -> None:
    """Record in a child without some capabilities: root's verifier lets more pass."""
    import subprocess

    dropped = ",".join(f"-{name}" for name in broken.without.split(","))
    words = ["setpriv", "--bounding-set", dropped, "--inh-caps", "-all", sys.executable, "-m", __spec__.name]
    home = str(Path(__file__).parents[2])
    subprocess.run(
        [*words, folder, broken.name],
        cwd=home,
        env=os.environ | {"LESSENED": "1"},
        check=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
