"""A comparison as a notebook shows it."""

from __future__ import annotations

from leakhunt.model.comparison import Comparison
from leakhunt.reporting.comparison.tables import (
    amounts,
    short_conclusion_cell,
    short_difference_cell,
    short_line_title,
)
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.text.language import tr


def card(comparison: Comparison) -> str:
    """A table a pair, with what follows from it above."""
    return "".join(
        notebook_table(
            str(pair.sentence),
            (pair.name, pair.before_label, pair.after_label, tr("difference"), tr("conclusion")),
            [
                (
                    short_line_title(line, pair.work),
                    *amounts(line),
                    short_difference_cell(line),
                    short_conclusion_cell(line),
                )
                for line in pair.lines
            ],
        )
        for pair in comparison.pairs
    )
