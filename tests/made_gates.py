"""Answers of a gate that are made, of every sort a renderer may meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from conftest import HOSTILE, MakeRun, hostile_run

from leakhunt.analysis.gate.check import check_all
from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Cause, Frame, Instrument, Origin, Remedy, Suspect
from leakhunt.model.comparison import Matter, Mismatch
from leakhunt.model.gate import (
    SECONDS_PER_CALL,
    Acceptance,
    Budget,
    BudgetResult,
    Extent,
    GateAnswer,
    GateResult,
    VariantResult,
)
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Run
from leakhunt.model.series import Unit
from leakhunt.reporting.gate.source_lines import Repository

MIB = 1 << 20
CALLS = 240
# The repository that these answers are about.
REPOSITORY = Repository(
    files=("app/serve.py", "app/cache.py", "other/cache.py", "bench/naive.py", "pyproject.toml"),
    folder="shop",
    policy="pyproject.toml",
    lines={"fsmn-vad": 7, "fsmn-vad:naive": 9},
)
KINDS = (
    "usual",
    "within",
    "hostile",
    "nothing",
    "many",
    "accepted",
    "other environment",
    "no figures",
    "time",
    "too many suspects",
    "contradiction",
)


def frame(file: str = "app/serve.py", line: int = 12, origin: Origin = Origin.YOURS) -> Frame:
    return Frame(file, line, "handle", "KEPT.append(bytes(1024))", origin)


def suspect(**changes: Any) -> Suspect:
    """One of the user's code, at line 12 of ``app/serve.py``."""
    fields: dict[str, Any] = {
        "fingerprint": "0123456789ab", "title": "serve.KEPT (list)", "origin": Origin.YOURS,
        "per_call": 1.0, "exact": True, "bytes_per_call": 1057.0, "share": 1.0, "where": frame(),
        "holder": None, "chain": ("module serve", "KEPT"), "stack": (frame(),), "cause": None,
        "ceiling_bytes": None, "ceiling_calls": None, "evidence": ("tracemalloc: 1",),
        "instruments": (Instrument.TRACEMALLOC,),
    }  # fmt: skip
    return Suspect(**(fields | changes))


def checked(answer: GateAnswer = GateAnswer.WITHIN_BUDGET, **changes: Any) -> BudgetResult:
    """Of the live heap, within 2 KiB a call; over it, by a leak of 4 KiB."""
    figures = {
        GateAnswer.WITHIN_BUDGET: (0.0, 0.0, 12.0),
        GateAnswer.OVER_BUDGET: (4104.0, 4096.0, 4112.0),
        GateAnswer.INCONCLUSIVE: (2000.0, 500.0, 3500.0),
        GateAnswer.NOT_MEASURED: (None, None, None),
    }[answer]
    fields: dict[str, Any] = {
        "budget": Budget("live_heap", 2048.0, Extent.CALL, False, "2 KiB/call"),
        "unit": Unit.BYTES, "answer": answer, "reason": f"a reason for {answer.name}",
        "estimate": figures[0], "low": figures[1], "high": figures[2],
        "detection_limit": None if figures[0] is None else 1229.0,
    }  # fmt: skip
    return BudgetResult(**(fields | changes))


def variant(answer: GateAnswer = GateAnswer.WITHIN_BUDGET, **changes: Any) -> VariantResult:
    """``fsmn-vad:naive`` with one check of that answer."""
    fields: dict[str, Any] = {
        "scenario": "fsmn-vad", "variant": "naive", "answer": answer, "checks": (checked(answer),),
    }  # fmt: skip
    return VariantResult(**(fields | changes))


def acceptance(**changes: Any) -> Acceptance:
    fields: dict[str, Any] = {
        "fingerprint": "0123456789ab", "reason": "issue 12", "until": date(2027, 1, 31),
        "where": "pyproject.toml:20",
    }  # fmt: skip
    return Acceptance(**(fields | changes))


def gated(*variants: VariantResult, **changes: Any) -> GateResult:
    fields: dict[str, Any] = {
        "policy": "pyproject.toml", "against": "", "notes": (), "generator": "leakhunt 1.2.3",
    }  # fmt: skip
    return GateResult(variants=variants, **(fields | changes))


def made_gates(make_run: MakeRun) -> Mapping[str, GateResult]:
    """By the names of `KINDS`."""

    def entries(rate: int, name: str, **changes: Any) -> tuple[JudgedRun, ...]:
        run = make_run(
            live_heap=[50 * MIB + rate * call for call in range(CALLS)],
            rss=[100 * MIB + rate * call for call in range(CALLS)],
            duration=[20_000_000 + 1000 * (call % 7) for call in range(CALLS)],
            plan_changes={"scenario": "fsmn-vad", "variant": name, "source": "fsmn-vad"},
        )
        made = {"started_at": "2026-11-27T10:00:00.000+00:00", "file": f"out/{name}.run.jsonl"}
        return assemble([replace(run, **(made | changes))], "leakhunt test").entries

    leaking, clean = entries(4096, "naive"), entries(0, "cleaned")
    cause = Cause("cache", "a cache", "It grows.", Remedy("Bound it."), "verify", "https://x.org")
    library = suspect(
        fingerprint="beef00000000",
        title="oneDNN primitive cache",
        origin=Origin.LIBRARY,
        where=None,
        holder=Frame("", 0, "dnnl::cache_t::add", "", Origin.LIBRARY),
        stack=(frame("torch/nn/conv.py", 8, Origin.LIBRARY), frame("app/cache.py", 33)),
        chain=(),
        cause=cause,
    )
    over = variant(
        GateAnswer.OVER_BUDGET,
        checks=(checked(GateAnswer.OVER_BUDGET), checked(budget=_rss())),
        entries=leaking,
        suspects=(suspect(), library),
        attempts=2,
    )
    within = variant(variant="cleaned", entries=clean)
    unmeasured = variant(
        GateAnswer.NOT_MEASURED, variant="streaming", checks=(), reason="funasr is missing"
    )
    undecided = variant(
        GateAnswer.INCONCLUSIVE, scenario="tts", variant="chunked", entries=entries(3, "chunked")
    )
    hostile_entry = assemble([hostile_run(leaking[0].run)], HOSTILE).entries
    hostile_frame = Frame(HOSTILE, 3, HOSTILE, HOSTILE, Origin.YOURS)
    hostile_suspect = suspect(
        fingerprint=HOSTILE, title=HOSTILE, where=hostile_frame, chain=(HOSTILE, HOSTILE),
        stack=(hostile_frame,), evidence=(HOSTILE,),
        cause=replace(cause, title=HOSTILE, reason=HOSTILE, remedy=Remedy(HOSTILE)),
    )  # fmt: skip
    hostile = variant(
        GateAnswer.OVER_BUDGET,
        scenario=HOSTILE,
        variant=HOSTILE,
        checks=(
            checked(
                GateAnswer.OVER_BUDGET,
                budget=Budget(HOSTILE, 1.0, Extent.CALL, True, HOSTILE),
                reason=HOSTILE,
            ),
        ),
        entries=hostile_entry,
        suspects=(hostile_suspect,),
        accepted=((hostile_suspect, acceptance(fingerprint=HOSTILE, reason=HOSTILE)),),
        mismatches=(Mismatch(HOSTILE, HOSTILE, HOSTILE, Matter.MEMORY),),
        reason=HOSTILE,
    )
    mismatch = Mismatch("python", "CPython 3.11.9", "CPython 3.12.1", Matter.MEMORY)
    time = checked(
        budget=Budget(SECONDS_PER_CALL, 0.2, Extent.SHARE, True, "+20 %"),
        unit=Unit.NANOSECONDS, estimate=0.031, low=0.01, high=0.052, detection_limit=0.06,
    )  # fmt: skip
    seconds = replace(
        time,
        budget=Budget(SECONDS_PER_CALL, 0.5, Extent.CALL, False, "500 ms/call"),
        estimate=0.02,
        low=0.018,
        high=0.022,
        detection_limit=float("inf"),
    )
    return {
        "usual": gated(
            within, undecided, unmeasured, over, against="main", notes=("accepted x has expired",)
        ),
        "within": gated(within),
        "hostile": gated(
            hostile, policy=HOSTILE, against=HOSTILE, notes=(HOSTILE,), generator=HOSTILE
        ),
        "nothing": gated(policy="", generator="leakhunt"),
        "many": gated(
            *(variant(GateAnswer.INCONCLUSIVE, variant=f"v{number}") for number in range(12)),
            *(variant(variant=f"w{number}") for number in range(25)),
            over,
        ),
        "accepted": gated(replace(within, accepted=((suspect(), acceptance()),))),
        "other environment": gated(
            variant(GateAnswer.INCONCLUSIVE, checks=(), mismatches=(mismatch, mismatch))
        ),
        "no figures": gated(
            variant(GateAnswer.NOT_MEASURED), variant(GateAnswer.OVER_BUDGET, checks=())
        ),
        "time": gated(replace(within, checks=(time, seconds))),
        "too many suspects": gated(
            replace(
                over, suspects=tuple(suspect(fingerprint=f"{number:012x}") for number in range(9))
            )
        ),
        # What a check says can never hide what the variant as a whole says.
        "contradiction": gated(replace(within, answer=GateAnswer.NOT_MEASURED)),
    }


def _rss() -> Budget:
    return Budget("rss", 50 * MIB, Extent.RUN, False, "50 MiB total")


def checked_rate(run: Run, series: str, rate: float) -> BudgetResult:
    """The gate's answer on a run that may grow by so much a call, or request."""
    budget = Budget(series, rate, Extent.CALL, more=False, text=f"{rate}/call")
    return check_all(assemble([run], "leakhunt test").entries, [budget])[0]
