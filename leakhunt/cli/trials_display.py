"""One bar for many runs of known workloads."""

from __future__ import annotations

from rich.progress import Progress, TaskID

from leakhunt.engine.events import RunStart, Silent
from leakhunt.model.run import Outcome
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import tr
from leakhunt.text.message import Text


class TrialsBar(Silent):
    """A bar for all trials together."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def started(self, run: RunStart) -> None:
        """The first of them brings the bar."""
        if self._task is None:
            self._task = self._bars.add_task(tr("measuring"), total=len(run.group))

    def ended(self, name: str, outcome: Outcome) -> None:
        """One more."""
        assert self._task is not None
        self._bars.advance(self._task)

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """A line."""
        self._bars.console.print(visible(str(text)), markup=False)
