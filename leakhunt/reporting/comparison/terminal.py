"""A comparison on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.comparison import Comparison, Conclusion, Metric
from leakhunt.model.plan import Work
from leakhunt.reporting.attached.terminal import section_table
from leakhunt.reporting.comparison.differences import (
    alone_lines,
    refusal_box,
    shown_box,
)
from leakhunt.reporting.comparison.looks import look_sections, look_sentences
from leakhunt.reporting.comparison.tables import (
    amounts,
    not_hunted,
    short_conclusion_cell,
    short_difference_cell,
    short_line_title,
    sign,
    suspect_row,
)
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.run.terminal import visible_line
from leakhunt.text.language import tr

# Cells, so that all fits into 80.
_LABEL, _DIFFERENCE = 13, 17
_STYLES = {
    Conclusion.INCREASE: "bold red",
    Conclusion.DECREASE: "green",
    Conclusion.NO_DIFFERENCE: "",
    Conclusion.INCONCLUSIVE: "magenta",
    Conclusion.NOT_COMPARABLE: "bold yellow",
}


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """A table a pair, one row a figure."""
    for pair in comparison.pairs:
        labels = (pair.before_label, pair.after_label)
        yield lines_table(pair.name, labels, pair.lines, pair.work)
    for section in look_sections(comparison):
        yield section_table(section)


def lines_table(name: str, labels: tuple[str, str], lines: Iterable[Metric], work: Work) -> Table:
    """A table of these figures, with what both sides are called."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Text(f"{visible(name)} ", "bold"), no_wrap=True)
    for label in labels:
        heading = Text(visible(label))
        table.add_column(heading, justify="right", overflow="fold", max_width=_LABEL)
    table.add_column(tr("difference"), overflow="fold", max_width=_DIFFERENCE)
    table.add_column(tr("conclusion"), overflow="fold")
    for line in lines:
        table.add_row(
            Text(short_line_title(line, work)),
            *map(Text, amounts(line)),
            Text(short_difference_cell(line)),
            Text(short_conclusion_cell(line), _STYLES[line.conclusion]),
        )
    return table


def comparison_lines(comparison: Comparison) -> Iterator[Text]:
    """A sentence a pair, suspects, what is not on every side, what forbids a conclusion."""
    return map(visible_line, _lines(comparison))


def _lines(comparison: Comparison) -> Iterator[Text]:
    for pair in comparison.pairs:
        yield Text.assemble((f"{sign(pair, comparison.despite)} ", "bold"), str(pair.sentence))
        for change in pair.suspects:
            name, fate, before, after, fingerprint = suspect_row(change, pair.work)
            yield Text(f"  {fate}{tr(': ')}{name} ({before} -> {after}) {fingerprint}")
        if text := not_hunted(pair):
            yield Text(f"  {text}", "dim")
    yield from map(Text, look_sentences(comparison))
    for line in alone_lines(comparison):
        yield Text(line, "dim")
    refusal = refusal_box(comparison)
    if refusal is not None:
        yield Text(f"! {refusal.title}{tr(': ').rstrip()}", "bold yellow")
        for fact, before, after, consequence, variants in refusal.rows:
            text = tr(
                "{fact}: {before}; {after}. {what} ({variants})",
                fact=fact,
                before=before,
                after=after,
                what=consequence,
                variants=variants,
            )
            yield Text(f"  {text}")
        if not comparison.despite:
            yield Text(
                "  " + tr("--despite-differences compares anyway, and marks the result."), "dim"
            )
    shown = shown_box(comparison)
    if shown is not None:
        for fact, before, after, _, _ in shown.rows:
            yield Text(f"{fact}{tr(': ')}{before}{tr('; ')}{after}", "dim")
