"""What the load tells the soak: numbers in a file that both processes have mapped.

Nothing is sent and nothing grows: a count of requests, of failures, the time they took, and a
histogram of it. The soak asks the load to pause by the same way. Standard library only, since
Locust's process loads it.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Self

# Response times fall into buckets of 5 %, from a tenth of a millisecond to some hours.
_BUCKET_RATIO = 1.05
_FIRST_BUCKET_NS = 100_000
_BUCKETS = 400
(
    _PAUSE,  # the soak asks the load to pause
    _DONE,  # requests that got an answer or failed
    _FAILED,  # of them, those that failed
    _SPENT_NS,  # the sum of their response times
    _USERS,  # users that send requests now
    _PAUSED_USERS,  # users that pause
    _ALIVE,  # counts up while the load lives
    _TASKS,  # tasks of the locustfile that can be chosen
    _TURN,  # the one that the soak wants, counted from 1; 0: as the locustfile has it
    _HISTOGRAM,
) = range(10)
# How the load is to pause: it keeps its connections, or closes them.
_PAUSES, _PAUSES_WITHOUT_CONNECTIONS = 1, 2
# Requests by kind; the last is for all kinds beyond.
MAX_KINDS = 64
_KINDS = _HISTOGRAM + _BUCKETS
_NUMBERS = _KINDS + MAX_KINDS


class Counters:
    """The shared numbers; the load writes all but the wishes to pause and for a task."""

    def __init__(self, file: Path) -> None:
        with open(file, "r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), 8 * _NUMBERS)
        self._numbers = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, file: Path) -> Self:
        """Fresh numbers, all 0."""
        file.write_bytes(bytes(8 * _NUMBERS))
        return cls(file)

    def close(self) -> None:
        """Let go of the file."""
        self._numbers.release()
        self._map.close()

    def count_kind(self, kind: int, times: int = 1) -> None:
        """Add so many requests of a kind; they are counted among all after that."""
        self._numbers[_KINDS + min(kind, MAX_KINDS - 1)] += times

    def kinds(self, count: int) -> list[int]:
        """How many requests there were of the first `count` kinds."""
        return self._numbers[_KINDS : _KINDS + min(count, MAX_KINDS)].tolist()

    @property
    def tasks(self) -> int:
        """Tasks of the locustfile that can be chosen."""
        return self._numbers[_TASKS]

    @tasks.setter
    def tasks(self, count: int) -> None:
        self._numbers[_TASKS] = count

    @property
    def turn(self) -> int:
        """The task whose turn it is, counted from 1; 0: any."""
        return self._numbers[_TURN]

    @turn.setter
    def turn(self, task: int) -> None:
        self._numbers[_TURN] = task

    def count(self, response_ns: int, failed: bool, times: int = 1) -> None:
        """Add so many requests that took so long."""
        numbers = self._numbers
        numbers[_HISTOGRAM + _bucket(response_ns)] += times
        numbers[_SPENT_NS] += response_ns * times
        numbers[_FAILED] += times * failed
        numbers[_DONE] += times  # last: whoever sees it sees the rest

    @property
    def done(self) -> int:
        """Requests that were answered or failed."""
        return self._numbers[_DONE]

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return self._numbers[_FAILED]

    @failed.setter
    def failed(self, count: int) -> None:
        self._numbers[_FAILED] = count

    @property
    def spent_ns(self) -> int:
        """The sum of the response times."""
        return self._numbers[_SPENT_NS]

    @property
    def pause_requested(self) -> bool:
        """Whether the load is to pause."""
        return bool(self._numbers[_PAUSE])

    @pause_requested.setter
    def pause_requested(self, wish: bool) -> None:
        self._numbers[_PAUSE] = _PAUSES if wish else 0

    @property
    def connections_unwanted(self) -> bool:
        """Whether users that pause are to close their connections."""
        return self._numbers[_PAUSE] == _PAUSES_WITHOUT_CONNECTIONS

    def pause_without_connections(self) -> None:
        """Ask the load to pause, and to close its connections meanwhile."""
        self._numbers[_PAUSE] = _PAUSES_WITHOUT_CONNECTIONS

    @property
    def users(self) -> int:
        """Users that there are."""
        return self._numbers[_USERS]

    @users.setter
    def users(self, count: int) -> None:
        self._numbers[_USERS] = count

    @property
    def paused_users(self) -> int:
        """Users that pause, between two requests."""
        return self._numbers[_PAUSED_USERS]

    @paused_users.setter
    def paused_users(self, count: int) -> None:
        self._numbers[_PAUSED_USERS] = count

    @property
    def beats(self) -> int:
        """Counts up several times a second while the load lives."""
        return self._numbers[_ALIVE]

    def beat(self) -> None:
        """Say that the load lives."""
        self._numbers[_ALIVE] += 1

    def histogram(self) -> list[int]:
        """How many requests so far took how long, by bucket."""
        return self._numbers[_HISTOGRAM:_KINDS].tolist()

    def response_times(self) -> list[tuple[int, int]]:
        """Nanoseconds that requests so far took at most, and how many: of buckets with some."""
        counts = enumerate(self.histogram())
        return [(_upper_bound_ns(bucket), count) for bucket, count in counts if count]


def _bucket(response_ns: int) -> int:
    if response_ns <= _FIRST_BUCKET_NS:
        return 0
    place = math.log(response_ns / _FIRST_BUCKET_NS) / math.log(_BUCKET_RATIO)
    return min(math.ceil(place), _BUCKETS - 1)


def _upper_bound_ns(bucket: int) -> int:
    return round(_FIRST_BUCKET_NS * _BUCKET_RATIO**bucket)


def percentile_ns(histogram: Sequence[int], share: float) -> int:
    """The time that `share` of the requests took at most, to 5 %; 0 without requests."""
    wanted = math.ceil(sum(histogram) * share)
    if not wanted:
        return 0
    cumulative = 0
    for bucket, count in enumerate(histogram):
        cumulative += count
        if cumulative >= wanted:
            return _upper_bound_ns(bucket)
    raise AssertionError("a share of all is within all")
