"""``flame.speedscope.json``: what stays per call, by stack, for https://www.speedscope.app.

The format is speedscope's "sampled" profile: each stack is a sample, and its weight is the bytes
that stay of every call. A profile for each variant and kind of memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from leakhunt.model.attribution import STRIPPED, Frame
from leakhunt.model.flame import Flame
from leakhunt.model.report import Report
from leakhunt.text.controls import json_text_bytes

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def render(report: Report) -> bytes:
    """UTF-8 JSON; without a profile where nothing stays."""
    places: dict[Frame, int] = {}
    profiles = [
        _profile(flame, f"{entry.variant}: {flame.instrument}, bytes per call", places)
        for entry in report.entries
        for flame in entry.flames
    ]
    document = {
        "$schema": _SCHEMA,
        "name": f"leakhunt: {report.title}",
        "exporter": report.generator,
        "activeProfileIndex": 0,
        "shared": {"frames": [dict(_frame(place)) for place in places]},
        "profiles": profiles,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    return json_text_bytes(f"{text}\n")


def _profile(flame: Flame, name: str, places: dict[Frame, int]) -> dict[str, Any]:
    """One profile; `places` are the frames of all, by their number, and grow."""
    return {
        "type": "sampled",
        "name": name,
        "unit": "bytes",
        "startValue": 0,
        "endValue": flame.bytes_per_call,
        "samples": [
            [places.setdefault(frame, len(places)) for frame in stack.frames]
            for stack in flame.stacks
        ],
        "weights": [stack.bytes_per_call for stack in flame.stacks],
    }


def _frame(frame: Frame) -> Iterator[tuple[str, Any]]:
    yield "name", str(frame) if frame.function == STRIPPED else frame.function
    if frame.file:
        yield "file", frame.file
    if frame.line:
        yield "line", frame.line
