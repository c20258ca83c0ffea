"""The process to be attached: what it is, and why it cannot be attached, if it cannot.

Nothing here touches the process: all is read from ``/proc`` and from the files that it maps.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.injection.elf import Elf, read_elf
from leakhunt.text.message import Text, message

PENDING, RUN, ENSURE, RELEASE = (
    "Py_AddPendingCall", "PyRun_SimpleString", "PyGILState_Ensure", "PyGILState_Release",
)  # fmt: skip
_VERSION = "Py_Version"
_SYMBOLS = (PENDING, RUN, ENSURE, RELEASE, _VERSION)
_CAN_REFUSE = (3, 14)
_PYTHON_NAME = re.compile(r"python[\d.]*[a-z]?$|libpython")
_EXTENSION = re.compile(r"\.cpython-3|/lib-dynload/|/lib/python3")
_PYPY = re.compile(r"pypy")
# Bit of CAP_SYS_PTRACE in CapEff.
_MAY_TRACE = 1 << 19
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
_STOPPED, _TRACED, _ENDED = "T", "t", "ZX"
_LONGEST_COMMAND = 60


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping of a process: where it is, what it may do, and the file."""

    start: int
    end: int
    rights: str
    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class VisitTarget:
    """A CPython that can be attached.

    `own_pid` is its number in its own namespace. `addresses` are those of the functions that we
    call, by name; `executable` is what runs it, as a path that we can open.
    """

    pid: int
    own_pid: int
    created: int
    version: tuple[int, int, int]
    machine: str
    addresses: Mapping[str, int]
    executable: Path
    command: str

    def is_alive(self) -> bool:
        """Whether the process is there, and not a later one with its number."""
        try:
            state, created = _state(self.pid)
        except OSError:
            return False
        return created == self.created and state not in _ENDED

    def sees_our_files(self) -> bool:
        """Whether a path leads it to the same file as us: no other root, no other mounts."""
        with contextlib.suppress(OSError):
            theirs = Path("/proc", str(self.pid), "ns", "mnt").readlink()
            is_root = os.path.samestat(self.root.stat(), Path("/").stat())
            return is_root and theirs == Path("/proc/self/ns/mnt").readlink()
        return False

    @property
    def root(self) -> Path:
        """Its root directory."""
        return Path("/proc", str(self.pid), "root")


def find(name: str) -> int:
    """The one Python process of that number, name, or with that text in its command line.

    Raises:
        UsageError: there is none, or there are several.
    """
    if name.isdigit():
        return int(name)
    found = [(pid, line) for pid, line in _python_processes() if name in line]
    named = [(pid, line) for pid, line in found if _name(pid) == name]
    fitting = named if len(named) == 1 else found
    if len(fitting) == 1:
        return fitting[0][0]
    if not fitting:
        raise UsageError(
            message(
                "attach.no-such-name",
                "{name}: no Python process has this in its command line. Give its PID",
                name=name,
            )
        )
    listed = "; ".join(f"{pid}: {_shortened(line)}" for pid, line in fitting)
    raise UsageError(
        message(
            "attach.several",
            "{name}: {count} Python processes fit ({listed}). Give the PID of one",
            name=name,
            count=len(fitting),
            listed=listed,
        )
    )


def examine(pid: int) -> VisitTarget:
    """The process of that number.

    Raises:
        UsageError: there is no such process, or it is stopped, or not one that runs Python.
        MissingRequirement: it is a Python that cannot be attached, or we may not.
    """
    try:
        state, created = _state(pid)
        status = _status(pid)
    except OSError:
        raise gone(pid) from None
    if state in _ENDED:
        raise gone(pid)
    if pid == os.getpid():
        raise UsageError(message("attach.self", "process {pid} is leakhunt itself", pid=pid))
    _refuse_stopped(pid, state, status)
    _refuse_without_rights(pid, status)
    maps = list(mappings(pid))
    file, elf, base = _interpreter(pid, maps)
    addresses = {name: base + value for name, value in elf.symbols.items()}
    own = int(status.get("NSpid", str(pid)).split()[-1])
    executable = Path("/proc", str(pid), "exe")
    version = _version(pid, addresses, file)
    _refuse_without_consent(pid, version)
    return VisitTarget(pid, own, created, version, elf.machine, addresses, executable, command(pid))


def mappings(pid: int) -> Iterator[Mapped]:
    """The mappings of a process, in order."""
    with Path("/proc", str(pid), "maps").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split(maxsplit=5)
            start, _, end = words[0].partition("-")
            name = words[5].strip() if len(words) > 5 else ""
            yield Mapped(int(start, 16), int(end, 16), words[1], int(words[2], 16), name)


def command(pid: int) -> str:
    """The command line of a process; empty where it has none."""
    with contextlib.suppress(OSError):
        words = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
        return " ".join(os.fsdecode(word) for word in words if word)
    return ""


def gone(pid: int) -> UsageError:
    """The refusal of a process that is not there."""
    return UsageError(message("attach.gone", "process {pid}: not found, or it has ended", pid=pid))


def disabled(pid: int) -> MissingRequirement:
    """The refusal of a process that does not want to be debugged from outside."""
    return MissingRequirement(
        message(
            "attach.disabled",
            "process {pid} does not allow it: its Python was started with remote debugging"
            " disabled (PYTHON_DISABLE_REMOTE_DEBUG, -X disable-remote-debug)",
            pid=pid,
        )
    )


def _refuse_without_consent(pid: int, version: tuple[int, int, int]) -> None:
    """Python 3.14 and later can be told not to be entered, in whichever way."""
    if version < _CAN_REFUSE:
        return
    words = command(pid).split()
    variables = b""
    with contextlib.suppress(OSError):
        variables = Path("/proc", str(pid), "environ").read_bytes()
    is_set = re.search(rb"(?:^|\0)PYTHON_DISABLE_REMOTE_DEBUG=[^\0]", variables) is not None
    if is_set or any(word.endswith("disable-remote-debug") for word in words):
        raise disabled(pid)


def _python_processes() -> Iterator[tuple[int, str]]:
    """Processes that run Python as far as their names say, without us and those above us."""
    ours = set(_ancestors(os.getpid()))
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (pid := int(folder.name)) not in ours:
            with contextlib.suppress(OSError):
                line = command(pid)
                name = (folder / "exe").readlink().name.removesuffix(" (deleted)")
                if line and (_PYTHON_NAME.search(name) or _maps_python(pid)):
                    yield pid, line


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        yield pid
        try:
            pid = int(_status(pid).get("PPid", "0"))
        except OSError:
            return


def _maps_python(pid: int) -> bool:
    return any("libpython" in each.name for each in mappings(pid))


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "comm").read_text(encoding="utf-8").strip()
    return ""


def _shortened(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST_COMMAND else f"{line[: _LONGEST_COMMAND - 3]}..."


def _state(pid: int) -> tuple[str, int]:
    """The letter of a process's state, and when it was created (clock ticks after boot)."""
    text = Path("/proc", str(pid), "stat").read_bytes()
    fields = text[text.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[19])


def _status(pid: int | str) -> dict[str, str]:
    text = Path("/proc", str(pid), "status").read_text(encoding="utf-8", errors="replace")
    return {name: value.strip() for name, _, value in (x.partition(":") for x in text.splitlines())}


def _refuse_stopped(pid: int, state: str, status: Mapping[str, str]) -> None:
    tracer = status.get("TracerPid", "0")
    if tracer != "0":
        raise UsageError(
            message(
                "attach.traced",
                "process {pid} is traced by process {tracer} ({name}). End that first",
                pid=pid,
                tracer=tracer,
                name=_name(int(tracer)) or "?",
            )
        )
    if state == _STOPPED:
        raise UsageError(
            message(
                "attach.stopped",
                "process {pid} is stopped. Continue it first: kill -CONT {pid}",
                pid=pid,
            )
        )


def _refuse_without_rights(pid: int, status: Mapping[str, str]) -> None:
    """Refuse a process that we may not trace; opening its memory asks the kernel just that."""
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise gone(pid) from None
    except OSError as error:
        raise MissingRequirement(_why_not(pid, status)) from error


def _why_not(pid: int, status: Mapping[str, str]) -> Text:
    ours = _status("self")
    owner = int(status.get("Uid", "0").split()[0])
    if owner != os.geteuid() and os.geteuid() != 0:
        return message(
            "attach.other-user",
            "process {pid} belongs to user {user}. Run leakhunt as that user, or as root",
            pid=pid,
            user=_user(owner),
        )
    may_trace = int(ours.get("CapEff", "0"), 16) & _MAY_TRACE
    scope = _yama_scope()
    if scope == 3 or (scope and not may_trace):
        return message(
            "attach.ptrace-scope",
            "process {pid}: kernel.yama.ptrace_scope is {scope}, which forbids attaching. Run"
            " leakhunt as root, or set it to 0 with sysctl",
            pid=pid,
            scope=scope,
        )
    if not may_trace:
        return message(
            "attach.capability",
            "process {pid}: permission denied, and leakhunt has no CAP_SYS_PTRACE. In a container,"
            " add it: --cap-add SYS_PTRACE",
            pid=pid,
        )
    return message(
        "attach.forbidden",
        "process {pid}: the kernel forbids tracing it (seccomp, AppArmor, SELinux, or another user"
        " namespace). Run leakhunt on the host as root",
        pid=pid,
    )


def _yama_scope() -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(_YAMA.read_text(encoding="ascii"))
    return 0


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _interpreter(pid: int, maps: Sequence[Mapped]) -> tuple[str, Elf, int]:
    """The file that has CPython in it, its symbols, and what to add to their addresses."""
    if not maps:
        raise UsageError(
            message("attach.no-memory", "process {pid}: a kernel thread, not Python", pid=pid)
        )
    own = Path("/proc", str(pid), "exe")
    try:
        executable = os.fspath(own.readlink()).removesuffix(" (deleted)")
    except OSError:
        raise gone(pid) from None
    names = dict.fromkeys(each.name.removesuffix(" (deleted)") for each in maps)
    if any(_PYPY.search(Path(name).name) for name in (executable, *names)):
        raise MissingRequirement(
            message("attach.pypy", "process {pid} runs PyPy. attach needs CPython", pid=pid)
        )
    libraries = [name for name in names if Path(name).name.startswith("libpython")]
    for name in (*libraries, executable):
        mapped = [each for each in maps if each.name.removesuffix(" (deleted)") == name]
        files = [own] if name == executable else []
        for file in (*files, *_places(pid, mapped, name)):
            elf = read_elf(file, _SYMBOLS)
            if elf is not None and PENDING in elf.symbols and mapped:
                start = min(each.start - each.offset for each in mapped)
                return name, elf, start - elf.first
    if any(map(_EXTENSION.search, names)) or _PYTHON_NAME.search(Path(executable).name):
        raise MissingRequirement(
            message(
                "attach.no-symbols",
                "process {pid}: its Python has no symbol {symbol} (a stripped static build)",
                pid=pid,
                symbol=PENDING,
            )
        )
    raise UsageError(
        message(
            "attach.not-python",
            "process {pid} does not run Python ({name})",
            pid=pid,
            name=Path(executable).name,
        )
    )


def _places(pid: int, mapped: Sequence[Mapped], name: str) -> Iterator[Path]:
    """Where we may find a file that a process maps: it may have another root, or be replaced."""
    for each in mapped[:1]:
        yield Path("/proc", str(pid), "map_files", f"{each.start:x}-{each.end:x}")
    yield Path("/proc", str(pid), "root", name.lstrip("/"))
    yield Path(name)


def _version(pid: int, addresses: Mapping[str, int], file: str) -> tuple[int, int, int]:
    if _VERSION not in addresses:
        raise MissingRequirement(
            message(
                "attach.too-old",
                "process {pid} runs Python 3.10 or older ({file}). attach needs 3.11 or later",
                pid=pid,
                file=Path(file).name,
            )
        )
    with Path("/proc", str(pid), "mem").open("rb") as memory:
        memory.seek(addresses[_VERSION])
        (number,) = struct.unpack("<Q", memory.read(8))
    return (number >> 24, number >> 16 & 255, number >> 8 & 255)
