"""What a page says otherwise of calls than of requests, to be translated where it is shown."""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.model.plan import Work
from leakhunt.text.language import mark

# The names of the axes, and what the script writes beside the curves.
SCRIPT_WORDS: Mapping[str, str] = {
    "audio": mark("audio (minutes)"),
    "warm_up": mark("warm-up"),
    "limit": mark("memory limit"),
    "from_warm-up": mark(", since the warm-up"),
    "from_zero": "",
}
SCRIPT_WORDS_OF: Mapping[Work, Mapping[str, str]] = {
    Work.CALL: {
        "call": mark("call"),
        "time": mark("time in calls (s)"),
        "from_start": mark(", since the first call"),
    },
    Work.REQUEST: {
        "call": mark("request"),
        "time": mark("time under load (s)"),
        "from_start": mark(", since the first request"),
    },
}
# Texts of the templates; they may hold tags.
PAGE_TEXTS: Mapping[Work, Mapping[str, str]] = {
    Work.CALL: {
        "first": mark("the first call"),
        "after": mark("values after call"),
        "chosen": mark("Values at the chosen call"),
        "still": mark(
            "Memory call by call, one curve a variant; the figures are in the table below"
        ),
        "rates": mark(
            "Rates are per call after the warm-up, with one-sided 99 % bounds in brackets; time is"
            " the median, with its ratio to the reference."
        ),
        "board": mark(
            "Bytes per call saved against the time of a call; the figures are in the tables below"
        ),
        "compared": mark("On the same inputs. A remedy that changes the results is not a remedy."),
        "ledger": mark(
            "From before the first call to after the last one, warm-up included. The lines add up"
            " to the growth; what no probe accounts for is the unexplained line."
        ),
        "sampled": mark("Calls: {told}."),
        "method": mark(
            "Each variant in a fresh process, untraced; the readings after each call; then a full"
            " reading, <code>gc.collect()</code>, the framework's caches emptied,"
            " <code>malloc_trim</code>, with a full reading after each."
        ),
        "pauses": mark(
            "There is a collection at every pause: before the judged calls, at each look at them,"
            " and after them. A leak has to show at two looks."
        ),
    },
    Work.REQUEST: {
        "first": mark("the first request"),
        "after": mark("values after request"),
        "chosen": mark("Values at the chosen request"),
        "still": mark(
            "Memory request by request, one curve a variant; the figures are in the table below"
        ),
        "rates": mark(
            "Rates are per request after the warm-up, with one-sided 99 % bounds in brackets; time"
            " is that until the answer: the median over the samples of their mean, with its ratio"
            " to the reference."
        ),
        "board": mark(
            "Bytes per request saved against the time of a request; the figures are in the tables"
            " below"
        ),
        "compared": mark(
            "Under load of the same kind, not request by request: the answers are not compared."
        ),
        "ledger": mark(
            "From before the first request to after the last one, warm-up included. The lines add"
            " up to the growth; what no probe accounts for is the unexplained line."
        ),
        "sampled": mark("Requests: {told}."),
        "method": mark(
            "Each service in processes of its own, untraced and under load. From outside the kernel"
            " tells what all its processes take, while requests are in flight; only their floor is"
            " judged."
        ),
        "pauses": mark(
            "At every pause the load is held and all is read. A service with"
            " <code>from leakhunt import agent; agent.listen()</code> in it is read from inside"
            " as well, and collects at the pauses; where it costs little, the load is held for each"
            " judged reading of that, so that nothing is in flight. A leak has to show at two"
            " looks."
        ),
    },
}
