"""Whether what a service said about a clip can be right; pure, and apart from what sends clips."""

from __future__ import annotations

import json
from typing import Any

# Segments end on the detector's frames of 10 ms, and the last one up to a window past the sound.
SLACK_MS = 30


def wrong(answer: Any, seconds: float) -> str:
    """What is wrong with the answer to a clip of so many seconds, in few words; empty: nothing.

    An answer is ``{"segments": [[start_ms, end_ms], ...], "audio_seconds": ...}``.
    """
    if not isinstance(answer, dict):
        return "no object"
    heard = answer.get("audio_seconds")
    if not isinstance(heard, int | float) or abs(heard - seconds) > 0.1:
        return "another length of audio"
    segments = answer.get("segments")
    if not isinstance(segments, list):
        return "no list of segments"
    before = 0
    for segment in segments:
        if not _is_pair(segment):
            return "a segment that is no pair of milliseconds"
        start, end = segment
        if not before <= start < end <= seconds * 1000 + SLACK_MS:
            return "segments out of order or beyond the audio"
        before = end
    return ""


def _is_pair(segment: Any) -> bool:
    return (
        isinstance(segment, list)
        and len(segment) == 2
        and all(type(value) is int for value in segment)
    )


def gradio_result(stream: str) -> tuple[str, Any]:
    """The last event of Gradio's event stream, and its data; no event is ``("", None)``.

    ``complete`` with the list of outputs is what one hopes for; ``error`` with a message is the
    other. Heartbeats come between.
    """
    event, data = "", None
    for line in stream.splitlines():
        name, _, value = line.partition(": ")
        if name == "event" and value != "heartbeat":
            event, data = value, None
        elif name == "data" and event and data is None:
            data = _read(value)
    return event, data


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None
