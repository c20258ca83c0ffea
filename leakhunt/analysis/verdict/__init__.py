"""What the numbers say: pure functions of a run, no clock, no file, no process."""

from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.ledger import ledger
from leakhunt.analysis.verdict.series import judge_series

__all__ = ["judge", "judge_series", "ledger"]
