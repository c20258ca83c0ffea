"""What the numbers say: pure functions of a run, no clock, no file, no process."""

from leakhunt.verdict.judge import judge, judge_trend
from leakhunt.verdict.ledger import ledger

__all__ = ["judge", "judge_trend", "ledger"]
