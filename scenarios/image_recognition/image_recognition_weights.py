"""Where the model directory comes from: the hub, or a stand-in of the same architecture.

The stand-in is loaded by the same code (modelscope's pipeline), into the same ResNeSt-101 with
54,092 classes: 935 tensors of the same shapes, 629 MB. It therefore takes the same memory and the
same time; what it answers means nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leakhunt.errors import BadFile, CannotWrite
from leakhunt.scenario.inputs import Weights, from_modelscope, given_weights

MODEL_ID = "damo/cv_resnest101_general_recognition"
CLASSES = 54_092
WEIGHTS = "pytorch_model.pt"
LABELS = "meta_info.txt"
# 628,763,656 bytes of tensors and a megabyte of labels, and a little for the run's own files.
STAND_IN_BYTES = 640_000_000

CONFIGURATION = {
    "framework": "pytorch",
    "task": "general-recognition",
    "pipeline": {"type": "resnet101-general-recognition"},
}

# Stand-in labels: two characters of a stem and one of what it is, each label once.
_STEMS = (
    "春夏秋冬东西南北红黄蓝绿青紫白黑金银铜铁水火土木山石田林江河湖海"
    "日月星云风雨雪霜花草竹梅松柳桃杏天地人和平安福寿高低长短大小新旧"
    "米麦茶盐"
)
_KINDS = "鸟鱼树花车船楼桥灯钟杯碗"


def obtain(choice: str, folder: Path) -> Weights:
    """A model directory and the facts about it that every report must show.

    `choice` is ``auto`` (the hub, or the stand-in where the hub is out of reach), ``hub``,
    ``stand-in``, or the path of a model directory.

    Raises:
        MissingRequirement: ``hub`` was asked for and is out of reach.
        UsageError: `choice` is none of the words above and no directory.
        BadFile: the directory lacks one of the model's files.
        CannotWrite: there is no room for the stand-in in `folder`.
    """
    return given_weights(
        choice,
        _from_hub,
        lambda origin: _stand_in(folder, origin),
        lambda directory: (directory, _facts(directory, f"directory {directory.name}")),
    )


def _from_hub() -> Weights:
    directory = from_modelscope(MODEL_ID)
    return directory, _facts(directory, f"hub weights {MODEL_ID}")


def _stand_in(folder: Path, origin: str) -> Weights:
    import torch

    free = shutil.disk_usage(folder).free
    if free < STAND_IN_BYTES:
        needed, there = (f"{size // 10**6} MB" for size in (STAND_IN_BYTES, free))
        raise CannotWrite(
            f"{folder}: stand-in weights need {needed} and {there} are free; "
            "free some, or name a larger disk by TMPDIR"
        )
    directory = folder / "image-recognition-stand-in"
    directory.mkdir(exist_ok=True)
    (directory / "configuration.json").write_text(json.dumps(CONFIGURATION, indent=2))
    (directory / LABELS).write_text(meta_info(), encoding="utf-8")
    torch.save(stand_in_tensors(_shapes()), directory / WEIGHTS)
    return directory, _facts(directory, origin)


def _facts(directory: Path, origin: str) -> dict[str, str]:
    for name in ("configuration.json", WEIGHTS, LABELS):
        if not (directory / name).is_file():
            raise BadFile(f"{directory}: no {name} in this model directory; check the path")
    return {"weights": origin, "weights_sha256": checksum(stored(directory))}


def meta_info(classes: int = CLASSES) -> str:
    """The text of ``meta_info.txt``: a line a class, its number and its label, tab-separated."""
    return "".join(f"{index}\t{stand_in_label(index)}\n" for index in range(classes))


def stand_in_label(index: int) -> str:
    """A word of three Chinese characters that no other class has (up to 55,488 classes)."""
    rest, kind = divmod(index, len(_KINDS))
    first, second = divmod(rest, len(_STEMS))
    return _STEMS[first] + _STEMS[second] + _KINDS[kind]


def stored(directory: Path) -> Mapping[str, Any]:
    """The tensors of the weights' file by the names the model gives them, mapped, not read.

    Raises:
        BadFile: it is no file of tensors.
    """
    import torch

    file = directory / WEIGHTS
    try:
        # What torch wrote before 1.6 is no zip file, and cannot be mapped.
        mapped = zipfile.is_zipfile(file)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises RuntimeError, pickle its own, zip its own
        raise BadFile(
            f"{file}: not readable as weights ({type(error).__name__}); fetch it again"
        ) from None
    if not isinstance(content, dict):
        raise BadFile(f"{file}: holds no tensors by name; use weights made for this model")
    tensors = content.get("state_dict", content)
    return {
        name.removeprefix("module."): tensor
        for name, tensor in tensors.items()
        if isinstance(tensor, torch.Tensor)
    }


def checksum(tensors: Mapping[str, Any]) -> str:
    """SHA-256 over the names, shapes and bytes of the tensors: the same on every machine.

    The file's own bytes will not do, since ``torch.save`` writes its version into them.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def check_loaded(tensors: Mapping[str, Any], model: Any) -> None:
    """Every tensor of the model came from the file: the pipeline leaves out others silently.

    Raises:
        BadFile: a tensor of the model is not in the file, or has another shape there.
    """
    for name, tensor in model.state_dict().items():
        # How many batches were seen in training: nothing in inference reads it.
        if name.endswith("num_batches_tracked"):
            continue
        if name not in tensors or tensors[name].shape != tensor.shape:
            raise BadFile(f"{WEIGHTS} holds no fitting {name}; use weights made for this model")


def _shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of the network as the pipeline builds it, without their memory."""
    import torch
    from modelscope.models.cv.animal_recognition import resnet

    with torch.device("meta"):
        network = resnet.ResNet(
            resnet.Bottleneck,
            [3, 4, 23, 3],
            radix=2,
            groups=1,
            bottleneck_width=64,
            deep_stem=True,
            stem_width=64,
            avg_down=True,
            avd=True,
            avd_first=False,
            num_classes=CLASSES,
        )
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def stand_in_tensors(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The state dict: seeded filters, and normalizations that change nothing."""
    import torch

    generator = np.random.default_rng(0)
    tensors: dict[str, Any] = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            tensors[name] = torch.from_numpy(_filters(shape, generator))
        elif name.endswith("num_batches_tracked"):
            tensors[name] = torch.zeros(shape, dtype=torch.int64)
        elif name.endswith((".weight", ".running_var")):
            tensors[name] = torch.ones(shape)
        else:
            tensors[name] = torch.zeros(shape)
    return tensors


def _filters(shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Uniform weights of the variance of He's initialization, each filter's sum being zero.

    Without that sum all images come out alike: behind a hundred rectifiers what they have in common
    is all there is left. Drawn as whole numbers, whose sums are exact, so that the checksum is the
    same on every machine.
    """
    inputs = math.prod(shape[1:])
    drawn = generator.integers(0, 256, size=(shape[0], inputs), dtype=np.uint8)
    means = (drawn.sum(axis=1, dtype=np.int64, keepdims=True) / inputs).astype(np.float32)
    weights: npt.NDArray[np.float32] = drawn.astype(np.float32)
    weights -= means
    # The whole numbers from 0 to 255 have the variance (256² - 1) / 12.
    weights *= np.float32(math.sqrt(2 / inputs) / math.sqrt((256**2 - 1) / 12))
    return weights.reshape(shape)
