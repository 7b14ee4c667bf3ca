"""What comes out of the kernel: lines of the trace pipe."""

from ebee.events.trace_pipe import TraceLine, TracePipe

__all__ = ["TraceLine", "TracePipe"]
