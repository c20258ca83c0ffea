"""The verdict on whole runs: which class, and what the witnesses say of each other."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from itertools import accumulate

import pytest
from conftest import MakeRun

from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict.judge import judge
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Outcome, Reading
from leakhunt.model.verdict import Outlook, Shape, Status
from leakhunt.reporting.run.json_file import render
from leakhunt.text.language import speaking
from leakhunt.text.message import to_json

KIB = 1024
MIB = KIB * KIB
BASE = 200 << 20
CALLS = 300
WARM_UP = CALLS // 4

Values = dict[str, int]


def rising(rate: float, calls: int = CALLS, start: int = BASE) -> list[int]:
    return [start + round(rate * call) for call in range(calls)]


def flat(calls: int = CALLS, at: int = BASE) -> list[int]:
    return [at] * calls


def looks(**rates: float) -> list[Reading]:
    """Collected readings before, within and after the judged calls, growing at these rates."""
    places = ((WARM_UP, "look_collected"), (200, "look_collected"), (CALLS, "collected"))
    return [
        Reading(step, {name: round(1000 + rate * call) for name, rate in rates.items()}, call)
        for call, step in places
    ]


def settled(before: Values, after: Values) -> list[Reading]:
    steps = ("end", "collected", "emptied", "trimmed")
    return [
        Reading("start", before, 0),
        Reading("look_collected", before, WARM_UP),
        *(Reading(step, after, CALLS) for step in steps),
    ]


def test_a_run_without_a_sample_says_that_nothing_was_measured(make_run: MakeRun) -> None:
    verdict = judge(make_run())
    assert (verdict.status, verdict.kind) == (Status.INCONCLUSIVE, Kind.INCONCLUSIVE)
    assert "Not measured" in str(verdict.sentence)


def test_a_run_that_does_not_move_is_clean_and_says_what_it_would_have_seen(
    make_run: MakeRun,
) -> None:
    verdict = judge(make_run(live_heap=flat(), rss=flat(), python_blocks=flat(at=1000)))
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.CLEAN)
    assert "detection limit 256 B/call, 95 % power" in str(verdict.sentence)


def test_live_heap_alone_is_a_leak_in_native_code(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=rising(4 * KIB), python_blocks=flat(at=1000)))
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.NATIVE_LEAK)
    assert "4.00 KiB/call" in str(verdict.sentence)


def test_python_blocks_make_it_a_leak_in_python(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=flat(), python_blocks=rising(1, start=1000)))
    assert verdict.kind is Kind.PYTHON_LEAK
    assert "Python blocks grow by 1 block/call" in str(verdict.sentence)


def test_one_large_object_in_ten_calls_is_still_a_leak_in_python(make_run: MakeRun) -> None:
    heap = [BASE + MIB * (call // 10) for call in range(CALLS)]
    blocks = [1000 + call // 10 for call in range(CALLS)]
    assert judge(make_run(live_heap=heap, python_blocks=blocks)).kind is Kind.PYTHON_LEAK


@pytest.mark.parametrize(
    ("early", "kind"), [(17, Kind.PYTHON_LEAK), (400, Kind.NATIVE_LEAK)], ids=["looks", "warm-up"]
)
def test_objects_must_come_as_fast_at_the_end_but_for_those_of_the_looks(
    make_run: MakeRun, early: int, kind: Kind
) -> None:
    """The first looks leave some blocks; a warm-up leaves ever fewer, for hundreds of calls."""
    heap = [BASE + MIB * (call // 10) for call in range(CALLS)]
    blocks = {20: 1000, 40: 1000 + early}
    blocks |= {call: 1000 + early + call // 5 for call in (WARM_UP, 200, CALLS)}
    readings = [
        Reading("look_collected", {"python_blocks": count}, call) for call, count in blocks.items()
    ]
    series = [1000 + call // 10 for call in range(CALLS)]
    run = make_run(live_heap=heap, python_blocks=series, readings=readings)
    assert judge(run).kind is kind


@pytest.mark.parametrize(("blocks_a_call", "kind"), [(1, Kind.PYTHON_LEAK), (0, Kind.NATIVE_LEAK)])
def test_objects_of_a_leak_that_starts_late_are_seen_to_come_with_it(
    make_run: MakeRun, blocks_a_call: int, kind: Kind
) -> None:
    """The stretch in which it starts has few of both: the others need not be like it."""
    starts = WARM_UP + 45
    leaked = [max(call - starts, 0) for call in range(CALLS)]
    heap = [BASE + 2062 * calls for calls in leaked]
    blocks = [1000 + blocks_a_call * calls for calls in leaked]
    readings = [
        Reading("look_collected", {"python_blocks": blocks[at - 1], "python_live": 50 * at}, at)
        for at in (20, 40, WARM_UP, WARM_UP + 60, WARM_UP + 120, CALLS)
    ]
    verdict = judge(make_run(live_heap=heap, python_blocks=blocks, readings=readings))
    assert (verdict.status, verdict.kind) == (Status.LEAK, kind)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("starts", [0, WARM_UP + 45], ids=["from the first call", "late"])
def test_objects_are_seen_to_come_with_a_leak_beneath_noise(
    make_run: MakeRun, starts: int, seed: int
) -> None:
    """A hundred kilobytes in one call of ten; the heap goes up and down by twelve."""
    source = random.Random(seed)
    noise = [source.randint(-12 * KIB, 12 * KIB) for _ in range(CALLS)]
    leaked = [max(call - starts, 0) // 10 for call in range(CALLS)]
    heap = [BASE + 100 * KIB * count + noise[call] for call, count in enumerate(leaked)]
    blocks = [1000 + count for count in leaked]
    readings = [
        Reading("look_collected", {"python_blocks": blocks[at - 1], "python_live": 50 * at}, at)
        for at in (20, 40, WARM_UP, WARM_UP + 60, WARM_UP + 120, CALLS)
    ]
    verdict = judge(make_run(live_heap=heap, python_blocks=blocks, readings=readings))
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.PYTHON_LEAK)


def test_blocks_that_creep_beside_a_native_leak_do_not_make_it_pythons(make_run: MakeRun) -> None:
    blocks = [1000 + call // 20 for call in range(CALLS)]
    run = make_run(live_heap=rising(64 * KIB), python_blocks=blocks)
    assert judge(run).kind is Kind.NATIVE_LEAK


@pytest.mark.parametrize("series", ["descriptors", "threads", "children"])
def test_one_more_of_what_holds_memory_comes_before_the_memory(
    make_run: MakeRun, series: str
) -> None:
    resource = {series: rising(1, start=7)}
    verdict = judge(make_run(live_heap=rising(KIB), python_blocks=rising(2), **resource))
    assert (verdict.kind, verdict.also) == (Kind.RESOURCE_GROWTH, (Kind.PYTHON_LEAK,))


def test_growth_of_cuda_allocated_is_a_leak_in_cuda(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=flat(), cuda_allocated=rising(MIB)))
    assert verdict.kind is Kind.CUDA_LEAK


def test_growth_of_cuda_reserved_alone_is_caching(make_run: MakeRun) -> None:
    run = make_run(live_heap=flat(), cuda_allocated=flat(), cuda_reserved=rising(MIB))
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.CUDA_RETENTION)
    assert verdict.trends["cuda_reserved"].shape is Shape.RETENTION


def test_rss_that_a_trim_gives_back_is_retention(make_run: MakeRun) -> None:
    before = {"rss": BASE, "live_heap": MIB, "python_arenas": MIB}
    end = settled(before, before | {"rss": BASE + 30 * MIB})
    run = make_run(
        readings=[*end[:-1], Reading("trimmed", before, CALLS)],
        live_heap=flat(),
        rss=rising(100 * KIB),
    )
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.ALLOCATOR_RETENTION)
    assert "RSS grows by 100.0 KiB/call, live memory does not: freed memory" in str(
        verdict.sentence
    )
    assert verdict.trends["rss"].shape is Shape.RETENTION


def test_rss_that_no_heap_accounts_for_after_a_trim_is_mapped(make_run: MakeRun) -> None:
    before = {"rss": BASE, "live_heap": MIB, "python_arenas": MIB}
    run = make_run(
        readings=settled(before, before | {"rss": BASE + 225 * 100 * KIB}),
        live_heap=flat(),
        rss=rising(100 * KIB),
    )
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.MAPPING_GROWTH)


def test_rss_that_is_mostly_given_back_by_a_trim_is_not_mapped(make_run: MakeRun) -> None:
    """A third of it stays after the trim: the allocators kept the rest."""
    before = {"rss": BASE, "live_heap": MIB, "python_arenas": MIB}
    run = make_run(
        readings=settled(before, before | {"rss": BASE + 225 * 33 * KIB}),
        live_heap=flat(),
        rss=rising(100 * KIB),
    )
    assert judge(run).kind is not Kind.MAPPING_GROWTH


def test_a_leak_that_rss_hides_is_told_so(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=rising(KIB), rss=flat()))
    assert "RSS is still flat: the leak so far reuses free pages" in str(verdict.sentence)


def test_rss_that_outruns_a_leak_is_told_so(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=rising(KIB), rss=rising(10 * KIB)))
    assert verdict.kind is Kind.NATIVE_LEAK
    assert "RSS grows faster, by 10.0 KiB/call" in str(verdict.sentence)


def test_rss_that_grows_with_a_leak_needs_no_word(make_run: MakeRun) -> None:
    verdict = judge(make_run(live_heap=rising(10 * KIB), rss=rising(12 * KIB)))
    assert "RSS grows faster" not in str(verdict.sentence)


def test_a_cache_that_filled_before_the_judged_calls_is_a_bounded_cache(make_run: MakeRun) -> None:
    readings = settled({"rss": BASE, "live_heap": 0}, {"rss": BASE, "live_heap": MIB})
    verdict = judge(make_run(readings=[readings[0], *readings[2:]], live_heap=flat(), rss=flat()))
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.BOUNDED_CACHE)
    assert "Level since the warm-up (75 calls), 1.00 MiB above the start" in str(verdict.sentence)


def test_what_rose_in_the_judged_calls_was_not_level_since_the_warm_up(make_run: MakeRun) -> None:
    heap = [BASE] * 75 + [BASE + 200 * call for call in range(225)]
    readings = settled({"rss": BASE, "live_heap": BASE}, {"rss": BASE, "live_heap": BASE + MIB})
    verdict = judge(make_run(readings=[readings[0], *readings[2:]], live_heap=heap, rss=flat()))
    assert verdict.status is Status.NO_LEAK
    assert "Level since" not in str(verdict.sentence)


def test_series_that_cannot_show_memory_never_make_a_run_clean(make_run: MakeRun) -> None:
    verdict = judge(make_run(threads=flat(at=1), descriptors=flat(at=7)))
    assert verdict.status is Status.INCONCLUSIVE
    assert "No series of live memory can be read" in str(verdict.sentence)


@pytest.mark.parametrize(
    ("left", "status"), [(0.1, Status.NO_LEAK), (2.0, Status.LEAK)], ids=["nothing", "a leak"]
)
def test_growth_is_told_from_cyclic_garbage_by_what_collections_leave(
    make_run: MakeRun, left: float, status: Status
) -> None:
    run = make_run(
        readings=looks(python_blocks=left),
        live_heap=flat(),
        python_blocks=rising(6, start=1000),
    )
    assert judge(run).status is status


def test_a_steady_leak_beneath_five_times_as_much_garbage_is_a_leak(make_run: MakeRun) -> None:
    run = make_run(readings=looks(live_heap=195 * KIB), live_heap=rising(MIB))
    verdict = judge(run)
    assert verdict.status is Status.LEAK
    assert verdict.trends["live_heap"].rate == pytest.approx(195 * KIB, rel=0.01)


def test_what_collections_leave_and_slows_down_is_inconclusive(make_run: MakeRun) -> None:
    points = [(WARM_UP, 1000, "look_collected"), (200, 1600, "look_collected")]
    readings = [
        Reading(step, {"python_blocks": blocks}, at)
        for at, blocks, step in [*points, (CALLS, 1700, "collected")]
    ]
    verdict = judge(make_run(readings=readings, live_heap=flat(), python_blocks=rising(6)))
    assert verdict.status is Status.INCONCLUSIVE
    assert "slowing down" in str(verdict.sentence)


def test_blocks_that_are_clean_by_their_bytes_claim_nothing_of_their_count(
    make_run: MakeRun,
) -> None:
    run = make_run(
        readings=looks(python_blocks=2, python_live=100),
        live_heap=flat(),
        python_blocks=rising(2, start=1000),
    )
    sentence = str(judge(run).sentence)
    assert "Python blocks grow by 100 B/call after gc.collect()" in sentence
    assert "95 %" not in sentence.partition("Python blocks")[2]


@pytest.mark.parametrize(("rate_bytes", "status"), [(100, Status.NO_LEAK), (300, Status.LEAK)])
def test_blocks_are_judged_by_their_bytes_where_those_are_known(
    make_run: MakeRun, rate_bytes: int, status: Status
) -> None:
    run = make_run(
        readings=looks(python_blocks=1, python_live=rate_bytes),
        live_heap=flat(),
        python_blocks=rising(1, start=1000),
    )
    assert judge(run).status is status


def killed(values: Sequence[int], make_run: MakeRun) -> Kind:
    run = make_run(
        outcome=Outcome(Ending.KILLED, "SIGKILL after call 100 of 500"),
        live_heap=values,
        rss=values,
    )
    verdict = judge(run)
    assert "Ended early (killed): SIGKILL after call 100" in str(verdict.sentence)
    assert re.search(r"\. RSS went from 200\.0 MiB to .* in 100 calls\.$", str(verdict.sentence))
    return verdict.kind


def test_a_run_killed_while_its_memory_grew_says_so(make_run: MakeRun) -> None:
    assert killed(rising(64 * KIB, 100), make_run) is Kind.KILLED


@pytest.mark.parametrize(("last", "grew"), [(900 * MIB, True), (130 * MIB, False)])
def test_a_run_killed_for_memory_grew_if_it_filled_its_room_sample_by_sample(
    make_run: MakeRun, last: int, grew: bool
) -> None:
    """Too few samples to judge a trend by; what came in one gulp at the end is no growth."""
    killed_for_memory = make_run(
        rss=[100 * MIB, 100 * MIB, (100 * MIB + last) // 2, last],
        outcome=Outcome(Ending.KILLED, "SIGKILL", "SIGKILL", "the OOM killer", -9),
        plan_changes={"memory_limit_bytes": 1000 * MIB},
    )
    assert (judge(killed_for_memory).kind is Kind.KILLED) is grew


def test_a_run_killed_while_nothing_grew_is_not_blamed(make_run: MakeRun) -> None:
    assert killed(flat(100), make_run) is not Kind.KILLED


def test_the_calls_to_out_of_memory_have_an_interval(make_run: MakeRun) -> None:
    run = make_run(
        limits={"the limit (cgroup v2)": BASE + 500 * MIB, "something larger": BASE + 900 * MIB},
        live_heap=rising(MIB),
        rss=rising(MIB),
        duration=flat(at=2_000_000),
    )
    ahead = judge(run).forecast
    assert ahead is not None
    assert (ahead.limit, ahead.calls) == ("the limit (cgroup v2)", 500 - (CALLS - 1))
    assert ahead.calls_latest is not None and ahead.calls_soonest is not None
    assert ahead.calls is not None
    assert ahead.calls_soonest <= ahead.calls <= ahead.calls_latest
    assert ahead.seconds == pytest.approx(ahead.calls * 0.002)


def test_a_clean_run_meets_no_limit(make_run: MakeRun) -> None:
    run = make_run(limits={"x": BASE + MIB}, live_heap=flat(), rss=flat())
    ahead = judge(run).forecast
    assert ahead is not None and ahead.outlook is Outlook.NOT_WITHIN


def test_a_verdict_is_judged_once_and_said_in_any_language(make_run: MakeRun) -> None:
    run = make_run(live_heap=rising(4 * KIB), python_blocks=rising(1, start=1000), rss=flat())
    verdict = judge(run)
    with speaking("zh"):
        assert judge(run) == verdict
        sentence, reason = str(verdict.sentence), str(verdict.trends["rss"].reason)
    assert "存活堆" in sentence and "live heap" not in sentence
    assert reason == "没有超过 0 B/次的泄漏"
    assert "Leak (Python). Live heap grows by 4.00 KiB/call" in str(verdict.sentence)
    assert str(verdict.trends["rss"].reason) == "no leak above 0 B/call"


def test_programs_get_ids_and_figures_whatever_is_spoken(make_run: MakeRun) -> None:
    run = make_run(live_heap=rising(4 * KIB), rss=rising(MIB), limits={"x": BASE + 900 * MIB})
    report = assemble([run], "test")
    with speaking("zh"):
        document = render(report)
    assert document == render(report)
    (data,) = json.loads(document)["runs"]
    assert data["sentence"]["text"] == str(report.entries[0].verdict.sentence)
    leak, grown, *_, horizon = data["sentence"]["parts"]
    (limit,) = data["forecast"]["sentence"]["parts"]
    assert [leak["message"], limit["message"], horizon["message"]] == [
        "verdict.leak_in_native_code",
        "kill.with_series",
        "verdict.horizon",
    ]
    (growth,) = grown["parts"]
    assert growth["values"]["rate"] == {"value": 4 * KIB, "unit": "bytes", "per": "call"}
    assert growth["values"]["title"]["message"] == "series.live_heap"
    assert data["trends"]["rss"]["reason"]["message"] == "verdict.rises_steadily"


def test_every_statement_of_a_run_that_was_killed_is_a_part(make_run: MakeRun) -> None:
    run = make_run(
        live_heap=rising(MIB, 100),
        rss=rising(MIB, 100),
        outcome=Outcome(Ending.KILLED, "SIGKILL after call 100", "SIGKILL", None, -9),
    )
    parts = to_json(judge(run).sentence)["parts"]
    assert [part["message"] for part in parts] == [
        "verdict.killed_growing",
        "verdict.inconclusive",
        "verdict.ended_early",
        "verdict.rss_until_then",
    ]


@pytest.mark.parametrize(
    ("left", "status"),
    [((300, 90, 60), Status.NO_LEAK), ((410, 310, 240), Status.INCONCLUSIVE)],
    ids=["a warm-up", "little, but as much as ever"],
)
def test_blocks_that_warmed_up_are_clean_only_where_clearly_little_is_left_since(
    make_run: MakeRun, left: tuple[int, ...], status: Status
) -> None:
    """`left` bytes per call between collections that are 100 calls apart."""
    ends = [*accumulate((100 * each for each in left), initial=0)]
    looks = [
        Reading(
            "look_collected", {"python_live": size, "python_blocks": size // 48}, 100 + 100 * at
        )
        for at, size in enumerate(ends)
    ]
    blocks = [10 * call for call in range(400)]  # with the garbage on top
    run = make_run(looks, python_blocks=blocks, live_heap=[BASE] * 400)
    assert judge(run).trends["python_blocks"].status is status


@pytest.mark.parametrize(("until", "status"), [(400, Status.NO_LEAK), (900, Status.LEAK)])
def test_a_cache_beneath_garbage_is_level_where_collections_leave_nothing_more(
    make_run: MakeRun, until: int, status: Status
) -> None:
    """It fills until then; the garbage between the interim checks hides that it is full."""
    looks = (100, 200, 300, 400, 600, 1000)

    def live(call: int) -> int:
        return BASE + 8 * KIB * min(call, until)

    def last_look(call: int) -> int:
        return max((look for look in looks if look <= call), default=0)

    heap = [live(call) + 4 * KIB * (call - last_look(call)) for call in range(1000)]
    readings = [
        Reading(step, {"live_heap": size}, look)
        for look in looks
        for step, size in (("look", live(look) + MIB), ("look_collected", live(look)))
    ]
    run = make_run(readings, live_heap=heap, plan_changes={"warmup": 100})
    assert judge(run).trends["live_heap"].status is status
