"""The agent in one file: for processes that nobody changed, and in which nothing is installed.

It imports the standard library only, runs on CPython 3.11 and later, and answers as `agent` does.
Two ways lead it into a process:

- ``listen()``: for good, from a ``sitecustomize`` or a ``.pth`` file; forked processes listen too.
- ``visit()``: for one asker, from source text that `leakhunt attach` has run in the process. It
  ends with the connection and leaves nothing behind: no thread, no socket, no tracing.

Words that need instruments (``watch``, ``mark``, ``findings``) import leakhunt where it is
installed. Nothing here defines a class: classes are cyclic garbage once they are not needed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import socket
import struct
import sys
import time
from _thread import RLock, start_new_thread
from collections.abc import Callable
from typing import Any

# struct ucred of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("iII")
_LONGEST_REQUEST_BYTES = 4096
# A visitor's asker sends source texts.
_LONGEST_ORDER_BYTES = 1 << 20
_RETRY_SECONDS = 1.0
_STATUS_NAMES = {
    "VmRSS": "rss",
    "VmHWM": "rss_peak",
    "VmSize": "address_space",
    "VmPTE": "page_tables",
    "RssAnon": "rss_anonymous",
    "RssFile": "rss_file",
    "RssShmem": "rss_shared",
}
_PYMALLOC = (
    ("python_live", r"# bytes in allocated blocks\s*=\s*([\d,]+)"),
    ("python_arenas", r"arenas \* \d+ bytes/arena\s*=\s*([\d,]+)"),
)
# Functions by which an allocator is known, where malloc is in the same file.
_KNOWN_BY = (
    ("mallctl", "jemalloc"),
    ("je_mallctl", "jemalloc"),
    ("tc_version", "tcmalloc"),
    ("MallocExtension_GetNumericProperty", "tcmalloc"),
    ("mi_version", "mimalloc"),
    ("gnu_get_libc_version", "glibc"),
)
_STRUCT_BY_ADDRESS = ("x86_64", "AMD64")
# Held while something is read: no thread but this one lives on in a child that is forked meanwhile.
_at_work = RLock()
# Whether the thread that forks holds it; empty until forks are guarded.
_held: list[bool] = []
_FORK_SECONDS = 2.0
# What finds leakhunt where it is not installed.
_guides: list[Any] = []
# Those that listen in this process: forked ones start anew.
_listening: list[int] = []


def listen(prefix: str = "leakhunt-inside") -> bool:
    """Answer whoever asks from now on, in forked processes as well; True if it does."""
    if sys.platform != "linux" or os.getpid() in _listening:
        return bool(_listening)
    if not _start(prefix):
        return False

    _guard_forks()
    os.register_at_fork(after_in_child=lambda: _start(prefix))
    return True


def _start(prefix: str) -> bool:
    try:
        listener = _bound(f"{prefix}-{os.getpid()}")
    except OSError:  # one listens already
        return False
    _listening[:] = [os.getpid()]
    start_new_thread(_accept, (listener,))
    return True


def _bound(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(f"\0{name}")
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            asker, _ = listener.accept()
        except OSError:  # out of descriptors, most likely
            time.sleep(_RETRY_SECONDS)
            continue
        start_new_thread(_answer, (asker,))


def _answer(asker: socket.socket) -> None:
    with asker, contextlib.suppress(OSError):
        if _is_ours(asker):
            with _at_work:
                words = _installed_words() or _words()
            unforked = {word: _unforked(answer) for word, answer in words.items()}
            _serve(asker, unforked, _LONGEST_REQUEST_BYTES)


def _guard_forks() -> None:
    """From now on the process forks between two readings: see `_at_work`.

    Hooks run in the reverse order, so that of logging, whose lock a reading may need, has to be
    there before ours; a lock of somebody else's is not waited for longer than the service can.
    """
    import logging  # noqa: F401 - for its hook

    _held.append(False)

    def before() -> None:
        _held[0] = _at_work.acquire(timeout=_FORK_SECONDS)

    def in_parent() -> None:
        if _held[0]:
            _at_work.release()

    os.register_at_fork(
        before=before,
        after_in_parent=in_parent,
        after_in_child=_at_work._at_fork_reinit,  # type: ignore[attr-defined]
    )


def _unforked(answer: Callable[..., Any]) -> Callable[..., Any]:
    """An answer during which the process does not fork."""

    def answered(*about: str) -> Any:
        with _at_work:
            return answer(*about)

    return answered


def _installed_words() -> dict[str, Callable[..., Any]] | None:
    """The words of leakhunt where that is installed, which tell more; None: it is not.

    Only a service that was started with the agent is asked to load it.
    """
    finders = [each for each in sys.meta_path if each not in _guides]
    try:
        if not _guides or not any(each.find_spec("leakhunt", None) for each in finders):
            return None
        import leakhunt.agent

        answers = leakhunt.agent._answers()
        as_json = leakhunt.agent._as_json
    except Exception:  # one that cannot be used here
        return None
    return {word: _plainly(answer, as_json) for word, answer in answers.items()}


def _plainly(answer: Callable[..., Any], as_json: Callable[[Any], Any]) -> Callable[..., Any]:
    """An answer as JSON has it: messages in it are recorded as such."""
    return lambda *about: json.loads(json.dumps(answer(*about), default=as_json))


def lead_to_leakhunt(folder: str) -> None:
    """Where leakhunt is not installed, have it found in `folder` once an instrument is wanted.

    With what it needs itself, if that was made for this Python; what the process has comes first.
    """
    import types

    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "leakhunt" or path is not None:
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(guide)
        sys.path += [each for each in folders if each not in sys.path]
        return PathFinder.find_spec(name, [folder])

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    needed = os.environ.get("LEAKHUNT_PACKAGES", "")
    folders = [folder, *([needed] if f"/{version}/" in needed else [])]
    guide: Any = types.SimpleNamespace(find_spec=find_spec)
    _guides.append(guide)
    sys.meta_path.append(guide)


def _is_ours(asker: socket.socket) -> bool:
    """Whether the process at the other end belongs to the same user, or to root."""
    credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] in (0, os.getuid())


def visit(name: str, token: str, patience_seconds: float, source: tuple[int, int] = (0, 0)) -> None:
    """Answer the one asker that knows `token`, until it hangs up; then leave nothing.

    `source` is where the text that brought us here is mapped, and how long that mapping is.
    """
    try:
        asker = _asker(name, token, patience_seconds)
        if asker is None:
            return
        words = _words()
        space: dict[str, Any] = {"__name__": "leakhunt_visitor"}

        def load(text: str) -> dict[str, int]:
            """Run a source text; the words that its `WORDS` defines can be said from then on."""
            exec(compile(json.loads(text), "<leakhunt>", "exec"), space)  # noqa: S102
            words.update(space.get("WORDS", {}))
            return {}

        words["load"] = load
        try:
            with asker, contextlib.suppress(OSError):
                _serve(asker, words, _LONGEST_ORDER_BYTES)
        finally:
            if (end := space.get("end")) is not None:
                end()
            space.clear()
            words.clear()
    finally:
        _unmap(*source)


def _asker(name: str, token: str, patience_seconds: float) -> socket.socket | None:
    """The connection of the one that knows the token; None: nobody came, or another was first."""
    try:
        listener = _bound(name)
    except OSError:
        return None
    deadline = time.monotonic() + patience_seconds
    with listener:
        while (left := deadline - time.monotonic()) > 0:
            listener.settimeout(left)
            try:
                asker, _ = listener.accept()
                asker.settimeout(left)
                if asker.recv(len(token) + 1, socket.MSG_WAITALL) == token.encode() + b"\n":
                    asker.settimeout(None)
                    asker.sendall(b"{}\n")
                    return asker
                asker.close()
            except OSError:
                continue
    return None


def _unmap(address: int, length: int) -> None:
    if address:
        import ctypes

        unmap = ctypes.CDLL(None).munmap
        unmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        unmap(address, length)


def _serve(asker: socket.socket, words: dict[str, Callable[..., Any]], longest: int) -> None:
    """Answer until the other end hangs up: a line of JSON for each word."""
    with asker.makefile("rb") as lines:
        while line := lines.readline(longest):
            answer = _answered(words, line.strip().decode("utf-8", "surrogateescape"))
            if hasattr(answer, "send"):  # a generator: pieces, each after its length; last comes 0
                asker.sendall(b'{"stream": 1}\n')
                for piece in answer:
                    asker.sendall(struct.pack("<I", len(piece)) + piece)
                asker.sendall(struct.pack("<I", 0))
            else:
                asker.sendall(json.dumps(answer, default=str).encode() + b"\n")


def _answered(words: dict[str, Callable[..., Any]], line: str) -> Any:
    word, _, about = line.partition(" ")
    if word not in words:
        return {"error": f"unknown word {word!r}"}
    try:
        return words[word](about) if about else words[word]()
    except Exception as error:  # a reading that fails is no failure of the service
        return {"error": f"{type(error).__name__}: {error}"}


def _words() -> dict[str, Callable[..., Any]]:
    """What can be asked for, by its word."""
    name, version, live_bytes, trim = _allocator()

    def numbers() -> dict[str, int]:
        blocks = sys.getallocatedblocks()
        values = {"python_blocks": blocks} if blocks else {}  # none with PYTHONMALLOC=malloc
        if live_bytes is not None:
            values["live_heap"] = live_bytes()
        return {**values, **_cuda()}

    def look() -> dict[str, int]:
        collected = sum(each["collected"] for each in gc.get_stats())
        kernel = {"clock_ns": time.monotonic_ns(), **_status()}
        return {**kernel, **_pymalloc(), **numbers(), "garbage_objects": collected}

    def look_collected() -> dict[str, int]:
        started = time.perf_counter_ns()
        gc.collect()
        taken = time.perf_counter_ns() - started
        return {**look(), "collect_ns": taken}

    def trimmed() -> dict[str, int]:
        started = time.perf_counter_ns()
        trim()
        taken = time.perf_counter_ns() - started
        return {**look(), "trim_ns": taken}

    def start() -> dict[str, int]:
        gc.collect()
        return trimmed()

    def emptied() -> dict[str, int]:
        if _cuda():
            sys.modules["torch"].cuda.empty_cache()
        return look()

    return {
        "allocator": lambda: _allocator_facts(name, version, tells=live_bytes is not None),
        "numbers": numbers,
        "start": start,
        "look": look,
        "look_collected": look_collected,
        "emptied": emptied,
        "trimmed": trimmed,
        **_instruments(),
    }


def _allocator_facts(name: str, version: str, *, tells: bool) -> dict[str, str]:
    """What serves malloc and Python, and why the bytes in use are not told, if they are not."""
    small = "pymalloc" if sys.getallocatedblocks() else "malloc"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        small = "mimalloc (free-threaded)"
    facts = {"allocator": " ".join(filter(None, (name, version))), "Python allocator": small}
    unread = f"malloc is served by {name}, which does not report the bytes in use"
    return facts if tells else {**facts, "live_heap": unread}


def _instruments() -> dict[str, Callable[..., Any]]:
    """The words of instruments, which leakhunt answers where it is installed."""
    made: dict[str, Any] = {}

    def asked(word: str) -> Callable[..., Any]:
        def answer(*about: str) -> Any:
            if not made:
                import leakhunt.agent

                made.update(leakhunt.agent._answers())
            answered = made[word](*about)
            # As JSON has it: messages in it are recorded as such.
            return json.loads(json.dumps(answered, default=sys.modules["leakhunt.agent"]._as_json))

        return answer

    return {word: asked(word) for word in ("watch", "mark", "findings")}


def _cuda() -> dict[str, int]:
    torch: Any = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not (cuda.is_available() and cuda.is_initialized()):
        return {}
    return {
        "cuda_allocated": cuda.memory_allocated(),
        "cuda_reserved": cuda.memory_reserved(),
    }


def _status() -> dict[str, int]:
    """What the kernel says of this process, in bytes."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        parts = [line.partition(":") for line in lines]
    return {
        _STATUS_NAMES[name]: int(rest.split()[0]) * 1024
        for name, _, rest in parts
        if name in _STATUS_NAMES
    }


def _pymalloc() -> dict[str, int]:
    """Bytes in use and in arenas of pymalloc, which CPython only prints, to C's stderr.

    That is led into memory for the while: descriptor 2, and what others write to it, stay.
    """
    report = getattr(sys, "_debugmallocstats", None)
    if report is None or not sys.getallocatedblocks():
        return {}
    import ctypes

    library: Any = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # elsewhere stderr cannot be set
        return {}
    library.open_memstream.restype = ctypes.c_void_p
    library.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.fclose.argtypes = library.free.argtypes = [ctypes.c_void_p]
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = library.open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        return {}
    stderr = ctypes.c_void_p.in_dll(library, "stderr")
    before, stderr.value = stderr.value, stream
    try:
        report()
    finally:
        stderr.value = before
        library.fclose(stream)
    try:
        told = ctypes.string_at(text, size.value).decode("ascii", "replace")
    finally:
        library.free(text)
    found = ((name, re.search(pattern, told)) for name, pattern in _PYMALLOC)
    return {name: int(match[1].replace(",", "")) for name, match in found if match}


def _allocator() -> tuple[str, str, Callable[[], int] | None, Callable[[], Any]]:
    """What serves malloc: name, version, how it tells the bytes in use, how it gives back."""
    try:
        import ctypes
    except ImportError:  # a Python without it
        return "unknown", "", None, int
    library: Any = ctypes.CDLL(None)
    # An executable may have an entry of its own for one of them, which leads on.
    places = list(filter(None, (_place(library, name) for name in ("malloc", "free", "calloc"))))
    # The loader names the executable as it was called: `python3` says nothing of a folder.
    own = (os.path.realpath("/proc/self/exe"), sys.orig_argv[0])
    outside = [each for each in places if each not in own and os.path.realpath(each) not in own]
    place = next(iter((*outside, *places)), "")
    for function, name in _KNOWN_BY:
        if place and _place(library, function) == place:
            return _of_allocator(library, name)
    return os.path.basename(place) or "unknown", "", None, int  # noqa: PTH119 - no pathlib here


def _place(library: Any, symbol: str) -> str:
    """The file that a symbol leads to; empty without one."""
    import ctypes

    try:
        function = ctypes.cast(getattr(library, symbol), ctypes.c_void_p)
    except AttributeError:
        return ""
    # Dl_info of dladdr(3): file name, base, symbol, address.
    found = (ctypes.c_void_p * 4)()
    library.dladdr.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    if not library.dladdr(function, found) or not found[0]:
        return ""
    return os.fsdecode(ctypes.string_at(found[0]))


def _of_allocator(
    library: Any, name: str
) -> tuple[str, str, Callable[[], int] | None, Callable[[], Any]]:
    import ctypes

    if name == "glibc":
        library.gnu_get_libc_version.restype = ctypes.c_char_p
        version = os.fsdecode(library.gnu_get_libc_version())
        live = _mallinfo2(library) if hasattr(library, "mallinfo2") else None
        return name, version, live, lambda: library.malloc_trim(0)
    value, size = ctypes.c_size_t(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_size_t))
    at = ctypes.byref(value)
    if name == "jemalloc":
        control = library[next(n for n in ("mallctl", "je_mallctl") if hasattr(library, n))]
        epoch = ctypes.c_uint64(1)

        def allocated() -> int:
            control(b"thread.tcache.flush", None, None, None, ctypes.c_size_t(0))
            control(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(8))
            control(b"stats.allocated", at, ctypes.byref(size), None, ctypes.c_size_t(0))
            return value.value

        def purge() -> None:
            control(b"arena.4096.purge", None, None, None, ctypes.c_size_t(0))

        return name, "", allocated if allocated() else None, purge
    if name == "tcmalloc" and hasattr(library, "MallocExtension_GetNumericProperty"):
        ask = library.MallocExtension_GetNumericProperty

        def current() -> int:
            ask(b"generic.current_allocated_bytes", at)
            return value.value

        return name, "", current, library.MallocExtension_ReleaseFreeMemory
    if name == "mimalloc":
        return name, "", None, lambda: library.mi_collect(True)
    return name, "", None, int


def _mallinfo2(library: Any) -> Callable[[], int]:
    """Bytes in use of all of glibc's arenas, and what it mapped."""
    import ctypes

    # arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost.
    if os.uname().machine in _STRUCT_BY_ADDRESS:  # where the address of the result comes first
        room = (ctypes.c_size_t * 10)()
        function = library["mallinfo2"]
        function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

        def read() -> int:
            function(room)
            return room[7] + room[4]

        return read
    fields = [(f"f{number}", ctypes.c_size_t) for number in range(10)]
    library.mallinfo2.restype = type("Mallinfo2", (ctypes.Structure,), {"_fields_": fields})

    def read_struct() -> int:
        told = library.mallinfo2()
        return int(told.f7 + told.f4)

    return read_struct


if __name__ == "leakhunt_visit":
    try:
        visit(*globals()["ORDER"])
    finally:
        globals().clear()
