"""The processes of a service, as cells that every format shares. Pure."""

from __future__ import annotations

from leakhunt.amounts import format_rate
from leakhunt.model.plan import Work
from leakhunt.model.processes import JudgedProcess
from leakhunt.model.report import Report
from leakhunt.model.series import ANONYMOUS, LIVE_HEAP
from leakhunt.text.language import mark, tr

PROCESS_HEADINGS = (
    mark("variant"),
    mark("process"),
    mark("PID"),
    mark("verdict"),
    mark("live heap"),
    mark("anonymous memory"),
    mark("share of growth"),
    mark("replaced"),
    mark("command"),
)
_LONGEST_COMMAND = 60
_NOTHING = "–"


def process_rows(report: Report) -> list[tuple[str, ...]]:
    """Under `PROCESS_HEADINGS`, a row for each process that was read for long enough."""
    return [
        _row(entry.variant, each, entry.run.plan.work)
        for entry in report.entries
        for each in entry.processes
    ]


def _row(variant: str, each: JudgedProcess, work: Work) -> tuple[str, ...]:
    process = each.process
    command = process.command
    if len(command) > _LONGEST_COMMAND:
        command = f"{command[:_LONGEST_COMMAND]}…"
    return (
        variant,
        str(process.title),
        str(process.pids[-1]),
        tr(each.kind),
        _rate(each, LIVE_HEAP, work),
        _rate(each, ANONYMOUS, work),
        _NOTHING if each.share is None else f"{100 * each.share:.0f} %",
        f"{each.replaced:,} ×" if each.replaced else tr("no"),
        command,
    )


def _rate(each: JudgedProcess, series: str, work: Work) -> str:
    trend = each.trends.get(series)
    if trend is None or trend.rate is None:
        return _NOTHING
    return format_rate(trend.rate, trend.unit, work)
