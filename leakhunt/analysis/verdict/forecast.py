"""Whether the process is killed, and when: what its killer counts, set against the limit. Pure.

The killer counts all that a process takes, live or retained. A leak goes on at its rate, by the
verdict; anything else goes on as the fits of the curve allow (`growth_fits`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite
from statistics import median

from leakhunt.analysis.verdict.growth_fits import MIN_POINTS, Fits, Model, fits
from leakhunt.analysis.verdict.limit_sentence import kill_sentence
from leakhunt.analysis.verdict.lives import last_life
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.run import (
    ADDRESS_SPACE,
    GIVEN_LIMIT,
    GPU_MEMORY,
    MEMORY_CGROUP,
    MEMORY_LIMIT,
    Ending,
    Run,
)
from leakhunt.model.series import (
    ANONYMOUS,
    CGROUP,
    CUDA_ALLOCATED,
    CUDA_RESERVED,
    DURATION,
    ELAPSED,
    LIVE_HEAP,
    MEMORY,
    PSS,
    RSS,
)
from leakhunt.model.verdict import KillForecast, Outlook, Status, Trend, Verdict
from leakhunt.text.message import Text, message

# A memory cgroup counts no pages that a file backs: those can be dropped.
_OF_A_CGROUP = (MEMORY_LIMIT, MEMORY_CGROUP, GIVEN_LIMIT)

# Readings of memory as the calls left it.
_UNTRIMMED = ("start", "look", "look_collected", "end")
_NANOSECONDS = 1e9
# Nothing but a leak is foreseen for more than so many times the calls that were made.
FARTHEST = 100
# A curve that may meet the limit before so many times the calls made cannot be foreseen at all.
_NEAREST = 0.25
# Growth that has all but ended: this share of all growth in as many calls again.
_LEVEL_SHARE = 0.05
_GROWN_BYTES = 8 << 20
# A straight line is said unless another foresees the last third so much better.
_CLEARLY_BETTER = 0.8


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a killer counts: a series, and where its limit stands.

    `offset` is what lies between the series that was `sampled` and what the killer counts.
    """

    series: str
    sampled: str
    offset: int
    limit: str
    limit_bytes: int

    def used(self, run: Run) -> int:
        """What it was at the end."""
        return run.samples[self.sampled][run.samples_done - 1] + self.offset


@dataclass(frozen=True, slots=True)
class _Path:
    """Calls from the end until the limit: by the best model, and between which; the models."""

    calls: float
    soonest: float
    latest: float
    models: tuple[str, ...]
    is_slowing: bool = False
    is_level: bool = False
    is_leak: bool = False


def with_forecast(run: Run, verdict: Verdict, levels_after: int | None = None) -> Verdict:
    """The verdict with its forecast; retention that fills the limit is a class of its own.

    `levels_after`: a bounded cache is known to be full after so many calls of the run.
    """
    verdict = replace(verdict, forecast=forecast(run, verdict, levels_after))
    retained = {Kind.ALLOCATOR_RETENTION, Kind.CUDA_RETENTION} & {verdict.kind, *verdict.also}
    if verdict.warns and retained and verdict.status is Status.NO_LEAK:
        return replace(verdict, kind=Kind.FILLS_LIMIT, also=(verdict.kind, *verdict.also))
    return verdict


def forecast(run: Run, verdict: Verdict, levels_after: int | None = None) -> KillForecast:
    """Whether the process is killed, and when: by the limit that it meets first."""
    found = [_foreseen(run, verdict, each, levels_after) for each in _counted(run)]
    if not found:
        return _unknown(message("kill.no_limit", "no memory limit was recorded"))
    return min(found, key=_gravity)


def _gravity(one: KillForecast) -> tuple[int, float]:
    """The gravest first: what has happened, what will, what may, what cannot be told."""
    order = (
        (Outlook.KILLED, Outlook.EXCEEDED),
        (Outlook.AT_PACE,),
        (Outlook.SLOWING,),
        (Outlook.UNKNOWN,),
        (Outlook.NOT_WITHIN, Outlook.LEVELLED),
    )
    rank = next(place for place, group in enumerate(order) if one.outlook in group)
    return rank, inf if one.calls_soonest is None else one.calls_soonest


def _counted(run: Run) -> list[_Counted]:
    """What counts against the nearest limit of the host, and of the GPU where there is one."""
    host = [
        counted
        for name, size in _host_limits(run).items()
        if (counted := _on_host(run, name, size)) is not None
    ]
    nearest = sorted(host, key=lambda each: each.limit_bytes - each.used(run))[:1]
    gpu = _on_gpu(run)
    return nearest + ([gpu] if gpu is not None else [])


def _host_limits(run: Run) -> Mapping[str, int]:
    """The limit that was given, else those in force; of a killed run always those."""
    given = run.plan.limit_bytes
    if given is None or run.outcome.kernel is not None:
        return run.limits
    return {GIVEN_LIMIT: given}


def _on_host(run: Run, name: str, size: int) -> _Counted | None:
    if run.plan.is_of_a_service:
        private = (ANONYMOUS,) if name == GIVEN_LIMIT else ()
        order = (CGROUP, *private, PSS, RSS, MEMORY)
        series = _first_read(run, order)
        return _Counted(series, series, 0, name, size) if series else None
    if not _first_read(run, (RSS,)):
        return None
    last = next((each.values for each in reversed(run.readings) if each.step in _UNTRIMMED), {})
    if name == ADDRESS_SPACE and "address_space" in last:
        between = last["address_space"] - last[RSS]
        return _Counted("address_space", RSS, between, name, size)
    if name in _OF_A_CGROUP and "rss_file" in last:
        between = last.get("page_tables", 0) - last["rss_file"]
        return _Counted(ANONYMOUS, RSS, between, name, size)
    return _Counted(RSS, RSS, 0, name, size)


def _on_gpu(run: Run) -> _Counted | None:
    """The driver's memory: what torch has reserved, and all else that is on the device."""
    read = [each.values for each in run.readings if "cuda_total" in each.values]
    if not read or not _first_read(run, (CUDA_RESERVED,)):
        return None
    last = read[-1]
    between = last["cuda_device_used"] - last[CUDA_RESERVED]
    return _Counted("cuda_device_used", CUDA_RESERVED, between, GPU_MEMORY, last["cuda_total"])


def _first_read(run: Run, names: Sequence[str]) -> str:
    return next((name for name in names if len(run.samples.get(name, ()))), "")


def _foreseen(
    run: Run, verdict: Verdict, counted: _Counted, levels_after: int | None
) -> KillForecast:
    if not run.samples_done:
        return _unknown(message("kill.no_sample", "nothing was measured"), counted)
    used = counted.used(run)
    base = KillForecast(
        outlook=Outlook.UNKNOWN,
        series=counted.series,
        limit=counted.limit,
        limit_bytes=counted.limit_bytes,
        used_bytes=used,
        headroom_bytes=max(counted.limit_bytes - used, 0),
        calls=None,
        calls_soonest=None,
        calls_latest=None,
        seconds=None,
        models=(),
        warns=False,
        sentence="",
    )
    over = _over(run, counted, base, verdict.kind is Kind.SPIKE)
    if over is not None:
        return _with_sentence(over, run, verdict)
    path = _path(run, verdict, counted)
    if path is None:
        reason = message("kill.too_few", "too few samples ({samples})", samples=run.samples_done)
        return _unknown(reason, counted, used, run.plan.work)
    return _with_sentence(_outlook(base, path, run, levels_after), run, verdict)


def _over(run: Run, counted: _Counted, base: KillForecast, is_spike: bool) -> KillForecast | None:
    """A run that was killed for memory, or that went over a limit that nothing enforces."""
    outcome = run.outcome
    if outcome.ending is Ending.KILLED and (outcome.kernel is not None or is_spike):
        last = outcome.last_rss_bytes if counted.sampled == RSS else None
        used = max(base.used_bytes or 0, (last or 0) + counted.offset)
        return replace(base, outlook=Outlook.KILLED, calls=run.calls_done, used_bytes=used)
    if counted.limit != GIVEN_LIMIT:
        return None
    values = run.samples[counted.sampled][: run.samples_done]
    over = (
        place for place, value in enumerate(values) if value + counted.offset >= counted.limit_bytes
    )
    born = last_life(run)
    first = next((place for place in over if place >= born), None)
    if first is None:
        return None
    return replace(base, outlook=Outlook.EXCEEDED, calls=run.calls[first])


def _path(run: Run, verdict: Verdict, counted: _Counted) -> _Path | None:
    room = max(counted.limit_bytes - counted.used(run), 0)
    if verdict.status is Status.LEAK or verdict.kind is Kind.OUTSIDE_GROWTH:
        leaking = _leaking(verdict.trends, counted)
        if leaking:
            return _at_rate(leaking, room)
    born = last_life(run)
    first = max(run.judged_from, born)
    if run.samples_done - first < MIN_POINTS:
        first = born
    calls = run.calls[first : run.samples_done]
    values = run.samples[counted.sampled][first : run.samples_done]
    found = fits(calls, values)
    if found is None:
        return None
    return _by_fits(found, room, run, counted)


def _leaking(trends: Mapping[str, Trend], counted: _Counted) -> list[Trend]:
    """What leaks: what the killer counts, and live memory, of which more may still be hidden."""
    order = (
        (CUDA_RESERVED, CUDA_ALLOCATED)
        if counted.limit == GPU_MEMORY
        else (RSS, ANONYMOUS, MEMORY, LIVE_HEAP)
    )
    found = [trends[name] for name in order if name in trends]
    return [trend for trend in found if trend.status is Status.LEAK and trend.rate]


def _at_rate(leaking: Sequence[Trend], room: int) -> _Path:
    """At the rate of the first; at the latest at that of the slowest: the rest may be retained."""
    rate = leaking[0].rate or 0.0
    high = max(leaking[0].rate_high or 0.0, rate)
    low = min(trend.rate_low or 0.0 for trend in leaking)
    latest = room / low if low > 0 else inf
    return _Path(room / rate, room / high, latest, (str(Model.LINEAR),), is_leak=True)


def _by_fits(found: Fits, room: int, run: Run, counted: _Counted) -> _Path:
    straight = next((fit for fit in found.fits if fit.model is Model.LINEAR), None)
    best = found.best
    if straight is not None and best.missed >= _CLEARLY_BETTER * straight.missed:
        best = straight
    _, soonest, latest = found.calls_until(room)
    values = run.samples[counted.sampled][: run.samples_done]
    born = last_life(run)
    grown = values[-1] - min(values[born : max(run.judged_from, born + 1)])
    further = best.growth(run.calls_done)
    return _Path(
        best.calls_until(room, best.slope),
        soonest,
        latest,
        tuple(dict.fromkeys(str(fit.model) for fit in found.fits)),
        is_slowing=best.model in (Model.LOGARITHMIC, Model.LEVELLING),
        is_level=grown > _GROWN_BYTES and further < _LEVEL_SHARE * grown,
    )


def _outlook(base: KillForecast, path: _Path, run: Run, levels_after: int | None) -> KillForecast:
    """What the calls until the limit come to, as far as anything can be foreseen."""
    farthest = FARTHEST * run.calls_done
    until_full = (levels_after or 0) - run.calls_done
    if until_full > 0 and path.soonest > until_full:
        return replace(base, outlook=Outlook.NOT_WITHIN, calls_soonest=until_full)
    forecast = replace(
        base,
        calls=_whole(path.calls),
        calls_soonest=_whole(path.soonest),
        calls_latest=_whole(path.latest),
        models=path.models,
    )
    if path.is_leak or path.calls <= farthest:
        each = _seconds_per_call(run)
        return replace(
            forecast,
            outlook=Outlook.SLOWING if path.is_slowing else Outlook.AT_PACE,
            seconds=None if each is None or forecast.calls is None else forecast.calls * each,
            warns=not path.is_leak,
        )
    if path.soonest < _NEAREST * run.calls_done:
        return replace(forecast, outlook=Outlook.UNKNOWN, calls=None)
    within = _rounded_down(min(path.soonest, farthest))
    outlook = Outlook.NOT_WITHIN
    if path.is_level:
        outlook = Outlook.LEVELLED
    elif path.is_slowing and path.soonest < farthest:
        outlook = Outlook.SLOWING
    return replace(forecast, outlook=outlook, calls=None, calls_soonest=within)


def _with_sentence(forecast: KillForecast, run: Run, verdict: Verdict) -> KillForecast:
    """With its sentence, and the remedy where retained memory fills the limit."""
    is_leak = verdict.status is Status.LEAK
    warns = not is_leak and (
        forecast.warns or forecast.outlook in (Outlook.KILLED, Outlook.EXCEEDED)
    )
    forecast = replace(forecast, warns=warns)
    kinds = {verdict.kind, *verdict.also}
    return replace(
        forecast, sentence=kill_sentence(forecast, run.plan.work, kinds if warns else set())
    )


def _unknown(
    reason: Text,
    counted: _Counted | None = None,
    used: int | None = None,
    work: Work = Work.CALL,
) -> KillForecast:
    forecast = KillForecast(
        outlook=Outlook.UNKNOWN,
        series=counted.series if counted is not None else RSS,
        limit=counted.limit if counted is not None else "",
        limit_bytes=counted.limit_bytes if counted is not None else None,
        used_bytes=used,
        headroom_bytes=(
            max(counted.limit_bytes - used, 0) if counted is not None and used is not None else None
        ),
        calls=None,
        calls_soonest=None,
        calls_latest=None,
        seconds=None,
        models=(),
        warns=False,
        sentence="",
    )
    return replace(forecast, sentence=kill_sentence(forecast, work, set(), reason))


def _whole(calls: float) -> int | None:
    return ceil(calls) if isfinite(calls) and calls < _ENDLESS else None


# Beyond, a number of calls is none that anybody makes.
_ENDLESS = 1e15


def _rounded_down(calls: float) -> int:
    """With two digits: what is foreseen for 25,317 calls is so for 25,000."""
    scale = int("1" + "0" * max(len(str(int(calls))) - 2, 0))
    return int(calls) // scale * scale


def _seconds_per_call(run: Run) -> float | None:
    if run.plan.watch is not None:
        return 1.0
    if run.plan.load is not None:
        spent = sum(run.samples.get(ELAPSED, ())[run.judged_from + 1 :])
        return spent / max(_calls_between(run), 1) / _NANOSECONDS if spent else None
    times = run.samples.get(DURATION, ())[run.judged_from :]
    return median(times) / run.calls_per_sample / _NANOSECONDS if times else None


def _calls_between(run: Run) -> int:
    """From the first judged sample to the last."""
    return run.calls[run.samples_done - 1] - run.calls[run.judged_from]
