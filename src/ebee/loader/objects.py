"""load(spec): types, maps, programs, in this order; whatever fails takes back all before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from ebee.abi.bpf import ProgType
from ebee.errors import SpecError, notify
from ebee.kernel.protocol import Kernel
from ebee.loader.code import ObjectContext, PreparedFunctions, load_program
from ebee.loader.loaded import LoadedObject
from ebee.maps import Map, create_map
from ebee.objfile.externs import KCONFIG
from ebee.objfile.sections import known_sections
from ebee.programs import Program
from ebee.spec import MapSpec, ObjectSpec, ProgramSpec
from ebee.text import did_you_mean

_KEY = bytes(4)


def load(
    spec: ObjectSpec,
    kernel: Kernel,
    *,
    programs: Iterable[str] | None = None,
    maps: Mapping[str, Map] | None = None,
) -> LoadedObject:
    """Load an object into a kernel.

    Args:
        spec: what to load; not changed.
        kernel: where to.
        programs: names of those to load; by default all but those whose section begins with `?`.
        maps: maps that are there already, by the names of those whose place they take; they stay
            their owner's.

    Raises:
        SpecError: the object asks for what cannot be.
        RelocationError: it needs what this kernel has not.
        VerifierError: the verifier refused a program.
        MapError, NotPermittedError, NotSupportedError: the kernel refused.

    Nothing stays in the kernel when an error is raised.
    """
    with ExitStack() as resources:
        _check_byte_order(spec)
        wanted = _wanted(spec, programs)
        btf_fd = _load_types(spec, kernel, resources)
        all_maps = _create_maps(spec, kernel, btf_fd, resources, maps or {})
        functions = PreparedFunctions(spec, kernel.types)
        context = ObjectContext(spec, kernel, all_maps, btf_fd, functions)
        loaded: dict[str, Program] = {}
        for item in wanted:
            loaded[item.name] = load_program(item, context)
            resources.callback(loaded[item.name].close)
        _fill_slots(spec, all_maps, loaded)
        return LoadedObject(spec, kernel, loaded, all_maps, resources.pop_all())


def _check_byte_order(spec: ObjectSpec) -> None:
    import sys

    if spec.byte_order != sys.byteorder:
        raise SpecError(
            f"object {spec.name}: compiled for {spec.byte_order}-endian machines, "
            f"and this one is {sys.byteorder}-endian",
            hint="compile it here: ebee compile, or clang -target bpf",
        )


def _wanted(spec: ObjectSpec, names: Iterable[str] | None) -> list[ProgramSpec]:
    """Return the programs to load, those included that a program array begins with."""
    if names is None:
        chosen = {name for name, item in spec.programs.items() if item.autoload}
    else:
        chosen = {names} if isinstance(names, str) else set(names)
        for name in sorted(chosen - set(spec.programs)):
            raise SpecError(
                f"object {spec.name}: there is no program '{name}'",
                hint=did_you_mean(name, spec.programs) or f"it has {', '.join(spec.programs) or 'none'}",
            )
    for home in spec.maps.values():
        chosen |= {name for name in home.initial.values() if name in spec.programs}
    for name, item in spec.programs.items():
        if name in chosen and item.type is ProgType.UNSPEC:
            raise _unknown_section(item)
    return [item for name, item in spec.programs.items() if name in chosen]


def _unknown_section(program: ProgramSpec) -> SpecError:
    known = known_sections()
    name = program.section.removeprefix("?")
    # Names such as `xdp_drop` and `socket/first` were good before libbpf 1.0.
    begin = max((word for word in known if name.startswith(word)), key=len, default=None)
    hint = f"did you mean '{begin}'?" if begin else did_you_mean(name, known)
    return SpecError(
        f"program {program.name}: section '{program.section}' is not known",
        hint=hint or 'sections are such as SEC("xdp"), SEC("tracepoint/CATEGORY/NAME"), SEC("tp_btf/NAME")',
    )


def _load_types(spec: ObjectSpec, kernel: Kernel, resources: ExitStack) -> int:
    """Load the object's BTF; 0 where it has none, or the kernel does not take it, which is said."""
    if not spec.btf_data:
        return 0
    answer = kernel.btf_load(spec.btf_data)
    if answer.fd >= 0:
        resources.callback(kernel.close, answer.fd)
        return answer.fd
    if answer.errno in _NO_RIGHTS:
        # The same will be said of the first map or program, with its reason.
        return 0
    answer = kernel.btf_load(spec.btf_data, log_size_bytes=1 << 16)
    if answer.fd >= 0:  # the kernel was short of memory for a moment
        resources.callback(kernel.close, answer.fd)
        return answer.fd
    complaint = next((line for line in reversed(answer.log.splitlines()) if line.strip()), "no reason given")
    notify(f"object {spec.name}: this kernel does not take its types, so listings show none ({complaint})")
    return 0


_NO_RIGHTS = (1, 13)
"""EPERM and EACCES."""


def _create_maps(
    spec: ObjectSpec, kernel: Kernel, btf_fd: int, resources: ExitStack, existing: Mapping[str, Map]
) -> dict[str, Map]:
    maps: dict[str, Map] = {}
    for item in spec.maps.values():
        if item.name in existing:
            from ebee.loader.pinned import check_same

            check_same(item, kernel, existing[item.name].info(), "the one to be used instead")
            maps[item.name] = existing[item.name]
            continue
        maps[item.name] = _create(item, spec, kernel, btf_fd)
        resources.callback(maps[item.name].close)
        if item.contents is not None:
            _fill_data(kernel, maps[item.name], _contents(item, spec, kernel))
    for item in spec.maps.values():
        for slot, name in item.initial.items():
            if name in maps:
                maps[item.name].update_elem(_slot_key(slot), _as_value(maps[name].fd))
    return maps


def _create(item: MapSpec, spec: ObjectSpec, kernel: Kernel, btf_fd: int) -> Map:
    if item.pinning:
        from ebee.loader.pinned import shared_map

        return shared_map(item, spec, kernel, lambda: _make(item, spec, kernel, btf_fd))
    return _make(item, spec, kernel, btf_fd)


def _make(item: MapSpec, spec: ObjectSpec, kernel: Kernel, btf_fd: int) -> Map:
    if item.inner is None:
        return create_map(kernel, item, btf=spec.btf, btf_fd=btf_fd)
    # The kernel wants a map like those to come; it may go once the outer one is made.
    with create_map(kernel, item.inner, btf=spec.btf, btf_fd=btf_fd) as pattern:
        return create_map(kernel, item, btf=spec.btf, btf_fd=btf_fd, inner_map_fd=pattern.fd)


def _contents(item: MapSpec, spec: ObjectSpec, kernel: Kernel) -> bytes:
    """Return what a data section begins with; values that only the running kernel tells included."""
    asked = [variable for variable in spec.variables.values() if variable.from_kernel]
    if item.name != KCONFIG or not asked:
        return item.contents or b""
    from ebee.loader.kconfig import kconfig_contents

    return kconfig_contents(item, asked, kernel)


def _fill_data(kernel: Kernel, home: Map, contents: bytes) -> None:
    if contents.count(0) < len(contents):  # quicker than any() by far: a .bss may have a gigabyte
        home.update_elem(_KEY, contents)
    if home.spec.frozen:
        kernel.map_freeze(home.fd)


def _fill_slots(spec: ObjectSpec, maps: dict[str, Map], programs: dict[str, Program]) -> None:
    """Put programs into the slots of program arrays that are declared to begin with them."""
    for item in spec.maps.values():
        for slot, name in item.initial.items():
            if name in programs:
                maps[item.name].update_elem(_slot_key(slot), _as_value(programs[name].fd))


def _slot_key(slot: int) -> bytes:
    import sys

    return slot.to_bytes(4, sys.byteorder)


_as_value = _slot_key
"""A descriptor as a value of four bytes, as maps of maps and program arrays want it."""
