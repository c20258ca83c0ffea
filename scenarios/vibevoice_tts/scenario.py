"""Text to speech with transformers' VibeVoice, and the habits that field report C blames."""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import vibevoice_model as weights
import vibevoice_service as service
from leakhunt import Context, variant
from leakhunt.errors import MissingRequirement
from vibevoice_scheduler import CosineScheduler

EXTRA = "vibevoice-tts"
REQUIRES = ("torch", "transformers")
DEVICES = ("cpu", "cuda")
JOBS = 2
OPTIONS = {
    "weights": ("stand-in", (), "stand-in, or a directory with the weights of a VibeVoice model"),
    "scheduler": (
        "own",
        ("own", "diffusers"),
        "noise scheduler: one beside the scenario, or the one that transformers takes of diffusers",
    ),
    "texts": ("varied", ("varied", "same"), "another text on most calls, or the same on all"),
}

WORDS = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Falcon", "Garnet", "Harbour", "Island",
         "Juniper", "Kestrel", "Lagoon", "Maple", "Nectar", "Opal", "Pepper", "Quartz", "River",
         "Silver", "Thistle", "Umber", "Violet", "Willow", "Yarrow", "Zephyr")  # fmt: skip
MAX_WORDS = 2
# One request in four asks for one of the last few texts again: what a cache of eight can answer.
REPEATED_SHARE = 0.25
LOOKING_BACK = 6


@dataclass
class State:
    """The loaded model, and the service around it."""

    speaker: service.Speaker
    fixed: service.FixedService
    folder: Path
    seed: int
    texts: str
    seconds: float = 0.0


def prepare(context: Context) -> dict[str, str]:
    """Make the weights once (or look at those given); the facts are for the header."""
    directory, facts = weights.obtain(context.options["weights"], context.scratch)
    (context.scratch / "model.json").write_text(json.dumps(str(directory.resolve())))
    return facts | {"scheduler": _scheduler_told(context.options["scheduler"])}


def _scheduler_told(choice: str) -> str:
    if choice == "own":
        return "deterministic, cosine schedule, beside the scenario"
    try:
        return f"diffusers {metadata.version('diffusers')}"
    except metadata.PackageNotFoundError:
        raise MissingRequirement(
            "scheduler=diffusers: no such package here; pip install diffusers, or leave it out"
        ) from None


def setup(context: Context) -> State:
    """Load the model as the service does at its start."""
    import torch

    torch.set_num_threads(context.threads)
    directory = Path(json.loads((context.scratch / "model.json").read_text()))
    own = context.options["scheduler"] == "own"
    generation: dict[str, Any] = {"noise_scheduler": CosineScheduler()} if own else {}
    loaded = weights.load(directory, context.device, generation)
    speaker = service.Speaker(loaded, weights.voice())
    fixed_service = service.FixedService(speaker, context.folder)
    if context.variant == "fixed":
        fixed_service.begin()
    return State(
        speaker=speaker,
        fixed=fixed_service,
        folder=context.folder,
        seed=context.seed,
        texts=context.options["texts"],
    )


def teardown(state: State) -> None:
    """End the pool."""
    state.fixed.close()


def make_input(state: State, call: int) -> str:
    """The text of this call: a few words, now and then those of a call not long ago."""
    return text_of(state.seed, call if state.texts == "varied" else 0)


def text_of(seed: int, call: int) -> str:
    """Decided by the seed and the call alone, so that every variant is asked the same."""
    while True:
        chance = random.Random(f"{seed} {call}")
        if call < LOOKING_BACK or chance.random() >= REPEATED_SHARE:
            return " ".join(chance.choices(WORDS, k=chance.randint(1, MAX_WORDS)))
        call -= chance.randint(1, LOOKING_BACK)


def audio_seconds(state: State, item: str) -> float:
    """How long the speech of the last call was."""
    return state.seconds


def summarize(state: State, result: bytes) -> list[int]:
    """How long the response is, and its CRC-32."""
    return [len(result), zlib.crc32(result)]


@variant
def naive(state: State, item: str) -> bytes:
    """All four at once: latents and results kept, a thread never joined, a file left behind."""
    with service.latents_kept(state.speaker):
        sound = service.in_a_thread_never_joined(partial(state.speaker.speak, item))
    service.RESULTS.append((item, sound))
    return _sent(state, service.respond_and_leave_file(sound, state.folder))


@variant(expect="leak in Python")
def latents_kept(state: State, item: str) -> bytes:
    """Only what the diffusion head returns at each step is kept."""
    with service.latents_kept(state.speaker):
        sound = state.speaker.speak(item)
    return _sent(state, service.respond_and_remove_file(sound, state.folder))


@variant(expect="leak in Python")
def results_kept(state: State, item: str) -> bytes:
    """Only every text and its sound are kept, in a list of the module."""
    sound = state.speaker.speak(item)
    service.RESULTS.append((item, sound))
    return _sent(state, service.respond_and_remove_file(sound, state.folder))


@variant
def threads_never_joined(state: State, item: str) -> bytes:
    """Only a thread per request, which ends and is not joined."""
    sound = service.in_a_thread_never_joined(partial(state.speaker.speak, item))
    return _sent(state, service.respond_and_remove_file(sound, state.folder))


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="in_a_thread_left_waiting",
    cause="threads-not-ended",
)
def threads_left_waiting(state: State, item: str) -> bytes:
    """Only a thread per request, which waits for a word that does not come."""
    sound = service.in_a_thread_left_waiting(partial(state.speaker.speak, item))
    return _sent(state, service.respond_and_remove_file(sound, state.folder))


@variant
def temp_files_left(state: State, item: str) -> bytes:
    """Only the WAV file of each request is left behind."""
    sound = state.speaker.speak(item)
    return _sent(state, service.respond_and_leave_file(sound, state.folder))


@variant
def fixed(state: State, item: str) -> bytes:
    """lru_cache(maxsize=8), a pool with a time-out, inference_mode, files removed, gc.collect()."""
    return _sent(state, state.fixed.respond(item))


def _sent(state: State, response: bytes) -> bytes:
    state.seconds = service.seconds_of(response)
    return response
