"""``--live``: the curves in the terminal while a run goes on.

All in the supervisor's own loop, without a thread: the worker is another process and is not slowed
but by what drawing takes from a shared core, which is bounded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text as Picture

from leakhunt.cli.display import ended_line, figures, note
from leakhunt.engine.events import RunStart
from leakhunt.model.plan import Work
from leakhunt.model.run import Outcome
from leakhunt.model.series import DURATION, SERIES
from leakhunt.reporting.live.curve import Curve, CurveBuilder
from leakhunt.reporting.live.frame import LiveState, Panel, frame, live_series
from leakhunt.storage.follow import Tail
from leakhunt.text.language import tr
from leakhunt.text.message import Text

FRAME_SECONDS = 0.25
# Of one core at most so much goes into frames: where one takes long, fewer are drawn.
DRAWING_SHARE = 0.05
# So many runs that have ended are drawn beside the present one.
MAX_FAINT = 6
# The time per call is told as a mean in which every look at the run file weighs so much.
_LOOK_WEIGHT = 0.2


def can_draw_on(console: Console) -> bool:
    """Whether it is a terminal on which what was drawn can be drawn over."""
    return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal


class LiveDisplay:
    """Draws the curves of one run after the other, beside those that ended before.

    A frame stays on the terminal when the next group of runs begins.
    """

    def __init__(self, console: Console, width: int = 0) -> None:
        self._console = console
        self._before: deque[tuple[str, Mapping[str, Curve]]] = deque(maxlen=MAX_FAINT)
        self._least_width = self._width = width
        self._group: tuple[str, ...] = ()
        self._live: Live | None = None
        self._columns = 0
        self._can_draw = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, run: RunStart) -> None:
        """A run begins."""
        if self._live is None or run.group != self._group:
            self._begin(run.group)
        self._follower = LiveFollower(self, run)
        self.draw(self._follower.state(tr("starting the worker")))

    def _begin(self, group: tuple[str, ...]) -> None:
        if self._live is not None:
            self._live.stop()
        self._group = group
        self._width = max(self._least_width, *map(len, group), 0)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def sampled(self, name: str, tail: Tail) -> None:
        """Take what is new; draw, if it is time."""
        self._follower(tail)

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """A line above the frame; a warning goes to standard error."""
        note(self._console, text, warning)

    def ended(self, name: str, outcome: Outcome) -> None:
        """The last frame of a run, and a line above it that stays."""
        follower = self._follower
        self.draw(follower.state(tr(outcome.ending)))
        text = ended_line(
            f"{name:<{self._width}}", follower, figures(follower.latest, follower.work), outcome
        )
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._before.append((name, follower.curves()))

    def faint(self) -> tuple[tuple[str, Mapping[str, Curve]], ...]:
        """Names and curves, by series, of the runs that have ended."""
        return tuple(self._before)

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal at this moment."""
        return self._console.width, self._console.height

    def draw(self, state: LiveState) -> None:
        """Put a frame in the place of the last one."""
        if not self._can_draw or self._live is None:
            return
        columns, lines = self.size()
        try:
            picture = Picture.from_ansi(
                frame(state, columns, lines - 1), no_wrap=True, overflow="crop"
            )
        except Exception as error:  # a picture must not cost the run that it shows
            self._can_draw = False
            self._console.print(tr("--live stopped drawing: {error!r}", error=error), markup=False)
            return
        if columns < self._columns:
            self._console.clear()  # the terminal has wrapped the lines of the last frame
        self._columns = columns
        self._live.update(picture, refresh=True)


class LiveFollower:
    """Takes the progress of one run: every sample into its curves, a frame now and then."""

    def __init__(self, display: LiveDisplay, run: RunStart) -> None:
        self._display = display
        self._name = run.name
        self._planned = run.calls
        self._afterwards = str(run.afterwards)
        self._judged_from: int | None = None
        self._growing: dict[str, CurveBuilder] = {}
        self._seconds: float | None = None
        self._verdict: Text = ""
        self._drawn = (0, (0, 0))
        self._next_frame = 0.0
        self.calls = 0
        self.work = Work.CALL
        self.latest: Mapping[str, int] = {}

    def __call__(self, tail: Tail) -> None:
        """Take what is new; draw, if it is time."""
        self._verdict = tail.notes.get("verdict", self._verdict)
        if tail.fresh:
            self._take(tail)
        if time.monotonic() < self._next_frame:
            return
        shown = (self.calls, self._display.size())
        if shown != self._drawn:
            self._drawn = shown
            self._draw()

    def _take(self, tail: Tail) -> None:
        if not self._growing:
            read = (facts.name for facts in live_series() if facts.name in tail.names)
            self._growing = {name: CurveBuilder() for name in read}
        if tail.judged_from != self._judged_from:
            self._judged_from = tail.judged_from
            for growing in self._growing.values():
                growing.begin_judged(tail.judged_from)
        for name, growing in self._growing.items():
            column = tail.names.index(name)
            for calls, values in tail.fresh:
                growing.add(calls, values[column])
        self.calls, self.work = tail.calls, tail.work
        self.latest = tail.latest
        seconds = tail.latest[DURATION] / 1e9
        before = seconds if self._seconds is None else self._seconds
        self._seconds = before + _LOOK_WEIGHT * (seconds - before)

    def _draw(self) -> None:
        started = time.monotonic()
        self._display.draw(self.state(self._doing()))
        ended = time.monotonic()
        self._next_frame = ended + max(FRAME_SECONDS, (ended - started) / DRAWING_SHARE)

    def _doing(self) -> str:
        if self._planned is not None and self.calls >= self._planned:
            return self._afterwards or tr("settling")
        if not self.calls:
            return tr("starting the worker")
        return tr("measuring") if self._judged_from is not None else tr("warming up")

    def curves(self) -> dict[str, Curve]:
        """The curves so far, by series."""
        curves = ((name, growing.curve()) for name, growing in self._growing.items())
        return {name: curve for name, curve in curves if curve is not None}

    def state(self, doing: str) -> LiveState:
        """What there is to draw."""
        before = self._display.faint()
        panels = tuple(
            Panel(
                SERIES[name].short_title,
                SERIES[name].unit,
                curve,
                tuple(curves[name] for _, curves in before if name in curves),
            )
            for name, curve in self.curves().items()
        )
        return LiveState(
            name=self._name,
            doing=doing,
            calls=self.calls,
            planned=self._planned,
            seconds_per_call=self._seconds if self.work.is_timed else None,
            panels=panels,
            faint=tuple(name for name, curves in before if curves),
            work=self.work,
            verdict=str(self._verdict),
        )
