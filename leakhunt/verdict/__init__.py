"""What the numbers say: pure functions of a run, no clock, no file, no process."""

from leakhunt.verdict.judge import judge
from leakhunt.verdict.ledger import ledger
from leakhunt.verdict.series import judge_series

__all__ = ["judge", "judge_series", "ledger"]
