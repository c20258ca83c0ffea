"""A run as a notebook shows it: what it is, the verdict, and a small curve. No script, no file."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.amounts import format_amount
from leakhunt.model.plan import Role, Work
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.model.series import short_title
from leakhunt.model.verdict import Trend, Verdict
from leakhunt.reporting.charts.thinning import decimated
from leakhunt.reporting.formats.notebook_table import notebook_text
from leakhunt.reporting.run.tables import (
    limit_line,
    sign,
    trend_cell,
)
from leakhunt.reporting.shared.headline import main_series
from leakhunt.text.language import mark, tr

_WIDTH, _HEIGHT, _MARGIN = 320, 60, 3
_MAX_POINTS = 2 * _WIDTH
_RATE = {
    Work.CALL: mark("{series} per call: {trend_cell}"),
    Work.REQUEST: mark("{series} per request: {trend_cell}"),
    Work.SECOND: mark("{series} per second: {trend_cell}"),
}
_IN = {
    Work.CALL: mark("{series}: {least} and up to {more} more, in {calls_done:,} calls"),
    Work.REQUEST: mark("{series}: {least} and up to {more} more, in {calls_done:,} requests"),
    Work.SECOND: mark("{series}: {least} and up to {more} more, in {calls_done:,} s"),
}


def card(run: Run, verdict: Verdict | None) -> str:
    """An HTML element, all texts escaped; `verdict` is None where a run is not judged."""
    name = f"{run.plan.scenario}:{run.plan.variant}"
    if run.plan.role is not Role.MEASURE:
        name += f" ({tr(run.plan.role)})"
    shown = main_series(run, verdict)
    parts = [f"<strong>{notebook_text(name)}</strong> {_answer(run, verdict)}"]
    if verdict is not None:
        parts += [notebook_text(str(verdict.sentence)), notebook_text(limit_line(verdict))]
    if shown and run.samples_done:
        parts.append(
            _rate(shown, verdict.trends.get(shown) if verdict is not None else None, run.plan.work)
        )
        parts.append(_curve(run, shown))
    body = "<br>".join(part for part in parts if part)
    return f'<div style="max-width:48em;margin-bottom:1em">{body}</div>'


def cards(report: Report) -> str:
    """The cards of all runs of a report that are judged."""
    return "".join(card(entry.run, entry.verdict) for entry in report.entries)


def _answer(run: Run, verdict: Verdict | None) -> str:
    if verdict is None:
        text = tr(
            "instrumented by {instrument} for {calls_done:,} calls; not judged",
            instrument=run.plan.instrument,
            calls_done=run.calls_done,
        )
        return notebook_text(text)
    return f"{sign(verdict)} {notebook_text(tr(verdict.kind))}"


def _rate(series: str, trend: Trend | None, work: Work) -> str:
    """``live heap per call: 64.1 [63.2, 65.0] KiB``."""
    if trend is None or trend.rate is None:
        return ""
    return notebook_text(
        tr(
            _RATE[work],
            series=short_title(series),
            trend_cell=trend_cell(trend),
        )
    )


def _curve(run: Run, series: str) -> str:
    """The series as it was read, the warm-up shaded, with its lowest and highest reading in words.

    One inline SVG in the colours of the page, so that it can be read on a dark one too.
    """
    values = run.samples[series][: run.samples_done]
    low, high = min(values), max(values)
    calls = run.calls[: run.samples_done]
    places, heights = decimated([float(value) for value in values], _MAX_POINTS)
    points = " ".join(
        f"{_across(calls[place], calls):.1f},{_down(height, low, high):.1f}"
        for place, height in zip(places, heights, strict=True)
    )
    first = run.judged_from
    warm_up = _across(calls[first - 1], calls) if first else 0.0
    units = {each.name: each.unit for each in run.series}
    least, more = (format_amount(value, units[series]) for value in (low, high - low))
    text = tr(
        _IN[run.plan.work],
        series=short_title(series),
        least=least,
        more=more,
        calls_done=run.calls_done,
    )
    caption = tr("{told}; shaded: warm-up", told=text) if first else text
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{notebook_text(caption)}"'
        f' width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<rect x="0" y="0" width="{warm_up:.1f}" height="{_HEIGHT}" fill="currentColor"'
        ' opacity="0.12"/>'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        f"</svg><br><small>{notebook_text(caption)}</small>"
    )


def _across(call: int, calls: Sequence[int]) -> float:
    """Where a call stands, from the left."""
    return _WIDTH * call / max(calls[-1], 1)


def _down(height: float, low: int, high: int) -> float:
    """Where a reading stands, from the top; a flat curve lies in the middle."""
    if high == low:
        return _HEIGHT / 2
    room = _HEIGHT - 2 * _MARGIN
    return _MARGIN + room * (high - height) / (high - low)
