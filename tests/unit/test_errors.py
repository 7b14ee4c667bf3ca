"""The tree of errors."""

from __future__ import annotations

import pytest

from ebee import errors
from ebee.kernel.protocol import NetDevice
from ebee.source import Diagnostic, Span


def test_every_error_is_drawn_in_the_tree() -> None:
    """The docstring of the module is the map of it; nobody is missing."""
    everything = vars(errors).values()
    classes = {item.__name__ for item in everything if isinstance(item, type) and issubclass(item, Exception)}
    assert errors.__doc__ is not None
    assert {name for name in classes if name not in errors.__doc__} == set()


def test_kernel_errors_are_oserrors_with_a_number_and_a_name() -> None:
    """`except OSError` catches them, and their errno can be compared."""
    error = errors.AttachError("attach x to xdp:eth0: it is busy", errno=16)
    assert isinstance(error, OSError)
    assert (error.errno, error.errno_name) == (16, "EBUSY")
    assert str(error) == "attach x to xdp:eth0: it is busy"


def test_format_and_spec_errors_are_value_errors() -> None:
    """Callers who know nothing of ebee catch them as what they are."""
    assert issubclass(errors.FormatError, ValueError)
    assert issubclass(errors.SpecError, ValueError)


def test_details_hold_the_hint_the_place_and_the_log() -> None:
    """One call gives all there is to say."""
    plain = errors.EbeeError("this went wrong", hint="do that")
    assert plain.details() == "this went wrong\nhint: do that"
    refusal = errors.VerifierError(
        "no",
        program="hello",
        log="0: R1 bad\n",
        errno=13,
        diagnostic=Diagnostic("unchecked", span=Span("a.c", 3)),
    )
    assert refusal.details() == "error: a.c:3: unchecked\n\nthe verifier's log:\n0: R1 bad"


@pytest.mark.parametrize("cls", [errors.EbeeError, errors.KernelError, errors.SpecError, errors.SourceError])
def test_str_is_the_one_line(cls: type[errors.EbeeError]) -> None:
    """Hints and logs never get into `str()`."""
    assert str(cls("one line", hint="a hint")) == "one line"


def test_a_notice_points_at_the_line_that_called_into_ebee() -> None:
    """Whoever reads the warning sees his own line, not one of ebee's."""
    from ebee.links.devices import warn_if_down

    with pytest.warns(errors.Notice) as caught:
        warn_if_down(NetDevice(1, "veth7", up=False))
    assert str(caught[0].message) == "veth7 is down: no packet will arrive until `ip link set veth7 up`"
    assert caught[0].filename == __file__
