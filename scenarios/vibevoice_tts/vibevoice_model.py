"""Where the VibeVoice model comes from: a small stand-in, or a directory with real weights.

Both load through transformers' own `from_pretrained`. The stand-in has the parts of the published
1.5B model: a Qwen2 language model with its byte-level tokenizer, the diffusion head, the acoustic
tokenizer, the semantic encoder and the connectors. Whatever decides how many bytes a second of
speech is made of is as published: 24 kHz, 3200 samples a frame, latents of 64 numbers, 10 steps of
denoising. Only hidden widths and depths are small, and weights are random numbers of a seed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leakhunt.errors import BadFile, UsageError

RATE_HZ = 24_000
VOICE_SECONDS = 0.8
SEED = 20251

END, SPEECH_BEGIN, SPEECH_END, SPEECH = (
    "<|endoftext|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
)
# The prompt as the model's authors lay it out: what to do, the voice, the text, then speech.
INSTRUCTION = (
    " Transform the text provided by various speakers into speech output,"
    " utilizing the distinct voice of each respective speaker.\n"
)
CHAT_TEMPLATE = (
    "{{ ' Transform the text provided by various speakers into speech output,"
    " utilizing the distinct voice of each respective speaker.\\n' }}"
    "{%- for message in messages -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'audio' -%}"
    "{{ ' Voice input:\\n Speaker ' ~ message['role'] ~ ':"
    f"{SPEECH_BEGIN}{SPEECH}{SPEECH_END}\\n' }}}}"
    "{%- endif -%}{%- endfor -%}{%- endfor -%}"
    "{{ ' Text input:\\n' }}"
    "{%- for message in messages -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}"
    "{{ ' Speaker ' ~ message['role'] ~ ': ' ~ part['text'] ~ '\\n' }}"
    "{%- endif -%}{%- endfor -%}{%- endfor -%}"
    f"{{{{ ' Speech output:\\n{SPEECH_BEGIN}' }}}}"
)

HIDDEN = 64
VOCABULARY = 512
# Seven stages as published, each of one block in place of three to eight; two filters, not 32.
TOKENIZER = {"num_filters": 2, "depths": [1] * 7}
# Convolutions this narrow fade a signal out at the published 0.01.
TOKENIZER_SPREAD = 0.3
LOUDNESS = 0.1
# The first number of every embedding is this large, and speech frames are scored by it alone: the
# stand-in speaks until the service's limit of frames, as long as the text asks for.
STEER = 5.0

Sound = npt.NDArray[np.float32]


def obtain(choice: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A model directory and the facts about it that every report must show.

    `choice` is ``stand-in`` or the path of a directory as transformers saves it.

    Raises:
        UsageError: `choice` is neither.
        BadFile: the directory holds no weights.
    """
    if choice == "stand-in":
        directory = folder / "vibevoice-stand-in"
        save_stand_in(directory)
        parameters = sum(part["numbers"] for part in _tensors(directory))
        told = f"stand-in weights, small and random: {parameters:,} parameters, seed {SEED}"
        return directory, {"weights": told, "weights_sha256": checksum(directory)}
    directory = Path(choice)
    if not directory.is_dir():
        raise UsageError(f"weights={choice!r}: no such directory; use stand-in or a directory")
    return directory, {
        "weights": f"directory {directory.name}",
        "weights_sha256": checksum(directory),
    }


def checksum(directory: Path) -> str:
    """SHA-256 over the names, shapes and bytes of all tensors.

    Raises:
        BadFile: no ``*.safetensors`` in the directory.
    """
    digest = hashlib.sha256()
    for part in _tensors(directory):
        digest.update(f"{part['name']} {part['shape']}\n".encode())
        digest.update(part["bytes"])
    return digest.hexdigest()


def _tensors(directory: Path) -> list[dict[str, Any]]:
    import torch
    from safetensors import safe_open

    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise BadFile(f"{directory}: no *.safetensors in this model directory; check the path")
    parts = []
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            for name in sorted(opened.keys()):
                tensor = opened.get_tensor(name)
                raw = tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
                shape = tuple(tensor.shape)
                parts.append(
                    {"name": name, "shape": shape, "bytes": raw, "numbers": tensor.numel()}
                )
    return sorted(parts, key=lambda part: str(part["name"]))


def save_stand_in(directory: Path) -> None:
    """Make the stand-in and leave it in `directory`, which `from_pretrained` then reads."""
    import torch
    from transformers import (
        VibeVoiceAcousticTokenizerFeatureExtractor,
        VibeVoiceForConditionalGeneration,
        VibeVoiceProcessor,
    )

    tokenizer = _tokenizer()
    processor = VibeVoiceProcessor(
        VibeVoiceAcousticTokenizerFeatureExtractor(),
        tokenizer,
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(SEED)
    model = VibeVoiceForConditionalGeneration(_config(tokenizer)).eval()
    with torch.no_grad():
        _steer(model)
        _set_loudness(model)
    model.generation_config.noise_scheduler_class = "DPMSolverMultistepScheduler"
    model.save_pretrained(directory)
    processor.save_pretrained(directory)


def _tokenizer() -> Any:
    """A Qwen2 tokenizer, trained on the prompt alone: unknown words come in pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    prompt = f"{INSTRUCTION} Voice input:\n Text input:\n Speaker 0: Speech output:\n"
    trained.train_from_iterator([prompt] * 2, trainer)
    words = json.loads(trained.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=words["vocab"],
        merges=[tuple(merge) for merge in words["merges"]],
        extra_special_tokens=[SPEECH_BEGIN, SPEECH_END, SPEECH],
    )


def _config(tokenizer: Any) -> Any:
    from transformers import VibeVoiceConfig

    end, begin_speech, end_speech, speech = tokenizer.convert_tokens_to_ids(
        [END, SPEECH_BEGIN, SPEECH_END, SPEECH]
    )
    tower = TOKENIZER | {"initializer_range": TOKENIZER_SPREAD}
    return VibeVoiceConfig(
        audio_config={"model_type": "vibevoice_acoustic_tokenizer", **tower},
        semantic_model_config={
            "model_type": "vibevoice_acoustic_tokenizer_encoder",
            "hidden_size": 128,
            **tower,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        diffusion_head_config={"intermediate_size": 2 * HIDDEN, "num_hidden_layers": 1},
        pad_token_id=end,
        eos_token_id=end,
        audio_bos_token_id=begin_speech,
        audio_eos_token_id=end_speech,
        audio_token_id=speech,
    )


def _steer(model: Any) -> None:
    model.model.language_model.embed_tokens.weight[:, 0] = STEER
    model.model.multi_modal_projector.linear_2.bias[0] = STEER
    model.lm_head.weight.zero_()
    model.lm_head.weight[model.config.audio_token_id, 0] = 1.0


def _set_loudness(model: Any) -> None:
    """Scale the decoder's last layer so that sound is heard, in place of being rounded to zero."""
    import torch

    latents = torch.randn(1, 8, model.config.audio_config.hidden_size)
    head = model.model.audio_tower.decoder.head.conv
    head.bias.zero_()
    head.weight.mul_(LOUDNESS / model.model.audio_tower.decode(latents).audio.std())


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with its processor. `generation` is what every call of `generate` is given."""

    model: Any
    processor: Any
    generation: dict[str, Any]


def load(directory: Path, device: str, generation: dict[str, Any]) -> Loaded:
    """Load the directory as a service does, and check that nothing was left at random.

    Raises:
        BadFile: a tensor is missing, of another shape, or not of this model.
    """
    import transformers
    from transformers import AutoProcessor, VibeVoiceForConditionalGeneration

    transformers.logging.disable_progress_bar()
    model, told = VibeVoiceForConditionalGeneration.from_pretrained(
        directory, output_loading_info=True, local_files_only=True
    )
    for problem, names in told.items():
        if names:
            raise BadFile(
                f"{directory.name}: {problem.replace('_', ' ')}: {sorted(map(str, names))[0]};"
                " use weights made for this model"
            )
    processor = AutoProcessor.from_pretrained(directory, local_files_only=True)
    return Loaded(model.to(device).eval(), processor, generation)


def voice() -> Sound:
    """The speaker's sample that every request clones: `VOICE_SECONDS` of a hum, float32."""
    time = np.arange(round(VOICE_SECONDS * RATE_HZ)) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 140 * order * time) / order for order in range(1, 9))
    sound: Sound = (0.1 * hum * np.hanning(len(time))).astype(np.float32)
    return sound
