"""The cache: when it serves, when it must not, and that it never stands in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.clang import CompileOptions, compile_c
from ebee.clang.cache import Cache, Entry, Fact, digest, open_cache
from ebee.clang.dependencies import parse_rule
from ebee.source import SourceText

from .conftest import HELLO, Write

INCLUDING = '#include "value.h"\nint value = VALUE;\n'


def _entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "objects").glob("*"))


def test_the_second_time_no_compiler_runs(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("hello.bpf.c", HELLO)
    first = compile_c("hello.bpf.c")
    monkeypatch.setattr(os, "posix_spawn", None)
    second = compile_c("hello.bpf.c")
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.data == first.data


def test_a_text_in_memory_is_found_again(workspace: Path) -> None:
    compile_c(SourceText("<text>", HELLO))
    assert compile_c(SourceText("<text>", HELLO)).from_cache
    assert not compile_c(SourceText("<other>", HELLO)).from_cache


def test_warnings_are_shown_again_on_a_hit(write: Write) -> None:
    write("w.c", "int f(int x) { if (x = 1) return 2; return 0; }\n")
    first, second = compile_c("w.c"), compile_c("w.c")
    assert second.from_cache
    assert second.warnings == first.warnings
    assert len(first.warnings) == 1


def test_a_changed_source_or_option_misses(write: Write) -> None:
    write("hello.bpf.c", HELLO)
    compile_c("hello.bpf.c")
    for options in (
        CompileOptions(cpu="v2"),
        CompileOptions(defines=("A",)),
        CompileOptions(optimisation="1"),
    ):
        assert not compile_c("hello.bpf.c", options=options).from_cache
    write("hello.bpf.c", HELLO + "int more;\n")
    assert not compile_c("hello.bpf.c").from_cache


def test_a_changed_header_misses_and_the_old_one_is_not_used(write: Write) -> None:
    write("value.h", "#define VALUE 1\n")
    write("a.c", INCLUDING)
    one = compile_c("a.c")
    assert compile_c("a.c").from_cache
    write("value.h", "#define VALUE 2\n")
    two = compile_c("a.c")
    assert not two.from_cache
    assert two.data != one.data


@pytest.mark.parametrize("before", ["value.h", "first/value.h"])
def test_a_header_that_appears_earlier_in_the_search_path_misses(write: Write, before: str) -> None:
    write("second/value.h", "#define VALUE 1\n")
    write("first/other.h", "")
    write("a.c", INCLUDING)
    options = CompileOptions(include_folders=("first", "second"))
    one = compile_c("a.c", options=options)
    assert compile_c("a.c", options=options).from_cache
    write(before, "#define VALUE 2\n")
    two = compile_c("a.c", options=options)
    assert not two.from_cache
    assert two.data != one.data


def test_a_nested_header_named_through_its_parent_folder_can_be_hidden(write: Write) -> None:
    write("lib/value.h", "#define VALUE 1\n")
    write("lib/deep/outer.h", '#include "../value.h"\n')
    write("first/deep/other.h", "")
    write("sub/a.c", "#include <deep/outer.h>\nint value = VALUE;\n")
    options = CompileOptions(include_folders=("first/deep", "lib"))
    for source in ("sub/a.c", SourceText("sub/text.c", Path("sub/a.c").read_text())):
        compile_c(source, options=options)
        assert compile_c(source, options=options).from_cache
    write("first/deep/deep/outer.h", "#define VALUE 2\n")
    assert not compile_c("sub/a.c", options=options).from_cache


def test_a_header_beside_a_text_in_memory_is_watched(write: Write) -> None:
    write("sub/value.h", "#define VALUE 1\n")
    source = SourceText("sub/text.c", INCLUDING)
    one = compile_c(source)
    assert compile_c(source).from_cache
    write("sub/value.h", "#define VALUE 2\n")
    two = compile_c(source)
    assert not two.from_cache
    assert two.data != one.data


def test_a_header_that_hides_one_of_the_compilers_misses(write: Write) -> None:
    write("include/other.h", "")
    write("hello.bpf.c", HELLO)
    options = CompileOptions(include_folders=("include",))
    compile_c("hello.bpf.c", options=options)
    assert compile_c("hello.bpf.c", options=options).from_cache
    write("include/linux/bpf.h", "#define XDP_PASS 2\nstruct xdp_md;\n")
    assert not compile_c("hello.bpf.c", options=options).from_cache


def test_a_header_saved_while_clang_may_have_been_reading_is_not_trusted(write: Write) -> None:
    path = write("value.h", "#define VALUE 1\n")
    write("a.c", INCLUDING)
    os.utime(path)
    compile_c("a.c", options=CompileOptions())
    os.utime(path, (2_000_000_000, 2_000_000_000))
    compile_c("a.c")
    assert not compile_c("a.c").from_cache


@pytest.mark.parametrize("word", ["__DATE__", "__TIME__", "__TIMESTAMP__"])
def test_a_text_that_asks_for_the_time_is_compiled_each_time(write: Write, word: str) -> None:
    write("a.c", f"char when[] = {word};\n")
    compile_c("a.c", options=CompileOptions(arguments=("-Wno-date-time",)))
    assert not compile_c("a.c", options=CompileOptions(arguments=("-Wno-date-time",))).from_cache


def test_a_text_that_asks_whether_a_header_exists_is_compiled_each_time(write: Write) -> None:
    write("value.h", "#if __has_include(<far.h>)\n#define VALUE 1\n#else\n#define VALUE 2\n#endif\n")
    write("a.c", INCLUDING)
    compile_c("a.c")
    assert not compile_c("a.c").from_cache


def test_arguments_that_read_further_files_are_not_cached(write: Write) -> None:
    write("flags", "-DA=1\n")
    write("hello.bpf.c", HELLO)
    options = CompileOptions(arguments=("@flags",))
    compile_c("hello.bpf.c", options=options)
    assert not compile_c("hello.bpf.c", options=options).from_cache


@pytest.mark.parametrize("value", ["0", "no", "OFF"])
def test_the_cache_can_be_switched_off(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    write("hello.bpf.c", HELLO)
    monkeypatch.setenv("EBEE_CACHE", value)
    compile_c("hello.bpf.c")
    assert not compile_c("hello.bpf.c").from_cache
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "noise", "folder"])
def test_a_damaged_entry_is_compiled_anew_and_mended(write: Write, tmp_path: Path, damage: str) -> None:
    write("hello.bpf.c", HELLO)
    good = compile_c("hello.bpf.c").data
    (entry,) = _entries(tmp_path)
    content = entry.read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    entry.unlink()
    if damage == "folder":
        entry.mkdir()
    else:
        entry.write_bytes(
            {"empty": b"", "truncated": content[:99], "flipped": flipped}.get(damage, b"\0\xff" * 99)
        )
    again = compile_c("hello.bpf.c")
    assert not again.from_cache
    assert again.data == good
    assert compile_c("hello.bpf.c").from_cache == (damage != "folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_entry_that_another_user_wrote_is_not_trusted(write: Write, tmp_path: Path) -> None:
    write("hello.bpf.c", HELLO)
    compile_c("hello.bpf.c")
    os.chown(_entries(tmp_path)[0], 65534, 65534)
    assert not compile_c("hello.bpf.c").from_cache


@pytest.mark.parametrize("where", ["/proc/ebee", "/dev/null/ebee"])
def test_a_cache_that_cannot_be_written_is_no_error(
    write: Write, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    write("hello.bpf.c", HELLO)
    monkeypatch.setenv("EBEE_CACHE_DIR", where)
    assert compile_c("hello.bpf.c").data
    assert not compile_c("hello.bpf.c").from_cache


def test_nothing_half_written_stays(write: Write, tmp_path: Path) -> None:
    write("hello.bpf.c", HELLO)
    compile_c("hello.bpf.c")
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_processes_at_the_same_time_all_get_whole_objects(write: Write, tmp_path: Path) -> None:
    write("hello.bpf.c", HELLO)
    program = (
        "import sys; from ebee.clang import compile_c\n"
        "found = {compile_c('hello.bpf.c').data for _ in range(30)}\n"
        "assert len(found) == 1; sys.stdout.buffer.write(found.pop())"
    )
    running = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert outputs == {compile_c("hello.bpf.c").data}
    assert len(_entries(tmp_path)) == 1


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"EBEE_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a/objects"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/ebee/objects"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/c"}, "/c/.cache/ebee/objects"),
        ({"HOME": "/c"}, "/c/.cache/ebee/objects"),
    ],
)
def test_the_folder_follows_the_environment(environ: dict[str, str], folder: str) -> None:
    cache = open_cache(environ)
    assert cache is not None
    assert cache._folder == folder


def test_the_longest_unused_entries_go_first(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), max_size_bytes=5000)
    for number in range(5):
        cache.store(f"f{number}", Entry(bytes(1000), b"", ()))
        os.utime(tmp_path / f"f{number}", (number, number))
    assert cache.find("f0") is not None  # used now, so it is the youngest
    cache.prune()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["f0", "f3", "f4"]


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    old, young = tmp_path / "a.part", tmp_path / "b.part"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (0, 0))
    Cache(str(tmp_path)).prune()
    assert [path.name for path in tmp_path.iterdir()] == ["b.part"]


def test_a_file_too_large_to_hash_is_known_by_its_times(tmp_path: Path) -> None:
    large = tmp_path / "vmlinux.h"
    large.write_bytes(bytes(2 << 20))
    from ebee.clang.cache import fingerprint

    before = fingerprint(str(large))
    os.utime(large, (1, 1))
    assert before is not None
    assert fingerprint(str(large)) != before


@given(st.binary(), st.binary(), st.lists(st.tuples(st.from_regex(r"[^\n\0]+", fullmatch=True))))
def test_an_entry_is_read_as_it_was_written(data: bytes, messages: bytes, paths: list[tuple[str]]) -> None:
    from ebee.clang.cache import _decode, _encode

    entry = Entry(data, messages, tuple(Fact(path, "ab" * 20) for (path,) in paths))
    assert _decode(_encode(entry)) == entry


@given(st.binary(max_size=200))
def test_any_bytes_are_no_entry(content: bytes) -> None:
    from ebee.clang.cache import _MAGIC, _decode

    assert _decode(content) is None
    assert _decode(_MAGIC + content) is None


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_digests_tell_lists_apart(left: list[bytes], right: list[bytes]) -> None:
    assert (digest(left) == digest(right)) == (left == right)


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (b"ebee: a.c b.h \\\n  /c/d.h\n", ["a.c", "b.h", "/c/d.h"]),
        (b"ebee: with\\ space.c \\\n cost$$.h \\#1.h\n", ["with space.c", "cost$.h", "#1.h"]),
        (b"ebee: /a/./b.h\n", ["/a/b.h"]),
        (b"", []),
    ],
)
def test_a_make_rule_names_its_files(rule: bytes, files: list[str]) -> None:
    assert parse_rule(rule) == files
