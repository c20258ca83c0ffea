"""``analyze.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.fleet import FleetReport, JudgedInstance
from leakhunt.reporting.fleet.tables import HEADINGS, WORDS, details, heading, rows, summary
from leakhunt.reporting.formats.jinja import template
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr

_WIDTH, _HEIGHT = 160, 32
_MARGIN = 2


def render(report: FleetReport) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    page = template("analyze.html.j2").render(
        report=report,
        heading=heading(report),
        summary=list(summary(report)),
        headings=(tr("curve"), *map(tr, HEADINGS)),
        kinds=["path" if is_text else "number" for is_text in WORDS],
        rows=[
            (cells, points_of(each), _limit_height(each))
            for cells, each in zip(rows(report), report.instances, strict=True)
        ],
        details=list(details(report)),
        width=_WIDTH,
        height=_HEIGHT,
    )
    return text_bytes(page)


def points_of(each: JudgedInstance) -> str:
    """The curve as the points of a polyline, from the lower left."""
    span = max(each.curve.seconds[-1], 1.0)
    return " ".join(
        f"{seconds / span * _WIDTH:.1f},{_height(each, size):.1f}"
        for seconds, size in zip(each.curve.seconds, each.curve.sizes, strict=True)
    )


def _top(each: JudgedInstance) -> float:
    """The limit where the curve comes near it, else what it was at most."""
    most = max(each.curve.sizes) or 1
    return float(each.limit_bytes if each.limit_bytes and each.limit_bytes < 3 * most else most)


def _height(each: JudgedInstance, size: float) -> float:
    return _MARGIN + (_HEIGHT - 2 * _MARGIN) * (1 - min(size / _top(each), 1.0))


def _limit_height(each: JudgedInstance) -> str:
    """Where the line of the limit is; empty: it is far above."""
    if not each.limit_bytes or _top(each) != each.limit_bytes:
        return ""
    return f"{_height(each, each.limit_bytes):.1f}"
