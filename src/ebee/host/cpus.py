"""How many CPUs there can be: per-CPU maps have a value for each."""

from __future__ import annotations

from functools import cache

from ebee.errors import FormatError, KernelError

POSSIBLE = "/sys/devices/system/cpu/possible"


def parse_ranges(text: str) -> list[int]:
    """Return the numbers of a list of ranges such as `0-3,8`.

    Raises:
        FormatError: it is no such list.
    """
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        try:
            numbers += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise FormatError(f"list of CPUs: '{text.strip()}', expected ranges such as 0-3,8") from None
    return numbers


@cache
def possible_cpu_count() -> int:
    """Return how many values a per-CPU map has under each key: the highest possible CPU's number and one.

    More than are online: the kernel makes room for CPUs that may be plugged in later.

    Raises:
        KernelError: sysfs is not mounted.
    """
    try:
        with open(POSSIBLE) as file:
            return max(parse_ranges(file.read())) + 1
    except OSError as error:
        raise KernelError(
            f"count CPUs: {POSSIBLE} cannot be read ({error.strerror})",
            errno=error.errno or 0,
            hint="mount sysfs: mount -t sysfs sysfs /sys",
        ) from None
