"""What a cycle looks like: the way around it, the reference to cut, and the line that closes it.

Two cycles of the same shape count as one. Nothing that a class of the user's defines is called
on the way.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leakhunt.instruments import closing_lines
from leakhunt.instruments.closing_lines import Place
from leakhunt.instruments.cycle_references import (
    CycleReference,
    ReferenceSort,
    display_name,
    references_of,
    stands_alone,
)
from leakhunt.instruments.reference_chains import type_name, type_name_of
from leakhunt.model.attribution import CycleKind

# The most links of a chain.
_MAX_LINKS = 8
# The most kinds of references that are tried for a cut; and in a large cycle.
_MAX_TRIED = 24
_MAX_TRIED_IF_LARGE = 4
_LARGE = 20_000
# References to be cut, where one kind is not enough.
_MAX_CUTS = 3
_WEAKABLE = (CycleKind.BACK_REFERENCE, CycleKind.CALLBACK)
_CALLBACKS = (types.MethodType, types.FunctionType, types.BuiltinFunctionType)
_TRACEBACKS = (types.TracebackType, types.FrameType)


@dataclass(frozen=True, slots=True)
class CycleShape:
    """What a cycle looks like.

    `types` are those of its objects, `chain` leads once around, `cut` are the references whose
    removal frees it (empty: there is none to remove), `closed_at` where the first is set.
    `is_weakable`: a weak reference may be in its place. `lead` tells which member was made last,
    as far as that is known: a word that `token` gives.
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
    names = tuple(sorted({display_name(each) for each in members if stands_alone(each)}))
    names = names or tuple(sorted(set(map(type_name, members))))
    classes = [each for each in members if issubclass(type(each), type)]
    if classes:
        return _of_class(min(classes, key=lambda each: len(each.__mro__)), names)
    references = references_of(members, edges)
    cuts = _to_cut(len(members), references)
    first = cuts[0] if cuts else min(references, key=lambda each: each.sort)
    around = _around(first, references)
    chain = _chain(around, members)
    kind = _kind(first, around, members)
    source = _owner_of(first.source, members, references)
    callback = next((each for each in _alone(around, members) if type(each) in _CALLBACKS), None)
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
    name = display_name(made)
    return CycleShape(
        kind=CycleKind.CLASS,
        types=names,
        chain=(f"{name}.__mro__", name),
        cut=(),
        closed_at=closing_lines.of_definition(made),
        is_weakable=False,
        lead=token(made),
    )


_Label = tuple[str, str]
# From one object to another, by their numbers.
_Pairs = list[tuple[int, int]]


def _to_cut(count: int, references: Sequence[CycleReference]) -> list[CycleReference]:
    """One of each kind of reference whose removal leaves no cycle; empty: none that was tried."""
    pairs: dict[_Label, _Pairs] = {}
    examples: dict[_Label, CycleReference] = {}
    for each in references:
        pairs.setdefault(each.label, []).append((each.source, each.target))
        examples.setdefault(each.label, each)
    # Of two that are as good, the one that leads to fewer objects leads back.
    order = sorted(
        (label for label, each in examples.items() if each.sort is not ReferenceSort.INSIDE),
        key=lambda label: (examples[label].sort, len({end for _, end in pairs[label]}), label),
    )
    tried = order[: _MAX_TRIED_IF_LARGE if count > _LARGE else _MAX_TRIED]
    removed: list[_Label] = []
    while tried and len(removed) < _MAX_CUTS:
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


def _around(cut: CycleReference, references: Sequence[CycleReference]) -> list[CycleReference]:
    """The shortest way around that ends with the reference to be cut."""
    following: dict[int, list[CycleReference]] = {}
    for each in references:
        following.setdefault(each.source, []).append(each)
    came: dict[int, CycleReference | None] = {cut.target: None}
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


def _chain(around: Sequence[CycleReference], members: Sequence[Any]) -> tuple[str, ...]:
    """The way around in words, from the first that has a name of its own: ``Child.parent``."""
    starts = [at for at, each in enumerate(around) if stands_alone(members[each.source])]
    first = starts[0] if starts else 0
    parts: list[str] = []
    for each in (*around[first:], *around[:first]):
        if not parts or stands_alone(members[each.source]):
            parts.append(display_name(members[each.source]))
        parts[-1] += each.name
    if len(parts) > _MAX_LINKS:
        parts = [*parts[: _MAX_LINKS - 3], "...", *parts[-2:]]
    return (*parts, display_name(members[around[first].source]))


def _owner_of(number: int, members: Sequence[Any], references: Sequence[CycleReference]) -> Any:
    """The object whose attribute, closure or container a member is; else the member itself."""
    seen = {number}
    while not stands_alone(members[number]):
        above = [each.source for each in references if each.target == number]
        above = [each for each in above if each not in seen]
        if not above:
            break
        number = above[0]
        seen.add(number)
    return members[number]


def _alone(around: Sequence[CycleReference], members: Sequence[Any]) -> list[Any]:
    """The objects on the way around that have a name of their own."""
    return [members[each.source] for each in around if stands_alone(members[each.source])]


def _kind(
    cut: CycleReference, around: Sequence[CycleReference], members: Sequence[Any]
) -> CycleKind:
    if any(type(each) in _TRACEBACKS for each in members):
        return CycleKind.EXCEPTION
    if cut.sort is ReferenceSort.CELL:
        return CycleKind.CLOSURE
    alone = _alone(around, members)
    if len(set(map(id, alone or [members[each.source] for each in around]))) == 1:
        return CycleKind.SELF
    if any(type(each) in _CALLBACKS for each in alone):
        return CycleKind.CALLBACK
    if cut.sort in (ReferenceSort.LEADS_BACK, ReferenceSort.ATTRIBUTE):
        return CycleKind.BACK_REFERENCE
    return CycleKind.OTHER


def _closed_at(
    cut: CycleReference, source: Any, around: Sequence[CycleReference], members: Sequence[Any]
) -> Place | None:
    """Where the reference to be cut is set, by the source of its class or function.

    None where the source does not say: of what is added to a container.
    """
    name = cut.name.strip(".[]'")
    if cut.sort is ReferenceSort.CELL:
        functions = [each for each in _alone(around, members) if type(each) is types.FunctionType]
        return closing_lines.of_definition(functions[-1]) if functions else None
    if cut.sort is ReferenceSort.VARIABLE:
        if type(source) is not types.FrameType:
            return None
        code = source.f_code
        found = closing_lines.of_variable(code, name)
        return found or (code.co_filename, source.f_lineno, code.co_name)
    is_named = cut.sort in (
        ReferenceSort.LEADS_BACK,
        ReferenceSort.ATTRIBUTE,
    ) or cut.name.startswith("['")
    if not is_named or not stands_alone(members[cut.target]):
        return None
    return closing_lines.of_attribute(source, name)
