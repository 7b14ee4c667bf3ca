"""Records: classes whose annotated attributes are their fields.

What the standard library's typing.NamedTuple and dataclasses do, for what is used of them here. Each
command imports some sixty records; the standard library compiles a constructor for every one, and
its `typing` and `dataclasses` bring `re`, `inspect` and their kin: together more than Python's own start.

Type checkers see typing.NamedTuple itself. Annotations are read by name alone, so modules with records
postpone them (`from __future__ import annotations`).
"""

from __future__ import annotations

from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, ClassVar, Self, dataclass_transform
    from typing import NamedTuple as NamedTuple
else:

    def dataclass_transform():
        """Tell nobody at run time."""
        return lambda cls: cls

    class _Rows(type):
        """Makes the classes of NamedTuple: annotated attributes become places in a tuple."""

        def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            namespace.setdefault("__slots__", ())
            if bases != (tuple,) and not hasattr(bases[0], "_fields"):
                fields = tuple(namespace.get("__annotations__", ()))
                if not fields:
                    raise TypeError(f"{name}: no annotated attributes, or annotations that are not postponed")
                namespace["_fields"] = namespace["__match_args__"] = fields
                namespace["_field_defaults"] = {f: namespace[f] for f in fields if f in namespace}
                namespace.update(zip(fields, map(_place, range(len(fields))), strict=True))
            return super().__new__(mcs, name, bases, namespace)

    def _place(index: int) -> property:
        try:
            return _PLACES[index]
        except IndexError:
            _PLACES.append(property(itemgetter(len(_PLACES))))
            return _place(index)

    # The property of each place; every class shares them.
    _PLACES: list[property] = []

    class NamedTuple(tuple, metaclass=_Rows):
        """A tuple with named fields: typing.NamedTuple, made without compiling a constructor."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            if kwargs or len(args) != len(cls._fields):
                args = _filled(cls, args, kwargs)
            return tuple.__new__(cls, args)

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Self:
            return cls(*values)

        def _replace(self, **changes: Any) -> Self:
            values = tuple(map(changes.pop, self._fields, self))
            if changes:
                raise TypeError(f"{type(self).__name__} has no {', '.join(changes)}")
            return type(self)(*values)

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            fields = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({fields})"


def _filled(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the fields' values by order: what is given, and the defaults of the rest."""
    rest = cls._fields[len(args) :]
    defaults = cls._field_defaults
    if not kwargs and 0 < len(rest) <= len(defaults):
        return args + tuple(defaults.values())[-len(rest) :]
    missing = [name for name in rest if name not in kwargs and name not in defaults]
    values = (*args, *(kwargs[name] if name in kwargs else defaults.get(name) for name in rest))
    if missing or len(values) > len(cls._fields) or not kwargs.keys() <= set(rest):
        said = f"no {missing[0]} is given" if missing else f"takes {', '.join(cls._fields)}"
        raise TypeError(f"{cls.__name__}: {said}")
    return values


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
