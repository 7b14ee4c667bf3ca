"""Facts of this machine, by reading files: rights, mounts, tracepoints, symbols, interfaces, CPUs."""
