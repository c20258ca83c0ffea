"""The load on the services: users who upload one clip after another and check every answer.

A locustfile: ``locust -f load.py --headless --users 4 --host http://127.0.0.1:PORT``. Its settings
are environment variables: LEAKHUNT_LOAD (``fastapi`` or ``gradio``), LEAKHUNT_AUDIO (a folder of
recordings; else clips are generated), LEAKHUNT_LENGTHS (``varied``, ``fixed`` or ``as-recorded``,
as for the scenario fsmn-vad) and LEAKHUNT_SEED.

An upload with its answer is one request of the statistics, of type ``VAD``, over however many
HTTP requests it takes. One that is answered wrong has failed.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from locust import User, events, task
from locust.env import Environment

# Locust has replaced sockets by gevent's: only from here on may what uses them be imported.
import requests  # isort: skip

sys.path.append(str(Path(__file__).resolve().parents[1] / "fsmn_vad"))
# Locust imports this file without its folder on the path.
sys.path.append(str(Path(__file__).resolve().parent))

import fsmn_vad_audio
import vad_answers
from leakhunt.errors import LeakhuntError, UsageError

LOAD = os.environ.get("LEAKHUNT_LOAD", "fastapi")
# Longer than any answer takes that a user would wait for.
PATIENCE_SECONDS = 120.0
REQUEST_TYPE = "VAD"
# As a client does that was refused, before it comes again.
PAUSE_SECONDS = 0.25
# What Gradio answers with: the table and the answer itself.
OUTPUTS = 2


class Failed(Exception):
    """A request that was refused or answered wrong, and why; equal reasons are counted together."""


class Uploads:
    """The clips of all users of this process, each sent once, in the order of the scenario's calls.

    Raises:
        LeakhuntError: the recordings are none, or the lengths no lengths.
    """

    def __init__(self, folder: Path) -> None:
        place = os.environ.get("LEAKHUNT_AUDIO", "")
        files = fsmn_vad_audio.recordings(place) if place else ()
        lengths = _lengths(os.environ.get("LEAKHUNT_LENGTHS", ""), bool(files))
        seed = int(os.environ.get("LEAKHUNT_SEED", "0"))
        self._clips = fsmn_vad_audio.Clips(files, lengths, seed, folder)
        self._calls = itertools.count()

    def next(self) -> tuple[str, bytes, float]:
        """A clip: its file's name, its bytes and its length in seconds."""
        # No other user runs before the bytes are read: nothing here waits for a socket.
        file = self._clips.file(next(self._calls))
        return file.name, file.read_bytes(), self._clips.seconds


def _lengths(told: str, are_recorded: bool) -> str:
    if not told:
        return fsmn_vad_audio.AS_RECORDED if are_recorded else "varied"
    if told not in fsmn_vad_audio.LENGTHS:
        raise UsageError(f"lengths={told}: use one of {', '.join(fsmn_vad_audio.LENGTHS)}")
    if told == fsmn_vad_audio.AS_RECORDED and not are_recorded:
        raise UsageError(f"lengths={told} needs --audio FOLDER")
    return told


class VadUser(User):  # type: ignore[misc] # locust has no types
    """Uploads one clip after the other; a subclass knows how the service is asked."""

    abstract = True
    uploads: Uploads
    session: requests.Session

    def on_start(self) -> None:
        """Open this user's connection."""
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy stands before a service of this machine

    def on_stop(self) -> None:
        """Close it."""
        self.session.close()

    def ask(self, name: str, data: bytes) -> Any:
        """What the service says to a file of this name and content.

        Raises:
            Failed: it refused.
            requests.RequestException: it cannot be spoken to.
        """
        raise NotImplementedError

    @task  # type: ignore[untyped-decorator]
    def upload(self) -> None:
        """Send the next clip, and count it as one request."""
        name, data, seconds = self.uploads.next()
        started_at = time.time()
        began = time.perf_counter()
        failure = _failure(lambda: self.ask(name, data), seconds)
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE,
            name="vad",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=failure,
            context={},
            start_time=started_at,
        )
        if failure is not None:
            time.sleep(PAUSE_SECONDS)

    def post(self, path: str, **body: Any) -> Any:
        """The JSON that a POST to `path` is answered with."""
        answer = self.session.post(self.host + path, timeout=PATIENCE_SECONDS, **body)
        if answer.status_code != requests.codes.ok:
            raise Failed(_refusal(answer))
        return answer.json()


class FastapiUser(VadUser):
    """Of fastapi_app.py."""

    abstract = LOAD != "fastapi"

    def ask(self, name: str, data: bytes) -> Any:
        """POST /vad."""
        return self.post("/vad", files={"file": (name, data)})


class GradioUser(VadUser):
    """Of gradio_app.py, by the three requests that its page makes."""

    abstract = LOAD != "gradio"

    def ask(self, name: str, data: bytes) -> Any:
        """Upload the file, have it worked on, wait for the end of the event stream."""
        (path,) = self.post("/gradio_api/upload", files={"files": (name, data)})
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        event = self.post("/gradio_api/call/detect", json={"data": [file]})["event_id"]
        url = f"{self.host}/gradio_api/call/detect/{event}"
        answer = self.session.get(url, timeout=PATIENCE_SECONDS)
        if answer.status_code != requests.codes.ok:
            raise Failed(_refusal(answer))
        ending, outputs = vad_answers.gradio_result(answer.text)
        if ending != "complete" or not isinstance(outputs, list) or len(outputs) != OUTPUTS:
            raise Failed(f"{ending or 'no event'}: {outputs}")
        return outputs[-1]


def _failure(ask: Callable[[], Any], seconds: float) -> Failed | None:
    """Why the clip of so many seconds was not answered right; None: it was."""
    try:
        reason = vad_answers.wrong(ask(), seconds)
    except Failed as failed:
        return failed
    except (requests.RequestException, ValueError, KeyError) as error:
        # Their texts hold addresses and ports, so that no two would be counted together.
        reason = type(error).__name__
    return Failed(reason) if reason else None


def _refusal(answer: requests.Response) -> str:
    """The status, and the service's own word if it gives one (as FastAPI does)."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    word = body.get("detail") if isinstance(body, dict) else None
    return f"{answer.status_code} {word if isinstance(word, str) else answer.reason}"


@events.init.add_listener  # type: ignore[untyped-decorator]
def make_uploads(environment: Environment, **_: Any) -> None:
    """Read or make the sound that clips are cut from, in each process that has users."""
    folder = tempfile.TemporaryDirectory(prefix="fsmn-vad-load-")
    environment.events.quitting.add_listener(lambda **_: folder.cleanup())
    try:
        VadUser.uploads = Uploads(Path(folder.name))
    except LeakhuntError as error:
        sys.stderr.write(f"load.py: {error}\n")
        sys.exit(error.exit_code)
