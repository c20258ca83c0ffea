"""The baselines that runs are held against, as their folder has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.analysis.gate.baseline import derived
from leakhunt.analysis.gate.baseline_diff import against_baseline, choose, no_baseline
from leakhunt.model.baseline import Baseline, KeptVariant
from leakhunt.model.gate import BaselineDifference
from leakhunt.model.report import JudgedRun
from leakhunt.storage.baseline_folder import read_baselines, read_file


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
        kept = baseline.variant(run.plan.scenario, run.plan.variant)
        if kept is None:
            return None
        lines, mismatches = against_baseline(kept, entries)
        return BaselineDifference(lines, mismatches)

    def lacks(self, entries: Sequence[JudgedRun]) -> bool:
        """Whether there is a baseline of this environment, which does not have the variant."""
        plan = entries[0].run.plan
        baseline = choose(self.baselines, entries[0].run)
        return baseline is not None and baseline.variant(plan.scenario, plan.variant) is None


def kept_in(folder: Path) -> SavedBaseline:
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


def variant_in(file: Path) -> KeptVariant:
    """The variant that is kept in a file.

    Raises:
        BadFile: it cannot be read, or holds no variant.
    """
    return derived(read_file(file))
