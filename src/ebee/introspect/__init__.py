"""What is loaded on this machine: programs, maps, links, interfaces, and the code of a program.

Facts come as dicts with bpftool's JSON keys in bpftool's order, so that one description serves both
text and JSON. What vanishes between being listed and being looked at is left out.
"""
