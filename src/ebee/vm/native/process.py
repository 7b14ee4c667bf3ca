"""The process that runs programs: started, talked to byte by byte, ended.

It is an executable of its own, 2 KB of code without a C library: it starts in under a millisecond, and
there is nothing in it that a program could use.
"""

from __future__ import annotations

import os
import signal
import struct
import weakref
from contextlib import suppress
from select import POLLIN, poll

from ebee.abi.arch import Arch
from ebee.errors import ToolError
from ebee.vm.native import layout
from ebee.vm.native.compile import MachineCode, compile_code, source_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LOADED_AT: Final = 0x400000
_HEADERS_BYTES: Final = 64 + 2 * 56
_CODE_AT: Final = (_HEADERS_BYTES + 15) & ~15
_MESSAGE: Final = b"\0"
_MANY: Final = 64
# How often each side looks before it sleeps: some 20 us here, some 50 there.
_SPINS: Final = 500
_RUNNER_SPINS: Final = 1500
_DOZE_MS: Final = 5
_SEGMENT_LOAD, _SEGMENT_STACK = 1, 0x6474E551
_READ_EXECUTE, _READ_WRITE = 5, 6
_NEEDED_DESCRIPTORS: Final = 4


class RunnerProcess:
    """A process that has an arena mapped and waits for orders.

    Orders and answers are counted in the arena. Who waits looks at the other's count for a while, and
    then sleeps until a byte comes: waking takes longer than most answers.

    Args:
        arena: the descriptor of the arena's file.
        words: what the arena holds of `struct state`.

    Attributes:
        pid: its number.

    Raises:
        ToolError: it cannot be compiled or started.
    """

    def __init__(self, arena: int, words: memoryview[int], arch: Arch) -> None:
        code = compile_code(source_text("state.h", "runner.c", "maps.c"), "_start", arch)
        several = len(os.sched_getaffinity(0)) > 1
        self._words = words
        self._spins = self._most_spins = _SPINS if several else 0
        self._said = 0
        for place in (layout.ASKED, layout.SAID, layout.RUNNER_SLEEPS, layout.ASKER_SLEEPS):
            words[place] = 0
        words[layout.SPINS] = _RUNNER_SPINS if several else 0
        to_child, from_child = os.pipe(), os.pipe()
        try:
            self.pid = _spawn(executable(code, arch), (to_child[0], from_child[1], arena))
        except BaseException:
            for descriptor in (to_child[1], from_child[0]):
                os.close(descriptor)
            raise
        finally:
            os.close(to_child[0])
            os.close(from_child[1])
        self._to_child, self._from_child = to_child[1], from_child[0]
        self._poller = poll()
        self._poller.register(self._from_child, POLLIN)
        self._end = weakref.finalize(self, _end, os.getpid(), self.pid, self._to_child, self._from_child)

    def say(self) -> None:
        """Tell the process that an order is there for it."""
        self._words[layout.ASKED] += 1
        if self._words[layout.RUNNER_SLEEPS]:
            self._wake()

    def hear(self) -> bool:
        """Wait until the process has an answer; False where it is gone."""
        words, said = self._words, self._said
        for _ in range(self._spins):
            if words[layout.SAID] != said:
                self._said, self._spins = said + 1, self._most_spins
                return True
        # Where looking is in vain, for the processor is needed elsewhere, it is soon given up.
        self._spins = max(self._spins // 2, self._most_spins // 64)
        words[layout.ASKER_SLEEPS] = 1
        try:
            return self._sleep()
        finally:
            words[layout.ASKER_SLEEPS] = 0

    def _sleep(self) -> bool:
        words = self._words
        while words[layout.SAID] == self._said:
            # Without a fence one of us may have missed that the other went to sleep: it is seen now.
            if words[layout.RUNNER_SLEEPS]:
                self._wake()
            if self._poller.poll(_DOZE_MS) and not os.read(self._from_child, _MANY):
                return False
        self._said += 1
        return True

    def _wake(self) -> None:
        with suppress(BrokenPipeError):  # that it is gone, hear() tells
            os.write(self._to_child, _MESSAGE)

    def close(self) -> int:
        """End the process where it still runs; return what os.waitstatus_to_exitcode() says of its end."""
        status = self._end()
        return 0 if status is None else status

    @property
    def is_open(self) -> bool:
        """Whether it was not closed. It may be gone all the same."""
        return self._end.alive

    @property
    def is_of_another(self) -> bool:
        """Whether this process is a copy, by fork, of the one that started it."""
        found = self._end.peek()
        return found is not None and found[2][0] != os.getpid()


def _end(owner: int, pid: int, to_child: int, from_child: int) -> int:
    os.close(to_child)
    os.close(from_child)
    if os.getpid() != owner:  # a copy of the process by fork: the runner is not its child
        return 0
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # the caller ignores SIGCHLD, so the kernel kept no status
        return 0


def executable(code: MachineCode, arch: Arch) -> bytes:
    """Return an ELF executable: headers, and code that needs nothing else."""
    size_bytes = _CODE_AT + len(code.data)
    identity = b"\x7fELF\2\1\1".ljust(16, b"\0")
    entry = _LOADED_AT + _CODE_AT + code.entry
    head = struct.pack("<HHIQQQIHHHHHH", 2, arch.elf_machine, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack(
        "<IIQQQQQQ", _SEGMENT_LOAD, _READ_EXECUTE, 0, _LOADED_AT, _LOADED_AT, size_bytes, size_bytes, 1 << 16
    )
    stack = struct.pack("<IIQQQQQQ", _SEGMENT_STACK, _READ_WRITE, 0, 0, 0, 0, 0, 16)
    return (identity + head + load + stack).ljust(_CODE_AT, b"\0") + code.data


def _spawn(data: bytes, streams: tuple[int, int, int]) -> int:
    """Start a process from an executable's bytes, with three descriptors as its 0, 1 and 3."""
    held: list[int] = []
    try:
        sources = [_above(os.dup(descriptor), held) for descriptor in streams]
        try:
            return _spawn_from_memory(data, sources, held)
        except OSError:  # a kernel that runs no files in memory (vm.memfd_noexec), or no /proc
            return _spawn_from_disk(data, sources)
    except OSError as error:
        raise ToolError(
            f"starting the native engine's process: {error.strerror}, expected to run code of ebee's own",
            hint="a sandbox that forbids to run files that were just written leaves the interpreter",
        ) from error
    finally:
        for descriptor in held:
            os.close(descriptor)


def _spawn_from_memory(data: bytes, sources: list[int], held: list[int]) -> int:
    file = _above(os.memfd_create("ebee-runner"), held)
    os.write(file, data)
    return _spawn_path(f"/proc/self/fd/{file}", sources)


def _spawn_from_disk(data: bytes, sources: list[int]) -> int:
    from tempfile import mkstemp

    file, path = mkstemp(prefix="ebee-")
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
        os.chmod(path, 0o700)
        return _spawn_path(path, sources)
    finally:
        os.unlink(path)


def _spawn_path(path: str, sources: list[int]) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, source, n) for source, n in zip(sources, (0, 1, 3), strict=True)]
    # A process group of its own, so that Ctrl-C ends it through this process alone.
    return os.posix_spawn(path, ["ebee-vm"], {}, file_actions=actions, setpgroup=0)


def _above(descriptor: int, held: list[int]) -> int:
    """Return a descriptor that is none of the numbers that the child's streams become."""
    held.append(descriptor)
    return descriptor if descriptor >= _NEEDED_DESCRIPTORS else _above(os.dup(descriptor), held)
