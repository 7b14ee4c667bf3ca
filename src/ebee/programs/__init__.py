"""Loaded programs: attach, try out, pin, ask."""

from ebee.programs.program import Program, RunResult

__all__ = ["Program", "RunResult"]
