"""The ways in which source text gets into a running CPython, each tried where it fits.

`sys.remote_exec` from Python 3.14 on, by this interpreter if it is of the same version, else by the
target's own; by ptrace before that, and where the main thread waits in the kernel and runs no
bytecode; by gdb on other machines than x86-64, or by lldb where there is no gdb.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from leakhunt.errors import MissingRequirement
from leakhunt.injection import tracing
from leakhunt.injection.elf import read_elf
from leakhunt.injection.target import PENDING, RUN, VisitTarget, disabled, gone, mappings
from leakhunt.injection.tracing import ForeignRegion, Thread, region_bytes, stopped
from leakhunt.text.message import Text, message

# The text, given where it is mapped: address, length, and where it is said that nobody is in it.
MakeText = Callable[[tuple[int, int, int]], bytes]
# Digits of the places in the text, at most.
_ROOM_BYTES = 128
_REMOTE_EXEC = (3, 14)
_X86 = "x86_64"
_BLOCKED_SECONDS = 0.3
_TRIES = 10
_DEBUGGER_SECONDS = 60.0
_RUNNER_SECONDS = 20.0
# Where a file for the target may be written, as the target names it.
_FOLDERS = ("tmp", "dev/shm", "var/tmp")
_DISABLED = re.compile("remote debugging is not enabled|disable_remote_debug", re.IGNORECASE)
_RUNNER = "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])"


class Way(StrEnum):
    """How the agent got in."""

    REMOTE_EXEC = "sys.remote_exec"
    PTRACE = "ptrace"
    GDB = "gdb"
    LLDB = "lldb"


def first_way(target: VisitTarget) -> Way:
    """The way to be tried first."""
    if target.version >= _REMOTE_EXEC and not is_blocked(target.pid, target.pid):
        is_ours = sys.version_info[:2] == target.version[:2]
        if is_ours or _same_namespace(target, "pid") or target.machine != _X86:
            return Way.REMOTE_EXEC
    if target.machine == _X86:
        return Way.PTRACE
    return Way.GDB if shutil.which(Way.GDB) or not shutil.which(Way.LLDB) else Way.LLDB


# Of each debugger: a script, the options before it, and how it prints the number.
_DIALECTS: Mapping[Way, tuple[str, tuple[str, ...], str]] = {
    Way.GDB: (
        "set pagination off\nset confirm off\nset auto-solib-add off\nattach {pid}\n"
        'set $m = {call}\nprintf "FOUND %ld\\n", $m\ndetach\n',
        ("-nx", "-batch", "-x"),
        r"^FOUND (-?\d+)$",
    ),
    Way.LLDB: (
        "settings set target.preload-symbols false\nprocess attach --pid {pid}\n"
        "expression --all-threads false -- {call}\nprocess detach\n",
        ("--no-lldbinit", "--batch", "--source"),
        r"^\(long\) \$0 = (-?\d+)$",
    ),
}


@contextmanager
def brought_in(target: VisitTarget, text: MakeText, way: Way) -> Iterator[Callable[[], bool]]:
    """The text is run in the target as soon as it can be.

    What is given tries again in another thread, for one whose main thread runs no bytecode: False
    where there is none. At the end nothing of ours waits in the target to be run.

    Raises:
        MissingRequirement: it cannot be brought in.
        UsageError: the target has ended.
    """
    match way:
        case Way.REMOTE_EXEC:
            with _file_for(target, text((0, 0, 0))) as path:
                _remote_exec(target, path)
                yield lambda: target.machine == _X86 and _in_waiting_thread(target, text)
        case Way.PTRACE:
            yield from _by_ptrace(target, text)
        case Way.GDB | Way.LLDB:
            _by_debugger(target, text, way)
            yield lambda: False


def is_blocked(pid: int, thread: int) -> bool:
    """Whether a thread waits in the kernel, and has not run at all for a while.

    It is then in no allocation and holds no lock that is held for moments only.
    """
    before = _switches(pid, thread)
    if before is None:
        return False
    time.sleep(_BLOCKED_SECONDS)
    return _switches(pid, thread) == before


def _switches(pid: int, thread: int) -> tuple[str, ...] | None:
    """How often a thread began to run; None: it is not waiting."""
    try:
        text = Path(f"/proc/{pid}/task/{thread}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    if not re.search(r"^State:\s+S", text, re.MULTILINE):
        return None
    return tuple(re.findall(r"ctxt_switches:\s+(\d+)", text))


def _by_ptrace(target: VisitTarget, text: MakeText) -> Iterator[Callable[[], bool]]:
    if is_blocked(target.pid, target.pid):
        _sent(target, text, target.pid, tracing.running)
        yield lambda: False
        return
    region = _sent(target, text, target.pid, tracing.scheduling)
    try:
        yield lambda: _in_waiting_thread(target, text)
    finally:
        with contextlib.suppress(OSError):  # what was scheduled and has not run does nothing
            tracing.put(target.pid, region.text, b"0\0")


def _in_waiting_thread(target: VisitTarget, text: MakeText) -> bool:
    """Run the text in a thread that waits in the kernel; False: there is none.

    One that only sleeps, for however short, is as good as one that has waited for a while.
    """
    if _in_sleeping_thread(target, text):
        return True
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{target.pid}/task").iterdir():
            if is_blocked(target.pid, int(thread.name)):
                with contextlib.suppress(ProcessLookupError):
                    _sent(target, text, int(thread.name), tracing.running)
                    return True
    return False


def _in_sleeping_thread(target: VisitTarget, text: MakeText) -> bool:
    """Run the text in a thread that is found asleep; False: there is none."""
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{target.pid}/task").iterdir():
            number = int(thread.name)
            if number == target.pid or _switches(target.pid, number) is None:
                continue
            with contextlib.suppress(ProcessLookupError, MissingRequirement):
                _sent(target, text, number, tracing.running, lambda found: found.sleeps)
                return True
    return False


def _is_in_a_call(found: Thread) -> bool:
    return found.is_in_a_call


def _sent(
    target: VisitTarget,
    text: MakeText,
    thread: int,
    calls: Callable[..., bytes],
    fits: Callable[[Thread], bool] = _is_in_a_call,
) -> ForeignRegion:
    """Lead a thread through calls that have the text run, once it `fits`."""
    needed = region_bytes(len(text((0, 0, 0))) + _ROOM_BYTES)
    try:
        for last in (*[False] * _TRIES, True):
            with stopped(target.pid, thread) as found:
                # Within a system call it holds no lock of Python's own for moments.
                if fits(found) or (last and calls is tracing.scheduling):
                    region = found.allocate(needed)
                    place = (region.address, region.length, region.done)
                    tracing.put(target.pid, region.text, text(place) + b"\0")
                    found.send(region, calls(target.addresses, region))
                    return region
            time.sleep(0.002)
    except ProcessLookupError:
        if not target.is_alive():
            raise gone(target.pid) from None
        raise
    except OSError as error:
        if not target.is_alive():
            raise gone(target.pid) from None
        raise _failed(target, Way.PTRACE, str(error)) from error
    raise ProcessLookupError(thread)


def _failed(target: VisitTarget, way: Way, reason: Text) -> MissingRequirement:
    return MissingRequirement(
        message(
            "attach.way-failed",
            "process {pid}: {way} failed: {reason}",
            pid=target.pid,
            way=way.value,
            reason=reason,
        )
    )


@contextmanager
def _file_for(target: VisitTarget, text: bytes) -> Iterator[str]:
    """A file that the target can read, as the target names it; it goes with this."""
    name = f"leakhunt-{secrets.token_hex(8)}.py"
    for folder in _FOLDERS:
        path = target.root / folder / name
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            continue
        try:
            with open(made, "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(text)
            yield f"/{folder}/{name}"
        finally:
            path.unlink(missing_ok=True)
        return
    raise _failed(
        target,
        Way.REMOTE_EXEC,
        message("attach.no-folder", "no folder of the process can be written to (/tmp, /dev/shm)"),
    )


def _remote_exec(target: VisitTarget, path: str) -> None:
    if sys.version_info[:2] == target.version[:2]:
        run: Callable[[int, str], None] = sys.remote_exec  # type: ignore[attr-defined]
        try:
            run(target.pid, path)
        except (OSError, RuntimeError) as error:
            raise _refused_remote(target, str(error)) from error
        return
    executable = os.fspath(target.executable.readlink()).removesuffix(" (deleted)")
    root = target.root
    is_ours = os.path.samestat(root.stat(), Path("/").stat()) and _same_namespace(target, "mnt")
    if not _same_namespace(target, "pid"):
        raise _failed(
            target,
            Way.REMOTE_EXEC,
            message("attach.pid-namespace", "the process is in another PID namespace"),
        )
    if not is_ours and executable.startswith(inside := f"{os.path.realpath(root)}/"):
        executable = f"/{executable.removeprefix(inside)}"  # of a chroot, as we name it
    entered = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def enter() -> None:
        os.fchdir(entered)
        os.chroot(".")

    try:
        done = subprocess.run(
            [executable, "-I", "-S", "-c", _RUNNER, str(target.pid), path],
            capture_output=True,
            text=True,
            timeout=_RUNNER_SECONDS,
            preexec_fn=None if is_ours else enter,
            check=False,
            env=_variables(target),
            cwd="/",
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _failed(target, Way.REMOTE_EXEC, str(error)) from error
    finally:
        os.close(entered)
    if done.returncode:
        raise _refused_remote(target, done.stderr.strip().rpartition("\n")[2])


def _refused_remote(target: VisitTarget, reason: str) -> MissingRequirement:
    if _DISABLED.search(reason):
        return disabled(target.pid)
    return _failed(target, Way.REMOTE_EXEC, reason)


def _variables(target: VisitTarget) -> dict[str, str]:
    """What the target's interpreter needs of its environment to start."""
    wanted = ("LD_LIBRARY_PATH", "PYTHONHOME", "PATH")
    found = {}
    with contextlib.suppress(OSError):
        for each in Path("/proc", str(target.pid), "environ").read_bytes().split(b"\0"):
            name, _, value = os.fsdecode(each).partition("=")
            if name in wanted:
                found[name] = value
    return found


def _same_namespace(target: VisitTarget, kind: str) -> bool:
    theirs, ours = (Path("/proc", each, "ns", kind) for each in (str(target.pid), "self"))
    return theirs.readlink() == ours.readlink()


def _by_debugger(target: VisitTarget, text: MakeText, way: Way) -> None:
    """Schedule the text by a debugger, which reads no symbols: we know where the functions are."""
    if shutil.which(way) is None:
        raise MissingRequirement(
            message(
                "attach.no-debugger",
                "process {pid}: attaching to Python {version} on {machine} needs gdb or lldb."
                " Install gdb",
                pid=target.pid,
                version=f"{target.version[0]}.{target.version[1]}",
                machine=target.machine,
            )
        )
    plain = text((0, 0, 0))
    length = -(-(len(plain) + _ROOM_BYTES) // 4096) * 4096
    mapped = f"((long (*)(long, long, int, int, int, long)) {_mmap_of(target, way)})"
    # The text names its own place, which is known only then.
    address = _called(target, way, f"{mapped}(0, {length}, 3, 34, -1, 0)")
    tracing.put(target.pid, address, text((address, length, 0)) + b"\0")
    pending = f"((int (*)(long, long)) {target.addresses[PENDING]})"
    _called(target, way, f"(long) {pending}({target.addresses[RUN]}, {address}) + 1")


def _called(target: VisitTarget, way: Way, call: str) -> int:
    """The number above 0 that an expression comes to in the target, by a debugger."""
    script, options, pattern = _DIALECTS[way]
    with tempfile.NamedTemporaryFile(prefix="leakhunt-") as file:
        place = Path(file.name)
        place.write_text(script.format(pid=target.pid, call=call), encoding="utf-8")
        try:
            done = subprocess.run(
                [way.value, *options, file.name],
                capture_output=True, text=True, timeout=_DEBUGGER_SECONDS, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _failed(target, way, str(error)) from error
        finally:
            _continue(target)
    found = re.search(pattern, done.stdout, re.MULTILINE)
    if found is None or int(found[1]) <= 0:
        if not target.is_alive():
            raise gone(target.pid)
        raise _failed(target, way, done.stderr.strip().rpartition("\n")[2])
    return int(found[1])


def _continue(target: VisitTarget) -> None:
    """Some versions of lldb leave a process stopped; it was not when we came."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{target.pid}/status").read_text(encoding="utf-8")
        if re.search(r"^State:\s+T", status, re.MULTILINE) and target.is_alive():
            os.kill(target.pid, signal.SIGCONT)


def _mmap_of(target: VisitTarget, way: Way) -> int:
    """Where the C library's mmap is in the target."""
    for each in mappings(target.pid):
        if re.search(r"/(libc\.so|libc-2|ld-musl|libc\.musl)", each.name) and not each.offset:
            for file in (Path("/proc", str(target.pid), "root", each.name.lstrip("/")),
                         Path(each.name)):  # fmt: skip
                elf = read_elf(file, ("mmap",))
                if elf is not None and "mmap" in elf.symbols:
                    return each.start - elf.first + elf.symbols["mmap"]
    raise _failed(target, way, message("attach.no-mmap", "its C library was not found"))
