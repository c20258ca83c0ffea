"""All that is retained, given to large holders, and to packages what is small or everybody's.

What the nodes are, the one who looks knows: objects of this process (`retained_heap`), or what is
known of those of another (`leakhunt.injection.holders`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from leakhunt.instruments.dominators import TOP
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.model.retained import ALL_OBJECTS, OTHER, HolderKind

# A holder, and a package that is named, retains at least this part of all; so do a holder's parts.
_MIN_SHARE = 0.002
_MIN_BYTES = 64 << 10
_NEARLY_ALL = 0.8
_MAX_PARTS = 12


class HeapShares(ABC):
    """`bytes`, `native` and `objects` are what goes with a node; each counts once in the end."""

    def __init__(
        self, own_top: int, sizes: Sequence[int], native: Sequence[int], objects: Sequence[int]
    ) -> None:
        self.bytes, self.native, self.objects = sizes, native, objects
        self._own_top = own_top
        self._least = max(_MIN_SHARE * sizes[TOP], _MIN_BYTES)
        self.holders: list[int] = []
        self.package_bytes: Counter[str] = Counter()
        self.package_native: Counter[str] = Counter()
        self.package_objects: Counter[str] = Counter()
        self._share_out()
        self.holders.sort(key=lambda node: -sizes[node])
        self._fold_small_packages()

    @abstractmethod
    def _below(self, node: int) -> Sequence[int]:
        """The nodes right below one."""

    @abstractmethod
    def _is_everybodys(self, node: int) -> bool:
        """Modules, classes and functions: what is large below them is told by its own name."""

    @abstractmethod
    def _has_attributes(self, node: int) -> bool:
        """Whether what is below it has names of its own, rather than a place in one container."""

    @abstractmethod
    def _package(self, node: int) -> str:
        """The package that a node counts to, or `OTHER`."""

    def _can_hold(self, node: int) -> bool:
        """Whether a node can be a holder by itself."""
        return True

    def parts(self, holder: int) -> list[int]:
        """The largest right below a holder."""
        return sorted(self._large(holder), key=lambda node: -self.bytes[node])[:_MAX_PARTS]

    def findings(
        self,
        calls: int,
        describe: Callable[[int], tuple[str, str, dict[str, Any]]],
        holders: Sequence[int],
    ) -> Iterator[Finding]:
        """All objects together first, then holders, then packages.

        Of a holder `describe` gives the type, the path and more facts.
        """

        def finding(what: str, objects: int, size: int, native: int, **more: Any) -> Finding:
            return Finding(
                instrument=Instrument.RETAINED,
                sort=FindingKind.HOLDER,
                what=what,
                calls=(calls,),
                counts=(objects,),
                sizes=(size,),
                facts={"native_bytes": native, **more.pop("facts", {})},
                **more,
            )

        yield finding(ALL_OBJECTS, self.objects[TOP], self.bytes[TOP], self.native[TOP])
        for number, node in enumerate(holders):
            kind, path, facts = describe(node)
            yield finding(
                kind,
                self.objects[node],
                self.bytes[node],
                self.native[node],
                chain=(path,),
                key=str(number),
                facts=facts,
            )
        for name, size in self.package_bytes.most_common():
            if size > 0:
                yield finding(
                    HolderKind.PACKAGE.value,
                    self.package_objects[name],
                    size,
                    self.package_native[name],
                    chain=(name,),
                    key=name,
                )

    def _large(self, node: int) -> list[int]:
        return [each for each in self._below(node) if self.bytes[each] >= self._least]

    def _share_out(self) -> None:
        waiting = [TOP]
        while waiting:
            node = waiting.pop()
            large = self._large(node)
            if node == TOP:
                # What is shared by all: texts, mostly.
                self.package_bytes[OTHER] += self._own_top
                for each in self._below(node):
                    if self.bytes[each] < self._least:
                        self._give(each, ())
                waiting += large
            elif self._is_everybodys(node) or self._is_on_the_way(node, large):
                waiting += large
                self._give(node, large)
            else:
                self.holders.append(node)

    def _is_on_the_way(self, node: int, large: Sequence[int]) -> bool:
        """Whether what is large below a node has nearly all of it, and a name of its own."""
        least = _NEARLY_ALL * self.bytes[node]
        if self._has_attributes(node):
            return sum(self.bytes[each] for each in large) >= least
        return any(self.bytes[each] >= least and self._can_hold(each) for each in large)

    def _give(self, node: int, without: Sequence[int]) -> None:
        """Count a node without some below it to the package that its object is of."""
        name = self._package(node)
        for counted, of in (
            (self.package_bytes, self.bytes),
            (self.package_native, self.native),
            (self.package_objects, self.objects),
        ):
            counted[name] += of[node] - sum(of[each] for each in without)

    def _fold_small_packages(self) -> None:
        """What small packages have is told together."""
        least = _MIN_SHARE * self.bytes[TOP]
        small = [name for name, size in self.package_bytes.items() if size < least]
        for counted in (self.package_bytes, self.package_native, self.package_objects):
            rest = sum(counted.pop(name, 0) for name in small)
            counted[OTHER] += rest
