"""Baselines: what is kept of measured runs, saved, updated, read, and compared with new runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.analysis.gate.baseline import baseline_variant, derived, environment_of, unfit_reason
from leakhunt.analysis.gate.baseline_diff import against_baseline, choose, no_baseline
from leakhunt.analysis.report import assemble
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.report import GENERATOR
from leakhunt.engine.select_runs import refuse_one_run_twice, runs_in
from leakhunt.errors import NothingMeasured, UsageError
from leakhunt.model.baseline import Baseline, BaselineChange, BaselineVariant
from leakhunt.model.gate import BaselineDifference
from leakhunt.model.report import JudgedRun
from leakhunt.storage.baseline_folder import path_of, read_baselines, read_file, write_variants
from leakhunt.text.message import Text, joined, message


@dataclass(frozen=True, slots=True)
class SavedBaseline:
    """The baselines in a folder, `place`, as it was named."""

    place: str
    baselines: tuple[Baseline, ...]

    def against(self, entries: Sequence[JudgedRun]) -> BaselineDifference | None:
        """What differs from the baseline of this environment, or why there is nothing to compare.

        None: it has no such variant, which is then judged by itself.
        """
        run = entries[0].run
        baseline = choose(self.baselines, run)
        if baseline is None:
            return BaselineDifference(refusal=no_baseline(self.baselines, run, self.place))
        saved = baseline.variant(run.plan.scenario, run.plan.variant)
        if saved is None:
            return None
        lines, mismatches = against_baseline(saved, entries)
        return BaselineDifference(lines, mismatches)

    def lacks(self, entries: Sequence[JudgedRun]) -> bool:
        """Whether there is a baseline of this environment, which does not have the variant."""
        plan = entries[0].run.plan
        baseline = choose(self.baselines, entries[0].run)
        return baseline is not None and baseline.variant(plan.scenario, plan.variant) is None


def saved_baseline_in(folder: Path) -> SavedBaseline:
    """What is in a folder of baselines; maybe nothing.

    Raises:
        BadFile: a file in it is damaged, or not where it belongs.
    """
    return SavedBaseline(str(folder), baselines_in(folder))


def baselines_in(folder: Path) -> tuple[Baseline, ...]:
    """What is kept below `folder`, of each environment; maybe nothing.

    Raises:
        BadFile: a file in it is damaged, or not where it belongs.
    """
    return tuple(
        replace(each, variants=tuple(map(derived, each.variants)))
        for each in read_baselines(folder)
    )


def variant_in(file: Path) -> BaselineVariant:
    """The variant that is kept in a file.

    Raises:
        BadFile: it cannot be read, or holds no variant.
    """
    return derived(read_file(file))


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What is kept now, the files it is in, and what changed where a baseline was updated."""

    variants: tuple[BaselineVariant, ...]
    files: tuple[Path, ...]
    changes: tuple[BaselineChange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Measured:
    """The runs of one variant in one environment, and what is kept of them."""

    entries: tuple[JudgedRun, ...]
    variant: BaselineVariant


def save_baseline(
    places: Sequence[str], into: Path, despite_leak: bool = False, events: Events = SILENT
) -> BaselineResult:
    """Keep the runs of these places, none of which is kept yet; or nothing is written.

    Raises:
        UsageError: something is kept already, a run is there twice, or leaks.
        BadFile: a file that was named is no run file.
        NothingMeasured: there is no measured run, or one is no baseline.
        CannotWrite: the disk does not take one.
    """
    variants = [each.variant for each in _measured(places, despite_leak, events)]
    there = [path for each in variants if (path := path_of(into, each)).exists()]
    if there:
        raise UsageError(
            message(
                "baseline.already-saved",
                "{paths}: already saved, nothing was written. Use 'leakhunt baseline update'"
                " to replace it",
                paths=", ".join(map(str, there)),
            )
        )
    return BaselineResult(tuple(variants), tuple(write_variants(into, variants)))


def update_baseline(
    places: Sequence[str], into: Path, despite_leak: bool = False, events: Events = SILENT
) -> BaselineResult:
    """Renew what is kept of the variants in these places; the others stay as they are.

    Raises:
        LeakhuntError: as `save_baseline`; there must be a baseline of the environment already.
    """
    measured = _measured(places, despite_leak, events)
    baselines = baselines_in(into)
    changes = tuple(_change(each, _old(each, baselines, into)) for each in measured)
    variants = tuple(each.variant for each in measured)
    return BaselineResult(variants, tuple(write_variants(into, variants)), changes)


def baselines_at(place: Path) -> tuple[Baseline, ...]:
    """What is kept in a folder of baselines, of one environment, or in a file: one at least.

    Raises:
        UsageError: there is no such place.
        BadFile: a file is damaged, or not where it belongs.
        NothingMeasured: nothing is kept there.
    """
    if not place.exists():
        raise UsageError(
            message(
                "baseline.not-found",
                "{place}: not found. Create a baseline with 'leakhunt baseline save'",
                place=place,
            )
        )
    if place.is_file():
        one = variant_in(place)
        return (Baseline(str(place), one.environment, (one,)),)
    found = baselines_in(place)
    if not found:
        raise NothingMeasured(
            message(
                "baseline.none-found",
                "{place}: no baseline found. Create one with 'leakhunt baseline save'",
                place=place,
            )
        )
    return found


def _measured(places: Sequence[str], despite_leak: bool, events: Events) -> list[_Measured]:
    """The variants of these places, by name, each with what is to be kept."""
    if not places:
        raise UsageError(
            message("argument.missing-run-file", "missing run file. Pass a run file or a folder")
        )
    left_out: list[Text] = []
    runs = [run for place in places for run in runs_in(place, left_out)]
    for reason in left_out:
        events.noted(message("left-out", "skipped: {error}", error=reason), warning=True)
    entries = assemble(runs, GENERATOR).entries
    if not entries:
        raise NothingMeasured(
            message(
                "argument.no-measured-run",
                "{place}: no measured run found. Create one with 'leakhunt run'",
                place=places[0],
            )
        )
    refuse_one_run_twice(entries)
    measured = [_Measured(group, _baseline_variant(group)) for group in _groups(entries)]
    leaking = [each for each in measured if each.variant.accepts_leak]
    if leaking and not despite_leak:
        names = [
            message(
                "baseline.leaking-variant",
                "{name}: {kind}",
                name=each.variant.name,
                kind=each.entries[0].verdict.kind,
            )
            for each in leaking
        ]
        raise UsageError(
            message(
                "baseline.leaking",
                "{names}: leaking, so not saved as a baseline. Fix the leak, or save it anyway"
                " with --despite-leak",
                names=joined(names, "; ", ""),
            )
        )
    return measured


def _groups(entries: Sequence[JudgedRun]) -> list[tuple[JudgedRun, ...]]:
    """The runs of each variant in each environment."""
    found: dict[tuple[object, ...], tuple[JudgedRun, ...]] = {}
    for entry in entries:
        plan = entry.run.plan
        where = tuple(environment_of(entry.run).items())
        key = (plan.scenario, plan.variant, where)
        found[key] = (*found.get(key, ()), entry)
    return [found[key] for key in sorted(found, key=str)]


def _baseline_variant(entries: tuple[JudgedRun, ...]) -> BaselineVariant:
    reason = unfit_reason(entries)
    if reason:
        raise NothingMeasured(
            message(
                "baseline.not-saved",
                "{reason}: not saved as a baseline. Measure again",
                reason=reason,
            )
        )
    return baseline_variant(entries)


def _old(each: _Measured, baselines: Sequence[Baseline], into: Path) -> BaselineVariant | None:
    """What is kept of a variant so far; None: it is new in its environment.

    Raises:
        UsageError: nothing at all is kept of its environment.
    """
    for baseline in baselines:
        if baseline.environment == each.variant.environment:
            return baseline.variant(each.variant.scenario, each.variant.variant)
    raise UsageError(no_baseline(baselines, each.entries[0].run, str(into)))


def _change(measured: _Measured, old: BaselineVariant | None) -> BaselineChange:
    if old is None:
        return BaselineChange(measured.variant, is_new=True)
    lines, refusing = against_baseline(old, measured.entries)
    return BaselineChange(measured.variant, lines, refusing)
