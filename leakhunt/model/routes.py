"""The routes of a service: the kinds of requests that it got, and what each grows it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.series import Unit
from leakhunt.text.language import mark


class RequestOutcome(StrEnum):
    """What became of requests: those that fail take other paths through a service."""

    ANSWERED = mark("answered")
    FAILED = mark("failed")
    ABORTED = mark("no answer")


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request: as Locust names it, and what became of it."""

    method: str
    name: str
    outcome: RequestOutcome

    @property
    def plain_title(self) -> str:
        """``GET /clean``; a name that begins with its method is one already."""
        is_whole = f"{self.name} ".startswith(f"{self.method} ")
        return self.name if is_whole else f"{self.method} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """How many requests of a kind there had been at each sample."""

    route: Route
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class RouteRate:
    """Growth per request of a kind, with one-sided 99 % bounds; `tolerance` is no leak."""

    unit: Unit
    rate: float
    low: float
    high: float
    tolerance: float

    @property
    def grows(self) -> bool:
        """Whether it grows for certain."""
        return self.low > self.tolerance


@dataclass(frozen=True, slots=True)
class JudgedRoute:
    """What requests of one kind grow a service by; several kinds if they always came together.

    `requests` are those of the judged part, of each; `rates` by series.
    """

    routes: tuple[Route, ...]
    requests: int
    rates: Mapping[str, RouteRate]

    @property
    def grows(self) -> bool:
        """Whether any series grows with it for certain."""
        return any(each.grows for each in self.rates.values())
