"""The fast engine: bytecode becomes C, C becomes machine code, and a process of its own runs it.

`shape` takes a program apart into functions and blocks, `origins` guesses where its pointers point,
`generator` writes the C, `compile` has it compiled and kept, `process` is the process that runs it
(`runner.c`), `engine` talks to that. What the code may not do by itself, the interpreter's own steps do
on this side: the two engines have one meaning.
"""

from ebee.vm.native.engine import Native

__all__ = ["Native"]
