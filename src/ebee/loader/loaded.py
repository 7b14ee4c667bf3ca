"""LoadedObject: an object's programs, maps and variables in the kernel."""

from __future__ import annotations

from contextlib import ExitStack

from ebee.kernel.protocol import Kernel
from ebee.links import Link
from ebee.maps import Map, Variable
from ebee.programs import Program
from ebee.spec import ObjectSpec


class LoadedObject:
    """An object in the kernel; closing it gives back all that it holds.

        with ebee.load("hello.bpf.c") as obj:
            obj.programs["hello"].attach("xdp:eth0")
            print(obj.variables["counter"].value)

    Links made through `attach` belong to it and are closed first; those made by a program's own
    `attach` are their maker's, but go with the process all the same.

    Attributes:
        spec: what it was loaded from.
        kernel: where it is: `kernel.label` is `live` or `vm`.
        programs, maps, variables: by the names in the C file.
    """

    def __init__(
        self,
        spec: ObjectSpec,
        kernel: Kernel,
        programs: dict[str, Program],
        maps: dict[str, Map],
        resources: ExitStack,
    ) -> None:
        self.spec = spec
        self.kernel = kernel
        self.programs = programs
        self.maps = maps
        self.variables = {
            name: Variable(maps[item.map.name], item)
            for name, item in spec.variables.items()
            if item.map.name in maps
        }
        self._resources = resources
        self._links: list[Link] = []

    def __repr__(self) -> str:
        return f"<LoadedObject {self.spec.name}: {len(self.programs)} programs, {len(self.maps)} maps>"

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that belong to it, in the order they were made."""
        return tuple(self._links)

    def attach(self) -> list[Link]:
        """Attach every program whose section says where it belongs, and return the links.

        Raises:
            AttachError, NotPermittedError, NotSupportedError: one could not be attached; those
                before it are detached again.
        """
        with ExitStack() as undo:
            made = [
                undo.enter_context(program.attach())
                for program in self.programs.values()
                if program.auto_attach is not None
            ]
            self._resources.push(undo.pop_all())
        self._links += made
        return made

    def close(self) -> None:
        """Detach what belongs to it and give back every descriptor. Closing twice does nothing."""
        self._links.clear()
        self._resources.close()

    def __enter__(self) -> LoadedObject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
