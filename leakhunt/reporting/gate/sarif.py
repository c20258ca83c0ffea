"""``gate.sarif``: SARIF 2.1.0, for code scanning that follows an alert from run to run.

A result for each answer that is not within budget: over is an error, what could not be told or
measured a warning, since an alert that is missing would be taken for mended. Accepted suspects are
results that are suppressed. GitHub refuses a whole file for one result without a line of the
repository: such an answer is a notification in place of a result.

A result's message says who keeps the memory too, and names its values; SARIF's own `id` and
`arguments` (by number, looked up in the rule) do not fit that. So what programs may read of the
reason, its id and raw values, is in the result's properties.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from leakhunt.model.gate import SECONDS_PER_CALL, GateAnswer, GateResult
from leakhunt.model.series import GARBAGE_OBJECTS, PEAK_RSS, short_title
from leakhunt.reporting.formats.markdown_escape import escaped
from leakhunt.reporting.formats.terminal_escape import one_line
from leakhunt.reporting.gate.ids import (
    NOT_JUDGED,
    accepted_id,
    accepted_rule_id,
    answer_id,
    numbered,
    rule_id,
)
from leakhunt.reporting.gate.rows import GateRow, rows, sentence, word
from leakhunt.reporting.gate.source_lines import (
    Repository,
    Spot,
    place,
    scenario_spot,
    spot_of,
    suspect_spots,
)
from leakhunt.reporting.gate.suspects import accepted_line, suspect_line
from leakhunt.text.message import to_json

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
# The one fingerprint that GitHub goes by; its own name for it.
_FOLLOWED = "primaryLocationLineHash"
_SUSPECT = "leakhuntSuspect/v1"
_LEVELS = {
    GateAnswer.OVER_BUDGET: "error",
    GateAnswer.NOT_MEASURED: "warning",
    GateAnswer.INCONCLUSIVE: "warning",
}


def render(gated: GateResult, repository: Repository) -> bytes:
    """ASCII JSON, one run; files are named from the repository's root."""
    failed = [row for row in rows(gated) if row.answer is not GateAnswer.WITHIN_BUDGET]
    results = [*_failed(failed, repository), *_accepted(gated, repository)]
    for result, number in zip(results, numbered(map(_followed, results)), strict=True):
        result["partialFingerprints"][_FOLLOWED] = number
    name, _, version = one_line(gated.generator).partition(" ")
    used = dict.fromkeys([*map(rule_id, rows(gated)), *(each["ruleId"] for each in results)])
    rules = list(used)
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    driver = {"name": name, "version": version or "0", "rules": [_rule(each) for each in rules]}
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {_ROOT: {"description": _text("The root of the repository.")}},
        "invocations": [_invocation(gated, failed, repository)],
        "results": results,
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


def _followed(result: dict[str, Any]) -> str:
    followed: str = result["partialFingerprints"][_FOLLOWED]
    return followed


def _failed(failed: Sequence[GateRow], repository: Repository) -> Iterator[dict[str, Any]]:
    for row in failed:
        spot = place(row.variant, repository)
        if spot is None:
            continue
        known = {_FOLLOWED: answer_id(row)}
        for suspect in row.variant.suspects[:1]:
            known[_SUSPECT] = one_line(suspect.fingerprint)
        result = {
            "ruleId": rule_id(row),
            "level": _LEVELS[row.answer],
            "message": _text(_message(row)),
            "locations": [_location(spot)],
            "partialFingerprints": known,
            "properties": {"reason": _visible(to_json(row.reason))},
        }
        further = [
            _location(at) | {"id": number, "message": _text(suspect_line(suspect, row.variant))}
            for number, (suspect, at) in enumerate(suspect_spots(row.variant, repository))
            if number
        ]
        yield result | ({"relatedLocations": further} if further else {})


def _accepted(gated: GateResult, repository: Repository) -> Iterator[dict[str, Any]]:
    for variant in gated.variants:
        for suspect, acceptance in variant.accepted:
            spot = spot_of(suspect, repository) or scenario_spot(variant, repository)
            if spot is None:
                continue
            text = f"{variant.name}: {accepted_line(suspect, acceptance, variant)}"
            yield {
                "ruleId": accepted_rule_id(variant),
                "level": "note",
                "message": _text(text),
                "locations": [_location(spot)],
                "partialFingerprints": {
                    _FOLLOWED: accepted_id(variant, suspect),
                    _SUSPECT: one_line(suspect.fingerprint),
                },
                "suppressions": [
                    {
                        "kind": "external",
                        "status": "accepted",
                        "justification": one_line(text),
                    }
                ],
            }


def _message(row: GateRow) -> str:
    sentences = [f"{row.variant.name}: {word(row.answer)}: {sentence(row)}."]
    sentences += [f"{suspect_line(suspect, row.variant)}." for suspect in row.variant.suspects]
    return " ".join(sentences)


def _invocation(
    gated: GateResult, failed: Sequence[GateRow], repository: Repository
) -> dict[str, Any]:
    """Whether all was measured; what was not, and what has no line to stand at."""
    notifications = [
        {"level": _LEVELS[row.answer], "message": _text(_message(row))}
        for row in failed
        if row.answer is GateAnswer.NOT_MEASURED or place(row.variant, repository) is None
    ]
    notifications += [{"level": "note", "message": _text(str(note))} for note in gated.notes]
    return {
        "executionSuccessful": all(row.answer is not GateAnswer.NOT_MEASURED for row in failed),
        "exitCode": int(gated.answer),
        "toolExecutionNotifications": notifications,
    }


def _rule(name: str) -> dict[str, Any]:
    short, full, remedy = _described(name)
    level = "warning" if name == NOT_JUDGED else "error"
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in re.split(r"\W|_", name)),
        "shortDescription": _text(short),
        "fullDescription": _text(full),
        "help": {"text": f"{full} {remedy}", "markdown": f"{escaped(full)}\n\n{remedy}"},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["memory", "performance"], "problem.severity": level},
    }


def _described(name: str) -> tuple[str, str, str]:
    """What a rule says: in short, in full, and what helps."""
    if name == NOT_JUDGED:
        return (
            "Memory growth could not be judged",
            "A workload with a budget was not measured, or its result is inconclusive.",
            "For the reason, see the output of leakhunt gate in the log of the job.",
        )
    series = name.partition("/")[2]
    if series == SECONDS_PER_CALL:
        return (
            "A call takes longer than its budget",
            "The time per call is above the budget in the policy.",
            "Compare the versions with leakhunt compare.",
        )
    if series == PEAK_RSS:
        return (
            "The highest RSS is above its budget",
            "A call takes RSS above the budget in the policy at its peak.",
            "The report of leakhunt run shows the peak by input size.",
        )
    if series == GARBAGE_OBJECTS:
        return (
            "Cyclic garbage above budget",
            "The calls leave more objects to the garbage collector than the budget allows.",
            "The message names the cycles and the reference to cut.",
        )
    return (
        f"Growth of {short_title(series)} above budget",
        f"Growth in {short_title(series)} per call is above the budget in the policy; its whole"
        " confidence interval is above the budget.",
        "The message names the leak suspects. Run leakhunt hunt SCENARIO:VARIANT to find the cause,"
        " and try known fixes with --try.",
    )


def _location(spot: Spot) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(spot.file, errors="replace"), "uriBaseId": _ROOT},
            "region": {"startLine": spot.line},
        }
    }


def _visible(value: Any) -> Any:
    """A value of JSON whose texts are on one line each, with nothing that cannot be seen."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {name: _visible(each) for name, each in value.items()}
    return [_visible(each) for each in value] if isinstance(value, list) else value


def _text(text: str) -> dict[str, str]:
    return {"text": one_line(text)}
