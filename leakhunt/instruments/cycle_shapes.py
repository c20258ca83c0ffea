"""What a cycle looks like: its references by name, the one to cut, and the line that closes it.

Two cycles of the same shape are told as one. Nothing that a class of the user's defines is called
on the way.
"""

from __future__ import annotations

import re
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from leakhunt.instruments import closing_lines
from leakhunt.instruments.closing_lines import Place
from leakhunt.instruments.reference_chains import (
    slots_of,
    type_name,
    type_name_of,
    value_of,
    vars_of,
)
from leakhunt.model.attribution import CycleKind

# A chain is told with so many links.
_MOST_LINKS = 8
# Of the references that may be cut, so many kinds are tried; of a large cycle, these.
_MOST_TRIED = 24
_MOST_TRIED_IF_LARGE = 4
_LARGE = 20_000
# References to be cut, where one kind is not enough.
_MOST_CUTS = 3
# A key of a dict that is a name is told as it is.
_KEY = re.compile(r"[A-Za-z_]\w{0,39}")
# Attributes and variables that lead back to what made or owns their object.
_LEADS_BACK = re.compile(
    r"_*(parent|owner|root|prev|previous|back|backref|up|outer|container|master|manager|self|this"
    r"|me|app|callback|cb|handler|hook|listener|observer|on_\w+|\w+_(ref|parent|owner|callback"
    r"|hook|handler))s?_*"
)
# What is told as a part of the object that it belongs to.
_CONTAINERS = {
    dict, list, set, frozenset, tuple, deque, OrderedDict, defaultdict, types.CellType,
    types.TracebackType, types.MappingProxyType,
}  # fmt: skip
_WEAKABLE = (CycleKind.BACK_REFERENCE, CycleKind.CALLBACK)
_CALLBACKS = (types.MethodType, types.FunctionType, types.BuiltinFunctionType)
_TRACEBACKS = (types.TracebackType, types.FrameType)
_GENERATORS: Mapping[type, str] = {
    types.GeneratorType: "gi_frame",
    types.CoroutineType: "cr_frame",
    types.AsyncGeneratorType: "ag_frame",
}


class _Sort(IntEnum):
    """What a reference is, those first that are easiest to cut; the last cannot be."""

    LEADS_BACK = 0
    VARIABLE = 1
    CELL = 2
    ATTRIBUTE = 3
    TRACEBACK = 4
    ITEM = 5
    INSIDE = 6


# The references by which objects of the interpreter's own lead on.
_INSIDE: Mapping[type, tuple[tuple[str, _Sort], ...]] = {
    types.FrameType: (("f_back", _Sort.INSIDE),),
    types.TracebackType: (("tb_frame", _Sort.INSIDE), ("tb_next", _Sort.INSIDE)),
    types.MethodType: (("__self__", _Sort.INSIDE), ("__func__", _Sort.INSIDE)),
    types.BuiltinFunctionType: (("__self__", _Sort.INSIDE),),
    types.FunctionType: (
        ("__closure__", _Sort.INSIDE),
        ("__defaults__", _Sort.ATTRIBUTE),
        ("__kwdefaults__", _Sort.ATTRIBUTE),
    ),
}
# The references of these that no dict of theirs has.
_OF_FUTURES = ("_coro", "_exception", "_result", "_callbacks", "_fut_waiter")


@dataclass(frozen=True, slots=True)
class _Reference:
    """One reference in a cycle, by the numbers of its ends, with its name and whose it is."""

    source: int
    target: int
    owner: str
    name: str
    sort: _Sort

    @property
    def label(self) -> tuple[str, str]:
        """All references of the same label are cut alike: an attribute in classes that share it."""
        is_attribute = self.sort in (_Sort.LEADS_BACK, _Sort.ATTRIBUTE)
        return "" if is_attribute else self.owner, self.name


@dataclass(frozen=True, slots=True)
class CycleShape:
    """What a cycle looks like.

    `types` are those of its objects, `chain` leads once around, `cut` are the references whose
    removal frees it (empty: there is none to remove), `closed_at` where the first is set.
    `is_weakable`: a weak reference may be in its place. `lead` tells which member was made last,
    as far as that can be told: a word that `token` gives.
    """

    kind: CycleKind
    types: tuple[str, ...]
    chain: tuple[str, ...]
    cut: tuple[str, ...]
    closed_at: Place | None
    is_weakable: bool
    lead: str


def token(each: Any) -> str:
    """A word for what an object is: its type, of code the name and the line."""
    kind = type(each)
    if kind is types.FunctionType:
        return f"{each.__qualname__}:{each.__code__.co_firstlineno}"
    if kind is types.FrameType:
        code = each.f_code
        return f"frame {code.co_qualname}:{code.co_filename}:{each.f_lineno}"
    if issubclass(kind, type):
        return f"class {type_name_of(each)}"
    return type_name(each)


def shape_of(members: Sequence[Any], edges: Sequence[Sequence[int]]) -> CycleShape:
    """The shape of a cycle; `edges` are the references among its `members`."""
    names = tuple(sorted({_name_of(each) for each in members if _is_told(each)}))
    names = names or tuple(sorted(set(map(type_name, members))))
    classes = [each for each in members if issubclass(type(each), type)]
    if classes:
        return _of_class(min(classes, key=lambda each: len(each.__mro__)), names)
    references = list(_Naming(members, edges).references())
    cuts = _to_cut(len(members), references)
    first = cuts[0] if cuts else min(references, key=lambda each: each.sort)
    around = _around(first, references)
    chain = _chain(around, members)
    kind = _kind(first, around, members)
    source = _owner_of(first.source, members, references)
    callback = next((each for each in _told(around, members) if type(each) in _CALLBACKS), None)
    lead = callback if kind is CycleKind.CALLBACK else source
    further = (f"{each.owner}{each.name}" for each in cuts[1:])
    return CycleShape(
        kind=kind,
        types=names,
        chain=chain,
        cut=tuple(dict.fromkeys((chain[-2], *further))) if cuts else (),
        closed_at=_closed_at(first, source, around, members),
        is_weakable=kind in _WEAKABLE and bool(type(members[first.target]).__weakrefoffset__),
        lead=token(lead),
    )


def _of_class(made: Any, names: tuple[str, ...]) -> CycleShape:
    """A class refers to itself: there is no reference to remove."""
    name = _name_of(made)
    return CycleShape(
        kind=CycleKind.CLASS,
        types=names,
        chain=(f"{name}.__mro__", name),
        cut=(),
        closed_at=closing_lines.of_definition(made),
        is_weakable=False,
        lead=token(made),
    )


class _Naming:
    """The names of the references among the members of a cycle."""

    def __init__(self, members: Sequence[Any], edges: Sequence[Sequence[int]]) -> None:
        self._members = members
        self._edges = edges
        # Whose attributes a dict is, and what a cell is called.
        self._owners: dict[int, Any] = {}
        self._cells: dict[int, str] = {}
        self._closures: set[int] = set()
        for at, each in enumerate(members):
            if any(type(members[below]) is dict for below in edges[at]):
                attributes = vars_of(each)
                self._owners |= {id(attributes): each} if attributes is not None else {}
            if type(each) is types.FunctionType:
                names = each.__code__.co_freevars
                self._cells |= zip(map(id, each.__closure__ or ()), names, strict=False)
                self._closures.add(id(each.__closure__))

    def references(self) -> Iterator[_Reference]:
        """All of them; one that has no name is inside of an object of C code."""
        for at, each in enumerate(self._members):
            below = {id(self._members[number]): number for number in self._edges[at]}
            if not below:
                continue
            owner = self._owners.get(id(each), each)
            named: set[int] = set()
            for target, name, sort in self._names(each):
                if (number := below.get(id(target))) is not None:
                    named.add(number)
                    yield _Reference(at, number, _name_of(owner), name, sort)
            for number in set(self._edges[at]) - named:
                yield _Reference(at, number, _name_of(owner), "", _Sort.INSIDE)

    def _names(self, each: Any) -> Iterator[tuple[Any, str, _Sort]]:
        kind = type(each)
        if id(each) in self._owners:
            yield from _attributes(each)
        elif issubclass(kind, dict):
            for key, value in list(dict.items(each)):
                yield value, *_key(key)
                yield key, "{key}", _Sort.ITEM
        elif issubclass(kind, list | deque):
            kept = list.__iter__(each) if issubclass(kind, list) else deque.__iter__(each)
            yield from ((value, "[...]", _Sort.ITEM) for value in list(kept))
        elif issubclass(kind, tuple):
            name = "" if id(each) in self._closures else "[...]"
            yield from ((value, name, _Sort.INSIDE) for value in tuple.__iter__(each))
        elif issubclass(kind, set):
            yield from ((value, "{...}", _Sort.ITEM) for value in list(set.__iter__(each)))
        yield from self._of_kind(each)

    def _of_kind(self, each: Any) -> Iterator[tuple[Any, str, _Sort]]:
        kind = type(each)
        if kind is types.CellType:
            name = self._cells.get(id(each))
            yield _content(each), f"['{name}']" if name else "", _Sort.CELL
        elif kind is types.FrameType:
            yield from _variables(each)
        elif kind in _GENERATORS:
            frame = getattr(each, _GENERATORS[kind])
            yield from _variables(frame) if frame is not None else ()
        elif kind not in _INSIDE:
            yield from _of_instance(each)
        for name, sort in _INSIDE.get(kind, ()):
            yield getattr(each, name), f".{name}", sort


def _of_instance(each: Any) -> Iterator[tuple[Any, str, _Sort]]:
    kind = type(each)
    if issubclass(kind, BaseException):
        yield (
            BaseException.__dict__["__traceback__"].__get__(each),
            ".__traceback__",
            _Sort.TRACEBACK,
        )
        for name in ("__context__", "__cause__"):
            yield BaseException.__dict__[name].__get__(each), f".{name}", _Sort.ATTRIBUTE
        yield BaseException.__dict__["args"].__get__(each), ".args", _Sort.INSIDE
    for base in kind.__mro__:
        if base.__module__ == "_asyncio":
            for name in _OF_FUTURES:
                yield getattr(each, name, None), f".{name}", _sort_of(name)
    for name, slot in slots_of(kind):
        yield value_of(slot, each), f".{name}", _sort_of(name)
    attributes = vars_of(each)
    if attributes is not None:
        yield from _attributes(attributes)


def _attributes(attributes: dict[Any, Any]) -> Iterator[tuple[Any, str, _Sort]]:
    for key, value in list(dict.items(attributes)):
        yield value, f".{key}", _sort_of(key)


def _variables(frame: types.FrameType) -> Iterator[tuple[Any, str, _Sort]]:
    for name, value in dict(frame.f_locals).items():
        yield value, f".{name}", _Sort.VARIABLE


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _key(key: Any) -> tuple[str, _Sort]:
    """How an item of a dict is told; a key that is no name is one of many."""
    if type(key) is str and _KEY.fullmatch(key):
        sort = _Sort.LEADS_BACK if _LEADS_BACK.fullmatch(key) else _Sort.ITEM
        return f"['{key}']", sort
    return f"[{type_name(key)}]", _Sort.ITEM


def _sort_of(name: Any) -> _Sort:
    if type(name) is str and name.startswith("__") and name.endswith("__"):
        return _Sort.INSIDE  # set by the interpreter or a decorator, and for nobody to remove
    leads_back = type(name) is str and _LEADS_BACK.fullmatch(name)
    return _Sort.LEADS_BACK if leads_back else _Sort.ATTRIBUTE


def _is_told(each: Any) -> bool:
    """Whether it stands for itself in a chain: no plain container, no cell, no traceback."""
    return type(each) not in _CONTAINERS


def _name_of(each: Any) -> str:
    kind = type(each)
    if kind is types.FunctionType or kind in _GENERATORS:
        return str(each.__qualname__)
    if kind is types.MethodType:
        name = getattr(each.__func__, "__qualname__", None)
        return name if type(name) is str else type_name(each)
    if kind is types.FrameType:
        return f"frame of {each.f_code.co_qualname}()"
    return f"class {type_name_of(each)}" if issubclass(kind, type) else type_name(each)


_Label = tuple[str, str]
# From one object to another, by their numbers.
_Pairs = list[tuple[int, int]]


def _to_cut(count: int, references: Sequence[_Reference]) -> list[_Reference]:
    """One of each kind of reference whose removal leaves no cycle; empty: none that was tried."""
    pairs: dict[_Label, _Pairs] = {}
    examples: dict[_Label, _Reference] = {}
    for each in references:
        pairs.setdefault(each.label, []).append((each.source, each.target))
        examples.setdefault(each.label, each)
    # Of two that are as good, the one that leads to fewer objects leads back.
    order = sorted(
        (label for label, each in examples.items() if each.sort is not _Sort.INSIDE),
        key=lambda label: (examples[label].sort, len({end for _, end in pairs[label]}), label),
    )
    tried = order[: _MOST_TRIED_IF_LARGE if count > _LARGE else _MOST_TRIED]
    removed: list[_Label] = []
    while tried and len(removed) < _MOST_CUTS:
        left: dict[_Label, int] = {}
        for label in tried:
            left[label] = _left(count, pairs, {*removed, label})
            if not left[label]:
                return [examples[each] for each in (*removed, label)]
        removed.append(min(left, key=lambda label: left[label]))
        tried.remove(removed[-1])
    return []


def _left(count: int, pairs: Mapping[_Label, _Pairs], without: set[_Label]) -> int:
    """How many objects are in cycles, or below one, without references of these labels."""
    edges: list[list[int]] = [[] for _ in range(count)]
    above = [0] * count
    for label, ends in pairs.items():
        if label not in without:
            for source, target in ends:
                edges[source].append(target)
                above[target] += 1
    free = [number for number in range(count) if not above[number]]
    freed = 0
    while free:
        freed += 1
        for below in edges[free.pop()]:
            above[below] -= 1
            if not above[below]:
                free.append(below)
    return count - freed


def _around(cut: _Reference, references: Sequence[_Reference]) -> list[_Reference]:
    """The shortest way around that ends with the reference to be cut."""
    following: dict[int, list[_Reference]] = {}
    for each in references:
        following.setdefault(each.source, []).append(each)
    came: dict[int, _Reference | None] = {cut.target: None}
    queue = deque([cut.target])
    while queue and cut.source not in came:
        for each in following.get(queue.popleft(), ()):
            if each.target not in came:
                came[each.target] = each
                queue.append(each.target)
    path = [cut]
    step = came.get(cut.source)
    while step is not None:
        path.append(step)
        step = came[step.source]
    return path[::-1]


def _chain(around: Sequence[_Reference], members: Sequence[Any]) -> tuple[str, ...]:
    """The way around in words, from the first object that is told by itself: ``Child.parent``."""
    starts = [at for at, each in enumerate(around) if _is_told(members[each.source])]
    first = starts[0] if starts else 0
    parts: list[str] = []
    for each in (*around[first:], *around[:first]):
        if not parts or _is_told(members[each.source]):
            parts.append(_name_of(members[each.source]))
        parts[-1] += each.name
    if len(parts) > _MOST_LINKS:
        parts = [*parts[: _MOST_LINKS - 3], "...", *parts[-2:]]
    return (*parts, _name_of(members[around[first].source]))


def _owner_of(number: int, members: Sequence[Any], references: Sequence[_Reference]) -> Any:
    """The object whose attribute, closure or container a member is; else the member itself."""
    seen = {number}
    while not _is_told(members[number]):
        above = [each.source for each in references if each.target == number]
        above = [each for each in above if each not in seen]
        if not above:
            break
        number = above[0]
        seen.add(number)
    return members[number]


def _told(around: Sequence[_Reference], members: Sequence[Any]) -> list[Any]:
    """The objects on the way around that are told by themselves."""
    return [members[each.source] for each in around if _is_told(members[each.source])]


def _kind(cut: _Reference, around: Sequence[_Reference], members: Sequence[Any]) -> CycleKind:
    if any(type(each) in _TRACEBACKS for each in members):
        return CycleKind.EXCEPTION
    if cut.sort is _Sort.CELL:
        return CycleKind.CLOSURE
    told = _told(around, members)
    if len(set(map(id, told or [members[each.source] for each in around]))) == 1:
        return CycleKind.SELF
    if any(type(each) in _CALLBACKS for each in told):
        return CycleKind.CALLBACK
    if cut.sort in (_Sort.LEADS_BACK, _Sort.ATTRIBUTE):
        return CycleKind.BACK_REFERENCE
    return CycleKind.OTHER


def _closed_at(
    cut: _Reference, source: Any, around: Sequence[_Reference], members: Sequence[Any]
) -> Place | None:
    """Where the reference to be cut is set, by the source of its class or function.

    None where the source does not say: of what is added to a container.
    """
    name = cut.name.strip(".[]'")
    if cut.sort is _Sort.CELL:
        functions = [each for each in _told(around, members) if type(each) is types.FunctionType]
        return closing_lines.of_definition(functions[-1]) if functions else None
    if cut.sort is _Sort.VARIABLE:
        if type(source) is not types.FrameType:
            return None
        code = source.f_code
        found = closing_lines.of_variable(code, name)
        return found or (code.co_filename, source.f_lineno, code.co_name)
    is_named = cut.sort in (_Sort.LEADS_BACK, _Sort.ATTRIBUTE) or cut.name.startswith("['")
    if not is_named or not _is_told(members[cut.target]):
        return None
    return closing_lines.of_attribute(source, name)
