"""The load on both services: texts to speak, or images to recognize; every answer is looked at.

LEAKHUNT_LOAD is ``speech`` or ``recognition``, LEAKHUNT_SEED the seed of what is sent.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from locust import HttpUser, task

sys.path.append(str(Path(__file__).resolve().parents[1] / "image_recognition"))

LOAD = os.environ.get("LEAKHUNT_LOAD", "speech")
SEED = os.environ.get("LEAKHUNT_SEED", "0")
WORDS = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Falcon", "Garnet", "Harbour", "Island")
# So many images are made at the start, and sent in turn.
IMAGES = 24
# As a client does that was refused, before it comes again.
PAUSE_SECONDS = 0.25
_CALLS = itertools.count()


class SpeechUser(HttpUser):  # type: ignore[misc]  # locust has no types
    """Has one text after the other spoken."""

    abstract = LOAD != "speech"

    @task  # type: ignore[untyped-decorator]
    def speak(self) -> None:
        """A word or two, another one on most calls; the answer is a WAV file."""
        chance = random.Random(f"{SEED} {next(_CALLS)}")
        text = " ".join(chance.choices(WORDS, k=chance.randint(1, 2)))
        with self.client.post("/speak", json={"text": text}, catch_response=True) as answer:
            if not answer.ok:
                answer.failure(f"{answer.status_code} {answer.reason}")
                time.sleep(PAUSE_SECONDS)
            elif answer.content[:4] != b"RIFF":
                answer.failure("no WAV file")


class RecognitionUser(HttpUser):  # type: ignore[misc]
    """Uploads one image after the other."""

    abstract = LOAD != "recognition"
    images: tuple[bytes, ...] = ()

    def on_start(self) -> None:
        """Make the images, once in a process."""
        if not RecognitionUser.images:
            RecognitionUser.images = tuple(_made(number) for number in range(IMAGES))

    @task  # type: ignore[untyped-decorator]
    def recognize(self) -> None:
        """The next image; the answer is its label."""
        image = self.images[next(_CALLS) % IMAGES]
        files = {"file": ("image.jpg", image)}
        with self.client.post("/recognize", files=files, catch_response=True) as answer:
            if not answer.ok:
                answer.failure(f"{answer.status_code} {answer.reason}")
                time.sleep(PAUSE_SECONDS)
            elif not answer.json().get("label"):
                answer.failure("no label")


def _made(number: int) -> bytes:
    """A JPEG image, of another size each."""
    import image_recognition_images as images

    if not _SCENE:
        _SCENE.append(images.scene(int(SEED)))
    scene = _SCENE[0]
    chance = random.Random(f"{SEED} {number}")
    side = chance.randint(images.SHORTEST_SIDE, images.LONGEST_SIDE)
    buffer = io.BytesIO()
    scene.crop((0, 0, side, side)).save(buffer, "JPEG", quality=images.JPEG_QUALITY)
    return buffer.getvalue()


_SCENE: list[Any] = []
