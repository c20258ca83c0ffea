"""The real ModelScope pipeline, on stand-in weights: what the scenario says must hold in bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import Leakhunt, MakeRun, command_line

from leakhunt import Context
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.result_diff import difference
from leakhunt.analysis.verdict.schedule import MAX_WARM_UP_STEPS, WARM_UP_STEP
from leakhunt.analysis.verdict.series import INTERIM_CHECKS
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status
from leakhunt.scenario import find
from leakhunt.storage import run_file

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(find_spec("funasr") is None, reason="the extra fsmn-vad is not installed"),
]
SCENARIO = Path(__file__).parents[3] / "scenarios" / "fsmn_vad" / "scenario.py"
CALLS = 104
HEARD_CALLS = 8
KIB = 1024


def run_pipeline(out: Path, *words: str) -> dict[str, Run]:
    settings = ["--device", "cpu", "--option", "weights=stand-in", "--threads", 2]
    done = command_line(
        ["run", *words, *settings, "--format=json", "--out", out], out.parent, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [run_file.load(file) for file in run_file.find_run_files([str(out)])]
    return {run.plan.variant: run for run in runs}


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One variant that grows with varied lengths, and the one that does not."""
    out = tmp_path_factory.mktemp("varied") / "out"
    return run_pipeline(out, "fsmn-vad:naive,fixed-shape", "--calls", str(CALLS))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Those that grow as `naive` does; each more takes a process that loads the pipeline."""
    out = tmp_path_factory.mktemp("others") / "out"
    return run_pipeline(out, "fsmn-vad:preloaded,chunked", "--calls", str(CALLS))


@dataclass(frozen=True)
class Loaded:
    """The scenario with a pipeline that is loaded once, in this process."""

    module: ModuleType
    context: Context
    state: Any

    def answers(self, function: str, clips: Any, calls: int) -> list[Any]:
        """What a variant hears in these clips, in a session of its own."""
        state = replace(self.state, clips=clips, stream=self.module.Stream())
        variant = getattr(self.module, function)
        return [variant(state, self.module.make_input(state, call)) for call in range(calls)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    scratch, folder = tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("own")
    options = {"lengths": "", "audio": "", "weights": "stand-in", "padding": "one-length"}
    context = Context("naive", HEARD_CALLS, 0, 2, "cpu", options, scratch, folder)
    module = find.load(str(SCENARIO))
    module.prepare(context)
    return Loaded(module, context, module.setup(context))


def grows_by_some_64_kib(run: Run) -> bool:
    rate = judge(run).trends["live_heap"].rate
    return rate is not None and 45 * KIB < rate < 80 * KIB


def test_a_new_length_every_call_grows_the_live_heap_by_some_64_kib(
    varied: dict[str, Run],
) -> None:
    assert grows_by_some_64_kib(varied["naive"])


@pytest.mark.long  # `naive` grows likewise; what these hear is asked of the pipeline in `loaded`
@pytest.mark.parametrize("variant", ["preloaded", "chunked"])
def test_decoded_before_or_in_chunks_it_grows_by_as_much(
    others: dict[str, Run], variant: str
) -> None:
    assert grows_by_some_64_kib(others[variant])
    assert_tells_its_weights(others[variant])


@pytest.mark.long  # hundreds of calls, where `varied` has a hundred; `make gate` hunts one too
def test_the_naive_pipeline_is_known_to_grow_in_native_code_after_a_few_hundred_calls(
    tmp_path: Path,
) -> None:
    run = run_pipeline(tmp_path / "out", "fsmn-vad:naive")["naive"]
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.NATIVE_LEAK)
    assert run.calls_done <= MAX_WARM_UP_STEPS * WARM_UP_STEP + INTERIM_CHECKS[2]
    assert verdict.forecast is not None and not verdict.forecast.comes_within(1000)


def test_one_shape_keeps_the_live_heap_level(varied: dict[str, Run]) -> None:
    trend = judge(varied["fixed-shape"]).trends["live_heap"]
    assert trend.rate is not None
    assert trend.rate < KIB


def test_a_worker_hears_speech_in_every_call(varied: dict[str, Run]) -> None:
    for run in varied.values():
        assert len(run.results) == CALLS
    assert sum(len(segments) for segments in varied["naive"].results.values()) > CALLS
    assert_hears_nearly_the_same(varied["naive"], varied["fixed-shape"])


def test_every_variant_hears_speech_and_preloading_changes_nothing(
    loaded: Loaded, make_run: MakeRun
) -> None:
    def heard(function: str) -> Run:
        answers = loaded.answers(function, loaded.state.clips, HEARD_CALLS)
        return make_run(
            results=dict(enumerate(map(loaded.module.summarize, repeat(loaded.state), answers))),
            plan_changes={"result_kind": loaded.module.RESULT},
        )

    naive = heard("naive")
    assert sum(len(segments) for segments in naive.results.values()) > HEARD_CALLS
    for variant in ("preloaded", "all_fixes"):
        same = difference(naive, heard(variant))
        assert same is not None and (same.compared, same.differing) == (HEARD_CALLS, 0), variant
    for variant in ("chunked", "fixed_shape", "streaming"):
        assert_hears_nearly_the_same(naive, heard(variant))


def assert_hears_nearly_the_same(naive: Run, other: Run) -> None:
    found = difference(naive, other)
    assert found is not None and found.total is not None and found.reference_total
    assert found.compared == len(naive.results)
    assert found.total < 0.1 * found.reference_total


def test_the_weights_and_their_checksum_are_in_every_header(varied: dict[str, Run]) -> None:
    for run in varied.values():
        assert_tells_its_weights(run)


def assert_tells_its_weights(run: Run) -> None:
    assert str(run.facts["weights"]).startswith("stand-in weights")
    assert run.facts["weights_sha256"] == (
        "72ba6cafa5c04196b05debb4d2d9a18a270c71ca4e7d5530c3c34f76e94fc9fd"
    )


@pytest.mark.parametrize("function", ["naive", "preloaded"])
def test_recordings_of_any_rate_and_channel_count_are_taken(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    seconds = np.arange(3 * 44_100) / 44_100
    tone = (0.3 * np.sign(np.sin(2 * np.pi * 150 * seconds))).astype("float32")
    quiet = np.zeros(2 * 44_100, dtype="float32")
    stereo = np.stack([np.concatenate([quiet, tone, quiet])] * 2, axis=1)
    for name in ("a.wav", "b.flac", "c.mp3"):
        soundfile.write(tmp_path / name, stereo, 44_100)
    given = {**loaded.context.options, "audio": str(tmp_path)}
    context = replace(loaded.context, options=given)
    facts = loaded.module.prepare(context)
    assert facts["audio"] == "3 recording(s) of the user's, as-recorded"
    monkeypatch.setattr(loaded.module.vad, "loaded", lambda *_: loaded.state.pipeline)
    for segments in loaded.answers(function, loaded.module.setup(context).clips, 6):
        ((start, end),) = segments
        assert 1500 <= start <= 2100 and 4900 <= end <= 7000


@pytest.mark.long  # the recordings of the test above, through the command line and a worker
def test_a_folder_of_recordings_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    seconds = np.arange(3 * 44_100) / 44_100
    soundfile.write(folder / "a.flac", np.sin(2 * np.pi * 150 * seconds), 44_100)
    words = ("--audio", str(folder), "--calls", "6")
    run = run_pipeline(tmp_path / "out", "fsmn-vad:naive", *words)["naive"]
    assert run.calls_done == 6
    assert str(run.facts["audio"]) == "1 recording(s) of the user's, as-recorded"


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "expected"),
    [
        ("text.wav", b"this is no sound\n", 6, "text.wav: not readable as audio"),
        ("empty.wav", None, 6, "empty.wav: holds no sound"),
        ("zero.wav", b"", 6, "zero.wav: not readable as audio"),
        ("", b"", 2, "missing: file or folder not found"),
    ],
)
def test_audio_that_is_none_is_told_in_one_line(
    leakhunt: Leakhunt,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    exit_code: int,
    expected: str,
) -> None:
    path = tmp_path / (name or "missing")
    if content is None:
        soundfile.write(path, np.zeros(0, dtype="float32"), 16_000)
    elif name:
        path.write_bytes(content)
    done = leakhunt("run", "fsmn-vad:naive", "--audio", path, "--device", "cpu", "--out", "out")
    assert done.returncode == exit_code
    (line,) = done.stderr.splitlines()
    assert line.startswith("leakhunt: ") and expected in line
    assert not (tmp_path / "out").exists()


def test_cuda_is_refused_in_one_line_where_there_is_none(leakhunt: Leakhunt) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = leakhunt("run", "fsmn-vad", "--device", "cuda")
    assert done.returncode == 5
    assert "torch found no CUDA device" in done.stderr
    named = leakhunt("run", "fsmn-vad:kept-cuda-cache", "--option", "weights=stand-in")
    assert named.returncode == 5
    assert "variant kept-cuda-cache does not run on cpu" in named.stderr
