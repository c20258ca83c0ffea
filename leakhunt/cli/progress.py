"""The live figures while a variant runs: a bar on a terminal, one line a variant elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from leakhunt.model import Outcome, Unit
from leakhunt.units import format_amount, format_bytes


class Display:
    """Shows the variants of one run as they go."""

    def __init__(self, console: Console, width: int) -> None:
        self._console = console
        self._width = width
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def variant(self, name: str, calls: int | None, afterwards: str = "") -> Follower:
        """Start the line of a variant; `afterwards` says what takes time after its last call."""
        task = self._bars.add_task(
            f"{name:<{self._width}}", total=calls, figures="starting the worker"
        )
        return Follower(self._bars, task, afterwards)

    def ended(self, name: str, follower: Follower, outcome: Outcome) -> None:
        """Say how a variant ended, where no bar shows it."""
        word = str(outcome.ending)
        self._bars.update(follower.task, figures=f"{follower.figures}  {word}")
        if not self._console.is_terminal:
            reason = f": {outcome.reason}" if outcome.reason else ""
            text = (
                f"{name:<{self._width}}  {follower.calls} calls  {follower.figures}  {word}{reason}"
            )
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Follower:
    """Takes the progress of one variant."""

    def __init__(self, bars: Progress, task: TaskID, afterwards: str) -> None:
        self._bars = bars
        self.task = task
        self._afterwards = afterwards
        self.calls = 0
        self.figures = ""

    def __call__(self, calls: int, latest: Mapping[str, int]) -> None:
        """Show the latest sample."""
        if not latest:
            return
        self.calls = calls
        parts = [f"RSS {format_bytes(latest['rss'])}"] if "rss" in latest else []
        if "live_heap" in latest:
            parts.append(f"live heap {format_bytes(latest['live_heap'])}")
        if "cuda_reserved" in latest:
            parts.append(f"CUDA {format_bytes(latest['cuda_reserved'])}")
        if "duration" in latest:
            parts.append(format_amount(latest["duration"], Unit.NANOSECONDS) + "/call")
        self.figures = "  ".join(parts)
        total = next(task.total for task in self._bars.tasks if task.id == self.task)
        done = self._afterwards if calls == total else ""
        self._bars.update(self.task, completed=calls, figures=f"{self.figures}  {done}")
