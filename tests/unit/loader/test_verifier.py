"""The verifier's refusal, explained: on what kernels really said, and on logs of other shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.asm import Instruction
from ebee.loader.verifier import Explanation, Line, explain
from ebee.source import Span
from tests.support.refusals import Recording, read_broken, read_recording

LOGS = Path(__file__).parent / "logs"
RECORDINGS = sorted(LOGS.glob("*.txt"))

# What every learner meets first: these are explained on whichever kernel.
PROMISED = {
    "unchecked-null",
    "packet-bounds",
    "licence",
    "endless-loop",
    "too-complex",
    "stack-uninitialised",
    "helper-not-allowed",
    "stack-too-large",
}


@pytest.fixture(params=RECORDINGS, ids=lambda path: path.name.removesuffix(".txt"))
def recording(request: pytest.FixtureRequest) -> Recording:
    return read_recording(request.param)


class TestRecordings:
    def test_the_whole_explanation_is_as_written_down(self, recording: Recording) -> None:
        found = recording.explained()
        said = f"class {found.kind}, slot {found.slot}\n{found.diagnostic.render()}"
        assert said == recording.explanation

    def test_the_line_to_blame_is_the_one_marked_in_the_c_file(self, recording: Recording) -> None:
        span = recording.explained().diagnostic.span
        assert span is not None
        assert span.path == recording.broken.path.name
        assert span.line in recording.broken.lines(recording.broken.refused)

    def test_the_quoted_text_is_that_line(self, recording: Recording) -> None:
        diagnostic = recording.explained().diagnostic
        assert diagnostic.span is not None
        assert diagnostic.source_line == recording.broken.text[diagnostic.span.line - 1]

    def test_notes_name_the_further_lines_marked(self, recording: Recording) -> None:
        noted = {note.span.line for note in recording.explained().diagnostic.notes if note.span}
        for begin in recording.broken.notes:
            assert noted & recording.broken.lines(begin), begin

    def test_the_class_is_the_one_the_c_file_says(self, recording: Recording) -> None:
        assert recording.explained().kind == recording.broken.kind

    def test_the_verifier_s_own_words_are_kept(self, recording: Recording) -> None:
        found = recording.explained()
        assert found.telling in recording.log
        if not found.telling:
            # Before Linux 6.4 the end of a log that is too long is lost, and the reason with it.
            assert recording.facts["errno"] == "28"
            return
        assert found.diagnostic.notes[-1].message == f"the verifier says: {found.telling}"

    def test_without_line_info_the_log_s_own_comment_gives_the_line(self, recording: Recording) -> None:
        bare = recording._replace(lines=[]).explained().diagnostic
        if recording.explained().slot is not None and " @ " in recording.log:
            assert bare.span is not None
            assert bare.span.path == recording.broken.path.name
        assert bare.message.startswith(f"program {recording.facts['program']}: ")

    def test_what_stands_in_front_of_a_log_changes_nothing(self, recording: Recording) -> None:
        long = "0: (b7) r1 = 1                        ; R1=1\n" * 30_000 + recording.log
        assert recording._replace(log=long).explained().telling == recording.explained().telling

    def test_a_log_cut_anywhere_still_gives_an_explanation(self, recording: Recording) -> None:
        for cut in range(0, len(recording.log), max(1, len(recording.log) // 40)):
            assert recording._replace(log=recording.log[:cut]).explained().diagnostic.message
            assert recording._replace(log=recording.log[cut:]).explained().diagnostic.message


def test_every_broken_program_was_recorded_on_some_kernel() -> None:
    recorded = {path.name.partition(".")[0] for path in RECORDINGS}
    assert {path.stem for path in LOGS.glob("*.c")} == recorded


def test_every_promised_class_has_a_recording() -> None:
    assert {read_broken(path).kind for path in LOGS.glob("*.c")} >= PROMISED


LINES = [
    Line(0, "drop.c", 9, 14, "\tvoid *data = (void *)(long)ctx->data;"),
    Line(1, "drop.c", 12, 11, "\tif (eth->h_proto == 8)"),
]
PACKET_LOG = """\
0: (61) r1 = *(u32 *)(r1 +0)          ; R1_w=pkt(off=0,r=0,imm=0)
1: (71) r2 = *(u8 *)(r1 +12)
invalid access to packet, off=12 size=1, R1(id=0,off=12,r=0)
R1 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


def explained(log: str, **facts: object) -> Explanation:
    known: dict[str, object] = {"program": "drop", "lines": LINES, "program_type": "XDP"}
    return explain(log, **(known | facts))  # type: ignore[arg-type]


class TestShapesOfLogs:
    def test_kernels_before_5_18_call_a_number_inv(self) -> None:
        log = "0: (79) r1 = *(u64 *)(r1 +0)\n1: (79) r0 = *(u64 *)(r1 +80)\nR1 invalid mem access 'inv'\n"
        assert explained(log, program_type="KPROBE").kind == "not-a-pointer"

    def test_registers_on_a_line_of_their_own_belong_to_the_step_before(self) -> None:
        log = (
            "0: (85) call bpf_map_lookup_elem#1\n"
            " R0_w=map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0) R10=fp0\n"
            "1: (79) r1 = *(u64 *)(r0 +0)\n"
            "R0 invalid mem access 'map_value_or_null'\n"
        )
        lines = [
            Line(0, "a.c", 3, 9, "v = bpf_map_lookup_elem(&seen, &key);"),
            Line(1, "a.c", 4, 2, "*v = 1;"),
        ]
        assert explained(log, lines=lines).diagnostic.message == (
            "program drop: 'v' may be NULL here: "
            "bpf_map_lookup_elem() finds nothing when the key is not in map 'seen'"
        )

    def test_statistics_glued_to_the_last_words_are_cut_off(self) -> None:
        words = "expected prog array map for tail call"
        log = f"3: (85) call bpf_tail_call#12\n{words}processed 3 insns (limit 1000000)"
        assert explained(log).telling == words

    def test_the_states_printed_for_an_endless_loop_are_no_reason(self) -> None:
        log = (
            "0: (05) goto pc-1\n0: (05) goto pc-1\ninfinite loop detected at insn 0\n"
            "cur state: R1=ctx() R10=fp0\nold state: R1=ctx() R10=fp0\n"
        )
        assert explained(log).telling == "infinite loop detected at insn 0"

    def test_a_refusal_before_the_first_step_is_found_in_a_log_without_steps(self) -> None:
        found = explained("back-edge from insn 1 to 0\nprocessed 0 insns (limit 1000000)\n")
        assert (found.kind, found.slot) == ("endless-loop", 1)
        assert found.diagnostic.span == Span("drop.c", 12, 11, 7)

    def test_comments_of_newer_kernels_stand_in_for_missing_line_info(self) -> None:
        log = PACKET_LOG.replace("1: (71)", "; if (eth->h_proto == 8) @ drop.c:12\n1: (71)")
        diagnostic = explained(log, lines=[]).diagnostic
        assert diagnostic.span == Span("drop.c", 12)
        assert diagnostic.source_line == "if (eth->h_proto == 8)"

    def test_an_unknown_refusal_is_told_in_the_kernel_s_words_without_a_hint(self) -> None:
        found = explained(
            "1: (71) r2 = *(u8 *)(r1 +12)\nthe moon is in the wrong house\nprocessed 2 insns (limit 1)\n"
        )
        assert (
            found.diagnostic.message
            == "program drop: the verifier refused it: the moon is in the wrong house"
        )
        assert (found.kind, found.diagnostic.hint) == ("unknown", None)
        assert found.diagnostic.span is not None
        assert found.diagnostic.span.line == 12

    def test_an_empty_log_names_the_errno(self) -> None:
        found = explained("", errno=22)
        assert (
            found.diagnostic.message
            == "program drop: the kernel refused it with EINVAL, and the verifier gave no reason"
        )
        assert found.slot is None

    def test_a_log_that_ends_in_the_middle_says_so(self) -> None:
        found = explained("0: (61) r1 = *(u32 *)(r1 +0)\n", errno=28)
        assert found.diagnostic.message == (
            "program drop: the kernel refused it with ENOSPC, and the log ends before the reason"
        )

    def test_a_poisoned_instruction_tells_what_the_kernel_lacks(self) -> None:
        log = "1: (85) call unknown#195896080\ninvalid func unknown#195896080\n"
        found = explained(log, poisoned={1: "struct task_struct has no member 'old_name'"})
        assert found.diagnostic.message == "program drop: struct task_struct has no member 'old_name'"

    def test_a_column_counts_characters_and_not_bytes(self) -> None:
        lines = [Line(0, "ä.c", 1, 14, "/* größer */ *p = 1;".replace("*/ ", "*/"))]
        log = "0: (7b) *(u64 *)(r1 +0) = r0\nR1 invalid mem access 'scalar'\n"
        span = explained(log, lines=lines).diagnostic.span
        assert span is not None
        assert span.column == 12

    def test_instructions_give_how_far_a_packet_must_be_checked(self) -> None:
        instructions = [
            Instruction(0x61, 1, 1, 0),
            Instruction(0x71, 2, 1, 12),
            Instruction(0x71, 3, 1, 13),
            Instruction(0x69, 1, 1, 22),
            Instruction(0x71, 3, 1, 90),
        ]
        lines = [LINES[0], LINES[1]._replace(text="\tif (*(short *)(data + 12) == 8)")]
        hint = explained(PACKET_LOG, lines=lines, instructions=instructions).diagnostic.hint
        assert hint == (
            "check before this line: if (data + 24 > (void *)(long)ctx->data_end) return XDP_PASS;"
        )


NEWER = """\
0: R1=ctx() R10=fp0
1: (95) exit
{telling}

Verification failed: Register Type Safety: Unreadable register

Reason:
  R0 has no value on this path, so it
  cannot be read.

At:
  insn 1
        | ^-- error: R0 is not readable
  Instruction context:
  >>> 1 | (95) exit

Causal path:
  nothing is known of it

Suggestion:
  Give R0 a value first.

processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


class TestParagraphsOfLinux7:
    def test_a_known_refusal_keeps_our_words(self) -> None:
        found = explained(NEWER.format(telling="R0 !read_ok"))
        assert found.kind == "no-value"
        assert found.telling == "R0 !read_ok"
        assert (
            found.diagnostic.message == "program drop: the function ends without a return value on this path"
        )

    def test_an_unknown_one_takes_the_kernel_s_reason_and_suggestion(self) -> None:
        found = explained(NEWER.format(telling="R0 has the hiccups"))
        assert found.diagnostic.message == (
            "program drop: Register Type Safety: Unreadable register: "
            "R0 has no value on this path, so it cannot be read"
        )
        assert found.diagnostic.hint == "Give R0 a value first"
        assert found.telling == "R0 has the hiccups"

    def test_the_place_stands_in_the_paragraph_at(self) -> None:
        log = NEWER.format(telling="").partition("exit\n")[2]
        assert explained(log).slot == 1


WORDS = st.sampled_from(
    [line for path in RECORDINGS for line in read_recording(path).log.splitlines()]
    + NEWER.splitlines()
    + ["R99999999999999999999 invalid mem access 'map_value_or_null'", "R0 type= expected=", "0: (00) "]
)


class TestAnyText:
    @given(st.text())
    def test_any_text_gives_an_explanation(self, log: str) -> None:
        assert explained(log).diagnostic.message.startswith("program drop: ")

    @given(st.lists(WORDS, max_size=40))
    @settings(max_examples=400)
    def test_the_lines_of_logs_in_any_order_give_an_explanation(self, log: list[str]) -> None:
        assert explained("\n".join(log)).diagnostic.render()

    @given(st.lists(WORDS, max_size=8), st.integers(0, 400), st.text(max_size=3))
    def test_a_log_with_a_wound_gives_an_explanation(self, log: list[str], place: int, wound: str) -> None:
        text = "\n".join(log)
        assert explained(text[:place] + wound + text[place + 2 :]).diagnostic.render()

    def test_only_the_end_of_a_log_of_sixteen_megabytes_is_read(self) -> None:
        line = "0: (b7) r1 = 1                        ; R1=1\n"
        found = explained(line * (16 * 1024 * 1024 // len(line)) + PACKET_LOG)
        assert found.kind == "packet-bounds"

    def test_one_line_of_a_megabyte_is_no_trouble(self) -> None:
        for letter in ("x", "(", "R1=", "1: ", "; ", "*p"):
            assert explained(letter * 1_000_000).diagnostic.message
