"""``report.html``: one file, opens offline, asks for nothing from anywhere."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from leakhunt.amounts import format_bytes
from leakhunt.model.report import JudgedRun, Ledger, Report
from leakhunt.model.series import DURATION, Series
from leakhunt.model.verdict import Status
from leakhunt.reporting.charts.contents import has_ledgers
from leakhunt.reporting.charts.curves import curves_element
from leakhunt.reporting.charts.ledger import no_ledger
from leakhunt.reporting.charts.peaks import peaks_element
from leakhunt.reporting.charts.plot_data import POINTS, plot_data
from leakhunt.reporting.charts.remedies import remedies_element
from leakhunt.reporting.charts.sparkline import picture, sparkline
from leakhunt.reporting.claims.html_page import claim_words
from leakhunt.reporting.claims.tables import HOW_IT_IS_READ
from leakhunt.reporting.formats.jinja import markup, template, text_of
from leakhunt.reporting.run.tables import (
    REMEDY_HEADINGS,
    colour,
    headings,
    limit_line,
    remedies,
    row,
    sign,
)
from leakhunt.reporting.shared.allocators import ALLOCATOR_HEADINGS, allocator_rows
from leakhunt.reporting.shared.facts import (
    calls_fact,
    first_facts,
    plan_facts,
    type_growth,
)
from leakhunt.reporting.shared.headline import (
    NOISE_HEADINGS,
    headline,
    main_series,
    noise,
    summary,
)
from leakhunt.reporting.shared.load_table import LOAD_HEADINGS, load_lines, load_rows, work_of
from leakhunt.reporting.shared.page_texts import SCRIPT_WORDS, SCRIPT_WORDS_OF, page_texts
from leakhunt.reporting.shared.peaks import LIMIT_HEADINGS, limit_rows, peak_lines
from leakhunt.reporting.shared.processes import PROCESS_HEADINGS, process_rows
from leakhunt.reporting.shared.routes import ROUTE_HEADINGS, route_rows
from leakhunt.reporting.shared.suspects import (
    LINE_HEADINGS,
    TRIAL_HEADINGS,
    blind_spots,
    cards,
    closing_lines,
    line_rows,
    trial_row,
)
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr

if TYPE_CHECKING:
    from markupsafe import Markup

# The versions that a reader looks for first; the others stand under how it was measured.
_VERSIONS = ("python", "torch", "modelscope", "funasr", "transformers", "numpy", "libc")
_SPARK_POINTS = 72


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
    less: bool


def render(report: Report) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    from markupsafe import Markup

    plots = plot_data(report)
    work = work_of(report)
    of_both = {**SCRIPT_WORDS, **SCRIPT_WORDS_OF[work]}
    words = {name: tr(text) for name, text in of_both.items()}
    shared = _shared_environment(report)
    trials, compared = [trial_row(trial) for trial in report.trials], remedies(report)
    calls = [variant["along"]["call"] for variant in plots["variants"]]
    page = template("report.html.j2").render(
        report=report,
        entries=report.entries,
        summary=summary(report),
        headline=headline,
        sparkline=_spark,
        facts=first_facts(report),
        device=" / ".join(dict.fromkeys(e.run.plan.device for e in report.entries))
        if work.is_timed
        else "",
        versions=", ".join(f"{name} {shared[name]}" for name in _VERSIONS if name in shared),
        sign=sign,
        colour=colour,
        limit_line=limit_line,
        plots=plots,
        shown_first=_shown_first(report),
        words=words,
        texts={name: markup(text) for name, text in page_texts(report).items()},
        axes=[name for name in ("call", "time", "audio") if _is_along(name, plots)],
        first_call=min(chain(*calls), default=0),
        last_call=max(chain(*calls), default=0),
        common_call=min(map(max, filter(None, calls)), default=0),
        thinned=POINTS // 2 if _is_thinned(report) else 0,
        # Ours but for its texts, which matplotlib escapes when it writes the SVG.
        curves=Markup(curves_element(report)),  # noqa: S704
        plot_json=Markup(_json({**plots, "words": words})),  # noqa: S704
        plotly=_plotly(),
        headings=headings(report),
        rows=[row(entry, report) for entry in report.entries],
        load_headings=tuple(map(tr, LOAD_HEADINGS)),
        load_rows=load_rows(report),
        load_lines=list(load_lines(report)),
        route_headings=tuple(map(tr, ROUTE_HEADINGS)),
        route_rows=route_rows(report),
        process_headings=tuple(map(tr, PROCESS_HEADINGS)),
        process_rows=process_rows(report),
        hunted=[entry for entry in report.entries if entry.attribution is not None],
        closing_lines=closing_lines,
        cards=cards,
        blind_spots=blind_spots,
        line_headings=tuple(map(tr, LINE_HEADINGS)),
        line_rows=line_rows,
        board=Markup(remedies_element(report)) if trials or compared else "",  # noqa: S704
        trial_headings=tuple(map(tr, TRIAL_HEADINGS)),
        trials=trials,
        allocator_headings=tuple(map(tr, ALLOCATOR_HEADINGS)),
        allocator_rows=allocator_rows,
        remedy_headings=tuple(map(tr, REMEDY_HEADINGS)),
        remedies=compared,
        peaks=[(e.variant, list(peak_lines(e))) for e in report.entries if e.peak is not None],
        # As the other figures.
        peak_figure=Markup(peaks_element(report)),  # noqa: S704
        limit_headings=tuple(map(tr, LIMIT_HEADINGS)),
        limit_rows=limit_rows(report),
        has_ledgers=has_ledgers(report),
        bars=bars,
        no_ledger=no_ledger,
        plan_facts=plan_facts,
        probes=_probes(report),
        type_growth=type_growth,
        calls_fact=calls_fact,
        format_bytes=format_bytes,
        noise_headings=tuple(map(tr, NOISE_HEADINGS)),
        noise=noise(report),
        damaged=[entry for entry in report.entries if entry.run.damaged_lines],
        shared=shared,
        how_claims_are_read=tr(HOW_IT_IS_READ),
        **claim_words(),
    )
    return text_bytes(page)


def _shown_first(report: Report) -> str:
    """The series that is plotted until another is chosen: the one that leaks."""
    leaking = [each for each in report.entries if each.verdict.status is Status.LEAK]
    shown = [main_series(each.run, each.verdict) for each in (*leaking, *report.entries)]
    return next(iter(shown), "")


def _json(data: Mapping[str, Any]) -> str:
    """JSON that ends no script element, whatever its texts hold."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


@cache
def _plotly() -> str:
    """The part of plotly.js that draws lines, packed for the page to unpack.

    The Python package would bring all of it, and takes 70 MB.
    """
    script = text_of("third_party/plotly-basic.min.js").encode()
    return base64.b64encode(gzip.compress(script, mtime=0)).decode()


def _probes(report: Report) -> list[Series]:
    """The series of the first run that are figures."""
    if not report.entries:
        return []
    run = report.entries[0].run
    return [each for each in run.series if each.name != DURATION or run.plan.work.is_timed]


def _is_along(name: str, plots: Mapping[str, Any]) -> bool:
    return any(name in variant["along"] for variant in plots["variants"])


def _is_thinned(report: Report) -> bool:
    return any(entry.run.samples_done > POINTS for entry in report.entries)


def _spark(entry: JudgedRun) -> Markup:
    """The memory of a run as a small picture."""
    return picture(sparkline(entry, _SPARK_POINTS))


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
            title=str(line.title),
            size=format_bytes(line.size_bytes),
            explanation=str(line.explanation),
            left=100 * (min(before, after) - low) / span,
            width=100 * abs(after - before) / span,
            zero=100 * -low / span,
            name=line.name,
            less=line.size_bytes < 0,
        )
        for line, before, after in zip(ledger.lines, tops, tops[1:], strict=False)
    ]
    total = ledger.growth_bytes
    drawn.append(
        Bar(
            tr("RSS, total"),
            format_bytes(total),
            tr("RSS at the end minus RSS at the start"),
            100 * (min(total, 0) - low) / span,
            100 * abs(total) / span,
            100 * -low / span,
            "total",
            total < 0,
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
