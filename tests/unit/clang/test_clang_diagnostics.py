"""clang's output as Diagnostics: places, carets, notes, plain words, hints, and the right error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.clang.diagnostics import parse_messages, source_error
from ebee.clang.toolchain import OWN_INCLUDE, find_toolchain
from ebee.errors import (
    ParseError,
    SourceError,
    TypeMismatchError,
    UnknownNameError,
    UnsupportedConstructError,
)
from ebee.source import Diagnostic, SourceText, Span

SOURCE = SourceText("a.c", 'int ünï = 5 + x;\n\treturn ctx->dta;\nSEC("xdp") int f(void);\n')


def _one(text: str, source: SourceText = SOURCE, folders: tuple[str, ...] = ()) -> Diagnostic:
    (diagnostic,) = parse_messages(text, source, folders=folders)
    return diagnostic


def _hint(message: str, source: SourceText = SOURCE) -> str | None:
    return _one(
        f"a.c:1:1: error: {message}", source, find_toolchain().include_folders(("any-linux-any",))
    ).hint


def test_columns_count_characters_though_clang_counts_bytes() -> None:
    assert _one("a.c:1:17: error: wrong").span == Span("a.c", 1, 15, 1)


def test_the_caret_covers_a_range_that_begins_at_it() -> None:
    assert _one("a.c:2:9:{2:9-2:17}{1:1-1:2}: error: wrong").span == Span("a.c", 2, 9, 8)


def test_the_caret_covers_the_word_where_no_range_begins() -> None:
    assert _one("a.c:2:14:{2:9-2:12}: error: wrong").span == Span("a.c", 2, 14, 3)


def test_standard_input_gets_the_sources_name() -> None:
    assert _one("<stdin>:2:2: error: wrong").span == Span("a.c", 2, 2, 6)


def test_a_place_past_the_end_of_the_text_has_no_line() -> None:
    assert _one("a.c:99:5: error: wrong") == Diagnostic("wrong", span=Span("a.c", 99, 5))


def test_a_form_feed_begins_no_line_as_in_clang() -> None:
    source = SourceText("a.c", "int x;\r\n\fint y;\nint z;\n")
    assert _one("a.c:3:5: error: wrong", source).source_line == "int z;"


def test_a_message_may_have_a_line_only_or_no_place() -> None:
    assert _one("a.c:2: warning: odd").span == Span("a.c", 2)
    assert _one("clang-14: error: odd") == Diagnostic("odd")


def test_flags_in_brackets_are_left_out() -> None:
    assert _one("a.c:1:1: warning: odd [-Wodd-things]").message == "odd"
    assert _one("a.c:1:1: error: odd [-Werror,-Wodd]").message == "odd"


def test_notes_belong_to_the_message_before_them() -> None:
    found = _one(
        "a.c:1:1: error: wrong\na.c:2:2: note: declared here\n"
        "a.c:1:1: note: could not determine the original source location for a.c:0:0"
    )
    assert [note.headline() for note in found.notes] == ["a.c:2:2: declared here"]


def test_how_our_own_macros_are_made_is_left_out() -> None:
    found = _one(f"a.c:1:1: error: wrong\n{OWN_INCLUDE}/bpf/bpf_tracing.h:1:1: note: expanded from macro 'X'")
    assert found.notes == ()


def test_a_note_without_a_message_is_left_out() -> None:
    assert parse_messages("a.c:1:1: note: alone", SOURCE) == ()


def test_a_suggestion_of_clangs_is_the_hint() -> None:
    found = _one("a.c:2:14: error: no member named 'dta' in 'struct s'; did you mean 'data'?")
    assert (found.message, found.hint) == ("no member named 'dta' in 'struct s'", "did you mean 'data'?")


def test_the_lines_of_a_header_are_read_from_it(tmp_path: Path) -> None:
    header = tmp_path / "h.h"
    header.write_text("a\nb c\n")
    assert _one(f"{header}:2:3: error: wrong").source_line == "b c"


def test_the_same_complaint_is_told_once() -> None:
    said = "a.c:1:1: error: Looks like the BPF stack limit is exceeded. Please move\n\n"
    assert len(parse_messages(said + said.replace("1:1", "2:2"), SOURCE)) == 1


def test_the_same_hint_is_given_once() -> None:
    first, second = parse_messages(
        "a.c:1:1: error: unknown type name 'u32'\na.c:2:1: error: unknown type name 'u32'", SOURCE
    )
    assert first.hint is not None
    assert second.hint is None


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("unknown type name 'u32'", "use __u32, from <linux/types.h>; u32 is a name inside the kernel"),
        ("unknown type name '__u64'", "#include <linux/types.h>"),
        ("unknown type name 'uint32_t'", "use __u32, or #include <stdint.h>"),
        ("unknown type name 'bool'", "#include <stdbool.h>"),
        ("use of undeclared identifier 'XDP_PASS'", "#include <linux/bpf.h>"),
        ("use of undeclared identifier 'IPPROTO_TCP'", "#include <linux/in.h>"),
        ("incomplete definition of type 'struct iphdr'", "#include <linux/ip.h>"),
        ("incomplete definition of type 'const struct pt_regs'", "#include <linux/ptrace.h>"),
        ("call to undeclared function 'bpf_htons'; ISO C99", "#include <bpf/bpf_endian.h>"),
        (
            "call to undeclared library function 'printf' with type 'int (const char *, ...)'; ISO C99",
            'a BPF program prints with bpf_printk("…", …), read with `ebee prog tracelog`',
        ),
        (
            "implicitly declaring library function 'memcpy' with type 'void *'",
            "BPF has no C library: use __builtin_memcpy, with a size the compiler knows",
        ),
        ("use of undeclared identifier 'malloc'", "BPF has no heap: keep data in a map"),
        (
            "'vmlinux.h' file not found",
            "include <linux/bpf.h> and the kernel's other user-space headers instead, "
            "or put a vmlinux.h beside a.c",
        ),
        ("'linux/if_eher.h' file not found", "did you mean 'linux/if_ether.h'?"),
        (
            "'stdio.h' file not found",
            "BPF has no C library: remove the include of stdio.h; __builtin_memcpy and the like remain",
        ),
        ("'mine/own.h' file not found", "name the folder that holds it with -I"),
        (
            "A call to built-in function '__muldf3' is not supported.",
            "BPF has no floating point: count in whole numbers, such as thousandths",
        ),
        (
            "A call to built-in function '__multi3' is not supported.",
            "BPF has no 128-bit arithmetic: use 64-bit values",
        ),
        ("stack arguments are not supported", "pass a pointer to a struct that holds them"),
        (
            "unsupported signed division, please convert to unsigned div/mod.",
            "divide unsigned values, or compile for cpu v4 (kernel 6.6 and newer)",
        ),
        (
            "Invalid usage of the XADD return value",
            "compile for a newer instruction set (cpu v3), or use a 64-bit value",
        ),
        ("something nobody foresaw", None),
    ],
)
def test_the_commonest_errors_have_a_hint(message: str, hint: str | None) -> None:
    assert _hint(message) == hint


def test_a_helper_that_is_nearly_right_is_suggested() -> None:
    source = SourceText("a.c", "#include <bpf/bpf_helpers.h>\n")
    assert (
        _hint("call to undeclared function 'bpf_map_lokup_elem'; ISO C99", source)
        == "did you mean 'bpf_map_lookup_elem'?"
    )


def test_a_helper_without_its_header_names_the_header() -> None:
    assert (
        _hint("call to undeclared function 'bpf_map_lookup_elem'; ISO C99") == "#include <bpf/bpf_helpers.h>"
    )


def test_nonsense_about_a_line_with_sec_names_its_header() -> None:
    assert (
        _one("a.c:3:5: error: expected parameter declarator").hint
        == "SEC() comes from a header: #include <bpf/bpf_helpers.h>"
    )


def test_a_member_is_looked_for_in_the_struct_of_the_source_or_its_headers() -> None:
    source = SourceText("a.c", "#include <linux/bpf.h>\nstruct event { int pid, count; char name[16]; };\n")
    assert _hint("no member named 'cuont' in 'struct event'", source) == "did you mean 'count'?"
    assert _hint("no member named 'nam' in 'struct event'", source) == "did you mean 'name'?"
    assert _hint("no member named 'dta' in 'struct xdp_md'", source) == "did you mean 'data'?"
    assert _hint("no member named 'zzzzz' in 'struct event'", source) is None


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("a.c:1:1: error: expected ';'", ParseError, "a.c:1:1: expected ';'"),
        (
            "a.c:1:1: error: use of undeclared identifier 'x'\na.c:2:1: error: more",
            UnknownNameError,
            "a.c:1:1: use of undeclared identifier 'x' (and 1 more)",
        ),
        (
            "a.c:1:1: error: incompatible pointer types passing 'a' to 'b'",
            TypeMismatchError,
            "a.c:1:1: incompatible pointer types passing 'a' to 'b'",
        ),
        (
            "fatal error: error in backend: line 15: Invalid usage of the XADD return value",
            UnsupportedConstructError,
            "using the old value of an atomic addition needs instruction set v3",
        ),
        (
            "clang: error: first\na.c:1:1: fatal error: 'x.h' file not found",
            ParseError,
            "a.c:1:1: header 'x.h' is not found (and 1 more)",
        ),
    ],
)
def test_the_first_complaint_with_a_place_decides_the_error(
    text: str, kind: type[SourceError], message: str
) -> None:
    error = source_error(text, SOURCE)
    assert type(error) is kind
    assert str(error) == message


@pytest.mark.parametrize(
    "text", ["", "Stack dump:\n", "clang: error: unknown argument", "a.c:1:1: warning: odd"]
)
def test_what_is_no_complaint_about_the_text_gives_no_source_error(text: str) -> None:
    assert source_error(text, SOURCE) is None


_PIECES = st.sampled_from(
    [
        "a.c",
        "<stdin>",
        ":",
        "1",
        "99999999999999999999",
        "{1:1-1:5}",
        " error: ",
        " note: ",
        "\n",
        "'x'",
        "In file included from ",
        " file not found",
        "unknown type name ",
        "no member named 'a' in 'b'",
        "; did you mean 'q'?",
        "\t",
        "ü",
        "\0",
        "(",
        "[-Wx]",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map("".join)), st.text(max_size=40))
def test_any_text_gives_diagnostics_and_never_an_exception(text: str, program: str) -> None:
    source = SourceText("a.c", program)
    for diagnostic in parse_messages(text, source, folders=[OWN_INCLUDE]):
        assert diagnostic.severity in {"error", "warning"}
        assert diagnostic.render()
        assert "\n" not in diagnostic.headline()
    error = source_error(text, source)
    assert error is None or error.details()
