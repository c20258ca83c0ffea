"""The figures while a variant runs: a bar on a terminal, one line a variant elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from leakhunt.amounts import format_amount, format_rate
from leakhunt.engine.events import Events, RunStart
from leakhunt.model.plan import Work
from leakhunt.model.run import Ending, Outcome
from leakhunt.model.series import SeriesDisplay, SeriesRole, Unit, displayed, short_title
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.storage.follow import Tail
from leakhunt.text.language import mark, tr
from leakhunt.text.message import Text


class Display(Events, Protocol):
    """Shows what the engine tells, from entering to leaving."""

    def __enter__(self) -> Self:
        """Take the terminal, once there is something to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""


class SteadyConsole(Console):
    """A console that never hides the cursor: after kill -9 nobody would bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        """Nothing: it is there."""
        return False


class Bars:
    """A bar for each run; where there is no terminal, a line for each that has ended.

    Names have `width` columns at least; the bars of one group of runs stay together.
    """

    def __init__(self, console: Console, width: int = 0) -> None:
        self._console = console
        self._least_width = self._width = width
        self._group: tuple[str, ...] = ()
        self._followers: dict[str, Follower] = {}
        self._bars: Progress | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def started(self, run: RunStart) -> None:
        """A bar for it, below those of its group."""
        with self._lock:
            if self._bars is None or run.group != self._group:
                self._begin(run.group)
            assert self._bars is not None
            task = self._bars.add_task(
                f"{visible(run.name):<{self._width}}",
                total=run.calls,
                figures=tr("starting the worker"),
            )
            self._followers[run.name] = Follower(self._bars, task, str(run.afterwards))

    def _begin(self, group: tuple[str, ...]) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._group = group
        self._width = max(self._least_width, *map(len, group), 0)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bars.start()

    def sampled(self, name: str, tail: Tail) -> None:
        """Show the latest sample."""
        self._followers[name](tail)

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """A line of its own; a warning goes to standard error."""
        note(self._console, text, warning)

    def ended(self, name: str, outcome: Outcome) -> None:
        """Say how a run ended, where no bar shows it."""
        follower = self._followers.pop(name)
        follower.end(outcome)
        if not self._console.is_terminal:
            text = ended_line(f"{name:<{self._width}}", follower, follower.figures, outcome)
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def note(console: Console, text: Text, warning: bool) -> None:
    """A line of its own; a warning goes to standard error."""
    shown = visible(str(text))
    if warning:
        click.echo(tr("leakhunt: {text}", text=shown), err=True)
    else:
        console.print(shown, markup=False, highlight=False, soft_wrap=True)


class Follower:
    """Takes the progress of one variant."""

    def __init__(self, bars: Progress, task: TaskID, afterwards: str) -> None:
        self._bars = bars
        self.task = task
        self._afterwards = afterwards
        self.calls = 0
        self.work = Work.CALL
        self.figures = ""

    def __call__(self, tail: Tail) -> None:
        """Show the latest sample."""
        if not tail.fresh:
            return
        self.calls, self.work = tail.calls, tail.work
        self.figures = figures(tail.latest, tail.work)
        total = next(task.total for task in self._bars.tasks if task.id == self.task)
        done = self._afterwards if tail.calls == total else ""
        self._bars.update(self.task, completed=tail.calls, figures=f"{self.figures}  {done}")

    def end(self, outcome: Outcome) -> None:
        """Say how the run ended, and stop its clock."""
        self._bars.update(self.task, figures=f"{self.figures}  {tr(outcome.ending)}")
        self._bars.stop_task(self.task)


# The table of a soak has the median over its samples, which may be another time by far.
_LATEST = mark("latest {rate}")


def figures(latest: Mapping[str, int], work: Work) -> str:
    """``live heap 301.2 MiB  RSS 812.3 MiB  18.4 ms/call``, of what was read."""
    read = [
        facts
        for facts in displayed(SeriesDisplay.PROGRESS)
        if facts.name in latest and (work.is_timed or facts.role is not SeriesRole.TIME)
    ]
    return "  ".join(
        _time(latest[facts.name], facts.unit, work)
        if facts.role is SeriesRole.TIME
        else f"{short_title(facts.name)} {format_amount(latest[facts.name], facts.unit)}"
        for facts in read
    )


def _time(time_ns: float, unit: Unit, work: Work) -> str:
    rate = format_rate(time_ns, unit, work)
    return tr(_LATEST, rate=rate) if work is Work.REQUEST else rate


class ProgressCount(Protocol):
    """What was done of a run: so many calls, or requests."""

    @property
    def calls(self) -> int:
        """How many."""

    @property
    def work(self) -> Work:
        """Of what."""


_ENDED = {
    Work.CALL: mark("{name}  {calls} calls  {figures}  {ending}{reason}"),
    Work.REQUEST: mark("{name}  {calls} requests  {figures}  {ending}{reason}"),
    Work.SECOND: mark("{name}  {calls} s  {figures}  {ending}{reason}"),
}


def ended_line(name: str, done: ProgressCount, figures: str, outcome: Outcome) -> str:
    """A run that has ended, in one line. Under an instrument nobody counts a service's requests."""
    if outcome.ending is Ending.OK and not done.calls:
        return f"{name}  {tr(outcome.ending)}"
    reason = f": {outcome.reason}" if outcome.reason else ""
    line = tr(
        _ENDED[done.work],
        name=name,
        calls=done.calls,
        figures=figures,
        ending=tr(outcome.ending),
        reason=reason,
    )
    return visible(line)
