"""The service with guards: one decoding, bounded history, few requests at once, a watermark."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil
import soundfile

from vad_service import Answer, Detector, Settings, watermark_bytes

# Several requests at once share the cores well enough without sharing one request among them.
THREADS = 1
# What a page shows of the past: some ten screens.
HISTORY_LENGTH = 100
LONGEST_SECONDS = 1800.0


class Refused(Exception):
    """A request that is not worked on: an HTTP status and why, in a few words without numbers."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Service:
    """A loaded pipeline behind its guards. Safe to be used by many threads."""

    def __init__(self, detector: Detector, settings: Settings) -> None:
        """Take what the process holds now as what it holds when it is ready."""
        self.detector = detector
        self._process = psutil.Process()
        self._slots = threading.BoundedSemaphore(settings.at_once)
        self._history: deque[Answer] = deque(maxlen=HISTORY_LENGTH)
        self.watermark = watermark_bytes(settings.watermark, self.rss)

    @property
    def rss(self) -> int:
        """What the process holds now, in bytes."""
        held: int = self._process.memory_info().rss
        return held

    @property
    def is_healthy(self) -> bool:
        """Whether it holds less than its watermark."""
        return self.rss < self.watermark

    def health(self) -> dict[str, str | int]:
        """What ``/health`` tells; sizes in bytes."""
        return {
            "status": "ok" if self.is_healthy else "over the watermark",
            "weights": self.detector.weights,
            "rss": self.rss,
            "watermark": self.watermark,
            "history": len(self._history),
        }

    def answer(self, upload: Path | BinaryIO) -> Answer:
        """The speech in `upload`, which stays the caller's to remove.

        Raises:
            Refused: 503 if it is busy or over its watermark, 413 and 422 for what is no fit audio.
        """
        import fsmn_vad_audio
        import fsmn_vad_pipeline

        with self._slot():
            _check(upload)
            sound = fsmn_vad_audio.decoded(upload)
            segments = fsmn_vad_pipeline.detected(self.detector.pipeline, sound)
        found = Answer(segments, len(sound) / fsmn_vad_audio.RATE_HZ)
        self._history.append(found)
        return found

    def close(self) -> None:
        """Forget the past."""
        self._history.clear()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self.is_healthy:
            give_back()
        if not self.is_healthy:
            raise Refused(503, "over the watermark")
        if not self._slots.acquire(blocking=False):
            raise Refused(503, "busy")
        try:
            yield
        finally:
            self._slots.release()


def give_back() -> None:
    """Have the C library return what was freed to the kernel, where it can (glibc).

    RSS counts what malloc keeps for later. A service that has once worked on long recordings would
    else stay over its watermark, and refuse for ever.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
