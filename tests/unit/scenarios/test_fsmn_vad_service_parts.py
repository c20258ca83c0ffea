"""The parts of the services around FSMN-VAD that need no model and no network."""

from __future__ import annotations

import gc
import io
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).parents[3] / "scenarios" / "fsmn_vad_service"
sys.path.insert(0, str(FOLDER))

import vad_answers  # noqa: E402
import vad_hardened  # noqa: E402
import vad_naive  # noqa: E402
import vad_service  # noqa: E402
from leakhunt.config.service_file import find_service, read_service  # noqa: E402
from leakhunt.errors import UsageError  # noqa: E402
from leakhunt.guard import LimitSource, Refusal  # noqa: E402
from leakhunt.guard.status import Reason  # noqa: E402
from leakhunt.scenario import find  # noqa: E402
from leakhunt.worker.readings import trim_malloc  # noqa: E402

GIB = 1 << 30


def answer(segments: Any, seconds: Any = 5.0) -> dict[str, Any]:
    return {"segments": segments, "audio_seconds": seconds}


@pytest.mark.parametrize("segments", [[], [[0, 5000]], [[10, 20], [20, 5030]]])
def test_segments_within_the_audio_are_right(segments: list[list[int]]) -> None:
    assert vad_answers.wrong(answer(segments), 5.0) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "no object"),
        ([], "no object"),
        ("<script>alert(1)</script>", "no object"),
        (answer([], 3.0), "another length of audio"),
        (answer([], None), "another length of audio"),
        ({"audio_seconds": 5.0}, "no list of segments"),
        (answer([[1]]), "no pair"),
        (answer([[1, 2.5]]), "no pair"),
        (answer([[False, True]]), "no pair"),
        (answer([[20, 10]]), "out of order"),
        (answer([[100, 300], [200, 400]]), "out of order"),
        (answer([[-1, 10]]), "out of order"),
        (answer([[0, 5031]]), "beyond the audio"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told(given: Any, expected: str) -> None:
    assert expected in vad_answers.wrong(given, 5.0)


def test_the_last_event_of_a_gradio_stream_counts() -> None:
    stream = "event: heartbeat\ndata: null\n\nevent: generating\ndata: [1]\n\nevent: complete\n"
    assert vad_answers.gradio_result(stream + 'data: ["a", {"b": 1}]\n\n') == (
        "complete",
        ["a", {"b": 1}],
    )
    assert vad_answers.gradio_result("event: error\ndata: null\n\n") == ("error", None)
    assert vad_answers.gradio_result("event: complete\ndata: [1\n\n") == ("complete", None)
    assert vad_answers.gradio_result("") == ("", None)


def test_a_watermark_is_a_size_or_one_above_what_is_held() -> None:
    assert vad_service.watermark_bytes("1.5 GiB", 7) == 3 * GIB // 2
    assert vad_service.watermark_bytes("+1 GiB", 7) == GIB + 7
    with pytest.raises(UsageError, match="invalid size 'much'"):
        vad_service.watermark_bytes("much", 7)


@pytest.mark.parametrize(
    "words", [["--at-once", "0"], ["--watermark", "much"], ["--device", "tpu"]]
)
def test_settings_that_mean_nothing_are_refused(words: list[str]) -> None:
    arguments = vad_service.arguments("made", ["--port", "1", *words])
    with pytest.raises(UsageError):
        vad_service.settings_of(arguments)


def service(pipeline: Any = None) -> vad_hardened.Service:
    return vad_hardened.Service(vad_service.Detector(pipeline, "none"))


def sound(seconds: float, **format_of: Any) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(seconds * 8000), dtype=np.float32), 8000, **format_of)
    file.seek(0)
    return file


def test_above_its_watermark_it_refuses_and_is_unhealthy() -> None:
    full = vad_hardened.guard_of(vad_service.Settings(watermark="1 MiB"))
    answer = full.admit()
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.reason) == (503, Reason.HARD_WATERMARK)
    assert not full.status().is_ready
    assert vad_hardened.guard_of(vad_service.Settings()).status().is_ready


def test_its_watermark_is_where_the_guard_refuses() -> None:
    gc.collect()
    trim_malloc()  # the guards of other tests may release it between the two readings
    status = vad_hardened.guard_of(vad_service.Settings(watermark="+64 MiB")).status()
    assert status.memory is not None and status.memory.source is LimitSource.GIVEN
    hard = vad_hardened.HARD_SHARE * status.memory.limit_bytes
    assert hard - status.rss_bytes == pytest.approx(64 << 20, rel=0.1)


def test_beyond_so_many_at_once_it_refuses_and_then_takes_the_next() -> None:
    busy = vad_hardened.guard_of(vad_service.Settings(at_once=1))
    for _ in range(2):
        with busy.place():
            answer = busy.admit()
            assert isinstance(answer, Refusal) and answer.reason is Reason.CONCURRENCY


@pytest.mark.parametrize(
    ("upload", "status"),
    [
        (io.BytesIO(b"no sound"), 422),
        (io.BytesIO(b""), 422),
        (sound(0, format="WAV"), 422),
        (sound(vad_hardened.LONGEST_SECONDS + 1, format="FLAC"), 413),
    ],
    ids=["text", "nothing", "silence of no length", "too long"],
)
def test_what_is_no_fit_audio_is_refused(upload: io.BytesIO, status: int) -> None:
    one = service()
    for _ in range(2):
        upload.seek(0)
        with pytest.raises(vad_hardened.Refused) as caught:
            one.answer(upload)
        assert caught.value.status == status


def test_its_history_has_an_end_and_the_naive_one_has_none(tmp_path: Path) -> None:
    pytest.importorskip("torch")

    def pipeline(heard: Any) -> list[dict[str, Any]]:
        return [{"value": [[0, 10]]}]

    bounded = service(pipeline)
    file = tmp_path / "<b>$x^2$ 内存.wav"
    file.write_bytes(sound(1, format="WAV").read())
    before = len(vad_naive.HISTORY)
    for _ in range(vad_hardened.HISTORY_LENGTH + 5):
        bounded.answer(file)
        vad_naive.answer(vad_service.Detector(pipeline, "none"), file)
    assert bounded.facts()["history"] == vad_hardened.HISTORY_LENGTH
    assert len(vad_naive.HISTORY) == before + vad_hardened.HISTORY_LENGTH + 5
    del vad_naive.HISTORY[before:]
    bounded.close()
    assert bounded.facts()["history"] == 0


def test_the_description_of_the_services_is_whole() -> None:
    services = read_service(FOLDER / "service.toml")
    assert services.locustfile is not None and services.locustfile.is_file()
    assert services.options.keys() == {"lengths", "weights", "device"}
    for variant in services.variants:
        assert "{port}" in " ".join(variant.command) and variant.command[0] == "{python}"
        assert variant.load in ("gradio", "fastapi") and variant.ready.startswith("/")


@pytest.mark.parametrize("folder", ["fsmn_vad", "fsmn_vad_service", "model_services"])
def test_every_run_of_the_claims_can_be_asked_for(folder: str) -> None:
    document = tomllib.loads((FOLDER.parent / folder / "claims.toml").read_text(encoding="utf-8"))
    runs = {run["name"]: shlex.split(run["command"]) for run in document["run"]}
    for verb, target, *_ in runs.values():
        found = find_service(target) if verb == "soak" else find.find(target)
        assert found[1]
    checks = [check for claim in document["claim"] for check in claim.get("check", ())]
    assert {check["run"] for check in checks} == runs.keys()
    for check in checks:
        named = {check["variant"], check.get("reference", check["variant"])}
        assert named <= set(runs[check["run"]][1].partition(":")[2].split(","))
