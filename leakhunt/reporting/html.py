"""``report.html``: one file, opens offline, asks for nothing from anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model import Ledger, Report
from leakhunt.reporting.curves import curves_svg
from leakhunt.reporting.suspects import (
    LINE_HEADINGS,
    TRIAL_HEADINGS,
    blind_spots,
    cards,
    closing_lines,
    line_rows,
    trial_row,
)
from leakhunt.reporting.words import (
    SIGNS,
    calls_fact,
    first_facts,
    headings,
    plan_facts,
    remedies,
    row,
    type_growth,
)
from leakhunt.units import format_bytes


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the ledger as a bar from `left` to `left + width`, in % of the row."""

    title: str
    size: str
    explanation: str
    left: float
    width: float
    zero: float
    name: str


def render(report: Report) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("leakhunt.reporting"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        report=report,
        facts=first_facts(report),
        headings=headings(report),
        rows=[row(entry, report) for entry in report.entries],
        signs=SIGNS,
        # Ours but for its texts, which matplotlib escapes when it writes the SVG.
        curves=Markup(curves_svg(report)),  # noqa: S704
        remedies=remedies(report),
        hunted=[entry for entry in report.entries if entry.attribution is not None],
        closing_lines=closing_lines,
        cards=cards,
        blind_spots=blind_spots,
        line_headings=LINE_HEADINGS,
        line_rows=line_rows,
        trial_headings=TRIAL_HEADINGS,
        trials=[trial_row(trial) for trial in report.trials],
        entries=report.entries,
        bars=bars,
        plan_facts=plan_facts,
        type_growth=type_growth,
        calls_fact=calls_fact,
        format_bytes=format_bytes,
        damaged=[entry for entry in report.entries if entry.run.damaged_lines],
        shared=_shared_environment(report),
    )
    return page.encode("utf-8", "backslashreplace")


def bars(ledger: Ledger) -> list[Bar]:
    """The ledger's lines as a waterfall: each bar begins where the one before it ended."""
    sizes = [line.size_bytes for line in ledger.lines]
    tops = [0]
    for size in sizes:
        tops.append(tops[-1] + size)
    low, high = min(*tops, 0), max(*tops, 0)
    span = (high - low) or 1
    drawn = [
        Bar(
            title=line.title,
            size=format_bytes(line.size_bytes),
            explanation=line.explanation,
            left=100 * (min(before, after) - low) / span,
            width=100 * abs(after - before) / span,
            zero=100 * -low / span,
            name=line.name,
        )
        for line, before, after in zip(ledger.lines, tops, tops[1:], strict=False)
    ]
    total = ledger.growth_bytes
    drawn.append(
        Bar(
            "RSS in all",
            format_bytes(total),
            "RSS after the last call less RSS before the first",
            100 * (min(total, 0) - low) / span,
            100 * abs(total) / span,
            100 * -low / span,
            "total",
        )
    )
    return drawn


def _shared_environment(report: Report) -> dict[str, str]:
    """Facts about the machine, with every value that occurs among the runs."""
    values: dict[str, dict[str, None]] = {}
    for entry in report.entries:
        for name, value in entry.run.environment.items():
            values.setdefault(name, {})[value] = None
    return {name: " / ".join(found) for name, found in values.items()}
