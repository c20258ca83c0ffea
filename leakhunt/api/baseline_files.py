"""Baselines for the gate, saved and read."""

from __future__ import annotations

from pathlib import Path

from leakhunt.api.arguments import PathLike, names_of
from leakhunt.engine import baselines as saving
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.baselines import BaselineResult
from leakhunt.engine.events import SILENT, Events
from leakhunt.model.baseline import Baseline
from leakhunt.storage.baseline_folder import DEFAULT_PLACE


@checks_arguments
def save_baseline(
    *runs: PathLike,
    into: PathLike = DEFAULT_PLACE,
    despite_leak: bool = False,
    events: Events | None = None,
) -> BaselineResult:
    """Save run files, or folders of them, as baselines for `gate`, in the folder `into`.

    Several runs of a variant are repeats, whose spread is saved too. With `despite_leak` what leaks
    is saved as well; new runs may then leak as much. Where one is refused, nothing is written.

    Raises:
        UsageError: there is a baseline already, a run is there twice, or leaks.
        BadFile: a file that is named is no run file.
        NothingMeasured: there is no measured run, or one is no baseline.
        CannotWrite: the disk does not take one.
    """
    return saving.save_baseline(names_of(runs), Path(into), despite_leak, events or SILENT)


@checks_arguments
def update_baseline(
    *runs: PathLike,
    into: PathLike = DEFAULT_PLACE,
    despite_leak: bool = False,
    events: Events | None = None,
) -> BaselineResult:
    """Replace the baselines of the variants in `runs`; ``result.changes`` says what differs.

    Raises:
        LeakhuntError: as `save_baseline`; there must be a baseline of this environment already.
    """
    return saving.update_baseline(names_of(runs), Path(into), despite_leak, events or SILENT)


@checks_arguments
def baselines(place: PathLike = DEFAULT_PLACE) -> tuple[Baseline, ...]:
    """The baselines in a folder or a file, by environment.

    Raises:
        UsageError: there is no such place.
        BadFile: a file is damaged, or not where it belongs.
        NothingMeasured: there is none.
    """
    return saving.baselines_at(Path(place))
