"""Whether a process is killed, and when: by what its killer counts, whatever it is kept for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from conftest import MakeRun

from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict.forecast import FARTHEST, with_forecast
from leakhunt.analysis.verdict.judge import judge
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Outcome, Reading, Run
from leakhunt.model.verdict import KillForecast, Outlook, Status
from leakhunt.reporting.registry import RENDERERS
from leakhunt.text.language import speaking

MIB = 1 << 20
CALLS = 400
HEAP = [100 * MIB] * CALLS


def curve(shape: Callable[[int], float], noise: float = 0.05) -> list[int]:
    """RSS from 1 GiB on, in MiB of `shape`, with a little noise."""
    made = random.Random(1)
    return [int((1024 + shape(call) + made.gauss(0, noise)) * MIB) for call in range(CALLS)]


def of(make_run: MakeRun, rss: Sequence[int], limit: int = 2048 * MIB, **more: object) -> Run:
    return make_run(live_heap=HEAP, rss=rss, limits={"free memory": limit}, **more)


def forecast_of(run: Run) -> KillForecast:
    found = judge(run).forecast
    assert found is not None
    return found


def test_retention_that_fills_the_limit_is_a_warning_with_its_remedy(make_run: MakeRun) -> None:
    """One MiB a call that is freed and not given back: 1,000 MiB at the start, 2,048 the limit."""
    rss = curve(lambda call: call)
    settled = {"start": {"rss": rss[0], "live_heap": HEAP[0]}} | {
        step: {"rss": rss[-1], "live_heap": HEAP[-1]} for step in ("end", "collected", "emptied")
    }
    trimmed = {"trimmed": {"rss": rss[0], "live_heap": HEAP[-1]}}
    run = of(make_run, rss, readings=settled | trimmed, duration=[2_000_000] * CALLS)
    verdict = judge(run)
    ahead = forecast_of(run)
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.FILLS_LIMIT)
    assert Kind.ALLOCATOR_RETENTION in verdict.also and verdict.warns
    assert ahead.outlook is Outlook.AT_PACE and ahead.calls is not None
    assert ahead.calls == pytest.approx(1024 - CALLS, abs=5)
    assert ahead.calls_soonest is not None and ahead.calls_soonest <= 1024 - (CALLS - 1)
    assert ahead.seconds == pytest.approx(0.002 * ahead.calls)
    assert ahead.headroom_bytes == 2048 * MIB - rss[-1]
    assert "malloc_trim(0)" in str(ahead.sentence)
    with speaking("zh"):
        assert "按当前速度" in str(ahead.sentence)


@pytest.mark.parametrize("name", ["report.md", "report.json", "junit.xml", "report.html"])
def test_every_report_has_the_line(make_run: MakeRun, name: str) -> None:
    (renderer,) = (each for each in RENDERERS if each.file_name == name)
    page = renderer.render(assemble([of(make_run, curve(lambda call: call))], "test")).decode()
    assert "lasts about" in page and "at this pace" in page


def test_growth_that_slows_down_is_not_said_to_go_on(make_run: MakeRun) -> None:
    ahead = forecast_of(of(make_run, curve(lambda call: 100 * (1 - 2 ** (-call / 60)))))
    assert ahead.outlook in (Outlook.LEVELLED, Outlook.NOT_WITHIN, Outlook.SLOWING)
    assert not ahead.warns and ahead.calls is None and ahead.models[0] == "levelling"


def test_what_has_levelled_is_said_to_have_and_for_how_long(make_run: MakeRun) -> None:
    ahead = forecast_of(of(make_run, curve(lambda call: min(call, 60))))
    assert (ahead.outlook, ahead.calls, ahead.warns) == (Outlook.LEVELLED, None, False)
    assert ahead.calls_soonest == FARTHEST * CALLS
    assert "levelled off at 1.06 GiB" in str(ahead.sentence)


def test_a_leak_is_red_and_no_warning(make_run: MakeRun) -> None:
    grows = [call * MIB for call in range(CALLS)]
    run = make_run(live_heap=grows, rss=grows, limits={"free memory": 4096 * MIB})
    verdict = judge(run)
    assert verdict.status is Status.LEAK and not verdict.warns
    assert forecast_of(run).outlook is Outlook.AT_PACE


def test_a_leak_that_rss_hides_meets_the_limit_all_the_same(make_run: MakeRun) -> None:
    grows = [call * MIB for call in range(CALLS)]
    run = make_run(live_heap=grows, rss=[1024 * MIB] * CALLS, limits={"x": 2048 * MIB})
    assert forecast_of(run).calls == 1024


def test_retained_growth_beside_a_leak_may_end(make_run: MakeRun) -> None:
    """RSS grows by 2 MiB a call, the leak is 1: at the latest the leak alone fills the limit."""
    run = make_run(
        live_heap=[call * MIB for call in range(CALLS)],
        rss=[2 * call * MIB for call in range(CALLS)],
        limits={"x": 4096 * MIB},
    )
    ahead = forecast_of(run)
    room = 4096 - 2 * (CALLS - 1)
    assert (ahead.calls, ahead.calls_latest) == (room // 2, room)


def test_the_given_limit_is_set_against_what_a_cgroup_counts(make_run: MakeRun) -> None:
    """A container can drop pages of files; its page tables count."""
    values = {"rss": 1024 * MIB, "rss_file": 300 * MIB, "page_tables": 4 * MIB}
    flat = curve(lambda call: 0)
    run = of(make_run, flat, readings={"end": values}, plan_changes={"limit_bytes": 2048 * MIB})
    ahead = forecast_of(run)
    assert (ahead.series, ahead.limit) == ("anonymous", "the given limit")
    assert ahead.used_bytes == flat[-1] - 296 * MIB
    assert (
        forecast_of(replace(run, plan=replace(run.plan, limit_bytes=None))).used_bytes == flat[-1]
    )


def test_a_given_limit_that_was_exceeded_says_after_which_call(make_run: MakeRun) -> None:
    run = of(make_run, curve(lambda call: call), plan_changes={"limit_bytes": 1124 * MIB})
    ahead = forecast_of(run)
    assert ahead.outlook is Outlook.EXCEEDED and ahead.warns
    assert ahead.calls == pytest.approx(101, abs=2)


def test_a_run_killed_by_its_limit_says_so_on_its_line(make_run: MakeRun) -> None:
    run = make_run(
        live_heap=HEAP,
        rss=curve(lambda call: call),
        limits={"free memory": 9999 * MIB, "the memory limit": 1424 * MIB},
        outcome=Outcome(Ending.KILLED, "SIGKILL", "SIGKILL", "the OOM killer", -9),
        plan_changes={"memory_limit_bytes": 1424 * MIB, "limit_bytes": 9999 * MIB},
    )
    ahead = forecast_of(run)
    assert (ahead.outlook, ahead.limit, ahead.calls) == (Outlook.KILLED, "the memory limit", CALLS)
    assert str(ahead.sentence).startswith("Killed by the memory limit (1.39 GiB) after 400 calls")


def test_a_run_killed_by_one_call_was_as_high_as_it_was_seen(make_run: MakeRun) -> None:
    """No sample is from the call that it died in."""
    run = make_run(
        live_heap=HEAP,
        rss=curve(lambda call: 0),
        limits={"the memory limit": 2048 * MIB},
        outcome=Outcome(
            Ending.KILLED, "SIGKILL", "SIGKILL", "the OOM killer", -9, last_rss_bytes=2000 * MIB
        ),
        plan_changes={"memory_limit_bytes": 2048 * MIB},
    )
    ahead = forecast_of(run)
    assert (ahead.outlook, ahead.used_bytes) == (Outlook.KILLED, 2000 * MIB)
    assert ahead.warns and judge(run).kind is Kind.SPIKE


def test_a_limited_address_space_is_set_against_address_space(make_run: MakeRun) -> None:
    run = make_run(
        live_heap=HEAP,
        rss=curve(lambda call: 0),
        limits={"RLIMIT_AS": 8192 * MIB},
        readings={"end": {"rss": 1024 * MIB, "address_space": 5120 * MIB}},
    )
    ahead = forecast_of(run)
    assert ahead.series == "address_space"
    assert ahead.used_bytes == pytest.approx(5120 * MIB, abs=MIB)


def test_a_gpu_that_fills_is_told_before_a_host_that_does_not(make_run: MakeRun) -> None:
    """Beside what torch reserved, the driver counts the context, and other processes."""
    reserved = [call * MIB for call in range(CALLS)]
    values = {"cuda_reserved": reserved[-1], "cuda_device_used": reserved[-1] + 500 * MIB}
    run = of(
        make_run,
        curve(lambda call: 0),
        readings={"end": {"rss": 1024 * MIB, "cuda_total": 2048 * MIB, **values}},
        cuda_allocated=[0] * CALLS,
        cuda_reserved=reserved,
    )
    ahead = forecast_of(run)
    assert (ahead.limit, ahead.series) == ("GPU memory", "cuda_device_used")
    assert ahead.calls == pytest.approx(2048 - 500 - CALLS, abs=5)


def test_few_samples_foresee_nothing_and_say_so(make_run: MakeRun) -> None:
    ahead = forecast_of(make_run(live_heap=HEAP[:9], rss=[MIB] * 9, limits={"x": 99 * MIB}))
    assert (ahead.outlook, ahead.calls, ahead.calls_soonest) == (Outlook.UNKNOWN, None, None)
    assert "too few samples (9)" in str(ahead.sentence)


def test_without_a_limit_nothing_is_foreseen(make_run: MakeRun) -> None:
    ahead = forecast_of(make_run(live_heap=HEAP, rss=HEAP))
    assert (ahead.outlook, ahead.limit_bytes) == (Outlook.UNKNOWN, None)


def test_until_a_bounded_cache_is_full_it_fills(make_run: MakeRun) -> None:
    """Of a cache that is full before memory is, no more is foreseen than that."""
    run = of(make_run, curve(lambda call: call))
    verdict = replace(judge(run), status=Status.NO_LEAK, kind=Kind.BOUNDED_CACHE)
    full = with_forecast(run, verdict, levels_after=700).forecast
    assert full is not None
    assert (full.outlook, full.calls_soonest) == (Outlook.NOT_WITHIN, 300)
    never_full = with_forecast(run, verdict, levels_after=9000).forecast
    assert never_full is not None and never_full.outlook is Outlook.AT_PACE
    assert never_full.comes_within(8600) and not full.comes_within(8600)


def test_readings_after_a_trim_do_not_say_what_the_calls_held(make_run: MakeRun) -> None:
    run = make_run(
        live_heap=HEAP,
        rss=curve(lambda call: 0),
        limits={"RLIMIT_AS": 8192 * MIB},
        readings=[
            Reading("end", {"rss": 1024 * MIB, "address_space": 5120 * MIB}, CALLS),
            Reading("trimmed", {"rss": 24 * MIB, "address_space": 5000 * MIB}, CALLS),
        ],
    )
    assert forecast_of(run).used_bytes == pytest.approx(5120 * MIB, abs=MIB)
