"""What a series is stands in one place: a new one is a probe and a row, and every format has it."""

from __future__ import annotations

import ast
from array import array
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from conftest import MakeRun
from made_gates import REPOSITORY, gated

from leakhunt import probes
from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.gate.decide import answer_on
from leakhunt.analysis.report import assemble
from leakhunt.model import series as registry
from leakhunt.model.comparison import Side
from leakhunt.model.gate import Terms
from leakhunt.model.kinds import Kind
from leakhunt.model.series import SERIES, Series, SeriesFacts, SeriesRole, Unit
from leakhunt.probes.cuda import CudaProbe
from leakhunt.reporting.registry import (
    COMPARISON_RENDERERS,
    GATE_RENDERERS,
    RENDERERS,
    GateDocument,
)
from leakhunt.reporting.run.terminal import verdict_lines

PACKAGE = Path(probes.__file__).parents[1]
# Ordinary words that are the name of a series too, and mean something else in these packages: an
# option, an axis, a fact, a file of the kernel. It may only shrink.
HOMONYMS = {
    ("analysis", "anonymous"),
    ("analysis", "audio"),
    ("analysis", "threads"),
    ("cli", "audio"),
    ("cli", "duration"),
    ("cli", "threads"),
    ("config", "threads"),
    ("engine", "audio"),
    ("engine", "duration"),
    ("engine", "threads"),
    ("foreign", "cgroup"),
    ("foreign", "elapsed"),
    ("foreign", "rss"),
    ("model", "threads"),
    ("reporting", "audio"),
    ("reporting", "duration"),
    ("reporting", "failures"),
    ("reporting", "threads"),
    ("service", "cgroup"),
    ("service", "children"),
}
CALLS = 300
# Formats that draw no memory of a series, or none but memory that is on a remedy's board.
NOT_OF_SERIES = {
    "ledger.png", "ledger.svg", "remedies.png", "remedies.svg", "curves.png", "flame.html",
    "flame.speedscope.json",
}  # fmt: skip


def spelled() -> Iterator[tuple[str, str]]:
    """Every package and the series that it names by a literal."""
    for module in sorted(PACKAGE.rglob("*.py")):
        name = module.relative_to(PACKAGE).as_posix()
        # What goes into other processes imports nothing of ours.
        if name in ("model/series.py", "agent/standalone.py") or name.startswith("probes/"):
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in SERIES:
                yield name.partition("/")[0], str(node.value)


def test_a_series_is_named_by_its_constant_alone() -> None:
    assert set(spelled()) == HOMONYMS


def test_the_registry_has_every_series_once_and_what_probes_read_is_in_it() -> None:
    assert all(name == facts.name for name, facts in SERIES.items())
    for device in ("cpu", "cuda"):
        assert all(SERIES[each.name].series == each for each in probes.choose(device).series)
    assert all(SERIES[each.name].is_on_gpu for each in CudaProbe.series)


def test_a_series_of_another_version_is_shown_as_its_file_says() -> None:
    foreign = Series("made_elsewhere", Unit.BYTES, "made elsewhere, in bytes", "much")
    assert registry.full_title(foreign) == "made elsewhere, in bytes"
    assert registry.short_title("made_elsewhere") == "made elsewhere"
    assert str(registry.full_title(SERIES[registry.RSS].series)) == "resident memory (RSS)"


POOL = SeriesFacts(
    "buffer_pool",
    Unit.BYTES,
    SeriesRole.LIVE,
    "buffers that the pool has handed out",
    "buffer pool",
    "buffers of other pools",
    is_judged=True,
)


class PoolProbe:
    """A probe of a test: the one other thing that a new series needs."""

    series: ClassVar[tuple[Series, ...]] = (POOL.series,)

    @classmethod
    def unavailable(cls) -> str | None:
        """None: it is made up."""
        return None

    def read(self, into: array[int], at: int) -> None:
        """Nothing."""
        into[at] = 0


@pytest.fixture
def with_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[str, SeriesFacts]", registry.SERIES), POOL.name, POOL)
    monkeypatch.setattr(probes, "_KINDS", (*probes._KINDS, PoolProbe))


@pytest.mark.usefixtures("with_pool")
def test_a_probe_and_a_row_are_seen_in_every_format(make_run: MakeRun) -> None:
    assert POOL.series in probes.choose("cpu").series

    def runs(rate: int) -> Any:
        level = [50 << 20] * CALLS
        growing = [(20 << 20) + rate * call for call in range(CALLS)]
        spent = [20_000_000 + 1000 * (call % 7) for call in range(CALLS)]
        made = make_run(live_heap=level, rss=level, buffer_pool=growing, duration=spent)
        return assemble([made], "test")

    report = runs(50_000)
    (entry,) = report.entries
    assert entry.verdict.trends[POOL.name].rate == pytest.approx(50_000)
    assert entry.verdict.kind is Kind.NATIVE_LEAK
    assert any(
        ". Buffer pool grows by 48.8 KiB/call" in line.plain for line in verdict_lines(report)
    )
    for renderer in RENDERERS:
        if renderer.file_name not in NOT_OF_SERIES:
            assert seen(renderer.render(report)), renderer.file_name
    beside = compare([Side("a", runs(0).entries), Side("b", report.entries)], False, "test")
    for compared in COMPARISON_RENDERERS:
        assert compared.format == "png" or seen(compared.render(beside)), compared.file_name
    answered = gated(answer_on(report.entries, Terms((), (), date(2027, 3, 1))))
    for made in GATE_RENDERERS:
        assert seen(made.render(GateDocument(answered, REPOSITORY))), made.file_name


def seen(content: bytes) -> bool:
    """Whether a file names the new series, by its name or as people read it."""
    names = (b"buffer_pool", b"buffer pool", b"Buffer pool", b"buffers that")
    return any(name in content for name in names)
