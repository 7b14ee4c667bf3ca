"""Keys of maps as Python values that can be keys of a dict, too."""

from __future__ import annotations

from contextlib import suppress

from ebee.btf.values import StructValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class StructKey(StructValue):
    """A struct that is a map's key: read like a StructValue, and hashable because it cannot be changed."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.values()))

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        raise TypeError("a map's key cannot be changed; make a dict of it: dict(key)")

    def __repr__(self) -> str:
        return f"StructKey({', '.join(f'{name}={value!r}' for name, value in self.items())})"


def as_key(value: Any) -> Any:
    """Return a decoded value as one that is hashable: structs and arrays within it likewise."""
    if isinstance(value, StructValue):
        made = StructKey((name, as_key(member)) for name, member in value.items())
        with suppress(AttributeError):  # only unions have them: the bytes that their members do not show
            object.__setattr__(made, "_data", object.__getattribute__(value, "_data"))
        return made
    return tuple(map(as_key, value)) if isinstance(value, list) else value
