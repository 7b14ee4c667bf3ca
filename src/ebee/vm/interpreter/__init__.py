"""The engine that is the definition of what a program does; the others are held against it.

`alu`, `jumps`, `access` and `calls` say what each instruction does, `decode` binds them to their operands,
`processor` holds the registers and the frames, `engine` runs.
"""

from ebee.vm.interpreter.engine import Interpreter, Visited

__all__ = ["Interpreter", "Visited"]
