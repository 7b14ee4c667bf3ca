"""`ebee prog load OBJECT PATH`, `ebee prog loadall OBJECT DIR`: all is pinned, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ebee.cli.call import Answer, Call
from ebee.cli.selectors import Selector, take_selector
from ebee.cli.words import Words
from ebee.errors import KernelError, SpecError, notify
from ebee.kernel.protocol import Kernel, ObjectKind
from ebee.loader import LoadedObject, load
from ebee.maps import Map
from ebee.pins import pin
from ebee.pins.pins import ensure_bpffs
from ebee.programs import Program
from ebee.record import NamedTuple
from ebee.sessions.c import open_spec
from ebee.spec import ObjectSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORDS = ("type", "map", "pinmaps", "autoattach")


class _Wish(NamedTuple):
    """What the words after OBJECT and PATH ask for.

    Attributes:
        type: a section's name, which says the type of all programs.
        maps: maps that are there already, by the name or the index of those they stand for.
        pin_maps: the folder in which maps are to be pinned.
        auto_attach: programs whose section says where are attached, and their links pinned.
    """

    type: str | None = None
    maps: tuple[tuple[str | int, Selector], ...] = ()
    pin_maps: str | None = None
    auto_attach: bool = False


class _Pinned:
    """Names in bpffs and folders that one command made; all are taken back when it fails."""

    def __init__(self, kernel: Kernel) -> None:
        self.paths: list[str] = []
        self._folders: list[str] = []
        self._kernel = kernel

    def pin(self, fd: int, path: str) -> None:
        pin(self._kernel, fd, path)
        self.paths.append(path)

    def folder(self, path: str) -> None:
        """Make a folder below an existing one, unless it is there."""
        path = os.path.abspath(path)
        ensure_bpffs(self._kernel, os.path.dirname(path))
        if os.path.isdir(path):
            return
        try:
            os.mkdir(path)
        except OSError as error:
            raise KernelError(
                f"make folder {path}: {(error.strerror or str(error)).lower()}",
                errno=error.errno or 0,
                hint="programs are pinned below bpffs, such as /sys/fs/bpf/NAME",
            ) from None
        self._folders.append(path)

    def take_back(self) -> None:
        for path in reversed(self.paths):
            os.unlink(path)
        for path in reversed(self._folders):
            os.rmdir(path)


def main(call: Call) -> Answer:
    words = call.words
    source, path = words.take("an object or a C file"), words.take("a path to pin at")
    wish = _wish(words)
    spec = _spec(source, wish)
    kernel = call.kernel()
    with ExitStack() as resources:
        maps = _existing_maps(spec, wish, kernel, resources, words)
        loaded = resources.enter_context(load(spec, kernel, maps=maps))
        programs = _chosen(loaded, source, everything=call.command[-1] == "loadall")
        places = _places(programs, path, everything=call.command[-1] == "loadall")
        with _all_or_nothing(kernel) as pinned:
            if call.command[-1] == "loadall":
                pinned.folder(path)
            _pin_programs(programs, places, pinned, wish.auto_attach)
            shown_maps = _pin_maps(loaded, wish.pin_maps, pinned)
        return _answer(programs, places, shown_maps)


def _wish(words: Words) -> _Wish:
    wish = _Wish()
    while words:
        word = words.choice(_WORDS)
        if word == "type":
            wish = wish._replace(type=words.take("a section's name, such as xdp"))
        elif word == "map":
            wish = wish._replace(maps=(*wish.maps, _stand_in(words)))
        elif word == "pinmaps":
            wish = wish._replace(pin_maps=words.take("a folder"))
        else:
            wish = wish._replace(auto_attach=True)
    return wish


def _stand_in(words: Words) -> tuple[str | int, Selector]:
    which: str | int
    if words.choice(("idx", "name")) == "idx":
        which = words.number("a map's index")
    else:
        which = words.take("a map's name")
    return which, take_selector(words, ObjectKind.MAP)


def _spec(source: str, wish: _Wish) -> ObjectSpec:
    spec = open_spec(source)
    if source.endswith(".c"):
        notify(f"compiled {source} first; `ebee compile {source}` keeps the object")
    if wish.type is not None:
        _set_type(spec, wish.type)
    if not spec.programs:
        raise SpecError(f"load {source}: it holds no program", hint='a program has SEC("…") in front of it')
    return spec


def _set_type(spec: ObjectSpec, section: str) -> None:
    from ebee.objfile.sections import known_sections, section_meaning
    from ebee.text import did_you_mean

    meaning = section_meaning(section)
    if meaning is None:
        raise SpecError(
            f"load: program type '{section}' is not known",
            hint=did_you_mean(section, known_sections()) or "types are sections' names, such as xdp",
        )
    for program in spec.programs.values():
        program.type = meaning.type
        program.expected_attach_type = meaning.expected_attach_type
        program.attach_type_optional = meaning.attach_type_optional
        program.flags = meaning.flags


def _existing_maps(
    spec: ObjectSpec, wish: _Wish, kernel: Kernel, resources: ExitStack, words: Words
) -> dict[str, Map]:
    found = {}
    for which, selector in wish.maps:
        name = _map_name(spec, which)
        # Owned twice is closed twice: the Map borrows a descriptor that the stack gives back.
        fd = selector.open_one(kernel, resources, words)
        found[name] = Map(kernel, fd, spec.maps[name], spec.btf)
    return found


def _map_name(spec: ObjectSpec, which: str | int) -> str:
    from ebee.text import did_you_mean

    names = list(spec.maps)
    if isinstance(which, int):
        if which < len(names):
            return names[which]
        raise SpecError(f"load {spec.name}: map index {which}, expected less than {len(names)}")
    if which not in spec.maps:
        raise SpecError(
            f"load {spec.name}: there is no map '{which}'",
            hint=did_you_mean(which, names) or f"it has {', '.join(names) or 'none'}",
        )
    return which


def _chosen(loaded: LoadedObject, source: str, *, everything: bool) -> list[Program]:
    programs = list(loaded.programs.values())
    if not programs:
        raise SpecError(
            f"load {source}: all its programs are marked not to be loaded",
            hint="their sections begin with `?`",
        )
    return programs if everything else programs[:1]


def _places(programs: list[Program], path: str, *, everything: bool) -> list[str]:
    """Return where each program is pinned; names with a dot are not taken by bpffs."""
    if not everything:
        return [os.path.abspath(path)]
    return [os.path.join(os.path.abspath(path), _file_name(program.name)) for program in programs]


def _file_name(name: str) -> str:
    return name.replace(".", "_").replace("/", "_")


@contextmanager
def _all_or_nothing(kernel: Kernel) -> Iterator[_Pinned]:
    pinned = _Pinned(kernel)
    try:
        yield pinned
    except BaseException:
        pinned.take_back()
        raise


def _pin_programs(programs: list[Program], places: list[str], pinned: _Pinned, auto_attach: bool) -> None:
    for program, place in zip(programs, places, strict=True):
        if not auto_attach:
            pinned.pin(program.fd, place)
        elif program.auto_attach is None:
            notify(f"{program.name}: its section does not say where to attach it, so it is only pinned")
            pinned.pin(program.fd, place)
        else:
            with program.attach() as link:
                pinned.pin(link.fd, place)


def _pin_maps(loaded: LoadedObject, folder: str | None, pinned: _Pinned) -> list[dict[str, Any]]:
    if folder is None:
        return []
    pinned.folder(folder)
    shown = []
    for item in loaded.maps.values():
        info = item.info()
        path = os.path.join(os.path.abspath(folder), _file_name(info.name or item.spec.name))
        pinned.pin(item.fd, path)
        shown.append({"id": info.id, "name": info.name, "pinned": path})
    return shown


def _answer(programs: list[Program], places: list[str], maps: list[dict[str, Any]]) -> Answer:
    shown = [
        {"id": program.id, "name": program.name, "pinned": place}
        for program, place in zip(programs, places, strict=True)
    ]
    lines = [f"{item['name']}: id {item['id']}, pinned at {item['pinned']}" for item in (*shown, *maps)]
    return Answer({"programs": shown} | ({"maps": maps} if maps else {}), lambda: lines)
