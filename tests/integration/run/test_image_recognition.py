"""The real recognition pipeline, on stand-in weights: it loads in full, and all variants agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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


@pytest.mark.long
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


def test_every_variant_gives_the_same_labels_and_keeps_what_it_says_and_nothing_else(
    loaded: tuple[ModuleType, Context, Any],
) -> None:
    module, _, state = loaded
    expected = labels(loaded, "fixed", CALLS)
    assert len(set(expected)) > 1, "images get labels of their own"
    for function, calls, features, opened in [
        ("naive", CALLS, CALLS, CALLS),
        ("features_kept", CALLS, CALLS, 0),
        ("images_open", CALLS, 0, CALLS),
        ("fixed", 1, 0, 0),
        ("reload_per_call", 1, 0, 0),
    ]:
        module.FEATURES.clear()
        module.OPENED.clear()
        assert labels(loaded, function, calls) == expected[:calls], function
        assert (len(module.FEATURES), len(module.OPENED)) == (features, opened), function
        assert all(tuple(tensor.shape) == (1, 2048, 7, 7) for tensor in module.FEATURES)
        assert all(not tensor.requires_grad for tensor in module.FEATURES)
        assert all(not file.closed for file, _ in module.OPENED)
        assert not state.pipeline.model.layer4._forward_hooks


def test_a_model_directory_and_pictures_of_the_users_are_taken(
    loaded: tuple[ModuleType, Context, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, context, state = loaded
    directory = context.scratch / "image-recognition-stand-in"
    options = {"images": str(mine(tmp_path, module)), "weights": str(directory)}
    own = replace(context, options=options, scratch=tmp_path)
    facts = module.prepare(own)
    assert facts["weights"] == "directory image-recognition-stand-in"
    assert facts["images"] == "1 image(s) of the user's, in turn"
    pipelines = {(directory.resolve(), "cpu"): state.pipeline}
    monkeypatch.setattr(module, "_load", lambda *given: pipelines[given])
    made = module.setup(own)
    assert len(set(labels((module, own, made), "fixed", 2))) == 1


def mine(folder: Path, module: ModuleType) -> Path:
    """A folder with one picture."""
    made = folder / "图 <b>"
    made.mkdir()
    module.images.scene(3).crop((0, 0, 300, 200)).save(made / "a.png")
    return made


# The same through the command line; fsmn-vad and vibevoice-tts run their pipelines in workers too.
@pytest.mark.long
def test_a_run_takes_a_model_directory_and_pictures_of_the_users(
    loaded: tuple[ModuleType, Context, Any], leakhunt: Leakhunt, tmp_path: Path
) -> None:
    module, context, _ = loaded
    done = leakhunt(
        *("run", "image-recognition:fixed", "--calls", "2", "--threads", "1"),
        *("--option", f"weights={context.scratch / 'image-recognition-stand-in'}"),
        *(
            "--option",
            f"images={mine(tmp_path, module)}",
            "--device",
            "cpu",
            "--format",
            "json",
            "--out",
            "out",
        ),
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
