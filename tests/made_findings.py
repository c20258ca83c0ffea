"""Findings and attributions made for tests: what an instrument would have told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from conftest import plan

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.verdict import judge
from leakhunt.model.attribution import (
    Attribution,
    CycleKind,
    Finding,
    FindingKind,
    Frame,
    Instrument,
    Origin,
    Suspect,
)
from leakhunt.model.run import Ending, Outcome, Run

KIB = 1024
CALLS = 300
MARKS = (263, 273, 285, 300)
SPAN = MARKS[-1] - MARKS[0]

MINE = Frame("made.py", 7, "naive", "KEPT.append(made())", Origin.YOURS)
THEIRS = Frame("lib/core.py", 90, "made", "return Result()", Origin.LIBRARY)
MALLOC = Frame("", 0, "operator new(unsigned long)", "", Origin.LIBRARY)
ONEDNN = Frame("", 0, "dnnl::impl::utils::lru_cache_t<int>::add(int)", "", Origin.LIBRARY)
KERNEL = Frame("", 0, "dnnl::impl::cpu::kernel_t::create(int)", "", Origin.LIBRARY)
SETS_PARENT = Frame("app.py", 12, "__init__", "self.parent = parent", Origin.YOURS)
IDEEP = Frame("", 0, "ideep::utils::lru_cache<int>::insert(int)", "", Origin.LIBRARY)


def finding(
    per_call: float = 1,
    size: float = KIB,
    sort: FindingKind = FindingKind.SITE,
    instrument: Instrument = Instrument.TRACEMALLOC,
    what: str = "malloc",
    stack: Sequence[Frame] = (THEIRS, MINE),
    **more: Any,
) -> Finding:
    """Something of which `per_call` blocks, each of `size` bytes, stay."""
    counts = tuple(round(per_call * (mark - MARKS[0])) for mark in MARKS)
    sizes = tuple(round(per_call * size * (mark - MARKS[0])) for mark in MARKS)
    return Finding(instrument, sort, what, MARKS, counts, sizes, tuple(stack), **more)


def cycle(
    size: float = 4 * KIB,
    kind: CycleKind = CycleKind.BACK_REFERENCE,
    closed_at: Frame | None = SETS_PARENT,
    of_all: float = 4 * KIB,
    **more: Any,
) -> Finding:
    """One cycle of garbage per call, of `of_all` bytes of garbage."""
    facts = {
        "cycle": str(kind),
        f"cycle_{kind}".replace("-", "_"): True,
        "cut": ["Child.parent"],
        "weak_reference": True,
        "objects": 5.0,
        "native_bytes": 0,
        "garbage_bytes": round(of_all * SPAN),
        **({"closed_at": asdict(closed_at)} if closed_at else {}),
    }
    return finding(
        size=size,
        sort=FindingKind.CYCLE,
        instrument=Instrument.GARBAGE,
        what="Child, Parent",
        chain=("Parent.children[...]", "Child.parent", "Parent"),
        facts=facts,
        **more,
    )


def watched(*findings: Finding) -> Run:
    instrument = findings[0].instrument if findings else Instrument.TRACEMALLOC
    made = plan(instrument=instrument, calls=CALLS)
    return replace(_EMPTY, plan=made, findings=tuple(findings))


_EMPTY = Run(
    plan=plan(), outcome=Outcome(Ending.OK), series=(), samples={}, calls=()
)  # fmt: skip


def attributed(run: Run, *findings: Finding) -> Attribution:
    return attribute(run, judge(run), [watched(*findings)])


def suspect_of(run: Run, *findings: Finding) -> Suspect:
    return attributed(run, *findings).suspects[0]


def made_suspect(fingerprint: str, bytes_per_call: float) -> Suspect:
    """A suspect of the user's own code that keeps so much."""
    return Suspect(
        fingerprint=fingerprint,
        title="held by: made.KEPT -> list",
        origin=Origin.YOURS,
        per_call=1.0,
        exact=True,
        bytes_per_call=bytes_per_call,
        share=None,
        where=MINE,
        holder=None,
        chain=("made.KEPT", "list"),
        stack=(THEIRS, MINE),
        cause=None,
        ceiling_bytes=None,
        ceiling_calls=None,
        evidence=(),
        instruments=(Instrument.TRACEMALLOC,),
    )


def place(where: str, origin: Origin = Origin.LIBRARY) -> Frame:
    """A frame from ``file:function:source`` or, for native code, a symbol."""
    file, function, source = where.split(":", 2) if where.count(":") == 2 else ("", where, "")
    return Frame(file, 1 if file else 0, function, source, origin)


def found(
    *stack: str,
    sort: FindingKind = FindingKind.SITE,
    what: str = "malloc",
    chain: tuple[str, ...] = (),
    **facts: Any,
) -> Finding:
    """Something with that stack, held by that chain."""
    return Finding(
        instrument=Instrument.MEMRAY if sort is FindingKind.SITE else Instrument.TRACEMALLOC,
        sort=sort,
        what=what,
        calls=MARKS,
        counts=MARKS,
        sizes=MARKS,
        stack=tuple(map(place, stack)),
        chain=chain,
        facts=facts,
    )
