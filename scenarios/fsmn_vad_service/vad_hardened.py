"""The service with bounds: one decoding, a bounded history, and a guard before it."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import soundfile

from leakhunt.guard import Guard, GuardConfig
from vad_service import Answer, Detector, Settings, watermark_bytes

# Several requests at once share the cores well enough without sharing one request among them.
THREADS = 1
# What a page shows of the past: some ten screens.
HISTORY_LENGTH = 100
LONGEST_SECONDS = 1800.0
# Of the limit: the watermark is where the guard refuses.
HARD_SHARE = 0.90


def guard_of(settings: Settings, **changes: Any) -> Guard:
    """The guard of a service that has just loaded its model: what it holds now is what it holds.

    It refuses beyond `at_once` requests, above the watermark, and what would not fit into the
    container's memory beside the requests at work. `changes`: of the `GuardConfig`.
    """
    watermark = watermark_bytes(settings.watermark, psutil.Process().memory_info().rss)
    return Guard(
        GuardConfig(
            limit=round(watermark / HARD_SHARE),
            hard=HARD_SHARE,
            max_concurrency=settings.at_once,
            queue_seconds=0,
            **changes,
        )
    )


class Refused(Exception):
    """What is no fit audio: an HTTP status and why, in a few words without numbers."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Service:
    """A loaded pipeline and its bounded history. Safe to be used by many threads."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self._history: deque[Answer] = deque(maxlen=HISTORY_LENGTH)

    def facts(self) -> dict[str, Any]:
        """What ``/health`` tells beside the figures of the guard."""
        return {"weights": self.detector.weights, "history": len(self._history)}

    def answer(self, upload: Path | BinaryIO) -> Answer:
        """The speech in `upload`, which stays the caller's to remove.

        Raises:
            Refused: 413 and 422 for what is no fit audio.
        """
        import fsmn_vad_audio
        import fsmn_vad_pipeline

        _check(upload)
        sound = fsmn_vad_audio.decoded(upload)
        segments = fsmn_vad_pipeline.detected(self.detector.pipeline, sound)
        found = Answer(segments, len(sound) / fsmn_vad_audio.RATE_HZ)
        self._history.append(found)
        return found

    def close(self) -> None:
        """Forget the past."""
        self._history.clear()


def _check(upload: Path | BinaryIO) -> None:
    """Refuse what is no audio or too much of it, by its header, before any of it is decoded."""
    source = str(upload) if isinstance(upload, Path) else upload
    try:
        info = soundfile.info(source)
    except (soundfile.SoundFileError, OSError) as error:
        raise Refused(422, "not readable as audio; send wav, flac or mp3") from error
    if not info.frames:
        raise Refused(422, "holds no sound")
    if info.duration > LONGEST_SECONDS:
        raise Refused(413, "longer than half an hour; send it in pieces")
    if not isinstance(upload, Path):
        upload.seek(0)
