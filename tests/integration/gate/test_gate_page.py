"""The page of a gate in a real browser: it reads in any window, and asks for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRun
from made_gates import made_gates, variant

from leakhunt.model.gate import Pages
from leakhunt.reporting.gate.html_page import render


@pytest.mark.parametrize("kind", ["usual", "hostile", "83 variants", "nothing"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 400)])
def test_the_page_is_accessible_fits_its_window_and_asks_for_nothing(
    browser: Any, tmp_path: Path, make_run: MakeRun, kind: str, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    gates = made_gates(make_run)
    within = (variant(variant=f"of-a-long-name-{number}") for number in range(79))
    usual = replace(gates["usual"], pages=(Pages("tts", "tts/report.html", "tts/compare.html"),))
    many = replace(usual, variants=(*usual.variants, *within))
    file = tmp_path / "gate.html"
    file.write_bytes(render({**gates, "usual": usual, "83 variants": many}[kind]))
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    page = context.new_page()
    texts: list[str] = []
    page.on("console", lambda message: texts.append(message.text))
    page.on("pageerror", lambda error: texts.append(str(error)))
    page.on("dialog", lambda dialog: texts.append(dialog.message))
    page.on("request", lambda request: texts.append(request.url))
    page.goto(file.as_uri())
    assert texts == [file.as_uri()]
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    broken = axe.run(page)["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in broken] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_what_is_folded_is_printed(browser: Any, tmp_path: Path, make_run: MakeRun) -> None:
    file = tmp_path / "gate.html"
    file.write_bytes(render(made_gates(make_run)["many"]))
    page = browser.new_page()
    page.goto(file.as_uri())
    height = "document.querySelector('details').getBoundingClientRect().height"
    shut = page.evaluate(height)
    page.emulate_media(media="print")
    assert shut < 3 * 16 < 25 * 16 < page.evaluate(height)
    page.close()
