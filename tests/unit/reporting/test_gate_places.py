"""What names lines of a repository: places, annotations, SARIF, GitLab's code quality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from conftest import HOSTILE, MakeRun
from made_gates import (
    KINDS,
    REPOSITORY,
    acceptance,
    checked,
    frame,
    gated,
    made_gates,
    suspect,
    variant,
)

from leakhunt.model.attribution import Origin
from leakhunt.model.gate import Budget, Extent, GateAnswer, GateResult
from leakhunt.reporting.gate import codequality
from leakhunt.reporting.gate import sarif as gate_sarif
from leakhunt.reporting.gate.annotations import MAX_ERRORS, annotation_lines
from leakhunt.reporting.gate.source_lines import Repository, Spot, place, repository_path, spot_of


@pytest.fixture(scope="module")
def gates(make_run: MakeRun) -> Mapping[str, GateResult]:
    return made_gates(make_run)


def sarif(made: GateResult, repository: Repository = REPOSITORY) -> Any:
    document = json.loads(gate_sarif.render(made, repository))
    (run,) = document["runs"]
    return run


def quality(made: GateResult, repository: Repository = REPOSITORY) -> Any:
    return json.loads(codequality.render(made, repository))


def at(location: Any) -> tuple[str, int]:
    physical = location["physicalLocation"]
    assert physical["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


# ---- places


@pytest.mark.parametrize(
    ("expected", "path"),
    [
        ("app/serve.py", "app/serve.py"),
        ("serve.py", "app/serve.py"),
        ("shop/pyproject.toml", "pyproject.toml"),
        ("shop/app/serve.py", "app/serve.py"),
        ("bench/naive.py", "bench/naive.py"),
        # Two could be meant.
        ("cache.py", None),
        ("app/cache.py", "app/cache.py"),
        # The end of a name is no end of a path.
        ("rve.py", None),
        ("other/serve.py", None),
        ("elsewhere/app/serve.py", None),
        ("<frozen runpy>", None),
        (HOSTILE, None),
    ],
)
def test_a_frame_is_the_file_whose_path_ends_like_it(expected: str, path: str | None) -> None:
    assert repository_path(expected, REPOSITORY) == path


def test_a_folder_that_stands_twice_is_nobodys() -> None:
    twice = Repository(files=("app/run.py", "old/app/run.py"), folder="shop")
    assert repository_path("app/run.py", twice) is None
    assert repository_path("old/app/run.py", twice) == "old/app/run.py"


def test_the_deepest_frame_of_yours_in_the_repository_is_taken() -> None:
    stack = (
        frame("torch/serve.py", 3, Origin.LIBRARY),
        frame("gone/away.py", 4),
        frame("app/cache.py", 33),
        frame("app/serve.py", 5),
    )
    assert spot_of(suspect(where=None, stack=stack), REPOSITORY) == Spot("app/cache.py", 33)
    assert spot_of(suspect(stack=stack), REPOSITORY) == Spot("app/serve.py", 12)
    assert spot_of(suspect(where=None, stack=stack[:2]), REPOSITORY) is None


def test_a_library_in_the_repository_is_not_pointed_at() -> None:
    found = suspect(where=None, stack=(), holder=frame("app/serve.py", 3, Origin.LIBRARY))
    assert spot_of(found, REPOSITORY) is None


def test_a_frame_without_a_line_is_at_the_first() -> None:
    assert spot_of(suspect(where=frame(line=0)), REPOSITORY) == Spot("app/serve.py", 1)


def test_without_a_frame_the_scenarios_file_stands_for_it(gates: Mapping[str, GateResult]) -> None:
    assert place(variant(scenario="bench/naive.py"), REPOSITORY) == Spot("bench/naive.py", 1)
    (within,) = gates["within"].variants
    (entry,) = within.entries
    plan = replace(entry.run.plan, source="naive.py")
    sourced = replace(within, entries=(replace(entry, run=replace(entry.run, plan=plan)),))
    assert place(sourced, REPOSITORY) == Spot("bench/naive.py", 1)


def test_else_the_policy_does_at_the_line_of_the_variant() -> None:
    assert place(variant(), REPOSITORY) == Spot("pyproject.toml", 9)
    assert place(variant(variant="other"), REPOSITORY) == Spot("pyproject.toml", 7)
    assert place(variant(scenario="x"), REPOSITORY) == Spot("pyproject.toml", 1)
    assert place(variant(), Repository()) is None


# ---- annotations


def test_an_annotation_is_at_the_line_that_leaks(gates: Mapping[str, GateResult]) -> None:
    first, second, third, notice = annotation_lines(gates["usual"], REPOSITORY)
    assert first == (
        "::error file=app/serve.py,line=12,title=leakhunt%3A fsmn-vad%3Anaive::over budget:"
        " live_heap 4.01 [4.00, 4.02] KiB/call, budget 2 KiB/call; detection limit 1.20"
        " KiB/call (95 %25 power)%0Aserve.KEPT (list) retains 1.03 KiB/call, 100%25 of the growth,"
        " at handle (app/serve.py:12)"
    )
    assert second == (
        "::error file=pyproject.toml,line=7,title=leakhunt%3A fsmn-vad%3Astreaming::not"
        " measured: funasr is missing"
    )
    assert third.startswith("::error file=pyproject.toml,line=1,title=leakhunt%3A tts%3Achunked::")
    assert notice == (
        "::notice title=leakhunt%3A 2 within budget::fsmn-vad:cleaned live_heap: budget 2"
        " KiB/call; detection limit 1.20 KiB/call (95 %25 power)%0Afsmn-vad:naive rss: budget 50"
        " MiB total; detection limit 1.20 KiB in total (95 %25 power)"
    )


def test_an_annotation_without_a_place_is_one_all_the_same(gates: Mapping[str, GateResult]) -> None:
    (line,) = annotation_lines(gates["nothing"], Repository())
    assert line.startswith("::error title=leakhunt%3A leakhunt%3Agate::not measured: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100%", "100%25"),
        ("a,b:c", "a%2Cb%3Ac"),
        ("a\r\nb", "a b"),
        ("%0A::error::x", "%250A%3A%3Aerror%3A%3Ax"),
        ("\x1b[31m", "?[31m"),
    ],
)
def test_nothing_ends_a_property_of_a_command(text: str, expected: str) -> None:
    (line,) = annotation_lines(gated(variant(GateAnswer.INCONCLUSIVE, variant=text)), Repository())
    assert line.startswith(f"::error title=leakhunt%3A fsmn-vad%3A{expected}::")


def test_a_hostile_message_is_one_command(gates: Mapping[str, GateResult]) -> None:
    evil = "x\n::stop-commands::y\r::add-mask::z%"
    (line,) = annotation_lines(
        gated(variant(GateAnswer.NOT_MEASURED, checks=(), reason=evil)), REPOSITORY
    )
    assert line.endswith("::not measured: x%0A::stop-commands::y ::add-mask::z%25")
    for made in gates.values():
        for each in annotation_lines(made, REPOSITORY):
            assert each.startswith(("::error ", "::notice ")) and each.isprintable()


def test_of_many_errors_the_last_says_how_many_there_are_besides(
    gates: Mapping[str, GateResult],
) -> None:
    lines = list(annotation_lines(gates["many"], REPOSITORY))
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == MAX_ERRORS
    assert "over budget: live_heap" in errors[0]
    assert errors[-1] == "::error title=leakhunt::4 more: see the job's summary"
    (notice,) = lines[MAX_ERRORS:]
    assert notice.endswith("%0Aand 6 more")


def test_as_many_errors_as_are_shown_are_all_told() -> None:
    ten = [variant(GateAnswer.INCONCLUSIVE, variant=f"v{number}") for number in range(MAX_ERRORS)]
    lines = list(annotation_lines(gated(*ten), REPOSITORY))
    assert len(lines) == MAX_ERRORS and "more" not in lines[-1]


# ---- SARIF


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("repository", [REPOSITORY, Repository()], ids=["known", "unknown"])
def test_sarif_has_what_code_scanning_demands(
    gates: Mapping[str, GateResult], kind: str, repository: Repository
) -> None:
    document = json.loads(gate_sarif.render(gates[kind], repository))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] and driver["version"]
    for rule in driver["rules"]:
        assert rule["id"] and rule["shortDescription"]["text"] and rule["fullDescription"]["text"]
        assert rule["help"]["text"] and rule["help"]["markdown"]
    followed = [each["partialFingerprints"]["primaryLocationLineHash"] for each in run["results"]]
    assert len(set(followed)) == len(followed)
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert result["level"] in ("error", "warning", "note")
        file, line = at(result["locations"][0])
        assert line >= 1 and file in repository.files
    failed = [each for each in run["results"] if "suppressions" not in each]
    notifications = run["invocations"][0]["toolExecutionNotifications"]
    is_fine = gates[kind].answer is GateAnswer.WITHIN_BUDGET
    assert bool(failed or [each for each in notifications if each["level"] != "note"]) != is_fine


def test_a_result_stands_at_the_suspects_and_is_known_by_the_first(
    gates: Mapping[str, GateResult],
) -> None:
    run = sarif(gates["usual"])
    over, unmeasured, undecided = run["results"]
    assert (over["ruleId"], over["level"]) == ("leak/live_heap", "error")
    assert at(over["locations"][0]) == ("app/serve.py", 12)
    assert [at(each) for each in over["relatedLocations"]] == [("app/cache.py", 33)]
    assert over["partialFingerprints"]["leakhuntSuspect/v1"] == "0123456789ab"
    assert (unmeasured["ruleId"], unmeasured["level"]) == ("leak/not-judged", "warning")
    assert (undecided["ruleId"], undecided["level"]) == ("leak/live_heap", "warning")
    assert run["invocations"][0]["exitCode"] == 1
    assert run["invocations"][0]["executionSuccessful"] is False


def test_an_alert_stays_the_same_when_its_line_moves(gates: Mapping[str, GateResult]) -> None:
    def followed(*suspects: Any) -> str:
        (result,) = sarif(gated(variant(GateAnswer.OVER_BUDGET, suspects=suspects)))["results"]
        line_hash: str = result["partialFingerprints"]["primaryLocationLineHash"]
        return line_hash

    assert followed(suspect()) == followed(suspect(where=frame(line=99)))
    assert followed(suspect()) != followed(suspect(fingerprint="another"))


def test_two_runs_of_a_variant_are_two_alerts() -> None:
    over = variant(GateAnswer.OVER_BUDGET)
    results = sarif(gated(over, over))["results"]
    hashes = [each["partialFingerprints"]["primaryLocationLineHash"] for each in results]
    assert [each[-2:] for each in hashes] == [":1", ":2"] and hashes[0][:-2] == hashes[1][:-2]


def test_budgets_of_one_series_are_told_apart_and_known_whatever_their_amount() -> None:
    def known(*budgets: Budget) -> list[str]:
        checks = tuple(checked(GateAnswer.OVER_BUDGET, budget=budget) for budget in budgets)
        return [
            each["fingerprint"]
            for each in quality(gated(variant(GateAnswer.OVER_BUDGET, checks=checks)))
        ]

    by_itself = Budget("live_heap", 2048.0, Extent.CALL, False, "2 KiB/call")
    more = Budget("live_heap", 0.0, Extent.CALL, True, "+0")
    first, second = known(by_itself, more)
    assert first != second and first.endswith(":1") and second.endswith(":1")
    assert known(replace(by_itself, amount=1024.0, text="1 KiB/call")) == [first]
    assert known(more) == [second]


def test_an_accepted_suspect_is_a_result_that_is_suppressed(
    gates: Mapping[str, GateResult],
) -> None:
    (result,) = sarif(gates["accepted"])["results"]
    (suppression,) = result["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert "accepted until 2027-01-31: issue 12" in suppression["justification"]
    assert (result["level"], result["ruleId"]) == ("note", "leak/live_heap")


def test_an_answer_without_a_line_is_a_notification(gates: Mapping[str, GateResult]) -> None:
    run = sarif(gates["usual"], Repository())
    assert run["results"] == []
    texts = [each["level"] for each in run["invocations"][0]["toolExecutionNotifications"]]
    assert texts == ["error", "warning", "warning", "note"]


def test_a_name_that_is_no_uri_is_escaped() -> None:
    odd = Repository(files=("a b/sérve#1.py",), folder="x")
    over = variant(GateAnswer.OVER_BUDGET, suspects=(suspect(where=frame("a b/sérve#1.py")),))
    (result,) = sarif(gated(over), odd)["results"]
    assert at(result["locations"][0]) == ("a%20b/s%C3%A9rve%231.py", 12)


def test_every_budgeted_kind_has_its_rule(gates: Mapping[str, GateResult]) -> None:
    rules = [rule["id"] for rule in sarif(gates["usual"])["tool"]["driver"]["rules"]]
    assert rules == ["leak/live_heap", "leak/not-judged", "leak/rss"]
    (time,) = sarif(gates["time"])["tool"]["driver"]["rules"]
    assert time["id"] == "leak/seconds_per_call" and "longer" in time["shortDescription"]["text"]


# ---- GitLab


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("repository", [REPOSITORY, Repository()], ids=["known", "unknown"])
def test_code_quality_has_what_gitlab_demands(
    gates: Mapping[str, GateResult], kind: str, repository: Repository
) -> None:
    entries = quality(gates[kind], repository)
    for entry in entries:
        assert entry["description"] and entry["check_name"].startswith("leak/")
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["path"] and "/tmp" not in entry["location"]["path"]
        assert entry["location"]["lines"]["begin"] >= 1
    known = [entry["fingerprint"] for entry in entries]
    assert len(set(known)) == len(known)
    failed = [entry for entry in entries if entry["severity"] != "info"]
    assert bool(failed) == (gates[kind].answer is not GateAnswer.WITHIN_BUDGET)


def test_code_quality_stands_at_the_line_that_leaks(gates: Mapping[str, GateResult]) -> None:
    over, unmeasured, _ = quality(gates["usual"])
    assert over["location"] == {"path": "app/serve.py", "lines": {"begin": 12}}
    assert over["severity"] == "critical" and "serve.KEPT" in over["description"]
    assert unmeasured["location"] == {"path": "pyproject.toml", "lines": {"begin": 7}}


def test_what_is_put_up_with_is_information() -> None:
    accepted = variant(accepted=((suspect(), acceptance()),), checks=(checked(),))
    (entry,) = quality(gated(accepted))
    assert (entry["severity"], entry["location"]["path"]) == ("info", "app/serve.py")


def test_no_path_of_a_machine_gets_out() -> None:
    """A policy and a scenario are named as they were given: perhaps from the root."""
    away = variant(GateAnswer.OVER_BUDGET, scenario="/home/someone/bench.py")
    made = gated(away, policy="/home/someone/pyproject.toml")
    (entry,) = quality(made, Repository())
    assert entry["location"]["path"] == "bench.py"
    assert sarif(made, Repository())["results"] == []
