"""Calls in another process by ptrace: one thread stops for moments, and no debugger is needed.

The thread is led through code of ours that saves all of its state, calls functions, restores the
state and jumps back. It is left as soon as it is on its way: were we killed then, it would come
back all the same. x86-64 only.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from leakhunt.injection.target import ENSURE, PENDING, RELEASE, RUN, mappings

_SEIZE, _INTERRUPT, _GET, _SET, _STEP, _DETACH = 0x4206, 0x4207, 12, 13, 9, 17
_ANY_KIND_OF_CHILD = 0x40000000  # __WALL
_TRAP = 5
_PATIENCE_SECONDS = 5.0
# It stops within microseconds, unless it does not run at present.
_SPIN_SECONDS, _POLL_SECONDS = 0.005, 0.0005
# struct user_regs_struct of x86-64.
_REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs",
    "gs",
)  # fmt: skip
_FORMAT = struct.Struct(f"<{len(_REGISTERS)}Q")
_NONE = (1 << 64) - 1
_CODE_SEGMENT_64 = 0x33
_SYSCALL = b"\x0f\x05"
_MMAP, _MPROTECT, _MUNMAP, _RESTART = 9, 10, 11, 219
_READ_WRITE, _READ_EXECUTE, _PRIVATE_ANONYMOUS = 3, 5, 0x22
# nanosleep, clock_nanosleep, select, pselect6, poll, ppoll, epoll_wait, epoll_pwait, accept(4).
_SLEEPS = (35, 230, 23, 270, 7, 271, 232, 281, 43, 288)
# What a system call says inside the kernel when it is to be made again; the last of them goes on
# by a call of its own.
_AGAIN = (-512, -513, -514)
_GO_ON = -516
_PAGE = 4096
# After the code's page: where to jump back to, whether it did, a result, and the vector registers.
_BACK, _DONE, _RESULT, _VECTORS, _VECTORS_BYTES = 0, 8, 16, 64, 32 << 10
_HEAD_BYTES = 2 * _PAGE + _VECTORS_BYTES


@dataclass(frozen=True, slots=True)
class ForeignRegion:
    """Memory of ours in a process: a page of code, our data, and the text."""

    address: int
    length: int

    @property
    def data(self) -> int:
        """Where the data begin."""
        return self.address + _PAGE

    @property
    def done(self) -> int:
        """Where the code says that it has gone back."""
        return self.data + _DONE

    @property
    def text(self) -> int:
        """Where the text begins."""
        return self.address + _HEAD_BYTES


def region_bytes(text_bytes: int) -> int:
    """How long a region for a text is."""
    return -(-(_HEAD_BYTES + text_bytes + 1) // _PAGE) * _PAGE


class Refused(OSError):
    """The kernel does not let us."""


class Thread:
    """A thread that is stopped."""

    def __init__(self, pid: int, thread: int) -> None:
        self._pid, self.number = pid, thread
        self._outside_a_call = _instruction(pid)  # looked for while it still runs
        self._library = ctypes.CDLL(None, use_errno=True)
        self._library.ptrace.restype = ctypes.c_long
        self._library.ptrace.argtypes = [ctypes.c_long, ctypes.c_long,
                                         ctypes.c_void_p, ctypes.c_void_p]  # fmt: skip
        self._signals: list[int] = []
        self.registers: dict[str, int] = {}

    @property
    def is_in_a_call(self) -> bool:
        """Whether it was stopped in a system call."""
        return self.registers["orig_rax"] != _NONE

    @property
    def sleeps(self) -> bool:
        """Whether it waits for time to pass, or for somebody outside: no lock is waited for."""
        return self.registers["orig_rax"] in _SLEEPS

    def stop(self) -> None:
        """Stop it.

        Raises:
            Refused: the kernel does not let us, or it does not stop.
        """
        self._ask(_SEIZE)
        self._ask(_INTERRUPT)
        self._wait()
        self.registers = self._read()
        if self.registers["cs"] != _CODE_SEGMENT_64:
            raise Refused(f"thread {self.number} runs 32-bit code")

    def leave(self) -> None:
        """Let it run; signals that came meanwhile are sent again."""
        with suppress(OSError):
            self._ask(_DETACH)
        for each in self._signals:
            with suppress(OSError):
                self._library.tgkill(self._pid, self.number, each)

    def allocate(self, length: int) -> ForeignRegion:
        """Map memory in its process.

        Raises:
            Refused: it is not mapped, or not executable.
        """
        flags = (_READ_WRITE, _PRIVATE_ANONYMOUS, _NONE, 0)
        region = ForeignRegion(self._called(_MMAP, 0, length, *flags), length)
        try:
            self._called(_MPROTECT, region.address, _PAGE, _READ_EXECUTE)
        except Refused:
            self.free(region)
            raise
        return region

    def free(self, region: ForeignRegion) -> None:
        """Unmap it."""
        self._called(_MUNMAP, region.address, region.length)

    def send(self, region: ForeignRegion, calls: bytes) -> None:
        """Have it run `calls` on its way on, as soon as it is left."""
        self._put(region.address, _saving(region) + calls + _going_back(region, len(calls)))
        now = dict(self.registers)
        result = now["rax"] - (1 << 64) if now["rax"] >> 63 else now["rax"]
        if self.is_in_a_call and result in (*_AGAIN, _GO_ON):
            now["rip"] -= len(_SYSCALL)
            now["rax"] = _RESTART if result == _GO_ON else now["orig_rax"]
        self._put(region.data + _BACK, struct.pack("<Q", now["rip"]))
        self._write({**now, "rip": region.address, "orig_rax": _NONE})

    def _put(self, address: int, data: bytes) -> None:
        put(self._pid, address, data)

    def _called(self, number: int, *values: int) -> int:
        """What a system call in this thread says.

        Raises:
            Refused: it fails.
        """
        places = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
        given = dict(zip(places, values, strict=False))
        at = self.registers["rip"] - len(_SYSCALL) if self.is_in_a_call else self._outside_a_call
        self._write({**self.registers, **given, "rax": number, "rip": at, "orig_rax": _NONE})
        try:
            self._step()
            result = self._read()["rax"]
        finally:
            self._write(self.registers)
        if result > _NONE - _PAGE:
            raise Refused(_NONE + 1 - result, os.strerror(_NONE + 1 - result))
        return result

    def _step(self) -> None:
        while True:
            self._ask(_STEP)
            signal = self._wait()
            if signal == _TRAP:
                return
            self._signals.append(signal)

    def _wait(self) -> int:
        """Wait until it stops; the signal that it stopped for."""
        since = time.monotonic()
        while (waited := time.monotonic() - since) < _PATIENCE_SECONDS:
            found, status = os.waitpid(self.number, _ANY_KIND_OF_CHILD | os.WNOHANG)
            if found and os.WIFSTOPPED(status):
                return os.WSTOPSIG(status)
            if found:
                raise ProcessLookupError(f"thread {self.number} has ended")
            if waited > _SPIN_SECONDS:
                time.sleep(_POLL_SECONDS)
        raise Refused(f"thread {self.number} does not stop")

    def _read(self) -> dict[str, int]:
        room = ctypes.create_string_buffer(_FORMAT.size)
        self._ask(_GET, ctypes.addressof(room))
        return dict(zip(_REGISTERS, _FORMAT.unpack(room.raw), strict=True))

    def _write(self, registers: Mapping[str, int]) -> None:
        values = _FORMAT.pack(*(registers[name] for name in _REGISTERS))
        room = ctypes.create_string_buffer(values, _FORMAT.size)
        self._ask(_SET, ctypes.addressof(room))

    def _ask(self, request: int, data: int = 0) -> None:
        if self._library.ptrace(request, self.number, None, data) == -1:
            number = ctypes.get_errno()
            raise Refused(number, os.strerror(number))


def _instruction(pid: int) -> int:
    """Where there is the instruction of a system call in a process.

    Raises:
        Refused: it is not found.
    """
    for each in mappings(pid):
        if "x" in each.rights and (each.name == "[vdso]" or "libc" in each.name):
            with Path("/proc", str(pid), "mem").open("rb") as memory:
                memory.seek(each.start)
                found = memory.read(each.end - each.start).find(_SYSCALL)
            if found >= 0:
                return each.start + found
    raise Refused("no instruction of a system call")


@contextmanager
def stopped(pid: int, number: int) -> Iterator[Thread]:
    """A thread, stopped for as long as this lasts.

    Raises:
        Refused: the kernel does not let us.
        ProcessLookupError: it has ended.
    """
    thread = Thread(pid, number)
    try:
        thread.stop()
        yield thread
    finally:
        thread.leave()


def put(pid: int, address: int, data: bytes) -> None:
    """Write into the memory of a process."""
    with Path("/proc", str(pid), "mem").open("r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(data)


def scheduling(addresses: Mapping[str, int], region: ForeignRegion) -> bytes:
    """Code that has the main thread run the text as soon as it runs bytecode."""
    return (
        _into("rdi", addresses[RUN])
        + _into("rsi", region.text)
        + _call(addresses[PENDING])
        + _KEEP_RESULT
    )


def running(addresses: Mapping[str, int], region: ForeignRegion) -> bytes:
    """Code that runs the text in this thread, which must not be within Python's own code."""
    return (
        _call(addresses[ENSURE])
        + b"\x41\x89\xc4"  # mov r12d, eax
        + _into("rdi", region.text)
        + _call(addresses[RUN])
        + _KEEP_RESULT
        + b"\x44\x89\xe7"  # mov edi, r12d
        + _call(addresses[RELEASE])
    )


_KEEP_RESULT = b"\x89\x43" + bytes([_RESULT])  # mov [rbx+16], eax
_ALL_VECTORS = b"\xb8\xff\xff\xff\xff\xba\xff\xff\xff\xff"  # mov eax, -1; mov edx, -1
_LOADS = {"rax": b"\x48\xb8", "rbx": b"\x48\xbb", "rdi": b"\x48\xbf", "rsi": b"\x48\xbe"}


def _into(register: str, value: int) -> bytes:
    return _LOADS[register] + struct.pack("<Q", value)


def _call(address: int) -> bytes:
    return _into("rax", address) + b"\xff\xd0"


def _saving(region: ForeignRegion) -> bytes:
    """Leave the red zone alone, and save all registers; rbx leads to our data from then on."""
    return (
        b"\x48\x8d\x64\x24\x80"  # lea rsp, [rsp-128]
        b"\x9c"  # pushfq
        b"\x50\x51\x52\x53\x55\x56\x57"  # push rax, rcx, rdx, rbx, rbp, rsi, rdi
        b"\x41\x50\x41\x51\x41\x52\x41\x53\x41\x54\x41\x55\x41\x56\x41\x57"  # push r8 ... r15
        b"\xfc" + _into("rbx", region.data) + b"\x48\x89\xe5"  # cld  # mov rbp, rsp
        b"\x48\x83\xe4\xc0"  # and rsp, -64
        + _ALL_VECTORS
        + b"\x48\x0f\xae\x63"  # xsave64 [rbx+64]
        + bytes([_VECTORS])
    )


def _going_back(region: ForeignRegion, calls_bytes: int) -> bytes:
    """Restore all registers, and jump to where the thread was."""
    restoring = (
        _ALL_VECTORS + b"\x48\x0f\xae\x6b"  # xrstor64 [rbx+64]
        + bytes([_VECTORS])
        + b"\x48\x89\xec"  # mov rsp, rbp
        b"\x48\xc7\x43" + bytes([_DONE]) + b"\x01\x00\x00\x00"  # mov qword [rbx+8], 1
        b"\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x41\x5b\x41\x5a\x41\x59\x41\x58"  # pop r15 ... r8
        b"\x5f\x5e\x5d\x5b\x5a\x59\x58"  # pop rdi, rsi, rbp, rbx, rdx, rcx, rax
        b"\x9d"  # popfq
        b"\x48\x8d\xa4\x24\x80\x00\x00\x00"  # lea rsp, [rsp+128]
        b"\xff\x25"  # jmp [rip+...]
    )  # fmt: skip
    end = len(_saving(region)) + calls_bytes + len(restoring) + 4
    return restoring + struct.pack("<i", _PAGE + _BACK - end)
