"""VibeVoice text to speech behind FastAPI: POST /speak with JSON, GET /health.

Under Gunicorn by its factory: ``gunicorn -k uvicorn.workers.UvicornWorker
"speech_app:make_app('naive')"``. Its habits are those of field report C: latents, results and
files of every request are kept. The guard before it cures none of them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "vibevoice_tts"))

from fastapi import FastAPI, Response
from pydantic import BaseModel

import vibevoice_model
import vibevoice_service
from leakhunt import agent
from leakhunt.guard import Guard, GuardConfig, GuardMiddleware, Recycler, RecyclingConfig
from vibevoice_scheduler import CosineScheduler

# One request shares its core with none.
THREADS = 1
# Speech that finds no place may wait so long: a worker is replaced in some seconds.
QUEUE_SECONDS = 60.0
# Above what a worker holds after its first requests; the report recycles after 100 requests.
RECYCLED_AT = "+16 MiB"


class Asked(BaseModel):
    """A request."""

    text: str


def make_app(variant: str) -> FastAPI:
    """The app of a variant, ``naive`` or ``guarded``, with its model loaded."""
    import torch

    agent.listen()
    torch.set_num_threads(THREADS)
    folder = Path(tempfile.mkdtemp(prefix="vibevoice-service-"))
    directory, facts = vibevoice_model.obtain("stand-in", folder)
    loaded = vibevoice_model.load(directory, "cpu", {"noise_scheduler": CosineScheduler()})
    speaker = vibevoice_service.Speaker(loaded, vibevoice_model.voice())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        shutil.rmtree(folder, ignore_errors=True)

    app = FastAPI(lifespan=lifespan)

    @app.post("/speak")
    def speak(asked: Asked) -> Response:
        with vibevoice_service.latents_kept(speaker):
            sound = speaker.speak(asked.text)
        vibevoice_service.RESULTS.append((asked.text, sound))
        wav = vibevoice_service.respond_and_leave_file(sound, folder)
        return Response(wav, media_type="audio/wav")

    if variant == "guarded":
        guard = Guard(GuardConfig(max_concurrency=2, queue_seconds=QUEUE_SECONDS))
        Recycler(guard, RecyclingConfig(RECYCLED_AT))
        app.add_middleware(GuardMiddleware, guard=guard, facts=lambda: facts)
    else:

        @app.get("/health")
        def health() -> dict[str, str]:
            return {"status": "ok", **facts}

    return app
