"""The parts of the VibeVoice scenario that need no model, no torch and no transformers."""

from __future__ import annotations

import functools
import io
import itertools
import math
import sys
import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from leakhunt.errors import BadFile, UsageError
from leakhunt.scenario import find

FOLDER = Path(__file__).parents[3] / "scenarios" / "vibevoice_tts"
sys.path.insert(0, str(FOLDER))

import vibevoice_model as weights  # noqa: E402
import vibevoice_scheduler as scheduler  # noqa: E402
import vibevoice_service as service  # noqa: E402

CAUSES = [
    "latents-kept", "results-kept", "threads-never-joined", "threads-left-waiting",
    "temp-files-left",
]  # fmt: skip


def sound(seconds: float) -> weights.Sound:
    times = np.arange(round(seconds * weights.RATE_HZ)) / weights.RATE_HZ
    return (0.1 * np.sin(2 * np.pi * 220 * times)).astype(np.float32)


def test_it_is_listed_with_a_variant_for_every_single_cause() -> None:
    found, variants = find.find("vibevoice-tts")
    assert [variant.name for variant in variants] == ["naive", *CAUSES, "fixed"]
    assert found.extra == "vibevoice-tts" and found.requires == ("torch", "transformers")


def test_texts_are_decided_by_seed_and_call_and_some_come_again() -> None:
    text_of = find.load(str(FOLDER / "scenario.py")).text_of
    texts = [text_of(0, call) for call in range(400)]
    assert texts == [text_of(0, call) for call in range(400)]
    assert texts != [text_of(1, call) for call in range(400)]
    again = sum(texts[call] in texts[call - 8 : call] for call in range(8, 400)) / 392
    assert 0.15 < again < 0.5


def test_a_text_asks_for_speech_as_long_as_its_words() -> None:
    assert service.frames_for("one two three") == 3 * service.frames_for("one")
    assert service.frames_for("") == service.frames_for("one")


@pytest.mark.parametrize(
    "respond", [service.respond_and_leave_file, service.respond_and_remove_file]
)
def test_the_response_is_a_wav_file_of_the_sound(respond: object, tmp_path: Path) -> None:
    assert callable(respond)
    response = respond(sound(0.5), tmp_path)
    heard, rate_hz = soundfile.read(io.BytesIO(response), dtype="float32")
    assert rate_hz == weights.RATE_HZ
    assert np.abs(heard - sound(0.5)).max() < 2**-14
    assert service.seconds_of(response) == pytest.approx(0.5)
    left = list(tmp_path.iterdir())
    assert len(left) == (1 if respond is service.respond_and_leave_file else 0)


def test_a_thread_that_fails_fails_the_request_and_does_not_hang_it() -> None:
    def work() -> weights.Sound:
        raise ValueError("no such voice")

    with pytest.raises(ValueError, match="no such voice"):
        service.in_a_thread_never_joined(work)


def test_only_the_thread_that_is_left_waiting_is_still_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = threading.Event()
    monkeypatch.setattr(service, "Event", lambda: taken)
    before = set(threading.enumerate())
    try:
        assert len(service.in_a_thread_left_waiting(lambda: sound(0.1))) == 2400
        (waiting,) = set(threading.enumerate()) - before
        assert waiting.is_alive()
    finally:
        taken.set()
    waiting.join(30)
    assert not waiting.is_alive()


def test_the_noise_schedule_falls_from_all_signal_to_none() -> None:
    shares = scheduler.kept_share()
    assert len(shares) == scheduler.TRAINING_STEPS
    assert shares[0] > 0.999 and shares[-1] < 1e-6
    assert all(later < earlier for earlier, later in itertools.pairwise(shares))
    assert all(0 < share < 1 and math.isfinite(share) for share in shares)


def test_a_directory_that_holds_no_model_is_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="no such directory"):
        weights.obtain(str(tmp_path / "missing"), tmp_path)
    with pytest.raises(BadFile, match="safetensors"):
        weights.obtain(str(tmp_path), tmp_path)


def test_every_claim_asks_runs_and_variants_that_there_are() -> None:
    document = tomllib.loads((FOLDER / "claims.toml").read_text("utf-8"))
    commands = {run["name"]: run["command"] for run in document["run"]}
    ran = {
        name: {variant.name for variant in find.find(command.split()[1])[1]}
        for name, command in commands.items()
    }
    runs = set()
    for claim in document["claim"]:
        checks = claim.get("check", [])
        assert bool(checks) != ("not_measured" in claim), claim["id"]
        for check in checks:
            runs.add(check["run"])
            assert {check["variant"], check.get("reference", check["variant"])} <= ran[check["run"]]
            assert {"at_least", "at_most", "is"} & check.keys(), "no limit, so it cannot fail"
    assert runs == commands.keys(), "a run that no claim needs"


def test_the_requests_of_claim_c4_are_those_that_make_200_segments() -> None:
    """Counted as the service's cache counts: what it still holds is not spoken again."""
    text_of = find.load(str(FOLDER / "scenario.py")).text_of
    document = tomllib.loads((FOLDER / "claims.toml").read_text("utf-8"))
    (command,) = (run["command"] for run in document["run"] if run["name"] == "segments")
    calls = int(command.rpartition(" ")[2])
    spoken = functools.lru_cache(service.CACHED_TEXTS)(str.upper)
    for call in range(calls):
        spoken(text_of(0, call))
    assert spoken.cache_info().misses == 200
