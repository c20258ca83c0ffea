"""Claims of field reports, held against measured runs: read, measured, judged. Pure."""

from leakhunt.claims.evidence import Evidence
from leakhunt.claims.judging import judge_claims
from leakhunt.claims.reading import read_claims

__all__ = ["Evidence", "judge_claims", "read_claims"]
