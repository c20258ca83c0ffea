"""Every format of checked claims, and the claims in the report of a run."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import HOSTILE, MakeRun, steering_in
from made_claims import claims_report, made_claims
from page_parts import parsed
from rich.console import Console

from leakhunt.analysis.claims import Evidence
from leakhunt.analysis.claims.measures import FUNCTIONS
from leakhunt.analysis.report import assemble
from leakhunt.model.claims import MEASURES, ClaimMeasurement, ClaimsReport, ClaimVerdict
from leakhunt.model.run import Run
from leakhunt.reporting.claims.tables import SIGNS
from leakhunt.reporting.claims.terminal import claims_lines, claims_list, claims_table
from leakhunt.reporting.registry import CLAIMS_RENDERERS, RENDERERS, Renderer
from leakhunt.reporting.run import json_file
from leakhunt.text.language import speaking

GOLDEN = Path(__file__).parents[1] / "data" / "claims.md"
KIB = 1024


@pytest.fixture
def both(make_run: MakeRun) -> Evidence:
    def run(variant: str, rate: int) -> Run:
        return make_run(
            plan_changes={"variant": variant},
            live_heap=[rate * KIB * call for call in range(300)],
        )

    runs = (run("naive", 4), run("fixed", 0))
    return Evidence(assemble(runs, "leakhunt test"), runs)


@pytest.fixture
def report(both: Evidence) -> ClaimsReport:
    return claims_report(both)


def rendered(name: str, report: ClaimsReport) -> str:
    (made,) = (made for made in CLAIMS_RENDERERS if made.format == name)
    return made.render(report).decode()


def on_terminal(report: ClaimsReport, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(claims_table(report))
    for line in claims_lines(report):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_there_is_a_claim_of_each_verdict(report: ClaimsReport) -> None:
    assert {claim.verdict for claim in report.claims} == set(ClaimVerdict)


@pytest.mark.parametrize("made", CLAIMS_RENDERERS, ids=lambda made: made.file_name)
def test_every_format_is_the_same_twice_and_says_every_claim(
    report: ClaimsReport, made: Renderer[ClaimsReport]
) -> None:
    first = made.render(report)
    assert first == made.render(report)
    for claim in report.claims:
        assert claim.claim.id.encode() in first and claim.verdict.value.encode() in first


def test_the_markdown_is_the_golden_one(report: ClaimsReport) -> None:
    """When it changes on purpose: write it anew, and look at the difference."""
    assert rendered("md", report) == GOLDEN.read_text("utf-8")


def test_a_verdict_is_a_sign_and_a_word_everywhere(report: ClaimsReport) -> None:
    for expected in (rendered("html", report), rendered("md", report), on_terminal(report)):
        for verdict, sign in SIGNS.items():
            assert f"{sign} {verdict}" in expected
    assert len(set(SIGNS.values())) == len(ClaimVerdict)


def test_every_measure_has_words() -> None:
    assert FUNCTIONS.keys() == MEASURES.keys()


def test_the_weights_are_said_on_every_output(report: ClaimsReport) -> None:
    for expected in (rendered("html", report), rendered("md", report), on_terminal(report)):
        assert "stand-in" in expected


def test_the_page_links_to_the_reports_of_runs_and_to_its_own_parts(report: ClaimsReport) -> None:
    links = parsed(rendered("html", report))
    assert set(links.outer) == {"made-both/report.html"}
    assert len(links.inner) == len(set(links.inner)) == 6
    assert set(links.inner) <= set(links.ids)
    assert "script" not in links.tags


def test_hostile_texts_are_shown_as_they_are(both: Evidence) -> None:
    hostile = claims_report(both, HOSTILE)
    page = rendered("html", hostile)
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") > 10
    text = rendered("md", hostile)
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert bars == {5, 6, 7}
    shown = on_terminal(hostile)
    assert "\x1b" not in shown
    assert "[bold]" in shown
    json.loads(rendered("json", hostile))
    assert not any(map(steering_in, (page, text, shown, rendered("json", hostile))))


def test_a_report_without_runs_or_scenarios_is_one(both: Evidence) -> None:
    for empty in (ClaimsReport((), "leakhunt test"), claims_report(Evidence(missing="no"))):
        for made in CLAIMS_RENDERERS:
            assert made.render(empty)
        assert on_terminal(empty)


def test_an_interrupted_report_says_so(both: Evidence) -> None:
    text = "Interrupted: claims without runs are not measured."
    stopped = claims_report(both, interrupted=True)
    for shown in (rendered("html", stopped), rendered("md", stopped), on_terminal(stopped)):
        assert text in shown
    assert json.loads(rendered("json", stopped))["interrupted"] is True
    assert text not in rendered("html", claims_report(both))


def test_the_table_fits_into_80_columns(report: ClaimsReport) -> None:
    assert max(map(len, on_terminal(report, 80).splitlines())) <= 80


def test_the_list_shows_claims_checks_and_runs() -> None:
    texts = "\n".join(line.plain for line in claims_list([made_claims()]))
    assert "T2  Live heap grows 62 MB per call (report)" in texts
    assert "naive: growth of live heap: at least 50 MB/call; run both" in texts
    assert "not measured: 72 hours are long." in texts
    assert "gpu: leakhunt run made:naive --device cuda (needs a GPU)" in texts


def test_the_report_of_a_run_shows_the_claims_that_were_checked_on_it(
    both: Evidence, report: ClaimsReport
) -> None:
    assert both.report is not None
    claims = tuple(claim for claim in report.claims if claim.runs)
    with_claims = replace(both.report, claims=claims)
    for renderer in RENDERERS:
        if renderer.format in ("html", "md"):
            text = renderer.render(with_claims).decode()
            assert "✗ not reproduced" in text and "62 MB" in text
            plain = renderer.render(both.report).decode()
            assert "not reproduced" not in plain and "field report" not in plain
        if renderer.format == "json":
            found = json.loads(renderer.render(with_claims))["claims"]
            assert [each["claim"]["id"] for each in found] == ["T1", "T2", "T3", "T4", "T5"]
            assert found[0]["verdict"] == "reproduced"
            assert json.loads(renderer.render(both.report))["claims"] == []


def test_hostile_claims_in_the_report_of_a_run(both: Evidence) -> None:
    assert both.report is not None
    with_claims = replace(both.report, claims=claims_report(both, HOSTILE).claims)
    for renderer in RENDERERS:
        text = renderer.render(with_claims)
        if renderer.format == "json":
            assert json.loads(text)["claims"][0]["scenario"]
        else:
            assert b"<script>alert" not in text


def test_what_stays_open_upwards_is_null_for_programs(report: ClaimsReport) -> None:
    (scenario,) = report.scenarios
    first = scenario.claims[0]
    least = ClaimMeasurement(5.0, 5.0, None, "bytes", "at least")
    checks = (replace(first.checks[0], measured=least),)
    changed = replace(scenario, claims=(replace(first, checks=checks),))
    document = json.loads(rendered("json", replace(report, scenarios=(changed,))))
    found = document["scenarios"][0]["claims"][0]["checks"][0]["measured"]
    assert found == {
        "value": 5.0,
        "low": 5.0,
        "high": None,
        "unit": "bytes",
        "text": {"text": "at least"},
    }


def test_the_report_of_a_run_has_its_claims_for_programs(
    both: Evidence, report: ClaimsReport
) -> None:
    assert both.report is not None
    document = json.loads(json_file.render(replace(both.report, claims=report.claims)))
    texts = [
        check["measured"]["text"]["text"]
        for claim in document["claims"]
        for check in claim["checks"]
        if check["measured"]
    ]
    assert texts and all(each in rendered("md", report) for each in texts)


def test_what_was_judged_in_english_is_shown_in_chinese(report: ClaimsReport) -> None:
    english = rendered("md", report)
    with speaking("zh"):
        chinese = rendered("md", report)
    texts = {
        str(each.measured.text if each.measured is not None else each.reason)
        for claim in report.claims
        for each in claim.checks
    }
    assert any(each in english and each not in chinese for each in texts)


def test_all_is_spoken_in_chinese_without_a_failure(both: Evidence) -> None:
    with speaking("zh"):
        spoken = claims_report(both)
        for made in CLAIMS_RENDERERS:
            assert made.render(spoken)
        assert on_terminal(spoken)
