"""Facts about the running kernel that it tells without being tried: release, configuration, JIT."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache

from ebee.record import NamedTuple

CONFIG_PLACES = ("/proc/config.gz", "/boot/config-{release}", "/lib/modules/{release}/config")


class KernelFacts(NamedTuple):
    """What uname(2) tells, and what the kernel was configured with.

    Attributes:
        config: options by name, `y`, `m` or a value; options that are off are left out. None where
            no configuration was found.
        config_path: where it was found.
    """

    release: str
    version: str
    machine: str
    config: dict[str, str] | None = None
    config_path: str = ""


@cache
def kernel_facts() -> KernelFacts:
    """Return the facts of the running kernel."""
    system = os.uname()
    path, config = _find_config(system.release)
    return KernelFacts(system.release, system.version, system.machine, config, path)


def parse_config(lines: Iterable[str]) -> dict[str, str]:
    """Return the options of a kernel's configuration, quotes taken off; those that are off are left out."""
    config = {}
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and name.startswith("CONFIG_"):
            config[name] = value.strip('"')
    return config


def _find_config(release: str) -> tuple[str, dict[str, str] | None]:
    for place in CONFIG_PLACES:
        path = place.format(release=release)
        try:
            if path.endswith(".gz"):
                import gzip

                with gzip.open(path, "rt") as lines:
                    return path, parse_config(lines)
            with open(path) as lines:
                return path, parse_config(lines)
        except OSError:
            continue
    return "", None
