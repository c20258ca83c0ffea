"""A fleet in every format: the same figures, nothing from outside taken for markup."""

from __future__ import annotations

import json
import re

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from leakhunt.analysis.fleet.fleet import fleet_report
from leakhunt.foreign.streamed import StreamedSeries
from leakhunt.model.fleet import FleetReport
from leakhunt.model.foreign import MeasuredFleet, MeasuredSeries
from leakhunt.reporting.fleet import html_page, json_file, markdown
from leakhunt.reporting.fleet.tables import rows, short_rows, summary
from leakhunt.reporting.fleet.terminal import fleet_parts
from leakhunt.storage.schema_files import schema_text
from leakhunt.text.language import speaking

MIB = 1 << 20
HOSTILE = "<script>alert(1)</script>|`x`\x1b[31m"


def series(name: str, rate: float) -> MeasuredSeries:
    made = StreamedSeries(name)
    noise = np.random.default_rng(1).normal(0, MIB, 600)
    for place, own in enumerate(noise.tolist()):
        made.add(300.0 * place, 300 * MIB + rate * 300 * place + own)
    measured = made.measured()
    assert measured is not None
    return measured


@pytest.fixture(scope="module")
def report() -> FleetReport:
    fleet = MeasuredFleet("made", (series("flat", 0.0), series(HOSTILE, 2000.0)))
    return fleet_report(fleet, "leakhunt test", 2048 * MIB)


def test_the_first_out_of_memory_stands_first_in_every_row(report: FleetReport) -> None:
    first, second = rows(report)
    assert (first[0], second[0]) == (HOSTILE, "flat")
    assert first[1] == "grows"
    assert re.fullmatch(r"[\d.]+ days \([\d.]+ days to [\d.]+ days\)", first[2])
    assert re.fullmatch(r"1[67]\d\.\d \[1[67]\d\.\d, 1[67]\d\.\d\] MiB", first[3])
    assert second[1:4] == ("level", "–", second[3])
    assert second[3].startswith("at most ")
    short, _ = short_rows(report)
    assert re.fullmatch(r"1[67]\d\.\d MiB", short[3])
    assert "2 instances (grows: 1; level: 1)." in list(summary(report))


def test_markup_from_outside_is_text(report: FleetReport) -> None:
    page = html_page.render(report).decode()
    assert "<script>" not in page
    assert page.count("<polyline") == 2
    text = markdown.render(report).decode()
    assert "<script>" not in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_json_is_as_its_schema_says(report: FleetReport) -> None:
    document = json.loads(json_file.render(report))
    jsonschema.validate(document, json.loads(schema_text("analyze")))
    assert document["instances"][0]["instance"] == HOSTILE
    assert document["instances"][0]["course"] == "grows"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_terminal_of_eighty_columns_has_room(report: FleetReport, language: str) -> None:
    console = Console(width=80, record=True, force_terminal=False)
    with speaking(language), console.capture() as taken:
        for part in fleet_parts(report):
            console.print(part)
    assert "\x1b" not in taken.get()
    assert "GiB" in taken.get() or "MiB" in taken.get()
