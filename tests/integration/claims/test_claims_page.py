"""The page of claims in a real browser: it reads in any window, and asks for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import HOSTILE, MakeRun
from made_claims import claims_report

from leakhunt.analysis.claims import Evidence
from leakhunt.analysis.report import assemble
from leakhunt.reporting.claims.html_page import render


@pytest.fixture
def both(make_run: MakeRun) -> Evidence:
    run = make_run(live_heap=[4096 * call for call in range(300)])
    return Evidence(assemble([run], "leakhunt test"), (run,))


@pytest.mark.parametrize(
    ("scheme", "width", "text"),
    [("light", 1200, ""), ("dark", 360, ""), ("light", 360, HOSTILE.replace("\x00", ""))],
    ids=["wide", "dark and narrow", "hostile"],
)
def test_the_page_is_accessible_fits_its_window_and_asks_for_nothing(
    browser: Any, tmp_path: Path, both: Evidence, scheme: str, width: int, text: str
) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    file = tmp_path / "claims.html"
    file.write_bytes(render(claims_report(both, text)))
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
    broken = axe.run(page)["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in broken] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("article").count() == 6
    context.close()
