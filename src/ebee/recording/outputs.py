"""What programs give to user space while they run over a recording: ring buffers and perf buffers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from ebee.abi.bpf import MapType
from ebee.kernel.protocol import PerfEvent
from ebee.kernel.simulated import SimulatedKernel
from ebee.maps import Map
from ebee.recording.ring import RingReader

_SOFTWARE, _BPF_OUTPUT = 1, 10
"""PERF_TYPE_SOFTWARE and PERF_COUNT_SW_BPF_OUTPUT."""


class Outputs:
    """The ring and perf buffers among an object's maps, which are emptied after each event."""

    def __init__(self, kernel: SimulatedKernel, maps: Mapping[str, Map]) -> None:
        self._kernel = kernel
        self._resources = ExitStack()
        self._rings = {
            name: self._resources.enter_context(RingReader(kernel, item.fd, item.spec.max_entries))
            for name, item in maps.items()
            if item.spec.type is MapType.RINGBUF
        }
        self._perf = {name: item for name, item in maps.items() if item.spec.type is MapType.PERF_EVENT_ARRAY}
        for item in self._perf.values():
            self._listen(item)

    def take(self) -> dict[str, tuple[bytes, ...]]:
        """Return the records that came, by the map's name; maps without any are left out."""
        return {name: records for name, records in self._records() if records}

    def close(self) -> None:
        """Give the buffers back. Closing twice does nothing."""
        self._resources.close()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _records(self) -> Iterator[tuple[str, tuple[bytes, ...]]]:
        for name, ring in self._rings.items():
            yield name, tuple(ring.records())
        for name, item in self._perf.items():
            yield name, tuple(data for _, data in self._kernel.perf_records(item.fd))

    def _listen(self, item: Map) -> None:
        """Open an event for each CPU, as a reader of a perf buffer does."""
        for cpu in range(min(self._kernel.cpu_count(), item.spec.max_entries or self._kernel.cpu_count())):
            fd = self._kernel.perf_event_open(PerfEvent(_SOFTWARE, _BPF_OUTPUT, cpu=cpu))
            self._resources.callback(self._kernel.close, fd)
            item.update_elem(cpu.to_bytes(4, sys.byteorder), fd.to_bytes(4, sys.byteorder))
