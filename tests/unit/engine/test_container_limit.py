"""``--limit``: the memory of a container to come, in the plan, in the command, and judged again."""

from __future__ import annotations

import pytest
from conftest import MakeRun

from leakhunt.analysis.report import assemble
from leakhunt.engine.container_limit import limit_bytes, with_limit
from leakhunt.engine.gate_notes import fills_limit
from leakhunt.engine.settings import RunRequest, plan_of, settings_of
from leakhunt.errors import UsageError
from leakhunt.model.gate import GateAnswer, VariantResult
from leakhunt.model.verdict import Outlook

MIB = 1 << 20


def test_a_given_limit_is_planned_and_limits_nothing() -> None:
    settings = settings_of(RunRequest("leak-zoo-python-heap", limit="2 GiB"))
    plan = plan_of(settings, settings.variants[0], "cpu")
    assert (plan.limit_bytes, plan.memory_limit_bytes) == (2048 * MIB, None)


@pytest.mark.parametrize("wrong", ["much", -1])
def test_what_is_no_size_is_refused(wrong: int | str) -> None:
    with pytest.raises(UsageError):
        limit_bytes(wrong)


def test_a_run_is_judged_again_by_another_limit_and_the_gate_notes_it(make_run: MakeRun) -> None:
    """The report's command says by which."""
    run = make_run(
        live_heap=[100 * MIB] * 300,
        rss=[(1000 + call) * MIB for call in range(300)],
        limits={"free memory": 1 << 50},
    )
    (free,) = assemble([run], "test").entries
    assert free.verdict.forecast is not None
    assert free.verdict.forecast.outlook is Outlook.NOT_WITHIN
    report = assemble([with_limit(run, 2048 * MIB)], "test")
    (entry,) = report.entries
    assert entry.verdict.warns and "--limit 2147483648" in report.command
    variants = [
        VariantResult("made", name, GateAnswer.WITHIN_BUDGET, (), (each,))
        for name, each in (("free", free), ("given", entry))
    ]
    (note,) = fills_limit(variants)
    assert str(note).startswith("made:given: memory fills the limit. The given limit (2.00 GiB)")
