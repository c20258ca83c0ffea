"""What a visitor says of the objects in its process, in small slices; sent there as source text.

It imports the standard library only, as `standalone` does, and keeps no object longer than one
pass takes. What objects refer to is said, and the names of what it finds are made, by
`leakhunt.instruments.reference_chains`, whose source comes first, into the same namespace.

Every word that looks at all objects is answered by pieces: arrays of 64-bit numbers, each after a
letter. Between two slices, other threads run.
"""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import threading
import time
import types
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

# A slice takes so long at most, and then as long a rest; so many objects are looked at together.
_SLICE_SECONDS = 0.002
_TOGETHER = 500
# Containers from this length on are followed.
_LEAST_LENGTH = 16
# What everybody refers to, and what is too small to ask for.
_PLAIN = (type(None), bool, int, float)
_SIZED = (list, dict, set, deque, bytearray)
_STORAGE = 1 << 63
# Frames have no address that lasts: they are told by small numbers.
_MOST_FRAMES = 4000
_HEAD_BYTES = max(sys.getsizeof([]) - [].__sizeof__(), 0)
if "referents_of" not in globals():  # imported, not sent
    from leakhunt.instruments.reference_chains import referents_of


class _Slices:
    """Rests between slices, and remembers what took longest without another thread running.

    Within Python code other threads have their turn after `sys.getswitchinterval`; what is one call
    of C code is measured.
    """

    def __init__(self) -> None:
        self.longest = sys.getswitchinterval()
        self.busy = 0.0
        self._since = time.thread_time()

    def objects(self) -> list[Any]:
        """All objects that the collector tracks."""
        since = time.thread_time()
        found = gc.get_objects()
        self.longest = max(self.longest, time.thread_time() - since)
        self.end()
        return found

    def end(self, least: float = 0.0) -> None:
        """A slice may end here, if it has taken long enough."""
        taken = time.thread_time() - self._since
        if taken >= least:
            self.busy += taken
            time.sleep(taken)
            self._since = time.thread_time()

    def said(self, objects: int) -> bytes:
        """What is said of a pass."""
        self.end()
        longest, busy = int(self.longest * 1e9), int(self.busy * 1e9)
        said = {"objects": objects, "longest_ns": longest, "busy_ns": busy}
        return _piece(b"S", json.dumps(said).encode())


def _piece(letter: bytes, values: Any) -> bytes:
    return letter + (values if isinstance(values, bytes) else array("Q", values).tobytes())


def _batches(objects: list[Any], slices: _Slices) -> Iterator[list[Any]]:
    """The objects by and by; what was given is let go."""
    while objects:
        yield objects[-_TOGETHER:]
        del objects[-_TOGETHER:]
        slices.end(_SLICE_SECONDS)


def graph() -> Iterator[bytes]:
    """All objects that the collector tracks, what they refer to, and their sizes.

    Pieces: K kinds and N their names (JSON), R roots with their names, O rows of (object, kind,
    size, number of referents), E referents in the same order, L rows of (leaf, kind, size, bytes
    that Python did not allocate), S what is said of the pass.
    """
    slices = _Slices()
    sizes = _Sizes()
    yield from _roots()
    objects = slices.objects()
    count = len(objects)
    for batch in _batches(objects, slices):
        yield from _rows(batch, sizes, slices)
    yield _piece(b"N", json.dumps(sizes.names).encode())
    yield slices.said(count)


def _roots() -> Iterator[bytes]:
    """Modules, then each thread's frames: pseudo objects, with their local variables."""
    modules = {id(each): name for name, each in list(sys.modules.items())
               if issubclass(type(each), types.ModuleType)}  # fmt: skip
    yield _piece(b"R", json.dumps(list(modules.items())).encode())
    own = threading.get_ident()
    number = 0
    for thread, frame in sys._current_frames().items():
        if thread == own:
            continue
        for each in _stack(frame):
            number += 1
            if number >= _MOST_FRAMES:
                return
            found = [*referents_of(each), *_variables(each)]
            yield _piece(
                b"F", json.dumps([number, f"frame of {each.f_code.co_qualname}()"]).encode()
            )
            yield _piece(b"E", map(id, found))


def _variables(frame: Any) -> Any:
    """What the variables of a running frame are; those of a module are the module's."""
    return () if frame.f_locals is frame.f_globals else frame.f_locals.values()


def _stack(frame: Any) -> Iterator[Any]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _rows(batch: list[Any], sizes: _Sizes, slices: _Slices) -> Iterator[bytes]:
    """The rows of some tracked objects, and of what hangs on them and is not tracked.

    One object after the other: many containers of ours at once would start collections.
    """
    rows, edges, leaves, natives = array("Q"), array("Q"), array("Q"), array("Q")
    seen: set[int] = set()
    opened: list[Any] = []
    tracked = gc.is_tracked
    for turn, each in enumerate(chain(batch, opened)):  # it grows on the way
        if not turn % _TOGETHER:
            slices.end(_SLICE_SECONDS)
        below = _referents(each)
        count = len(edges)
        for one in below:
            if type(one) in _PLAIN:
                continue
            name = id(one)
            edges.append(name)
            if name in seen or tracked(one):
                continue
            seen.add(name)
            if type(one) in _OPENED:
                opened.append(one)
            else:
                leaves.extend((name, id(type(one)), sizes.of(one)))
        rows.extend((id(each), id(type(each)), sizes.of(each), len(edges) - count))
        if sizes.has_storage(each):
            natives.extend(sizes.storage(each))
    yield b"O" + rows.tobytes()
    yield b"E" + edges.tobytes()
    yield b"L" + leaves.tobytes()
    yield b"B" + natives.tobytes()


def _referents(each: Any) -> list[Any]:
    """What an object refers to, with what it does not say.

    Of an array that is what it is a view of, of a dict the keys, if all of them are texts.
    """
    if type(each) is _ndarray():
        return [each.base] if each.base is not None else []
    found = referents_of(each)
    if type(each) is dict and len(found) == len(each) >= _LEAST_LENGTH:
        found += list(each)
    return found


def _ndarray() -> Any:
    return getattr(sys.modules.get("numpy"), "ndarray", None)


# What is not tracked, and refers to others all the same.
_OPENED = (tuple, dict, frozenset, types.CodeType)


class _Sizes:
    """The size of objects by their kinds, without calling a ``__sizeof__`` written in Python."""

    def __init__(self) -> None:
        self.names: dict[int, list[str]] = {}
        self._functions: dict[type, Callable[[Any], int]] = {}

    def of(self, each: Any) -> int:
        """Bytes; 0 of what refuses."""
        kind = type(each)
        function = self._functions.get(kind)
        if function is None:
            function = self._functions[kind] = self._function(kind)
            self.names[id(kind)] = _described(kind)
        if kind in _LABELLED and id(each) not in self.names:
            self.names[id(each)] = _label(each)
        try:
            return function(each)
        except Exception:  # a C class may refuse, of an object that is not ready
            return 0

    def _function(self, kind: type) -> Callable[[Any], int]:
        for base in kind.__mro__:
            own = vars(base).get("__sizeof__")
            if own is not None and isinstance(own, types.FunctionType):
                return lambda each: object.__sizeof__(each) + _HEAD_BYTES
            if own is not None:
                return sys.getsizeof
        return sys.getsizeof

    def has_storage(self, each: Any) -> bool:
        """Whether it is a tensor."""
        torch = sys.modules.get("torch")
        return torch is not None and issubclass(type(each), torch.Tensor)

    def storage(self, each: Any) -> Sequence[int]:
        """Of a tensor: its address, that of its memory, and the bytes of that."""
        with contextlib.suppress(Exception):
            if each.device.type == "cpu":
                storage = each.untyped_storage()
                return id(each), storage.data_ptr() | _STORAGE, storage.nbytes()
        return ()


_LABELLED = (types.ModuleType, type, types.FunctionType)


def _described(kind: type) -> list[str]:
    """The name of a kind, and what its objects are: a module, a class, a container ..."""
    module = type.__getattribute__(kind, "__module__")
    name = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    for letter, kinds in _LETTERS:
        if issubclass(kind, kinds):
            return [name, letter]
    return [name, ""]


_LETTERS: tuple[tuple[str, Any], ...] = (
    ("m", types.ModuleType),
    ("t", type),
    ("f", types.FunctionType),
    ("d", dict),
    ("c", (list, tuple, set, frozenset, deque)),
)


def _label(each: Any) -> list[str]:
    """The module of a module, class or function."""
    with contextlib.suppress(Exception):
        if issubclass(type(each), types.ModuleType):
            return [str(types.ModuleType.__getattribute__(each, "__dict__").get("__name__")), "M"]
        return [str(each.__module__), "M"]
    return ["", "M"]


def lengths() -> Iterator[bytes]:
    """How many objects there are of each kind, and the lengths of containers.

    Pieces: C rows of (container, kind, length), K rows of (kind, objects), N names, S the pass.
    """
    slices = _Slices()
    objects = slices.objects()
    count = len(objects)
    kinds: Counter[type] = Counter()
    for batch in _batches(objects, slices):
        kinds.update(map(type, batch))
        below = referents_of(*batch)
        loose = [each for each in below if type(each) is dict and not gc.is_tracked(each)]
        rows = [value for each in (*batch, *loose) if _is_sized(type(each))
                and (length := len(each)) >= _LEAST_LENGTH
                for value in (id(each), id(type(each)), length)]  # fmt: skip
        yield _piece(b"C", rows)
    yield _piece(b"K", [value for kind, number in kinds.items() for value in (id(kind), number)])
    names = {id(kind): _described(kind) for kind in (*kinds, *_SIZED)}
    yield _piece(b"N", json.dumps(names).encode())
    yield slices.said(count)


def _is_sized(kind: type) -> bool:
    return kind in _SIZED or (issubclass(kind, _SIZED) and kind.__len__ in _LENGTHS)


_LENGTHS = [kind.__len__ for kind in _SIZED]


def named(text: str) -> dict[str, list[dict[str, Any]]]:
    """The names of objects, each by the addresses on the way from a root down to it.

    None of what is not there any more. Of each: its path, its kind, the file that it is of, and the
    kinds of its newest items.
    """
    slices = _Slices()
    found = []
    for each in json.loads(text):
        found.append(_named(each))
        slices.end(_SLICE_SECONDS)
    return {"named": found}


def _named(addresses: Sequence[int]) -> dict[str, Any]:
    frame, links = "", _walked(addresses)
    if not links:
        return {}
    if addresses[0] < _MOST_FRAMES:
        frame = f"frame of {links[0].f_code.co_qualname}()"
    space = globals()
    told = links[:-1] if len(links) > 1 and space["are_attributes"](links[-2], links[-1]) else links
    owner = space["owner_file"](links)
    found = {"path": space["path_of"](told, None), "kind": space["type_name"](told[-1])}
    if issubclass(type(links[-1]), _SIZED):
        found["length"] = len(links[-1])
        found["items"] = [_type_names(each) for each in _newest(links[-1])]
    if frame or owner:
        found["file"] = owner or links[0].f_code.co_filename
    return found


def _type_names(each: Any) -> str:
    name: str = globals()["type_name"](each)
    return name


def _newest(container: Any) -> list[Any]:
    """The items that came last, of a dict the values."""
    kind: Any = next(each for each in _SIZED if issubclass(type(container), each))
    if kind is dict:
        keys = [key for key, _ in zip(dict.__reversed__(container), range(3), strict=False)]
        return [dict.__getitem__(container, key) for key in keys]
    if kind is set:
        return [each for each, _ in zip(set.__iter__(container), range(3), strict=False)]
    if kind is bytearray:
        return []
    return [each for each, _ in zip(kind.__reversed__(container), range(3), strict=False)]


_MISSING = object()


def _walked(addresses: Sequence[int]) -> list[Any]:
    """The objects at these addresses, each found among the referents of the one before."""
    first = addresses[0]
    if first < _MOST_FRAMES:
        stacks = sys._current_frames()
        stacks.pop(threading.get_ident(), None)
        frames = list(chain.from_iterable(map(_stack, stacks.values())))
        starts = frames[first - 1 : first]
    else:
        starts = [each for each in list(sys.modules.values()) if id(each) == first]
        if not starts and len(addresses) <= 2:  # what only C code holds
            starts = [each for each in gc.get_objects() if id(each) == first]
    links = starts
    for address in addresses[1:]:
        if not links:
            return []
        above = links[-1]
        below = list(referents_of(above))
        if type(above) is types.FrameType:
            below += _variables(above)
        found = next((each for each in below if id(each) == address), _MISSING)
        del below
        if found is _MISSING:
            return []
        links.append(found)
    return links


def facts() -> dict[str, Any]:
    """What is to know of this Python."""
    import tracemalloc

    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "path": [each for each in sys.path if each],
        "modules": sorted({name.partition(".")[0] for name in list(sys.modules)}),
        "main": getattr(sys.modules.get("__main__"), "__file__", None) or "",
        "gc_enabled": gc.isenabled(),
        "gc_threshold": list(gc.get_threshold()),
        "frozen": gc.get_freeze_count(),
        "tracing": tracemalloc.is_tracing(),
    }


def trace(frames: str) -> dict[str, Any]:
    """Switch tracemalloc on; it was on before: its frames stay as they are."""
    import tracemalloc

    if not tracemalloc.is_tracing():
        tracemalloc.start(int(frames))
        _tracing.append(True)
    return {"bytes": tracemalloc.get_tracemalloc_memory()}


def traced() -> Iterator[bytes]:
    """The places of what was allocated since, and is alive: T (file, line, bytes, blocks) rows."""
    import tracemalloc

    cost = tracemalloc.get_tracemalloc_memory()
    snapshot = tracemalloc.take_snapshot()
    untrace()
    time.sleep(0)
    found = snapshot.statistics("traceback")
    rows = [
        [[[frame.filename, frame.lineno] for frame in each.traceback], each.size, each.count]
        for each in found[:_MOST_PLACES]
        if each.traceback[-1].filename != __file__
    ]
    said = {"cost": cost, "bytes": sum(each.size for each in found), "places": rows}
    yield _piece(b"T", json.dumps(said).encode())


_MOST_PLACES = 200
_tracing: list[bool] = []


def untrace() -> dict[str, Any]:
    """Switch tracemalloc off, if it was us who switched it on."""
    import tracemalloc

    if _tracing:
        _tracing.clear()
        tracemalloc.stop()
    return {}


def end() -> None:
    """What comes last, however the visit ends."""
    untrace()


WORDS = {
    "graph": graph,
    "lengths": lengths,
    "named": named,
    "facts": facts,
    "trace": trace,
    "traced": traced,
    "untrace": untrace,
}
