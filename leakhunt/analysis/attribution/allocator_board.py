"""What each allocator comes to: RSS at the end, live memory, time of a call. Pure.

What another allocator saves is retention, so RSS decides, and the time of a call; live memory is
shown beside them, since a leak stays a leak under every allocator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from statistics import fmean

from leakhunt.amounts import Amount
from leakhunt.analysis.attribution.remedy import interval
from leakhunt.analysis.verdict.cost import median_seconds
from leakhunt.analysis.verdict.result_diff import difference
from leakhunt.model.allocators import (
    ALLOCATOR,
    GLIBC_SETTINGS,
    PRELOAD,
    TRY_ALLOCATORS,
    allocator_of,
)
from leakhunt.model.attribution import AllocatorBoard, AllocatorTrial, Interval
from leakhunt.model.plan import Role
from leakhunt.model.run import Run
from leakhunt.model.series import LIVE_HEAP, PYTHON_LIVE, RSS
from leakhunt.text.message import Message, Text, joined, message

# One that takes longer than by this share is not recommended, whatever it saves.
_SLOWER_SHARE = 0.05
# Less is no reason to preload anything: this many bytes, and this share of RSS.
_MIN_SAVED_BYTES = 1 << 20
_MIN_SAVED_SHARE = 0.02

# The runs of one setting, by round.
_Rounds = dict[int, Run]


def allocator_boards(runs: Sequence[Run]) -> tuple[AllocatorBoard, ...]:
    """The board of every variant that was tried with other allocators in two whole rounds."""
    return tuple(_boards(runs))


def _boards(runs: Sequence[Run]) -> Iterator[AllocatorBoard]:
    tried: dict[str, dict[tuple[tuple[str, str], ...], _Rounds]] = {}
    for run in sorted(runs, key=lambda each: each.started_at):
        plan = run.plan
        if plan.remedy == TRY_ALLOCATORS and run.reading("end") is not None:
            key = () if plan.role is Role.BEFORE else tuple(sorted(plan.environment.items()))
            tried.setdefault(plan.reference, {}).setdefault(key, {})[plan.round] = run
    for variant, by_setting in tried.items():
        base = by_setting.pop((), {})
        others = [rounds for rounds in by_setting.values() if len(base.keys() & rounds.keys()) > 1]
        if len(base) > 1:
            yield _board(variant, base, others)


def _board(variant: str, base: _Rounds, others: Sequence[_Rounds]) -> AllocatorBoard:
    trials = (_trial(base, None), *(_trial(rounds, base) for rounds in others))
    recommended = _recommended(trials)
    return AllocatorBoard(variant, trials, recommended, _sentence(variant, trials, recommended))


def _trial(rounds: _Rounds, base: _Rounds | None) -> AllocatorTrial:
    runs = list(rounds.values())
    pairs = [(base[turn], run) for turn, run in rounds.items() if base and turn in base]
    compared = [found for one, other in pairs if (found := difference(one, other)) is not None]
    own = _own_environment(runs[0], base)
    return AllocatorTrial(
        name=_name(runs[0], own, is_first=base is None),
        environment=own,
        allocator=runs[0].environment.get(ALLOCATOR, ""),
        runs=len(runs),
        rss_bytes=interval([_at_end(run, RSS) for run in runs]),
        live_bytes=_live_bytes(runs),
        seconds=interval([median_seconds(run) for run in runs]),
        saved_rss_bytes=_saved(pairs),
        time_ratio=_time_ratio(pairs),
        compared=sum(each.compared for each in compared),
        differing=sum(each.differing for each in compared),
    )


def _own_environment(run: Run, base: _Rounds | None) -> dict[str, str]:
    """What this setting adds to the environment of the first."""
    if base is None:
        return {}
    before = next(iter(base.values())).plan.environment
    return {name: v for name, v in run.plan.environment.items() if before.get(name) != v}


def _name(run: Run, own: Mapping[str, str], *, is_first: bool) -> Text:
    allocator = run.environment.get(ALLOCATOR, "").partition(" (")[0]
    if is_first:
        return message("allocators.as-it-is", "{allocator}, as it is", allocator=allocator)
    for setting, environment in GLIBC_SETTINGS.items():
        if dict(environment) == dict(own):
            return message(
                "allocators.setting",
                "{allocator}, {setting}",
                allocator=allocator_of(run.environment),
                setting=Message("allocators.setting-name", setting),
            )
    return allocator


def _at_end(run: Run, name: str) -> int:
    reading = run.reading("end")
    return reading.values.get(name, 0) if reading is not None else 0


def _live_bytes(runs: Sequence[Run]) -> float | None:
    if any(LIVE_HEAP not in run.samples for run in runs):
        return None
    return fmean(_at_end(run, LIVE_HEAP) + _at_end(run, PYTHON_LIVE) for run in runs)


def _saved(pairs: Sequence[tuple[Run, Run]]) -> Interval | None:
    if len(pairs) < 2:
        return None
    return interval([_at_end(one, RSS) - _at_end(other, RSS) for one, other in pairs])


def _time_ratio(pairs: Sequence[tuple[Run, Run]]) -> Interval | None:
    if len(pairs) < 2:
        return None
    logs = interval([log(median_seconds(other) / median_seconds(one)) for one, other in pairs])
    return Interval(exp(logs.estimate), exp(logs.low), exp(logs.high))


def _recommended(trials: Sequence[AllocatorTrial]) -> int | None:
    """The one that saves most of RSS, for certain and enough, without being slower."""
    fit = [place for place, trial in enumerate(trials) if _is_fit(trial, trials[0])]
    return max(fit, key=lambda place: _estimate(trials[place]), default=None)


def _estimate(trial: AllocatorTrial) -> float:
    return trial.saved_rss_bytes.estimate if trial.saved_rss_bytes is not None else 0.0


def _is_fit(trial: AllocatorTrial, first: AllocatorTrial) -> bool:
    saved, ratio = trial.saved_rss_bytes, trial.time_ratio
    if saved is None or ratio is None or trial.differing:
        return False
    enough = max(_MIN_SAVED_BYTES, _MIN_SAVED_SHARE * first.rss_bytes.estimate)
    return saved.low > 0 and saved.estimate >= enough and ratio.estimate <= 1 + _SLOWER_SHARE


def _sentence(variant: str, trials: Sequence[AllocatorTrial], recommended: int | None) -> Message:
    if recommended is None:
        return message(
            "allocators.none",
            "{variant}: stay with {name}. None of the {count} others certainly ends at less RSS"
            " without a call being more than {slower:.0%} slower",
            variant=variant,
            name=trials[0].name,
            count=len(trials) - 1,
            slower=_SLOWER_SHARE,
        )
    best = trials[recommended]
    assert best.saved_rss_bytes is not None and best.time_ratio is not None
    settings = (f"{name}={value}" for name, value in best.environment.items())
    return message(
        "allocators.recommended",
        "{variant}: {name} ends at {rss} of RSS, {saved} less than {first} ({low} to {high}), at"
        " {ratio:.2f} × the time per call. Set {settings}",
        variant=variant,
        name=best.name,
        rss=Amount(best.rss_bytes.estimate),
        saved=Amount(best.saved_rss_bytes.estimate),
        low=Amount(best.saved_rss_bytes.low),
        high=Amount(best.saved_rss_bytes.high),
        first=trials[0].name,
        ratio=best.time_ratio.estimate,
        settings=joined(settings, " ", ""),
    )


def tried_environments(run: Run, installed: Mapping[str, str]) -> list[dict[str, str]]:
    """What to try beside a run as it was: `installed` are the libraries to preload, by allocator.

    glibc's settings where glibc serves; where another allocator does, glibc itself.
    """
    serves = allocator_of(run.environment)
    own: list[dict[str, str]] = [dict(each) for each in GLIBC_SETTINGS.values()]
    if serves not in ("", "glibc"):
        own = [{PRELOAD: ""}]
    return [*own, *({PRELOAD: library} for name, library in installed.items() if name != serves)]
