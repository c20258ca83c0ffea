"""The committed example is what today's code makes of its run files."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt import store
from leakhunt.assemble import assemble
from leakhunt.cli.output import GENERATOR
from leakhunt.model import Status
from leakhunt.reporting import RENDERERS

EXAMPLE = Path(__file__).parents[2] / "reports" / "examples" / "fsmn-vad-cpu"
RUNS = [store.load(file) for file in store.find_run_files([str(EXAMPLE)])]


@pytest.mark.parametrize("name", ["report.md", "report.json"])
def test_the_example_is_up_to_date(name: str) -> None:
    (renderer,) = (renderer for renderer in RENDERERS if renderer.file_name == name)
    fresh = renderer.render(assemble(RUNS, GENERATOR))
    assert fresh == (EXAMPLE / name).read_bytes(), f"run: leakhunt report {EXAMPLE.name}"


def test_the_example_shows_what_the_readme_says() -> None:
    entries = {entry.variant: entry for entry in assemble(RUNS, GENERATOR).entries}
    rates = {name: entry.verdict.trends["live_heap"].rate or 0.0 for name, entry in entries.items()}
    assert all(45_000 < rates[name] < 80_000 for name in ("naive", "cleaned", "chunked"))
    assert rates["fixed-shape"] < 1024
    assert entries["streaming"].verdict.status is Status.LEAK
    cost = entries["cleaned"].cost
    assert cost is not None and cost.ratio is not None and cost.ratio > 3
