"""The service around the model, as field report C describes it: each habit a function of its own.

What a request goes through: its text is spoken (`Speaker.speak`), perhaps in a thread; the sound
is written to a temporary WAV file, and the file's bytes are the response.
"""

from __future__ import annotations

import gc
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import soundfile

from vibevoice_model import RATE_HZ, Loaded, Sound

# About 2.5 words a second, at 7.5 frames a second.
FRAMES_PER_WORD = 3
GUIDANCE = 1.3
CACHED_TEXTS = 8
POOL_THREADS = 2
TIMEOUT_SECONDS = 300.0

# The module-level lists of the report. Nothing is ever taken out of them.
RESULTS: list[tuple[str, Sound]] = []
LATENTS: list[Any] = []


def frames_for(text: str) -> int:
    """How many frames of speech a text may become at most."""
    return FRAMES_PER_WORD * max(len(text.split()), 1)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A model that speaks with one voice."""

    loaded: Loaded
    voice: Sound

    def speak(self, text: str) -> Sound:
        """`text` as mono float32 sound at `RATE_HZ`; the same text always gives the same sound.

        On a CPU the array is the tensor's own memory, as it is in ``processor.save_audio``.
        """
        import torch

        model = self.loaded.model
        said = [{"type": "text", "text": text}, {"type": "audio", "audio": self.voice}]
        inputs = self.loaded.processor.apply_chat_template(
            [{"role": "0", "content": said}],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"sampling_rate": RATE_HZ},
        ).to(model.device, model.dtype)
        torch.manual_seed(zlib.crc32(text.encode()))
        (spoken,) = model.generate(
            **inputs,
            max_new_tokens=frames_for(text),
            guidance_scale=GUIDANCE,
            **self.loaded.generation,
        )
        sound: Sound = spoken.cpu().float().numpy().squeeze()
        return sound


@contextmanager
def latents_kept(speaker: Speaker) -> Iterator[None]:
    """What the diffusion head returns at each step is kept in `LATENTS`, for later looks at it."""
    head = speaker.loaded.model.model.diffusion_head
    hook = head.register_forward_hook(_keep)
    try:
        yield
    finally:
        hook.remove()


def _keep(head: Any, given: Any, latents: Any) -> None:
    LATENTS.append(latents)


def in_a_thread_never_joined(work: Callable[[], Sound]) -> Sound:
    """What `work` returns or raises, from a thread of its own that then ends, unjoined."""
    answer: Future[Sound] = Future()
    Thread(target=_answer, args=(work, answer)).start()
    return answer.result()


def in_a_thread_left_waiting(work: Callable[[], Sound]) -> Sound:
    """The same, but the thread waits to hear that the client has its file, which nobody says."""
    answer: Future[Sound] = Future()
    taken = Event()
    Thread(target=_answer_and_wait, args=(work, answer, taken)).start()
    return answer.result()


def _answer(work: Callable[[], Sound], answer: Future[Sound]) -> None:
    try:
        answer.set_result(work())
    except BaseException as error:  # whatever it is, the request waits for it
        answer.set_exception(error)


def _answer_and_wait(work: Callable[[], Sound], answer: Future[Sound], taken: Event) -> None:
    _answer(work, answer)
    taken.wait()


def respond_and_leave_file(sound: Sound, folder: Path) -> bytes:
    """The sound as a WAV file's bytes; the file stays where it is."""
    with tempfile.NamedTemporaryFile(suffix=".wav", dir=folder, delete=False) as file:
        return _written(sound, Path(file.name))


def respond_and_remove_file(sound: Sound, folder: Path) -> bytes:
    """The sound as a WAV file's bytes; file and folder are removed."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return _written(sound, Path(own) / "speech.wav")


def _written(sound: Sound, file: Path) -> bytes:
    soundfile.write(str(file), sound, RATE_HZ, subtype="PCM_16")
    return file.read_bytes()


class FixedService:
    """Report C's remedy: a bounded cache, a bounded pool with a time-out, caches given back."""

    def __init__(self, speaker: Speaker, folder: Path) -> None:
        self._speaker = speaker
        self._folder = folder
        self._pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="speech")
        self._spoken = lru_cache(maxsize=CACHED_TEXTS)(partial(_speak_in_pool, self._pool, speaker))

    def begin(self) -> None:
        """Leave what is loaded out of the collections after each text."""
        gc.freeze()

    def respond(self, text: str) -> bytes:
        """The WAV file's bytes.

        Raises:
            TimeoutError: it took more than `TIMEOUT_SECONDS`.
        """
        return respond_and_remove_file(self._spoken(text), self._folder)

    def close(self) -> None:
        """End the pool's threads."""
        self._pool.shutdown(cancel_futures=True)


def _speak_in_pool(pool: ThreadPoolExecutor, speaker: Speaker, text: str) -> Sound:
    return pool.submit(_speak_and_release, speaker, text).result(TIMEOUT_SECONDS)


def _speak_and_release(speaker: Speaker, text: str) -> Sound:
    import torch

    try:
        with torch.inference_mode():
            return speaker.speak(text)
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def seconds_of(response: bytes) -> float:
    """How long the speech in a WAV file of ours is: 16-bit mono after a header of 44 bytes."""
    return (len(response) - 44) / 2 / RATE_HZ
