"""What is kept of measured runs, for new runs to be held against. Pure.

An environment has a folder, and in it a file for each variant: two branches that add or renew
different variants then merge without a conflict, which one file for all of them does not (git's
merge of text takes two additions at the same place for a conflict). One run is kept with what
pairing needs, its floors' steps; of repeats their rates alone, whose spread says how runs differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from leakhunt.analysis.comparison.environments import mismatches
from leakhunt.analysis.comparison.profile import GrowthCourse, Profile, profile
from leakhunt.analysis.verdict.resampling import evenly
from leakhunt.analysis.verdict.series import FEWEST_SAMPLES
from leakhunt.model.comparison import NOT_RECORDED
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Run
from leakhunt.reporting.comparison.sentences import against
from leakhunt.text.language import tr

SUFFIX = ".toml"
_VARIABLE = "env "
# The facts by which environments are told apart, beside variables that change how memory behaves.
_SYSTEM, _LIBC = "system", "libc"
PYTHON, DEVICE = "python", "device"
IDENTITY = (_SYSTEM, PYTHON, _LIBC, DEVICE)
# leakhunt sets them to the plan's number of threads, which is kept with each variant.
_THREADS = ("env OMP_NUM_THREADS", "env MKL_NUM_THREADS")
# So many hexadecimal digits tell the environments of a project apart: two of a hundred of them
# have the same in one project of three thousand, and then the file says so.
_DIGITS = 6
_NO_WORD = re.compile(r"[^a-z0-9._-]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeptVariant:
    """What is kept of the runs of a variant in one environment.

    `profiles` has one for each run. `verdicts` and `measured` (when it began) too, as the runs tell
    them.
    """

    scenario: str
    variant: str
    environment: Environment
    profiles: tuple[Profile, ...]
    verdicts: tuple[str, ...]
    measured: tuple[str, ...]

    @property
    def name(self) -> str:
        """``scenario:variant``, as it is named on the command line."""
        return f"{self.scenario}:{self.variant}"

    @property
    def accepts_leak(self) -> bool:
        """Whether a run leaked for certain when it was kept."""
        return any(kind.is_leak for kind in Kind if kind in self.verdicts)


@dataclass(frozen=True, slots=True)
class Baseline:
    """All that is kept for one environment; `place` is the folder, as it was named."""

    place: str
    environment: Environment
    variants: tuple[KeptVariant, ...]

    def variant(self, scenario: str, variant: str) -> KeptVariant | None:
        """What is kept of that variant, if anything."""
        wanted = (scenario, variant)
        return next((e for e in self.variants if (e.scenario, e.variant) == wanted), None)


def environment_of(run: Run) -> dict[str, str]:
    """What decides how memory behaves, and is not the plan's: system, Python, libc, device, `env`.

    Python counts by its minor version: its objects have other sizes in another.
    """
    facts = run.environment
    words = facts.get("system", "").split()
    python = facts.get("python", "").split(".")
    plans = {f"{_VARIABLE}{name}" for name in run.plan.environment}
    threads = {name for name in _THREADS if facts.get(name) == str(run.plan.threads)}
    set_by_us = {*plans, *threads, "env PYTHONHASHSEED", "env CUDA_VISIBLE_DEVICES"}
    told = {
        _SYSTEM: " ".join([*words[:1], *words[2:]]),
        PYTHON: ".".join(python[:2]),
        _LIBC: facts.get("libc", ""),
        DEVICE: run.plan.device,
    }
    variables = {
        name: value
        for name, value in sorted(facts.items())
        if name.startswith(_VARIABLE) and name not in set_by_us
    }
    return {name: value or NOT_RECORDED for name, value in told.items()} | variables


def slug(environment: Environment) -> str:
    """The name of an environment's folder: ``linux-x86_64-cpython3.11-glibc2.36-cpu-3f2a1b``."""
    known = {name: environment[name] for name in IDENTITY if environment[name] != NOT_RECORDED}
    joints = {_SYSTEM: "-"}
    told = [value.lower().replace(" ", joints.get(name, "")) for name, value in known.items()]
    return "-".join([*(_NO_WORD.sub("", word) for word in told), _digest(environment)])


def file_name(scenario: str, variant: str) -> str:
    """The name of a variant's file in that folder: ``fsmn-vad.naive.toml``."""
    names = (scenario, variant)
    plain = [_NO_NAME.sub("_", name)[:60] for name in names]
    told = [] if plain == list(names) else [_digest({"scenario": scenario, "variant": variant})]
    return ".".join([*plain, *told]) + SUFFIX


def _digest(told: Mapping[str, str]) -> str:
    return sha256(json.dumps(sorted(told.items())).encode()).hexdigest()[:_DIGITS]


def unfit(entries: Sequence[JudgedRun]) -> str:
    """Why these runs of one variant are no baseline; empty where they are one.

    A leak is another matter: see `KeptVariant.accepts_leak`.
    """
    for entry in entries:
        run = entry.run
        if run.outcome.ending is not Ending.OK:
            told = tr(run.outcome.ending)
            reason = run.outcome.reason
            return tr("{file}: the run was {told} ({reason})", file=run.file, told=told,
                      reason=reason)  # fmt: skip
        judged = run.samples_done - run.judged_from
        if judged < FEWEST_SAMPLES:
            return tr(
                "{file}: {judged} judged samples; {fewest_samples} are needed",
                file=run.file, judged=judged, fewest_samples=FEWEST_SAMPLES,
            )  # fmt: skip
    first, *others = (entry.run for entry in entries)
    for other in others:
        differ = [e for e in mismatches([first], [other]) if e.matter.refuses_memory]
        if differ:
            facts = tr("; ").join(map(against, differ))
            return tr(
                "{file} and {other}: no repeats of one another, these are not the same: {facts}",
                file=first.file, other=other.file, facts=facts,
            )  # fmt: skip
    return ""


def kept(entries: Sequence[JudgedRun]) -> KeptVariant:
    """What is kept of one run or of repeats, of one variant and environment; none is `unfit`."""
    entries = [replace(entry, run=evenly(entry.run)) for entry in entries]
    profiles = [profile(entry) for entry in entries]
    if len(profiles) > 1:
        profiles = [_as_repeat(each) for each in profiles]
    run = entries[0].run
    return KeptVariant(
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


def headline(course: GrowthCourse) -> float | None:
    """The rate that is told of a course: what the verdict went by, as far as it is known."""
    by_collections = course.by_collections or course.rate is None
    return course.left if by_collections else course.rate
