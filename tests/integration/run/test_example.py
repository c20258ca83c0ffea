"""The committed example is what today's code makes of its run files."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.analysis.report import assemble
from leakhunt.engine.report import GENERATOR
from leakhunt.model.kinds import Kind
from leakhunt.model.report import Report
from leakhunt.model.verdict import Status
from leakhunt.reporting.registry import RENDERERS
from leakhunt.storage import run_file

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"


def report_of(example: str) -> Report:
    files = run_file.find_run_files([str(EXAMPLES / example)])
    return assemble([run_file.load(file) for file in files], GENERATOR)


@pytest.mark.parametrize("example", ["fsmn-vad-cpu", "fsmn-vad-hunt", "fsmn-vad-service-gradio"])
@pytest.mark.parametrize("name", ["report.md", "report.json"])
def test_an_example_is_up_to_date(example: str, name: str) -> None:
    (renderer,) = (renderer for renderer in RENDERERS if renderer.file_name == name)
    fresh = renderer.render(report_of(example))
    assert fresh == (EXAMPLES / example / name).read_bytes(), f"run: leakhunt report {example}"


def test_the_hunt_shows_what_the_readme_says() -> None:
    """Both caches first, nine tenths explained, the ceiling held by a run past it."""
    report = report_of("fsmn-vad-hunt")
    (entry,) = report.entries
    attribution = entry.attribution
    assert (
        attribution is not None
        and attribution.growth is not None
        and attribution.explained is not None
    )
    causes = [suspect.cause.id for suspect in attribution.suspects[:2] if suspect.cause is not None]
    assert causes == ["onednn-primitive-cache", "ideep-computation-cache"]
    assert attribution.explained >= 0.9 * attribution.growth
    assert entry.verdict.kind is Kind.BOUNDED_CACHE
    assert entry.ceiling is not None and entry.ceiling.is_level
    assert entry.ceiling.found_bytes == pytest.approx(entry.ceiling.predicted_bytes, rel=0.25)
    tried = {trial.remedy: trial for trial in report.trials}
    caches, padding = tried["ideep-computation-cache"], tried["variant:fixed-shape"]
    assert caches.saved is not None and caches.before is not None
    assert caches.saved.low > 0.95 * caches.before
    assert (caches.differing, padding.differing) == (0, 681)


def test_the_example_shows_what_the_readme_says() -> None:
    entries = {entry.variant: entry for entry in report_of("fsmn-vad-cpu").entries}
    rates = {name: entry.verdict.trends["live_heap"].rate or 0.0 for name, entry in entries.items()}
    assert all(45_000 < rates[name] < 80_000 for name in ("naive", "cleaned", "chunked"))
    assert rates["fixed-shape"] < 1024
    assert entries["streaming"].verdict.status is Status.LEAK
    cost = entries["cleaned"].cost
    assert cost is not None and cost.ratio is not None and cost.ratio > 3
