"""Names out of one line of C."""

from __future__ import annotations

import pytest

from ebee.loader.verifier import c_line


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("__u64 *value = bpf_map_lookup_elem(&m, &k);", "value"),
        ("flow->seen = bpf_map_lookup_elem(&m, &k);", "flow->seen"),
        ("if (!(value = bpf_map_lookup_elem(&m, &k)))", "value"),
        ("return bpf_map_lookup_elem(&m, &k);", ""),
        ("if (a == bpf_map_lookup_elem(&m, &k))", ""),
    ],
)
def test_the_variable_assigned(text: str, name: str) -> None:
    assert c_line.assigned(text, of="bpf_map_lookup_elem") == name


def test_an_assignment_of_something_else_is_not_taken() -> None:
    assert c_line.assigned("key = 1; bpf_map_lookup_elem(&m, &key);".partition(";")[0], of="bpf_map") == ""


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("f(a, &b)", ["a", "&b"]),
        ("x = f(g(1, 2), (char *)p, s[i, j]) + 1;", ["g(1, 2)", "(char *)p", "s[i, j]"]),
        ("f(a,", []),
        ("f(f(a), b)", []),
        ("g(a)", []),
    ],
)
def test_the_arguments_of_a_call_that_stands_whole_in_the_line(text: str, arguments: list[str]) -> None:
    assert c_line.arguments(text, "f") == arguments


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("*value += 1;", "value"),
        ("seen->packets++;", "seen"),
        ("return *(__u8 *)data ? 1 : 2;", "data"),
        ("return *number * 2;", "number"),
        ("*second += *first;", ""),
        ("a->x = b->y;", ""),
        ("return x * y;", ""),
    ],
)
def test_the_one_pointer_dereferenced(text: str, name: str) -> None:
    assert c_line.dereferenced(text) == name


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("return row->cells[index];", "index"),
        ("t[0] = t[skb->len]", "skb->len"),
        ("a[i] = b[j]", ""),
        ("a[3]", ""),
    ],
)
def test_the_one_index(text: str, inner: str) -> None:
    assert c_line.index(text) == inner
