"""Reading ``claims.toml``: strictly, so that a claim is never checked by something else.

    [[run]]                     # a run that claims need
    name = "same-clip"          # unique in the file: a-z, 0-9 and hyphens
    command = "run fsmn-vad:naive --lengths fixed --calls 120"    # without leakhunt, --out, ...
    device = "cuda"             # optional: only where there is a GPU

    [[claim]]
    id = "A1"
    claim = "RSS grows about 62 MB per call and never falls"
    source = "field report A"
    note = "..."                # optional: what a reader of the result must know
    # not_measured = "why"      # in place of checks

    [[claim.check]]
    run = "same-clip"
    measure = "growth"          # one of `leakhunt.model.claims.MEASURES`
    variant = "naive"           # may be left out where the run has one only
    series = "rss"              # default: live_heap
    at_least = "50 MB/call"     # and/or at_most; for words: is = ["killed"]
    claimed = "62 MB/call"      # the figure as the report put it
    about = "effect"            # default; or "cause"

In a command, a path is looked for beside the file first, and ``{folder}`` is the file's folder.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from leakhunt.config.limits import parse_limit
from leakhunt.model.attribution import GROWTH_INSTRUMENTS
from leakhunt.model.claims import (
    DEFAULT_SERIES,
    MEASURES,
    About,
    Check,
    Claim,
    ClaimLimit,
    ClaimRun,
    Claims,
    LimitKind,
    Measure,
)
from leakhunt.text.message import message
from leakhunt.toml_file import Table, read_table, shown

# The verbs that leave run files; others would wait for people or leave none.
VERBS = ("run", "hunt", "soak")
# What `leakhunt claims` sets itself.
OWN_OPTIONS = ("--out", "--format", "--lang")
_RUN_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CLAIM_ID = re.compile(r"\w[\w.-]*")
_RUN_KEYS = ("name", "command", "device")
_CLAIM_KEYS = ("id", "claim", "source", "note", "not_measured", "check")
# Of every check; the further ones are those of its measure.
_CHECK_KEYS = ("run", "measure", "variant", "claimed", "about")
_LIMIT_KEYS = ("at_least", "at_most")


def read_claims(content: bytes, file: str, scenario: str) -> Claims:
    """The claims of a file's `content`; `file` is what it is called in errors.

    Raises:
        BadFile: it is no TOML, or something in it is missing, unknown, twice there or no amount.
    """
    whole = read_table(content, file)
    whole.only(("run", "claim"))
    runs = tuple(_run(table) for table in whole.tables("run", "run"))
    claims = tuple(_claim(table, runs) for table in whole.tables("claim", "claim"))
    if not claims:
        whole.bad(message("claims-file.missing-claim", "missing claim. Add one as [[claim]]"))
    whole.refuse_twice("[[run]] name", "run", [run.name for run in runs])
    whole.refuse_twice("[[claim]] id", "claim", [claim.id for claim in claims])
    return Claims(scenario, runs, claims)


def _run(table: Table) -> ClaimRun:
    name = table.needed("name")
    if not _RUN_NAME.fullmatch(name):
        table.bad(
            message(
                "claims-file.invalid-name",
                "name: invalid name {name!r}. Use a-z, 0-9 and hyphens",
                name=name,
            ),
            "name",
        )
    table = table.named(message("claims-file.run", "run {name}", name=name))
    table.only(_RUN_KEYS)
    command = table.needed("command")
    try:
        words = shlex.split(command)
    except ValueError as error:
        table.bad(
            message(
                "claims-file.invalid-command",
                "command: invalid command line ({error}). Fix the quoting",
                error=error,
            ),
            "command",
        )
    table.one_of("command", words[0] if words else "", VERBS)
    for option in OWN_OPTIONS:
        if any(word == option or word.startswith(f"{option}=") for word in words):
            table.bad(
                message(
                    "claims-file.option-is-set",
                    "command: {option} is set by 'claims'. Remove it",
                    option=option,
                ),
                "command",
            )
    device = table.text("device")
    if device:
        table.one_of("device", device, ("cuda",))
    return ClaimRun(name, command, device)


def _claim(table: Table, runs: Sequence[ClaimRun]) -> Claim:
    name = table.needed("id")
    if not _CLAIM_ID.fullmatch(name):
        table.bad(
            message(
                "claims-file.invalid-id",
                "id: invalid name {name!r}. Use letters, digits, '-', '_' and '.'",
                name=name,
            ),
            "id",
        )
    table = table.named(message("claims-file.claim", "claim {name}", name=name))
    table.only(_CLAIM_KEYS)
    checks = tuple(
        _check(
            each.named(
                message("claims-file.check", "{claim}, check {n}", claim=table.where, n=number)
            ),
            runs,
        )
        for number, each in enumerate(table.tables("check", "claim.check"), 1)
    )
    not_measured = table.text("not_measured")
    if not_measured and checks:
        table.bad(
            message(
                "claims-file.not-measured-with-checks",
                "not_measured cannot be combined with checks. Remove one of them",
            ),
            "not_measured",
        )
    if not not_measured and not checks:
        table.bad(
            message(
                "claims-file.missing-check",
                "missing check. Add [[claim.check]], or not_measured with the reason",
            )
        )
    return Claim(
        id=name,
        claim=table.needed("claim"),
        source=table.needed("source"),
        checks=checks,
        note=table.text("note"),
        not_measured=not_measured,
    )


def _check(table: Table, runs: Sequence[ClaimRun]) -> Check:
    name = table.one_of("measure", table.needed("measure"), MEASURES)
    measure = MEASURES[name]
    limits = ("is",) if measure.words else _LIMIT_KEYS
    table.only((*_CHECK_KEYS, *measure.needs, *measure.takes, *limits))
    for key in measure.needs:
        table.needed(key)
    series = table.text("series") or DEFAULT_SERIES
    least, most = (_limit(table, key, measure, series) for key in _LIMIT_KEYS)
    if least is not None and most is not None and least.amount > most.amount:
        table.bad(
            message(
                "claims-file.limits-reversed",
                "at_least {least} is larger than at_most {most}",
                least=least.text,
                most=most.text,
            ),
            "at_least",
        )
    if not measure.words and least is None and most is None:
        table.bad(
            message(
                "claims-file.missing-limit",
                "missing at_least or at_most. Add one, for example {example!r}",
                example=measure.limit.value,
            )
        )
    instrument = table.text("instrument")
    if instrument:
        table.one_of("instrument", instrument, GROWTH_INSTRUMENTS)
    return Check(
        run=table.one_of("run", table.needed("run"), [run.name for run in runs]),
        measure=name,
        variant=table.text("variant"),
        series=series,
        reference=table.text("reference"),
        names=table.text("names"),
        instrument=instrument,
        from_call=table.whole_number("from_call", 1),
        to_call=table.whole_number("to_call", 1),
        at_least=least,
        at_most=most,
        words=_words(table, measure),
        claimed=_figure(table, "claimed"),
        about=About(table.one_of("about", table.text("about") or About.EFFECT, tuple(About))),
    )


def _limit(table: Table, key: str, measure: Measure, series: str) -> ClaimLimit | None:
    if key not in table.items:
        return None
    limit = parse_limit(table.items[key], measure.limit, series)
    if limit is None:
        table.bad(
            message(
                "claims-file.invalid-value",
                "{key}: invalid value {value}. Example: {example!r}",
                key=key,
                value=shown(table.items[key]),
                example=_example(measure.limit, series),
            ),
            key,
        )
    return limit


def _example(kind: LimitKind, series: str) -> str:
    """How a limit is written, of a series that may be no bytes."""
    for example in (kind.value, "0.5/call", "5"):
        if parse_limit(example, kind, series) is not None:
            return example
    return kind.value


def _words(table: Table, measure: Measure) -> tuple[str, ...]:
    if not measure.words:
        return ()
    given = table.items.get("is")
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        table.bad(
            message(
                "claims-file.expected-words",
                "is: expected a list of words, for example [{example!r}]",
                example=measure.words[0],
            ),
            "is",
        )
    return tuple(table.one_of("is", word, measure.words) for word in words)


def _figure(table: Table, key: str) -> str:
    """A text or a number, as it is shown."""
    value = table.items.get(key, "")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else table.text(key)
