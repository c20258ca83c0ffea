"""The committed tables as a page: this writes ``reports/truth/README.md``.

Made from the data beside it alone, so that a test can tell whether the page is up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any

from allocator_zoo import AllocatorTrial
from allocator_zoo import summary as summary_of_allocators
from cache_bounds import BOUNDS
from gpu_table import section as gpu_section
from published import RESULTS, Package, packages, result_of
from pythons_table import section as pythons_section

from leakhunt.amounts import format_bytes
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
        f"Small real workloads with a known ground truth, in fresh processes, {facts['date']}"
        f" ({facts.get('python', 'Python')}, {facts.get('cores', '?')} cores), as `leakhunt run`"
        " by default. The CUDA workloads need a GPU: not in this table."
    )
    yield ""
    yield from (f"- {line}" for line in summary(score(trials)))
    yield ""
    yield markdown(*confusion_rows(confusion(trials)))
    yield ""
    yield from _beside_psleak()
    yield from _hunts()
    yield from _published()
    yield from _caches()
    yield from _early()
    yield from _allocators()
    yield from _gates()
    yield from _forecasts()
    yield from _fleet()
    if (FOLDER / "gpu.json").exists():
        yield from gpu_section(json.loads((FOLDER / "gpu.json").read_bytes()))
    if (FOLDER / "pythons.json").exists():
        yield from pythons_section(json.loads((FOLDER / "pythons.json").read_bytes()))
    yield "## Simulated curves: comparison with other rules"
    yield ""
    yield from _curves()
    yield "## Every workload"
    yield ""
    yield markdown(HEADINGS, rows(trials))


def _fleet() -> Iterator[str]:
    """How often `analyze` is right about instances of a fleet, beside an alert by a line."""
    document = json.loads((FOLDER / "fleet.json").read_bytes())
    yield "## Fleets: memory measured elsewhere"
    yield ""
    yield (
        "300 simulated instances over seven days, a point a minute, with a limit of 2 GiB: deploys"
        " and restarts, daily tides with quieter weekends, caches that fill in hours, and leaks"
        " that would fill the room in 1 to 14 days. *grows* is an alarm. Beside it the alert"
        " `predict_linear(memory[6h], 86400) > limit`, for an hour, at any time of the seven days:"
        " it is asked for what ends within a day, and so misses what is slower or deployed before."
    )
    yield ""
    for name, rates in document["summary"].items():
        false, missed = (f"{100 * rates[key]:.1f} %" for key in ("false_positive_rate", "missed"))
        yield f"- `{name}`: false positives {false}, leaks missed {missed}"
    yield ""
    courses = list(dict.fromkeys(name for row in document["kinds"] for name in row["courses"]))
    yield markdown(
        ("ground truth", *courses, "predict_linear fires"),
        [
            (
                row["kind"],
                *(str(row["courses"].get(name, "·")) for name in courses),
                str(row["predict_linear"]),
            )
            for row in document["kinds"]
        ],
    )
    yield ""


def _forecasts() -> Iterator[str]:
    """How often the truth lies in the interval of a forecast of the time to a limit."""
    document = json.loads((FOLDER / "forecast.json").read_bytes())
    yield "## Time to limit: how often the truth lies in the interval"
    yield ""
    yield (
        "The line *Time to limit* of a verdict has a 90 % interval, from all fits (linear,"
        " logarithmic, levelling) that foresaw the last third of the run. Here it is held against"
        " simulated curves of 60, 200 and 500 samples that go on for ten times as long; growth in"
        " the run is 5 to 200 times the noise of a sample. In %, and the median width of the"
        " interval after three more lengths, in growth of the run."
    )
    yield ""
    heads = ("curves", "after 1 length", "after 3", "after 10", "calls to a limit", "width")
    yield markdown(
        heads,
        [
            (
                each["family"] + (" (held out)" if each["held_out"] else ""),
                *(f"{each['growth'][ahead]:.0f}" for ahead in ("1", "3", "10")),
                f"{each['reached']:.0f}",
                f"{each['width']['3']:.1f}",
            )
            for each in document["simulated"]
        ],
    )
    yield ""
    yield (
        "A real process: RSS of `fsmn-vad:naive` (ever new clip lengths, one thread), which grows"
        " by retention in uneven steps. What the calls up to one foresaw of a later one, in MiB."
    )
    yield ""
    yield markdown(
        ("calls seen", "of call", "foreseen", "interval", "came", "within"),
        [
            (
                f"{each['first']:,} to {each['last']:,}",
                f"{each['call']:,}",
                f"{each['best']:,.0f}",
                f"{each['low']:,.0f} to {each['high']:,.0f}",
                f"{each['true']:,.0f}",
                "yes" if each["low"] <= each["true"] <= each["high"] else "no",
            )
            for each in document["real"]
        ],
    )
    yield ""


def _caches() -> Iterator[str]:
    bounds = json.loads((FOLDER / "cache_bounds.json").read_bytes())
    file = FOLDER / "cache_runs.json"
    document = json.loads(file.read_bytes()) if file.exists() else {"figures": {}, "runs": []}
    clean = [row for row in bounds["workloads"] if not row["leaks"]]
    yield "## Bounded caches"
    yield ""
    yield (
        f"{len(clean)} caches of real kinds and {len(bounds['workloads']) - len(clean)} workloads"
        " that look like one and leak. Ground truth: `python tests/truth/cache_bounds.py`,"
        f" {bounds['facts']['date']}: each runs five times as long as it takes to fill, and its"
        " live bytes are counted exactly. Verdicts: `python tests/truth/cache_runs.py`, as"
        " `leakhunt run` by default, with a new seed for each run."
    )
    yield ""
    yield from _cache_figures(document)
    by_workload: dict[str, list[dict[str, Any]]] = {}
    for run in document["runs"]:
        by_workload.setdefault(run["workload"], []).append(run)
    body = [_cache_row(row, by_workload.get(row["workload"], [])) for row in bounds["workloads"]]
    heads = ("workload", "full after", "ceiling", "found", "ceiling found", "calls", "correct")
    yield markdown(heads, body)
    yield ""


def _cache_figures(document: dict[str, Any]) -> Iterator[str]:
    figures = document["figures"]
    if not figures:
        return
    yield (
        f"- Bounded: {figures['false_alarms']} false positives in {figures['clean_runs']} runs;"
        f" {figures['certified']} certified, median {figures['median_calls_to_pass']:,.0f} calls"
        f" and {figures['median_seconds_to_pass']:.0f} s."
    )
    yield (
        f"- Leaking: {figures['found']} of {figures['leaking_runs']} found, median"
        f" {figures['median_calls_to_leak']:,.0f} calls and"
        f" {figures['median_seconds_to_leak']:.0f} s."
    )
    yield (
        f"- Ceilings: reported in {figures['ceilings_said']} runs, verified in"
        f" {figures['ceilings_verified']}, within a quarter of the ground truth in"
        f" {figures['ceilings_within_a_quarter']}."
    )
    yield ""


def _cache_row(row: dict[str, Any], runs: list[dict[str, Any]]) -> tuple[str, ...]:
    wanted = "leak" if row["leaks"] else "no_leak"
    ceilings = [run["ceiling_bytes"] for run in runs if run["ceiling_bytes"] is not None]
    return (
        row["workload"].removeprefix("leak-zoo-"),
        "–" if row["leaks"] else f"{BOUNDS[row['workload']].calls:,}",
        "–" if row["leaks"] else format_bytes(row["ceiling_bytes"]),
        ", ".join(dict.fromkeys(run["kind"] for run in runs)) or "–",
        format_bytes(median(ceilings)) if ceilings else "–",
        f"{median(run['calls'] for run in runs):,.0f}" if runs else "–",
        f"{sum(run['status'] == wanted for run in runs)} of {len(runs)}" if runs else "–",
    )


def _early() -> Iterator[str]:
    data = json.loads((FOLDER / "early_runs.json").read_bytes())
    figures, rows = data["figures"], data["runs"]
    yield "## Slow calls: verdicts from few calls"
    yield ""
    yield (
        f"`python tests/truth/early_runs.py`, {data['facts']['date']}: workloads of the zoo, each"
        " call of which sleeps for 0.5 s first, as `leakhunt run --budget 25`. With the default"
        " budget of 60 s a run takes the same path from calls of 1.1 s on. At most"
        f" {figures['most_calls']} calls, those under an instrument included."
        " *No leak* does not rule out a leak in fewer than half of the calls."
    )
    yield ""
    yield (
        f"- Leaking: {figures['found']} of {figures['leaking_runs']} found,"
        f" {figures['right_class']} with the right class; {figures['named']} with the line or the"
        f" container that retains the memory, {figures['causes_found']} of"
        f" {figures['causes_known']} with their known cause. Median"
        f" {figures['median_seconds_to_leak']:.0f} s. {figures['called_no_leak']} called no leak."
    )
    yield (
        f"- Clean: {figures['false_alarms']} false positives in {figures['clean_runs']} runs;"
        f" {figures['certified']} certified, median {figures['median_seconds_to_pass']:.0f} s."
    )
    yield (
        f"- {figures['held_out_runs']} of these (`HELD_OUT`) were run only once the rule was final:"
        f" {figures['held_out_right']} right, {figures['held_out_wrong']} wrong, the others"
        " inconclusive."
    )
    yield (
        f"- Leaks in a tenth and in a fifth of the calls: {figures['rare_found']} of"
        f" {figures['rare_runs']} found, {figures['rare_called_no_leak']} called no leak."
    )
    yield (
        "- Caches that fill after 40 calls and more, which no count of so few calls tells from a"
        f" leak: {figures['filling_told']} of {figures['filling_runs']} recognized by their bound,"
        f" {figures['filling_called_leaks']} called a leak. The verdict says so: *not ruled out: a"
        " cache of more than 29 entries*."
    )
    yield ""
    heads = ("workload", "truth", "found", "calls", "seconds", "named", "cause")
    yield markdown(heads, [_early_row(row) for row in rows])
    yield ""


def _early_row(row: dict[str, Any]) -> tuple[str, ...]:
    truth = {"leaking": "leak", "rare": "rare leak", "clean": "clean", "filling": "fills later"}
    leaks = row["sort"] in ("leaking", "rare")
    return (
        row["workload"].removeprefix("leak-zoo-"),
        truth[row["sort"]],
        row["kind"],
        f"{row['calls']}",
        f"{row['seconds']:.0f}",
        ("yes" if row["named"] else "no") if leaks else "–",
        row["cause"] or "–",
    )


def _allocators() -> Iterator[str]:
    data = json.loads((FOLDER / "allocators.json").read_bytes())
    yield "## The native zoo under other allocators"
    yield ""
    yield (
        f"`python tests/truth/allocator_zoo.py --repeats 2`, {data['date']}: every workload of"
        " `leak-zoo-native` as `leakhunt run` by default, with each allocator preloaded. mimalloc's"
        " release builds do not count the bytes in use: a leak of malloc memory is then left open,"
        " with RSS's growth and the reason, and nothing is concluded."
    )
    yield ""
    yield from summary_of_allocators([AllocatorTrial(**each) for each in data["trials"]])
    yield ""


def _gates() -> Iterator[str]:
    data = json.loads((FOLDER / "gate.json").read_bytes())
    clean, planted = data["clean"], data["planted"]
    passed = sum(each["exit_code"] == 0 for each in clean)
    failed = sum(each["exit_code"] == 1 for each in planted)
    first = [each["suspects"][0].rpartition(":")[0] if each["suspects"] else "" for each in planted]
    named = sum(file.endswith("fsmn_vad/scenario.py") for file in first)
    limits = sorted(each["would_have_seen"]["live_heap"] for each in clean)
    again = sum(each["attempts"] > 1 for each in clean)
    yield "## The gate on the real pipeline"
    yield ""
    yield (
        f"`python tests/truth/gate_runs.py`, {data['facts']['date']}: `leakhunt gate` on"
        " `fsmn-vad:naive`, clips of one length, stand-in weights, a new seed for each gate, the"
        " default budget (no leak in live memory), two gates in parallel on two cores."
    )
    yield ""
    yield (
        f"- Unchanged: {passed} of {len(clean)} pass, {again} after a longer run;"
        f" {span(clean)} calls. Detection limits for live heap (95 % power): {limits[0]:,.0f} to"
        f" {limits[-1]:,.0f} B/call, median {median(limits):,.0f}."
    )
    yield (
        f"- A copy with a planted leak of {data['planted_bytes']:,} B/call: {failed} of"
        f" {len(planted)} fail, {named} with the planted line as the first suspect;"
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
    yield "## Hunts: the first suspect"
    yield ""
    yield (
        f"`leakhunt truth --hunt`, {json.loads(data)['facts']['date']}: in {right} of"
        f" {len(leaking)} leaking workloads the first suspect is the line or the container that"
        f" retains the memory, with its known cause. {accused} of {len(clean)} clean workloads"
        " have a suspect. A share above 100 %: memory grew more in the instrumented run than in"
        " the measured one."
    )
    yield ""
    yield markdown(HUNT_HEADINGS, hunt_rows(leaking))
    yield ""


def _published() -> Iterator[str]:
    document = json.loads((FOLDER / "published.json").read_bytes())
    figures = document["figures"]
    leaking = [row for row in document["hunts"] if row["leaks"]]
    fixed = {row["package"]: row for row in document["hunts"] if not row["leaks"]}
    where = {each.name: each for each in packages()}
    yield "## Published packages: lost references and native leaks"
    yield ""
    yield (
        f"`python tests/truth/published.py`, {document['facts']['date']}: `leakhunt hunt` by"
        " default on a few lines of each package (`leakhunt/config/published_leaks.toml`), in a"
        f" version that leaks and in one with the fix. {figures['found']} of {figures['leaking']}"
        f" leaks found with a suspect. In {figures['of_the_package']} the first suspect has the"
        f" package and its version as owner, in {figures['named']} it is the C or Rust function"
        f" that loses the reference or allocates what is lost. {figures['without_suspect']} of"
        f" {figures['fixed']} fixed versions have no leak and no suspect."
        " Seconds: on two cores that had other work."
    )
    yield ""
    yield markdown(
        ("package", "leak", "first suspect", "owner", "names", "share", "seconds", "fixed in"),
        [_published_row(row, where[row["package"]], fixed[row["package"]]) for row in leaking],
    )
    yield ""


def _published_row(row: dict[str, Any], package: Package, fixed: dict[str, Any]) -> tuple[str, ...]:
    """A row; the scratch folder of the workload is no part of what was found."""
    clean = fixed["status"] != "leak" and not fixed["suspects"]
    return (
        f"{row['package']} {row['version']}",
        f"[{package.leak}]({package.link})",
        f"`{re.sub(r'leakhunt-published-.+?/', '', row['first']) or row['kind']}`",
        row["whose"] or "–",
        RESULTS[result_of(row)],
        "–" if row["share"] is None else f"{row['share']:.0%}",
        f"{row['seconds']:.0f}",
        f"{fixed['version']}: {'clean' if clean else fixed['kind']}",
    )


def _beside_psleak() -> Iterator[str]:
    table: list[dict[str, Any]] = json.loads((FOLDER / "psleak.json").read_bytes())
    leaking = [row for row in table if row["leaks"]]
    clean = [row for row in table if not row["leaks"]]
    yield "## Comparison with psleak, on the same functions"
    yield ""
    yield (
        "psleak 0.1.6 with its defaults: each workload once, in a fresh process with"
        " `PYTHONMALLOC=malloc`, as its documentation recommends. leakhunt as above. psleak reports"
        " whether memory leaks, not where. It counts cyclic garbage as a leak by design; leakhunt"
        " gives it a class of its own."
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
    heads = ("tool", "leaks found", "false positives", "calls to leak", "calls to pass")
    yield markdown(heads, body)
    yield ""
    for row in table:
        if row["psleak"]["leak"] is not row["leaks"]:
            answer = row["psleak"]["said"] or "passes"
            yield f"- `{row['workload']}`: psleak {answer.partition(':')[0]}"
    yield ""


def _curves() -> Iterator[str]:
    document = json.loads((FOLDER / "curves.json").read_bytes())
    yield (
        f"{document['curves']} curves per family for leakhunt's rule,"
        f" {document['curves_of_others']} for the others, which follow their sources"
        " (`tests/truth/rival_rules.py`). Sigma is the"
        f" standard deviation of one sample; the tolerance is {document['tolerance_sigma']} sigma"
        " per call. Every transient of a bounded family ends within 100 calls or is a single event."
        f" `checks`: interim checks at {', '.join(map(str, document['looks']))} samples until the"
        " verdict is clear, as in a run by default. The rule was tuned on the families of"
        " `curves.py`. Those of `held_out_curves.py` were written by someone who had not seen the"
        " rule, and were evaluated only after it was final."
    )
    yield ""
    heads = ["rule", "samples", "false positives, mean %", "worst family %"]
    heads += [f"found at {slope} σ, %" for slope in SLOPES]
    for families in ("tuned on", "held out"):
        yield f"### Families {families}"
        yield ""
        cells = [cell for cell in document["cells"] if cell["families"] == families]
        yield markdown(heads, map(_row, cells))
        yield ""


def _row(cell: dict[str, Any]) -> tuple[str, ...]:
    alarms = cell["false_alarms"].values()
    by_checks = cell["samples"] == "looks"
    taken = f" ({cell['samples_taken']:.0f} taken)" if by_checks else ""
    return (
        cell["rule"],
        ("checks" if by_checks else cell["samples"]) + taken,
        f"{mean(alarms):.2f}",
        f"{max(alarms):.1f}",
        *(f"{mean(cell['detected'][slope].values()):.0f}" for slope in SLOPES),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
    sys.exit(0)
