"""The figures as people see them: what is written, what overlaps, what is missing."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from conftest import HOSTILE, MakeRun, hostile_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Interval, RemedyTrial
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.reporting.charts import style
from leakhunt.reporting.charts.curves import curves_figure, curves_svg
from leakhunt.reporting.charts.ledger import ledger_figure, ledger_png, ledger_svg
from leakhunt.reporting.charts.remedies import remedies_figure, remedies_png, remedies_svg
from leakhunt.reporting.charts.remedy_points import BoardPoint, board
from leakhunt.reporting.charts.style import fonts, png, spread_out
from leakhunt.reporting.charts.thinning import MAX_POINTS, decimated, smoothed
from leakhunt.reporting.charts.trendline import trend_line
from leakhunt.reporting.run.tables import remedies

KIB = 1024
MIB = KIB * KIB
CALLS = 200
FIGURES = (curves_figure, ledger_figure, remedies_figure)
MakeFigure = Callable[[Report], Figure]


def variant(make_run: MakeRun, name: str, rate: int = 0, **more: Any) -> Run:
    before = {"rss": 100 * MIB, "live_heap": 50 * MIB, "python_live": MIB, "python_arenas": 2 * MIB,
              "rss_file": 9 * MIB}  # fmt: skip
    end = before | {"rss": 140 * MIB, "live_heap": 50 * MIB + rate * CALLS}
    changes = {"variant": name, "calls": CALLS, "warmup": CALLS // 4}
    return make_run(
        plan_changes=changes | more.pop("plan_changes", {}),
        readings={"start": before, "end": end, "collected": end, "emptied": end,
                  "trimmed": end | {"rss": 120 * MIB}},
        live_heap=[50 * MIB + rate * call for call in range(CALLS)],
        rss=[100 * MIB + rate * call for call in range(CALLS)],
        duration=[20_000_000 + len(name) * 1_000_000] * CALLS,
        **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def usual(make_run: MakeRun) -> Report:
    killed = variant(
        make_run, "killed", 9 * KIB, outcome=Outcome(Ending.KILLED, "SIGKILL", "SIGKILL")
    )
    return assemble(
        [
            variant(make_run, "naive", 64 * KIB, results={0: 1, 1: 2}),
            variant(make_run, "cleaned", 64 * KIB, results={0: 1, 1: 2}),
            variant(make_run, "fixed-shape", 0, results={0: 1, 1: 3}),
            replace(killed, readings=killed.readings[:1]),
        ],
        "test",
    )


def twelve(make_run: MakeRun) -> Report:
    return assemble([variant(make_run, f"variant-{n}", n * KIB) for n in range(12)], "test")


def labels(figure: Figure) -> list[tuple[str, Bbox]]:
    """The texts in the panels, where they are drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    return [
        (text.get_text(), Text.get_window_extent(text, renderer))  # without an arrow
        for axes in figure.axes
        for text in (*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label)
        if text.get_text() and text.get_visible()
    ]


def overlapping(places: Sequence[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    return [
        (one, other)
        for (one, here), (other, there) in combinations(places, 2)
        if here.shrunk(0.98, 0.7).overlaps(there.shrunk(0.98, 0.7))
    ]


@pytest.mark.parametrize("figure", FIGURES)
def test_no_text_lies_over_another(figure: MakeFigure, usual: Report) -> None:
    assert overlapping(labels(figure(usual))) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_twelve_variants_have_room(figure: MakeFigure, make_run: MakeRun) -> None:
    drawn = figure(twelve(make_run))
    found = labels(drawn)
    assert overlapping(found) == []
    width = drawn.get_figwidth() * drawn.dpi
    assert all(box.x0 >= 0 and box.x1 <= width + 1 for _, box in found)


def test_the_ledger_names_every_line_with_its_size_and_sign(usual: Report) -> None:
    svg = ledger_svg(usual).decode()
    for expected in ("freed memory retained by malloc", "unattributed growth", "RSS, total",
                 "+40.0 MiB", "100.0 MiB → 140.0 MiB", "killed (incomplete: killed)"):  # fmt: skip
        assert expected in svg, expected


def test_a_line_that_is_zero_in_every_ledger_is_left_out(make_run: MakeRun) -> None:
    report = assemble([variant(make_run, "naive"), variant(make_run, "other")], "test")
    ledgers = [entry.ledger for entry in report.entries if entry.ledger is not None]
    sizes: dict[str, set[int]] = {}
    for line in (line for ledger in ledgers for line in ledger.lines):
        sizes.setdefault(str(line.title), set()).add(line.size_bytes)
    zero = [title for title, found in sizes.items() if found == {0}]
    assert len(ledgers) == 2 and 0 < len(zero) < len(sizes)
    written = ledger_svg(report).decode()
    assert [title for title in sizes if f">{title}<" not in written] == zero
    assert ">0 B<" not in written


def test_a_run_without_a_ledger_says_so(make_run: MakeRun) -> None:
    assert b"not measured" in ledger_svg(assemble([make_run()], "test"))


def test_what_leaks_has_its_trend_drawn_and_what_does_not_has_none(usual: Report) -> None:
    naive, _, fixed, _ = usual.entries
    line = trend_line(naive, "live_heap")
    assert line is not None
    assert line.calls == (CALLS // 4 + 1, CALLS)
    assert line.heights[1] - line.heights[0] == pytest.approx(64 * KIB * (CALLS - CALLS // 4 - 1))
    assert line.heights[0] == pytest.approx(naive.run.samples["live_heap"][CALLS // 4])
    assert line.lowest[1] <= line.heights[1] <= line.highest[1]
    assert trend_line(fixed, "nothing") is None
    figure = curves_figure(usual)
    assert len(figure.axes[0].collections) == 1 + 2  # the warm-up is a patch; two runs leak


def test_curves_of_other_lengths_end_in_a_dot_and_say_their_calls(make_run: MakeRun) -> None:
    def of(name: str, calls: int) -> Run:
        heap = [50 * MIB + call % 7 for call in range(calls)]
        return make_run(plan_changes={"variant": name}, live_heap=heap, rss=heap)

    first, second = curves_figure(assemble([of("short", 40), of("long", 90)], "test")).axes[:2]
    assert [text.get_text() for text in first.texts][-2:] == ["short (40 calls)", "long (90 calls)"]
    assert [text.get_text() for text in second.texts][-2:] == ["short", "long"]
    ends = [line.get_xdata() for line in first.lines if line.get_marker() == "o"]
    assert [list(np.asarray(each)) for each in ends] == [[40], [90]]
    alike = curves_figure(assemble([of("one", 40), of("other", 40)], "test"))
    assert [text.get_text() for text in alike.axes[0].texts][-2:] == ["one", "other"]


def test_the_memory_limit_is_drawn_where_it_is_in_view(make_run: MakeRun) -> None:
    near = variant(make_run, "naive", MIB, plan_changes={"memory_limit_bytes": 250 * MIB})
    far = variant(make_run, "naive", MIB, plan_changes={"memory_limit_bytes": 9000 * MIB})
    assert b"memory limit of naive: 250.0 MiB" in curves_svg(assemble([near], "test"))
    assert b"memory limit" not in curves_svg(assemble([far], "test"))


def trial(saved: tuple[float, float, float], differing: int = 0) -> RemedyTrial:
    return RemedyTrial(
        variant="naive", remedy="NAME=1", pairs=3, before=64.0 * KIB, after=0.0,
        saved=Interval(*saved), saved_rss_bytes=Interval(0, -1, 1),
        time_ratio=Interval(1.2, 1.1, 1.3), compared=600, differing=differing, sentence="",
    )  # fmt: skip


def test_the_board_has_every_remedy_and_variant_with_its_interval(usual: Report) -> None:
    report = replace(
        usual, trials=(trial((60 * KIB, 59 * KIB, 61 * KIB)), trial((9.0, -9.0, 30.0), 4))
    )
    points = {point.name: point for point in board(report)[:1] + board(report)[2:]}
    assert list(points) == ["naive: NAME=1", "cleaned", "fixed-shape", "killed"]
    assert points["naive: NAME=1"].saves and points["naive: NAME=1"].differs is False
    fixed = points["fixed-shape"]
    assert fixed.saved.low <= fixed.saved.estimate <= fixed.saved.high
    assert fixed.saved.estimate == pytest.approx(64 * KIB, rel=0.01)
    assert fixed.saves and fixed.differs is True
    assert not points["cleaned"].saves
    assert not board(report)[1].saves and board(report)[1].differs is True


def test_remedies_that_save_nothing_at_all_are_drawn_without_a_warning() -> None:
    report = Report("made", (), "", "test", (trial((0.0, 0.0, 0.0)), trial((0.0, 0.0, 0.0))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert b"NAME=1" in remedies_svg(report)


def test_the_board_says_what_the_table_says(usual: Report) -> None:
    table = {row.variant: row.saves for row in remedies(usual)}
    for point in board(usual):
        assert ("of live heap" in table[point.name]) == point.saves


def test_the_picture_says_what_saves_nothing_and_what_changes_results(usual: Report) -> None:
    svg = remedies_svg(usual).decode()
    assert "no significant saving, " in svg
    assert "; results differ" in svg
    assert "saving without" in svg


def test_without_a_remedy_the_board_says_so(make_run: MakeRun) -> None:
    report = assemble([variant(make_run, "naive", KIB)], "test")
    assert board(report) == ()
    assert b"No fix was tried" in remedies_svg(report)


def test_a_reference_that_is_missing_leaves_nothing_to_compare(make_run: MakeRun) -> None:
    assert board(assemble([variant(make_run, "fixed")], "test")) == ()


def test_points_of_one_place_have_an_interval_of_no_length() -> None:
    point = BoardPoint("x", Interval(0, 0, 0), Interval(1, 1, 1), None)
    assert not point.saves


@pytest.mark.parametrize("figure", FIGURES)
def test_hostile_names_are_drawn_as_they_are_and_fit(figure: MakeFigure, make_run: MakeRun) -> None:
    hostile = hostile_run(variant(make_run, "naive", KIB))
    picture = Image.open(io.BytesIO(png(lambda: figure(assemble([hostile], HOSTILE)))))
    assert picture.width == pytest.approx(8 * 150, abs=2)


def test_the_fonts_that_are_installed_are_asked_in_turn() -> None:
    assert fonts({"DejaVu Sans", "SimHei", "WenQuanYi Zen Hei"}) == [
        "DejaVu Sans", "WenQuanYi Zen Hei", "SimHei",
    ]  # fmt: skip
    assert fonts(set()) == ["sans-serif"]


def test_a_character_that_no_font_has_is_said_in_the_picture(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(style, "fonts", lambda installed: ["DejaVu Sans"])
    latin, chinese = (
        assemble([variant(make_run, name, KIB)], "test") for name in ("naive", "内存")
    )
    written: list[str] = []
    write = Figure.text

    def text(figure: Figure, x: float, y: float, expected: str, **more: Any) -> Any:
        written.append(expected)
        return write(figure, x, y, expected, **more)

    monkeypatch.setattr(Figure, "text", text)
    ledger_png(latin)
    assert not any("No font" in expected for expected in written)
    ledger_png(chinese)
    assert any("No font of this machine" in expected for expected in written)
    assert not list(recwarn)


@pytest.mark.parametrize("render", [ledger_png, remedies_png])
def test_the_same_report_gives_the_same_picture(
    render: Callable[[Report], bytes], usual: Report
) -> None:
    assert render(usual) == render(usual)


def test_places_are_pushed_apart_as_little_as_needed() -> None:
    assert spread_out([0.1, 0.9], 0.1) == [0.1, 0.9]
    assert spread_out([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])


@pytest.mark.parametrize("count", [1, 9, MAX_POINTS, MAX_POINTS + 1, 100_003])
def test_a_long_curve_keeps_every_step_and_spike(count: int) -> None:
    values = np.random.default_rng(3).integers(0, 1000, count)
    values[count // 2] = 9_000
    values[count // 3] = -9_000
    places, heights = decimated(values.tolist())
    assert places == sorted(set(places)) and len(places) <= max(MAX_POINTS, 1) + 2
    assert [values[place] for place in places] == heights
    assert min(heights) == min(values) and max(heights) == max(values)


@pytest.mark.parametrize("count", [0, 1, 5, 8, 9, 30, 2000])
def test_smoothing_takes_the_median_of_the_neighbourhood(count: int) -> None:
    values = np.random.default_rng(4).integers(0, 1000, count).tolist()
    slow = [float(np.median(values[max(place - 4, 0) : place + 5])) for place in range(len(values))]
    assert smoothed(values, 4) == slow
