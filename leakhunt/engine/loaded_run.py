"""Run files from Python: `load` and `load_all`, and what a loaded run answers by itself."""

from __future__ import annotations

import os
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.analysis.verdict import judge, ledger
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.errors import MissingRequirement, NothingMeasured, UsageError
from leakhunt.model.report import Ledger
from leakhunt.model.run import Run
from leakhunt.model.verdict import Verdict
from leakhunt.reporting.run.notebook import card
from leakhunt.reporting.run.samples import column
from leakhunt.storage import run_file
from leakhunt.text.message import message

if TYPE_CHECKING:
    import pandas

_JUDGED = "judged"


class LoadedRun(Run):
    """A `Run` that knows its verdict and its ledger, gives a frame, and shows itself in Jupyter."""

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict on this run alone: what a hunt found beside it is in its report.

        Raises:
            UsageError: an instrument watched the run, and changed what it measured.
        """
        if self.plan.instrument is not None:
            raise UsageError(
                message(
                    "run-file.instrumented",
                    "{file}: instrumented by {instrument}, so it has no verdict. Load the"
                    " measured run of {variant}",
                    file=self.file,
                    instrument=self.plan.instrument,
                    variant=self.plan.variant,
                )
            )
        return judge(self)

    @cached_property
    def ledger(self) -> Ledger | None:
        """Where the growth in RSS went; None where the worker took no full reading."""
        return ledger(self)

    def to_frame(self) -> pandas.DataFrame:
        """The samples as a pandas DataFrame of its own.

        Its index, `call`, is the calls made when a sample was read; a column is a series in its raw
        unit, and `judged` says whether the sample is after the warm-up. `duration` is nanoseconds
        in all calls since the sample before. ``attrs`` has `scenario`, `variant` and `units` (by
        column).

        Raises:
            MissingRequirement: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingRequirement(
                message(
                    "run-file.needs-pandas",
                    "to_frame() needs pandas. Install with: pip install 'leakhunt-ml[frames]'",
                )
            ) from error
        import numpy

        done = self.samples_done
        names = {name: column(name, (_JUDGED,)) for name in self.samples}
        read = {
            names[name]: numpy.array(values[:done], dtype="int64")
            for name, values in self.samples.items()
        }
        calls = numpy.array(self.calls[:done], dtype="int64")
        frame = pandas.DataFrame(read, index=pandas.Index(calls, name="call"))
        frame[_JUDGED] = numpy.arange(done) >= self.judged_from
        frame.attrs = {
            "scenario": self.plan.scenario,
            "variant": self.plan.variant,
            "units": {
                names[each.name]: str(each.unit) for each in self.series if each.name in names
            },
        }
        return frame

    def _repr_html_(self) -> str:
        return card(self, self.verdict if self.plan.instrument is None else None)

    def __repr__(self) -> str:
        plan = self.plan
        role = "" if plan.is_measured else f" ({plan.instrument or plan.role})"
        state = f"{self.calls_done} {plan.work}s, {self.outcome.ending}"
        return f"<{type(self).__name__} {plan.scenario}:{plan.variant}{role}, {state}>"


@checks_arguments
def load(path: str | os.PathLike[str]) -> LoadedRun:
    """The run of a run file, or of a folder with exactly one.

    Raises:
        UsageError: there is nothing of this name, or more than one run file in it.
        NothingMeasured: the folder holds no run file.
        BadFile: it is no run file, or from a newer version.
    """
    files = _files(path)
    if len(files) > 1:
        raise UsageError(
            message(
                "run-file.several",
                "{path}: found {count} run files ({first}, {second} ...). Pass one of them, or"
                " use leakhunt.load_all",
                path=os.fspath(path),
                count=len(files),
                first=files[0].name,
                second=files[1].name,
            )
        )
    return _loaded(files[0])


@checks_arguments
def load_all(folder: str | os.PathLike[str]) -> list[LoadedRun]:
    """The runs of all run files of a folder, by file name; those under an instrument too.

    Raises:
        UsageError: there is no such folder.
        NothingMeasured: it holds no run file.
        BadFile: one is no run file, or from a newer version.
    """
    return [_loaded(file) for file in _files(folder)]


def _files(place: str | os.PathLike[str]) -> list[Path]:
    files = run_file.find_run_files([os.fspath(place)])
    if not files:
        raise NothingMeasured(
            message(
                "run-file.none-found",
                "{fspath}: no run file (*{suffix}) found. Create one with 'leakhunt run'",
                fspath=os.fspath(place),
                suffix=run_file.SUFFIX,
            )
        )
    return files


def _loaded(file: Path) -> LoadedRun:
    run = run_file.load(file)
    return LoadedRun(**{field.name: getattr(run, field.name) for field in fields(run)})
