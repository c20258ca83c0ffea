"""``matrix.json``: every cell of a matrix and what follows, for programs.

What is in it is `MatrixJson`; its schema (``leakhunt schema matrix``) is generated from that.

Format history
    1 (2026-11): first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leakhunt.model.kinds import Kind
from leakhunt.model.matrix import AxisEffect, CellEnd, CellResult, MatrixReport
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.json_document import json_bytes, urn
from leakhunt.text.message import Text

FORMAT = 1
SCHEMA = urn("matrix", FORMAT)


@dataclass(frozen=True, slots=True)
class MatrixJsonAxis:
    """An axis."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixJsonCell:
    """A cell."""

    name: str
    values: Mapping[str, str]
    repeat: int
    seed: int
    end: CellEnd
    reason: Text
    status: Status | None
    status_alone: Status | None
    kind: Kind | None
    sentence: Text
    series: str
    unit: Unit | None
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    p_value: float | None
    q_value: float | None
    seconds_per_call: float | None
    peak_rss_bytes: int | None
    calls: int
    suspect: Text
    suspect_of: str
    seconds: float
    attempts: int
    node: str
    run_file: str


@dataclass(frozen=True, slots=True)
class MatrixJson:
    """``matrix.json``."""

    generator: str
    scenario: str
    axes: tuple[MatrixJsonAxis, ...]
    explanation: tuple[Text, ...]
    effects: tuple[AxisEffect, ...]
    false_discovery_rate: float
    withdrawn: int
    carried_out_on: str
    jobs: int
    seconds: float
    cells: tuple[MatrixJsonCell, ...]


def render(report: MatrixReport) -> bytes:
    """UTF-8 JSON with stable keys."""
    file = MatrixJson(
        generator=report.generator,
        scenario=report.title,
        axes=tuple(MatrixJsonAxis(axis.name, axis.values) for axis in report.plan.axes),
        explanation=report.explanation,
        effects=report.effects,
        false_discovery_rate=report.false_discovery_rate,
        withdrawn=report.withdrawn,
        carried_out_on=report.on,
        jobs=report.jobs,
        seconds=round(report.seconds, 3),
        cells=tuple(map(_cell, report.results)),
    )
    return json_bytes({"$schema": SCHEMA, "format": FORMAT}, file)


def _cell(result: CellResult) -> MatrixJsonCell:
    cell, record = result.cell, result.record
    return MatrixJsonCell(
        name=cell.name,
        values=cell.values,
        repeat=cell.repeat,
        seed=cell.seed,
        end=record.end,
        reason=record.reason,
        status=result.status,
        status_alone=result.status_alone,
        kind=result.kind,
        sentence=result.sentence,
        series=result.series,
        unit=result.unit,
        rate=result.rate,
        rate_low=result.rate_low,
        rate_high=result.rate_high,
        p_value=result.p_value,
        q_value=result.q_value,
        seconds_per_call=result.seconds_per_call,
        peak_rss_bytes=result.peak_rss_bytes,
        calls=result.calls,
        suspect=result.suspect,
        suspect_of=result.suspect_of,
        seconds=record.seconds,
        attempts=record.attempts,
        node=record.node,
        run_file=result.run_file,
    )
