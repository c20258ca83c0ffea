"""One renderer a format. Each takes a `Report` and returns bytes; none imports another.

To add one: a module with a function from `Report` to bytes, named in `RENDERERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leakhunt.model import Report


@dataclass(frozen=True, slots=True)
class Renderer:
    """A format: the name of its file and how a report becomes its bytes."""

    file_name: str
    render: Callable[[Report], bytes]


def _html(report: Report) -> bytes:
    from leakhunt.reporting.html import render

    return render(report)


def _curves(report: Report) -> bytes:
    from leakhunt.reporting.curves import curves_png

    return curves_png(report)


def _ledger(report: Report) -> bytes:
    from leakhunt.reporting.ledger_figure import ledger_png

    return ledger_png(report)


def _remedies(report: Report) -> bytes:
    from leakhunt.reporting.remedy_figure import remedies_png

    return remedies_png(report)


def _markdown(report: Report) -> bytes:
    from leakhunt.reporting.markdown import render

    return render(report)


def _json(report: Report) -> bytes:
    from leakhunt.reporting.json_report import render

    return render(report)


# Imported on use: matplotlib and jinja2 take longer to load than most commands take to run.
RENDERERS: tuple[Renderer, ...] = (
    Renderer("report.html", _html),
    Renderer("curves.png", _curves),
    Renderer("ledger.png", _ledger),
    Renderer("remedies.png", _remedies),
    Renderer("report.md", _markdown),
    Renderer("report.json", _json),
)
