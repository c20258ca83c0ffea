"""Who keeps what a service grows by: the same load again, an instrument inside the service.

The instruments are those of ``hunt``. What they find is recorded in a run file of its own, whose
memory is not judged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from operator import sub
from typing import Any

from leakhunt.analysis.attribution.windows import EXACT_WINDOWS, prime_from, windows
from leakhunt.errors import ScenarioFailed
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Instrument
from leakhunt.model.plan import Plan, PlannedLoad
from leakhunt.model.processes import ProcessRole
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Run
from leakhunt.model.series import CUDA_ALLOCATED
from leakhunt.runner.supervisor import BY_THE_USER
from leakhunt.service.agent_client import ListeningAgents
from leakhunt.service.loop import Subject, ended_by, environment_of, paused
from leakhunt.service.readings import Readings
from leakhunt.storage import run_writer
from leakhunt.storage.run_writer import Appender, encode
from leakhunt.text.message import Text, message

# So many requests are watched and counted (a prime number, as in ``hunt``); twice as many come
# before them, watched as well, in which caches turn over; and as many before those, unwatched.
WATCHED_REQUESTS = 307
_WATCHED_BEFORE = 2
_UNWATCHED_BEFORE = 1
# All but what works through a call of the variant.
USABLE = tuple(each for each in GROWTH_INSTRUMENTS if each is not Instrument.LINES)
_POLL_SECONDS = 0.01
_ENDED_WATCHED = message("soak.ended-watched", "the service ended while instrumented")
# A snapshot of a large service, and telling who holds what, take minutes.
_PATIENCE_SECONDS = 600.0


def usable_in(run: Run) -> tuple[Instrument, ...]:
    """The instruments that may be used in the service of a soak: of CUDA where it was read."""
    has_cuda = any(run.samples.get(CUDA_ALLOCATED, ()))
    return tuple(each for each in USABLE if has_cuda or each is not Instrument.CUDA)


def hunting_plan(run: Run, instrument: Instrument) -> Plan:
    """The plan of a soak again, shorter, under an instrument.

    Cyclic garbage is not collected meanwhile: few requests are watched.
    """
    assert run.plan.load is not None
    # One process is watched: of the requests to a service it gets its share only.
    workers = sum(each.samples.process.role is ProcessRole.WORKER for each in run.processes)
    each = sum(EXACT_WINDOWS) if instrument is Instrument.GARBAGE else WATCHED_REQUESTS
    watched = prime_from(min(each * max(workers, 1), max(run.calls_done // 4, 31)))
    before = (_WATCHED_BEFORE + _UNWATCHED_BEFORE) * watched
    load: PlannedLoad = replace(run.plan.load, duration_seconds=None)
    return replace(
        run.plan,
        calls=before + watched,
        warmup=before,
        calls_per_sample=1,
        resolve=False,
        memory_limit_bytes=None,
        instrument=instrument,
        load=load,
    )


def hunt(subject: Subject, place: int | None = None) -> Outcome:
    """Watch a service under load by the instrument of the plan, into its run file.

    `place` is that of the process which was seen to grow; None: of none.

    Raises:
        CannotWrite: the run file cannot be made.
        ScenarioFailed: the service does not listen, or cannot be watched, or the load ended.
    """
    plan = subject.plan
    assert plan.instrument is not None and plan.calls is not None and plan.warmup is not None
    readings = Readings(subject.service.tree, subject.load.counters, caller=subject.caller)
    agents = readings.agents
    try:
        if not readings.listening:
            raise ScenarioFailed(
                message(
                    "soak.nobody-to-watch",
                    "no process of the service runs the agent; it cannot be instrumented",
                )
            )
        run_writer.create(subject.run_file, _header(subject, readings))
        work = _InstrumentedService(subject, readings, agents, place)
        started = time.monotonic()
        try:
            outcome = work.carry_out(plan.instrument, plan.warmup, plan.calls)
        except ScenarioFailed as error:
            run_writer.finish(subject.run_file, ended_by(error), time.monotonic() - started)
            raise
        run_writer.finish(subject.run_file, outcome, time.monotonic() - started)
    finally:
        readings.close()
        run_writer.ballast_of(subject.run_file).unlink(missing_ok=True)
    return outcome


def _header(subject: Subject, readings: Readings) -> Mapping[str, Any]:
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "plan": asdict(subject.plan),
        "facts": dict(subject.facts),
        "environment": {**environment_of(subject.service), **readings.environment},
        "series": [asdict(series) for series in readings.series],
        "unavailable": readings.unavailable,
        "limits": {},
    }


class _InstrumentedService:
    """Waits for requests, and asks the service to count at the marks."""

    def __init__(
        self, subject: Subject, readings: Readings, agents: ListeningAgents, place: int | None
    ) -> None:
        self._subject = subject
        self._readings = readings
        self._agents = agents
        self._place = place

    def carry_out(self, instrument: Instrument, before: int, calls: int) -> Outcome:
        """All of it; an interruption or the service's death is an outcome."""
        appender = Appender(self._subject.run_file)
        try:
            self._subject.load.wait_until_it_runs()
            unwatched = before * _UNWATCHED_BEFORE // (_UNWATCHED_BEFORE + _WATCHED_BEFORE)
            sizes = self._agents.live_sizes()
            self._wait_for(unwatched)
            self._choose(sizes)
            capture = self._subject.run_file.with_suffix("").resolve()
            with paused(self._subject, closes_connections=True):
                self._ask(f"watch {instrument} {capture}")
            phase = Phase(0, 1, Purpose.WARM_UP, 1, collects=False)
            ends = windows(before, calls, instrument)
            done = 0
            for end, length in zip(ends, (ends[0], *map(sub, ends[1:], ends)), strict=True):
                appender.append(encode({"record": "phase", **asdict(phase)}))
                self._wait_for(max(end, done + length) if done else end)
                with paused(self._subject, closes_connections=True):
                    taken = self._readings.sample()
                    done, values = taken.requests, taken.values
                    self._ask(f"mark {done}")
                appender.append(
                    encode({"record": "sample", "call": done - 1, "values": values})
                    + encode({"record": "mark", "calls": done})
                )
                phase = Phase(phase.first_sample + 1, 1, Purpose.JUDGED, 1, collects=False)
            with paused(self._subject, closes_connections=True):
                self._write_findings(appender, self._ask("findings"))
        except KeyboardInterrupt:
            return Outcome(Ending.INTERRUPTED, BY_THE_USER)
        except ProcessLookupError:
            return Outcome(Ending.CRASHED, _ENDED_WATCHED)
        finally:
            appender.close()
        return Outcome(Ending.OK)

    def _write_findings(self, appender: Appender, answer: Mapping[str, Any]) -> None:
        findings: Sequence[Mapping[str, Any]] = answer["findings"]
        for finding in findings:
            appender.append(encode({"record": "finding", **finding}))
        appender.append(
            encode(
                {"record": "note", "kind": "watched", "caveats": [*self._only, *answer["caveats"]]}
            )
        )

    def _choose(self, sizes: Mapping[int, int]) -> None:
        """Instrument the process at the place that was seen to grow.

        If that is not known, or does not listen, the one that has grown most since it had one of
        these `sizes`.

        Raises:
            ProcessLookupError: no process listens any more.
        """
        pids = self._subject.service.tree.pids()
        listening = self._agents.find(pids)
        roles = self._readings.roles
        roles.update(pids)
        at_place = [pid for pid in self._agents.pids if roles.number_of(pid) == self._place]
        chosen = at_place[0] if at_place else self._agents.grew_most(sizes)
        if chosen is None:
            raise ProcessLookupError
        self._pid = chosen
        self._only: list[Text] = []
        title = roles.title_of(chosen)
        if listening > 1 and title is not None:
            self._only.append(
                message(
                    "soak.one-process-watched",
                    "only {process} (PID {pid}), which grew most, was instrumented",
                    process=title,
                    pid=chosen,
                )
            )

    def _ask(self, words: str) -> Mapping[str, Any]:
        return self._agents.ask_one(self._pid, words, _PATIENCE_SECONDS)

    def _wait_for(self, requests: int) -> None:
        timeout = self._subject.plan.timeout_seconds
        counters, done, since = self._subject.load.counters, 0, time.monotonic()
        while (now := counters.done) < requests:
            if now > done:
                done, since = now, time.monotonic()
            elif timeout and time.monotonic() - since > timeout:
                raise ScenarioFailed(
                    message(
                        "soak.no-answer-watched",
                        "no answer for {seconds:g} s while instrumented",
                        seconds=timeout,
                    )
                )
            if not self._subject.service.is_alive():
                raise ProcessLookupError
            self._subject.load.check()
            time.sleep(_POLL_SECONDS)
