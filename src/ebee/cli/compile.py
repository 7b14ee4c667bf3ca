"""`ebee compile FILE`: C -> a BPF object, or its instructions as text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from ebee.asm import disassemble
from ebee.clang import CompiledObject, CompileOptions, compile_c
from ebee.cli.call import Answer, Call
from ebee.cli.failures import complain
from ebee.cli.words import UsageError
from ebee.errors import SpecError
from ebee.spec import MapReference, ObjectSpec

_KINDS = ("object", "asm")
_ENDINGS = {"object": ".o", "asm": ".s"}


def main(call: Call) -> Answer | None:
    path = call.words.take("a C file")
    call.words.finish()
    kind = call.text("emit") or "object"
    if kind not in _KINDS:
        raise UsageError(
            f"option --emit: found '{kind}', expected {' or '.join(_KINDS)}", usage=call.words.usage
        )
    output = call.text("output") or _default_output(path, kind)
    if output == "-" and call.settings.json:
        raise UsageError(
            "option --output: found '-' with --json, expected one of them", usage=call.words.usage
        )
    compiled = compile_c(path, options=_options(call))
    for warning in compiled.warnings:
        complain(warning.render())
    data = compiled.data if kind == "object" else _as_text(compiled, path)
    if output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return None
    _write(output, data)
    facts = {"output": output, "bytes": len(data), "warnings": len(compiled.warnings)}
    facts["from_cache"] = compiled.from_cache
    return Answer(facts, lambda: [f"wrote {output}: {len(data)} bytes"])


def _options(call: Call) -> CompileOptions:
    defaults = CompileOptions()
    return defaults._replace(
        defines=call.texts("define"),
        include_folders=call.texts("include"),
        arguments=call.texts("clang"),
        cpu=call.text("cpu") or defaults.cpu,
        optimisation=call.text("optimise") or defaults.optimisation,
        debug=not call.switch("no_debug"),
        cache=not call.switch("no_cache"),
    )


def _default_output(path: str, kind: str) -> str:
    """Return the file's name in the current folder with another ending: `hello.bpf.o`."""
    return os.path.splitext(os.path.basename(path))[0] + _ENDINGS[kind]


def _as_text(compiled: CompiledObject, path: str) -> bytes:
    from ebee.objfile import read_object

    spec = read_object(compiled.data, path)
    return "".join(f"{line}\n" for line in _listing(spec)).encode()


def _write(path: str, data: bytes) -> None:
    """Write a file whole or not at all; a device or pipe is written as it is."""
    special = os.path.exists(path) and not os.path.isfile(path)
    draft = path if special else f"{path}.{os.getpid()}.part"
    try:
        try:
            with open(draft, "wb") as file:
                file.write(data)
            if not special:
                os.replace(draft, path)
        except BaseException:
            if not special and os.path.exists(draft):
                os.unlink(draft)
            raise
    except OSError as error:
        folder = os.path.dirname(path) or "."
        raise SpecError(
            f"write {path}: {(error.strerror or str(error)).lower()}",
            hint=None if os.path.isdir(folder) else f"make the folder first: mkdir -p {folder}",
        ) from None


def _listing(spec: ObjectSpec) -> Iterator[str]:
    """Yield the functions of an object: their section, C lines, instructions, and what these refer to."""
    for function in spec.functions.values():
        yield f"{function.section}: {function.name}:"
        named = {
            item.slot: item.map_name if isinstance(item, MapReference) else item
            for item in function.references
        }
        texts = (
            {line.slot: spec.btf.string(line.text_offset).strip() for line in function.lines}
            if spec.btf
            else {}
        )
        for slot, text in disassemble(function.instructions):
            if slot in texts:
                yield f"; {texts[slot]}"
            yield f"{slot:4d}: {text}{_note(named.get(slot))}"
        yield ""


def _note(reference: object) -> str:
    if reference is None:
        return ""
    name = getattr(reference, "function", None) or getattr(reference, "name", None) or reference
    return f"  # {name}"
