"""Types -> BTF bytes, and what is filled in for the kernel."""

from __future__ import annotations

import pytest

from ebee.btf import Btf, Kind, Type, decode
from ebee.btf.encode import complete_datasecs, encode
from ebee.btf.types import FuncLinkage, Parameter, SectionVariable, VarLinkage
from ebee.errors import FormatError, SpecError
from tests.unit.btf.builder import Builder


def test_strings_that_were_there_keep_their_places() -> None:
    strings = b"\0line of C\0u32\0"
    btf = decode(encode([Type(Kind.INT, "u32", 4, bit_size=32), Type(Kind.FWD, "new")], strings=strings))
    assert btf.strings == strings + b"new\0"
    assert [found.name for _, found in btf] == ["u32", "new"]


def test_big_endian_types_come_back() -> None:
    types = Builder()
    types.enum("e", 8, wide=True, A=-5, B=1 << 40)
    btf = types.btf("big")
    assert (btf.byte_order, [found for _, found in btf]) == ("big", types.types)


@pytest.mark.parametrize(
    "wrong", [Type(Kind.INT, "i", 1 << 32), Type(Kind.FUNC, "i", linkage=1 << 16), Type(Kind.PTR, type_id=-1)]
)
def test_a_number_too_large_for_its_field_is_refused(wrong: Type) -> None:
    with pytest.raises(SpecError, match=r"^BTF: type 1 \((i|ptr)\) has numbers too large for the format$"):
        encode([wrong])


def section(name: str, linkage: int, *names: str, size: int = 0) -> Builder:
    """One section of u32 variables as clang writes it: no size, no offsets."""
    types = Builder()
    u32 = types.integer("u32", 4)
    ids = [types.add(Type(Kind.VAR, each, type_id=u32, linkage=linkage)) for each in names]
    places = tuple(SectionVariable(type_id, 0, 4) for type_id in ids)
    types.add(Type(Kind.DATASEC, name, size, variables=places))
    return types


def completed(types: Builder, sizes: dict[str, int], offsets: dict[tuple[str, str], int]) -> Btf:
    return decode(complete_datasecs(types.btf(), sizes, offsets))


def test_sizes_and_offsets_come_from_the_elf_file_in_order() -> None:
    types = section(".bss", VarLinkage.GLOBAL_ALLOCATED, "late", "early")
    btf = completed(types, {".bss": 8}, {(".bss", "late"): 4, (".bss", "early"): 0})
    found = btf.type(4)
    assert found.size_bytes == 8
    assert found.variables == (SectionVariable(3, 0, 4), SectionVariable(2, 4, 4))


def test_a_global_variable_without_a_symbol_is_an_error() -> None:
    types = section(".bss", VarLinkage.GLOBAL_ALLOCATED, "x")
    with pytest.raises(FormatError, match=r"^BTF: variable x of section \.bss has no ELF symbol$"):
        completed(types, {".bss": 8}, {})


def test_a_section_that_the_elf_file_has_not_is_an_error() -> None:
    types = section(".bss", VarLinkage.GLOBAL_ALLOCATED, "x")
    with pytest.raises(
        FormatError, match=r"^BTF: section \.bss has no size, expected one of the ELF file's$"
    ):
        completed(types, {}, {})


def test_kconfig_externs_lie_in_a_row_and_count_as_allocated() -> None:
    types = section(".kconfig", VarLinkage.GLOBAL_EXTERN, "A", "B")
    btf = completed(types, {}, {})
    assert btf.type(4).size_bytes == 8
    assert [v.offset_bytes for v in btf.type(4).variables] == [0, 4]
    assert btf.type(2).linkage == VarLinkage.GLOBAL_ALLOCATED


def test_ksyms_become_ints_and_functions_a_dummy_variable() -> None:
    types = Builder()
    variable = types.add(Type(Kind.VAR, "runqueues", type_id=0, linkage=VarLinkage.GLOBAL_EXTERN))
    proto = types.add(Type(Kind.FUNC_PROTO, parameters=(Parameter("", 4), Parameter("named", 4))))
    function = types.add(Type(Kind.FUNC, "bpf_kfunc", type_id=proto, linkage=FuncLinkage.EXTERN))
    types.pointer()
    places = SectionVariable(variable, 0, 0), SectionVariable(function, 0, 0)
    types.add(Type(Kind.DATASEC, ".ksyms", 0, variables=places))
    btf = completed(types, {}, {})
    int_id, dummy = 6, 7
    assert btf.type(5).variables == (SectionVariable(variable, 0, 4), SectionVariable(dummy, 4, 4))
    assert (btf.type(int_id).name, btf.type(dummy).name) == ("int", "dummy_ksym")
    assert btf.type(variable).type_id == int_id
    assert btf.type(function).linkage == FuncLinkage.GLOBAL
    assert [parameter.name for parameter in btf.type(proto).parameters] == ["dummy_ksym", "named"]


def test_names_that_old_kernels_refuse_are_mended() -> None:
    types = section("?.struct_ops/x", VarLinkage.STATIC, "ops")
    assert completed(types, {"?.struct_ops/x": 4}, {}).type(3).name == "_.struct_ops_x"
