"""Growth by route: regressed on how many requests of each kind there were."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_soaks import MIB, Made, MadeProcess, soak, with_workers, write_soak

from leakhunt.analysis.report import assemble, command_for
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.routes import SAMPLES_PER_TURN, judge_routes, title_of
from leakhunt.model.routes import RequestOutcome, Route, RouteCounts
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status
from leakhunt.reporting.run import html_page, json_file, markdown
from leakhunt.reporting.shared.routes import route_rows
from leakhunt.storage import run_file

LONG = Made(samples=338, per_sample=60)
NAMES = ("/clean", "/leaky", "/other", "/upload")


def mixed(
    bytes_each: dict[str, float],
    *,
    shares: tuple[float, ...] = (0.6, 0.1, 0.2, 0.1),
    turns: bool = False,
    noise: int = 4000,
    seed: int = 0,
    tied: bool = False,
) -> Run:
    """A soak of four routes in a random mix, or in turns, that grows by so many bytes each."""
    run = soak(replace(LONG, load={"by_route": turns}, seed=seed))
    source = np.random.default_rng(seed)
    steps = np.diff(np.array(run.calls), prepend=0)
    rows: list[list[int]] = []
    for at, requests in enumerate(steps):
        if turns and at >= run.judged_from:
            turn = at // SAMPLES_PER_TURN % len(NAMES)
            rows.append([int(requests) if place == turn else 0 for place in range(len(NAMES))])
        else:
            rows.append(source.multinomial(requests, shares).tolist())
    table = np.array(rows)
    counts = np.cumsum(table, axis=0)
    grown = counts @ np.array([bytes_each.get(name, 0.0) for name in NAMES])
    heap = 40 * MIB + grown + source.normal(0, noise, len(steps))
    routes = [
        RouteCounts(Route("GET", name, RequestOutcome.ANSWERED), array("q", column.tolist()))
        for name, column in zip(NAMES, counts.T, strict=True)
    ]
    if tied:
        both = Route("POST", "/leaky", RequestOutcome.FAILED)
        routes.append(RouteCounts(both, routes[1].counts))
    samples = {**run.samples, "live_heap": array("q", heap.astype(int).tolist())}
    return replace(run, samples=samples, routes=tuple(routes))


@pytest.mark.parametrize("turns", [False, True])
def test_the_route_that_leaks_is_named_with_its_bytes(turns: bool) -> None:
    run = mixed({"/leaky": 1033.0}, turns=turns)
    guilty, *rest = judge_routes(run)
    assert [each.name for each in guilty.routes] == ["/leaky"]
    rate = guilty.rates["live_heap"]
    assert rate.grows
    assert rate.low < 1033 < rate.high
    assert rate.high - rate.low < (60 if turns else 900)
    assert not any(each.grows for each in rest)
    verdict = judge(run)
    assert verdict.status is Status.LEAK
    assert "By route: GET /leaky: live heap" in str(verdict.sentence), verdict.sentence
    assert "no growth in 3 others" in str(verdict.sentence)


def test_a_single_route_that_does_not_grow_is_one_other() -> None:
    run = mixed(dict.fromkeys(("/clean", "/leaky", "/other"), 2000.0), turns=True)
    assert str(judge(run).sentence).endswith("no growth in 1 other.")


@pytest.mark.parametrize(("method", "name", "title"), [
    ("GET", "/rates", "GET /rates"),
    ("POST", "POST /quotes", "POST /quotes"),
    ("GET", "GETTING", "GET GETTING"),
    ("", "a task", "a task"),
])  # fmt: skip
def test_a_route_whose_name_has_the_method_does_not_say_it_twice(
    method: str, name: str, title: str
) -> None:
    route = Route(method, name, RequestOutcome.ANSWERED)
    assert str(title_of([route])) == route.plain_title == title


def test_the_intervals_hold_and_nobody_clean_is_named() -> None:
    held = named = 0
    for seed in range(60):
        judged = judge_routes(mixed({"/leaky": 200.0, "/other": 50.0}, turns=True, seed=seed))
        truth = {"/leaky": 200.0, "/other": 50.0}
        for each in judged:
            rate = each.rates["live_heap"]
            held += rate.low <= truth.get(each.routes[0].name, 0.0) <= rate.high
            named += rate.grows and each.routes[0].name not in truth
    assert held >= 0.97 * 60 * 4
    assert named == 0


def test_two_that_leak_are_both_named_the_greater_first() -> None:
    judged = judge_routes(mixed({"/leaky": 4000.0, "/upload": 900.0}, turns=True))
    assert [each.routes[0].name for each in judged if each.grows] == ["/leaky", "/upload"]


def test_kinds_that_always_come_together_are_one() -> None:
    judged = judge_routes(mixed({"/leaky": 4000.0}, turns=True, tied=True))
    assert [route.method for route in judged[0].routes] == ["GET", "POST"]
    said = str(judge(mixed({"/leaky": 4000.0}, turns=True, tied=True)).sentence)
    assert "GET /leaky + POST /leaky (failed): live heap" in said


def test_a_service_that_does_not_grow_names_no_route() -> None:
    for seed in range(10):
        run = mixed({}, turns=True, seed=seed)
        assert not any(each.grows for each in judge_routes(run))
        assert "route" not in str(judge(run).sentence)


def test_one_kind_alone_or_too_few_of_it_says_nothing() -> None:
    run = mixed({"/leaky": 1000.0})
    assert judge_routes(replace(run, routes=run.routes[:1])) == ()
    rare = replace(run.routes[1], counts=array("q", [at // 200 for at in range(run.samples_done)]))
    assert judge_routes(replace(run, routes=(run.routes[0], rare))) == ()


def test_what_a_replaced_worker_takes_back_is_no_growth_of_a_route() -> None:
    run = mixed({"/leaky": 4000.0}, turns=True)
    heap = run.samples["live_heap"]
    falls = [value - heap[at - at % 50] for at, value in enumerate(heap)]
    sawing = replace(run, samples={**run.samples, "live_heap": array("q", falls)})
    parts = with_workers(sawing, MadeProcess(life=50))
    worker = parts.processes[1].samples
    worker.samples["live_heap"][:] = falls  # type: ignore[index]
    judged = judge_routes(parts)
    assert judged[0].routes[0].name == "/leaky"
    assert judged[0].rates["live_heap"].rate == pytest.approx(4000, rel=0.1)


def test_routes_are_read_back_from_the_run_file(tmp_path: Path) -> None:
    run = mixed({"/leaky": 4000.0}, turns=True)
    again = run_file.load(write_soak(tmp_path / "a.run.jsonl", run))
    assert again.damaged_lines == 0
    assert [list(each.counts) for each in again.routes] == [
        list(each.counts) for each in run.routes
    ]
    assert judge_routes(again) == judge_routes(run)
    assert "--by-route" in command_for([again.plan])


def test_every_format_has_a_row_for_each_route() -> None:
    report = assemble([mixed({"/leaky": 4000.0}, turns=True, tied=True)], "leakhunt")
    rows = route_rows(report)
    assert rows[0][1] == "GET /leaky + POST /leaky (failed)"
    assert rows[0][3] == "grows"
    assert rows[0][4].startswith("3.91 [")
    assert {row[3] for row in rows[1:]} == {"no growth seen"}
    for page in (html_page.render(report), markdown.render(report)):
        assert "bytes per request" in page.decode()
    assert b'"outcome": "failed"' in json_file.render(report)
