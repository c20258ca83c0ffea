"""What changed between two visits of running processes, as sections of every format. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.comparison import Comparison
from leakhunt.reporting.attached.tables import (
    Section,
    difference_sections,
    difference_summary,
)


def look_sentences(comparison: Comparison) -> Iterator[str]:
    """A sentence or two for each pair of visits."""
    for looks in comparison.looks:
        summary = " ".join(difference_summary(looks.difference))
        yield f"{looks.before_label} -> {looks.after_label}: {summary}"


def look_sections(comparison: Comparison) -> Iterator[Section]:
    """The tables of each pair of visits, those without a row left out."""
    for looks in comparison.looks:
        yield from (each for each in difference_sections(looks.difference) if each.rows)
