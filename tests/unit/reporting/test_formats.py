"""Which files of a report are written, and the samples as CSV and Parquet."""

from __future__ import annotations

import csv
import io
from array import array
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from conftest import HOSTILE, MakeRun, hostile_run, steering_in, write_run
from pyarrow import parquet

from leakhunt.analysis.report import assemble
from leakhunt.cli.main import main
from leakhunt.cli.notes import Notes
from leakhunt.engine import formats
from leakhunt.engine.formats import renderers_named
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.reporting.registry import RENDERERS, RunRenderer
from leakhunt.reporting.run.samples import KEYS, samples_csv, samples_parquet
from leakhunt.text.controls import written_out

# What is written where nothing is asked for.
FOUR = ("html", "png", "md", "json")
ROWS = [(1000 + call, 5_000_000) for call in range(12)]


def names(renderers: tuple[RunRenderer, ...]) -> list[str]:
    return [renderer.file_name for renderer in renderers]


def test_formats_are_written_once_each_and_the_page_first() -> None:
    assert names(renderers_named("csv, HTML,csv")) == ["report.html", "samples.csv"]
    assert renderers_named("all") == RENDERERS


def test_a_file_is_written_under_one_name_only() -> None:
    files = names(RENDERERS)
    assert sorted(set(files)) == sorted(files)


@pytest.mark.parametrize("formats", ["pdf", "html,pdf", "all,pdf", "", "html,"])
def test_an_unknown_format_is_refused_with_the_known_ones(formats: str) -> None:
    with pytest.raises(UsageError, match=r"html, png, .*, parquet .*or all") as raised:
        renderers_named(formats)
    assert "\n" not in str(raised.value)


def test_a_format_whose_extra_is_missing_is_refused_or_with_all_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = replace(RENDERERS[0], requires=())
    missing = RunRenderer(
        "holo", "x.holo", samples_csv, requires=("no_such_module",), extra="frames"
    )
    monkeypatch.setattr(formats, "RENDERERS", (here, missing))
    monkeypatch.setattr(formats, "formats", lambda: ("html", "holo"))
    with pytest.raises(MissingRequirement, match=r"no_such_module.*leakhunt-ml\[frames\]"):
        renderers_named("holo")
    assert renderers_named("all", Notes()) == (here,)
    assert "skipped: holo needs no_such_module" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ([], {each.file_name for each in RENDERERS if each.format in FOUR}),
        (["--format", "junit,html,csv"], {"report.html", "junit.xml", "samples.csv"}),
    ],
)
def test_report_writes_what_was_asked_for_and_tells_the_page_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], written: set[str]
) -> None:
    file = write_run(tmp_path / "naive.run.jsonl", ROWS)
    out = tmp_path / "out"
    assert main(["report", str(file), "--out", str(out), *options]) == 0
    assert {path.name for path in out.iterdir()} == written
    output = capsys.readouterr().out.splitlines()
    assert output[-1] == str(out / "report.html")
    assert {Path(line).name for line in output[-len(written) :]} == written


def test_an_unknown_format_ends_the_command_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_run(tmp_path / "naive.run.jsonl", ROWS)
    for command in (["report", str(file)], ["run", "null"], ["hunt", "null"]):
        out = tmp_path / "out"
        assert main([*command, "--out", str(out), "--format", "pdf"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not out.exists()


def test_a_place_that_takes_no_samples_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_run(tmp_path / "naive.run.jsonl", ROWS)
    (tmp_path / "samples.csv").mkdir()
    assert main(["report", str(file), "--format", "csv"]) == 7
    assert "samples.csv: Is a directory" in capsys.readouterr().err


def report_on(*runs: Run) -> Report:
    return assemble(runs, "leakhunt test")


@pytest.fixture
def mixed(make_run: MakeRun) -> Report:
    """Two runs of the same variant, of which one read no live heap and was killed early."""
    whole = make_run(rss=range(100, 108), live_heap=range(8), duration=[7] * 8)
    short = make_run(rss=[1, 2, 3])
    return report_on(whole, replace(short, outcome=hostile_run(short).outcome))


def csv_frame(report: Report) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(samples_csv(report)))


def parquet_frame(report: Report) -> pandas.DataFrame:
    return pandas.read_parquet(io.BytesIO(samples_parquet(report)))


def test_a_row_of_the_samples_is_a_sample(mixed: Report) -> None:
    frame = csv_frame(mixed)
    assert list(frame) == [*KEYS, "rss", "live_heap", "duration"]
    assert list(frame["run"]) == [0] * 8 + [1] * 3
    assert list(frame["call"]) == [*range(1, 9), 1, 2, 3]
    assert list(frame["sample"]) == [*range(8), 0, 1, 2]
    assert list(frame["judged"]) == [
        sample >= entry.run.judged_from
        for entry in mixed.entries
        for sample in range(entry.run.samples_done)
    ]
    assert list(frame["rss"]) == [*range(100, 108), 1, 2, 3]
    assert frame["live_heap"].isna().sum() == 3


def test_parquet_says_the_same_as_csv_and_the_units(mixed: Report) -> None:
    frame = parquet_frame(mixed)
    pandas.testing.assert_frame_equal(frame, csv_frame(mixed), check_dtype=False)
    assert str(frame["judged"].dtype) == "bool" and str(frame["rss"].dtype) == "int64"
    schema = parquet.read_schema(io.BytesIO(samples_parquet(mixed)))
    units = {name: (schema.field(name).metadata or {}).get(b"unit") for name in schema.names}
    assert (units["rss"], units["call"]) == (b"bytes", None)


def test_calls_are_those_that_the_samples_stand_for(make_run: MakeRun) -> None:
    run = replace(make_run(rss=[5, 6, 7]), calls=array("q", [1, 101, 1101]))
    for frame in (csv_frame(report_on(run)), parquet_frame(report_on(run))):
        assert list(frame["call"]) == [1, 101, 1101]


def test_no_sample_leaves_the_names_alone(make_run: MakeRun) -> None:
    report = report_on(make_run())
    assert samples_csv(report) == f"{','.join(KEYS)},live_heap,rss\r\n".encode()
    assert len(parquet_frame(report)) == 0


def test_no_measured_run_leaves_the_keys_alone() -> None:
    assert samples_csv(report_on()) == f"{','.join(KEYS)}\r\n".encode()
    assert list(parquet_frame(report_on())) == list(KEYS)


def test_hostile_names_stay_in_their_cell(make_run: MakeRun) -> None:
    report = report_on(hostile_run(make_run(rss=[1, 2])))
    escaped = HOSTILE.encode("utf-8", "backslashreplace").decode()
    content = samples_csv(report)
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="")
    _, *rows = csv.reader(text)
    shown = written_out(HOSTILE)
    assert [row[1:3] for row in rows] == [[shown, shown]] * 2
    assert "\\x00\\x1b[31m\\ud800 内存泄漏\\x0d\n=1+1\\x00\\x01" in shown
    assert steering_in(content) <= {"\r"}  # of the line ends
    assert list(parquet_frame(report)["variant"]) == [escaped] * 2


def test_a_series_named_as_a_key_has_a_column_of_its_own(make_run: MakeRun) -> None:
    report = report_on(make_run(call=[8, 9], rss=[1, 2]))
    for frame in (csv_frame(report), parquet_frame(report)):
        assert list(frame)[-2:] == ["series call", "rss"]
        assert (list(frame["call"]), list(frame["series call"])) == ([1, 2], [8, 9])
