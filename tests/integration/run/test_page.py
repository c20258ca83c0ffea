"""The HTML report in a real browser: what it draws, how it is used, what it asks of anyone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE_SECONDS, MakeRun

from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.reporting.run.html_page import render
from leakhunt.storage import run_file

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"

HOSTILE = (
    """<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"'&</script>$x^2$中文"""
)
KIB = 1024
MIB = KIB * KIB
CALLS = 300
LIMIT = 300 * MIB
Page = Any
OpenPage = Callable[..., Page]


def grown(make_run: MakeRun, name: str, rate: int, calls: int = CALLS, **more: Any) -> Run:
    changes = {"variant": name, "calls": calls, "warmup": CALLS // 3, "memory_limit_bytes": LIMIT}
    return make_run(
        plan_changes=changes,
        live_heap=[50 * MIB + rate * call for call in range(calls)],
        rss=[100 * MIB + rate * call for call in range(calls)],
        python_blocks=[5000] * calls,
        duration=[20_000_000] * calls,
        audio=[30_000_000_000] * calls,
        **more,
    )


@pytest.fixture
def report(make_run: MakeRun) -> Report:
    """A leak, a remedy, and a run that was killed at the limit."""
    killed = Outcome(Ending.KILLED, "SIGKILL", "SIGKILL")
    runs = [
        grown(make_run, "naive", 64 * KIB),
        grown(make_run, "fixed", 0),
        grown(make_run, "worse", 900 * KIB, calls=220, outcome=killed),
    ]
    return assemble(runs, "leakhunt test")


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[OpenPage]:
    """Open a report; afterwards there was no complaint and no request to anywhere."""
    texts: list[str] = []
    contexts = []

    def open_report(report: Report, drawn: bool = True, **context: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_bytes(render(report))
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("console", lambda message: texts.append(message.text))
        page.on("pageerror", lambda error: texts.append(str(error)))
        page.on("dialog", lambda dialog: texts.append(dialog.message))
        page.on("request", lambda request: texts.append(request.url))
        page.goto(file.as_uri())
        texts.remove(file.as_uri())
        if drawn:
            page.wait_for_selector("html[data-drawn-ms]")
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert texts == []


def axis_title(page: Page, axis: str) -> str:
    return str(page.text_content(f"#plot .{axis}title"))


def reach(page: Page, axis: str) -> list[float]:
    found: list[float] = page.evaluate(f"document.getElementById('plot')._fullLayout.{axis}.range")
    return found


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for what Plotly does in its own time; the page itself may evaluate no text."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        page.wait_for_timeout(20)


def drawing(page: Page) -> dict[str, float]:
    """Where the curves are, in the window."""
    place = page.locator("#plot .nsewdrag")
    place.scroll_into_view_if_needed()
    found: dict[str, float] = place.bounding_box()
    return found


def cells(page: Page, variant: str) -> list[str]:
    row = page.locator("#readout tbody tr").filter(has=page.get_by_text(variant, exact=True))
    found: list[str] = row.locator("td").all_text_contents()
    return found


def test_all_variants_are_drawn_with_warm_up_trend_and_what_killed_one(
    open_page: OpenPage, report: Report
) -> None:
    page = open_page(report)
    assert page.locator("#plot .legend .traces").all_text_contents() == ["naive", "fixed", "worse"]
    assert page.locator("#plot .scatterlayer .trace").count() == 3 + 1 + 2 * 3
    assert page.locator("#plot").get_by_text("killed (SIGKILL) after call 220").count() == 1
    assert page.locator("#plot").get_by_text("warm-up", exact=True).count() == 1
    assert page.is_hidden("figure.static") and page.is_visible("#plot")
    page.uncheck("#trend")
    assert page.locator("#plot .scatterlayer .trace").count() == 3 + 1


def test_series_axis_and_zero_are_switched(open_page: OpenPage, report: Report) -> None:
    page = open_page(report)
    assert axis_title(page, "y") == "MiB, after warm-up"
    assert axis_title(page, "x") == "call"
    page.select_option("#from", "zero")
    page.select_option("#series", "rss")
    assert axis_title(page, "y") == "MiB"
    low, high = reach(page, "yaxis")
    assert 80 < low < 100 and high > 300
    assert page.locator("#plot").get_by_text("memory limit 300 MiB").count() == 1
    page.select_option("#along", "time")
    assert axis_title(page, "x") == "time in calls (s)"
    assert reach(page, "xaxis")[1] == pytest.approx(CALLS * 0.02, rel=0.1)
    page.select_option("#along", "audio")
    assert reach(page, "xaxis")[1] == pytest.approx(CALLS / 2, rel=0.1)
    page.select_option("#series", "duration")
    assert axis_title(page, "y").startswith("ms")


def test_hovering_tells_every_variant_and_the_table_follows(
    open_page: OpenPage, report: Report
) -> None:
    page = open_page(report)
    box = drawing(page)
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    page.wait_for_selector("#plot .hoverlayer .legend")
    hovered = " ".join(page.locator("#plot .hoverlayer .legendtext").all_text_contents())
    assert all(name in hovered for name in ("naive", "fixed", "worse"))
    call = int(page.text_content("#at-call"))
    assert 170 < call < 190
    heap = 50 + (call - 1) * 64 / KIB
    assert cells(page, "naive")[0] == f"{heap:.1f} MiB"
    assert cells(page, "fixed")[0] == "50.0 MiB"


def test_dragging_zooms_and_a_double_click_goes_back(open_page: OpenPage, report: Report) -> None:
    page = open_page(report)
    before = reach(page, "xaxis")
    box = drawing(page)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    page.mouse.up()
    until(page, lambda: reach(page, "xaxis") != before)
    low, high = reach(page, "xaxis")
    assert (high - low) == pytest.approx(0.2 * (before[1] - before[0]), rel=0.1)
    page.mouse.dblclick(box["x"] + box["width"] * 0.5, middle)
    until(page, lambda: reach(page, "xaxis")[1] >= before[1])


def test_a_name_in_the_legend_hides_its_curve_with_its_trend(
    open_page: OpenPage, report: Report
) -> None:
    page = open_page(report)
    shown = page.locator("#plot .scatterlayer .trace")
    before = shown.count()
    page.locator("#plot .legendtoggle").nth(1).click()
    until(page, lambda: shown.count() == before - 3)


def test_the_values_are_read_with_the_keyboard(open_page: OpenPage, report: Report) -> None:
    page = open_page(report)
    assert page.text_content("#at-call") == "220"
    assert cells(page, "worse")[0] != "–"
    page.focus("#at")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#at-call") == "221"
    assert cells(page, "worse")[0] == "–"
    page.keyboard.press("Home")
    assert page.text_content("#at-call") == "1"
    assert cells(page, "naive")[:2] == ["50.0 MiB", "100 MiB"]


def test_the_command_is_copied(open_page: OpenPage, report: Report) -> None:
    page = open_page(report, permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy")
    page.wait_for_selector("#copy:text('copied')")
    assert page.evaluate("navigator.clipboard.readText()") == report.command


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 400),
        ("dark", 1400),
        pytest.param("light", 1400, marks=pytest.mark.long),
        pytest.param("dark", 400, marks=pytest.mark.long),
    ],
)
def test_the_page_is_accessible_and_fits_its_window(
    open_page: OpenPage, report: Report, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    page = open_page(report, color_scheme=scheme, viewport={"width": width, "height": 900})
    broken = axe.run(page)["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in broken] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 28)")
    line = page.evaluate("document.querySelector('#plot .legendlines path').style.stroke")
    assert line == ("rgb(0, 0, 0)" if scheme == "light" else "rgb(255, 255, 255)")


def test_a_report_of_services_fits_a_phone(open_page: OpenPage) -> None:
    files = run_file.find_run_files([str(EXAMPLES / "fsmn-vad-service-gradio")])
    report = assemble([run_file.load(file) for file in files], "leakhunt test")
    page = open_page(report, viewport={"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_without_scripts_and_on_paper_there_is_the_still_picture(
    open_page: OpenPage, report: Report
) -> None:
    page = open_page(report, drawn=False, java_script_enabled=False)
    assert page.is_visible("figure.static") and page.is_hidden("#plot")
    page = open_page(report)
    page.emulate_media(media="print")
    assert page.is_visible("figure.static") and page.is_hidden("#plot")
    assert page.is_hidden("nav")


def test_hostile_texts_in_every_field_are_shown_as_they_are(
    open_page: OpenPage, make_run: MakeRun
) -> None:
    run = grown(make_run, "naive", 64 * KIB)
    frame = Frame(HOSTILE, 7, HOSTILE, HOSTILE, Origin.YOURS)
    marks = (260, 270, 282, 299)
    counts = tuple(mark - marks[0] for mark in marks)
    sizes = tuple(64 * KIB * count for count in counts)
    finding = Finding(
        Instrument.MEMRAY,
        FindingKind.SITE,
        HOSTILE,
        marks,
        counts,
        sizes,
        (frame,),
        (HOSTILE,),
        HOSTILE,
    )
    plan = replace(
        run.plan, scenario=HOSTILE, variant=HOSTILE, reference=HOSTILE, source=HOSTILE,
        options={HOSTILE: HOSTILE}, device=HOSTILE,
    )  # fmt: skip
    hostile = replace(
        run,
        plan=plan,
        series=tuple(replace(series, title=HOSTILE, blind_to=HOSTILE) for series in run.series),
        outcome=Outcome(Ending.CRASHED, HOSTILE, HOSTILE, HOSTILE, 1),
        facts={"weights": HOSTILE, HOSTILE: HOSTILE},
        environment={"python": HOSTILE, HOSTILE: HOSTILE},
        unavailable={HOSTILE: HOSTILE},
        notes=({"kind": "types", "growth": [[HOSTILE, 3000]]},),
        started_at=HOSTILE,
    )
    watched = replace(
        hostile, plan=replace(plan, instrument=Instrument.MEMRAY), findings=(finding,)
    )
    made = assemble([hostile, watched], HOSTILE)
    page = open_page(made)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    # What a known series is called stands in the registry, whatever the file says.
    assert HOSTILE not in str(page.text_content("#series"))
    for place in ("h1", ".badge", ".suspect", "#plot .legend", "#readout"):
        assert HOSTILE in str(page.text_content(place)), place
    assert page.text_content("#command") == made.command
    box = drawing(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#plot .hoverlayer .legend")
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_runs_of_hardly_a_sample_have_a_page(
    open_page: OpenPage, make_run: MakeRun, samples: int
) -> None:
    report = assemble([grown(make_run, "naive", 5, calls=samples)], "leakhunt test")
    page = open_page(report, drawn=samples > 0)
    assert page.is_visible("h1")
    assert page.is_visible("#plot" if samples else "figure.static")
