"""The parts of the FSMN-VAD scenario that need no model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from leakhunt.scenario import find

FOLDER = Path(__file__).parents[3] / "scenarios" / "fsmn_vad"
sys.path.insert(0, str(FOLDER))

import fsmn_vad_audio as audio  # noqa: E402


def clips(folder: Path, lengths: str, seed: int = 0) -> audio.Clips:
    return audio.Clips((), lengths, seed, folder)


def lengths_of(made: audio.Clips, calls: int = 30) -> list[int]:
    return [soundfile.info(str(made.file(call))).frames for call in range(calls)]


@pytest.mark.parametrize("lengths", ["varied", "fixed", "as-recorded"])
def test_the_length_of_each_clip_is_known(tmp_path: Path, lengths: str) -> None:
    recorded = tuple(tmp_path / f"{seconds}.wav" for seconds in (2, 3))
    for seconds, file in enumerate(recorded, 2):
        soundfile.write(str(file), np.zeros(seconds * 8000, dtype=np.float32), 8000)
    made = audio.Clips(recorded, lengths, 0, tmp_path)
    for call in range(4):
        assert soundfile.info(str(made.file(call))).duration == pytest.approx(made.seconds)


def test_the_same_seed_gives_the_same_clips(tmp_path: Path) -> None:
    first = clips(tmp_path, "varied").file(7).read_bytes()
    assert clips(tmp_path, "varied").file(7).read_bytes() == first
    assert clips(tmp_path, "varied", seed=1).file(7).read_bytes() != first


def test_varied_lengths_differ_from_call_to_call_and_fixed_ones_do_not(tmp_path: Path) -> None:
    varied = lengths_of(clips(tmp_path, "varied"))
    assert len(set(varied)) == len(varied)
    assert min(varied) / audio.RATE_HZ >= 1.0 and max(varied) / audio.RATE_HZ <= 10.0
    long = lengths_of(clips(tmp_path, "long-varied"))
    assert 10.0 < max(long) / audio.RATE_HZ <= 40.0 and len(set(long)) == len(long)
    assert set(lengths_of(clips(tmp_path, "fixed"))) == {round(audio.FIXED_SECONDS * 16_000)}


def test_a_long_recording_is_one_length_for_all_calls(tmp_path: Path) -> None:
    made = clips(tmp_path, "half-hour")
    assert made.longest_seconds == 1800.0
    assert set(lengths_of(made, calls=2)) == {1800 * audio.RATE_HZ}


def test_generated_sound_has_bursts_and_pauses() -> None:
    sound = audio.generated(60, seed=0)
    tenths = np.abs(sound).reshape(-1, 1600).max(axis=1)
    loud = (tenths > 0.05).mean()
    assert 0.3 < loud < 0.8
    assert np.abs(sound).max() <= 1.0


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        ([(0, 30_000, 0), (30_100, 31_000, 30_000)], [[0, 31_000]]),
        ([(0, 29_500, 0), (30_300, 31_000, 30_000)], [[0, 29_500], [30_300, 31_000]]),
        ([(0, 5_000, 0), (5_200, 9_000, 0)], [[0, 5_000], [5_200, 9_000]]),
    ],
    ids=["speech across the border", "a pause at the border", "a pause elsewhere"],
)
def test_speech_across_a_chunk_border_is_joined(
    pieces: list[tuple[int, int, int]], joined: list[list[int]]
) -> None:
    module = find.load(str(FOLDER / "scenario.py"))
    segments: list[list[int]] = []
    for start, end, border in pieces:
        module._append(segments, start, end, border)
    assert segments == joined
