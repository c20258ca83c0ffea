"""The kinds of requests to a service, as cells that every format shares. Pure."""

from __future__ import annotations

from leakhunt.amounts import format_amount, format_interval
from leakhunt.model.report import Report
from leakhunt.model.routes import JudgedRoute, RequestOutcome, Route, RouteRate
from leakhunt.model.series import PYTHON_BLOCKS, short_title
from leakhunt.text.language import mark, tr

ROUTE_HEADINGS = (
    mark("variant"),
    mark("route"),
    mark("requests"),
    mark("growth"),
    mark("bytes per request"),
    mark("Python blocks per request"),
)
_NOTHING = "–"


def route_rows(report: Report) -> list[tuple[str, ...]]:
    """Under `ROUTE_HEADINGS`, a row for each kind of request, those that grow a service first."""
    return [_row(entry.variant, each) for entry in report.entries for each in entry.routes]


def _row(variant: str, each: JudgedRoute) -> tuple[str, ...]:
    in_bytes = next((name for name in each.rates if name != PYTHON_BLOCKS), "")
    size = _cell(each.rates.get(in_bytes))
    return (
        variant,
        " + ".join(map(_title, each.routes)),
        f"{each.requests:,}",
        tr("grows") if each.grows else tr("no growth seen"),
        size if size == _NOTHING else f"{size} ({short_title(in_bytes)})",
        _cell(each.rates.get(PYTHON_BLOCKS)),
    )


def _title(route: Route) -> str:
    plain = route.plain_title
    return plain if route.outcome is RequestOutcome.ANSWERED else f"{plain} ({tr(route.outcome)})"


def _cell(rate: RouteRate | None) -> str:
    if rate is None:
        return _NOTHING
    low, high = (format_amount(bound, rate.unit) for bound in (rate.low, rate.high))
    return format_interval(format_amount(rate.rate, rate.unit), low, high)
