"""Checked claims as a notebook shows them."""

from __future__ import annotations

from leakhunt.model.claims import ClaimsReport
from leakhunt.reporting.claims.tables import SHORT_HEADINGS, short_row, summary
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.text.language import tr


def card(report: ClaimsReport) -> str:
    """How many claims have which verdict, and a row for each."""
    title = summary(report.claims)
    return notebook_table(title, list(map(tr, SHORT_HEADINGS)), map(short_row, report.claims))
