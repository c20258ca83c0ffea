"""A soak: load on a service, and readings of it as requests complete, into a run file.

Whatever happens to the service is an outcome in the run file, not an error of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

from leakhunt.analysis.verdict.soak_schedule import next_phase
from leakhunt.environment import describe_environment_of_service
from leakhunt.errors import CannotWrite, ScenarioFailed
from leakhunt.model.plan import Plan
from leakhunt.model.processes import PROCESS_SERIES
from leakhunt.model.run import RESPONSE_TIMES_NOTE, Ending, Outcome, Phase, Reading, Run
from leakhunt.model.series import CUDA_ALLOCATED, PSS, RSS
from leakhunt.runner.memory_limit import MemoryLimit, memory_bounds
from leakhunt.runner.supervisor import BY_THE_USER, DISK_FULL, Progress, disk_full
from leakhunt.service.agent_client import NO_INSIDE, Caller
from leakhunt.service.load_generator import LoadEnded, LoadProcess
from leakhunt.service.outcomes import death, placed
from leakhunt.service.process_tree import Identity
from leakhunt.service.readings import Readings
from leakhunt.service.requests_by_kind import RequestKinds
from leakhunt.service.service import Service
from leakhunt.storage import run_file as store
from leakhunt.storage import run_writer
from leakhunt.storage.follow import Tail
from leakhunt.storage.run_writer import Appender, DiskFull, encode
from leakhunt.text.message import Text, joined, mentions, message

_POLL_SECONDS = 0.005
# Users wait meanwhile: what a pause takes is mostly looking whether all of them do.
_QUIET_POLL_SECONDS = 0.001
# The load is paused for a look as soon as every user has ended its request; a slow one is not
# waited for longer than this, and the look is then taken under load...
_PAUSE_SECONDS = 10.0
# In which a service notices that its connections were closed.
_CLOSING_SECONDS = 0.2
# ... for a sample, not longer than so many times what pauses took: the other users wait meanwhile,
# and one that is read under load reads too high, which floors leave out.
_PATIENCE = 2.0
_MIN_PATIENCE_SECONDS = 0.1
_SERVICE_NOTE = "service"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a soak is about: its plan, the service and the load on it, and where it is written.

    `facts` are for the header, `limit` is what the service runs under. `caller` brings the agent
    into processes that do not have it.
    """

    plan: Plan
    service: Service
    load: LoadProcess
    run_file: Path
    limit: MemoryLimit
    facts: Mapping[str, str]
    caller: Caller | None = None


def soak(subject: Subject, progress: Progress) -> Outcome:
    """Soak a service; its run file is whole when this returns.

    Ctrl-C (KeyboardInterrupt) ends the load, settles, and is an outcome.

    Raises:
        CannotWrite: the disk does not take the run file (every sample so far is in it).
        ScenarioFailed: the load ended before the first sample, or never started.
    """
    readings = Readings(subject.service.tree, subject.load.counters, caller=subject.caller)
    on_gpu = any(series.name == CUDA_ALLOCATED for series in readings.series)
    plan = replace(subject.plan, device="cuda" if on_gpu else "cpu")
    facts = {
        **subject.facts,
        "inside view": _agent_summary(readings),
        "memory limit": subject.limit.name,
    }
    header = {
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "plan": asdict(plan),
        "facts": facts,
        "environment": {**environment_of(subject.service), **readings.environment},
        "series": [asdict(series) for series in readings.series],
        "unavailable": readings.unavailable,
        "limits": memory_bounds(subject.limit, _used_bytes(subject)),
        "process_series": PROCESS_SERIES,
    }
    run_writer.create(subject.run_file, header)
    identity = asdict(subject.service.tree.identity)
    return _carried_out(
        subject, readings, progress, {"record": "note", "kind": _SERVICE_NOTE, **identity}
    )


def _used_bytes(subject: Subject) -> int:
    """What the service holds before the load; nothing where it is gone."""
    try:
        memory = subject.service.tree.read()
    except ProcessLookupError:
        return 0
    return memory.get(PSS) or memory[RSS]


def resume(subject: Subject, progress: Progress) -> Outcome:
    """Go on with the run file of a soak of the same service that ended; else as `soak`."""
    run = store.load(subject.run_file)
    requests = run.calls_done
    readings = Readings(subject.service.tree, subject.load.counters, run.series, subject.caller)
    run_writer.reopen(subject.run_file)
    note = message("soak.resumed", "resumed after request {requests:d}", requests=requests)
    return _carried_out(
        subject, readings, progress, {"record": "note", "kind": "resumed", "text": note}
    )


def environment_of(service: Service) -> dict[str, str]:
    """The environment that a service runs in, as far as it can be known from outside."""
    tree = service.tree
    return describe_environment_of_service(tree.variables(), tree.is_our_interpreter())


def identity_of(run: Run) -> Identity | None:
    """The first process of the service that a run is about; None if it was no soak."""
    for note in run.notes:
        if note.get("kind") == _SERVICE_NOTE:
            return Identity(int(note["pid"]), float(note["created"]))
    return None


def _carried_out(
    subject: Subject, readings: Readings, progress: Progress, first: Mapping[str, Any]
) -> Outcome:
    started = time.monotonic()
    appender = Appender(subject.run_file)
    try:
        with Tail(subject.run_file) as tail:
            work = _Soak(subject, readings, appender, lambda: _follow(tail, progress))
            outcome = work.carry_out(first)
    except DiskFull as error:
        outcome = Outcome(
            Ending.INTERRUPTED, placed(disk_full(str(error)), requests_in(subject.run_file))
        )
    except ScenarioFailed as error:
        outcome = ended_by(error)
        if not requests_in(subject.run_file):
            run_writer.finish(subject.run_file, outcome, time.monotonic() - started)
            raise
    finally:
        readings.close()
        appender.close()
        run_writer.ballast_of(subject.run_file).unlink(missing_ok=True)
    run_writer.finish(subject.run_file, outcome, time.monotonic() - started)
    if mentions(outcome.reason, DISK_FULL):
        raise CannotWrite(
            message(
                "run.samples-are-safe",
                "{reason}. All samples so far are in {run_file}: free some space, then run"
                " 'leakhunt report {parent}'",
                reason=outcome.reason,
                run_file=str(subject.run_file),
                parent=str(subject.run_file.parent),
            )
        )
    return outcome


def ended_by(error: ScenarioFailed) -> Outcome:
    """The outcome of what could not go on; where Locust's log lies is for the terminal only."""
    is_load = isinstance(error, LoadEnded)
    load = message("soak.load-ended", "the load generator stopped")
    return Outcome(Ending.CRASHED, load if is_load else error.text)


def requests_in(run_file: Path) -> int:
    """The requests that the last sample of a run file comes after."""
    return store.load(run_file).calls_done


@contextmanager
def paused(
    subject: Subject, longest_seconds: float = _PAUSE_SECONDS, *, closes_connections: bool = False
) -> Iterator[float | None]:
    """Nothing is in flight in here: every user waits after the request that it has sent.

    Nor is a connection open, if it `closes_connections`: what the service keeps for one is gone.

    Gives the seconds that this took; None if it did not come to that, since a request that takes
    longer than `longest_seconds` is not waited for.
    """
    counters = subject.load.counters
    if closes_connections:
        counters.pause_without_connections()
    else:
        counters.pause_requested = True
    try:
        since = time.monotonic()
        while (
            counters.paused_users < counters.users
            and time.monotonic() - since < longest_seconds
            and subject.service.is_alive()
        ):
            time.sleep(_QUIET_POLL_SECONDS)
        is_quiet = counters.paused_users >= counters.users
        if closes_connections:
            time.sleep(_CLOSING_SECONDS)
        yield time.monotonic() - since if is_quiet else None
    finally:
        counters.pause_requested = False


def _follow(tail: Tail, progress: Progress) -> None:
    tail.follow()
    progress(tail)


class _Soak:
    """A soak at work: waits for requests, reads, writes."""

    def __init__(
        self, subject: Subject, readings: Readings, appender: Appender, show: Callable[[], None]
    ) -> None:
        assert subject.plan.load is not None
        self._subject = subject
        self._counters = subject.load.counters
        self._readings = readings
        self._appender = appender
        self._show = show
        self._seconds = subject.plan.load.duration_seconds
        self._before = 0
        self._sampled = 0  # the requests done by the last sample, without those before a resumption
        self._recorded_errors: list[tuple[str, int]] = []
        self._kinds = RequestKinds(subject.load, subject.plan.load.by_route)
        # What it took until nothing was in flight, a pause for a look each; inf: it did not come.
        self._waits: list[float] = []
        # Samples that were to be read in a pause, and those for which a request was too slow.
        self._paused_samples = self._not_quiet = 0

    def carry_out(self, first: Mapping[str, Any]) -> Outcome:
        """All of it, from the first note on."""
        self._append(first)
        run = self._run()
        self._before = run.calls_done
        try:
            if run.reading("start") is None:
                self._settle_record(self._readings.full("start"))
            self._subject.load.wait_until_it_runs()
            self._deadline = None if self._seconds is None else time.monotonic() + self._seconds
            self._readings.start_clock()
            if run.samples_done:  # gone on with: what a pause takes is not known
                self._interim_check()
            outcome = self._phases()
        except KeyboardInterrupt:
            outcome = Outcome(Ending.INTERRUPTED, BY_THE_USER)
        except ProcessLookupError:
            outcome = self._death()
        if outcome.ending in (Ending.OK, Ending.INTERRUPTED):
            outcome = self._settle() or outcome
        self._record_response_times(self._run().samples_done)
        self._record_changes()
        self._show()
        return outcome

    def _phases(self) -> Outcome:
        while True:
            phase = next_phase(self._run(), self._readings.seconds, self._pause_seconds())
            if phase is None:
                return Outcome(Ending.OK)
            self._record_response_times(phase.first_sample)
            self._append({"record": "phase", **asdict(phase)})
            ended = self._samples(phase)
            if ended is not None:
                return ended
            self._interim_check()

    def _samples(self, phase: Phase) -> Outcome | None:
        """Take the samples of a phase; an outcome if the soak ends within it."""
        target = self._counters.done
        for sample in range(phase.samples):
            self._kinds.take_turn(phase, phase.first_sample + sample)
            target += phase.calls_per_sample
            if target <= self._sampled:  # reading took longer than they did: those are missed
                target = self._sampled + phase.calls_per_sample
            ended = self._wait_for(target)
            is_new = self._counters.done > self._sampled  # also since the phase before
            if is_new and (ended is None or ended.ending is Ending.OK):
                self._sample(phase.pauses)
            if ended is not None:
                return ended
        return None

    def _wait_for(self, target: int) -> Outcome | None:
        """Wait for so many requests; an outcome if the soak ends before."""
        plan = self._subject.plan
        done, since = self._counters.done, time.monotonic()
        while (now := self._counters.done) < target:
            if plan.calls is not None and self._before + now >= plan.calls:
                return Outcome(Ending.OK)
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return Outcome(Ending.OK)
            if now > done:
                done, since = now, time.monotonic()
            elif plan.timeout_seconds and time.monotonic() - since > plan.timeout_seconds:
                reason = message(
                    "soak.no-answer", "no answer for {seconds:g} s", seconds=plan.timeout_seconds
                )
                return Outcome(Ending.TIMEOUT, placed(reason, self._requests()))
            if not self._subject.service.is_alive():
                return self._death()
            self._subject.load.check()
            time.sleep(_POLL_SECONDS)
        return None

    def _sample(self, pauses: bool) -> None:
        """Write a sample."""
        taken = self._readings.sample(self._hold() if pauses else None)
        self._record_processes()
        call = self._before + taken.requests - 1
        for record in self._kinds.fresh():
            self._append(record)
        rows = {"processes": taken.processes, "routes": self._kinds.came()}
        more = {name: table for name, table in rows.items() if table}
        self._append({"record": "sample", "call": call, "values": taken.values, **more})
        self._show()
        self._sampled = taken.requests

    def _record_processes(self) -> None:
        """Who took a place among the service's processes since the last sample."""
        for record in self._readings.roles.fresh():
            self._append(record)

    def _interim_check(self) -> None:
        """Pause the load, read fully, and let it go on."""
        with paused(self._subject) as waited:
            since = time.monotonic_ns()
            readings = self._full_readings()
            self._readings.leave_out(time.monotonic_ns() - since)
        self._waits.append(inf if waited is None else waited)
        for reading in readings:
            self._settle_record(reading)
        self._record_errors()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """A pause for a sample, which waits no longer than pauses usually take."""
        usual = median(self._waits) if self._waits else _PAUSE_SECONDS
        longest = min(max(_PATIENCE * usual, _MIN_PATIENCE_SECONDS), _PAUSE_SECONDS)
        with paused(self._subject, longest) as waited:
            self._paused_samples += 1
            self._not_quiet += waited is None
            yield

    def _pause_seconds(self) -> float | None:
        """What it takes to hold the load; None if it cannot be, or nothing is read from inside."""
        if not self._waits or not self._readings.has_inside:
            return None
        usual = median(self._waits)
        return usual if usual < inf and 2 * self._not_quiet <= self._paused_samples else None

    def _full_readings(self) -> tuple[Reading, ...]:
        """The readings of a look; what single processes told in them is written at once."""
        self._record_processes()
        readings: list[Reading] = []
        for step in self._readings.steps():
            readings.append(self._readings.full(step))
            for record in self._readings.by_process(step):
                self._append(record)
        return tuple(readings)

    def _settle(self) -> Outcome | None:
        """The readings after the last request; an outcome if the service ends now."""
        try:
            with paused(self._subject):
                readings = self._full_readings()
                for reading in (*readings, *self._readings.settled(readings)):
                    self._settle_record(reading)
            self._record_errors()
        except ProcessLookupError:
            return self._death()
        except KeyboardInterrupt:
            return Outcome(Ending.INTERRUPTED, BY_THE_USER)
        return None

    def _death(self) -> Outcome:
        """How the service ended, as far as it can be known."""
        self._record_errors()
        return death(self._subject.service, self._subject.limit, self._run(), self._requests())

    def _requests(self) -> int:
        return self._before + self._counters.done

    def _record_response_times(self, sample: int) -> None:
        """Those of all requests up to a sample; of a part they are the difference of two."""
        times = self._counters.response_times()
        self._append(
            {"record": "note", "kind": RESPONSE_TIMES_NOTE, "sample": sample, "times": times}
        )

    def _record_errors(self) -> None:
        errors = self._subject.load.errors()
        if errors != self._recorded_errors:
            self._recorded_errors = errors
            text = message("soak.failed", "{count:d} requests failed", count=self._counters.failed)
            self._append({"record": "note", "kind": "errors", "text": text, "errors": errors})

    def _record_changes(self) -> None:
        """What became of the service's processes, and whether the inside view was lost."""
        self._kinds.end_turns()
        if self._kinds.cannot_take_turns:
            self._note(
                "no-turns",
                message(
                    "soak.no-turns",
                    "routes cannot be soaked one by one: the locustfile has a single task",
                ),
            )
        if self._readings.lost_inside:
            self._note(
                "lost-inside",
                message(
                    "soak.lost-inside",
                    "no process listened for {count:d} samples; live memory repeats the last"
                    " reading",
                    count=self._readings.lost_inside,
                ),
            )
        if self._not_quiet:
            self._note(
                "not-quiet",
                message(
                    "soak.not-quiet",
                    "{count:d} of {held:d} samples include a slow request in flight",
                    count=self._not_quiet,
                    held=self._paused_samples,
                ),
            )
        self._record_shared_files()
        if self._readings.replaced:
            text = message(
                "soak.restarted",
                "{count:d} of the service's processes were replaced by others",
                count=self._readings.replaced,
            )
            kernel = self._subject.limit.kernel_words()
            both = joined((text, kernel), "; ", "") if kernel is not None else text
            self._note("restarted", both)

    def _record_shared_files(self) -> None:
        """The largest files that came to /dev/shm or grew there, and who has them."""
        tree, roles = self._subject.service.tree, self._readings.roles
        files = tree.container.grown(tree.pids())
        if files:
            text = joined([each.sentence(roles.title_of) for each in files], ", ", "")
            rows = [[each.name, each.size_bytes, len(each.pids)] for each in files]
            self._append({"record": "note", "kind": "shared-files", "text": text, "growth": rows})

    def _note(self, kind: str, text: Text) -> None:
        self._append({"record": "note", "kind": kind, "text": text})

    def _run(self) -> Run:
        """What there is so far, for the plan of now: one that is gone on with may be asked more."""
        return replace(store.load(self._subject.run_file), plan=self._subject.plan)

    def _settle_record(self, reading: Reading) -> None:
        self._append({"record": "settle", **asdict(reading)})

    def _append(self, record: Mapping[str, Any]) -> None:
        self._appender.append(encode(record))


def _agent_summary(readings: Readings) -> Text:
    if not readings.listening and readings.no_agent is NO_INSIDE:
        return message("soak.nobody-listens", "none: the service does not run the agent")
    if not readings.listening:
        return message("soak.no-inside-view", "none: {reason}", reason=readings.no_agent)
    return message(
        "soak.listening",
        "{listening:d} of {processes:d} processes",
        listening=readings.listening,
        processes=readings.processes,
    )
