"""What a soak records of the kinds of requests, and whose turn it is where routes take turns."""

from __future__ import annotations

from typing import Any

from leakhunt.analysis.verdict.routes import SAMPLES_PER_TURN
from leakhunt.model.run import Phase, Purpose
from leakhunt.service.load_generator import LoadProcess


class RequestKinds:
    """The kinds of requests of a load, as they come."""

    def __init__(self, load: LoadProcess, by_route: bool) -> None:
        self._load = load
        self._by_route = by_route
        self._told = 0
        self._turns = 0
        self._counts: list[int] = []

    def take_turn(self, phase: Phase, sample: int) -> None:
        """Before a sample of a phase: name the task whose turn it is, if routes take turns."""
        counters = self._load.counters
        if not self._by_route or counters.tasks < 2 or phase.purpose is not Purpose.JUDGED:
            return
        if sample % SAMPLES_PER_TURN == 0 or not counters.turn:
            counters.turn = 1 + self._turns % counters.tasks
            self._turns += 1

    def end_turns(self) -> None:
        """From now on users do what the locustfile says."""
        self._load.counters.turn = 0

    @property
    def cannot_take_turns(self) -> bool:
        """Whether routes were to take turns, and there is but one task."""
        return self._by_route and self._load.counters.tasks < 2

    def fresh(self) -> list[dict[str, Any]]:
        """Records of the kinds that have come since this was last asked."""
        kinds = self._load.kinds()
        records = [
            {
                "record": "route",
                "number": number,
                "method": route.method,
                "name": route.name,
                "outcome": route.outcome,
            }
            for number, route in enumerate(kinds)
            if number >= self._told
        ]
        self._told = max(self._told, len(kinds))
        return records

    def came(self) -> list[tuple[int, int]]:
        """How many requests of each kind that was told came since this was last asked."""
        counts = self._load.counters.kinds(self._told)
        before = [*self._counts, *[0] * (len(counts) - len(self._counts))]
        self._counts = counts
        came = (now - then for now, then in zip(counts, before, strict=True))
        return [(number, count) for number, count in enumerate(came) if count]
