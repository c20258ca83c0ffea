"""The references in a cycle by name: attributes, items, variables, closures, tracebacks.

Nothing that a class of the user's defines is called on the way.
"""

from __future__ import annotations

import re
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from leakhunt.instruments.reference_chains import (
    slots_of,
    type_name,
    type_name_of,
    value_of,
    vars_of,
)

# A key of a dict that is a name is shown as it is.
_KEY = re.compile(r"[A-Za-z_]\w{0,39}")
# Attributes and variables that lead back to what made or owns their object.
_LEADS_BACK = re.compile(
    r"_*(parent|owner|root|prev|previous|back|backref|up|outer|container|master|manager|self|this"
    r"|me|app|callback|cb|handler|hook|listener|observer|on_\w+|\w+_(ref|parent|owner|callback"
    r"|hook|handler))s?_*"
)
# Shown as a part of the object that they belong to.
_CONTAINERS = {
    dict, list, set, frozenset, tuple, deque, OrderedDict, defaultdict, types.CellType,
    types.TracebackType, types.MappingProxyType,
}  # fmt: skip
_GENERATORS: Mapping[type, str] = {
    types.GeneratorType: "gi_frame",
    types.CoroutineType: "cr_frame",
    types.AsyncGeneratorType: "ag_frame",
}


class ReferenceSort(IntEnum):
    """What a reference is, those first that are easiest to cut; the last cannot be."""

    LEADS_BACK = 0
    VARIABLE = 1
    CELL = 2
    ATTRIBUTE = 3
    TRACEBACK = 4
    ITEM = 5
    INSIDE = 6


# The references by which objects of the interpreter's own lead on.
_INSIDE: Mapping[type, tuple[tuple[str, ReferenceSort], ...]] = {
    types.FrameType: (("f_back", ReferenceSort.INSIDE),),
    types.TracebackType: (("tb_frame", ReferenceSort.INSIDE), ("tb_next", ReferenceSort.INSIDE)),
    types.MethodType: (("__self__", ReferenceSort.INSIDE), ("__func__", ReferenceSort.INSIDE)),
    types.BuiltinFunctionType: (("__self__", ReferenceSort.INSIDE),),
    types.FunctionType: (
        ("__closure__", ReferenceSort.INSIDE),
        ("__defaults__", ReferenceSort.ATTRIBUTE),
        ("__kwdefaults__", ReferenceSort.ATTRIBUTE),
    ),
}
# The references of these that no dict of theirs has.
_OF_FUTURES = ("_coro", "_exception", "_result", "_callbacks", "_fut_waiter")


@dataclass(frozen=True, slots=True)
class CycleReference:
    """One reference in a cycle, by the numbers of its ends, with its name and whose it is."""

    source: int
    target: int
    owner: str
    name: str
    sort: ReferenceSort

    @property
    def label(self) -> tuple[str, str]:
        """All references of the same label are cut alike: an attribute in classes that share it."""
        is_attribute = self.sort in (ReferenceSort.LEADS_BACK, ReferenceSort.ATTRIBUTE)
        return "" if is_attribute else self.owner, self.name


def references_of(members: Sequence[Any], edges: Sequence[Sequence[int]]) -> list[CycleReference]:
    """All references among the `members` of a cycle, which are its `edges`, by name."""
    return list(_Naming(members, edges).references())


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

    def references(self) -> Iterator[CycleReference]:
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
                    yield CycleReference(at, number, display_name(owner), name, sort)
            for number in set(self._edges[at]) - named:
                yield CycleReference(at, number, display_name(owner), "", ReferenceSort.INSIDE)

    def _names(self, each: Any) -> Iterator[tuple[Any, str, ReferenceSort]]:
        kind = type(each)
        if id(each) in self._owners:
            yield from _attributes(each)
        elif issubclass(kind, dict):
            for key, value in list(dict.items(each)):
                yield value, *_key(key)
                yield key, "{key}", ReferenceSort.ITEM
        elif issubclass(kind, list | deque):
            kept = list.__iter__(each) if issubclass(kind, list) else deque.__iter__(each)
            yield from ((value, "[...]", ReferenceSort.ITEM) for value in list(kept))
        elif issubclass(kind, tuple):
            name = "" if id(each) in self._closures else "[...]"
            yield from ((value, name, ReferenceSort.INSIDE) for value in tuple.__iter__(each))
        elif issubclass(kind, set):
            yield from ((value, "{...}", ReferenceSort.ITEM) for value in list(set.__iter__(each)))
        yield from self._of_kind(each)

    def _of_kind(self, each: Any) -> Iterator[tuple[Any, str, ReferenceSort]]:
        kind = type(each)
        if kind is types.CellType:
            name = self._cells.get(id(each))
            yield _content(each), f"['{name}']" if name else "", ReferenceSort.CELL
        elif kind is types.FrameType:
            yield from _variables(each)
        elif kind in _GENERATORS:
            frame = getattr(each, _GENERATORS[kind])
            yield from _variables(frame) if frame is not None else ()
        elif kind not in _INSIDE:
            yield from _of_instance(each)
        for name, sort in _INSIDE.get(kind, ()):
            yield getattr(each, name), f".{name}", sort


def _of_instance(each: Any) -> Iterator[tuple[Any, str, ReferenceSort]]:
    kind = type(each)
    if issubclass(kind, BaseException):
        yield (
            BaseException.__dict__["__traceback__"].__get__(each),
            ".__traceback__",
            ReferenceSort.TRACEBACK,
        )
        for name in ("__context__", "__cause__"):
            yield BaseException.__dict__[name].__get__(each), f".{name}", ReferenceSort.ATTRIBUTE
        yield BaseException.__dict__["args"].__get__(each), ".args", ReferenceSort.INSIDE
    for base in kind.__mro__:
        if base.__module__ == "_asyncio":
            for name in _OF_FUTURES:
                yield getattr(each, name, None), f".{name}", _sort_of(name)
    for name, slot in slots_of(kind):
        yield value_of(slot, each), f".{name}", _sort_of(name)
    attributes = vars_of(each)
    if attributes is not None:
        yield from _attributes(attributes)


def _attributes(attributes: dict[Any, Any]) -> Iterator[tuple[Any, str, ReferenceSort]]:
    for key, value in list(dict.items(attributes)):
        yield value, f".{key}", _sort_of(key)


def _variables(frame: types.FrameType) -> Iterator[tuple[Any, str, ReferenceSort]]:
    for name, value in dict(frame.f_locals).items():
        yield value, f".{name}", ReferenceSort.VARIABLE


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _key(key: Any) -> tuple[str, ReferenceSort]:
    """How an item of a dict is shown; a key that is no name is one of many."""
    if type(key) is str and _KEY.fullmatch(key):
        sort = ReferenceSort.LEADS_BACK if _LEADS_BACK.fullmatch(key) else ReferenceSort.ITEM
        return f"['{key}']", sort
    return f"[{type_name(key)}]", ReferenceSort.ITEM


def _sort_of(name: Any) -> ReferenceSort:
    if type(name) is str and name.startswith("__") and name.endswith("__"):
        return (
            ReferenceSort.INSIDE
        )  # set by the interpreter or a decorator, and for nobody to remove
    leads_back = type(name) is str and _LEADS_BACK.fullmatch(name)
    return ReferenceSort.LEADS_BACK if leads_back else ReferenceSort.ATTRIBUTE


def stands_alone(each: Any) -> bool:
    """Whether it stands for itself in a chain: no plain container, no cell, no traceback."""
    return type(each) not in _CONTAINERS


def display_name(each: Any) -> str:
    kind = type(each)
    if kind is types.FunctionType or kind in _GENERATORS:
        return str(each.__qualname__)
    if kind is types.MethodType:
        name = getattr(each.__func__, "__qualname__", None)
        return name if type(name) is str else type_name(each)
    if kind is types.FrameType:
        return f"frame of {each.f_code.co_qualname}()"
    return f"class {type_name_of(each)}" if issubclass(kind, type) else type_name(each)
