"""The real services around the real pipeline, each a process of its own on a free port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).parents[3] / "scenarios" / "fsmn_vad_service"
NEEDED = ("funasr", "fastapi", "gradio", "gunicorn", "locust", "requests")
VARIANTS = {
    variant["name"]: variant
    for variant in tomllib.loads((FOLDER / "service.toml").read_text(encoding="utf-8"))["variant"]
}
# The same app as fastapi-hardened; its watermark is a unit test.
del VARIANTS["fastapi-watermark"]
# The other Gradio page, and an app whose workers are replaced: loading them takes the longest.
SLOW = ("fastapi-recycled", "fastapi-guarded", "gradio-hardened")
# Five services and six models loading beside each other take half a minute of two idle cores. What
# waits for them must not keep one busy.
PATIENCE_SECONDS = 500.0
POLL_SECONDS = 0.3

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in NEEDED),
        reason="the extras fsmn-vad, fsmn-vad-service and soak are not all installed",
    ),
]


@dataclass(frozen=True)
class Service:
    process: subprocess.Popen[bytes]
    url: str
    files: Path
    log: Path

    def is_ready(self, path: str) -> bool:
        import requests

        try:
            return bool(requests.get(self.url + path, timeout=10).ok)
        except requests.RequestException:
            return False

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=100)

    def kill(self) -> None:
        """All of it: Gunicorn's workers live on when their master is killed."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def start(name: str, folder: Path) -> Service:
    port = free_port()
    given = VARIANTS[name]["command"]
    command = [word.format(python=sys.executable, port=port) for word in given]
    files = folder / "files"
    files.mkdir(parents=True)
    log = folder / "log"
    environment = os.environ | {"LEAKHUNT_WEIGHTS": "stand-in", "TMPDIR": str(files)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=FOLDER,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Service(process, f"http://127.0.0.1:{port}", files, log)


def wait_for(service: Service, path: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not service.is_ready(path):
        assert service.process.poll() is None, service.log.read_text()
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(POLL_SECONDS)


def some(*names: str) -> list[Any]:
    """The variants of these names, as parameters; the slow ones are for the long run."""
    return [pytest.param(n, marks=pytest.mark.long) if n in SLOW else n for n in names]


class Services(dict[str, Service]):
    """Those that run, by name; each starts when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Service:
        self[name] = start(name, self._folder / name)
        wait_for(self[name], VARIANTS[name]["ready"])
        return self[name]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    running = Services(tmp_path_factory.mktemp("services"))
    try:
        yield running
    finally:
        for service in running.values():
            service.kill()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two quiet seconds, three of a tone, two quiet ones; stereo at another rate, in a FLAC."""
    seconds = np.arange(3 * 44_100) / 44_100
    tone = (0.3 * np.sign(np.sin(2 * np.pi * 150 * seconds))).astype("float32")
    quiet = np.zeros(2 * 44_100, dtype="float32")
    path = tmp_path_factory.mktemp("clips") / "录音 $x^2$.flac"
    soundfile.write(path, np.stack([np.concatenate([quiet, tone, quiet])] * 2, axis=1), 44_100)
    return path


def upload(service: Service, name: str, content: bytes) -> Any:
    import requests

    return requests.post(f"{service.url}/vad", files={"file": (name, content)}, timeout=100)


def uploads_left(service: Service) -> list[Path]:
    model = {"model.pt", "configuration.json", "config.yaml", "am.mvn"}
    return [file for file in service.files.rglob("*") if file.is_file() and file.name not in model]


@pytest.mark.parametrize("name", some("fastapi-naive", "fastapi-hardened", "fastapi-recycled"))
def test_an_upload_is_answered_with_the_speech_in_it(
    services: dict[str, Service], clip: Path, name: str
) -> None:
    answer = upload(services[name], clip.name, clip.read_bytes())
    assert answer.status_code == 200, answer.text
    ((start_ms, end_ms),) = answer.json()["segments"]
    assert 1500 <= start_ms <= 2100 and 4900 <= end_ms <= 7000
    assert answer.json()["audio_seconds"] == pytest.approx(7.0, abs=0.01)


@pytest.mark.parametrize("name", some(*VARIANTS))
def test_its_health_tells_which_weights_it_has(services: dict[str, Service], name: str) -> None:
    import requests

    answer = requests.get(f"{services[name].url}/health", timeout=10)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["weights"].startswith("stand-in weights")


@pytest.mark.parametrize("name", some("gradio-naive", "gradio-hardened", "fastapi-recycled"))
def test_the_load_lands_and_its_answers_are_right(
    services: dict[str, Service], name: str, clip: Path
) -> None:
    environment = os.environ | {
        "LEAKHUNT_LOAD": VARIANTS[name]["load"],
        "LEAKHUNT_AUDIO": str(clip.parent),
    }
    words = ["--headless", "--users", "2", "--run-time", "2s", "--stop-timeout", "90s"]
    words += ["--json", "--skip-log"]
    command = [sys.executable, "-m", "locust", "-f", str(FOLDER / "load.py"), *words]
    done = subprocess.run(
        [*command, "--host", services[name].url],
        capture_output=True, text=True, env=environment, timeout=100, check=False,
    )  # fmt: skip
    # A worker that is replaced breaks off the connections that clients keep to it.
    breaks_off = name == "fastapi-recycled"
    assert breaks_off or done.returncode == 0, done.stdout + services[name].log.read_text()
    (counted,) = json.loads(done.stdout)
    assert (counted["method"], counted["name"]) == ("VAD", "vad")
    assert counted["num_requests"] > 0
    assert counted["num_failures"] <= (0.5 * counted["num_requests"] if breaks_off else 0)


def test_the_hardened_one_leaves_no_upload_behind(services: dict[str, Service], clip: Path) -> None:
    assert upload(services["fastapi-hardened"], clip.name, clip.read_bytes()).ok
    assert not uploads_left(services["fastapi-hardened"])


@pytest.mark.parametrize("name", some("fastapi-naive", "fastapi-recycled", "gradio-naive"))
def test_the_naive_ones_leave_uploads_behind(
    services: dict[str, Service], clip: Path, name: str
) -> None:
    import requests

    if name.startswith("gradio"):
        address = f"{services[name].url}/gradio_api/upload"
        files = {"files": (clip.name, clip.read_bytes())}
        assert requests.post(address, files=files, timeout=100).ok
    else:
        assert upload(services[name], clip.name, clip.read_bytes()).ok
    assert uploads_left(services[name])


def test_what_is_no_audio_is_refused_in_words_by_the_hardened_one(
    services: dict[str, Service],
) -> None:
    answer = upload(services["fastapi-hardened"], "a.wav", b"<script>alert(1)</script>")
    assert answer.status_code == 422
    assert answer.json() == {"detail": "not readable as audio; send wav, flac or mp3"}
    assert upload(services["fastapi-naive"], "a.wav", b"this is no sound").status_code == 500


def test_beyond_four_at_once_the_hardened_one_answers_503_and_lives_on(
    services: dict[str, Service], tmp_path: Path
) -> None:
    long = tmp_path / "long.wav"
    soundfile.write(long, np.zeros(40 * 16_000, dtype="float32"), 16_000)
    content = long.read_bytes()
    service = services["fastapi-hardened"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: upload(service, "long.wav", content), range(16)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.json()["detail"] for answer in refused} == {"concurrency"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert len([answer for answer in answers if answer.ok]) + len(refused) == 16
    assert len(refused) < 16
    assert service.is_ready("/health")


@pytest.mark.parametrize(
    ("app", "words", "expected"),
    [
        ("fastapi_app.py", ["--weights", "nowhere"], "directory not found"),
        ("gradio_app.py", ["--at-once", "0"], "use a whole number above 0"),
    ],
)
def test_a_service_that_cannot_start_says_why_in_one_line(
    app: str, words: list[str], expected: str
) -> None:
    done = subprocess.run(
        [sys.executable, app, "--port", str(free_port()), *words],
        cwd=FOLDER, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{app}: ") and expected in line


def test_a_load_that_cannot_be_made_says_why() -> None:
    environment = os.environ | {"LEAKHUNT_AUDIO": "nowhere"}
    command = [sys.executable, "-m", "locust", "-f", str(FOLDER / "load.py"), "--headless"]
    done = subprocess.run(
        [*command, "--run-time", "1s", "--host", "http://127.0.0.1:1", "--loglevel", "ERROR"],
        capture_output=True, text=True, env=environment, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("load.py: ") and "nowhere: file or folder not found" in line


# As Locust does, which takes a second and more to start: all that is wrong in one process.
INITS = """
import os, sys, locust.env, load
for lengths in sys.argv[1:]:
    os.environ["LEAKHUNT_LENGTHS"] = lengths
    try:
        load.make_uploads(locust.env.Environment())
    except SystemExit as ended:
        sys.stderr.write(f"{ended.code}\\n")
"""


def test_lengths_that_are_none_are_refused_by_the_load() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INITS, "long", "as-recorded", "fixed"],
        cwd=FOLDER, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    long, code, as_recorded, code_too = done.stderr.splitlines()
    assert long.startswith("load.py: ") and "use one of varied, long-varied, fixed" in long
    assert as_recorded.startswith("load.py: ") and "needs --audio" in as_recorded
    assert code == code_too == "2"


@pytest.mark.parametrize(
    "name", some("fastapi-hardened", "fastapi-naive", "fastapi-recycled", "gradio-naive")
)
def test_told_to_end_it_ends_and_leaves_no_file(services: dict[str, Service], name: str) -> None:
    services[name].end()
    # Gunicorn's new worker dies of the signal where it is, in the middle of loading too.
    if name != "fastapi-recycled":
        assert not list(services[name].files.glob("fsmn-vad-*"))
