"""What is told of a run beside its verdict: its inputs, its plan, how it was sampled."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_bytes, format_seconds
from leakhunt.model.plan import Plan, Work
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Run
from leakhunt.model.series import SERIES, full_title, short_title
from leakhunt.reporting.shared.load_table import load_facts
from leakhunt.text.language import mark, tr
from leakhunt.text.message import Text, said
from leakhunt.text.number import three_digits

MIN_OBJECTS_PER_CALL = 0.1
# The facts that a reader must see first, in this order.
FIRST_FACTS = ("weights", "weights_sha256")
# Names of facts as words: those of leakhunt and of the built-in scenarios. A user's own stay.
_NAMES = (
    *(mark("weights"), mark("weights sha256"), mark("scheduler"), mark("images"), mark("audio")),
    *(mark("memory limit"), mark("ready after"), mark("inside view"), mark("gpu"), mark("cuda")),
)
_LIMIT_FACT, _NO_LIMIT = "memory limit", "none"
_CALLS = {Work.CALL: mark("calls"), Work.REQUEST: mark("requests")}
_EVERY = {
    Work.CALL: mark("; one sample every {calls_per_sample} calls"),
    Work.REQUEST: mark("; finally one sample every {calls_per_sample} requests"),
    Work.SECOND: mark("; one sample every {calls_per_sample} s"),
}


def fact_words(name: str) -> str:
    """A fact's name as words: ``weights sha256``."""
    return tr(name.replace("_", " "))


def title_in(run: Run, name: str) -> str:
    """The title of a series of a run; of one that is not known what the run's file says."""
    found = next((series for series in run.series if series.name == name), None)
    if found is None:
        return str(short_title(name))
    return str(full_title(found)) if name in SERIES else tr(found.title)


def first_facts(report: Report) -> tuple[tuple[str, str], ...]:
    """What every report must say of its inputs: the weights first. Name and text.

    That nothing limited the memory is no news: the forecast names the limit that it is about.
    """
    facts = dict(report.entries[0].run.facts) if report.entries else {}
    if facts.get(_LIMIT_FACT) == _NO_LIMIT:
        del facts[_LIMIT_FACT]
    names = [name for name in FIRST_FACTS if name in facts]
    names += [name for name in facts if name not in FIRST_FACTS]
    return tuple((fact_words(name), _fact(name, facts[name])) for name in names)


def _fact(name: str, value: Text) -> str:
    """A fact of a run; what limits its memory is ours to say."""
    return said(value) if name == _LIMIT_FACT else str(value)


def plan_facts(run: Run) -> tuple[tuple[str, str], ...]:
    """The plan in reading order. Name and text."""
    plan = run.plan
    if not plan.work.is_timed:
        return tuple(_looking_facts(plan))
    options = tr(", ").join(
        f"{name}={value or tr('(default)')}" for name, value in plan.options.items()
    )
    limit = plan.memory_limit_bytes
    return (
        *load_facts(run),
        (
            tr(_CALLS[plan.work]),
            tr("{calls} each", calls=plan.calls)
            if plan.calls
            else tr("until the verdict is clear"),
        ),
        (tr("device"), plan.device),
        (tr("threads"), str(plan.threads)),
        (tr("seed"), str(plan.seed)),
        (tr("options"), options or tr("none")),
        (tr("memory limit"), format_bytes(limit) if limit is not None else tr("none")),
    )


def _looking_facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """Of what is only looked on: nothing was asked of it, and nothing chosen for it."""
    if plan.watch is not None:
        yield tr("process"), plan.watch.process
        yield tr("interval"), format_seconds(plan.watch.interval_seconds)
    elif plan.visit is not None:
        yield tr("process"), plan.visit.process
        yield tr("duration"), format_seconds(plan.visit.duration_seconds)
    if plan.limit_bytes is not None:
        yield tr("memory limit"), format_bytes(plan.limit_bytes)


def calls_fact(run: Run) -> str:
    """How many calls there were, and how they were sampled."""
    warm_up = run.calls[run.judged_from - 1] if run.judged_from and run.calls else 0
    text = tr(
        "{calls_done}; the first {warm_up} are warm-up",
        calls_done=run.calls_done,
        warm_up=warm_up,
    )
    if run.calls_per_sample > 1:
        text += tr(_EVERY[run.plan.work], calls_per_sample=run.calls_per_sample)
    if run.pauses:
        text += tr("; load paused for each in-process reading")
    if run.collects:
        look = run.reading("collected")
        cost = look.values.get("collect_ns", 0) if look is not None else 0
        text += tr(
            "; gc.collect() before each reading, {cost} each",
            cost=format_seconds(cost / 1e9),
        )
    return text


def type_growth(entry: JudgedRun) -> tuple[tuple[str, int, str], ...]:
    """Types of which there are more after the judged calls: name, how many, how many per call.

    Without those that grew by less than one object in ten calls: no leak that this tool can find.
    """
    run = entry.run
    before = run.calls[run.judged_from - 1] if run.judged_from and run.calls else 0
    calls = run.calls_done - before
    for note in entry.run.notes:
        if note.get("kind") != "types":
            continue
        return tuple(
            (str(name), int(count), three_digits(int(count) / calls))
            for name, count in note.get("growth", ())
            if calls > 0 and int(count) >= MIN_OBJECTS_PER_CALL * calls
        )
    return ()
