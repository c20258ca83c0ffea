"""Where the FSMN-VAD model directory comes from: the hub, or a stand-in of the same architecture.

The stand-in loads through the same code (modelscope -> funasr), has the same 24 tensors, layer
sizes and call path as the published model, and separates sound from silence by its energy. It
therefore shows the same memory behaviour; it does not show the published model's accuracy.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from leakhunt.errors import BadFile
from leakhunt.scenario.inputs import Weights, from_modelscope, given_weights

MODEL_ID = "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"
REVISION = "v2.0.4"

N_MELS = 80
LFR_FRAMES = 5
INPUT_DIM = N_MELS * LFR_FRAMES
AFFINE_DIM = 140
LINEAR_DIM = 250
PROJ_DIM = 128
LAYERS = 4
LEFT_ORDER = 20
OUTPUT_DIM = 248

# Mean log-mel energy: about 11.4 on the generator's quiet noise, 13 to 15 on voiced sound
# (measured through funasr's own front end, which scales samples by 32768). The threshold lies
# between the two; the gain sets how sharply the silence probability changes around it.
ENERGY_THRESHOLD = 12.4
ENERGY_GAIN = 4.0
# On digital silence the energy falls to about -16 (log of the float epsilon), where an unbounded
# logit would make the silence probability 1.0 in float32, and funasr takes log(1 - p). A ReLU lies
# on the path, so energies under this floor all count as the floor.
ENERGY_FLOOR = 10.0

CONFIGURATION = {
    "framework": "pytorch",
    "task": "voice-activity-detection",
    "model": {"type": "funasr"},
    "pipeline": {"type": "funasr-pipeline"},
    "model_name_in_hub": {"ms": MODEL_ID, "hf": ""},
    "file_path_metas": {
        "init_param": "model.pt",
        "config": "config.yaml",
        "frontend_conf": {"cmvn_file": "am.mvn"},
    },
}

CONFIG_YAML = f"""\
frontend: WavFrontendOnline
frontend_conf:
    fs: 16000
    window: hamming
    n_mels: {N_MELS}
    frame_length: 25
    frame_shift: 10
    dither: 0.0
    lfr_m: {LFR_FRAMES}
    lfr_n: 1

model: FsmnVADStreaming
model_conf:
    sample_rate: 16000
    detect_mode: 1
    snr_mode: 0
    max_end_silence_time: 800
    max_start_silence_time: 3000
    do_start_point_detection: true
    do_end_point_detection: true
    window_size_ms: 200
    sil_to_speech_time_thres: 150
    speech_to_sil_time_thres: 150
    speech_2_noise_ratio: 1.0
    do_extend: 1
    lookback_time_start_point: 200
    lookahead_time_end_point: 100
    max_single_segment_time: 60000
    snr_thres: -100.0
    noise_frame_num_used_for_snr: 100
    decibel_thres: -100.0
    speech_noise_thres: 0.6
    fe_prior_thres: 0.0001
    silence_pdf_num: 1
    sil_pdf_ids: [0]
    speech_noise_thresh_low: -0.1
    speech_noise_thresh_high: 0.3
    output_frame_probs: false
    frame_in_ms: 10
    frame_length_ms: 25

encoder: FSMN
encoder_conf:
    input_dim: {INPUT_DIM}
    input_affine_dim: {AFFINE_DIM}
    fsmn_layers: {LAYERS}
    linear_dim: {LINEAR_DIM}
    proj_dim: {PROJ_DIM}
    lorder: {LEFT_ORDER}
    rorder: 0
    lstride: 1
    rstride: 0
    output_affine_dim: {AFFINE_DIM}
    output_dim: {OUTPUT_DIM}
    use_softmax: true
"""


def obtain(choice: str, folder: Path) -> Weights:
    """A model directory and the facts about it that every report must show.

    `choice` is ``auto`` (the hub, or the stand-in where the hub is out of reach), ``hub``,
    ``stand-in``, or the path of a model directory.

    Raises:
        MissingRequirement: ``hub`` was asked for and is out of reach.
        UsageError: `choice` is none of the words above and no directory.
        BadFile: the directory holds no ``model.pt``.
    """
    return given_weights(
        choice,
        _from_hub,
        lambda origin: _stand_in(folder, origin),
        lambda directory: (directory, _facts(directory, f"directory {directory.name}")),
    )


def _from_hub() -> Weights:
    directory = from_modelscope(MODEL_ID, REVISION)
    return directory, _facts(directory, f"hub weights {MODEL_ID} {REVISION}")


def _stand_in(folder: Path, origin: str) -> Weights:
    import torch

    directory = folder / "fsmn-vad-stand-in"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "configuration.json").write_text(json.dumps(CONFIGURATION, indent=2))
    (directory / "config.yaml").write_text(CONFIG_YAML)
    (directory / "am.mvn").write_text(_identity_cmvn())
    torch.save(stand_in_tensors(), directory / "model.pt")
    return directory, _facts(directory, origin)


def _facts(directory: Path, origin: str) -> dict[str, str]:
    model = directory / "model.pt"
    if not model.is_file():
        raise BadFile(f"{directory}: no model.pt in this model directory; check the path")
    return {"weights": origin, "weights_sha256": checksum(model)}


def checksum(model: Path) -> str:
    """SHA-256 over the names, shapes and bytes of the tensors: the same on every machine.

    The file's own bytes will not do, since ``torch.save`` writes its version into them.
    """
    import torch

    tensors: dict[str, Any] = torch.load(model, map_location="cpu", weights_only=True)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_loaded(directory: Path, module: Any) -> None:
    """Every tensor of the model came from ``model.pt``: funasr only warns of one that did not.

    Raises:
        BadFile: a tensor of the model is not in the file, or has another shape there.
    """
    import torch

    stored = torch.load(directory / "model.pt", map_location="cpu", weights_only=True)
    for name, tensor in module.state_dict().items():
        if name not in stored or stored[name].shape != tensor.shape:
            raise BadFile(f"model.pt holds no fitting {name}; use weights made for this model")


def stand_in_tensors() -> dict[str, Any]:
    """The state dict: zeros, but for one path from the mean energy to the silence output.

    input (400) -> unit 0 of each layer, each a ReLU or linear step, gain 1 -> output 0 with a
    negative gain and a bias at the threshold. The FSMN memory blocks stay zero: no context.
    """
    import torch

    shapes: dict[str, tuple[int, ...]] = {
        "encoder.in_linear1.linear.weight": (AFFINE_DIM, INPUT_DIM),
        "encoder.in_linear1.linear.bias": (AFFINE_DIM,),
        "encoder.in_linear2.linear.weight": (LINEAR_DIM, AFFINE_DIM),
        "encoder.in_linear2.linear.bias": (LINEAR_DIM,),
        "encoder.out_linear1.linear.weight": (AFFINE_DIM, LINEAR_DIM),
        "encoder.out_linear1.linear.bias": (AFFINE_DIM,),
        "encoder.out_linear2.linear.weight": (OUTPUT_DIM, AFFINE_DIM),
        "encoder.out_linear2.linear.bias": (OUTPUT_DIM,),
    }
    for layer in range(LAYERS):
        shapes[f"encoder.fsmn.{layer}.linear.linear.weight"] = (PROJ_DIM, LINEAR_DIM)
        shapes[f"encoder.fsmn.{layer}.fsmn_block.conv_left.weight"] = (PROJ_DIM, 1, LEFT_ORDER, 1)
        shapes[f"encoder.fsmn.{layer}.affine.linear.weight"] = (LINEAR_DIM, PROJ_DIM)
        shapes[f"encoder.fsmn.{layer}.affine.linear.bias"] = (LINEAR_DIM,)
    tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    tensors["encoder.in_linear1.linear.weight"][0, :] = 1.0 / INPUT_DIM
    tensors["encoder.in_linear1.linear.bias"][0] = -ENERGY_FLOOR
    tensors["encoder.in_linear2.linear.weight"][0, 0] = 1.0
    for layer in range(LAYERS):
        tensors[f"encoder.fsmn.{layer}.linear.linear.weight"][0, 0] = 1.0
        tensors[f"encoder.fsmn.{layer}.affine.linear.weight"][0, 0] = 1.0
    tensors["encoder.out_linear1.linear.weight"][0, 0] = 1.0
    tensors["encoder.out_linear2.linear.weight"][0, 0] = -ENERGY_GAIN
    # The other 247 outputs have logit 0, together exp(log 247): silence wins by half when its
    # own logit is log 247, which the bias puts at the threshold.
    balance = float(torch.log(torch.tensor(float(OUTPUT_DIM - 1))))
    tensors["encoder.out_linear2.linear.bias"][0] = (
        ENERGY_GAIN * (ENERGY_THRESHOLD - ENERGY_FLOOR) + balance
    )
    return tensors


def _identity_cmvn() -> str:
    """Kaldi nnet text that leaves the features as they are: shift 0, scale 1."""
    zeros = " ".join(["0"] * INPUT_DIM)
    ones = " ".join(["1"] * INPUT_DIM)
    return (
        "<Nnet>\n"
        f"<Splice> {INPUT_DIM} {INPUT_DIM}\n[ 0 ]\n"
        f"<AddShift> {INPUT_DIM} {INPUT_DIM}\n<LearnRateCoef> 0 [ {zeros} ]\n"
        f"<Rescale> {INPUT_DIM} {INPUT_DIM}\n<LearnRateCoef> 0 [ {ones} ]\n"
        "</Nnet>\n"
    )
