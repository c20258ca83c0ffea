"""What the Gradio app and the FastAPI app share: the loaded pipeline and their command line.

The pipeline is that of ``scenarios/fsmn_vad``, loaded once by the same code.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "fsmn_vad"))

from leakhunt.amounts import parse_size
from leakhunt.errors import LeakhuntError, UsageError

VARIANTS = ("naive", "hardened")
DEVICES = ("cpu", "cuda")
# How a soak passes its options on, also to Gunicorn, which calls the app's factory itself, without
# a command line of the app's own.
WEIGHTS_VARIABLE = "LEAKHUNT_WEIGHTS"
DEVICE_VARIABLE = "LEAKHUNT_DEVICE"
# Field report B: at most four requests at a time.
MAX_AT_ONCE = 4
# A service that has taken so much beyond what it held when it was ready refuses to take more. One
# clip of half an hour takes 370 MB for a moment, four clips of 40 s together some 400 MB.
WATERMARK = "+1 GiB"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service runs. `weights` as for the scenario fsmn-vad, `device` ``cpu`` or ``cuda``.

    The rest is for the hardened ones: `at_once` requests are worked on, the next is refused;
    `watermark` is a size of RSS, ``1.5 GiB`` or, above what it holds once it is ready, ``+1 GiB``.
    """

    weights: str = "auto"
    device: str = "cpu"
    at_once: int = MAX_AT_ONCE
    watermark: str = WATERMARK


@dataclass(frozen=True, slots=True)
class Detector:
    """The loaded pipeline, and in `weights` whether they are the published or stand-in ones."""

    pipeline: Any
    weights: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The speech in an upload, [start, end] in ms, and the upload's length."""

    segments: list[list[int]]
    audio_seconds: float


def load(settings: Settings, threads: int, folder: Path) -> Detector:
    """The pipeline, as a service loads it at its start; stand-in weights are made in `folder`.

    Each request is computed by so many `threads`.

    Raises:
        LeakhuntError: the weights cannot be had, or are none (see `fsmn_vad_weights.obtain`).
    """
    import fsmn_vad_pipeline
    import fsmn_vad_weights

    directory, facts = fsmn_vad_weights.obtain(settings.weights, folder)
    pipeline = fsmn_vad_pipeline.loaded(directory, settings.device, threads)
    return Detector(pipeline, facts["weights"])


def told_by_environment() -> Settings:
    """What the environment asks for: ``auto`` weights on a ``cpu`` where it does not."""
    return Settings(
        weights=os.environ.get(WEIGHTS_VARIABLE, "auto"),
        device=os.environ.get(DEVICE_VARIABLE, "cpu"),
    )


def watermark_bytes(told: str, ready_bytes: int) -> int:
    """The RSS in bytes that `told` means: a size, or after a ``+`` one above `ready_bytes`.

    Raises:
        UsageError: `told` is no size.
    """
    above = told.strip()
    return ready_bytes + parse_size(above[1:]) if above.startswith("+") else parse_size(above)


def bound_caches() -> None:
    """Keep the kernels of the last few shapes only, not of 1,024: before torch is imported.

    Clips of ever new lengths fill oneDNN's and ideep's caches at 58 KiB a call; see the scenario
    fsmn-vad.
    """
    os.environ.setdefault("LRU_CACHE_CAPACITY", "1")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")


def arguments(description: str, words: list[str] | None = None) -> argparse.Namespace:
    """The command line of an app: `port`, `variant` and what `settings_of` reads."""
    default = told_by_environment()
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--variant", choices=VARIANTS, default=VARIANTS[0])
    parser.add_argument(
        "--weights", default=default.weights, help="auto, hub, stand-in, or a model directory"
    )
    parser.add_argument("--device", default=default.device, help="cpu or cuda")
    parser.add_argument(
        "--at-once", type=int, default=MAX_AT_ONCE, help="hardened: refuse more requests than this"
    )
    parser.add_argument(
        "--watermark", default=WATERMARK, help="hardened: refuse requests above this RSS"
    )
    return parser.parse_args(words)


def settings_of(told: argparse.Namespace) -> Settings:
    """The settings on the command line.

    Raises:
        UsageError: a size that is none, no request at a time, or no such device.
    """
    if told.device not in DEVICES:
        raise UsageError(f"--device {told.device}: use one of {', '.join(DEVICES)}")
    watermark_bytes(told.watermark, 0)
    if told.at_once < 1:
        raise UsageError(f"--at-once {told.at_once}: use a whole number above 0")
    return Settings(
        weights=told.weights,
        device=told.device,
        at_once=told.at_once,
        watermark=told.watermark,
    )


def fail(error: LeakhuntError | OSError) -> int:
    """Say in one line why the service cannot start; the exit code."""
    print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)  # noqa: T201
    return error.exit_code if isinstance(error, LeakhuntError) else 1
