"""FSMN-VAD, the ModelScope voice-activity-detection pipeline, called in nine ways."""

from __future__ import annotations

import gc
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fsmn_vad_audio as audio
import fsmn_vad_pipeline as vad
import fsmn_vad_weights as weights
from fsmn_vad_pipeline import Segments
from leakhunt import Context, variant
from leakhunt.errors import UsageError

EXTRA = "fsmn-vad"
REQUIRES = ("torch", "torchaudio", "funasr", "modelscope", "addict")
DEVICES = ("cpu", "cuda")
RESULT = "intervals"
# As many for every variant; the caches that fill on the way are looked into, and run past once.
CALLS = 250
JOBS = 2
OPTIONS = {
    "lengths": (
        "",
        ("", "varied", "long-varied", "fixed", "half-hour", "hour", "as-recorded"),
        "clip lengths; default: varied (1 to 10 s), or as-recorded with --audio",
    ),
    "audio": ("", (), "your own recordings: a file or a folder (wav, flac, mp3)"),
    "weights": ("auto", (), "auto, hub, stand-in, or a model directory"),
    "padding": (
        "one-length",
        ("one-length", "buckets"),
        "fixed-shape: pad to the longest clip, or to the next power of two of a second",
    ),
}

CHUNK_SECONDS = 30.0
STREAM_MS = 600
STREAM_SAMPLES = STREAM_MS * audio.RATE_HZ // 1000
# Speech that a chunk border cuts comes back as two segments, the first ending at the border, the
# second starting after it by what the detector needs to notice speech (150 ms window, 200 ms
# look-back, 10 ms frames). Pieces no further apart than this at a border are one.
JOIN_MS = 400


@dataclass
class State:
    """One loaded pipeline and what the variants need beside it."""

    pipeline: Any
    clips: audio.Clips
    noise: audio.Sound
    padding: str
    stream: Stream


@dataclass
class Stream:
    """One streaming session: funasr's cache, and what is known so far. Times in ms.

    `rest` is sound that waits to fill a piece; `open_since` the start of speech still going on.
    """

    cache: dict[str, Any] = field(default_factory=dict)
    heard_ms: int = 0
    open_since: int | None = None
    rest: audio.Sound = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    @property
    def rest_ms(self) -> int:
        """The length of `rest`."""
        return len(self.rest) * 1000 // audio.RATE_HZ


def prepare(context: Context) -> dict[str, str]:
    """Fetch or make the weights once, and check the recordings; both are facts for the header."""
    lengths = context.options["lengths"]
    facts: dict[str, str] = {}
    if context.options["audio"]:
        files = audio.recordings(context.options["audio"])
        facts["audio"] = f"{len(files)} recording(s) of the user's, {lengths or 'as-recorded'}"
    elif lengths == "as-recorded":
        raise UsageError("--lengths as-recorded needs --audio FILE_OR_FOLDER")
    else:
        facts["audio"] = f"generated, seed {context.seed}, lengths {lengths or 'varied'}"
    directory, told = weights.obtain(context.options["weights"], context.scratch)
    (context.scratch / "weights.json").write_text(json.dumps(str(directory.resolve())))
    return facts | told


def setup(context: Context) -> State:
    """Load the real pipeline as a service does at its start."""
    import torch

    # The oneDNN and ATen pools are sized by the first kernel: set them before the model loads.
    torch.set_num_threads(context.threads)
    files = audio.recordings(context.options["audio"]) if context.options["audio"] else ()
    lengths = context.options["lengths"] or ("as-recorded" if files else "varied")
    clips = audio.Clips(files, lengths, context.seed, context.folder)
    model = json.loads((context.scratch / "weights.json").read_text())
    return State(
        pipeline=vad.loaded(Path(model), context.device, context.threads),
        clips=clips,
        noise=audio.quiet_noise(_bucket_seconds(clips.longest_seconds), context.seed),
        padding=context.options["padding"],
        stream=Stream(),
    )


def make_input(state: State, call: int) -> Path:
    """The recording of this call, as a file."""
    return state.clips.file(call)


def audio_seconds(state: State, item: Path) -> float:
    """The length of that recording."""
    del item
    return state.clips.seconds


def summarize(state: State, result: Segments) -> Segments:
    """The segments themselves: [start, end] in ms."""
    return result


@variant
def naive(state: State, item: Path) -> Segments:
    """A path in, segments out, as the field report does it."""
    return _detect(state, str(item))


@variant
def cleaned(state: State, item: Path) -> Segments:
    """naive, then gc.collect() and the CUDA cache emptied: the folklore."""
    try:
        return _detect(state, str(item))
    finally:
        _clean_up()


@variant
def streaming(state: State, item: Path) -> Segments:
    """In pieces of 600 ms with a cache; one session for the whole run."""
    stream = state.stream
    began_ms = stream.heard_ms
    sound = np.concatenate([stream.rest, audio.decoded(item)])
    stream.heard_ms += len(sound) * 1000 // audio.RATE_HZ - stream.rest_ms
    segments: Segments = []
    for first in range(0, len(sound) - STREAM_SAMPLES + 1, STREAM_SAMPLES):
        piece = sound[first : first + STREAM_SAMPLES]
        for start, end in _detect(
            state, piece, cache=stream.cache, is_final=False, chunk_size=STREAM_MS
        ):
            if start >= 0:
                stream.open_since = start
            if end >= 0 and stream.open_since is not None:
                segments.append([stream.open_since, end])
                stream.open_since = None
    # As a client does: what does not fill a piece waits for more. A copy, so that the whole clip
    # is not kept by a view of its last half second.
    stream.rest = sound[len(sound) // STREAM_SAMPLES * STREAM_SAMPLES :].copy()
    if stream.open_since is not None:
        segments.append([stream.open_since, stream.heard_ms])
    return [
        [max(start, began_ms) - began_ms, end - began_ms]
        for start, end in segments
        if end > began_ms
    ]


@variant
def reset_after(state: State, item: Path) -> Segments:
    """naive, then the clear_cache() of the report: model.eval(), and the preprocessor reset."""
    try:
        return _detect(state, str(item))
    finally:
        _reset(state)


@variant
def preloaded(state: State, item: Path) -> Segments:
    """Decoded by soundfile to a mono 16 kHz float32 array first."""
    return _detect(state, audio.decoded(item))


@variant
def all_fixes(state: State, item: Path) -> Segments:
    """preloaded, cleaned and reset-after in one: all that the report does."""
    try:
        return _detect(state, audio.decoded(item))
    finally:
        _reset(state)
        _clean_up()


@variant
def chunked(state: State, item: Path) -> Segments:
    """In pieces of 30 s; speech across a border is joined."""
    sound = audio.decoded(item)
    size = round(CHUNK_SECONDS * audio.RATE_HZ)
    segments: Segments = []
    for first in range(0, len(sound), size):
        border = first * 1000 // audio.RATE_HZ
        for start, end in _detect(state, sound[first : first + size]):
            _append(segments, start + border, end + border, border)
    return segments


@variant
def fixed_shape(state: State, item: Path) -> Segments:
    """Padded with quiet noise to one length (or to buckets of lengths)."""
    sound = audio.decoded(item)
    length_ms = len(sound) * 1000 // audio.RATE_HZ
    seconds = len(sound) / audio.RATE_HZ
    target = _bucket_seconds(seconds) if state.padding == "buckets" else state.clips.longest_seconds
    missing = math.ceil(target * audio.RATE_HZ) - len(sound)
    padded = np.concatenate([sound, state.noise[: max(missing, 0)]])
    return [
        [start, min(end, length_ms)] for start, end in _detect(state, padded) if start < length_ms
    ]


@variant(devices=("cuda",))
def kept_cuda_cache(state: State, item: Path) -> Segments:
    """naive, with funasr's own torch.cuda.empty_cache() after each call taken out."""
    import torch

    emptied = torch.cuda.empty_cache
    torch.cuda.empty_cache = lambda: None
    try:
        return _detect(state, str(item))
    finally:
        torch.cuda.empty_cache = emptied


def _detect(state: State, sound: str | audio.Sound, **streaming: Any) -> Segments:
    return vad.detected(state.pipeline, sound, **streaming)


def _clean_up() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _reset(state: State) -> None:
    vad.network(state.pipeline).eval()
    # Pipelines of funasr come without a preprocessor (None), so that nothing is left to reset.
    reset = getattr(state.pipeline.preprocessor, "reset", None)
    if reset is not None:
        reset()


def _append(segments: Segments, start: int, end: int, border: int) -> None:
    """Append a segment, joined to the last one if only the chunk border lies between them."""
    if segments and border:
        last = segments[-1][1]
        if last <= border <= start and start - last <= JOIN_MS:
            segments[-1][1] = end
            return
    segments.append([start, end])


def _bucket_seconds(seconds: float) -> float:
    """The next power of two of a second."""
    return float(2 ** math.ceil(math.log2(max(seconds, 1.0))))
