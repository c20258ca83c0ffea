"""Runs held against what is kept of others: the same lines as two sides of runs give. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from leakhunt.analysis.comparison.compare import refused
from leakhunt.analysis.comparison.environments import differing, facts, mismatch
from leakhunt.analysis.comparison.metrics import lines_of
from leakhunt.analysis.comparison.profiles import over_calls_of, profile
from leakhunt.analysis.comparison.statements import difference_of
from leakhunt.analysis.gate.baseline import environment_of
from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.model.baseline import PYTHON, Baseline, BaselineVariant, Environment
from leakhunt.model.comparison import NOT_SET, Matter, Metric, Mismatch
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.text.message import Text, joined, message


def against_baseline(
    saved: BaselineVariant, entries: Sequence[JudgedRun]
) -> tuple[tuple[Metric, ...], tuple[Mismatch, ...]]:
    """The figures of repeats beside those kept, and the facts that forbid a conclusion.

    As of two sides of `leakhunt compare`. One run of each is compared block by block if it made
    the calls of the other, else each by itself; of repeats the spread between runs tells.
    """
    entries = [replace(entry, run=resampled(entry.run)) for entry in entries]
    if len(saved.profiles) == len(entries) == 1:
        profiles = [over_calls_of(saved.profiles[0], entries[0])]
    else:
        profiles = [profile(entry) for entry in entries]
    in_force = tuple(
        each
        for each in differing_facts(saved, [entry.run for entry in entries])
        if each.matter is not Matter.SHOWN
    )
    lines = lines_of(saved.profiles, profiles)
    return tuple(refused(line, in_force) for line in lines), in_force


def differing_facts(saved: BaselineVariant, runs: Sequence[Run]) -> tuple[Mismatch, ...]:
    """Every fact that differs, versions of packages too, what forbids a conclusion first."""
    return differing([each.facts for each in saved.profiles], [facts(run) for run in runs])


def choose(baselines: Sequence[Baseline], run: Run) -> Baseline | None:
    """The baseline of the environment in which `run` was made."""
    here = environment_of(run)
    return next((each for each in baselines if each.environment == here), None)


def no_baseline(baselines: Sequence[Baseline], run: Run, place: str) -> Text:
    """Why `run` is held against none of `baselines`, which are in `place`, and what to do."""
    if not baselines:
        return message(
            "baseline.none",
            "{place}: no baseline. Create one with 'leakhunt baseline save RUN_FOLDER'",
            place=place,
        )
    here = environment_of(run)
    nearest = min(baselines, key=lambda each: len(list(_apart(each.environment, here))))
    return message(
        "baseline.none-here",
        "{place}: no baseline of this environment; the nearest, {nearest}, differs in {facts}."
        " Create one with 'leakhunt baseline save RUN_FOLDER'",
        place=place,
        nearest=nearest.place,
        facts=joined(map(difference_of, _apart(nearest.environment, here)), "; ", ""),
    )


def _apart(saved: Environment, here: Environment) -> Iterator[Mismatch]:
    for name in dict.fromkeys([*here, *saved]):
        values = [each.get(name, NOT_SET) for each in (saved, here)]
        if values[0] != values[1]:
            matter = Matter.SHOWN if name == PYTHON else Matter.MEMORY
            yield mismatch(name, values[:1], values[1:], matter)
