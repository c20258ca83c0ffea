"""A watch: a process tree followed from outside for days, into a run file, in constant memory.

It goes by the time since the boot, which no one sets and which runs on while the machine sleeps.
Samples are written ever further apart, as a soak's are: a run of three days has some four thousand.
What happens to what is watched is told in the run file. What happens to the watch loses nothing
that was written: it goes on with its own file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from leakhunt.amounts import Amount, Seconds
from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.lives import RESTARTED
from leakhunt.analysis.verdict.series import INTERIM_CHECKS, MIN_SAMPLES
from leakhunt.errors import CannotWrite, UsageError
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Plan
from leakhunt.model.processes import PROCESS_SERIES
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Run
from leakhunt.model.series import DURATION, SERIES
from leakhunt.model.verdict import Status, Verdict
from leakhunt.runner.supervisor import BY_THE_USER, disk_full
from leakhunt.service.watched_tree import ProcessBirth, WatchReading, WatchSource, boot_id
from leakhunt.storage import run_file as store
from leakhunt.storage import run_writer
from leakhunt.storage.follow import Tail
from leakhunt.storage.run_writer import Appender, DiskFull, encode
from leakhunt.text.message import Text, message, sentences

# So many samples are taken at one distance, of the first twice as many; then it doubles.
SAMPLES_A_PHASE = INTERIM_CHECKS[-1]
# The verdict is looked at after so many samples each.
SAMPLES_A_CHECK = 25
# Memory is short where less of the limit than this is left.
SHORT_SHARE = 0.1
_SECOND_NS = 1_000_000_000
_NOTE = "watching"
VERDICT_NOTE = "verdict"
ALARM_NOTE = "alarm"
_HAIR = 1e-3
_LONGEST_LINE_BYTES = 1 << 20
_GONE_TEXT = message("watch.gone", "the process has ended; waiting for another")


class WatchClock(Protocol):
    """The time that a watch goes by."""

    def seconds(self) -> float:
        """Since the boot, suspended or not."""

    def wall(self) -> float:
        """Unix time, which may jump."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class BootClock:
    """The time of this machine."""

    def seconds(self) -> float:
        """Since the boot, suspended or not."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """Unix time, which may jump."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """Something that people want to be told of at once.

    `verdict` is that of now, `is_alarm`: memory grows, or is short; `largest` is the process that
    takes most, `run` what there is so far.
    """

    text: Text
    is_alarm: bool
    verdict: Verdict
    run: Run
    reading: WatchReading


@dataclass(frozen=True, slots=True)
class WatchHooks:
    """Who is told of what a watch does, and what it asks for.

    `limits` are the bounds of what counts against them, by what sets them.
    """

    limits: Callable[[WatchReading], Mapping[str, int]]
    shown: Callable[[Tail], None] = lambda tail: None
    on_alarm: Callable[[WatchEvent], Text | None] = lambda event: None
    noted: Callable[[Text], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class WatchPlace:
    """What a watch is about: its plan, where it is written, how long it lasts at most.

    `wait_seconds`: so long another process is waited for where the one before has ended.
    """

    plan: Plan
    run_file: Path
    duration_seconds: float | None
    wait_seconds: float
    environment: Mapping[str, str]


class Watch:
    """A watch at work."""

    def __init__(
        self, place: WatchPlace, source: WatchSource, clock: WatchClock, hooks: WatchHooks
    ) -> None:
        assert place.plan.watch is not None
        self._place, self._source, self._clock, self._hooks = place, source, clock, hooks
        self._interval = max(round(place.plan.watch.interval_seconds), 1)
        self._each = self._interval
        self._left = 0
        self._done = 0
        self._last_call = 0
        self._origin = 0.0
        self._birth: ProcessBirth | None = None
        self._unwritten: tuple[int, WatchReading] | None = None
        self._since_check = 0
        self._state = ""
        self._is_short = self._alarmed = False
        self._names: tuple[str, ...] = ()
        self._last: dict[str, int] = {}
        # Who took a place in the tree, as far as the file does not have it yet.
        self._holders: list[Mapping[str, object]] = []

    def carry_out(self) -> Outcome:
        """All of it; what ended it is the outcome.

        Raises:
            CannotWrite: the disk does not take the run file (every sample so far is in it).
        """
        started = self._clock.seconds()
        resumed = _has_begun(self._place.run_file)
        if resumed:
            self._resume()
        else:
            self._begin()
        appender = Appender(self._place.run_file)
        outcome = Outcome(Ending.OK)
        try:
            with Tail(self._place.run_file) as tail:
                self._tail, self._appender = tail, appender
                outcome = self._followed(resumed)
        except DiskFull as error:
            outcome = Outcome(Ending.INTERRUPTED, disk_full(str(error)))
            raise CannotWrite(
                message(
                    "run.samples-are-safe",
                    "{reason}. All samples so far are in {run_file}: free some space, then run"
                    " 'leakhunt report {parent}'",
                    reason=outcome.reason,
                    run_file=str(self._place.run_file),
                    parent=str(self._place.run_file.parent),
                )
            ) from error
        except KeyboardInterrupt:
            outcome = Outcome(Ending.INTERRUPTED, BY_THE_USER)
        finally:
            appender.close()
            run_writer.ballast_of(self._place.run_file).unlink(missing_ok=True)
            run_writer.finish(self._place.run_file, outcome, self._clock.seconds() - started)
        return outcome

    def _begin(self) -> None:
        series = [*self._source.series, SERIES[DURATION].series]
        self._names = tuple(each.name for each in series)
        self._origin = self._clock.seconds()
        reading = self._source.read()
        limits = self._hooks.limits(reading) if reading is not None else {}
        self._holders = list(reading.holders) if reading is not None else []
        run_writer.create(
            self._place.run_file,
            {
                "started_at": datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(
                    timespec="milliseconds"
                ),
                "plan": asdict(self._place.plan),
                "facts": {},
                "environment": dict(self._place.environment),
                "series": [asdict(each) for each in series],
                "unavailable": {},
                "limits": dict(limits),
                "process_series": PROCESS_SERIES,
            },
        )

    def _resume(self) -> None:
        """Take over what the file says; whatever it ends with, it ends with a whole line."""
        file = self._place.run_file
        _cut_stump(file)
        run = store.load(file)
        if run.plan.watch is None:
            raise UsageError(
                message(
                    "watch.not-a-watch",
                    "{file}: not a watch, so it cannot be gone on with. Choose another --out",
                    file=file,
                )
            )
        self._names = tuple(each.name for each in run.series)
        self._done, self._last_call = run.samples_done, run.calls_done
        if run.phases:
            last = run.phases[-1]
            self._each = last.calls_per_sample
            self._left = max(last.first_sample + last.samples - run.samples_done, 0)
        at = {name: values[-1] for name, values in run.samples.items() if len(values)}
        self._last = at
        self._origin = self._clock.seconds() - self._last_call
        noted = [note for note in run.notes if note.get("kind") == _NOTE]
        if noted:
            note = noted[-1]
            same_boot = note["boot"] == boot_id()
            self._origin = float(note["origin"])
            if not same_boot or self._clock.seconds() - self._origin < self._last_call:
                # Another boot: its length is not known, but the files' time is, if no clock jumped.
                apart = max(self._clock.wall() - file.stat().st_mtime, float(self._each))
                self._origin = self._clock.seconds() - self._last_call - apart
            if same_boot:
                self._birth = ProcessBirth(int(note["pid"]), int(note["ticks"]))
        verdicts = [note for note in run.notes if note.get("kind") == VERDICT_NOTE]
        self._state = str(verdicts[-1]["state"]) if verdicts else ""
        self._alarmed = bool(verdicts) and bool(verdicts[-1]["alarmed"])
        alarms = [note for note in run.notes if note.get("kind") == ALARM_NOTE]
        self._is_short = bool(alarms) and bool(alarms[-1]["short"])
        run_writer.reopen(file)

    def _followed(self, resumed: bool) -> Outcome:
        self._tail.follow()
        if resumed:
            text = message(
                "watch.resumed", "resumed after {time}", time=Seconds(float(self._last_call))
            )
            self._write({"record": "note", "kind": "resumed", "text": text})
        gone_since: float | None = None
        while True:
            second = self._wait()
            reading = self._source.read()
            if reading is None:
                gone_since = self._clock.seconds() if gone_since is None else gone_since
                ended = self._gone(self._clock.seconds() - gone_since, gone_since)
                if ended is not None:
                    return ended
            else:
                gone_since = None
                self._take(second, reading)
            if self._is_over():
                self._flush()
                return Outcome(Ending.OK)

    def _wait(self) -> int:
        """Until the next reading is due; the second that it stands for."""
        now = self._clock.seconds() - self._origin
        due = (int(now) // self._interval + 1) * self._interval
        self._clock.sleep(max(due - now, 0.0))
        # A hair more, so that what was waited for is not one second short by rounding.
        return max(int(self._clock.seconds() - self._origin + _HAIR), self._last_call + 1)

    def _is_over(self) -> bool:
        seconds = self._place.duration_seconds
        return seconds is not None and self._clock.seconds() - self._origin >= seconds

    def _take(self, second: int, reading: WatchReading) -> None:
        if reading.birth != self._birth:
            self._another(reading)
        self._unwritten = (second, reading)
        for holder in (*self._holders, *reading.holders):
            self._write(holder)
        self._holders = []
        if second // self._each > self._last_call // self._each or not self._done:
            self._flush()
        self._look_at_the_limit(reading)

    def _another(self, reading: WatchReading) -> None:
        """Another process than before: the first, or one that took its place."""
        self._flush()
        if self._birth is not None or self._done:
            self._write({"record": "settle", "step": RESTARTED, "values": {}})
            text = message("watch.restarted", "restarted: now process {pid}", pid=reading.birth.pid)
            self._write({"record": "note", "kind": "restarted", "text": text})
            self._hooks.noted(text)
        self._birth = reading.birth
        self._write(
            {
                "record": "note",
                "kind": _NOTE,
                "pid": reading.birth.pid,
                "ticks": reading.birth.ticks,
                "boot": boot_id(),
                "origin": round(self._origin, 3),
            }
        )

    def _flush(self) -> None:
        """Write the reading that was not written yet."""
        if self._unwritten is None:
            return
        second, reading = self._unwritten
        self._unwritten = None
        if second <= self._last_call:
            return
        if not self._left:
            self._next_phase()
        passed = (second - self._last_call) * _SECOND_NS
        self._last |= {**reading.values, DURATION: passed}
        row = [self._last.get(name, 0) for name in self._names]
        more = {"processes": reading.rows} if reading.rows else {}
        self._write({"record": "sample", "call": second - 1, "values": row, **more})
        self._last_call, self._done, self._left = second, self._done + 1, self._left - 1
        self._since_check += 1
        if self._since_check >= SAMPLES_A_CHECK and self._done >= MIN_SAMPLES:
            self._check(reading)

    def _next_phase(self) -> None:
        """At twice the distance, but for the first."""
        samples = SAMPLES_A_PHASE
        if self._done:
            self._each *= 2
        else:
            samples *= 2
        phase = Phase(self._done, samples, Purpose.JUDGED, self._each, collects=False)
        self._write({"record": "phase", **asdict(phase)})
        self._left = samples

    def _check(self, reading: WatchReading) -> None:
        """Look at the verdict; say so if it has changed."""
        self._since_check = 0
        run = self._so_far(self._hooks.limits(reading))
        verdict = judge(run, power=False)
        state = f"{verdict.status}/{verdict.kind}"
        parts: list[Text] = [verdict.sentence]
        if verdict.forecast is not None and verdict.forecast.limit_bytes is not None:
            parts.append(verdict.forecast.sentence)
        text = sentences(parts)
        if verdict.status is Status.NO_LEAK:
            self._alarmed = False
        is_alarm = grows(verdict) and not self._alarmed
        self._alarmed |= is_alarm
        changed, self._state = state != self._state, state
        note = {"kind": VERDICT_NOTE, "state": state, "alarmed": self._alarmed, "text": text}
        self._write({"record": "note", **note})
        if changed:
            self._report(WatchEvent(text, is_alarm, verdict, run, reading), short=self._is_short)

    def _so_far(self, limits: Mapping[str, int]) -> Run:
        """What there is, as if it ended now by itself."""
        run = store.load(self._place.run_file)
        return replace(run, outcome=Outcome(Ending.OK), limits=dict(limits))

    def _look_at_the_limit(self, reading: WatchReading) -> None:
        """Raise an alarm where memory gets short, once until it is not any more."""
        limits = self._limits(reading)
        if not limits:
            return
        name, limit = min(limits.items(), key=lambda each: each[1])
        used = reading.counted_bytes
        short = used > (1 - SHORT_SHARE) * limit
        if short and not self._is_short:
            text = message(
                "watch.short",
                "memory is short: {used} of {limit} are used",
                used=Amount(used),
                limit=Amount(limit),
            )
            self._flush()
            run = self._so_far({name: limit})
            self._report(WatchEvent(text, True, judge(run, power=False), run, reading), short=True)
        elif self._is_short and used < (1 - 2 * SHORT_SHARE) * limit:
            self._write({"record": "note", "kind": ALARM_NOTE, "short": False, "text": _ENOUGH})
            short = False
        else:
            short = self._is_short
        self._is_short = short

    def _limits(self, reading: WatchReading) -> Mapping[str, int]:
        given = self._place.plan.limit_bytes
        return {"": given} if given is not None else self._hooks.limits(reading)

    def _report(self, event: WatchEvent, short: bool) -> None:
        self._hooks.noted(event.text)
        if not event.is_alarm:
            return
        self._write({"record": "note", "kind": ALARM_NOTE, "short": short, "text": event.text})
        done = self._hooks.on_alarm(event)
        if done is not None:
            self._write({"record": "note", "kind": "alarm-raised", "text": done})

    def _gone(self, seconds: float, since: float) -> Outcome | None:
        """What is watched is not there; an outcome where nothing more is waited for."""
        if self._unwritten is not None:
            self._flush()
        code = self._source.ending()
        if code is None and seconds < self._place.wait_seconds:
            if self._clock.seconds() == since:
                self._hooks.noted(_GONE_TEXT)
            return None
        if code is not None:
            how = message("watch.exit-code", "exited with code {code}", code=code)
            return Outcome(Ending.OK if code == 0 else Ending.CRASHED, how, exit_code=code)
        how = message(
            "watch.ended",
            "the process ended, and none took its place within {time}",
            time=Seconds(self._place.wait_seconds),
        )
        return Outcome(Ending.OK, how)

    def _write(self, record: Mapping[str, Any]) -> None:
        self._appender.append(encode(record))
        self._tail.follow()
        self._hooks.shown(self._tail)


_ENOUGH = message("watch.enough", "memory is not short any more")


def grows(verdict: Verdict) -> bool:
    """Whether a verdict is a reason for an alarm."""
    return verdict.status is Status.LEAK or verdict.kind is Kind.OUTSIDE_GROWTH


def _has_begun(file: Path) -> bool:
    """Whether there is a file with its header; one that was killed before that is nothing."""
    if not file.exists():
        return False
    with open(file, "rb") as stream:
        if stream.readline(_LONGEST_LINE_BYTES).endswith(b"\n"):
            return True
    file.unlink()
    return False


def _cut_stump(file: Path) -> None:
    """Take away a line that was being written when the watch was killed: it never was whole."""
    with open(file, "r+b") as stream:
        end = stream.seek(0, 2)
        stream.seek(max(end - _LONGEST_LINE_BYTES, 0))
        tail = stream.read()
        stream.truncate(end - (len(tail) - tail.rfind(b"\n") - 1))
