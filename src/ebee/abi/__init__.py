"""Numbers, names and layouts of the kernel's interface, as data: no input or output happens here.

`bpf`, `helpers`, `layouts` and `netlink` are written by tools/generate.py; `layout` and `arch` by hand.
"""
