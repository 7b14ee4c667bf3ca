"""Broken programs offered to the running kernel: its refusal names the right line, and its hint works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ebee.asm import decode
from ebee.loader.verifier import explain
from tests.kernel.door import needs_root
from tests.support.refusals import Broken, read_broken, refuse

LOGS = Path(__file__).parents[1] / "unit" / "loader" / "logs"
pytestmark = needs_root

BROKEN = [read_broken(path) for path in sorted(LOGS.glob("*.c"))]

# Since Linux 6.3 whoever may trace may read what was never set on the stack.
TAKEN_BY_NEWER_KERNELS = {"stack_uninitialised_key"}
# A million instructions, more than once: the others of their class say the same sooner.
SLOW = {"loop_too_long", "loop_by_packet_length"}

QUICK = [broken for broken in BROKEN if broken.name not in SLOW]

# A hint that ends in a statement which can be pasted before the line, without a name to fill in.
PASTED = re.compile(r": (if \(.* return \w+;)$")
TO_FILL_IN = re.compile(r"\b(?:pointer|COUNT|SIZE)\b")


@pytest.mark.parametrize("broken", QUICK, ids=lambda broken: broken.name)
def test_the_refusal_names_the_line_that_is_broken(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(LOGS)
    recording = refuse(broken)
    if recording is None:
        assert broken.name in TAKEN_BY_NEWER_KERNELS
        return
    found = recording.explained()
    assert found.kind == broken.kind
    assert found.diagnostic.span is not None
    assert found.diagnostic.span.line in broken.lines(broken.refused)
    noted = {note.span.line for note in found.diagnostic.notes if note.span}
    assert all(noted & broken.lines(begin) for begin in broken.notes)


@pytest.mark.starts_processes
@pytest.mark.parametrize("broken", QUICK, ids=lambda broken: broken.name)
def test_a_hint_with_a_statement_makes_the_kernel_take_the_program(
    broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(LOGS)
    recording = refuse(broken)
    diagnostic = recording.explained().diagnostic if recording else None
    pasted = PASTED.search(diagnostic.hint or "") if diagnostic else None
    if diagnostic is None or diagnostic.span is None or pasted is None or TO_FILL_IN.search(pasted[1]):
        # Nothing to paste: what to do is told in words.
        return
    text = broken.text.copy()
    text.insert(diagnostic.span.line - 1, pasted[1])
    (tmp_path / broken.path.name).write_text("\n".join(text) + "\n")
    monkeypatch.chdir(tmp_path)
    assert refuse(read_broken(Path(broken.path.name))) is None


def test_the_error_that_the_loader_raises_carries_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from ebee.clang import compile_c
    from ebee.errors import VerifierError
    from ebee.kernel.live import LiveKernel
    from ebee.loader import load
    from ebee.objfile import read_object

    monkeypatch.chdir(LOGS)
    spec = read_object(compile_c("lookup_unchecked.c").data, "lookup_unchecked.c")
    with pytest.raises(VerifierError) as caught:
        load(spec, LiveKernel())
    error = caught.value
    assert str(error) == (
        "lookup_unchecked.c:20:9: program count: 'value' may be NULL here: "
        "bpf_map_lookup_elem() finds nothing when the key is not in map 'counts'"
    )
    assert error.hint == "check it before this line: if (!value) return XDP_PASS;"
    assert error.program == "count"
    assert "R0 invalid mem access 'map_value_or_null'" in error.log
    assert error.diagnostic is not None
    assert error.diagnostic.source_line == "\t*value += 1;"


@pytest.mark.parametrize("level", [1, 2, 4 + 1])
def test_every_level_of_log_is_understood(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from ebee.abi.bpf import ProgType
    from ebee.asm import Instruction, encode
    from ebee.kernel.live import LiveKernel
    from ebee.kernel.protocol import ProgramLoad

    # r0 = *(u64 *)(r1 + 0) on a number; exit
    code = encode([Instruction(0xB7, 1, imm=7), Instruction(0x79, 0, 1), Instruction(0x95)])
    request = ProgramLoad(ProgType.SOCKET_FILTER, code, "GPL", log_level=level, log_size_bytes=1 << 16)
    answer = LiveKernel().program_load(request)
    assert answer.fd < 0
    found = explain(answer.log, program="p", instructions=decode(code), errno=answer.errno)
    assert (found.kind, found.slot) == ("not-a-pointer", 1)
