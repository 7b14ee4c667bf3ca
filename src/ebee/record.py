"""Record: a class whose annotated attributes are its fields.

What the standard library's dataclasses do, for the little of it that is used here: importing them
brings `inspect` and its kin and costs as much as half of Python's own start.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform()
class Record:
    """A mutable record: made by place or by keyword, compared and shown by its fields.

    A field without a value in the class must be given; an empty list or dict there means a new one
    for each record.
    """

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = tuple(name for name, kind in cls.__annotations__.items() if "ClassVar" not in str(kind))
        cls._fields = (*cls._fields, *own)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        values = dict(zip(self._fields, args, strict=False))
        if len(args) > len(self._fields) or kwargs.keys() - set(self._fields[len(args) :]):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self._fields)}")
        values |= kwargs
        for name in self._fields:
            if name not in values:
                values[name] = _default(type(self), name)
        self.__dict__.update(values)

    def replaced(self, **changes: Any) -> Self:
        """Return another record with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable, as a list is

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__name__}({fields})"


def _default(cls: type, name: str) -> Any:
    try:
        value = getattr(cls, name)
    except AttributeError:
        raise TypeError(f"{cls.__name__}: no {name} is given") from None
    return value.copy() if isinstance(value, list | dict) else value
