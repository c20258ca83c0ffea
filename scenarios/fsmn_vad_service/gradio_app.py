"""FSMN-VAD behind a Gradio page: an upload, a button, a table of the speech in it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import vad_hardened
import vad_naive
import vad_service
from leakhunt import agent
from leakhunt.errors import LeakhuntError
from leakhunt.guard import GuardMiddleware, RequestRefused
from vad_service import Settings

Detect = Callable[[str | None], tuple[str, dict[str, Any]]]
# So many may wait behind those that are worked on; the next gets 503.
WAITING = 16
# So many sessions keep their state; a visitor is one. Gradio itself keeps those of 10,000, the
# messages of 2,000, and what it notes of the last 10,000 events: no leaks, but 3 KiB a request for
# so long.
SESSIONS = 64
# Seconds: how often Gradio looks for old uploads, and how old one is when it goes: long after every
# request that waits for it. A request does not remove its own: equal uploads are one file to
# Gradio, for which two users may wait, and of what others remove it keeps the path for ever.
SWEEP = (30, 120)


def page(detect: Detect, **options: Any) -> gradio.Blocks:
    """The page, and with it Gradio's own HTTP interface at ``/gradio_api/call/detect``."""
    with gradio.Blocks(title="FSMN-VAD", **options) as blocks:
        upload = gradio.Audio(sources=["upload"], type="filepath", label="recording")
        button = gradio.Button("detect")
        outputs = [gradio.Markdown(), gradio.JSON(label="answer")]
        button.click(detect, inputs=upload, outputs=outputs, api_name="detect")
    return blocks


def naive(port: int, settings: Settings, folder: Path) -> None:
    """Serve as the field report does: paths, all results kept, as many at once as will."""
    detector = vad_service.load(settings, vad_naive.THREADS, folder)

    def detect(upload: str | None) -> tuple[str, dict[str, Any]]:
        if upload is None:
            raise gradio.Error("choose a recording first")
        found = vad_naive.answer(detector, Path(upload))
        return vad_naive.table(found), _told(found)

    blocks = page(detect)
    blocks.queue(default_concurrency_limit=None)

    def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "weights": detector.weights})

    _serve(blocks, port, app_kwargs={"routes": [Route("/health", health)]})


def hardened(port: int, settings: Settings, folder: Path) -> None:
    """Serve behind the guard of `vad_hardened`; old uploads are swept."""
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = str(SESSIONS)
    vad_service.bound_caches()
    detector = vad_service.load(settings, vad_hardened.THREADS, folder)
    service = vad_hardened.Service(detector)
    guard = vad_hardened.guard_of(settings, exempt=("/",))

    def detect(upload: str | None) -> tuple[str, dict[str, Any]]:
        if upload is None:
            raise gradio.Error("choose a recording first")
        try:
            with guard.place(Path(upload).stat().st_size):
                found = service.answer(Path(upload))
        except (vad_hardened.Refused, RequestRefused) as refused:
            raise gradio.Error(str(refused)) from refused
        return vad_naive.table(found), _told(found)

    blocks = page(detect, delete_cache=SWEEP)
    blocks.queue(default_concurrency_limit=settings.at_once, max_size=settings.at_once + WAITING)
    blocks._queue.pending_messages_per_session.max_size = SESSIONS  # Gradio has no setting for it
    # Requests only put work into the queue of the page: a place is taken where the work is done.
    middleware = Middleware(GuardMiddleware, guard=guard, facts=service.facts)
    try:
        _serve(
            blocks,
            port,
            app_kwargs={"middleware": [middleware]},
            state_session_capacity=SESSIONS,
        )
    finally:
        service.close()


def _told(found: vad_service.Answer) -> dict[str, Any]:
    return {"segments": found.segments, "audio_seconds": found.audio_seconds}


def _serve(
    blocks: gradio.Blocks,
    port: int,
    **options: Any,
) -> None:
    """Serve the page until the process is told to end."""
    blocks.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        ssr_mode=False,
        quiet=True,
        **options,
    )


def main() -> int:
    """Serve until it is told to end; the exit code."""
    told = vad_service.arguments(__doc__)
    agent.listen()
    # SIGTERM unwinds like any other end, so that the folder of uploads goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    serve = hardened if told.variant == "hardened" else naive
    with tempfile.TemporaryDirectory(prefix="fsmn-vad-gradio-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            serve(told.port, vad_service.settings_of(told), Path(folder))
        except (LeakhuntError, OSError) as error:
            return vad_service.fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
