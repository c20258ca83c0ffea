"""Images for the image-recognition scenario: those that the user names, or generated ones.

Every call's input is a file, as a service gets an upload. What call k gets depends on the seed and
k alone, so all variants see the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from leakhunt.errors import BadFile
from leakhunt.scenario.inputs import given_files

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# What phones and web pages send: a third of a megapixel to three.
SHORTEST_SIDE = 480
LONGEST_SIDE = 1920
JPEG_QUALITY = 88

# The scene that uploads are cut from: patches of colour at three scales, and a little grain.
_PATCHES = (5, 24, 96)
_GRAIN = 6.0


def scene(seed: int) -> Image.Image:
    """The picture that generated uploads are cut from, `LONGEST_SIDE` pixels square, RGB."""
    generator = np.random.default_rng([seed, 0])
    side = LONGEST_SIDE
    canvas = np.zeros((side, side, 3), dtype=np.float32)
    for patches in _PATCHES:
        colours = generator.integers(0, 256, size=(patches, patches, 3), dtype=np.uint8)
        coarse = Image.fromarray(colours).resize((side, side), Image.Resampling.BILINEAR)
        canvas += np.asarray(coarse, dtype=np.float32) / len(_PATCHES)
    canvas += _GRAIN * generator.standard_normal(canvas.shape, dtype=np.float32)
    return Image.fromarray(canvas.clip(0, 255).astype(np.uint8))


def pictures(place: str) -> tuple[Path, ...]:
    """The images that `place` (a file or a folder) names, each checked by decoding it.

    Raises:
        UsageError: no such file or folder.
        BadFile: a file that is no image, or a broken one; a folder without images.
    """
    return given_files(place, f"images={place}", SUFFIXES, _check)


def _check(file: Path) -> None:
    try:
        with Image.open(file) as image:
            image.load()
    # Pillow's decoders raise SyntaxError and ValueError of broken files, too.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "no image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise BadFile(f"{file}: not readable as an image ({reason}); give jpeg or png") from None


class Uploads:
    """The inputs of a run, one file per call.

    Generated ones are JPEG files of varied sizes. As a web framework does, the file of a request is
    removed when the next one comes: who still has it open keeps its disk space, too.
    """

    def __init__(self, files: Sequence[Path], seed: int, folder: Path) -> None:
        self._files = tuple(files)
        self._scene = None if files else scene(seed)
        self._seed = seed
        self._folder = folder
        self._last: Path | None = None

    def file(self, call: int) -> Path:
        """The file of this call: the user's in turn, or a new one."""
        if self._scene is None:
            return self._files[call % len(self._files)]
        if self._last is not None:
            self._last.unlink(missing_ok=True)
        self._last = self._folder / f"upload-{call}.jpg"
        self._scene.crop(self._box(call)).save(self._last, quality=JPEG_QUALITY)
        return self._last

    def _box(self, call: int) -> tuple[int, int, int, int]:
        """Left, upper, right, lower: decided by the seed and the call alone."""
        generator = np.random.default_rng([self._seed, 1, call])
        width, height = generator.integers(SHORTEST_SIDE, LONGEST_SIDE + 1, size=2).tolist()
        left = int(generator.integers(LONGEST_SIDE - width + 1))
        upper = int(generator.integers(LONGEST_SIDE - height + 1))
        return left, upper, left + width, upper + height
