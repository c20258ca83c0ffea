"""How a visitor traces allocations for a stretch; sent there as source text, after `looking`.

Memray's tracker where memray can be loaded: it sees C code as well. Else tracemalloc. The stretch
ends by itself in the process, whatever becomes of the one who asked, and leaves no file: a capture
is in memory that goes with its descriptor.

It imports the standard library only, as `standalone` does; memray when it is asked for.
"""

from __future__ import annotations

import _tracemalloc  # tracemalloc itself imports much
import atexit
import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

# What is told while the stretch lasts, as often: who does not take it any more has gone.
_BEAT_SECONDS = 0.2
_PIECE_BYTES = 1 << 20
_MAX_PLACES = 200
# How often memray notes RSS, which nobody reads here.
_RSS_MILLISECONDS = 1000
# The level of logging above which memray writes to standard error.
_CRITICAL = 50
# The memory that a capture is in, as the kernel names it.
_MEMORY = "leakhunt-trace"
# What memray is made of, and what it imports that is not of the standard library.
_MEMRAY = "memray"
_TRACEMALLOC = "tracemalloc"
_NEEDED = (_MEMRAY, "rich", "typing_extensions")
# They have profile functions of their own, which memray's would replace; cProfile's is another
# kind from Python 3.12 on.
_PROFILERS = ("viztracer", "yappi", "_yappi", "pyinstrument")
_OLD_PROFILER = "_lsprof"
_NEW_PROFILING = (3, 12)
# What is at work has hooks in a forked child too, which do nothing there but take time: `undo` is
# what the child does about it. The process forks before or after our steps, not within.
_FORKS = """
import threading

lock = threading.Lock()
undo = None

def before():
    lock.acquire()

def after():
    try:
        lock.release()
    except RuntimeError:
        pass

def in_child():
    global undo
    after()
    step, undo = undo, None
    try:
        if step is not None:
            step()
    except Exception:
        pass
"""
# Where these functions, which a process cannot forget, are found again by the next visit.
_FORKS_NAME = "_leakhunt_forks"
# The tracker at work, the memory of its capture, and what else it changes for good.
_trackers: list[tuple[Any, int, Any]] = []
_tracing: list[bool] = []
if "import_unforked" not in globals():  # imported, not sent
    from leakhunt.agent.importing import import_unforked


def tracer(order: str) -> dict[str, Any]:
    """What allocations are traced by here; where that is not memray, why not (a word, a detail).

    By nothing (empty) where memray is at work already: tracemalloc's hooks would be lost on its.

    `order` has the folder that memray may be borrowed from, where the process has none (empty:
    none), and the suffix of the extension modules in there. `stays` is by how much RSS grew, where
    memray was loaded for that.
    """
    given = json.loads(order)
    before = _rss_bytes()
    was_loaded = _MEMRAY in sys.modules
    against = _against_memray()
    if against is None and not was_loaded:
        against = _loaded(given["folder"], given["suffix"])
    has_loaded = not was_loaded and _MEMRAY in sys.modules
    stays = max(_rss_bytes() - before, 1) if has_loaded else 0
    if against is not None:
        tool = "" if against[0] == "busy" else _TRACEMALLOC
        return {"tool": tool, "why": against[0], "detail": against[1], "stays": stays}
    memray: Any = sys.modules[_MEMRAY]
    own = os.path.dirname(os.path.dirname(memray.__file__))  # noqa: PTH120 - no pathlib here
    return {
        "tool": _MEMRAY,
        "version": getattr(memray, "__version__", ""),
        "borrowed": own == given["folder"] and own not in map(os.path.realpath, sys.path),
        "stays": stays,
    }


def _rss_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as words:
        return int(words.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _against_memray() -> tuple[str, str] | None:
    """Why memray may not trace this process, were it there."""
    if _tracemalloc.is_tracing():
        return "tracing", ""
    if not hasattr(os, "memfd_create"):
        return "no-memory-file", ""
    if "greenlet" in sys.modules:  # memray's trace function of greenlets would stay
        return "greenlet", ""
    return _profiling()


def _profiling() -> tuple[str, str] | None:
    """What has profile functions, or may have them; memray's are those of a tracker."""
    hook = getattr(threading, "_profile_hook", None)
    if str(getattr(hook, "__module__", "")).partition(".")[0] == _MEMRAY:
        return "busy", ""
    if hook is not None:
        return "profiler", "threading.setprofile"
    old = () if sys.version_info >= _NEW_PROFILING else (_OLD_PROFILER,)
    found = (name for name in (*_PROFILERS, *old) if name in sys.modules)
    return next((("profiler", name) for name in found), None)


def _loaded(folder: str, suffix: str) -> tuple[str, str] | None:
    """Load memray, the process's own or a borrowed one; why that cannot be done."""
    try:
        if importlib.util.find_spec(_MEMRAY) is not None:
            import_unforked(_MEMRAY)
            _silence()
        elif not folder:
            return "missing", ""
        elif suffix not in importlib.machinery.EXTENSION_SUFFIXES:
            return "other-build", suffix
        else:
            _borrow(folder)
            _silence()
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    return None


def _silence() -> None:
    """What memray warns of is written to the standard error of the process."""
    silence = getattr(sys.modules[_MEMRAY], "set_log_level", None)
    if silence is not None:
        silence(_CRITICAL)


def _borrow(folder: str) -> None:
    """Load memray from a folder of somebody else's; what it needs is known to nobody but memray."""
    own, before = threading.get_ident(), set(sys.modules)

    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if threading.get_ident() != own or name.partition(".")[0] not in _NEEDED:
            return None
        return importlib.machinery.PathFinder.find_spec(name, path or [folder])

    finder: Any = types.SimpleNamespace(find_spec=find_spec)
    sys.meta_path.append(finder)
    try:
        import_unforked(_MEMRAY, "memray.reporters.module_tools")  # which a tracker imports
    finally:
        sys.meta_path.remove(finder)
        for name in [each for each in sys.modules if each.partition(".")[0] in _NEEDED[1:]]:
            if name not in before:
                del sys.modules[name]


def traced(order: str) -> Iterator[bytes]:
    """Trace for some seconds; what was allocated in them, and is alive at their end.

    Pieces: G while it goes on, and once after it; M parts of memray's capture, or T (JSON) the
    places that tracemalloc has; S what is said of it; X (JSON) why it could not be.
    """
    wanted = json.loads(order)
    start, result = _WAYS[wanted["tool"]]
    longest = [0.0]
    try:
        _timed(longest, lambda: start(wanted["frames"]))
        yield b"G"
        end = time.monotonic() + wanted["seconds"]
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _BEAT_SECONDS))
            yield b"G"
        yield from result(longest)
        yield b"S" + json.dumps({"longest_ns": int(longest[0] * 1e9)}).encode()
    except Exception as error:  # it cannot be traced: no failure of the process
        why = "busy" if "more than one Tracker" in str(error) else "failed"
        told = {"why": why, "detail": f"{type(error).__name__}: {error}"}
        yield b"X" + json.dumps(told).encode()
    finally:
        untrace()


def _timed(longest: list[float], step: Callable[[], Any]) -> Any:
    """What a step says that lets no other thread run, by the clock: the process waits."""
    since = time.perf_counter()
    try:
        return step()
    finally:
        longest[0] = max(longest[0], time.perf_counter() - since)


def _forks(tool: str) -> dict[str, Any]:
    """The namespace of what the process does when it forks, from the first trace by a tool on.

    In a child, memray's own hook comes first: ours is there after memray is loaded.
    """
    made: dict[str, dict[str, Any]] = vars(sys).setdefault(_FORKS_NAME, {})
    if tool not in made:
        made[tool] = {"__name__": "leakhunt_forks"}
        exec(_FORKS, made[tool])  # noqa: S102 - functions that outlive this visit
        os.register_at_fork(
            before=made[tool]["before"],
            after_in_parent=made[tool]["after"],
            after_in_child=made[tool]["in_child"],
        )
    return made[tool]


def _start_memray(frames: int) -> None:
    memray: Any = sys.modules[_MEMRAY]
    forks = _forks(_MEMRAY)
    with forks["lock"]:
        memory = os.memfd_create(_MEMORY, os.MFD_CLOEXEC)
        forks["undo"] = lambda: _close(memory)
    try:
        made = memray.Tracker(
            destination=memray.FileDestination(
                f"/proc/self/fd/{memory}", overwrite=True, compress_on_exit=False
            ),
            native_traces=True,
            trace_python_allocators=True,
            memory_interval_ms=_RSS_MILLISECONDS,
            file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
        )
        naming = vars(threading.Thread).get("_set_os_name")
        with forks["lock"]:
            made.__enter__()
            _trackers.append((made, memory, naming))
            forks["undo"] = _rid_of_memray
            atexit.register(_stop_memray)
    except BaseException:
        _let_go(memory)
        raise


def _stop_memray() -> int | None:
    """Stop it, if it is at work; the memory of its capture."""
    forks = _forks(_MEMRAY)
    with forks["lock"]:
        if not _trackers:
            return None
        memory = _exit_memray()
        forks["undo"] = lambda: _close(memory)
        return memory


def _exit_memray() -> int:
    made, memory, naming = _trackers.pop()
    atexit.unregister(_stop_memray)
    made.__exit__(None, None, None)
    if naming is not None:  # which memray wraps, and leaves wrapped
        threading.Thread._set_os_name = naming  # type: ignore[attr-defined]
    return memory


def _rid_of_memray() -> None:
    """In a forked child, where memray's tracker is no more, but for its hooks."""
    memray: Any = sys.modules[_MEMRAY]
    memory = _exit_memray()
    nowhere = memray.FileDestination(os.devnull, overwrite=True)
    with memray.Tracker(destination=nowhere, trace_python_allocators=True):
        pass  # its end takes all hooks away
    _close(memory)


def _close(memory: int) -> None:
    """In a forked child: memray has a descriptor of its own for the same memory."""
    ours = os.fstat(memory)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no pathlib in a child
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), ours):
                os.close(int(name))


def _memray_result(longest: list[float]) -> Iterator[bytes]:
    memory = _timed(longest, _stop_memray)
    if memory is None:  # the process is about to end
        return
    try:
        at = 0
        while part := os.pread(memory, _PIECE_BYTES, at):
            at += len(part)
            yield b"M" + part
    finally:
        _let_go(memory)


def _let_go(memory: int) -> None:
    """What a child without Python's hooks of forks still has of it is empty."""
    forks = _forks(_MEMRAY)
    with forks["lock"]:
        forks["undo"] = None
        with contextlib.suppress(OSError):
            os.ftruncate(memory, 0)
        os.close(memory)


def _start_tracemalloc(frames: int) -> None:
    """Switch it on; it was on before: its frames stay as they are."""
    forks = _forks(_TRACEMALLOC)
    with forks["lock"]:
        if not _tracemalloc.is_tracing():
            _tracemalloc.start(frames)
            _tracing.append(True)
            forks["undo"] = _tracemalloc.stop


def _stop_tracemalloc() -> None:
    forks = _forks(_TRACEMALLOC)
    with forks["lock"]:
        if _tracing:
            _tracing.clear()
            forks["undo"] = None
            _tracemalloc.stop()


def _tracemalloc_result(longest: list[float]) -> Iterator[bytes]:
    import_unforked(_TRACEMALLOC)
    snapshot = _timed(longest, sys.modules[_TRACEMALLOC].take_snapshot)
    untrace()
    time.sleep(0)
    found = snapshot.statistics("traceback")
    rows = [
        [[[frame.filename, frame.lineno] for frame in each.traceback], each.size, each.count]
        for each in found[:_MAX_PLACES]
        if each.traceback[-1].filename != __file__
    ]
    yield b"T" + json.dumps(rows).encode()


def untrace() -> dict[str, Any]:
    """Stop whatever of ours traces."""
    memory = _stop_memray() if _trackers else None
    if memory is not None:
        _let_go(memory)
    if _tracing:
        _stop_tracemalloc()
    return {}


def end() -> None:
    """What comes last, however the visit ends."""
    untrace()


_WAYS: dict[str, tuple[Callable[[int], None], Callable[[list[float]], Iterator[bytes]]]] = {
    _MEMRAY: (_start_memray, _memray_result),
    _TRACEMALLOC: (_start_tracemalloc, _tracemalloc_result),
}
WORDS = {"tracer": tracer, "traced": traced, "untrace": untrace}
