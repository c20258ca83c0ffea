"""Who refers to a few objects: all of the process is asked, and what it does not tell is searched.

The collector tracks no dict or tuple of plain values, and no array; C and C++ code leaves fields
out of what it tells, or has structs behind them.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from leakhunt.instruments.hidden_fields import HiddenFields, held_by_tensors, told_by
from leakhunt.instruments.native_structs import referring_structs
from leakhunt.instruments.object_facts import Hides, is_plain_tensors
from leakhunt.instruments.object_ids import ids_of
from leakhunt.instruments.reference_chains import referents_of


@dataclass(frozen=True)
class _BehindFields:
    """How an object of a type has another behind its fields: in `words` words of structs.

    `told` is how many of these references it tells of.
    """

    kind: type
    words: int
    told: int

    def untold_as_in(self, others: Sequence[_BehindFields]) -> int:
        """How many words that it does not tell of another one of the type has as well.

        How far away they are says nothing: structs may overlap, and one is found through another.
        """
        alike = (each.words for each in others if each.kind is self.kind)
        return max(min(self.words, max(alike, default=0)) - self.told, 0)


class ReferencesTo:
    """How many references all objects have to a few of them, by id.

    `untold` are those of them that the collector is not told of: of fields, and of tensors.
    """

    def __init__(self, objects: list[Any]) -> None:
        everything = gc.get_objects()  # first of all: nothing of ours is among it, but `objects`
        self.references: Counter[int] = Counter()
        self.untold: Counter[int] = Counter()
        self._wanted = set(map(id, objects))
        self._fields = HiddenFields(objects)
        self._hides = Hides()
        self._seen: set[int] = set()
        # What may lead to structs.
        self._opaque: list[Any] = []
        self._tensors: list[Any] = []
        self._tracked = ids_of(everything)
        for each in everything:
            told = referents_of(each)
            if each is not objects:
                self._count(each, told)
            self._count_untracked(told)
        for each in objects:
            self.untold[id(each)] += held_by_tensors(each, self._tensors)
        self.references.update(self.untold)

    def _count_untracked(self, told: list[Any]) -> None:
        """Go through what is not tracked, and may have something inside."""
        waiting = self._with_some_inside(told)
        while waiting:
            each = waiting.pop()
            if id(each) not in self._seen and not gc.is_tracked(each):
                self._seen.add(id(each))
                told = told_by(each)
                self._count(each, told)
                waiting += self._with_some_inside(told)

    def _count(self, each: Any, told: list[Any]) -> None:
        # gc.get_referrers() lacks those whose type does not hand on that a field was the one.
        self.references.update(name for name in map(id, told) if name in self._wanted)
        if is_plain_tensors(type(each)):
            self._tensors.append(each)
        if self._fields.may_hide(type(each)):
            self.untold.update(self._fields.hidden(each, told))
        if self._fields.may_lead_on(type(each)):
            self._opaque.append(each)

    def _with_some_inside(self, objects: list[Any]) -> list[Any]:
        hides, may_hide = self._hides, self._fields.may_hide
        return [each for each in objects if hides[type(each)] or may_hide(type(each))]

    def of_structs(self, earlier: Mapping[int, Collection[int]]) -> Counter[int]:
        """Those of structs behind fields, to the ids in `earlier`, each with those of some before.

        One of them has to be held alike, by another object of the type. An object that has both is
        no holder of its own: C code gathers there what it is given. Of one alone a word may be
        left, of what came before it, too.
        """
        behind = self._behind_fields({*earlier, *chain.from_iterable(earlier.values())})
        found: Counter[int] = Counter()
        for name, those_before in earlier.items():
            of_this = behind.get(name, {})
            found[name] += max(
                (_untold_of_its_own(of_this, behind.get(each, {})) for each in those_before),
                default=0,
            )
        return found

    def _behind_fields(self, wanted: Collection[int]) -> dict[int, dict[int, _BehindFields]]:
        """Who has each of those wanted behind its fields, both by their ids."""
        import numpy as np

        seen = np.fromiter(self._seen, np.uint64, len(self._seen))
        known = np.concatenate((self._tracked, seen))
        found: dict[int, dict[int, _BehindFields]] = {}
        for name, by_place in referring_structs(self._opaque, wanted, known).items():
            for place, words in by_place.items():
                holder = self._opaque[place]
                if id(holder) != name:
                    told = sum(id(each) == name for each in told_by(holder))
                    of_one = found.setdefault(name, {})
                    of_one[id(holder)] = _BehindFields(type(holder), words, told)
        return found


def _untold_of_its_own(
    of_this: Mapping[int, _BehindFields], others: Mapping[int, _BehindFields]
) -> int:
    """The words to an object in what refers to it alone, as others refer to another one."""
    alike = [each for holder, each in others.items() if holder not in of_this]
    own = (each for holder, each in of_this.items() if holder not in others)
    return sum(each.untold_as_in(alike) for each in own)


def are_held_untold(one: Any, other: Any) -> bool:
    """Whether two objects, of which no one tells, are each in a field or a struct of another."""
    process = ReferencesTo([one, other])
    names = (id(one), id(other))
    if all(process.untold[name] for name in names):
        return True
    of_structs = process.of_structs({names[0]: names[1:], names[1]: names[:1]})
    return all(of_structs[name] for name in names)
