"""The web services around VibeVoice and image recognition, each as its service.toml starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "scenarios" / "model_services"
DESCRIBED = tomllib.loads((FOLDER / "service.toml").read_text(encoding="utf-8"))
VARIANTS = {variant["name"]: variant for variant in DESCRIBED["variant"]}
PATIENCE_SECONDS = 400.0

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in (*DESCRIBED["requires"], "requests")),
        reason="the extras vibevoice-tts, image-recognition and model-services are not installed",
    ),
]


@contextmanager
def running(name: str, folder: Path) -> Iterator[str]:
    import requests

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    command = [w.format(python=sys.executable, port=port) for w in VARIANTS[name]["command"]]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=FOLDER, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"TMPDIR": str(folder)},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(requests.RequestException):
                if requests.get(url + VARIANTS[name]["ready"], timeout=10).ok:
                    break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def asked(name: str, url: str) -> Any:
    import requests

    if VARIANTS[name]["load"] == "speech":
        return requests.post(f"{url}/speak", json={"text": "Amber"}, timeout=200)
    from io import BytesIO

    from PIL import Image

    image = BytesIO()
    Image.new("RGB", (480, 480), "green").save(image, "JPEG")
    files = {"file": ("green.jpg", image.getvalue())}
    return requests.post(f"{url}/recognize", files=files, timeout=200)


@pytest.mark.parametrize("name", ["speech-naive", "speech-guarded", "recognition-guarded"])
def test_it_answers_and_tells_its_weights(name: str, tmp_path: Path) -> None:
    import requests

    with running(name, tmp_path) as url:
        for _ in range(3):
            answer = asked(name, url)
            assert answer.status_code == 200, answer.text
        if VARIANTS[name]["load"] == "speech":
            assert answer.content[:4] == b"RIFF"
        else:
            assert answer.json()["label"]
        health = requests.get(f"{url}/health", timeout=10).json()
        assert health["status"] == "ok"
        assert "weights" in health
        if name.endswith("guarded"):
            assert health["memory"]["headroom_bytes"] > 0
            assert "leakhunt_guard_rss_bytes" in requests.get(f"{url}/metrics", timeout=10).text
