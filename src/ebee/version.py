"""The version of ebee: alone in a module, so that `ebee --version` imports nothing else."""

__version__ = "0.1.0"
