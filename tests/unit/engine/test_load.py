"""Run files from Python: what `leakhunt.load` gives, and how it shows itself."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest
from conftest import MakeRun, hostile_run, write_run

import leakhunt
from leakhunt.analysis.verdict import judge
from leakhunt.engine.loaded_run import LoadedRun
from leakhunt.errors import BadFile, MissingRequirement, NothingMeasured, UsageError
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status
from leakhunt.reporting.run.notebook import card
from leakhunt.reporting.run.tables import trend_cell
from leakhunt.storage import run_file

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"
NAIVE = EXAMPLES / "fsmn-vad-cpu" / "naive.run.jsonl"
WATCHED = EXAMPLES / "fsmn-vad-hunt" / "naive.under-memray.run.jsonl"
ROWS = [(1_000_000 + call, 5_000_000) for call in range(12)]


def loaded(run: Run) -> LoadedRun:
    return LoadedRun(**{field.name: getattr(run, field.name) for field in fields(run)})


def test_a_loaded_run_is_the_run_of_its_file() -> None:
    run = leakhunt.load(NAIVE)
    plain = run_file.load(NAIVE)
    assert isinstance(run, Run)
    assert all(getattr(run, field.name) == getattr(plain, field.name) for field in fields(plain))
    assert run.verdict == judge(plain)
    assert run.verdict is run.verdict
    assert run.ledger is not None and run.ledger.growth_bytes > 0
    assert repr(run) == "<LoadedRun fsmn-vad:naive, 250 calls, ok>"


def test_a_changed_run_is_judged_anew() -> None:
    run = leakhunt.load(NAIVE)
    assert run.verdict.status is Status.LEAK
    flat = {**run.samples, **dict.fromkeys(run.samples, [5] * 250)}
    assert replace(run, samples=flat).verdict.status is not Status.LEAK


def pickled(run: Run) -> Any:
    return pickle.loads(pickle.dumps(run))  # noqa: S301


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_says_the_same(copied: Callable[[Run], Any]) -> None:
    run = leakhunt.load(NAIVE)
    again = copied(run)
    assert again == run
    assert again.verdict == run.verdict


def test_a_folder_with_one_run_is_that_run(tmp_path: Path) -> None:
    file = write_run(tmp_path / "naive.run.jsonl", ROWS)
    for place in (tmp_path, str(tmp_path), file, str(file)):
        assert leakhunt.load(place).calls_done == 12


def test_a_folder_with_several_is_no_run_but_a_list(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_run(tmp_path / f"{name}.run.jsonl", ROWS, variant=name)
    with pytest.raises(UsageError, match=r"3 run files \(a\.run\.jsonl, b\.run\.jsonl \.\.\.\)"):
        leakhunt.load(tmp_path)
    assert [run.plan.variant for run in leakhunt.load_all(tmp_path)] == ["a", "b", "c"]
    assert {type(run) for run in leakhunt.load_all(tmp_path)} == {LoadedRun}


def test_errors_are_those_of_the_command_line_in_one_line(tmp_path: Path) -> None:
    foreign = tmp_path / "x.run.jsonl"
    foreign.write_text("hello\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    for read in (leakhunt.load, leakhunt.load_all):
        for place, kind in (
            (foreign, BadFile),
            (tmp_path, BadFile),
            (empty, NothingMeasured),
            (tmp_path / "nowhere", UsageError),
        ):
            with pytest.raises(kind) as raised:
                read(place)
            assert "\n" not in str(raised.value) and str(place) in str(raised.value)


def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    file = tmp_path / "cut.run.jsonl"
    file.write_bytes(NAIVE.read_bytes()[:20_000])
    run = leakhunt.load(file)
    assert 0 < run.calls_done < 250
    assert run.damaged_lines == 1
    assert len(run.to_frame()) == run.calls_done
    assert "no footer" in run._repr_html_()


def test_a_frame_has_a_row_a_sample_and_a_column_a_series() -> None:
    run = leakhunt.load(NAIVE)
    frame = run.to_frame()
    assert list(frame) == [*run.samples, "judged"]
    assert (frame.index.name, list(frame.index)) == ("call", list(run.calls))
    for name, values in run.samples.items():
        assert list(frame[name]) == list(values)
    assert list(frame["judged"]) == [place >= run.judged_from for place in range(250)]
    assert frame["judged"].dtype == bool
    assert frame.attrs["units"] == {each.name: str(each.unit) for each in run.series}
    assert (frame.attrs["scenario"], frame.attrs["variant"]) == ("fsmn-vad", "naive")


def test_a_frame_is_its_own_the_run_stays_as_it_was() -> None:
    run = leakhunt.load(NAIVE)
    first = run.samples["rss"][0]
    frame = run.to_frame()
    frame.iloc[:, 0] = 0
    assert run.samples["rss"][0] == first


def test_a_frame_keeps_its_units_in_parquet(tmp_path: Path) -> None:
    frame = leakhunt.load(NAIVE).to_frame()
    frame.to_parquet(tmp_path / "x.parquet")
    assert pandas.read_parquet(tmp_path / "x.parquet").attrs == frame.attrs


def test_a_run_without_a_sample_gives_a_frame_without_a_row(make_run: MakeRun) -> None:
    frame = loaded(make_run()).to_frame()
    assert (len(frame), list(frame)) == (0, ["live_heap", "rss", "judged"])


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingRequirement, match=r"pip install 'leakhunt-ml\[frames\]'"):
        leakhunt.load(NAIVE).to_frame()


def test_a_watched_run_is_shown_and_not_judged() -> None:
    run = leakhunt.load(WATCHED)
    with pytest.raises(UsageError, match="instrumented by memray"):
        _ = run.verdict
    assert "instrumented by memray for 250 calls; not judged" in run._repr_html_()
    assert len(run.to_frame()) == 250
    assert repr(run) == "<LoadedRun fsmn-vad:naive (memray), 250 calls, ok>"


class Elements(HTMLParser):
    """The elements of a card with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def points(elements: Elements) -> list[tuple[float, float]]:
    pairs = (elements.found["polyline"]["points"] or "").split()
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in pairs)]


def test_a_card_tells_variant_verdict_rate_and_curve() -> None:
    run = leakhunt.load(NAIVE)
    shown = Elements(run._repr_html_())
    assert "fsmn-vad:naive" in shown.text
    assert "▲ leak in native code" in shown.text
    assert str(run.verdict.sentence) in shown.text
    assert f"live heap per call: {trend_cell(run.verdict.trends['live_heap'])}" in shown.text
    assert shown.found["svg"]["role"] == "img"
    drawn = points(shown)
    assert len(drawn) == 250
    assert all(0 < x <= 320 and 0 <= y <= 60 for x, y in drawn)
    assert drawn[-1][1] < drawn[0][1]  # what grows ends further up
    warm_up = run.calls[run.judged_from - 1]
    assert float(shown.found["rect"]["width"] or 0) == pytest.approx(320 * warm_up / 250, abs=0.1)


def test_a_card_shows_rss_where_no_heap_was_read_and_lies_flat_where_nothing_moves(
    make_run: MakeRun,
) -> None:
    run = make_run(rss=[1 << 20] * 40)
    shown = Elements(card(run, judge(run)))
    assert "RSS: 1.00 MiB and up to 0 B more, in 40 calls" in shown.text
    assert {y for _, y in points(shown)} == {30.0}


def test_a_card_without_a_sample_has_no_curve(make_run: MakeRun) -> None:
    run = make_run()
    shown = Elements(card(run, judge(run)))
    assert "svg" not in shown.found
    assert "Not measured" in shown.text


def test_a_card_of_many_samples_stays_small_and_keeps_the_spike(make_run: MakeRun) -> None:
    heights = [1000] * 50_000
    heights[25_000] = 9_000_000
    run = make_run(live_heap=heights)
    text = card(run, None)
    assert len(text) < 20_000
    assert min(y for _, y in points(Elements(text))) == pytest.approx(3)


def test_nothing_from_outside_becomes_markup(make_run: MakeRun) -> None:
    run = hostile_run(make_run(live_heap=range(40)))
    text = loaded(run)._repr_html_()
    shown = Elements(text)
    assert set(shown.found) == {"div", "strong", "br", "svg", "rect", "polyline", "small"}
    assert "<script>alert(1)</script>" in shown.text
    assert "\\x1b[31m\\ud800 内存泄漏" in shown.text
    text.encode("utf-8")


def test_asking_for_load_loads_no_frames() -> None:
    code = "import sys, leakhunt; leakhunt.load; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "leakhunt.engine.loaded_run" in modules
    assert not {"pandas", "pyarrow", "matplotlib", "torch", "jinja2", "rich"} & set(modules)
    assert {"load", "load_all"} <= set(leakhunt.__all__)
