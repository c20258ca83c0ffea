"""A gate as a notebook shows it."""

from __future__ import annotations

from leakhunt.model.gate import GateResult
from leakhunt.reporting.formats.notebook_table import notebook_table
from leakhunt.reporting.gate.rows import counts, overall, rows
from leakhunt.reporting.gate.tables import HEADINGS, cells
from leakhunt.text.language import tr


def card(result: GateResult) -> str:
    """The answer for all, and a row for each."""
    title = f"{overall(result)}{tr(': {reason}', reason=counts(result))}"
    return notebook_table(title, list(map(tr, HEADINGS)), map(cells, rows(result)))
