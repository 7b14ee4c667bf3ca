"""Values of `extern … __kconfig` come from the kernel, by their type."""

from __future__ import annotations

import pytest

from ebee.errors import RelocationError
from ebee.host.kernel_facts import KernelFacts
from ebee.loader import load
from ebee.loader.kconfig import kernel_version
from ebee.spec import ObjectSpec
from tests.support.kernel import FakeKernel
from tests.support.objects import spec_of

_CONFIG = {
    "CONFIG_A": "y",
    "CONFIG_M": "m",
    "CONFIG_HZ": "250",
    "CONFIG_HEX": "0x10",
    "CONFIG_NAME": "(none)",
}


@pytest.fixture(autouse=True)
def _facts(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = KernelFacts("6.1.55", "#1 SMP", "x86_64", _CONFIG, "/boot/config-6.1.55")
    monkeypatch.setattr(FakeKernel, "facts", lambda _: facts)


def _spec(declarations: str, use: str) -> ObjectSpec:
    return spec_of(f'{declarations}\nSEC("socket") int it(void *ctx) {{ return {use}; }}')


def _contents(spec: ObjectSpec) -> bytes:
    kernel = FakeKernel()
    with load(spec, kernel):
        return next((v for name, _, v in kernel.asked("map_update") if name.endswith(".kconfig")), b"")


@pytest.mark.parametrize(
    ("declaration", "name", "expected"),
    [
        ("extern _Bool CONFIG_A __kconfig;", "CONFIG_A", b"\1"),
        ("extern enum libbpf_tristate CONFIG_M __kconfig;", "CONFIG_M", b"\2\0\0\0"),
        ("extern char CONFIG_M __kconfig;", "CONFIG_M", b"m"),
        ("extern int CONFIG_HZ __kconfig;", "CONFIG_HZ", b"\xfa\0\0\0"),
        ("extern unsigned long CONFIG_HEX __kconfig;", "CONFIG_HEX", b"\x10" + bytes(7)),
        ("extern char CONFIG_NAME[8] __kconfig;", "CONFIG_NAME[0]", b"(none)\0\0"),
        ("extern char CONFIG_NAME[4] __kconfig;", "CONFIG_NAME[0]", b"(no\0"),
        ("extern int LINUX_KERNEL_VERSION __kconfig;", "LINUX_KERNEL_VERSION", bytes((55, 1, 6, 0))),
        ("extern int CONFIG_NOT __kconfig __weak;", "CONFIG_NOT", b""),
    ],
)
def test_each_type_takes_its_kind_of_value(declaration: str, name: str, expected: bytes) -> None:
    """As libbpf has it; weak ones that are missing stay zero, and zeros need no writing."""
    assert _contents(_spec(declaration, name)) == expected


def test_a_missing_option_is_named_with_the_nearest() -> None:
    """And where it was looked for."""
    with pytest.raises(RelocationError) as caught:
        load(_spec("extern int CONFIG_HZZ __kconfig;", "CONFIG_HZZ"), FakeKernel())
    assert str(caught.value) == (
        "extern CONFIG_HZZ: this kernel's configuration does not have it (/boot/config-6.1.55)"
    )
    assert caught.value.hint == "did you mean 'CONFIG_HZ'?"


def test_a_value_of_another_type_is_told() -> None:
    """Rather than cut."""
    with pytest.raises(RelocationError) as caught:
        load(_spec("extern _Bool CONFIG_HZ __kconfig;", "CONFIG_HZ"), FakeKernel())
    assert str(caught.value) == (
        "extern CONFIG_HZ: this kernel has the value '250', expected one for a variable of 1 bytes"
    )


def test_without_a_configuration_it_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers often have none."""
    monkeypatch.setattr(FakeKernel, "facts", lambda _: KernelFacts("6.1.55", "", "x86_64"))
    with pytest.raises(RelocationError) as caught:
        load(_spec("extern int CONFIG_HZ __kconfig;", "CONFIG_HZ"), FakeKernel())
    assert str(caught.value) == "extern CONFIG_HZ: this kernel's configuration was not found"
    assert caught.value.hint == (
        "it is looked for at /proc/config.gz, /boot/config-6.1.55, /lib/modules/6.1.55/config; "
        "or declare it __weak, or set it before loading"
    )


def test_a_value_that_was_set_before_loading_stays() -> None:
    """For trying out what a program does elsewhere."""
    spec = _spec("extern int CONFIG_HZ __kconfig; extern int CONFIG_X __kconfig;", "CONFIG_HZ + CONFIG_X")
    spec.variables["CONFIG_X"].value = 7
    assert _contents(spec) in (b"\xfa\0\0\0\7\0\0\0", b"\7\0\0\0\xfa\0\0\0")


@pytest.mark.parametrize(
    ("release", "version", "expected"),
    [
        ("6.18.44-fc", "#1 SMP", 6 << 16 | 18 << 8 | 44),
        ("6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29)", 6 << 16 | 1 << 8 | 55),
        ("5.10.300", "", 5 << 16 | 10 << 8 | 255),
        ("7.0", "", 7 << 16),
        ("strange", "", 0),
    ],
)
def test_versions_are_numbers_as_kernel_version_writes_them(
    release: str, version: str, expected: int
) -> None:
    """The third part has eight bits."""
    assert kernel_version(KernelFacts(release, version, "x86_64")) == expected
