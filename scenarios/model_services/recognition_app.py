"""Image recognition behind FastAPI: POST /recognize with a multipart file, GET /health.

``python recognition_app.py --port PORT --variant naive``. It keeps the features of every image, as
field report D has it; ``guarded`` has its guards before the same app: unready at 80 % of memory, a
circuit breaker above.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "image_recognition"))

from fastapi import FastAPI, File, UploadFile
from PIL import Image

import image_recognition_weights
from leakhunt import agent
from leakhunt.guard import Guard, GuardConfig, GuardMiddleware

VARIANTS = ("naive", "guarded")
THREADS = 1
# Field report D: unhealthy at 80 % of memory.
UNREADY_SHARE = 0.80
# Every image that was recognized, decoded: what a page of results shows, some day.
IMAGES: list[Any] = []


def load(folder: Path) -> tuple[Any, dict[str, str]]:
    """The real pipeline with stand-in or published weights, and the facts about them."""
    import torch
    from modelscope.pipelines.cv.general_recognition_pipeline import GeneralRecognitionPipeline
    from modelscope.utils.constant import Tasks

    torch.set_num_threads(THREADS)
    directory, facts = image_recognition_weights.obtain("auto", folder)
    GeneralRecognitionPipeline.group_key = Tasks.general_recognition
    pipeline = GeneralRecognitionPipeline(model=str(directory), device="cpu")
    pipeline.device_name, pipeline.device = "cpu", torch.device("cpu")
    return pipeline, facts


def make_app(variant: str) -> FastAPI:
    """The app of a variant, with its model loaded."""
    import torch

    agent.listen()
    # The pipeline reads its labels again at each call.
    folder = Path(tempfile.mkdtemp(prefix="recognition-"))
    pipeline, facts = load(folder)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        shutil.rmtree(folder, ignore_errors=True)

    app = FastAPI(lifespan=lifespan)

    @app.post("/recognize")
    def recognize(file: UploadFile = File()) -> dict[str, str]:  # noqa: B008 - FastAPI's way
        image = Image.open(io.BytesIO(file.file.read()))
        with torch.inference_mode():
            (label,) = pipeline(image)["labels"]
        IMAGES.append(image)
        return {"label": str(label).strip()}

    if variant == "guarded":
        config = GuardConfig(unready=UNREADY_SHARE, max_concurrency=2, queue_seconds=10.0)
        app.add_middleware(GuardMiddleware, guard=Guard(config), facts=lambda: facts)
    else:

        @app.get("/health")
        def health() -> dict[str, str]:
            return {"status": "ok", **facts}

    return app


def main() -> None:
    """Serve until it is told to end."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--variant", choices=VARIANTS, default=VARIANTS[0])
    told = parser.parse_args()
    uvicorn.run(make_app(told.variant), host="127.0.0.1", port=told.port, log_level="warning")


if __name__ == "__main__":
    main()
