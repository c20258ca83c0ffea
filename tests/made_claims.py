"""Checked claims made for tests: every verdict, measured and not."""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.analysis.claims import Evidence, judge_claims
from leakhunt.model.claims import (
    About,
    Check,
    CheckedScenario,
    Claim,
    ClaimLimit,
    ClaimRun,
    Claims,
    ClaimsReport,
    MadeRun,
)

HELD = ClaimLimit(1024, "1 KiB/call")
TOO_MUCH = ClaimLimit(50e6, "50 MB/call")
BOTH = ClaimRun("both", "run made:naive,fixed --calls 300")
GPU = ClaimRun("gpu", "run made:naive --device cuda", "cuda")
NO_GPU = "it needs a machine with a CUDA GPU"


def made_claims(text: str = "") -> Claims:
    """A claim of each verdict; `text` is put into every field that people write."""
    growth = Check("both", "growth", "naive", at_least=HELD, claimed=text or "4 KB/call")
    cause = Check(
        "both", "verdict", "naive", words=("cyclic garbage only",), about=About.CAUSE, claimed=text
    )
    claims = (
        Claim("T1", text or "Live heap grows 4 KB per call", text or "report", (growth,), text),
        Claim(
            "T2",
            text or "Live heap grows 62 MB per call",
            text or "report",
            (Check("both", "growth", "naive", at_least=TOO_MUCH, claimed=text or "62 MB/call"),),
            text or "Of 300 calls.",
        ),
        Claim("T3", text or "Cycles are to blame", text or "report", (growth, cause), text),
        Claim(
            "T4",
            text or "A call takes twice the time",
            text or "report",
            (Check("both", "time_ratio", "fixed", reference="naive", at_least=ClaimLimit(2, "2")),),
            text,
        ),
        Claim(
            "T5",
            text or "On a GPU too",
            text or "report",
            (Check("gpu", "growth", "naive", "cuda_reserved", at_least=HELD),),
            text,
        ),
        Claim("T6", text or "72 hours", text or "report", (), text, text or "72 hours are long."),
    )
    return Claims(text or "made", (BOTH, GPU), claims)


def claims_report(both: Evidence, text: str = "", interrupted: bool = False) -> ClaimsReport:
    """Those claims, judged by what the run ``both`` left; there was no GPU."""
    claims = made_claims(text)
    found: Mapping[str, Evidence] = {"both": both, "gpu": Evidence(missing=text or NO_GPU)}
    facts = {"weights": text or "stand-in", "device": "cpu"}
    runs = (
        MadeRun(BOTH, "made-both", "made-both/report.html", facts=facts),
        MadeRun(GPU, "made-gpu", reason=text or NO_GPU),
    )
    scenario = CheckedScenario(claims.scenario, runs, judge_claims(claims, found))
    return ClaimsReport((scenario,), "leakhunt test", interrupted)
