"""Claims of field reports, held against measured runs: read, measured, judged. Pure."""

from leakhunt.analysis.claims.evidence import Evidence
from leakhunt.analysis.claims.judge import judge_claims
from leakhunt.config.claims_file import read_claims

__all__ = ["Evidence", "judge_claims", "read_claims"]
