"""Runs of two versions or machines, compared: from places to the files of a comparison."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.report import assemble
from leakhunt.engine.attach import looks_apart
from leakhunt.engine.report import GENERATOR, rendered
from leakhunt.engine.select_runs import refuse_one_run_twice, runs_in
from leakhunt.errors import REFUSED, CannotWrite, NothingMeasured, UsageError
from leakhunt.model.comparison import Comparison, LooksCompared, Side
from leakhunt.model.plan import Role
from leakhunt.model.run import Run
from leakhunt.reporting.comparison.notebook import card
from leakhunt.reporting.registry import COMPARISON_RENDERERS
from leakhunt.storage import run_file
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_whole
from leakhunt.text.message import Message, Text, joined, message, plural_message
from leakhunt.text.system import system_text

# So many folders are put before a name to tell it from another; then a number is.
_MAX_FOLDERS = 3


@dataclass(frozen=True, slots=True)
class CompareResult:
    """A comparison and the files it was written to, the HTML page first; none if none were."""

    comparison: Comparison
    files: tuple[Path, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of ``leakhunt compare``: 0, or 9 where a conclusion was refused."""
        return REFUSED if self.comparison.is_refused else 0

    def _repr_html_(self) -> str:
        return card(self.comparison)


def compare_places(
    places: Sequence[str | os.PathLike[str]],
    labels: Sequence[str] = (),
    despite_differences: bool = False,
) -> Comparison:
    """The runs in `places` (run files, or folders of them), the first of which is the baseline.

    `labels` are what to call each; without, the names of its file or folder.

    Raises:
        UsageError: fewer than two places, one that does not exist, or labels that do not fit.
        BadFile: a file that was named is no run file.
        NothingMeasured: a place has no measured run, or they have no variant in common.
    """
    if len(places) < 2:
        raise UsageError(
            message(
                "compare.needs-two",
                "compare needs two or more paths: the baseline first",
            )
        )
    names = [os.fspath(place) for place in places]
    sides = [_side(*each) for each in zip(names, _labels(names, labels), strict=True)]
    refuse_one_run_twice([entry for side in sides for entry in side.entries])
    comparison = compare(sides, despite_differences, GENERATOR)
    if not comparison.pairs:
        raise NothingMeasured(_nothing_in_common(sides))
    return replace(comparison, looks=tuple(_looks(names, [side.label for side in sides])))


def _looks(places: Sequence[str], labels: Sequence[str]) -> Iterator[LooksCompared]:
    """What changed from the baseline on, where that and others are visits of processes."""
    visits = [[run for run in runs_in(place, []) if run.plan.visit is not None] for place in places]
    first = visits[0]
    for label, runs in zip(labels[1:], visits[1:], strict=True):
        if first and runs:
            yield LooksCompared(labels[0], label, looks_apart(first, runs))


def compare_into(
    out: Path | None,
    places: Sequence[str | os.PathLike[str]],
    labels: Sequence[str] = (),
    despite_differences: bool = False,
) -> CompareResult:
    """The same, with its files in `out`; None: in a new folder below ``reports``.

    Raises:
        LeakhuntError: as `compare_places`; and `CannotWrite` where the disk does not take them.
    """
    comparison = compare_places(places, labels, despite_differences)
    return CompareResult(comparison, write_comparison(comparison, new_folder(out, "compare")))


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write all formats into `folder`, each whole or not at all; the paths, HTML first.

    Raises:
        CannotWrite: the disk does not take them.
    """
    written = []
    for kind in COMPARISON_RENDERERS:
        path = folder / kind.file_name
        content = rendered(comparison, kind.render, kind.language)
        try:
            write_whole(path, content)
        except OSError as error:
            raise CannotWrite(
                message(
                    "compare.cannot-write",
                    "{path}: {strerror}. The run files are unchanged: free some space, or"
                    " choose another folder with --out",
                    path=path,
                    strerror=system_text(error),
                )
            ) from error
        written.append(path)
    return tuple(written)


def _labels(places: Sequence[str], given: Sequence[str]) -> list[str]:
    """A label for each place, no two of them the same.

    Raises:
        UsageError: not as many are given as there are places, or two are the same, or empty.
    """
    if not given:
        return _default_labels([Path(place).resolve() for place in places])
    labels = [" ".join(label.split()) for label in given]
    if len(labels) != len(places):
        raise UsageError(
            message(
                "compare.label-count",
                "--label: expected one per path ({places}), got {labels}",
                places=len(places),
                labels=len(labels),
            )
        )
    if len(set(labels)) < len(labels) or not all(labels):
        raise UsageError(
            message(
                "compare.labels-alike",
                "--label: labels must be different and not empty",
            )
        )
    return labels


def _default_labels(paths: Sequence[Path]) -> list[str]:
    """The names of files and folders, with the folders above where that tells them apart."""
    for count in range(1, _MAX_FOLDERS + 1):
        labels = ["/".join(path.parts[1:][-count:]) or "/" for path in paths]
        labels = [" ".join(label.removesuffix(run_file.SUFFIX).split()) for label in labels]
        if len(set(labels)) == len(labels):
            return labels
    names = [path.name.removesuffix(run_file.SUFFIX) for path in paths]
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def _side(place: str, label: str) -> Side:
    """The judged runs of a place.

    Raises:
        UsageError: it does not exist.
        BadFile: it is a file and no run file.
        NothingMeasured: there is no measured run in it.
    """
    left_out: list[Text] = []
    runs = list(runs_in(place, left_out))
    entries = assemble(runs, GENERATOR).entries
    if not entries:
        skipped = joined(left_out, "; ", "")
        beside = message("compare.left-out", " ({skipped})", skipped=skipped) if left_out else ""
        raise NothingMeasured(
            message(
                "compare.no-measured-run",
                "{place}: no measured run found{beside}. Create one with 'leakhunt run'; of a"
                " hunt, pass its folder",
                place=place,
                beside=beside,
            )
        )
    others = Counter(_made_for(run) for run in runs if not run.plan.is_measured)
    left_out += [_not_compared(*made_for, count) for made_for, count in others.items()]
    return Side(label, entries, tuple(left_out))


def _made_for(run: Run) -> tuple[Role, str]:
    return run.plan.role, run.plan.instrument or ""


def _not_compared(role: Role, instrument: str, count: int) -> Message:
    """What runs that are not judged were made for, and how many there are."""
    if instrument:
        purpose = message(
            "runs.instrumented",
            "instrumented by {instrument} (used for its suspects only)",
            instrument=instrument,
        )
    elif role is Role.CEILING:
        purpose = message("runs.ceiling", "until the ceiling")
    else:
        purpose = message("runs.remedy", "trying a fix")
    return plural_message(
        "runs.of-hunt",
        "{n} run of a hunt, {purpose}",
        "{n} runs of a hunt, {purpose}",
        count,
        purpose=purpose,
    )


def _nothing_in_common(sides: Sequence[Side]) -> Message:
    names = [
        dict.fromkeys(f"{each.run.plan.scenario}:{each.variant}" for each in side.entries)
        for side in sides
    ]
    has = [
        message("compare.side-has", "{label} has {names}", label=side.label, names=tuple(found))
        for side, found in zip(sides, names, strict=True)
    ]
    return message(
        "compare.nothing-in-common",
        "no variant in common with the baseline: {has}. A scenario is named after its file or"
        " folder; use the same name for both versions",
        has=joined(has, "; ", ""),
    )
