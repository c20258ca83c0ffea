"""The cells and phrases that every format of a matrix shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leakhunt.amounts import format_amount, format_bytes, format_rate, format_seconds
from leakhunt.model.matrix import Axis, CellEnd, CellResult, MatrixReport
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.text.language import mark, ntr, tr

NOTHING = "–"
# A word always, a sign beside it: never told by colour alone.
SIGNS: Mapping[Status | None, str] = {
    Status.LEAK: "▲",
    Status.NO_LEAK: "●",
    Status.INCONCLUSIVE: "?",
    None: "×",
}
WORDS: Mapping[Status | None, str] = {
    Status.LEAK: mark("Leak"),
    Status.NO_LEAK: mark("No leak"),
    Status.INCONCLUSIVE: mark("Inconclusive"),
    None: mark("Not measured"),
}
HEADINGS = (
    mark("cell"),
    mark("verdict"),
    mark("growth per call"),
    mark("99 % bounds"),
    mark("false discovery rate"),
    mark("time per call"),
    mark("highest RSS"),
    mark("calls"),
    mark("leak suspect"),
    mark("notes"),
)
EFFECT_HEADINGS = (mark("axis"), mark("value"), mark("leaks"), mark("median growth"))
HOW_IT_IS_READ = mark(
    "Rows and columns: values of the axes. A cell: verdict, growth per call, seconds per call. A"
    " leak counts where its false discovery rate over all cells (Benjamini and Hochberg) is at most"
    " {rate}. Repeats that disagree are inconclusive."
)


def css_class(status: Status | None) -> str:
    """The class of a verdict's colour; None: nothing was measured."""
    return str(status) if status is not None else "unmeasured"


@dataclass(frozen=True, slots=True)
class GridCell:
    """One square of the heat map: all repeats of a combination."""

    results: tuple[CellResult, ...]

    @property
    def status(self) -> Status | None:
        """That of all its repeats; inconclusive where they disagree."""
        found = {each.status for each in self.results}
        if len(found) == 1:
            return next(iter(found))
        return Status.INCONCLUSIVE if found else None

    @property
    def css(self) -> str:
        """The class of its colour."""
        return css_class(self.status)

    @property
    def rate(self) -> float | None:
        """The middle rate of its repeats, where they leak."""
        rates = sorted(each.rate for each in self.results if each.rate is not None)
        return rates[len(rates) // 2] if rates and self.status is Status.LEAK else None

    @property
    def lines(self) -> tuple[str, ...]:
        """Verdict, rate and time, for people."""
        if not self.results:
            return (tr("excluded"),)
        first = self.results[0]
        if self.status is None:
            return (f"{SIGNS[None]} {tr(first.record.end)}",)
        lines = [f"{SIGNS[self.status]} {tr(WORDS[self.status])}"]
        if self.rate is not None and first.unit is not None:
            lines.append(format_rate(self.rate, first.unit))
        times = sorted(each.seconds_per_call for each in self.results if each.seconds_per_call)
        if times:
            lines.append(format_seconds(times[len(times) // 2]))
        if first.record.end is not CellEnd.MEASURED:
            lines.append(tr(first.record.end))
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class Grid:
    """The heat map: `rows` are titles with a square for each of the `columns`."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]


def grid(report: MatrixReport) -> Grid:
    """The heat map: the axis with the most values across, all others down."""
    axes = [axis for axis in report.plan.axes if len(axis.values) > 1]
    if not axes:
        axes = list(report.plan.axes[:1])
    across = max(axes, key=lambda axis: len(axis.values))
    down = [axis for axis in axes if axis is not across]
    cells: dict[tuple[tuple[str, ...], str], list[CellResult]] = {}
    rows: dict[tuple[str, ...], None] = {}
    for each in report.results:
        place = tuple(each.cell.values[axis.name] for axis in down)
        rows.setdefault(place)
        cells.setdefault((place, each.cell.values[across.name]), []).append(each)
    return Grid(
        corner=_corner(down, across),
        columns=tuple(value or NOTHING for value in across.values),
        rows=tuple(
            (
                tr(", ").join(value or NOTHING for value in place) or across.name,
                tuple(GridCell(tuple(cells.get((place, value), ()))) for value in across.values),
            )
            for place in rows
        ),
    )


def _corner(down: Sequence[Axis], across: Axis) -> str:
    names = tr(", ").join(axis.name for axis in down)
    return f"{names} \\ {across.name}" if names else across.name


def heading(report: MatrixReport) -> str:
    """``Matrix of fsmn-vad: 12 cells``."""
    return ntr(
        "Matrix of {scenario}: {n} cell",
        "Matrix of {scenario}: {n} cells",
        len(report.results),
        scenario=report.title,
    )


def counts(report: MatrixReport) -> str:
    """How many cells have which verdict: ``4 Leak, 8 No leak``."""
    found = Counter(each.status for each in report.results)
    shown = [f"{found[status]} {tr(WORDS[status])}" for status in WORDS if found[status]]
    ends = Counter(each.record.end for each in report.results)
    del ends[CellEnd.MEASURED]
    beside = tr(", ").join(f"{number} {tr(end)}" for end, number in ends.items())
    return tr(", ").join(shown) + (f" ({beside})" if beside else "")


def summary(report: MatrixReport) -> Iterator[str]:
    """The result in sentences: verdicts, what decides, what was corrected, how it was done."""
    yield counts(report)
    for sentence in report.explanation:
        yield str(sentence)
    yield from _differing(report)
    if report.withdrawn:
        yield ntr(
            "{n} cell called a leak alone does not pass a false discovery rate of {rate};"
            " repeat it with --repeats",
            "{n} cells called a leak alone do not pass a false discovery rate of {rate};"
            " repeat them with --repeats",
            report.withdrawn,
            rate=f"{report.false_discovery_rate:.0%}",
        )
    retries = sum(each.record.attempts - 1 for each in report.results)
    if retries:
        yield ntr(
            "{n} attempt was lost with a node and repeated",
            "{n} attempts were lost with a node and repeated",
            retries,
        )


def _differing(report: MatrixReport) -> Iterator[str]:
    """Who retains the growth of the cells that were hunted."""
    seen = set()
    for each in report.results_by_interest:
        text = str(each.suspect)
        if text and not each.suspect_of and text not in seen:
            seen.add(text)
            alike = [other for other in report.results if other.suspect_of == each.cell.name]
            more = tr(" (as {count} more)", count=len(alike)) if alike else ""
            yield tr("{cell}{more}: {suspect}", cell=each.cell.name, more=more, suspect=text)


def row(result: CellResult) -> tuple[str, ...]:
    """The row of a cell under `HEADINGS`."""
    leaks = result.status_alone is Status.LEAK
    bounds = NOTHING
    if leaks and result.unit and result.rate_low is not None and result.rate_high is not None:
        low, high = (
            format_amount(each, result.unit) for each in (result.rate_low, result.rate_high)
        )
        bounds = tr("{low} to {high}", low=low, high=high)
    return (
        result.cell.name,
        f"{SIGNS[result.status]} {tr(WORDS[result.status])}",
        _rate_cell(result),
        bounds,
        NOTHING if result.q_value is None or not leaks else f"{result.q_value:.2g}",
        NOTHING if result.seconds_per_call is None else format_seconds(result.seconds_per_call),
        NOTHING if result.peak_rss_bytes is None else format_bytes(result.peak_rss_bytes),
        str(result.calls) if result.calls else NOTHING,
        _suspect_cell(result),
        _notes(result),
    )


def _rate_cell(result: CellResult) -> str:
    if result.status_alone is not Status.LEAK or result.rate is None or result.unit is None:
        return NOTHING
    return format_rate(result.rate, result.unit)


def _suspect_cell(result: CellResult) -> str:
    if not result.suspect:
        return NOTHING
    if result.suspect_of:
        return tr("{suspect} (as {cell})", suspect=result.suspect, cell=result.suspect_of)
    return str(result.suspect)


def _notes(result: CellResult) -> str:
    record = result.record
    parts = [] if record.end is CellEnd.MEASURED else [tr(record.end)]
    if record.reason:
        parts.append(str(record.reason))
    if record.attempts > 1:
        parts.append(tr("{count} attempts", count=record.attempts))
    if record.node:
        parts.append(tr("node {node}", node=record.node))
    if result.status_alone is Status.LEAK and result.status is not Status.LEAK:
        parts.append(tr("leak withdrawn after the correction"))
    return tr(": ").join(parts[:2]) + "".join(f"; {each}" for each in parts[2:])


def effect_rows(report: MatrixReport) -> Iterator[tuple[str, ...]]:
    """A row for each value of each axis under `EFFECT_HEADINGS`, the axis that decides first."""
    for effect in report.effects:
        name = tr("{axis} (decides)", axis=effect.axis) if effect.decides else effect.axis
        rows = zip(effect.values, effect.rates, effect.leaks, effect.cells, strict=True)
        for value, rate, leaks, cells in rows:
            shown = NOTHING if rate is None else f"{format_bytes(rate)}"
            yield name, value or NOTHING, f"{leaks}/{cells}", shown


def facts(report: MatrixReport) -> Iterator[tuple[str, str]]:
    """How it was done."""
    plan = report.plan
    yield tr("axes"), tr(", ").join(axis.name for axis in plan.axes)
    yield tr("carried out"), tr("{on}, {jobs} at a time", on=report.on, jobs=report.jobs)
    if plan.requirements:
        yield tr("packages"), tr(", ").join(plan.requirements)
    if report.seconds:
        yield tr("time"), format_seconds(report.seconds)
    nodes = Counter(each.record.node for each in report.results if each.record.node)
    if nodes:
        shown = (f"{name} ({number})" for name, number in nodes.items())
        yield tr("nodes"), tr(", ").join(shown)


def how_it_is_read(report: MatrixReport) -> str:
    """The footnote."""
    return tr(HOW_IT_IS_READ, rate=f"{report.false_discovery_rate:.0%}")


def notebook_card(report: MatrixReport) -> str:
    """The matrix as a notebook shows it: the heat map in words."""
    made = grid(report)
    return notebook_table(
        f"{heading(report)}{tr(': ')}{counts(report)}",
        (made.corner, *made.columns),
        [(name, *(" · ".join(cell.lines) for cell in cells)) for name, cells in made.rows],
    )
