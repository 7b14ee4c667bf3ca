"""ebee: the whole of eBPF for Python, in one pip install.

    import ebee

    with ebee.load("hello.bpf.c") as obj:
        link = obj.programs["hello"].attach("xdp:eth0")
        for line in ebee.trace_pipe():
            print(line.message, obj.variables["counter"].value)

Names are imported when they are first used, so that `import ebee` costs next to nothing.
"""

from __future__ import annotations

from ebee.version import __version__

# Type checkers take this name for true; the module that defines it costs as much as a bare start.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ebee.errors import EbeeError, Notice, VerifierError
    from ebee.kernel.simulated import SimulatedKernel
    from ebee.links import Link
    from ebee.loader import LoadedObject
    from ebee.maps import Map, Variable
    from ebee.programs import Program
    from ebee.sessions.c import load, open_spec, trace_pipe
    from ebee.sessions.kernels import choose_kernel
    from ebee.spec import AttachPoint, ObjectSpec

_HOMES = {
    "AttachPoint": "ebee.spec",
    "EbeeError": "ebee.errors",
    "Link": "ebee.links",
    "LoadedObject": "ebee.loader",
    "Map": "ebee.maps",
    "Notice": "ebee.errors",
    "ObjectSpec": "ebee.spec",
    "Program": "ebee.programs",
    "SimulatedKernel": "ebee.kernel.simulated",
    "Variable": "ebee.maps",
    "VerifierError": "ebee.errors",
    "choose_kernel": "ebee.sessions.kernels",
    "load": "ebee.sessions.c",
    "open_spec": "ebee.sessions.c",
    "trace_pipe": "ebee.sessions.c",
}

__all__ = [
    "AttachPoint",
    "EbeeError",
    "Link",
    "LoadedObject",
    "Map",
    "Notice",
    "ObjectSpec",
    "Program",
    "SimulatedKernel",
    "Variable",
    "VerifierError",
    "__version__",
    "choose_kernel",
    "load",
    "open_spec",
    "trace_pipe",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ebee' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
