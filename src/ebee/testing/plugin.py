"""The plugin for pytest: objects under test by a mark, and coverage of their C lines.

    import pytest

    pytestmark = pytest.mark.ebee("fw.bpf.c")

    def test_arp_is_dropped(bpf_object):
        assert bpf_object.run_packet(ARP).verdict == "XDP_DROP"

pytest imports this module by itself wherever ebee is installed, so it imports nothing of ebee until
a test asks for an object.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

    from ebee.testing.coverage import Coverage
    from ebee.testing.objects import BpfObject

_MARK = (
    'ebee(source, *, kernel="vm", programs=None, variables=None, engine=None, events=None): the object that '
    "the fixture bpf_object loads; a path beside the test's file, and vm, live or both"
)
_KERNELS = ("vm", "live", "both")
_WORDS = ("kernel", "programs", "variables", "engine", "events")
_COVERAGE = pytest.StashKey["Coverage"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what can be asked on the command line."""
    group = parser.getgroup("ebee", "eBPF programs under test")
    group.addoption(
        "--ebee-coverage",
        action="store_true",
        help="show which lines of C the programs under test reached, on the userspace machine",
    )
    group.addoption(
        "--ebee-coverage-lcov",
        metavar="PATH",
        help="write the same as an LCOV tracefile, which editors and genhtml read",
    )
    group.addoption(
        "--ebee-kernel",
        choices=_KERNELS,
        default="vm",
        help="where objects are loaded whose mark names no kernel; vm unless this is given",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test twice where its object is to be on both kernels."""
    if "bpf_object" in metafunc.fixturenames:
        mark = _mark_of(metafunc.definition)
        if mark is not None and _kernel_of(mark, metafunc.config) == "both":
            metafunc.parametrize("bpf_object", ["vm", "live"], indirect=True)


def _mark_of(node: pytest.Item) -> pytest.Mark | None:
    """Return a test's marks as one: the nearest with a source, changed by nearer ones without."""
    words: dict[str, Any] = {}
    source: tuple[Any, ...] = ()
    marked = False
    for mark in node.iter_markers("ebee"):
        marked = True
        words = {**mark.kwargs, **words}
        if mark.args:
            source = mark.args
            break
    return pytest.mark.ebee(*source, **words).mark if marked else None


def _kernel_of(mark: pytest.Mark, config: pytest.Config) -> Any:
    if mark.kwargs.get("events"):
        return "vm"
    return mark.kwargs.get("kernel") or config.getoption("--ebee-kernel")


@pytest.fixture
def bpf_object(request: pytest.FixtureRequest) -> Iterator[BpfObject]:
    """The object that the test's mark names, loaded anew for each test."""
    from contextlib import ExitStack

    mark = _checked(_mark_of(request.node), request.config)
    kernel = getattr(request, "param", None) or _kernel_of(mark, request.config)
    coverage = _coverage(request.config) if kernel == "vm" else None
    with ExitStack() as resources:
        found = _opened(mark, kernel, request, resources, watched=coverage is not None)
        if coverage is not None:
            resources.enter_context(coverage.watch(found.kernel))
        yield found


def _checked(mark: pytest.Mark | None, config: pytest.Config) -> pytest.Mark:
    """Return the mark, or fail the test for one that is not as it should be."""
    if mark is None:
        wrong = "the test has no mark that names its object"
    elif len(mark.args) != 1:
        wrong = f"{len(mark.args)} sources, expected one"
    elif unknown := [word for word in mark.kwargs if word not in _WORDS]:
        wrong = f"'{unknown[0]}' means nothing here, expected {', '.join(_WORDS)}"
    elif (kernel := _kernel_of(mark, config)) not in _KERNELS:
        wrong = f"kernel {kernel!r}, expected vm, live or both"
    elif mark.kwargs.get("events") and (clash := [w for w in ("kernel", "programs") if w in mark.kwargs]):
        wrong = f"events and {clash[0]}, expected one of them: recordings run all programs on the machine"
    else:
        return mark
    pytest.fail(f'bpf_object: {wrong}\nhint: mark it: @pytest.mark.ebee("prog.bpf.c")', pytrace=False)


def _opened(
    mark: pytest.Mark, kernel: str, request: pytest.FixtureRequest, resources: ExitStack, *, watched: bool
) -> BpfObject:
    """Load the object; skip the test where rights lack, fail it with the whole message otherwise."""
    from ebee.errors import EbeeError, NotPermittedError
    from ebee.testing.objects import open_object

    if kernel == "live" and sys.platform != "linux":
        pytest.skip("the live kernel: this system is not Linux")
    words = {word: mark.kwargs[word] for word in _WORDS[1:] if word in mark.kwargs}
    if words.get("events"):
        words["events"] = _recording(words["events"], request)
    if watched:
        words["engine"] = "interpreter"  # it alone tells which lines it reached
    try:
        return resources.enter_context(open_object(_source(mark.args[0], request), kernel=kernel, **words))
    except EbeeError as error:
        if kernel == "live" and isinstance(error, NotPermittedError):
            pytest.skip(f"the live kernel: {error}")
        pytest.fail(error.details(), pytrace=False)


def _source(source: Any, request: pytest.FixtureRequest) -> Any:
    """Return a source whose path begins where the test's file lies, or else where pytest was started."""
    if not isinstance(source, str | Path) or Path(source).is_absolute():
        return source
    beside = request.path.parent / source
    below = request.config.rootpath / source
    found = below if below.exists() and not beside.exists() else beside
    # Without the `..` of a path to the sources, which would be in every message.
    return os.path.normpath(found)


def _recording(events: str, request: pytest.FixtureRequest) -> str:
    return events if events.startswith("example:") else str(_source(events, request))


def _coverage(config: pytest.Config) -> Coverage | None:
    """Return what lines are counted in; None where nobody asked for it."""
    if not (config.getoption("--ebee-coverage") or config.getoption("--ebee-coverage-lcov")):
        return None
    from ebee.testing.coverage import Coverage

    return config.stash.setdefault(_COVERAGE, Coverage())


_OUTPUT = "ebee_coverage"
"""What a worker of pytest-xdist sends home under this name: lines by file, and whether they were reached."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the coverage of a worker of pytest-xdist home."""
    output, coverage = getattr(session.config, "workeroutput", None), _coverage(session.config)
    if output is not None and coverage is not None:
        output[_OUTPUT] = coverage.lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take in the coverage of a worker of pytest-xdist."""
    lines, coverage = getattr(node, "workeroutput", {}).get(_OUTPUT), _coverage(node.config)
    if lines and coverage is not None:
        coverage.merge(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the lines of C that were reached, where somebody asked for it."""
    coverage, path = _coverage(config), config.getoption("--ebee-coverage-lcov")
    if coverage is None:
        return
    terminalreporter.section("ebee coverage: lines of C")
    for line in coverage.table():
        terminalreporter.write_line(line)
    if path is not None:
        terminalreporter.write_line(_written(Path(path), coverage))


def _written(path: Path, coverage: Coverage) -> str:
    """Write the coverage for other tools; return what there is to say of it."""
    try:
        path.write_text(coverage.lcov())
    except OSError as error:
        return f"error: write {path}: {(error.strerror or str(error)).lower()}"
    return f"wrote {path}"


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say which entries differ where a map is compared with a dict, and which bytes of packets do."""
    if op != "==" or "ebee.testing.objects" not in sys.modules:
        return None
    from ebee.testing.compare import explain_comparison

    return explain_comparison(left, right)
