"""Within Locust: counts requests for the soak, pauses them when it asks, and keeps Locust small.

Locust loads this file beside the user's own locustfile. It has no user of its own.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from leakhunt.service.load_generator import COUNTERS, ERRORS, KINDS, SUPERVISOR
from leakhunt.service.locust_turns import take_turns
from leakhunt.service.shared_counters import MAX_KINDS, Counters

_BEAT_SECONDS = 0.1
_PAUSE_POLL_SECONDS = 0.001
# Locust keeps a number for every second and a copy of its histogram for the last twenty; of the
# first it needs ten seconds.
_RETAINED_SECONDS = 60
_MAX_ERRORS = 20
_LONGEST_ERROR = 200
_NS_PER_MS = 1_000_000


class Counting:
    """Listens to Locust for as long as it runs."""

    def __init__(self, counters: Counters, errors_file: Path, kinds_file: Path) -> None:
        self._counters = counters
        self._errors_file = errors_file
        self._kinds_file = kinds_file
        self._kinds: dict[tuple[str, str, str], int] = {}
        self._errors: Counter[str] = Counter()
        self._supervisor = int(os.environ[SUPERVISOR])

    def request(
        self,
        response_time: float | None = None,
        exception: BaseException | None = None,
        request_type: str = "",
        name: str = "",
        response: Any = None,
        **_: Any,
    ) -> None:
        """A request has ended; then this user waits for as long as the soak looks."""
        outcome = "answered"
        if exception is not None:
            outcome = "failed" if getattr(response, "status_code", 0) else "no answer"
        self._count_kind((request_type, name, outcome), 1)
        self._counters.count(round((response_time or 0) * _NS_PER_MS), exception is not None)
        if exception is not None:
            self._failed(str(exception) or type(exception).__name__, 1)
        if self._counters.pause_requested:
            if self._counters.connections_unwanted:
                _close_connections()
            self._counters.paused_users += 1
            try:
                while self._counters.pause_requested:
                    gevent.sleep(_PAUSE_POLL_SECONDS)
            finally:  # Locust may end a user meanwhile
                self._counters.paused_users -= 1

    def worker_report(self, data: dict[str, Any], **_: Any) -> None:
        """What a worker on another machine has seen in the last seconds."""
        for entry in data.get("stats", ()):
            kind, failed = (entry["method"] or "", entry["name"]), entry["num_failures"]
            self._count_kind((*kind, "answered"), entry["num_requests"] - failed)
            self._count_kind((*kind, "failed"), failed)
        total = data["stats_total"]
        for milliseconds, times in total["response_times"].items():
            self._counters.count(round(float(milliseconds) * _NS_PER_MS), False, times)
        self._counters.failed += total["num_failures"]
        for error in data["errors"].values():
            self._failed(str(error["error"]), error["occurrences"])

    def _count_kind(self, kind: tuple[str, str, str], times: int) -> None:
        if times <= 0:
            return
        if kind not in self._kinds and len(self._kinds) < MAX_KINDS - 1:
            self._kinds[kind] = len(self._kinds)
            _replace(self._kinds_file, list(self._kinds))
        self._counters.count_kind(self._kinds.get(kind, MAX_KINDS - 1), times)

    def _failed(self, text: str, times: int) -> None:
        known = text[:_LONGEST_ERROR]
        if known not in self._errors and len(self._errors) >= _MAX_ERRORS:
            known = "others"
        self._errors[known] += times
        _replace(self._errors_file, self._errors.most_common())

    def keep_alive(self, environment: Any) -> None:
        """Beat, keep Locust's own memory bounded, and end with the soak."""
        runner = environment.runner
        while True:
            self._counters.beat()
            self._counters.users = runner.user_count
            for entry in (runner.stats.total, *runner.stats.entries.values()):
                for counters in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
                    for second in sorted(counters)[:-_RETAINED_SECONDS]:
                        del counters[second]
            runner.stats.history.clear()
            runner.stats.errors.clear()  # one for every text; ours are counted above
            if os.getppid() != self._supervisor:
                runner.quit()
                return
            gevent.sleep(_BEAT_SECONDS)


def _close_connections() -> None:
    """Close those that the user of this greenlet keeps alive; its next request opens another.

    What a server has of a connection is no growth, but comes and goes with the users.
    """
    for each in getattr(gevent.getcurrent(), "args", ()):
        client: Any = getattr(each, "client", None)
        if not hasattr(client, "adapters"):  # no session of requests
            continue
        managers = [getattr(one, "poolmanager", None) for one in client.adapters.values()]
        pools = [pool for one in managers if one is not None for pool in _pools_of(one)]
        client.close()  # it opens others; who has the last answer still refers to these
        for pool in pools:
            pool.close()


def _pools_of(manager: Any) -> list[Any]:
    found = [manager.pools.get(key) for key in manager.pools.keys()]  # noqa: SIM118 - no iteration
    return [each for each in found if each is not None]


def _replace(file: Path, table: Any) -> None:
    """Write a table whole: whoever reads it sees the one before, or this one."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(table), encoding="utf-8")
    fresh.replace(file)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):  # its master counts
        return
    counters = Counters(Path(os.environ[COUNTERS]))
    counting = Counting(counters, Path(os.environ[ERRORS]), Path(os.environ[KINDS]))
    if isinstance(environment.runner, MasterRunner):
        environment.events.worker_report.add_listener(counting.worker_report)
    else:
        take_turns(environment.user_classes, counters)
        environment.events.request.add_listener(counting.request)
    gevent.spawn(counting.keep_alive, environment)
