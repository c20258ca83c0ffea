"""What the fixture ``leakhunt`` hands back: a run and its verdict, read once they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leakhunt.model.run import Run
from leakhunt.model.verdict import Verdict
from leakhunt.storage import run_file as store


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured function: its run file; None where it was called once and not measured."""

    run_file: Path | None

    @property
    def run(self) -> Run | None:
        """The run, as its file has it."""
        return store.load(self.run_file) if self.run_file is not None else None

    @property
    def verdict(self) -> Verdict | None:
        """What can be said of the run."""
        from leakhunt.analysis.verdict import judge  # a measured process must not load its needs

        run = self.run
        return judge(run) if run is not None else None
