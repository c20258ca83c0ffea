"""Peaks and the memory limit they need, as lines and rows that every format shares. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_bytes
from leakhunt.model.peaks import RecommendedLimit
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun, Report
from leakhunt.text.language import mark, tr

# On a terminal, peaks below this say nothing that a reader must know.
_SHOWN_FROM_BYTES = 1 << 20
_MAX_HOLDERS = 3
LIMIT_HEADINGS = (
    mark("variant"),
    mark("base"),
    mark("live growth"),
    mark("retained"),
    mark("peak"),
    mark("margin"),
    mark("memory limit"),
)
_TIMES = {
    Work.CALL: mark("{size} × {count} calls"),
    Work.REQUEST: mark("{size} × {count} users"),
    Work.SECOND: mark("{size} × {count}"),
}


def peak_lines(entry: JudgedRun) -> Iterator[str]:
    """What a call takes at its peak, and the limit that allows for it."""
    if entry.peak is not None:
        yield tr("{sentence}.", sentence=str(entry.peak.sentence))
        for holder in entry.peak.holders[:_MAX_HOLDERS]:
            yield str(holder.sentence)
    if entry.recommended_limit is not None:
        sentence = str(entry.recommended_limit.sentence)
        yield sentence if sentence.endswith((".", "。")) else tr("{sentence}.", sentence=sentence)


def short_peak_lines(entry: JudgedRun) -> Iterator[str]:
    """The same for a terminal: none where calls take next to nothing."""
    if entry.peak is not None and entry.peak.call_bytes >= _SHOWN_FROM_BYTES:
        yield from peak_lines(entry)


def limit_rows(report: Report) -> list[tuple[str, ...]]:
    """Under `LIMIT_HEADINGS`, a row for each run of which a limit can be told."""
    return [
        (entry.variant, *_parts(entry.recommended_limit))
        for entry in report.entries
        if entry.recommended_limit is not None
    ]


def _parts(limit: RecommendedLimit) -> tuple[str, ...]:
    peak = format_bytes(limit.peak_bytes)
    if limit.concurrency > 1:
        peak = tr(_TIMES[limit.work], size=peak, count=limit.concurrency)
    whole = format_bytes(limit.limit_bytes) if limit.limit_bytes is not None else tr("none: leak")
    if limit.limit_bytes is not None and limit.starting_bytes:
        whole = tr("{size} (to start)", size=whole)
    return (
        format_bytes(limit.base_bytes),
        format_bytes(limit.ceiling_bytes),
        format_bytes(limit.retained_bytes),
        peak,
        format_bytes(limit.margin_bytes),
        whole,
    )
