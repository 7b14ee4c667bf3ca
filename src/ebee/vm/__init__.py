"""The userspace machine: eBPF programs run without a kernel's help and without rights.

`memory` gives every pointer a region, so that every bad access has an origin and bounds; `machine` is
what the programs of one simulated kernel share (memory, maps, clock, task); `maps` and `helpers` are
the kernel's, by their documented semantics; an engine (`interpreter`, the definition, or `native`)
runs `Code`.
"""
