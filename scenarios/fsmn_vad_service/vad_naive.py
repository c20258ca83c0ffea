"""The service as the field report has it: the upload's path in, every result kept, no limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import soundfile

from vad_service import Answer, Detector

# What funasr takes if it is not told otherwise.
THREADS = 4
# Every result since the start, as web pages keep them to show a history. Nothing takes any out.
HISTORY: list[dict[str, Any]] = []


def answer(detector: Detector, upload: Path) -> Answer:
    """The speech in the file `upload`, which stays where it is."""
    import fsmn_vad_pipeline

    segments = fsmn_vad_pipeline.detected(detector.pipeline, str(upload))
    found = Answer(segments, soundfile.info(str(upload)).duration)
    HISTORY.append({"upload": str(upload), "table": table(found), "answer": found})
    return found


def table(found: Answer) -> str:
    """What the page shows: a Markdown table, a line a segment."""
    lines = [
        f"| {number} | {start / 1000:.2f} s | {end / 1000:.2f} s | {(end - start) / 1000:.2f} s |"
        for number, (start, end) in enumerate(found.segments, 1)
    ]
    return "\n".join(["| segment | start | end | length |", "| --- | --- | --- | --- |", *lines])
