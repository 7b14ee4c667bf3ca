"""ObjectSpec: all that one object file holds."""

from ebee.btf import Btf
from ebee.record import Record
from ebee.source import SourceText
from ebee.spec.maps import MapSpec
from ebee.spec.programs import Function, ProgramSpec
from ebee.spec.variables import VariableSpec


class ObjectSpec(Record):
    """All that one object holds, ready to be changed and loaded.

    Attributes:
        name: the file's name up to its first dot.
        license: of the `license` section; empty where there is none.
        byte_order: `little` or `big`.
        programs: by name, in the order of the file.
        functions: every function by name, those programs begin at included.
        maps: by name: declared maps in their order, then data sections.
        variables: global variables by name.
        btf: the object's types, None where it was compiled without -g.
        btf_data: the same as bytes, ready for BPF_BTF_LOAD.
        kernel_version: of the `version` section; 0 where there is none.
        source: the text it was compiled from, where ebee compiled it.
    """

    name: str
    license: str = ""
    byte_order: str = "little"
    programs: dict[str, ProgramSpec] = {}
    functions: dict[str, Function] = {}
    maps: dict[str, MapSpec] = {}
    variables: dict[str, VariableSpec] = {}
    btf: Btf | None = None
    btf_data: bytes = b""
    kernel_version: int = 0
    source: SourceText | None = None
