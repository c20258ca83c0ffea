"""Audio for the FSMN-VAD scenario: recordings that the user names, or generated clips.

Every call's input is a file, as a service gets an upload. Which stretch of sound call k gets
depends on the seed and k alone, so all variants hear the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from leakhunt.errors import BadFile
from leakhunt.scenario.inputs import given_files

RATE_HZ = 16_000
# Clips of ever new lengths: short ones show the same as long ones, in less time.
FRAME_SECONDS = 0.01
VARIED_SECONDS = {"varied": (1.0, 10.0), "long-varied": (1.0, 40.0)}
FIXED_SECONDS = 5.0
# One length for all calls, by the word that asks for it.
ONE_LENGTH_SECONDS = {"fixed": FIXED_SECONDS, "half-hour": 1800.0, "hour": 3600.0}
AS_RECORDED = "as-recorded"
LENGTHS = (*VARIED_SECONDS, *ONE_LENGTH_SECONDS, AS_RECORDED)
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")

# Generated sound: bursts with harmonics of a gliding pitch and a syllable-like envelope, pauses
# longer than the detector's end silence, and noise 60 dB below full scale beneath it all.
_NOISE_LEVEL = 0.001
_BURST_SECONDS = (0.6, 3.0)
_PAUSE_SECONDS = (1.0, 3.0)
_PITCH_HZ = (90.0, 220.0)
_HARMONICS = 12
_SYLLABLES_PER_SECOND = 4.0

Sound = npt.NDArray[np.float32]


def quiet_noise(seconds: float, seed: int) -> Sound:
    """Mono noise at the generator's floor, float32."""
    generator = np.random.default_rng([seed, 1])
    return _noise(round(seconds * RATE_HZ), generator)


def _noise(samples: int, generator: np.random.Generator) -> Sound:
    noise: Sound = generator.standard_normal(samples, dtype=np.float32) * np.float32(_NOISE_LEVEL)
    return noise


def generated(seconds: float, seed: int) -> Sound:
    """Mono float32 sound at `RATE_HZ`: voiced bursts, pauses, noise."""
    generator = np.random.default_rng([seed, 0])
    sound = _noise(round(seconds * RATE_HZ), generator)
    at = round(generator.uniform(*_PAUSE_SECONDS) * RATE_HZ)
    while at < len(sound):
        burst = _burst(generator.uniform(*_BURST_SECONDS), generator)[: len(sound) - at]
        sound[at : at + len(burst)] += burst
        at += len(burst) + round(generator.uniform(*_PAUSE_SECONDS) * RATE_HZ)
    return sound


def _burst(seconds: float, generator: np.random.Generator) -> Sound:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = np.interp(time, (0, seconds), generator.uniform(*_PITCH_HZ, size=2))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    voice = sum(np.sin(order * phase) / order for order in range(1, _HARMONICS + 1))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * _SYLLABLES_PER_SECOND * time)
    edges = np.minimum(1.0, np.minimum(time, seconds - time) / 0.03)
    burst: Sound = (0.2 * voice * syllables * edges).astype(np.float32)
    return burst


def recordings(place: str) -> tuple[Path, ...]:
    """The audio files that `place` (a file or a folder) names, each checked to be readable.

    Raises:
        UsageError: no such file or folder.
        BadFile: a file that is no audio, or holds no sound; a folder without audio.
    """
    return given_files(place, f"--audio {place}", SUFFIXES, _check)


def _check(file: Path) -> None:
    try:
        info = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).rpartition(": ")[2]
        raise BadFile(f"{file}: not readable as audio ({reason}); give wav, flac or mp3") from None
    if not info.frames:
        raise BadFile(f"{file}: holds no sound; leave it out or record it again")


def decoded(file: Path | BinaryIO) -> Sound:
    """What a recording holds: mono (channels averaged) float32 at `RATE_HZ`."""
    source = str(file) if isinstance(file, Path) else file
    sound, rate_hz = soundfile.read(source, dtype="float32", always_2d=True)
    mono: Sound = sound.mean(axis=1) if sound.shape[1] > 1 else sound[:, 0]
    if rate_hz == RATE_HZ:
        return mono
    import torch
    import torchaudio

    resampled = torchaudio.functional.resample(torch.from_numpy(mono), rate_hz, RATE_HZ)
    at_rate: Sound = resampled.numpy()
    return at_rate


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a recording: `frames` from `first`, at the recording's own rate."""

    source: int
    first: int
    frames: int


class Clips:
    """The inputs of a run, one file per call.

    `lengths` is one of `VARIED_SECONDS` (a length of its own for every call), one of
    `ONE_LENGTH_SECONDS` (the same stretch of sound each time, shorter where the recording is) or
    ``as-recorded`` (the user's files as they are, in turn). `seconds` is how long the clip is that
    `file` gave last.
    """

    def __init__(self, files: Sequence[Path], lengths: str, seed: int, folder: Path) -> None:
        self._files = tuple(files)
        self._one_length = ONE_LENGTH_SECONDS.get(lengths)
        self._varied_seconds = VARIED_SECONDS.get(lengths, VARIED_SECONDS["varied"])
        made_seconds = max(2 * self._varied_seconds[1], self._one_length or 0.0)
        self._sounds = [_Sound.read(file) for file in files] or [_Sound.made(seed, made_seconds)]
        self._clip = folder / "clip.wav"
        self._lengths = lengths
        self._seed = seed
        self.seconds = 0.0

    @property
    def longest_seconds(self) -> float:
        """The longest clip there can be."""
        longest = max(sound.seconds for sound in self._sounds)
        if self._lengths == AS_RECORDED:
            return longest
        return min(self._one_length or self._varied_seconds[1], longest)

    def file(self, call: int) -> Path:
        """The file of this call; the same path is written anew each time unless as recorded."""
        if self._lengths == AS_RECORDED:
            self.seconds = self._sounds[call % len(self._files)].seconds
            return self._files[call % len(self._files)]
        stretch = self._stretch(call)
        sound = self._sounds[stretch.source]
        self.seconds = stretch.frames / sound.rate_hz
        data = sound.data[stretch.first : stretch.first + stretch.frames]
        soundfile.write(str(self._clip), data, sound.rate_hz, subtype="PCM_16")
        return self._clip

    def _stretch(self, call: int) -> Stretch:
        """Decided by the seed and the call alone, so that every variant gets the same."""
        if self._one_length is not None:
            sound = self._sounds[0]
            frames = min(round(self._one_length * sound.rate_hz), len(sound.data))
            generator = np.random.default_rng([self._seed, 2])
            return Stretch(0, int(generator.integers(len(sound.data) - frames + 1)), frames)
        return _varied(self._sounds, call, self._varied_seconds, self._seed)


@dataclass(frozen=True, slots=True)
class _Sound:
    data: npt.NDArray[Any]
    rate_hz: int

    @classmethod
    def read(cls, file: Path) -> _Sound:
        data, rate_hz = soundfile.read(str(file), dtype="int16")
        return cls(data, rate_hz)

    @classmethod
    def made(cls, seed: int, seconds: float) -> _Sound:
        return cls(generated(seconds, seed), RATE_HZ)

    @property
    def seconds(self) -> float:
        return len(self.data) / self.rate_hz


def _varied(
    sounds: Sequence[_Sound],
    call: int,
    seconds: tuple[float, float],
    seed: int,
) -> Stretch:
    """A length of its own for every call, as long as there are any: the detector counts frames."""
    generator = np.random.default_rng([seed, 2, call])
    source = call % len(sounds)
    sound = sounds[source]
    longest = min(seconds[1], sound.seconds)
    shortest = min(seconds[0], longest)
    lengths = max(round((longest - shortest) / FRAME_SECONDS), 1)
    turn, place = divmod(call // len(sounds), lengths)
    length = np.random.default_rng([seed, 3, turn]).permutation(lengths)[place]
    frames = min(
        round((shortest + (length + 0.5) * FRAME_SECONDS) * sound.rate_hz), len(sound.data)
    )
    first = int(generator.integers(len(sound.data) - frames + 1))
    return Stretch(source, first, frames)
