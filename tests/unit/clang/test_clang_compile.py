"""C text -> object: what comes out, and what the object says about where it came from."""

from __future__ import annotations

import os
import select
import shutil
from pathlib import Path

import pytest

from ebee.clang import CompileOptions, compile_c
from ebee.errors import NotSupportedError, ParseError, SpecError, ToolError, UnknownNameError
from ebee.source import SourceText

from .conftest import HELLO, Write

EM_BPF = 247


def test_a_file_becomes_a_little_endian_bpf_object_with_btf(write: Write) -> None:
    write("hello.bpf.c", HELLO)
    compiled = compile_c("hello.bpf.c")
    assert compiled.data[:6] == b"\x7fELF\x02\x01"
    assert int.from_bytes(compiled.data[18:20], "little") == EM_BPF
    assert b".BTF.ext" in compiled.data
    assert compiled.warnings == ()
    assert compiled.source.path == "hello.bpf.c"


def test_a_big_endian_object_can_be_asked_for(write: Write) -> None:
    write("hello.bpf.c", HELLO)
    assert compile_c("hello.bpf.c", options=CompileOptions(byte_order="big")).data[5] == 2


def test_without_debug_there_is_no_btf(write: Write) -> None:
    write("hello.bpf.c", HELLO)
    assert b".BTF" not in compile_c("hello.bpf.c", options=CompileOptions(debug=False)).data


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_architecture_has_its_headers_and_macro(write: Write, machine: str) -> None:
    macro = {"x86_64": "x86", "aarch64": "arm64"}[machine]
    write(
        "arch.c",
        f"#include <asm/types.h>\n#include <linux/ptrace.h>\n#ifndef __TARGET_ARCH_{macro}\n#error\n#endif\n"
        "__u32 x;\n",
    )
    assert compile_c("arch.c", options=CompileOptions(architecture=machine)).data


def test_line_information_names_the_file_as_it_was_given_and_quotes_its_lines(write: Write) -> None:
    write("sub/hello.bpf.c", HELLO)
    data = compile_c("sub/hello.bpf.c").data
    assert b"\0./sub/hello.bpf.c\0" in data
    assert b"\0    counter++;\0" in data


def test_the_same_source_gives_the_same_object_in_every_folder(
    write: Write, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("sub/hello.bpf.c", HELLO)
    here = compile_c("sub/hello.bpf.c", options=CompileOptions(cache=False)).data
    shutil.copytree(workspace, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert compile_c("sub/hello.bpf.c", options=CompileOptions(cache=False)).data == here
    assert str(tmp_path).encode() not in here
    assert b"site-packages" not in here


def test_a_text_in_memory_keeps_its_name_and_its_lines(workspace: Path) -> None:
    compiled = compile_c(SourceText("<text>", HELLO))
    assert b"\0./<text>\0" in compiled.data
    assert b"\0    counter++;\0" in compiled.data
    assert b"<stdin>" not in compiled.data


def test_a_text_with_line_directives_quotes_the_file_they_name(write: Write) -> None:
    write("trace.bt", "interval:s:1 { print(1) }\n")
    text = HELLO.replace("    counter++;", '#line 1 "trace.bt"\n    counter++;')
    data = compile_c(SourceText("trace.c", text)).data
    assert b"\0interval:s:1 { print(1) }\0" in data


def test_quoted_includes_are_found_beside_the_file_not_in_the_current_folder(write: Write) -> None:
    write("near.h", "#error the current folder's")
    write("sub/near.h", "#define ANSWER 42\n")
    text = '#include "near.h"\nint answer = ANSWER;\n'
    write("sub/a.c", text)
    assert compile_c("sub/a.c").data
    assert compile_c(SourceText("sub/in_memory.c", text)).data


def test_include_folders_and_defines_reach_clang_for_files_and_texts(write: Write) -> None:
    write("include/far.h", "#define ANSWER 42\n")
    text = '#include <far.h>\n_Static_assert(ANSWER + MORE == 45, "");\nint x;\n'
    write("sub/a.c", text)
    options = CompileOptions(defines=("MORE=3",), include_folders=("include",))
    assert compile_c("sub/a.c", options=options).data
    assert compile_c(SourceText("sub/b.c", text), options=options).data
    by_argument = CompileOptions(arguments=("-DMORE=3", "-I", "include"))
    assert compile_c(SourceText("sub/b.c", text), options=by_argument).data


def test_variables_that_steer_other_compilers_change_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("evil/far.h", "#define ANSWER 1\n")
    write("a.c", "#if __has_include(<far.h>)\n#error steered\n#endif\nint x;\n")
    monkeypatch.setenv("CPATH", str(Path("evil").absolute()))
    monkeypatch.setenv("C_INCLUDE_PATH", str(Path("evil").absolute()))
    assert compile_c("a.c").data


def test_a_current_folder_that_was_removed_does_no_harm(
    write: Write, workspace: Path, tmp_path: Path
) -> None:
    path = write("hello.bpf.c", HELLO)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        assert compile_c(path).data
        assert compile_c(SourceText("<text>", HELLO)).data
        with pytest.raises(SpecError, match=r"^compiling x\.c: no such file, expected a C source file$"):
            compile_c("x.c")
    finally:
        os.chdir(workspace)


def test_an_error_in_a_header_beside_a_text_in_memory_has_its_line(write: Write, workspace: Path) -> None:
    write("sub/bad.h", "int x = ;\n")
    with pytest.raises(ParseError) as caught:
        compile_c(SourceText("sub/text.c", '#include "bad.h"\n'))
    assert str(caught.value) == f"{workspace}/sub/bad.h:1:9: expected expression"
    assert caught.value.diagnostics[0].source_line == "int x = ;"


def test_a_name_that_begins_with_a_dash_or_holds_spaces_is_a_name(write: Write) -> None:
    write("-o it.c", HELLO)
    assert compile_c("-o it.c").data
    assert compile_c("-o it.c").from_cache


def test_a_text_through_a_pipe_is_compiled(workspace: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, HELLO.encode())
    os.close(writer)
    try:
        assert compile_c(f"/dev/fd/{reader}").data
    finally:
        os.close(reader)


def test_warnings_are_kept(write: Write) -> None:
    write("w.c", "int f(int x) {\n\tif (x = 1) return 2;\n\treturn 0;\n}\n")
    (warning,) = compile_c("w.c").warnings
    assert warning.severity == "warning"
    assert (
        warning.headline() == "w.c:2:8: using the result of an assignment as a condition without parentheses"
    )
    assert warning.source_line == "\tif (x = 1) return 2;"


def test_an_error_has_every_complaint_and_leads_with_the_first(write: Write) -> None:
    write("e.c", "int counter;\nint f(void) {\n  coutner++;\n  return missing;\n}\n")
    with pytest.raises(UnknownNameError) as caught:
        compile_c("e.c")
    assert str(caught.value) == "e.c:3:3: use of undeclared identifier 'coutner' (and 1 more)"
    assert caught.value.hint == "did you mean 'counter'?"
    assert caught.value.details() == (
        "error: e.c:3:3: use of undeclared identifier 'coutner'\n"
        "    3 |   coutner++;\n"
        "      |   ^~~~~~~\n"
        "note: e.c:1:5: 'counter' declared here\n"
        "    1 | int counter;\n"
        "      |     ^~~~~~~\n"
        "hint: did you mean 'counter'?\n"
        "error: e.c:4:10: use of undeclared identifier 'missing'\n"
        "    4 |   return missing;\n"
        "      |          ^~~~~~~"
    )


def test_an_error_in_a_header_says_how_it_was_included(write: Write) -> None:
    write("bad.h", "int x = ;\n")
    write("e.c", '\n#include "bad.h"\n')
    with pytest.raises(ParseError) as caught:
        compile_c("e.c")
    assert str(caught.value) == "./bad.h:1:9: expected expression"
    assert caught.value.diagnostics[0].notes[0].headline() == "e.c:2: included from here"


def test_an_error_in_a_text_in_memory_is_placed_under_its_name(workspace: Path) -> None:
    with pytest.raises(ParseError, match=r"^<text>:1:9: expected expression$"):
        compile_c(SourceText("<text>", "int x = ;\n"))


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        (
            "empty.c",
            b" \n",
            "compiling empty.c: it is empty, expected C source",
            "save the program into the file first",
        ),
        (
            "a.o",
            b"\x7fELF\x02\x01",
            "compiling a.o: it is an ELF object already, expected C source",
            "load it as it is, or name the .c file it came from",
        ),
        (
            "latin.c",
            b"int x;\n// caf\xe9\n",
            "latin.c:2: byte 0xe9 is not UTF-8 text",
            "save the file as UTF-8",
        ),
        (
            "image.c",
            b"\xff\xd8\0\0",
            "image.c:1: byte 0xff is not UTF-8 text",
            "this looks like a binary file, not C source",
        ),
    ],
)
def test_what_is_no_c_source_is_named(
    workspace: Path, name: str, content: bytes, message: str, hint: str
) -> None:
    (workspace / name).write_bytes(content)
    with pytest.raises((SpecError, ParseError)) as caught:
        compile_c(name)
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        (
            "helo.bpf.c",
            "compiling helo.bpf.c: no such file, expected a C source file",
            "did you mean 'hello.bpf.c'?",
        ),
        ("zzz", "compiling zzz: no such file, expected a C source file", None),
        ("no/x.c", "compiling no/x.c: no such file, expected a C source file", "there is no folder 'no'"),
        (
            ".",
            "compiling .: it is a folder, expected a C source file",
            "name a file in it, such as ./hello.bpf.c",
        ),
        ("a\0b", "compiling 'a\\x00b': embedded null byte, expected a C source file that can be read", None),
    ],
)
def test_a_path_that_leads_to_no_file_is_named(
    write: Write, path: str, message: str, hint: str | None
) -> None:
    write("hello.bpf.c", HELLO)
    with pytest.raises(SpecError) as caught:
        compile_c(path)
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CompileOptions(cpu="v9"), "compile options: cpu 'v9', expected one of v1, v2, v3, v4"),
        (
            CompileOptions(optimisation="fast"),
            "compile options: optimisation 'fast', expected one of 0, 1, 2, 3, s, z",
        ),
        (
            CompileOptions(byte_order="middle"),
            "compile options: byte order 'middle', expected one of little, big",
        ),
        (
            CompileOptions(architecture="vax"),
            "architecture: vax, expected x86_64 or aarch64",
        ),
        (CompileOptions(defines=("9X",)), "compile options: define '9X', expected NAME or NAME=VALUE"),
        (
            CompileOptions(arguments=("a\0",)),
            "compile options: 'a\\x00' holds a zero byte, expected text",
        ),
        (
            CompileOptions(arguments=("--bogus",)),
            "compiling hello.bpf.c: clang says: unknown argument: '--bogus'",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused(write: Write, options: CompileOptions, message: str) -> None:
    write("hello.bpf.c", HELLO)
    with pytest.raises((SpecError, NotSupportedError)) as caught:
        compile_c("hello.bpf.c", options=options)
    assert str(caught.value) == message


def _script(workspace: Path, name: str, text: str) -> str:
    path = workspace / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_crashes_is_a_tool_error_with_its_last_words(
    write: Write, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("hello.bpf.c", HELLO)
    clang = _script(workspace, "clang", "echo oops >&2\nkill -SEGV $$")
    monkeypatch.setenv("EBEE_CLANG", clang)
    with pytest.raises(ToolError) as caught:
        compile_c("hello.bpf.c")
    assert str(caught.value) == (
        f"compiling hello.bpf.c: {clang} was ended by signal 11 and gave no object, expected one"
    )
    assert str(caught.value.hint).endswith("the compiler's last words:\noops")


def test_a_compiler_that_gives_nothing_is_a_tool_error(
    write: Write, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("hello.bpf.c", HELLO)
    monkeypatch.setenv("EBEE_CLANG", _script(workspace, "clang", "exit 0"))
    with pytest.raises(ToolError, match="ended with status 0 and gave no object, expected one"):
        compile_c("hello.bpf.c")


def test_a_compiler_without_the_bpf_target_is_named(
    write: Write, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("hello.bpf.c", HELLO)
    said = """error: unable to create target: 'No available targets are compatible with triple "bpfel"'"""
    clang = _script(workspace, "clang", f"cat >&2 <<'END'\n{said}\nEND\nexit 1")
    monkeypatch.setenv("EBEE_CLANG", clang)
    with pytest.raises(ToolError) as caught:
        compile_c("hello.bpf.c")
    assert str(caught.value) == (
        f"compiling hello.bpf.c: {clang} has no BPF target, expected a clang built with it"
    )


def _wait_until_gone(pid: int) -> None:
    """Fail unless a process of another parent ends soon, and is a zombie at most."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    assert poller.poll(5000)
    os.close(descriptor)


def test_a_stuck_compiler_is_ended_with_all_its_children(
    write: Write, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("hello.bpf.c", HELLO)
    clang = _script(workspace, "clang", "sleep 1000 & echo $! > child; wait")
    monkeypatch.setenv("EBEE_CLANG", clang)
    with pytest.raises(ToolError) as caught:
        compile_c("hello.bpf.c", options=CompileOptions(timeout_s=1.0))
    assert str(caught.value) == f"compiling: {clang} did not end within 1 s, expected it to finish"
    child = int((workspace / "child").read_text())
    _wait_until_gone(child)


def test_no_descriptor_is_left_open(write: Write) -> None:
    write("hello.bpf.c", HELLO)
    compile_c("hello.bpf.c")
    before = os.listdir("/proc/self/fd")
    compile_c("hello.bpf.c", options=CompileOptions(cache=False))
    compile_c("hello.bpf.c")
    with pytest.raises(SpecError):
        compile_c("nothing.c")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.skipif(shutil.which("clang-14") is None, reason="Debian's clang 14 is not installed")
def test_another_clang_compiles_with_the_same_headers(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("hello.bpf.c", "#include <stddef.h>\n" + HELLO)
    monkeypatch.setenv("EBEE_CLANG", "clang-14")
    data = compile_c("hello.bpf.c").data
    assert int.from_bytes(data[18:20], "little") == EM_BPF
    assert b"Debian clang version 14" in data


def test_headers_that_ask_for_the_c_library_s_sockets_compile(write: Write) -> None:
    """<linux/if.h> includes <sys/socket.h>, and a BPF program has no C library."""
    write(
        "if.c",
        "#include <linux/if.h>\n#include <linux/if_arp.h>\nint family = AF_INET6;\nstruct sockaddr a;\n",
    )
    assert compile_c("if.c").data
