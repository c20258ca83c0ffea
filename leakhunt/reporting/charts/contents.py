"""Whether a figure of a report says anything. Pure, and imports no plotting library.

Of runs that make calls every figure is drawn, if only to say what is missing: who collects files
counts on them. What is only looked on (`watch`, `attach`) may have none by its nature.
"""

from __future__ import annotations

from leakhunt.model.report import Report
from leakhunt.reporting.charts.remedy_points import board
from leakhunt.reporting.shared.load_table import work_of


def has_ledgers(report: Report) -> bool:
    """Whether RSS is broken down, or should have been."""
    return work_of(report).is_timed or any(entry.ledger for entry in report.entries)


def has_board(report: Report) -> bool:
    """Whether fixes are compared, or could have been."""
    return work_of(report).is_timed or bool(board(report))


def has_flames(report: Report) -> bool:
    """Whether growth is drawn by call stack, or could have been."""
    return work_of(report).is_timed or any(entry.flames for entry in report.entries)
