"""FSMN-VAD behind FastAPI: POST /vad with a multipart file, GET /health.

As a program, ``python fastapi_app.py --port PORT --variant naive``, or under Gunicorn by its
factory: ``gunicorn -k uvicorn.workers.UvicornWorker "fastapi_app:make_app('naive')"``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, File, HTTPException, UploadFile

import vad_hardened
import vad_naive
import vad_service
from leakhunt import agent
from leakhunt.errors import LeakhuntError
from leakhunt.guard import Guard, GuardConfig, GuardMiddleware, Recycler, RecyclingConfig
from vad_service import Settings

# A request that finds no place may wait so long: a worker is replaced in some seconds.
QUEUE_SECONDS = 20.0
# Above what a worker holds after its first requests.
RECYCLED_AT = "+100 MiB"


def make_app(variant: str, settings: Settings | None = None) -> FastAPI:
    """The app of a variant, with the pipeline loaded. Without settings: those of the environment.

    Raises:
        LeakhuntError: the weights cannot be had.
    """
    agent.listen()
    made = {"hardened": hardened, "guarded": guarded}.get(variant, naive)
    return made(settings or vad_service.told_by_environment())


def naive(settings: Settings) -> FastAPI:
    """A path to the pipeline, every upload and every result kept, as many at once as will."""
    with tempfile.TemporaryDirectory(prefix="fsmn-vad-naive-") as made:
        detector = vad_service.load(settings, vad_naive.THREADS, Path(made))
    folder = Path(tempfile.mkdtemp(prefix="fsmn-vad-naive-"))
    app = FastAPI(lifespan=_removing(folder))
    app.state.weights = detector.weights

    @app.post("/vad")
    def vad(file: UploadFile = File()) -> dict[str, Any]:  # noqa: B008 - FastAPI's way
        return _told(vad_naive.answer(detector, _kept(file, folder)))

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "weights": detector.weights}

    return app


def guarded(settings: Settings) -> FastAPI:
    """The naive app as it is behind a guard, its worker replaced before the memory is full."""
    app = naive(settings)
    guard = Guard(GuardConfig(max_concurrency=settings.at_once, queue_seconds=QUEUE_SECONDS))
    Recycler(guard, RecyclingConfig(RECYCLED_AT))
    weights: str = app.state.weights
    app.add_middleware(GuardMiddleware, guard=guard, facts=lambda: {"weights": weights})
    return app


def _kept(file: UploadFile, folder: Path) -> Path:
    """The upload as a file of its own, which nobody removes while the service lives."""
    suffix = Path(file.filename or "").suffix
    with tempfile.NamedTemporaryFile(suffix=suffix, dir=folder, delete=False) as kept:
        shutil.copyfileobj(file.file, kept)
    return Path(kept.name)


def hardened(settings: Settings) -> FastAPI:
    """Decoded once, nothing kept but the last results, few at once, refusing before it is full."""
    vad_service.bound_caches()
    with tempfile.TemporaryDirectory(prefix="fsmn-vad-hardened-") as folder:
        detector = vad_service.load(settings, vad_hardened.THREADS, Path(folder))
    service = vad_hardened.Service(detector)
    guard = vad_hardened.guard_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(GuardMiddleware, guard=guard, facts=service.facts)

    # What is uploaded lies in Starlette's own temporary file, which is gone with the request.
    @app.post("/vad")
    def vad(file: UploadFile = File()) -> dict[str, Any]:  # noqa: B008 - FastAPI's way
        try:
            return _told(service.answer(file.file))
        except vad_hardened.Refused as refused:
            raise HTTPException(refused.status, refused.reason) from refused

    return app


def _told(found: vad_service.Answer) -> dict[str, Any]:
    return {"segments": found.segments, "audio_seconds": found.audio_seconds}


def _removing(folder: Path) -> Any:
    """A lifespan at whose end `folder` goes: whoever tries this service out gets the disk back."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        shutil.rmtree(folder)

    return lifespan


def main() -> int:
    """Serve until it is told to end; the exit code."""
    import uvicorn

    told = vad_service.arguments(__doc__.partition("\n")[0])
    try:
        app = make_app(told.variant, vad_service.settings_of(told))
    except LeakhuntError as error:
        return vad_service.fail(error)
    uvicorn.run(app, host="127.0.0.1", port=told.port, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
