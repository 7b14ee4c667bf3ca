"""Recordings: what the hooks of a program saw on a machine with rights, for machines without."""
