"""The cells and phrases that every format of a benchmark shares."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_seconds
from leakhunt.model.benchmark import BenchmarkReport, ToolRow, ToolScore
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.text.language import mark, ntr, tr

NOTHING = "–"
HEADINGS = (
    mark("tool"),
    mark("found"),
    mark("false alarms"),
    mark("named"),
    mark("no answer"),
    mark("median time"),
)
HOW_IT_IS_READ = mark(
    "Found: leaking versions that the tool calls a leak. False alarms: fixed versions that it does."
    " Named: leaking versions of which its first finding, with the stack, has the function that"
    " loses the memory. The rule by which each tool's output becomes yes or no is in the docs."
)
_SIGNS = {True: "▲", False: "●", None: "×"}


def heading(report: BenchmarkReport) -> str:
    """``Benchmark: 6 tools, 17 packages``."""
    return tr(
        "Benchmark: {tools}, {packages}",
        tools=ntr("{n} tool", "{n} tools", len(report.scores)),
        packages=ntr("{n} package", "{n} packages", len(report.packages)),
    )


def score_row(score: ToolScore) -> tuple[str, ...]:
    """The row of a tool under `HEADINGS`."""
    return (
        score.tool,
        f"{score.found}/{score.leaking}",
        f"{score.false_alarms}/{score.fixed}",
        NOTHING if score.named is None else f"{score.named}/{score.leaking}",
        str(score.failed),
        format_seconds(score.median_seconds),
    )


def details(report: BenchmarkReport) -> Iterator[tuple[str, ...]]:
    """A row for each version: what each tool says."""
    rows = {(row.package, row.version, row.tool): row for row in report.rows}
    for package in report.packages:
        for version in (package.leaking, package.fixed):
            truth = tr("leaks") if version == package.leaking else tr("fixed")
            cells = (
                _cell(rows.get((package.name, version, score.tool))) for score in report.scores
            )
            yield (f"{package.name} {version}", truth, *cells)


def detail_headings(report: BenchmarkReport) -> tuple[str, ...]:
    """Of those rows."""
    return (tr("version"), tr("truth"), *(score.tool for score in report.scores))


def _cell(row: ToolRow | None) -> str:
    if row is None:
        return NOTHING
    if row.says is None:
        nothing = tr("no answer")
        return f"{_SIGNS[None]} {nothing}"
    words = [tr("leak") if row.says else tr("no leak")]
    words += [tr("named")] if row.names else []
    words += [] if row.is_right else [tr("wrong")]
    return f"{_SIGNS[row.says]} {tr(', ').join(words)}"


def notebook_card(report: BenchmarkReport) -> str:
    """The benchmark as a notebook shows it."""
    return notebook_table(heading(report), tuple(map(tr, HEADINGS)), map(score_row, report.scores))
