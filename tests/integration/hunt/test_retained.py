"""``leakhunt hunt --retained``: the largest holders of a process that has settled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Leakhunt, WriteScenario

import leakhunt as package

EXAMPLE = Path(__file__).parents[3] / "reports/examples/fsmn-vad-run/fixed-shape.run.jsonl"
BODY = """
CACHE = {number: [bytes(1000), [number]] for number in range(4_000)}
class Model:
    weights = [bytearray(6_000_000)]
    def __init__(self):
        self.buffers = [bytearray(3_000_000)]
        self.texts = {number: "text" * 100_000 + str(number) for number in range(4)}
def setup(context):
    return Model()
@variant
def calls(state, item):
    return item
@variant
def others(state, item):
    raise ValueError(item)
"""


@pytest.fixture
def scenario(write_scenario: WriteScenario) -> Path:
    return write_scenario(BODY)


def test_the_holders_are_told_as_a_table_a_page_a_picture_and_json(
    leakhunt: Leakhunt, scenario: Path, tmp_path: Path
) -> None:
    done = leakhunt("hunt", f"{scenario}:calls", "--retained", "--calls=5", "--out=found")
    assert done.returncode == 0, done.stderr
    found = tmp_path / "found"
    assert {"retained.html", "retained.png", "retained.json"} <= {
        one.name for one in found.iterdir()
    }
    assert done.stdout.rstrip().endswith("retained.html")
    (heap,) = json.loads((found / "retained.json").read_bytes())["heaps"]
    sizes = {each["path"]: each["retained_bytes"] for each in heap["holders"]}
    assert 4_300_000 < sizes["made.CACHE"] < 5_500_000
    assert 6_000_000 < sizes["Model.weights"] < 6_010_000
    assert (
        3_000_000 < next(sizes[name] for name in sizes if name.startswith("Model.buf")) < 3_010_000
    )
    assert 1_600_000 < sizes["Model.texts"] < 1_610_000  # a dict that no collector tracks
    # No two holders retain the same, and together they are all that there is.
    assert heap["total_bytes"] == sum(each["retained_bytes"] for each in heap["holders"])
    assert heap["calls"] == 5
    assert heap["total_bytes"] < heap["rss_bytes"]
    assert "made.CACHE" in done.stdout


def test_the_files_are_rendered_again_from_the_run_file(
    leakhunt: Leakhunt, scenario: Path, tmp_path: Path
) -> None:
    done = leakhunt("hunt", f"{scenario}:calls", "--retained", "--calls=2", "--out=found")
    assert done.returncode == 0, done.stderr
    again = leakhunt("report", "found", "--out=again", "--format=html,json")
    assert again.returncode == 0, again.stderr
    assert {one.name for one in (tmp_path / "again").iterdir()} == {
        "retained.html",
        "retained.json",
    }
    for name in ("retained.html", "retained.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "found" / name).read_bytes()
    assert "made.CACHE" in again.stdout and again.stdout.rstrip().endswith("retained.html")
    # With other runs each kind has its own files.
    (tmp_path / "found" / "other.run.jsonl").write_bytes(EXAMPLE.read_bytes())
    both = leakhunt("report", "found", "--out=both", "--format=html")
    assert both.returncode == 0, both.stderr
    assert {one.name for one in (tmp_path / "both").iterdir()} == {"retained.html", "report.html"}
    assert "made.CACHE" in both.stdout and "fixed-shape" in both.stdout
    result = package.report(tmp_path / "found", formats=None)
    assert not result.of_retained_only and "made.CACHE" in result._repr_html_()
    assert "made.CACHE" not in {entry.variant for entry in result.report.entries}


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (["--try", "MALLOC_ARENA_MAX=1"], "--try"),
        (["--with", "memray"], "--with"),
        (["--until-ceiling"], "--until-ceiling"),
        (["--flame"], "--flame"),
        (["--pairs", "3"], "--pairs"),
        (["--resolve"], "--resolve"),
        (["--calls=8", "--warmup=2"], "--warmup"),
    ],
)
def test_options_that_do_not_apply_are_refused_in_one_line(
    leakhunt: Leakhunt, scenario: Path, tmp_path: Path, option: list[str], named: str
) -> None:
    done = leakhunt("hunt", f"{scenario}:calls", "--retained", *option, "--out=found")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"--retained cannot be combined with {named}" in line
    assert not (tmp_path / "found").exists()


def test_a_format_that_it_has_not_is_refused(leakhunt: Leakhunt, scenario: Path) -> None:
    done = leakhunt("hunt", f"{scenario}:calls", "--retained", "--format=junit")
    assert done.returncode == 2
    assert "html, png, json" in done.stderr


def test_a_scenario_that_fails_has_the_exit_code_of_its_own_code(
    leakhunt: Leakhunt, scenario: Path
) -> None:
    done = leakhunt("hunt", f"{scenario}:others", "--retained", "--out=found")
    assert done.returncode == 8
    assert "Not measured" in done.stdout


def test_from_python_it_is_a_function_of_its_own(scenario: Path, tmp_path: Path) -> None:
    result = package.retained(f"{scenario}:calls", calls=3, out=tmp_path / "found", formats=None)
    assert (result.exit_code, result.files, result.interrupted) == (0, (), False)
    first = result.report.heaps[0].holders[0]
    assert first.retained_bytes > 6_000_000
    shown = result._repr_html_()
    assert "Model.weights" in shown and "<script" not in shown
    with pytest.raises(package.LeakhuntError):
        package.retained("no-such-scenario")
