"""The real recognition pipeline, on stand-in weights: it loads in full, and all variants agree."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import Leakhunt

from leakhunt import Context
from leakhunt.model.run import Ending
from leakhunt.scenario import find
from leakhunt.storage import run_file

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "torchvision", "modelscope", "cv2")),
    reason="the extra image-recognition is not installed",
)
SCENARIO = Path(__file__).parents[3] / "scenarios" / "image_recognition" / "scenario.py"
CALLS = 3


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, Context, Any]]:
    """The scenario, what it was told, and its state after prepare() and setup()."""
    scratch = tmp_path_factory.mktemp("scratch")
    folder = scratch / "naive"
    folder.mkdir()
    context = Context(
        variant="naive",
        calls=CALLS,
        seed=0,
        threads=1,
        device="cpu",
        options={"images": "", "weights": "stand-in"},
        scratch=scratch,
        folder=folder,
    )
    module = find.load(str(SCENARIO))
    facts = module.prepare(context)
    assert facts["weights"].startswith("stand-in weights")
    assert facts["weights_sha256"] == (
        "e82127e7e7906e01264bbb276b221e8caf3ea9ed01de6bc72a42949c96fa2870"
    )
    yield module, context, module.setup(context)
    # 629 MB that nobody needs to look at afterwards.
    (scratch / "image-recognition-stand-in" / "pytorch_model.pt").unlink()


def labels(loaded: tuple[ModuleType, Context, Any], function: str, calls: int) -> list[str]:
    module, _, state = loaded
    variant = getattr(module, function)
    return [
        module.summarize(state, variant(state, module.make_input(state, call)))
        for call in range(calls)
    ]


def test_every_tensor_of_the_network_comes_from_the_file(
    loaded: tuple[ModuleType, Context, Any],
) -> None:
    import torch

    module, context, state = loaded
    stored = module.weights.stored(context.scratch / "image-recognition-stand-in")
    network = state.pipeline.model.state_dict()
    assert set(stored) == set(network) and len(network) == 935
    assert sum(tensor.numel() for tensor in network.values()) == 157_190_775
    assert all(torch.equal(stored[name], tensor) for name, tensor in network.items())


def test_all_variants_give_the_same_labels_and_images_get_labels_of_their_own(
    loaded: tuple[ModuleType, Context, Any],
) -> None:
    expected = labels(loaded, "fixed", CALLS)
    assert len(set(expected)) > 1
    for function in ("naive", "features_kept", "images_open"):
        assert labels(loaded, function, CALLS) == expected, function
    assert labels(loaded, "reload_per_call", 1) == expected[:1]


def test_each_variant_keeps_what_it_says_and_nothing_else(
    loaded: tuple[ModuleType, Context, Any],
) -> None:
    module, _, state = loaded
    for function, features, opened in [
        ("naive", 1, 1),
        ("features_kept", 1, 0),
        ("images_open", 0, 1),
        ("fixed", 0, 0),
        ("reload_per_call", 0, 0),
    ]:
        module.FEATURES.clear()
        module.OPENED.clear()
        labels(loaded, function, 1)
        assert (len(module.FEATURES), len(module.OPENED)) == (features, opened), function
        assert all(tuple(kept.shape) == (1, 2048, 7, 7) for kept in module.FEATURES)
        assert all(not kept.requires_grad for kept in module.FEATURES)
        assert all(not file.closed for file, _ in module.OPENED)
        assert not state.pipeline.model.layer4._forward_hooks


def test_a_run_takes_a_model_directory_and_pictures_of_the_users(
    loaded: tuple[ModuleType, Context, Any], leakhunt: Leakhunt, tmp_path: Path
) -> None:
    module, context, _ = loaded
    mine = tmp_path / "图 <b>"
    mine.mkdir()
    module.images.scene(3).crop((0, 0, 300, 200)).save(mine / "a.png")
    done = leakhunt(
        *("run", "image-recognition:fixed", "--calls", "2", "--threads", "1"),
        *("--option", f"weights={context.scratch / 'image-recognition-stand-in'}"),
        *("--option", f"images={mine}", "--device", "cpu", "--format", "json", "--out", "out"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = run_file.find_run_files([str(tmp_path / "out")])
    run = run_file.load(file)
    assert (run.outcome.ending, run.calls_done) == (Ending.OK, 2)
    assert run.facts["weights"] == "directory image-recognition-stand-in"
    assert run.facts["images"] == "1 image(s) of the user's, in turn"
    assert len(set(run.results.values())) == 1


def test_pictures_that_are_none_are_told_in_one_line(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("this is no image\n")
    done = leakhunt("run", "image-recognition:fixed", "--option", "images=text.jpg", "--out", "out")
    assert done.returncode == 6
    (line,) = done.stderr.splitlines()
    assert line.startswith("leakhunt: ") and "not readable as an image" in line
