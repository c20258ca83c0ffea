"""General image recognition, the ModelScope pipeline with Chinese labels, called in five ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

import image_recognition_images as images
import image_recognition_weights as weights
from leakhunt import Context, variant

EXTRA = "image-recognition"
REQUIRES = ("torch", "torchvision", "modelscope", "addict", "cv2", "PIL")
DEVICES = ("cpu", "cuda")
JOBS = 2
OPTIONS = {
    "images": ("", (), "your own images: a file or a folder (jpeg, png, webp, bmp)"),
    "weights": ("auto", (), "auto, hub, stand-in, or a model directory"),
}

# What the service of the field report never lets go of: "for a search by likeness, later".
FEATURES: list[Any] = []
OPENED: list[tuple[BinaryIO, Image.Image]] = []


@dataclass(frozen=True)
class State:
    """One loaded pipeline, how another is loaded, and where the inputs come from."""

    pipeline: Any
    load: Callable[[], Any]
    uploads: images.Uploads


def prepare(context: Context) -> dict[str, str]:
    """Fetch or make the weights once, and check the images; both are facts for the header."""
    place = context.options["images"]
    told = f"generated, seed {context.seed}, {images.SHORTEST_SIDE} to {images.LONGEST_SIDE} px"
    if place:
        told = f"{len(images.pictures(place))} image(s) of the user's, in turn"
    directory, facts = weights.obtain(context.options["weights"], context.scratch)
    (context.scratch / "weights.json").write_text(json.dumps(str(directory.resolve())))
    return {"images": told} | facts


def setup(context: Context) -> State:
    """Load the real pipeline as a service does at its start."""
    import torch

    # The oneDNN and ATen pools are sized by the first kernel: set them before the model loads.
    torch.set_num_threads(context.threads)
    place = context.options["images"]
    files = images.pictures(place) if place else ()
    directory = Path(json.loads((context.scratch / "weights.json").read_text()))

    def load() -> Any:
        return _load(directory, context.device)

    pipeline = load()
    weights.check_loaded(weights.stored(directory), pipeline.model)
    return State(pipeline, load, images.Uploads(files, context.seed, context.folder))


def _load(directory: Path, device: str) -> Any:
    """The real pipeline, made by its own class.

    modelscope's ``pipeline(Tasks.general_recognition, ...)`` cannot where it passes on
    ``trust_remote_code``, which this class refuses (1.40 does, 1.36 did not).
    """
    import torch
    from modelscope.pipelines.cv.general_recognition_pipeline import GeneralRecognitionPipeline
    from modelscope.utils.constant import Tasks

    # The factory's part: by its task a pipeline knows what inputs and outputs to check.
    GeneralRecognitionPipeline.group_key = Tasks.general_recognition
    loaded = GeneralRecognitionPipeline(model=str(directory), device=device)
    # It takes a `device` and ignores it: it goes to the GPU wherever there is one.
    loaded.device_name, loaded.device = device, torch.device(device)
    return loaded


def make_input(state: State, call: int) -> Path:
    """The upload of this call, as a file."""
    return state.uploads.file(call)


def summarize(state: State, result: str) -> str:
    """The label itself."""
    return result


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="_opened",
    cause="descriptors-left-open",
)
def naive(state: State, item: Path) -> str:
    """A feature tensor, the PIL image and its open file are kept of every call."""
    image = _opened(item)
    with _features(state.pipeline.model) as features:
        label = _label(state.pipeline(image))
    FEATURES.extend(features)
    return label


@variant(expect="leak in Python", rate=401_900, culprit="FEATURES", cause="tensors-kept")
def features_kept(state: State, item: Path) -> str:
    """Only the feature tensor is kept: what the last stage of the network gives, 2048 x 7 x 7."""
    with Image.open(item) as image, _features(state.pipeline.model) as features:
        label = _label(state.pipeline(image))
    FEATURES.extend(features)
    return label


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="_opened",
    cause="descriptors-left-open",
)
def images_open(state: State, item: Path) -> str:
    """Only the PIL image and its open file are kept."""
    return _label(state.pipeline(_opened(item)))


@variant
def reload_per_call(state: State, item: Path) -> str:
    """The model is loaded again for every image, and dropped after it: slow, but nothing stays."""
    pipeline = state.load()
    with Image.open(item) as image:
        return _label(pipeline(image))


@variant(expect=("clean", "allocator retention", "bounded cache"))
def fixed(state: State, item: Path) -> str:
    """One model, torch.inference_mode(), the image closed by a with block; nothing is kept."""
    import torch

    with torch.inference_mode(), Image.open(item) as image:
        return _label(state.pipeline(image))


def _opened(item: Path) -> Image.Image:
    file = item.open("rb")
    image = Image.open(file)
    OPENED.append((file, image))
    return image


@contextmanager
def _features(model: Any) -> Iterator[list[Any]]:
    """What the last stage gives, call by call, while the block runs."""
    features: list[Any] = []
    hook = model.layer4.register_forward_hook(
        lambda module, inputs, output: features.append(output)
    )
    try:
        yield features
    finally:
        hook.remove()


def _label(answer: dict[str, Any]) -> str:
    (label,) = answer["labels"]
    return str(label).strip()
