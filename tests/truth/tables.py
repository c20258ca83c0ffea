"""The committed tables as a page: this writes ``reports/truth/README.md``.

Made from the data beside it alone, so that a test can tell whether the page is up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any

from leakhunt.analysis.evaluation import confusion, score
from leakhunt.reporting.evaluation.tables import (
    HEADINGS,
    HUNT_HEADINGS,
    confusion_rows,
    from_json,
    hunt_rows,
    markdown,
    rows,
    summary,
)

FOLDER = Path(__file__).parents[2] / "reports" / "truth"
PAGE = FOLDER / "README.md"
SLOPES = ("0.1", "0.3", "1")


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    zoo = (FOLDER / "zoo.json").read_bytes()
    facts = json.loads(zoo)["facts"]
    trials = from_json(zoo)
    yield "# How often the verdict is right"
    yield ""
    yield "Made by `make truth` from the data in this folder; `make test` runs a quick part of it."
    yield ""
    yield "## The leak zoo: real processes"
    yield ""
    yield (
        f"Small real workloads of known truth, each run in fresh processes on {facts['date']}"
        f" ({facts.get('python', 'Python')}, {facts.get('cores', '?')} cores), as `leakhunt run`"
        " does by default. The CUDA workloads need a GPU and are not in this table."
    )
    yield ""
    yield from (f"- {line}" for line in summary(score(trials)))
    yield ""
    yield markdown(*confusion_rows(confusion(trials)))
    yield ""
    yield from _beside_psleak()
    yield from _hunts()
    yield from _gates()
    yield "## Simulated curves: against other rules"
    yield ""
    yield from _curves()
    yield "## Every workload"
    yield ""
    yield markdown(HEADINGS, rows(trials))


def _gates() -> Iterator[str]:
    data = json.loads((FOLDER / "gate.json").read_bytes())
    clean, planted = data["clean"], data["planted"]
    passed = sum(each["exit_code"] == 0 for each in clean)
    failed = sum(each["exit_code"] == 1 for each in planted)
    first = [each["suspects"][0].rpartition(":")[0] if each["suspects"] else "" for each in planted]
    named = sum(file.endswith("fsmn_vad/scenario.py") for file in first)
    seen = sorted(each["would_have_seen"]["live_heap"] for each in clean)
    again = sum(each["attempts"] > 1 for each in clean)
    yield "## The gate on the real pipeline"
    yield ""
    yield (
        f"`python tests/truth/gate_runs.py`, {data['facts']['date']}: `leakhunt gate` on"
        " `fsmn-vad:naive` with clips of one length, stand-in weights, another seed each time, no"
        " budget but the default (nothing live leaks), two gates at a time on two cores."
    )
    yield ""
    yield (
        f"- As it is: {passed} of {len(clean)} pass, {again} after a longer run; by {span(clean)}"
        f" calls. Each would have seen {seen[0]:,.0f} to {seen[-1]:,.0f} bytes a call of live heap"
        f" with 95 %, {median(seen):,.0f} in the median."
    )
    yield (
        f"- With {data['planted_bytes']:,} bytes a call planted in a copy: {failed} of"
        f" {len(planted)} fail, {named} with the planted line as the first suspect, by"
        f" {span(planted)} calls."
    )
    yield ""


def span(gates: list[dict[str, Any]]) -> str:
    """How many calls the gates took: ``325 to 600``."""
    calls = sorted(each["calls"] for each in gates)
    return f"{calls[0]:,}" if calls[0] == calls[-1] else f"{calls[0]:,} to {calls[-1]:,}"


def _hunts() -> Iterator[str]:
    data = (FOLDER / "hunts.json").read_bytes()
    trials = from_json(data)
    leaking = [each for each in trials if each.leaks]
    clean = [each for each in trials if not each.leaks]
    right = sum(each.hunted is not None and each.hunted.is_right for each in leaking)
    accused = sum(each.hunted is not None and each.hunted.suspects > 0 for each in clean)
    yield "## Hunts: is the first suspect the culprit?"
    yield ""
    yield (
        f"`leakhunt truth --hunt`, {json.loads(data)['facts']['date']}: in {right} of"
        f" {len(leaking)} leaking workloads the first suspect names the line or the container that"
        f" keeps the memory, and its known cause; in {accused} of {len(clean)} clean ones"
        " somebody is suspected. A share above 100 %: the watched calls grew by more than the"
        " judged ones."
    )
    yield ""
    yield markdown(HUNT_HEADINGS, hunt_rows(leaking))
    yield ""


def _beside_psleak() -> Iterator[str]:
    table: list[dict[str, Any]] = json.loads((FOLDER / "psleak.json").read_bytes())
    leaking = [row for row in table if row["leaks"]]
    clean = [row for row in table if not row["leaks"]]
    yield "## Beside psleak, on the same functions"
    yield ""
    yield (
        "psleak 0.1.6 with its defaults, each workload once in a fresh process with"
        " `PYTHONMALLOC=malloc`, as it asks for; ours as above. psleak says whether, not what; it"
        " also reports cyclic garbage, on purpose, which we class apart."
    )
    yield ""
    body = [
        (
            tool,
            f"{found} of {len(leaking)}",
            f"{alarms} of {len(clean)}",
            f"{median(leak_calls):,.0f}",
            f"{median(clean_calls):,.0f}",
        )
        for tool, found, alarms, leak_calls, clean_calls in (
            (
                "leakhunt",
                sum(row["leakhunt"]["right"] == row["leakhunt"]["runs"] for row in leaking),
                sum(row["leakhunt"]["right"] < row["leakhunt"]["runs"] for row in clean),
                [row["leakhunt"]["calls"] for row in leaking],
                [row["leakhunt"]["calls"] for row in clean],
            ),
            (
                "psleak",
                sum(row["psleak"]["leak"] is True for row in leaking),
                sum(row["psleak"]["leak"] is True for row in clean),
                [row["psleak"]["calls"] for row in leaking if row["psleak"]["leak"]],
                [row["psleak"]["calls"] for row in clean if row["psleak"]["leak"] is False],
            ),
        )
    ]
    heads = ("tool", "leaks found", "clean ones reported", "calls to a leak", "calls to a pass")
    yield markdown(heads, body)
    yield ""
    for row in table:
        if row["psleak"]["leak"] is not row["leaks"]:
            said = row["psleak"]["said"] or "passes"
            yield f"- `{row['workload']}`: psleak {said.partition(':')[0]}"
    yield ""


def _curves() -> Iterator[str]:
    document = json.loads((FOLDER / "curves.json").read_bytes())
    yield (
        f"{document['curves']} curves of each family for our rule, {document['curves_of_others']}"
        " for the others, which follow their sources (`tests/truth/rival_rules.py`). Sigma is the"
        f" standard deviation of one sample; {document['tolerance_sigma']} sigma a call are"
        " tolerated. Every transient of a bounded family is over in 100 calls or is one event"
        f" anywhere. `looks`: at {', '.join(map(str, document['looks']))} samples, until it knows,"
        " as a run does by default. The rule was settled on the families of `curves.py`; those of"
        " `held_out_curves.py` were written by another hand that had not seen the rule, and were"
        " not looked at before it stood."
    )
    yield ""
    heads = ["rule", "samples", "false alarms, mean %", "worst family %"]
    heads += [f"found at {slope} σ, %" for slope in SLOPES]
    for families in ("tuned on", "held out"):
        yield f"### Families {families}"
        yield ""
        cells = [cell for cell in document["cells"] if cell["families"] == families]
        yield markdown(heads, map(_row, cells))
        yield ""


def _row(cell: dict[str, Any]) -> tuple[str, ...]:
    alarms = cell["false_alarms"].values()
    taken = f" ({cell['samples_taken']:.0f} taken)" if cell["samples"] == "looks" else ""
    return (
        cell["rule"],
        cell["samples"] + taken,
        f"{mean(alarms):.2f}",
        f"{max(alarms):.1f}",
        *(f"{mean(cell['detected'][slope].values()):.0f}" for slope in SLOPES),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
    sys.exit(0)
