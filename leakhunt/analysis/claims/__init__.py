"""Claims of field reports, compared with measured runs: measured and judged. Pure."""

from leakhunt.analysis.claims.evidence import Evidence
from leakhunt.analysis.claims.judge import judge_claims

__all__ = ["Evidence", "judge_claims"]
