"""BTF and programs: load, run, query."""

from __future__ import annotations

import errno as _errno
from array import array

from ebee.abi.bpf import AttachType, Command
from ebee.abi.layouts import ATTR_BTF_LOAD, ATTR_PROG_LOAD, ATTR_PROG_QUERY, ATTR_PROG_TEST_RUN
from ebee.errors import KernelError
from ebee.kernel.live.command import bpf, complaint, number_of, unpacked
from ebee.kernel.live.maps import kernel_name
from ebee.kernel.live.syscall import Buffer, address, buffer, c_string
from ebee.kernel.protocol import AttachedProgram, LoadAnswer, ProgramLoad, RunAnswer, RunRequest

_INSTRUCTION_BYTES = 8
_LOAD_TRIES = 5
_FIRST_QUERY = 64


class Programs:
    """The part of the live kernel that loads and runs."""

    def btf_load(self, data: bytes, *, log_size_bytes: int = 0) -> LoadAnswer:
        """BPF_BTF_LOAD."""
        log = buffer(log_size_bytes)
        attributes = ATTR_BTF_LOAD.pack(
            btf=address(data),
            btf_size=len(data),
            btf_log_buf=address(log),
            btf_log_size=log_size_bytes,
            btf_log_level=1 if log_size_bytes else 0,
        )
        fd, number = _load(Command.BTF_LOAD, attributes)
        whole = number_of(unpacked(ATTR_BTF_LOAD, attributes), "btf_log_true_size")
        return LoadAnswer(fd, number, c_string(log.raw), whole)

    def program_load(self, request: ProgramLoad) -> LoadAnswer:
        """BPF_PROG_LOAD."""
        log = buffer(request.log_size_bytes if request.log_level else 0)
        license_text = request.license.encode() + b"\0"
        fds = array("i", request.fd_array).tobytes()
        attributes = ATTR_PROG_LOAD.pack(
            prog_type=request.type,
            insn_cnt=len(request.instructions) // _INSTRUCTION_BYTES,
            insns=address(request.instructions),
            license=address(license_text),
            log_level=request.log_level,
            log_size=len(log),
            log_buf=address(log),
            kern_version=request.kernel_version,
            prog_flags=request.flags,
            prog_name=kernel_name(request.name),
            prog_ifindex=request.ifindex,
            expected_attach_type=request.expected_attach_type,
            attach_btf_id=request.attach_btf_id,
            attach_prog_fd=request.attach_fd,
            fd_array=address(fds),
            **_debug_fields(request),
        )
        fd, number = _load(Command.PROG_LOAD, attributes)
        whole = number_of(unpacked(ATTR_PROG_LOAD, attributes), "log_true_size")
        return LoadAnswer(fd, number, c_string(log.raw), whole)

    def program_test_run(self, request: RunRequest) -> RunAnswer:
        """BPF_PROG_TEST_RUN."""
        data, context = buffer(request.data_out_bytes), buffer(request.context_out_bytes)
        attributes = ATTR_PROG_TEST_RUN.pack(
            prog_fd=request.program_fd,
            data_size_in=len(request.data),
            data_in=address(request.data),
            data_size_out=len(data),
            data_out=address(data),
            repeat=request.repeat,
            ctx_size_in=len(request.context),
            ctx_in=address(request.context),
            ctx_size_out=len(context),
            ctx_out=address(context),
            flags=request.flags,
            cpu=request.cpu,
            batch_size=request.batch_size,
        )
        try:
            bpf(Command.PROG_TEST_RUN, attributes)
        except OSError as error:
            raise complaint(error, "run_error", request) from None
        return _run_answer(attributes, data, context)

    def program_query(self, target: int, attach_type: AttachType, flags: int = 0) -> list[AttachedProgram]:
        """BPF_PROG_QUERY."""
        room = _FIRST_QUERY
        while True:
            try:
                return _query(target, attach_type, flags, room)
            except OSError as error:
                if isinstance(error, KernelError) or error.errno != _errno.ENOSPC or room > 1 << 16:
                    raise complaint(error, "query_error", attach_type) from None
                room *= 8


def _debug_fields(request: ProgramLoad) -> dict[str, int]:
    """Return the fields that hand BTF to the kernel; older ones, without any, know none of them."""
    if not request.btf_fd:
        return {}
    fields = {"prog_btf_fd": request.btf_fd}
    for name, data, record_bytes in (
        ("func_info", request.func_info, request.func_info_record_bytes),
        ("line_info", request.line_info, request.line_info_record_bytes),
    ):
        if data:
            fields[name] = address(data)
            fields[f"{name}_cnt"] = len(data) // record_bytes
            fields[f"{name}_rec_size"] = record_bytes
    return fields


def _load(command: Command, attributes: bytearray) -> tuple[int, int]:
    """Return a file descriptor and 0, or -1 and the errno.

    The verifier gives EAGAIN when a signal is pending while it works.
    """
    number = 0
    for _ in range(_LOAD_TRIES):
        try:
            return bpf(command, attributes), 0
        except OSError as error:
            number = error.errno or 0
            if number != _errno.EAGAIN:
                break
    return -1, number


def _run_answer(attributes: bytearray, data: Buffer, context: Buffer) -> RunAnswer:
    told = unpacked(ATTR_PROG_TEST_RUN, attributes)
    return RunAnswer(
        return_value=number_of(told, "retval"),
        duration_ns=number_of(told, "duration"),
        data=data.raw[: number_of(told, "data_size_out")],
        context=context.raw[: number_of(told, "ctx_size_out")],
    )


def _query(target: int, attach_type: AttachType, flags: int, room: int) -> list[AttachedProgram]:
    """Ask once, with room for so many programs.

    Arrays that the kernel does not fill stay zero. It takes those for links only where programs
    have them and refuses them elsewhere, so the question is put again without.
    """
    arrays = {
        name: buffer(4 * room) for name in ("prog_ids", "prog_attach_flags", "link_ids", "link_attach_flags")
    }
    wanted = list(arrays)
    while True:
        attributes = ATTR_PROG_QUERY.pack(
            target_fd=target,
            attach_type=attach_type,
            query_flags=flags,
            count=room,
            **{name: address(arrays[name]) for name in wanted},
        )
        try:
            bpf(Command.PROG_QUERY, attributes)
            break
        except OSError as error:
            if error.errno != _errno.EINVAL or len(wanted) == 1:
                raise
            # first without links (before 6.6), then without flags of each program (before 6.1)
            wanted = wanted[: 2 if len(wanted) == 4 else 1]
    count = number_of(unpacked(ATTR_PROG_QUERY, attributes), "count")
    columns = [array("I", arrays[name].raw[: 4 * count]) for name in arrays]
    programs, program_flags, links, link_flags = columns
    return [AttachedProgram(*row) for row in zip(programs, links, program_flags, link_flags, strict=True)]
