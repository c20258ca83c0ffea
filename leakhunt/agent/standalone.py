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
import functools
import gc
import json
import os
import re
import socket
import struct
import sys
import time
from _thread import RLock, get_native_id, start_new_thread
from array import array
from collections.abc import Callable
from typing import Any

# What our frames are named in the process.
FILE = "<leakhunt>"
# struct ucred of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("iII")
_LONGEST_REQUEST_BYTES = 4096
# A visitor's asker sends source texts.
_LONGEST_ORDER_BYTES = 1 << 20
_RETRY_SECONDS = 1.0
_TOKEN_SECONDS = 10.0
_LEAVING_SECONDS = 0.5
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
_RESULT_BY_ADDRESS = ("x86_64",)
_LONGEST_PATH_BYTES = 4096
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


def visit(name: str, token: str, source: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Answer the one that waits at a name and knows `token`, until it hangs up; leave nothing.

    `source` is where the text that brought us here is mapped, how long that mapping is, and where
    it is said in there that the thread which was led through it has left it.
    """
    try:
        asker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with asker, contextlib.suppress(OSError):  # nobody is there any more, or it hung up
            asker.connect(f"\0{name}")
            asker.settimeout(_TOKEN_SECONDS)
            if asker.recv(len(token), socket.MSG_WAITALL) == token.encode():
                asker.settimeout(None)
                asker.sendall(json.dumps({"thread": get_native_id()}).encode() + b"\n")
                _host(asker)
    finally:
        _unmap(*source)


def _host(asker: socket.socket) -> None:
    """Answer an asker that may bring words of its own."""
    words = _words()
    import_unforked = globals()["import_unforked"]  # of `importing`, which came before us
    space: dict[str, Any] = {
        "__name__": "leakhunt_visitor",
        "__file__": FILE,
        "import_unforked": import_unforked,
    }

    def load(text: str) -> dict[str, int]:
        """Run a source text; the words that its `WORDS` defines can be said from then on.

        `text` (JSON) has the modules that it imports, and itself.
        """
        names, source = json.loads(text)
        import_unforked(*names)
        exec(compile(source, FILE, "exec"), space)  # noqa: S102
        words.update(space.get("WORDS", {}))
        return {}

    words["load"] = load
    try:
        _serve(asker, words, _LONGEST_ORDER_BYTES)
    finally:
        if (end := space.get("end")) is not None:
            end()
        space.clear()
        words.clear()


def _unmap(address: int, length: int, left: int) -> None:
    """Unmap the text that brought us here, once nobody runs or reads it any more."""
    if not address:
        return
    call, _ = _c_functions()
    if left:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            while memory.seek(left) and not any(memory.read(8)):
                time.sleep(_LEAVING_SECONDS)
    time.sleep(_LEAVING_SECONDS)  # the last instructions come after it was said
    call("munmap", address, length)


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
    name, version, tells, trim = _allocator()

    def numbers() -> dict[str, int]:
        blocks = sys.getallocatedblocks()
        values = {"python_blocks": blocks} if blocks else {}  # none with PYTHONMALLOC=malloc
        if "live_heap" in tells:
            values["live_heap"] = tells["live_heap"]()
        return {**values, **_cuda()}

    def look() -> dict[str, int]:
        collected = sum(each["collected"] for each in gc.get_stats())
        kernel = {"clock_ns": time.monotonic_ns(), **_status()}
        of_malloc = {each: tell() for each, tell in tells.items()}
        counted = {**_pymalloc(), **numbers(), **of_malloc}
        return {**kernel, **counted, "garbage_objects": collected}

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
        "allocator": lambda: _allocator_facts(name, version, tells="live_heap" in tells),
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
    if "t" in sys.abiflags:  # the build; its GIL may be on
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
    call, has = _c_functions()
    stderr = has("stderr")
    if not (stderr and has("gnu_get_libc_version")):  # elsewhere stderr cannot be set
        return {}
    room = array("Q", [0, 0])
    text_at = room.buffer_info()[0]
    stream = call("open_memstream", text_at, text_at + 8)
    if not stream:
        return {}
    before = _word(stderr)
    _set_word(stderr, stream)
    try:
        report()
    finally:
        _set_word(stderr, before)
        call("fclose", stream)
    told = _bytes(room[0], room[1]).decode("ascii", "replace")
    call("free", room[0])
    found = ((name, re.search(pattern, told)) for name, pattern in _PYMALLOC)
    return {name: int(match[1].replace(",", "")) for name, match in found if match}


@functools.cache
def _c_functions() -> tuple[Callable[..., int], Callable[[str], int]]:
    """How to call a function of C by its name, and how to find one (0: there is none).

    By what is below `ctypes`: importing that makes a callback, and a process may forbid these.
    Some versions of libffi keep a descriptor of their own file open from here on.
    """
    import _ctypes

    c: Any = _ctypes
    place = type("Place", (c._SimpleCData,), {"_type_": "P"})
    function = type("Function", (c.CFuncPtr,), {"_flags_": c.FUNCFLAG_CDECL, "_restype_": place})
    library = c.dlopen(None, 0)

    def has(name: str) -> int:
        try:
            return int(c.dlsym(library, name))
        except OSError:
            return 0

    def call(name: str, *values: int | bytes) -> int:
        given = (each if type(each) is bytes else place(each) for each in values)
        return function(has(name))(*given) or 0

    return call, has


def _bytes(address: int, length: int) -> bytes:
    """Memory of this process."""
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length)


def _word(address: int) -> int:
    return int.from_bytes(_bytes(address, 8), sys.byteorder)


def _set_word(address: int, value: int) -> None:
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(value.to_bytes(8, sys.byteorder))


# Name and version of what serves malloc, what it tells (in bytes), and how it gives back.
_Allocator = tuple[str, str, dict[str, Callable[[], int]], Callable[[], Any]]


def _allocator() -> _Allocator:
    """What serves malloc in this process."""
    try:
        call, has = _c_functions()
    except ImportError:  # a Python without it
        return "unknown", "", {}, int
    # An executable may have an entry of its own for one of them, which leads on; the loader names
    # the executable as it was called.
    own = (os.path.realpath("/proc/self/exe"), sys.orig_argv[0])
    places = [_place(call, has(name)) for name in ("malloc", "free", "calloc")]
    outside = [each for each in places if each and not {each, os.path.realpath(each)} & set(own)]
    place = next(iter((*outside, *filter(None, places))), "")
    for function, name in _KNOWN_BY:
        if place and _place(call, has(function)) == place:
            return _of_allocator(call, has, name)
    return os.path.basename(place) or "unknown", "", {}, int  # noqa: PTH119 - no pathlib here


def _place(call: Callable[..., int], function: int) -> str:
    """The file that a function is in; empty where it cannot be told."""
    # Dl_info of dladdr(3): file name, base, symbol, address.
    found = array("Q", [0] * 4)
    if not function or not call("dladdr", function, found.buffer_info()[0]) or not found[0]:
        return ""
    return os.fsdecode(_bytes(found[0], _LONGEST_PATH_BYTES).partition(b"\0")[0])


def _of_allocator(call: Callable[..., int], has: Callable[[str], int], name: str) -> _Allocator:
    # A value, its size, and the number that has jemalloc bring its statistics up to date.
    room = array("Q", [0, 8, 1])
    at = room.buffer_info()[0]

    def read(*words: Any) -> int:
        call(*words)
        return room[0]

    if name == "glibc":
        version = _bytes(call("gnu_get_libc_version"), 16).partition(b"\0")[0].decode()
        tells = _mallinfo2(call) if has("mallinfo2") else {}
        return name, version, tells, lambda: call("malloc_trim", 0)
    if name == "jemalloc":
        control = "mallctl" if has("mallctl") else "je_mallctl"

        def allocated() -> int:
            call(control, b"thread.tcache.flush", 0, 0, 0, 0)
            call(control, b"epoch", 0, 0, at + 16, 8)
            return read(control, b"stats.allocated", at, at + 8, 0, 0)

        tells = {"live_heap": allocated} if allocated() else {}
        return name, "", tells, lambda: call(control, b"arena.4096.purge", 0, 0, 0, 0)
    if name == "tcmalloc" and has("MallocExtension_GetNumericProperty"):
        live = functools.partial(
            read, "MallocExtension_GetNumericProperty", b"generic.current_allocated_bytes", at
        )
        tells = {"live_heap": live}
        return name, "", tells, lambda: call("MallocExtension_ReleaseFreeMemory")
    if name == "mimalloc":
        return name, "", {}, lambda: call("mi_collect", 1)
    return name, "", {}, int


def _mallinfo2(call: Callable[..., int]) -> dict[str, Callable[[], int]]:
    """Bytes in use of all of glibc's arenas and of what it mapped, and the latter alone."""
    # arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost.
    room = array("Q", [0] * 10)
    at = room.buffer_info()[0]
    if os.uname().machine in _RESULT_BY_ADDRESS:  # where the result's address comes first

        def read() -> tuple[int, int]:
            call("mallinfo2", at)
            return room[7], room[4]

    else:
        read = _mallinfo2_by_ctypes()
    return {"live_heap": lambda: sum(read()), "malloc_mapped": lambda: read()[1]}


def _mallinfo2_by_ctypes() -> Callable[[], tuple[int, int]]:
    import ctypes

    fields = [(f"f{number}", ctypes.c_size_t) for number in range(10)]
    function = ctypes.CDLL(None)["mallinfo2"]
    function.restype = type("Mallinfo2", (ctypes.Structure,), {"_fields_": fields})

    def read() -> tuple[int, int]:
        told: Any = function()
        return told.f7, told.f4

    return read


if __name__ == "leakhunt_visit":
    try:
        visit(*globals()["ORDER"])
    finally:
        globals().clear()
