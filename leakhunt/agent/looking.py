"""What a visitor says of the objects in its process, in small slices; sent there as source text.

It imports the standard library only, as `standalone` does, and keeps no object longer than one
pass takes. What objects refer to is said, and the names of what it finds are made, by
`leakhunt.instruments.reference_chains`, whose source comes first, into the same namespace.

Every word that looks at all objects is answered by pieces: arrays of 64-bit numbers, each after a
letter. Between two slices, other threads run. The collector lists its objects in one call, in which
no other thread runs: where there are many, they are found from the roots instead, slice by slice.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
import threading
import time
import types
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

# A slice takes so long at most, and then as long a rest; so many objects are looked at together.
_SLICE_SECONDS = 0.002
_TOGETHER = 500
# Containers from this length on are followed.
_MIN_LENGTH = 16
# What everybody refers to, and what is too small to ask for: a number counts to its only owner.
_PLAIN = (type(None), bool, int, float)
# An allocator hands out multiples of 16 bytes: sizes are rounded up to one without these bits.
_UNALIGNED = 15
# Attributes without a dict are in no size: they are of objects of types with this flag
# (Py_TPFLAGS_MANAGED_DICT), 30 and the class at most, with two more pointers before them.
_MANAGED_DICT = 1 << 4
_POINTER_BYTES = 8
# 3.12 has them in a block of their own, which begins with a pointer's bytes.
_POINTERS_BESIDE = 1 if sys.version_info[:2] == (3, 12) else 2
_MOST_ATTRIBUTES = 31
_SIZED = (list, dict, set, deque, bytearray)
# What these refer to are items, and in their size.
_WITH_ITEMS = (list, dict, set, frozenset, tuple, deque)
_STORAGE = 1 << 63
# Frames have no address that lasts: they are told by small numbers.
_MAX_FRAMES = 4000
# With more blocks than this, the collector's list would take too long; where they are not counted,
# they are taken to be as small as this.
_MAX_BLOCKS = 1_000_000
_BLOCK_BYTES = 64
# What is asked of a word that has to list all objects, however long that takes.
DEEP = "deep"
# What refers to more than this is asked on the clock: that is one call.
_LARGE = 10_000
_HEAD_BYTES = max(sys.getsizeof([]) - [].__sizeof__(), 0)
if "referents_of" not in globals():  # imported, not sent
    from leakhunt.instruments.reference_chains import referents_of


def _references_of_one_owner() -> int:
    """What `sys.getrefcount` says of an item of one container whose items are gone through."""
    owner = [float("0.5")]
    return next(sys.getrefcount(one) for one in list(owner))


_ALONE = _references_of_one_owner()


class _Slices:
    """Rests between slices, and remembers what took longest without another thread running.

    Within Python code other threads have their turn after `sys.getswitchinterval`; what is one call
    of C code is measured. `is_walk`: objects are found from the roots, and not listed at once.
    """

    def __init__(self, about: str = "") -> None:
        self.longest = sys.getswitchinterval()
        self.busy = 0.0
        self.is_walk = about != DEEP and _are_many()
        self.count = 0
        self._since = time.thread_time()

    def call(self, function: Callable[..., list[Any]], *values: Any) -> list[Any]:
        """What a function of C says that may take long; by the clock, since the process waits."""
        since = time.perf_counter()
        found = function(*values)
        self.longest = max(self.longest, time.perf_counter() - since)
        return found

    def end(self, least: float = 0.0) -> None:
        """A slice may end here, if it has taken long enough."""
        taken = time.thread_time() - self._since
        if taken >= least:
            self.busy += taken
            time.sleep(taken)
            self._since = time.thread_time()

    def said(self) -> bytes:
        """What is said of a pass."""
        self.end()
        longest, busy = int(self.longest * 1e9), int(self.busy * 1e9)
        said = {"objects": self.count, "longest_ns": longest, "busy_ns": busy,
                "walked": int(self.is_walk)}  # fmt: skip
        return _piece(b"S", json.dumps(said).encode())


def _are_many() -> bool:
    """Whether the process may have too many objects for one call to list them."""
    blocks = sys.getallocatedblocks()
    if not blocks:
        with open("/proc/self/statm", encoding="ascii") as words:
            blocks = int(words.read().split()[1]) * resource.getpagesize() // _BLOCK_BYTES
    return blocks > _MAX_BLOCKS


def _piece(letter: bytes, values: Any) -> bytes:
    return letter + (values if isinstance(values, bytes) else array("Q", values).tobytes())


def _batches(slices: _Slices) -> Iterator[list[Any]]:
    """The objects that the collector tracks, by and by; what was given is let go."""
    for batch in _walk(slices) if slices.is_walk else _listed(slices):
        slices.count += len(batch)
        yield batch
        slices.end(_SLICE_SECONDS)


def _listed(slices: _Slices) -> Iterator[list[Any]]:
    """All of them, as the collector lists them."""
    objects = slices.call(gc.get_objects)
    slices.end()
    while objects:
        yield objects[-_TOGETHER:]
        del objects[-_TOGETHER:]


def _walk(slices: _Slices) -> Iterator[list[Any]]:
    """Those that the roots lead to, each once.

    Of the addresses that were seen there is a byte for 32: no object takes less.
    """
    seen: dict[int, bytearray] = {}
    waiting: list[Any] = []
    most = 2 * sys.getallocatedblocks() + _MAX_BLOCKS  # the process may be faster than we are
    tracked = gc.is_tracked

    def put(found: list[Any]) -> None:
        for turn, each in enumerate(found):
            if not turn % _TOGETHER:
                slices.end(_SLICE_SECONDS)
            if tracked(each) or type(each) in _OPENED:
                name = id(each)
                page = seen.get(name >> 24)
                if page is None:
                    page = seen[name >> 24] = bytearray(1 << 19)
                if not page[name >> 5 & 0x7FFFF]:
                    page[name >> 5 & 0x7FFFF] = 1
                    waiting.append(each)

    for root in _walked_from():
        put(root)
    while waiting and slices.count < most:
        batch = waiting[-_TOGETHER:]
        del waiting[-_TOGETHER:]
        for found in _below(batch, slices):
            put(found)
        yield [each for each in batch if tracked(each)]


def _walked_from() -> Iterator[list[Any]]:
    """Modules, what running frames refer to, and all classes with what they have."""
    yield [sys.modules, *list(sys.modules.values())]
    own = threading.get_ident()
    for thread, frame in sys._current_frames().items():
        if thread != own:
            for each in _stack(frame):
                yield [*referents_of(each), *_variables(each)]
    classes: list[type] = [object]
    known: set[type] = {object}
    for kind in classes:  # it grows on the way
        yield [kind, *referents_of(type.__getattribute__(kind, "__dict__"))]
        subclasses: list[type] = type.__subclasses__(kind)
        below = [each for each in subclasses if each not in known]
        known.update(below)
        classes += below


def graph(about: str = "") -> Iterator[bytes]:
    """All objects that the collector tracks, what they refer to, and their sizes.

    Many are found from the roots, but with `DEEP`: those that only C code refers to are not told.

    Pieces: K kinds and N their names (JSON), R roots with their names, O rows of (object, kind,
    size, number of referents), E referents in the same order, L rows of (leaf, kind, size, bytes
    that Python did not allocate), S what is said of the pass.
    """
    slices = _Slices(about)
    sizes = _Sizes()
    yield from _roots()
    for batch in _batches(slices):
        yield from _rows(batch, sizes, slices)
    yield _piece(b"N", json.dumps(sizes.names).encode())
    yield slices.said()


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
            if number >= _MAX_FRAMES:
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
    tracked, getrefcount, getsizeof = gc.is_tracked, sys.getrefcount, sys.getsizeof
    for turn, each in enumerate(chain(batch, opened)):  # it grows on the way
        if not turn % _TOGETHER:
            slices.end(_SLICE_SECONDS)
        is_large = type(each) in _SIZED and len(each) > _LARGE
        referents = [] if is_large else _referents(each)
        below = chain.from_iterable(_below([each], slices)) if is_large else referents
        count, own = len(edges), 0
        for one in below:
            if type(one) in _PLAIN:
                if getrefcount(one) <= _ALONE:
                    own += getsizeof(one) + _UNALIGNED & ~_UNALIGNED
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
        own += sizes.of(each, len(referents))
        rows.extend((id(each), id(type(each)), own, len(edges) - count))
        if sizes.has_storage(each):
            natives.extend(sizes.storage(each))
    yield b"O" + rows.tobytes()
    yield b"E" + edges.tobytes()
    yield b"L" + leaves.tobytes()
    yield b"B" + natives.tobytes()


def _below(objects: list[Any], slices: _Slices) -> Iterator[list[Any]]:
    """What objects refer to; of a large list piece by piece, of all others in one call."""
    others = []
    for each in objects:
        if type(each) is not list or len(each) <= _LARGE:
            others.append(each)
            continue
        for at in range(0, len(each), _LARGE):
            yield each[at : at + _LARGE]
            slices.end(_SLICE_SECONDS)
    if len(others) == 1:
        yield slices.call(_referents, others[0])
    elif others:
        yield slices.call(referents_of, *others)


def _referents(each: Any) -> list[Any]:
    """What an object refers to, with what it does not say.

    Of an array that is what it is a view of, of a dict the keys, if all of them are texts.
    """
    kind = type(each)
    if kind is _ndarray():
        return [each.base] if each.base is not None else []
    found = referents_of(each)
    if issubclass(kind, dict):
        length = dict.__len__(each)
        if length >= _MIN_LENGTH and len(found) < 2 * length:  # else they are among them
            found += dict.keys(each)
    return found


def _ndarray() -> Any:
    return getattr(sys.modules.get("numpy"), "ndarray", None)


def _opened(version: str) -> tuple[type, ...]:
    """What is not tracked, and refers to others all the same, in a Python of that version.

    Free-threaded builds may make modules, classes and functions immortal, and track them no more.
    """
    kinds = (tuple, dict, frozenset, types.CodeType)
    immortal = (types.ModuleType, types.FunctionType, type)
    return (*kinds, *immortal) if "free-threading" in version else kinds


_OPENED = _opened(sys.version)


class _Sizes:
    """The size of objects by their kinds, without calling a ``__sizeof__`` written in Python."""

    def __init__(self) -> None:
        self.names: dict[int, list[str]] = {}
        self._functions: dict[type, Callable[[Any], int]] = {}
        self._most_attributes: dict[type, int] = {}

    def of(self, each: Any, referents: int = 0) -> int:
        """Bytes as an allocator hands them out; 0 of what refuses.

        With the values of attributes that need no dict, of which `referents` says the number.
        """
        kind = type(each)
        function = self._functions.get(kind)
        if function is None:
            function = self._functions[kind] = self._function(kind)
            self.names[id(kind)] = _described(kind)
            if kind.__flags__ & _MANAGED_DICT:
                most = 0 if issubclass(kind, _WITH_ITEMS) else _MOST_ATTRIBUTES
                self._most_attributes[kind] = most
        if kind in _LABELLED and id(each) not in self.names:
            self.names[id(each)] = _label(each)
        try:
            size = function(each)
        except Exception:  # a C class may refuse, of an object that is not ready
            return 0
        if kind in self._most_attributes:
            own = min(referents, self._most_attributes[kind])
            size += _POINTER_BYTES * (_POINTERS_BESIDE + own)
        return size + _UNALIGNED & ~_UNALIGNED

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


def lengths(about: str = "") -> Iterator[bytes]:
    """How many objects there are of each kind, and the lengths of containers.

    Pieces: C rows of (container, kind, length), K rows of (kind, objects), N names, S the pass.
    """
    slices = _Slices(about)
    kinds: Counter[type] = Counter()
    for batch in _batches(slices):
        kinds.update(map(type, batch))
        below = chain.from_iterable(_below(batch, slices))
        loose = [each for each in below if type(each) is dict and not gc.is_tracked(each)]
        rows = [value for each in (*batch, *loose) if _is_sized(type(each))
                and (length := len(each)) >= _MIN_LENGTH
                for value in (id(each), id(type(each)), length)]  # fmt: skip
        yield _piece(b"C", rows)
    yield _piece(b"K", [value for kind, number in kinds.items() for value in (id(kind), number)])
    names = {id(kind): _described(kind) for kind in (*kinds, *_SIZED)}
    yield _piece(b"N", json.dumps(names).encode())
    yield slices.said()


def _is_sized(kind: type) -> bool:
    return kind in _SIZED or (issubclass(kind, _SIZED) and kind.__len__ in _LENGTHS)


_LENGTHS = [kind.__len__ for kind in _SIZED]


def named(text: str) -> dict[str, Any]:
    """The names of objects, each by the addresses on the way from a root down to it.

    None of what is not there any more. Of each: its path, its kind, the file that it is of, and the
    kinds of its newest items.
    """
    given = json.loads(text)
    slices = _Slices(given["about"])
    starts: dict[int, Any] = {id(each): each for each in list(sys.modules.values())}
    # What no root leads to is at the head of its own way; the collector lists it.
    loose = {way[0] for way in given["ways"] if len(way) <= 2 and way[0] >= _MAX_FRAMES}
    loose -= set(starts)
    if loose and not slices.is_walk:
        for batch in _listed(slices):
            starts.update((id(each), each) for each in batch if id(each) in loose)
            slices.end(_SLICE_SECONDS)
    found = []
    for way in given["ways"]:
        found.append(_named(way, starts))
        slices.end(_SLICE_SECONDS)
    return {"named": found, "longest_ns": int(slices.longest * 1e9)}


def _named(addresses: Sequence[int], starts: Mapping[int, Any]) -> dict[str, Any]:
    frame, links = "", _way(addresses, starts)
    if not links:
        return {}
    if addresses[0] < _MAX_FRAMES:
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


def _way(addresses: Sequence[int], starts: Mapping[int, Any]) -> list[Any]:
    """The objects at these addresses, each found among the referents of the one before."""
    first = addresses[0]
    if first < _MAX_FRAMES:
        stacks = sys._current_frames()
        stacks.pop(threading.get_ident(), None)
        frames = list(chain.from_iterable(map(_stack, stacks.values())))
        links = frames[first - 1 : first]
    else:
        links = [starts[first]] if first in starts else []
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
    import _tracemalloc

    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "free_threaded": "t" in sys.abiflags,
        "path": [each for each in sys.path if each],
        "modules": sorted({name.partition(".")[0] for name in list(sys.modules)}),
        "main": getattr(sys.modules.get("__main__"), "__file__", None) or "",
        "gc_enabled": gc.isenabled(),
        "gc_threshold": list(gc.get_threshold()),
        "frozen": gc.get_freeze_count(),
        "tracing": _tracemalloc.is_tracing(),
    }


WORDS = {
    "graph": graph,
    "lengths": lengths,
    "named": named,
    "facts": facts,
}
