"""transformers' own VibeVoice on stand-in weights: it loads whole, speaks, keeps what is said."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import Leakhunt, only_run

from leakhunt import Context
from leakhunt.scenario import find

FOLDER = Path(__file__).parents[3] / "scenarios" / "vibevoice_tts"
pytestmark = pytest.mark.skipif(
    find_spec("transformers") is None or find_spec("torch") is None,
    reason="the extra vibevoice-tts is not installed",
)
OPTIONS = {"weights": "stand-in", "scheduler": "own", "texts": "varied"}
SHA256 = "c2ebab5df31cc1e18dafbbd716d13b4efa353c3475d6645098917299aef01429"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return find.load(str(FOLDER / "scenario.py"))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, module: ModuleType) -> Context:
    scratch, folder = tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("own")
    made = Context("naive", 3, 0, 2, "cpu", OPTIONS, scratch, folder)
    module.prepare(made)
    return made


@pytest.fixture(scope="module")
def state(module: ModuleType, context: Context) -> Iterator[Any]:
    made = module.setup(context)
    yield made
    module.teardown(made)


@pytest.fixture
def lists() -> Iterator[SimpleNamespace]:
    """The service's lists, empty before and after."""
    service = sys.modules["vibevoice_service"]
    service_lists = SimpleNamespace(results=service.RESULTS, latents=service.LATENTS)
    yield service_lists
    service_lists.results.clear()
    service_lists.latents.clear()


def test_the_real_classes_are_loaded_and_no_weight_is_left_at_random(
    state: Any, context: Context
) -> None:
    from safetensors.torch import load_file

    loaded = state.speaker.loaded
    assert type(loaded.model).__module__ == "transformers.models.vibevoice.modeling_vibevoice"
    names = [type(part).__name__ for part in (loaded.processor, loaded.processor.tokenizer)]
    assert names == ["VibeVoiceProcessor", "Qwen2Tokenizer"]
    stored = load_file(context.scratch / "vibevoice-stand-in" / "model.safetensors")
    weights = loaded.model.state_dict()
    assert stored.keys() == weights.keys() and len(stored) > 200
    assert all(bool((stored[name] == weights[name]).all()) for name in stored)


def test_what_decides_the_bytes_of_a_second_is_as_published(state: Any) -> None:
    from transformers import VibeVoiceConfig

    published, ours = VibeVoiceConfig(), state.speaker.loaded.model.config
    assert ours.audio_config.hop_length == published.audio_config.hop_length == 3200
    assert ours.audio_config.hidden_size == published.audio_config.hidden_size == 64
    extractor = state.speaker.loaded.processor.feature_extractor
    assert extractor.sampling_rate == sys.modules["vibevoice_model"].RATE_HZ


def test_weights_that_are_not_whole_are_refused(context: Context, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    from leakhunt.errors import BadFile

    weights = sys.modules["vibevoice_model"]
    damaged = tmp_path / "damaged"
    shutil.copytree(context.scratch / "vibevoice-stand-in", damaged)
    tensors = load_file(damaged / "model.safetensors")
    tensors.pop("lm_head.weight")
    save_file(tensors, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadFile, match=r"damaged: missing keys: lm_head\.weight"):
        weights.load(damaged, "cpu", {})


def test_every_variant_answers_alike_and_keeps_only_what_it_says(
    state: Any, module: ModuleType, context: Context, lists: SimpleNamespace
) -> None:
    answers, left = {}, {}
    for name in ("naive", "latents_kept", "results_kept", "threads_never_joined",
                 "temp_files_left", "fixed"):  # fmt: skip
        files = len(list(context.folder.iterdir()))
        sizes = len(lists.latents), len(lists.results)
        answers[name] = getattr(module, name)(state, "Amber Birch")
        left[name] = (
            len(lists.latents) - sizes[0] > 0,
            len(lists.results) - sizes[1],
            len(list(context.folder.iterdir())) - files,
        )
    assert len(set(answers.values())) == 1
    assert left == {
        "naive": (True, 1, 1),
        "latents_kept": (True, 0, 0),
        "results_kept": (False, 1, 0),
        "threads_never_joined": (False, 0, 0),
        "temp_files_left": (False, 0, 1),
        "fixed": (False, 0, 0),
    }
    assert module.audio_seconds(state, "Amber Birch") == pytest.approx(0.8)
    assert max(answers["naive"][44:]) > 0, "it is silent"


def test_the_latents_of_every_frame_and_step_are_kept(
    state: Any, module: ModuleType, lists: SimpleNamespace
) -> None:
    module.latents_kept(state, "Amber")
    frames, steps = 3, 10
    assert len(lists.latents) == frames * steps
    assert {tuple(latents.shape) for latents in lists.latents} == {(2, 64)}
    assert not any(latents.requires_grad for latents in lists.latents), "generate holds no_grad"


def test_a_thread_left_waiting_answers_alike(
    state: Any, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = threading.Event()
    monkeypatch.setattr(sys.modules["vibevoice_service"], "Event", lambda: taken)
    try:
        assert module.threads_left_waiting(state, "Opal") == module.fixed(state, "Opal")
    finally:
        taken.set()


def test_the_fixed_service_speaks_a_text_once_and_remembers_eight(
    state: Any, module: ModuleType
) -> None:
    spoken = state.fixed._spoken
    spoken.cache_clear()
    for call in range(12):
        module.fixed(state, module.WORDS[call % 3])
    assert (spoken.cache_info().misses, spoken.cache_info().hits) == (3, 9)
    for word in module.WORDS[3:12]:
        module.fixed(state, word)
    assert spoken.cache_info().currsize == 8


def test_our_scheduler_finds_what_the_noise_was_laid_on(module: ModuleType) -> None:
    """With the true velocity at every step, the sampler ends at the clean latents exactly."""
    import math

    import torch

    from_scheduler = sys.modules["vibevoice_scheduler"]
    ours = from_scheduler.CosineScheduler()
    ours.set_timesteps(num_inference_steps=10)
    assert len(ours.timesteps) == 10 and int(ours.timesteps[0]) == 999
    clean = torch.linspace(-2, 2, 64, dtype=torch.float64)[None]
    noise = torch.sin(7 * clean)
    shares = from_scheduler.kept_share()
    signal = math.sqrt(shares[999])
    noisy = signal * clean + math.sqrt(1 - shares[999]) * noise
    for at in ours.timesteps:
        signal, level = math.sqrt(shares[int(at)]), math.sqrt(1 - shares[int(at)])
        noisy = ours.step(signal * noise - level * clean, at, noisy).prev_sample
    assert float((noisy - clean).abs().max()) < 1e-9


def test_diffusers_is_asked_for_in_one_line_where_it_is_missing(
    module: ModuleType, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leakhunt.errors import MissingRequirement

    def missing(name: str) -> str:
        raise module.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.metadata, "version", missing)
    with pytest.raises(MissingRequirement, match="pip install diffusers"):
        module.prepare(replace(context, options=OPTIONS | {"scheduler": "diffusers"}))


@pytest.mark.long
def test_the_command_line_runs_it_and_says_what_the_weights_are(
    leakhunt: Leakhunt, tmp_path: Path
) -> None:
    done = leakhunt(
        "run",
        "vibevoice-tts:fixed",
        "--device",
        "cpu",
        "--threads",
        2,
        "--calls",
        3,
        "--format=json",
        "--out",
        "out",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(tmp_path / "out")
    assert str(run.facts["weights"]).startswith("stand-in weights")
    assert run.facts["weights_sha256"] == SHA256
    assert run.calls_done == 3 and sum(run.samples["audio"]) > 0
    assert all(length > 44 for length, _ in run.results.values())
