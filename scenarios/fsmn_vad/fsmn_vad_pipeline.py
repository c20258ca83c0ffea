"""The ModelScope pipeline around FSMN-VAD: loading it, and reading what it answers.

Shared by the scenario that calls it and by the services that serve it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsmn_vad_audio as audio
import fsmn_vad_weights as weights

# [start, end] in milliseconds, in order.
Segments = list[list[int]]


def loaded(model: Path, device: str, threads: int) -> Any:
    """The real pipeline on the weights in folder `model`, every tensor of which was found there.

    It computes with so many `threads` on a CPU. Only here can they be told: before every call
    funasr sets those of the start again (4 if there were none), whatever the call asks for.

    Raises:
        BadFile: a tensor of the model is not in the folder's ``model.pt``.
    """
    from modelscope.pipelines import pipeline
    from modelscope.utils.constant import Tasks

    made = pipeline(
        task=Tasks.voice_activity_detection,
        model=str(model),
        device=device,
        disable_update=True,
        disable_pbar=True,
        ncpu=threads,
    )
    weights.check_loaded(model, network(made))
    return made


def network(pipeline: Any) -> Any:
    """The torch module inside modelscope's model inside the pipeline."""
    return pipeline.model.model.model


def detected(pipeline: Any, sound: str | audio.Sound, **options: Any) -> Segments:
    """The speech in a file, or in mono float32 sound at 16 kHz; `options` are funasr's own."""
    answer = pipeline(sound, **options)
    return [[int(start), int(end)] for start, end in answer[0]["value"]]
