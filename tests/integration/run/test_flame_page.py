"""The page of flame graphs, in a browser: by keys, by search, and for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRun
from made_findings import CALLS, KIB, MALLOC, MINE, THEIRS, finding, watched

from leakhunt.analysis.report import assemble
from leakhunt.model.attribution import Instrument
from leakhunt.reporting.run.flame_page import render

OTHER = replace(MINE, function="other", line=20, source="other()")


@pytest.fixture
def page(
    request: pytest.FixtureRequest, browser: Any, make_run: MakeRun, tmp_path: Path
) -> Iterator[Any]:
    """A graph of two branches; afterwards there was no complaint and no request."""
    run = make_run(live_heap=[4 * KIB * call for call in range(CALLS)])
    found = [
        finding(size=size, stack=stack, key=str(size), instrument=Instrument.MEMRAY)
        for size, stack in ((3 * KIB, (MALLOC, THEIRS, MINE)), (KIB, (MALLOC, OTHER)))
    ]
    plan = replace(run.plan, instrument=Instrument.MEMRAY)
    file = tmp_path / "flame.html"
    file.write_bytes(render(assemble([run, replace(watched(*found), plan=plan)], "test")))
    scheme, width = getattr(request, "param", ("light", 1280))
    texts: list[str] = []
    size = {"width": width, "height": 900}
    context = browser.new_context(color_scheme=scheme, viewport=size)
    opened = context.new_page()
    opened.on("console", lambda message: texts.append(message.text))
    opened.on("pageerror", lambda error: texts.append(str(error)))
    opened.on("request", lambda asked: texts.append(asked.url))
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert texts == [file.as_uri()]


def at(page: Any) -> str:
    """The function that the keys are at."""
    label = str(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    return label.partition(":")[0].split(" (")[0]


def test_keys_go_from_frame_to_frame(page: Any) -> None:
    page.locator(".box").first.focus()
    walked = []
    for key in ("ArrowDown", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "Home"):
        page.keyboard.press(key)
        walked.append(at(page))
    assert walked == ["naive", "other", "naive", "made", "naive", "every call"]
    assert page.locator(".told").text_content().startswith("every call: 4.00 KiB/call, 100.0%")


def test_a_frame_can_be_the_whole_width_and_back(page: Any) -> None:
    other = page.locator(".box", has_text="other")
    before = other.bounding_box()["width"]
    other.focus()
    page.keyboard.press("Enter")
    whole = page.locator(".flame").bounding_box()["width"]
    assert other.bounding_box()["width"] > 0.95 * whole > 2 * before
    assert not page.locator(".box", has_text="naive").is_visible()
    page.keyboard.press("Escape")
    assert other.bounding_box()["width"] == pytest.approx(before, abs=1)
    assert page.locator(".box", has_text="naive").is_visible()


def test_frames_are_found_by_their_words(page: Any) -> None:
    page.get_by_label("Find").fill("MADE.PY")
    assert page.locator(".found").text_content() == "2 frames found"
    assert page.locator(".box.hit").count() == 2
    page.get_by_label("Find").fill("")
    assert page.locator(".box.hit").count() == 0


@pytest.mark.parametrize(
    "page", [("light", 1280), ("dark", 400)], ids=["light", "dark-phone"], indirect=True
)
def test_the_page_is_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    page.locator("summary").click()
    broken = axe.run(page)["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in broken] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
