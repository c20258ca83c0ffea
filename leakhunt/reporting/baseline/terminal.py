"""What a baseline keeps, on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.baseline import Baseline, BaselineChange, BaselineVariant
from leakhunt.model.kinds import Kind
from leakhunt.reporting.baseline.rows import BaselineRow, row_of
from leakhunt.reporting.comparison.differences import fact_line
from leakhunt.reporting.comparison.terminal import lines_table
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.run.terminal import visible_line
from leakhunt.text.language import tr


def baseline_table(rows: Sequence[BaselineRow]) -> Table:
    """A table of one environment, a row each variant."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(tr("variant"), overflow="fold")
    table.add_column(tr("figure"), no_wrap=True)
    table.add_column(tr("retained"), overflow="fold")
    for row in rows:
        style = "bold red" if row.accepts_leak else ""
        about = Text.assemble(
            (visible(row.name), "bold"), "\n", (visible(row.verdict), style), "\n",
            (visible(row.calls), "dim"), "\n", (visible(row.measured), "dim"),
        )  # fmt: skip
        titles, amounts = ("\n".join(figure[side] for figure in row.figures) for side in (0, 1))
        table.add_row(about, Text(titles), Text(amounts))
        table.add_section()
    return table


def baseline_parts(baseline: Baseline) -> Iterator[Table | Text]:
    """Where it is, what its environment is, and a table of its variants."""
    facts = tr("; ").join(f"{tr(name)} {value}" for name, value in baseline.environment.items())
    yield Text()
    yield visible_line(Text(baseline.place, "bold"))
    yield visible_line(Text(facts, "dim"))
    yield baseline_table([row_of(variant) for variant in baseline.variants])


def saved_parts(
    variants: Sequence[BaselineVariant], changes: Sequence[BaselineChange]
) -> Iterator[Table | Text]:
    """What differs from before, where there was a baseline; then what leaks, or may, of it."""
    for change in changes:
        yield Text()
        yield from _change(change)
    yield from map(visible_line, _remarks(variants))


def _change(change: BaselineChange) -> Iterator[Table | Text]:
    name = change.variant.name
    if change.is_new:
        yield visible_line(Text(tr("{name}: new, not in the baseline", name=name)))
        return
    work = change.variant.profiles[0].work
    yield lines_table(name, (tr("baseline"), tr("now")), change.lines, work)
    if change.refusing:
        facts = tr("; ").join(map(fact_line, change.refusing))
        text = tr("not comparable with the baseline: {facts}", facts=facts)
        yield visible_line(Text(text, "yellow"))


def _remarks(variants: Sequence[BaselineVariant]) -> Iterator[Text]:
    for variant in variants:
        if Kind.INCONCLUSIVE in variant.verdicts:
            yield Text(
                tr(
                    "warning: {name} is inconclusive and may leak; later runs may leak as"
                    " much. Measure more calls",
                    name=variant.name,
                ),
                "magenta",
            )
        if variant.accepts_leak:
            yield Text(
                tr(
                    "warning: {name} leaks; this baseline lets later runs leak as much",
                    name=variant.name,
                ),
                "bold red",
            )
