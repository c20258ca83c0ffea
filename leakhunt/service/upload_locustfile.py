"""A locustfile that uploads recordings: the built-in load of ``leakhunt soak --audio``."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

from locust import HttpUser, task

from leakhunt.service.load_generator import AUDIO, EXPECT, SEED, UPLOAD_FIELD, UPLOAD_PATH

_RECORDINGS = sorted(path for path in Path(os.environ[AUDIO]).iterdir() if path.is_file())
_PATH = os.environ[UPLOAD_PATH]
_FIELD = os.environ[UPLOAD_FIELD]
_EXPECTED = re.compile(os.environ.get(EXPECT, ""))
_ORDER = random.Random(int(os.environ.get(SEED, "0")))


class Upload(HttpUser):  # type: ignore[misc]  # no types are published
    """Posts one recording after the other, without a pause, and looks at the answers."""

    @task  # type: ignore[untyped-decorator]
    def upload(self) -> None:
        """One recording: a status of 2xx, and the text that is expected."""
        recording = _ORDER.choice(_RECORDINGS)
        with (
            open(recording, "rb") as stream,
            self.client.post(
                _PATH, files={_FIELD: (recording.name, stream)}, catch_response=True
            ) as answer,
        ):
            if not answer.ok:
                answer.failure(f"{answer.status_code} {answer.reason}".strip())
            elif not answer.content or not _EXPECTED.search(answer.text):
                answer.failure("the answer does not hold what is expected")
            else:
                answer.success()
