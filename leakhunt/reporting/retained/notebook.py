"""Retained memory as a notebook shows it: a table for each variant. No script, no file."""

from __future__ import annotations

from leakhunt.model.retained import RetainedReport
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.reporting.retained.tables import HEADINGS, rows, title
from leakhunt.text.language import tr


def tables(report: RetainedReport) -> str:
    """HTML elements, all texts escaped."""
    headings = tuple(map(tr, HEADINGS))
    return "".join(
        notebook_table(title(report.scenario, heap), headings, rows(heap)) for heap in report.heaps
    )
