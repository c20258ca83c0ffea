"""What a run file says of the kinds of requests to a service, while its lines are read."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from leakhunt.model.routes import RequestOutcome, Route, RouteCounts

_INT64 = range(2**63)


class RouteRecords:
    """The kinds of requests, and how many of each came with each sample."""

    def __init__(self) -> None:
        # By the number that the present load gives them: one that is gone on with begins anew.
        self._numbered: dict[int, Route] = {}
        self._came: dict[Route, dict[int, int]] = {}

    def take(self, record: Mapping[str, Any]) -> bool:
        """Take a record; False: it is about something else.

        Raises:
            KeyError, TypeError, ValueError: the record makes no sense.
        """
        if record["record"] != "route":
            return False
        route = Route(str(record["method"]), str(record["name"]), RequestOutcome(record["outcome"]))
        self._numbered[int(record["number"])] = route
        self._came.setdefault(route, {})
        return True

    def take_counts(self, counts: Any, sample: int) -> bool:
        """What came with a sample, by kind. False: it makes no sense, and nothing was taken."""
        if not all(
            number in self._numbered and type(count) is int and count in _INT64
            for number, count in counts
        ):
            return False
        for number, count in counts:
            self._came[self._numbered[number]][sample] = count
        return True

    def found(self, samples: int) -> tuple[RouteCounts, ...]:
        """The kinds with their counts at each of so many samples."""
        return tuple(
            RouteCounts(route, array("q", accumulate(came.get(at, 0) for at in range(samples))))
            for route, came in self._came.items()
        )
