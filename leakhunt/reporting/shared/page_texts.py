"""What a page says otherwise of calls than of requests, to be translated where it is shown."""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.model.plan import Work
from leakhunt.model.report import Report
from leakhunt.reporting.shared.load_table import work_of
from leakhunt.text.language import mark

# The names of the axes, and what the script writes beside the curves.
SCRIPT_WORDS: Mapping[str, str] = {
    "audio": mark("audio (minutes)"),
    "warm_up": mark("warm-up"),
    "limit": mark("memory limit"),
    "from_warm-up": mark(", after warm-up"),
    "from_zero": "",
}
SCRIPT_WORDS_OF: Mapping[Work, Mapping[str, str]] = {
    Work.CALL: {
        "call": mark("call"),
        "time": mark("time in calls (s)"),
        "from_start": mark(", from the first call"),
    },
    Work.REQUEST: {
        "call": mark("request"),
        "time": mark("time under load (s)"),
        "from_start": mark(", from the first request"),
    },
    Work.SECOND: {
        "call": mark("second"),
        "time": mark("time (s)"),
        "from_start": mark(", from the first second"),
    },
}
# Texts of the templates; they may hold tags.
PAGE_TEXTS: Mapping[Work, Mapping[str, str]] = {
    Work.CALL: {
        "first": mark("the first call"),
        "after": mark("values after call"),
        "chosen": mark("Values at the selected call"),
        "still": mark("Memory by call, one curve per variant; figures in the table below"),
        "rates": mark(
            "Growth rates per call after warm-up, one-sided 99 % bounds in brackets. Time:"
            " median, with the ratio to the reference."
        ),
        "board": mark("Bytes saved per call against time per call; figures in the tables below"),
        "compared": mark("On the same inputs. A fix must not change the results."),
        "ledger": mark(
            "From before the first call to after the last, including warm-up. The lines add up"
            " to the growth; memory that no probe accounts for is unexplained."
        ),
        "sampled": mark("Calls: {told}."),
        "peaks": mark(
            "The peak of a call is measured over live memory, in a few calls after the run, before"
            " each of which malloc returns what it retains. Intervals: 99 %. Who holds it is known"
            " of variants that also ran under memray: where memory grows, and with"
            " “hunt --with memray”."
        ),
        "method": mark(
            "Each variant runs in a fresh process, not traced, with readings after each call."
            " At the end: full readings before and after <code>gc.collect()</code>, after"
            " emptying the framework's caches, and after <code>malloc_trim</code>."
        ),
        "pauses": mark(
            "gc.collect() runs before the measured calls, at each interim check, and after"
            " them. A leak must be found at two interim checks."
        ),
    },
    Work.REQUEST: {
        "first": mark("the first request"),
        "after": mark("values after request"),
        "chosen": mark("Values at the selected request"),
        "still": mark("Memory by request, one curve per variant; figures in the table below"),
        "rates": mark(
            "Growth rates per request after warm-up, one-sided 99 % bounds in brackets. Time:"
            " response time, median over the samples, with the ratio to the reference."
        ),
        "board": mark(
            "Bytes saved per request against time per request; figures in the tables below"
        ),
        "compared": mark(
            "Under the same kind of load, not request by request: responses are not compared."
        ),
        "ledger": mark(
            "From before the first request to after the last, including warm-up. The lines add"
            " up to the growth; memory that no probe accounts for is unexplained."
        ),
        "sampled": mark("Requests: {told}."),
        "peaks": mark(
            "The peak is the highest RSS between two samples, summed over the processes, with the"
            " requests of all users in flight."
        ),
        "method": mark(
            "Each service runs in its own processes, not traced, under load. External metrics"
            " come from the kernel, for all processes, with requests in flight; only the lower"
            " envelope is judged."
        ),
        "pauses": mark(
            "At every interim check the load pauses for a full reading. A service with"
            " <code>from leakhunt import agent; agent.listen()</code> is also read in process,"
            " and collects garbage at these checks. Where it is cheap, the load pauses for each"
            " in-process reading, so that no request is in flight. A leak must be found at two"
            " interim checks."
        ),
    },
    Work.SECOND: {
        "first": mark("the first second"),
        "after": mark("values after second"),
        "chosen": mark("Values at the selected second"),
        "still": mark("Memory over time, one curve per process; figures in the table below"),
        "rates": mark("Growth rates per second, one-sided 99 % bounds in brackets."),
        "board": mark("Bytes saved per second; figures in the tables below"),
        "compared": mark("Whatever the process did meanwhile: results are not compared."),
        "ledger": mark(
            "From the first second to the last. The lines add up to the growth; memory that no"
            " probe accounts for is unexplained."
        ),
        "sampled": mark("Seconds: {told}."),
        "peaks": mark("The peak is the highest RSS of a sample."),
        "method": mark(
            "An agent was brought into the running process and was gone at the end. External"
            " metrics come from the kernel; live memory is read in the process. Nothing is traced."
        ),
        "pauses": mark(
            "At each mark the agent counts objects and containers in slices and, unless"
            " <code>--no-touch</code> was given, runs gc.collect()."
        ),
    },
}
# What a page says otherwise of a process that is only read from outside.
_OF_WATCH: Mapping[str, str] = {
    "method": mark(
        "The process and all processes below it are read from outside, in <code>/proc</code> and in"
        " their cgroup. Nothing runs in them, and nothing is traced. The interval between readings"
        " grows with the length of the watch."
    ),
    "pauses": mark("A leak must be found at two interim checks."),
}


def page_texts(report: Report) -> Mapping[str, str]:
    """The texts of the templates for these runs."""
    texts = PAGE_TEXTS[work_of(report)]
    is_watch = report.entries and all(entry.run.plan.watch for entry in report.entries)
    return {**texts, **_OF_WATCH} if is_watch else texts
