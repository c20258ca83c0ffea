"""The curves on a terminal while they grow: a state, a width and a height become lines of text.

Every curve is the change since its warm-up ended (until then, since its first sample), as in the
report; where a warm-up leaves the panel it is cut off. What stands here is what is known so far and
no verdict.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leakhunt.amounts import format_amount, format_rate
from leakhunt.model.plan import Work
from leakhunt.model.series import SeriesDisplay, SeriesFacts, Unit, displayed
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.live.curve import Curve
from leakhunt.text.language import mark, tr

# Narrower than this, there is one panel and no line that needs more.
WIDE_COLUMNS = 60
# A title, two lines of curve, the axis and its figures; more than the most is no clearer.
_MIN_PANEL_LINES = 5
_MAX_PANEL_LINES = 16
# The line on top and the one below.
_OTHER_LINES = 2
_MAX_VERDICT_LINES = 6
# No panel shows less than this from bottom to top, so that a few bytes of noise stay small.
_MIN_SPAN = 1024.0
_MARGIN = 0.08
_MIN_CALLS = 20
_LABEL_COLUMNS = 10
_NARROWEST_COLUMNS = 2 * _LABEL_COLUMNS
_CURRENT = {"marker": "braille", "color": "default"}
# Told apart by more than colour: single dots, not joined.
_FAINT = {"marker": "·", "color": "gray"}
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Panel:
    """One series: its curve, and the same series of the runs that have ended."""

    title: str
    unit: Unit
    curve: Curve
    faint: tuple[Curve, ...] = ()


def live_series() -> tuple[SeriesFacts, ...]:
    """The series that are drawn, the most telling first: of a run on a GPU, what it has there."""
    return tuple(sorted(displayed(SeriesDisplay.LIVE), key=lambda facts: not facts.is_on_gpu))


_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class LiveState:
    """A run as it stands. `doing` says what it is at; `planned` is None where that is open.

    `faint` names the runs whose curves are drawn beside it; `work`: calls, or requests. `verdict`
    is that so far of a run that goes on for days, with the time to its limit.
    """

    name: str
    doing: str
    calls: int
    planned: int | None
    seconds_per_call: float | None
    panels: tuple[Panel, ...] = ()
    faint: tuple[str, ...] = ()
    work: Work = Work.CALL
    verdict: str = ""


def frame(state: LiveState, width: int, height: int) -> str:
    """At most `height` lines of at most `width` columns, with ANSI styles, the curves in braille.

    The panels that find no room are left out, the least telling first; a terminal too small for
    curves shows the figures alone.
    """
    lines = [_styled(_BOLD, heading(state), width)]
    verdict = _verdict_lines(state, width, height)
    height -= len(verdict)
    panels = state.panels[: _panels_that_fit(len(state.panels), width, height)]
    if not panels:
        lines += [_cut(figures(panel, width, state.work), width) for panel in state.panels]
    else:
        share = min((height - _OTHER_LINES) // len(panels), _MAX_PANEL_LINES)
        for panel in panels:
            lines.append(_cut(figures(panel, width, state.work), width))
            lines += _drawn(panel, _right_edge(state), width, share - 1, state.work)
    if state.panels:
        lines.append(_styled(_DIM, closing(state), width))
    return "\n".join([*lines[: max(height, 0)], *verdict])


def _verdict_lines(state: LiveState, width: int, height: int) -> list[str]:
    """The verdict so far, where there is room for it besides a panel."""
    room = min(height - _MIN_PANEL_LINES - _OTHER_LINES, _MAX_VERDICT_LINES)
    if not state.verdict or width < _NARROWEST_COLUMNS or room < 1:
        return []
    lines: list[str] = [""]
    for shown in visible(state.verdict):
        if sum(map(_columns, lines[-1])) + _columns(shown) > width:
            head, space, rest = lines[-1].rpartition(" ")
            lines[-1:] = [head, rest] if space and shown != " " else [lines[-1], ""]
        lines[-1] += shown if lines[-1] or shown != " " else ""
    return lines[:room]


def _panels_that_fit(panels: int, width: int, height: int) -> int:
    rows = (height - _OTHER_LINES) // _MIN_PANEL_LINES
    if width < _NARROWEST_COLUMNS or rows < 1:
        return 0
    return min(panels, rows if width >= WIDE_COLUMNS else 1)


_SO_FAR = {
    Work.CALL: mark("{name}: call {calls:,}"),
    Work.REQUEST: mark("{name}: request {calls:,}"),
    Work.SECOND: mark("{name}: second {calls:,}"),
}
_OF_PLANNED = {
    Work.CALL: mark("{name}: call {calls:,} of {planned:,}"),
    Work.REQUEST: mark("{name}: request {calls:,} of {planned:,}"),
    Work.SECOND: mark("{name}: second {calls:,} of {planned:,}"),
}
_RATE_SO_FAR = {
    Work.CALL: mark("{rate}/call so far"),
    Work.REQUEST: mark("{rate}/request so far"),
    Work.SECOND: mark("{rate}/s so far"),
}
_LAST = {
    Work.CALL: mark("{right:,} calls"),
    Work.REQUEST: mark("{right:,} requests"),
    Work.SECOND: mark("{right:,} s"),
}


def heading(state: LiveState) -> str:
    """``naive: call 120 of 250, 18.4 ms/call, measuring``."""
    template = (_OF_PLANNED if state.planned else _SO_FAR)[state.work]
    parts = [tr(template, name=state.name, calls=state.calls, planned=state.planned)]
    if state.seconds_per_call is not None:
        nanoseconds = state.seconds_per_call * _NANOSECONDS
        parts.append(format_rate(nanoseconds, Unit.NANOSECONDS, state.work))
    return tr(", ").join([*parts, state.doing])


def figures(panel: Panel, width: int, work: Work = Work.CALL) -> str:
    """``live heap 31.2 MiB, +8.6 MiB since the warm-up, +58.5 KiB/call so far``."""
    curve = panel.curve
    parts = [f"{tr(panel.title)} {format_amount(curve.latest, panel.unit)}"]
    if width >= WIDE_COLUMNS or curve.rate is None:
        since = tr("the first sample") if curve.judged_value is None else tr("the warm-up")
        parts.append(
            tr(
                "{growth} since {since}",
                growth=_signed(curve.latest - curve.base, panel.unit),
                since=since,
            )
        )
    if curve.rate is not None:
        parts.append(tr(_RATE_SO_FAR[work], rate=_signed(curve.rate, panel.unit)))
    return tr(", ").join(parts)


def closing(state: LiveState) -> str:
    """What the dots are, and that a rate so far is no verdict."""
    text = tr("growth rates so far, not a verdict; Ctrl-C stops and reports")
    return (
        tr("dots: {faint}; {told}", faint=tr(", ").join(state.faint), told=text)
        if state.faint
        else text
    )


def _signed(amount: float, unit: Unit) -> str:
    return ("+" if amount > 0 else "") + format_amount(amount, unit)


def _right_edge(state: LiveState) -> int:
    """The last call on the axis: of a long plan at most twice the calls done, in steps."""
    if state.planned is None:
        return max(state.calls, _MIN_CALLS)
    edge = _MIN_CALLS
    while edge < state.calls:
        edge *= 2
    return max(min(edge, state.planned), 2)


def _drawn(panel: Panel, right: int, width: int, height: int, work: Work) -> list[str]:
    """The panel as `height` lines. Pure: plotext's one figure is cleared before and built after."""
    import plotext

    low, high = _limits((panel.curve, *panel.faint), right)
    plotext.clear_figure()
    plotext.limit_size(False, False)  # by the size asked for, not by this process's terminal
    plotext.plot_size(width, height)
    plotext.theme("clear")
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for curve in panel.faint:
        dots = [(call, at) for call, at in _middles(curve, right) if low <= at <= high]
        plotext.scatter([call for call, _ in dots], [at for _, at in dots], **_FAINT)
    calls, heights = _extremes(panel.curve)
    plotext.plot(calls, _near(heights, low, high), **_CURRENT)
    plotext.xlim(0, right)
    plotext.ylim(low, high)
    ticks = [low + (high - low) * part / 4 for part in _ticks(height)]
    plotext.yticks(ticks, [f"{format_amount(at, panel.unit):>{_LABEL_COLUMNS}}" for at in ticks])
    edges = [0, right // 2, right]
    plotext.xticks(edges, ["0", f"{right // 2:,}", tr(_LAST[work], right=right)])
    drawn = [str(line) for line in plotext.build().splitlines()[:height]]
    # The last line is the only one with words; to measure all of them would cost frames.
    return [*drawn[:-1], *(_narrowed(line, width) for line in drawn[-1:])]


def _narrowed(line: str, width: int) -> str:
    """`line` within `width` columns: plotext counts characters, of which Chinese ones take two."""
    plain = _STYLE.sub("", line).rstrip()
    excess = sum(map(_columns, plain)) - width
    if excess <= 0:
        return line
    start, _, last = plain.rpartition("  ")
    return f"{start[: max(len(start) + 2 - excess, 0)]}{last}"


def _ticks(height: int) -> tuple[int, ...]:
    """Where figures stand beside the panel, in quarters of it from below."""
    if height < 6:
        return (0, 4)
    return (0, 2, 4) if height < 9 else (0, 1, 2, 3, 4)


def _limits(curves: Sequence[Curve], right: int) -> tuple[float, float]:
    """Bottom and top: all that was judged, with zero; the warm-up only where there is no more."""
    visible_heights = [height for curve in curves for height in _seen(curve, right)]
    low, high = min(visible_heights, default=0.0), max(visible_heights, default=0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    missing = max(_MIN_SPAN - (high - low), 0.0) / 2
    margin = _MARGIN * max(high - low, _MIN_SPAN)
    return low - missing - margin, high + missing + margin


def _seen(curve: Curve, right: int) -> Iterator[float]:
    first = curve.judged_calls if curve.judged_value is not None else None
    for calls, low, high in zip(curve.calls, curve.lows, curve.highs, strict=True):
        if (first is None or calls > first) and calls <= right:
            yield low - curve.base
            yield high - curve.base


def _extremes(curve: Curve) -> tuple[list[int], list[float]]:
    """Calls and heights, both ends of every bucket."""
    calls = [call for call in curve.calls for _ in range(2)]
    ends = zip(curve.lows, curve.highs, strict=True)
    return calls, [float(end - curve.base) for both in ends for end in both]


def _middles(curve: Curve, right: int) -> Iterator[tuple[int, float]]:
    """Call and height up to the right edge, the middle of every bucket."""
    for call, low, high in zip(curve.calls, curve.lows, curve.highs, strict=True):
        if call <= right:
            yield call, (low + high) / 2 - curve.base


def _near(heights: Sequence[float], low: float, high: float) -> list[float]:
    """Heights, those outside the panel just outside: plotext fills lines dot by dot, unseen too."""
    room = high - low
    return [min(max(height, low - room), high + room) for height in heights]


def _styled(style: str, text: str, width: int) -> str:
    return f"{style}{_cut(text, width)}{_PLAIN}"


def _cut(text: str, width: int) -> str:
    """As much of `text` as fits; what would steer the terminal is shown as ``?``."""
    retained = []
    for shown in visible(text):
        width -= _columns(shown)
        if width < 0:
            break
        retained.append(shown)
    return "".join(retained)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
