"""What is kept of measured runs, for new runs to be held against. Pure.

One run is kept with what pairing needs, its floors' steps; of repeats their rates alone, whose
spread says how runs differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from leakhunt.analysis.comparison.environments import mismatches
from leakhunt.analysis.comparison.profiles import profile
from leakhunt.analysis.comparison.statements import difference_of
from leakhunt.analysis.verdict.after_gc import remains_between
from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.baseline import (
    DEVICE,
    LIBC,
    PYTHON,
    SYSTEM,
    BaselineVariant,
    GrowthCourse,
    Profile,
)
from leakhunt.model.comparison import NOT_RECORDED, VARIABLE
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Run
from leakhunt.text.message import Text, joined, message

# leakhunt sets them to the plan's number of threads, which is kept with each variant.
_THREADS = ("env OMP_NUM_THREADS", "env MKL_NUM_THREADS")


def environment_of(run: Run) -> dict[str, str]:
    """What decides how memory behaves, and is not the plan's: system, Python, libc, device, `env`.

    Python counts by its minor version: its objects have other sizes in another.
    """
    facts = run.environment
    words = facts.get("system", "").split()
    python = facts.get("python", "").split(".")
    plans = {f"{VARIABLE}{name}" for name in run.plan.environment}
    threads = {name for name in _THREADS if facts.get(name) == str(run.plan.threads)}
    set_by_us = {*plans, *threads, "env PYTHONHASHSEED", "env CUDA_VISIBLE_DEVICES"}
    known = {
        SYSTEM: " ".join([*words[:1], *words[2:]]),
        PYTHON: ".".join(python[:2]),
        LIBC: facts.get("libc", ""),
        DEVICE: run.plan.device,
    }
    variables = {
        name: value
        for name, value in sorted(facts.items())
        if name.startswith(VARIABLE) and name not in set_by_us
    }
    return {name: value or NOT_RECORDED for name, value in known.items()} | variables


def unfit_reason(entries: Sequence[JudgedRun]) -> Text:
    """Why these runs of one variant are no baseline; empty where they are one.

    A leak is another matter: see `BaselineVariant.accepts_leak`.
    """
    for entry in entries:
        run = entry.run
        if run.outcome.ending is not Ending.OK:
            return message(
                "baseline.ended-early",
                "{file}: the run was {told} ({reason})",
                file=run.file, told=run.outcome.ending, reason=run.outcome.reason,
            )  # fmt: skip
        judged = run.samples_done - run.judged_from
        if judged < MIN_SAMPLES:
            return message(
                "baseline.few-samples",
                "{file}: {judged} measured samples; needs {fewest_samples}",
                file=run.file, judged=judged, fewest_samples=MIN_SAMPLES,
            )  # fmt: skip
    first, *others = (entry.run for entry in entries)
    for other in others:
        differ = [e for e in mismatches([first], [other]) if e.matter.refuses_memory]
        if differ:
            facts = joined(map(difference_of, differ), "; ", "")
            return message(
                "baseline.no-repeats",
                "{file} and {other} are not repeats of the same run; they differ in {facts}",
                file=first.file, other=other.file, facts=facts,
            )  # fmt: skip
    return ""


def baseline_variant(entries: Sequence[JudgedRun]) -> BaselineVariant:
    """The figures of one run or of repeats, of one variant and environment.

    None of them has an `unfit_reason`.
    """
    entries = [replace(entry, run=resampled(entry.run)) for entry in entries]
    profiles = [profile(entry) for entry in entries]
    if len(profiles) > 1:
        profiles = [_as_repeat(each) for each in profiles]
    run = entries[0].run
    return BaselineVariant(
        scenario=run.plan.scenario,
        variant=run.plan.variant,
        environment=environment_of(run),
        profiles=tuple(profiles),
        verdicts=tuple(str(entry.verdict.kind) for entry in entries),
        measured=tuple(entry.run.started_at for entry in entries),
    )


def _as_repeat(one: Profile) -> Profile:
    """The figures that are compared between repeats."""
    return replace(
        one,
        calls=None,
        courses={
            series: replace(course, steps=(), points=()) for series, course in one.courses.items()
        },
        times=replace(one.times, blocks=()) if one.times is not None else None,
    )


def derived(read: BaselineVariant) -> BaselineVariant:
    """What was read from a file, with the rates that follow from what the file says."""
    profiles = (
        replace(
            each, courses={series: _with_rates(course) for series, course in each.courses.items()}
        )
        for each in read.profiles
    )
    return replace(read, profiles=tuple(profiles))


def _with_rates(course: GrowthCourse) -> GrowthCourse:
    """The rate of the steps, and what collections leave between the points."""
    remains = remains_between(course.points)
    return replace(
        course,
        rate=fmean(course.steps) if course.steps else course.rate,
        rate_after_gc=remains.rate if remains is not None else course.rate_after_gc,
    )
