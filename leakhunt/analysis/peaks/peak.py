"""What the calls of a run take at their peak. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from leakhunt.amounts import Amount
from leakhunt.analysis.peaks.holders import peak_holders
from leakhunt.analysis.peaks.line import fitted, predicted
from leakhunt.model.peaks import Peak, PeakLine, PeakPoint, PredictedPeak
from leakhunt.model.run import Run
from leakhunt.model.series import AUDIO, INPUT, PEAK_RSS, RSS
from leakhunt.text.language import mark
from leakhunt.text.message import Message, message, word

SECOND_OF_AUDIO = mark("second of audio")
BYTE = "byte"
_NANOSECONDS = 1e9
_HALF_AN_HOUR = 1800.0
# What a larger input needs is told for one that is so many times the largest seen.
_LARGER = 5.0


def peak(run: Run, instrumented: Sequence[Run] = ()) -> Peak | None:
    """The peak of a run, with what runs of it under instruments saw; None: no peaks were read."""
    heights = run.samples.get(PEAK_RSS, ())[: run.samples_done]
    if not heights:
        return None
    highest = max(heights)
    rows = _rows(run)
    unit, scale = _unit(run)
    points = tuple(PeakPoint(size / scale, top - before) for size, before, top, _ in rows)
    before = [each[1] for each in rows]
    line = fitted(points, unit, median(before)) if unit and rows else None
    call_bytes = max((point.size_bytes for point in points), default=None)
    if call_bytes is None:
        call_bytes = max(_rises(run, heights), default=0)
    larger = tuple(_larger(line)) if line is not None else ()
    return Peak(
        highest_bytes=highest,
        call=run.calls[list(heights).index(highest)],
        call_bytes=max(call_bytes, 0),
        points=points if unit else (),
        unit=unit,
        line=line,
        predicted=larger,
        sentence=_sentence(highest, max(call_bytes, 0), line, larger),
        holders=peak_holders(instrumented),
    )


def _rows(run: Run) -> Sequence[Sequence[int]]:
    """Of the calls after the run: input, RSS before, at its peak, and after."""
    note: Mapping[str, Any] | None
    note = next((each for each in run.notes if each.get("kind") == "peaks"), None)
    return [] if note is None else [row for row in note.get("calls", ()) if len(row) == 4]


def _unit(run: Run) -> tuple[str, float]:
    """What inputs are measured in, and how many of what is recorded make one; empty: nothing."""
    if AUDIO in run.samples:
        return SECOND_OF_AUDIO, _NANOSECONDS
    note = next((each for each in run.notes if each.get("kind") == "input"), None)
    if note is None or INPUT not in run.samples:
        return "", 1.0
    return str(note.get("unit", "")), 1.0


def _rises(run: Run, heights: Sequence[int]) -> Iterator[int]:
    """By how much each sample's peak is above RSS before it: no less than its calls took anew."""
    rss = run.samples.get(RSS, ())[: len(heights)]
    for (before, _), (_, height) in pairwise(zip(rss, heights, strict=True)):
        yield height - before


def _larger(line: PeakLine) -> Iterator[PredictedPeak]:
    if line.unit == SECOND_OF_AUDIO and line.largest_input * _LARGER < _HALF_AN_HOUR:
        yield predicted(line, _HALF_AN_HOUR)
    yield predicted(line, line.largest_input * _LARGER)


def _sentence(
    highest: int, call_bytes: int, line: PeakLine | None, larger: Sequence[PredictedPeak]
) -> Message:
    if line is None:
        return message(
            "peak.call",
            "Peak: highest RSS {highest}; a call takes up to {taken} at its peak",
            highest=Amount(highest),
            taken=Amount(call_bytes),
        )
    first = larger[0]
    values = {
        "each": Amount(line.per_unit_bytes),
        "low": Amount(line.low),
        "high": Amount(line.high),
        "base": Amount(line.base_bytes),
        "needed": Amount(first.size_bytes),
        "least": Amount(first.low),
        "most": Amount(first.high),
    }
    if line.unit == SECOND_OF_AUDIO and first.input == _HALF_AN_HOUR:
        return message(
            "peak.by_audio",
            "Peak: {each} per second of audio ({low} to {high}) over a base of {base};"
            " 30 minutes need {needed} ({least} to {most})",
            **values,
        )
    if line.unit == BYTE:
        return message(
            "peak.by_bytes",
            "Peak: {each} per byte of input ({low} to {high}) over a base of {base}; an input of"
            " {size} needs {needed} ({least} to {most})",
            size=Amount(first.input),
            **values,
        )
    return message(
        "peak.by_input",
        "Peak: {each} per {unit} ({low} to {high}) over a base of {base}; {size:,.0f} × {unit}"
        " needs {needed} ({least} to {most})",
        unit=word(line.unit),
        size=first.input,
        **values,
    )
