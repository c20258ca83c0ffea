"""From a cluster of findings to a suspect: who, whose, how much, and the evidence. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from leakhunt.amounts import Amount, Rate
from leakhunt.analysis.attribution.clusters import (
    Cluster,
    holder_frame,
    named_frame,
    own_frame,
    past_allocators,
)
from leakhunt.analysis.attribution.garbage import closed_at, cycle_of
from leakhunt.analysis.attribution.known_causes import (
    entries_per_call,
    frame_of,
    known_cause,
    title_of,
)
from leakhunt.model.attribution import (
    Cause,
    Finding,
    FindingKind,
    Frame,
    Installed,
    Instrument,
    Origin,
    Suspect,
)
from leakhunt.model.series import Unit
from leakhunt.text.message import Message, Text, message, plural_message, word

# What still grows after so many times the calls that fill it is not bounded by that.
_PAST_THE_END = 2
# A cache that has filled did so within about twice the calls that are looked at: a bound further
# away than this multiple of them is not what ended it.
_BEFORE_THE_END = 4
# Of what a holder dominates, so much is told.
_MAX_DETAILS = 5
# A container that owns less than this part of what the holder does says nothing of the cause.
_TELLING_SHARE = 0.5


def suspect_of(
    cluster: Cluster,
    whole: float | None,
    calls_done: int,
    causes: Sequence[Cause],
    *,
    has_filled: bool = False,
) -> Suspect:
    """The suspect that a cluster makes, of `whole` bytes per call over `calls_done` calls.

    `causes` are the known ones that come into question.

    `has_filled`: it grew no more afterwards, so that no cause of endless growth is its own.
    """
    cause = cluster.cause or _cause_of(cluster, causes)
    if has_filled and cause is not None and not cause.is_bounded:
        cause = None
    closing = closed_at(cluster.lead)
    evidence_of = _evidence_of_cycle if cluster.lead.sort is FindingKind.CYCLE else _evidence
    where = own_frame([closing]) if closing is not None else None
    where = where or cluster.where
    stack = stack_of(cluster) or ((closing,) if closing is not None else ())
    holder = (frame_of(stack, cause) if cause else None) or holder_frame(
        stack if closing is None else (closing, *stack)
    )
    is_memory = cluster.lead.sort is not FindingKind.RESOURCE
    ends = end_of(cluster, cause)
    if ends is not None and calls_done > _PAST_THE_END * ends:
        ends = None  # it should have ended long ago
    if has_filled and ends is not None and ends > _BEFORE_THE_END * calls_done:
        ends = None  # it ended long before: its keys ran out
    return Suspect(
        fingerprint=_fingerprint(cluster, cause, where, stack),
        title=_title(cluster, cause, where),
        origin=_origin(cluster, cause, where, holder),
        per_call=cluster.retained.per_call,
        exact=cluster.retained.exact,
        bytes_per_call=cluster.bytes_per_call if is_memory else None,
        share=cluster.bytes_per_call / whole if is_memory and whole else None,
        where=where,
        holder=holder,
        chain=cluster.lead.chain,
        stack=stack,
        cause=cause,
        ceiling_bytes=ends * cluster.bytes_per_call if ends is not None else None,
        ceiling_calls=round(ends) if ends is not None else None,
        evidence=tuple(evidence_of(cluster)),
        instruments=tuple(dict.fromkeys(each.instrument for each in cluster.findings)),
        cycle=cycle_of(cluster.lead),
        distribution=distribution_of(cluster.lead),
    )


def distribution_of(finding: Finding) -> Installed | None:
    """The distribution whose extension it is, which a finding has as ``name version``."""
    name, _, version = str(finding.facts.get("distribution", "")).rpartition(" ")
    return Installed(name, version) if name else None


def _cause_of(cluster: Cluster, causes: Sequence[Cause]) -> Cause | None:
    """The known cause; one of sites alone is not that of a container that holds their blocks.

    That of a holder which is known by its name comes before that of who allocates what it holds.
    """
    of_holders = [cause for cause in causes if cause.chain and not cause.sorts]
    if (found := known_cause([cluster.lead], of_holders)) is not None:
        return found
    if cluster.lead.sort is FindingKind.CONTAINER:
        causes = [cause for cause in causes if cause.sorts != (FindingKind.SITE,)]
    return known_cause(list(_telling(cluster)), causes)


def _telling(cluster: Cluster) -> Iterator[Finding]:
    """The findings that tell the cause: of what a holder dominates, not a small container's."""
    lead = cluster.lead
    least = _TELLING_SHARE * lead.facts.get("owns", 0.0)
    for each in cluster.findings:
        is_another = each.sort is FindingKind.CONTAINER and each is not lead
        if (
            lead.sort is not FindingKind.HOLDER
            or not is_another
            or (each.facts.get("owns", 0.0) >= least)
        ):
            yield each


def end_of(cluster: Cluster, cause: Cause | None) -> float | None:
    """After how many calls a bounded cache is full, from empty; None: it has no known bound."""
    most = cluster.lead.facts.get("most_items")
    if most is not None and cluster.lead.sort is FindingKind.CONTAINER:
        if cluster.lead.counts[-1] > most:
            return None
        return float(most) / cluster.retained.per_call
    if cause is None or cause.bound is None:
        return None
    entries = entries_per_call(cluster.sites, cause.bound)
    return cause.bound.entries / entries if entries > 0 else None


def stack_of(cluster: Cluster) -> tuple[Frame, ...]:
    """Where it comes from: of what leads, else of the largest site."""
    stacks = (cluster.lead.stack, *(site.stack for site, _ in cluster.sites))
    return next((stack for stack in stacks if stack), ())


def _origin(
    cluster: Cluster, cause: Cause | None, where: Frame | None, holder: Frame | None
) -> Origin:
    """Whose code keeps it: a bounded cache's is the library's, whoever called."""
    if cause is not None and cause.bound is not None:
        return Origin.LIBRARY
    if (closing := closed_at(cluster.lead)) is not None:
        return closing.origin
    if "held_by" in cluster.lead.facts:
        return Origin(cluster.lead.facts["held_by"])
    if own_frame(cluster.lead.stack[:1]) is not None or where is None:
        return Origin.YOURS if where is not None else (holder.origin if holder else Origin.LIBRARY)
    inner = next(iter(cluster.lead.stack), None)
    if cluster.lead.sort in (FindingKind.CONTAINER, FindingKind.HOLDER) or inner is None:
        return Origin.YOURS
    return inner.origin if inner.origin is not Origin.INTERPRETER else Origin.YOURS


def _fingerprint(
    cluster: Cluster, cause: Cause | None, where: Frame | None, stack: Sequence[Frame]
) -> str:
    """Twelve hex digits: the same for the same suspect on any machine, wherever its lines stand."""
    lead = cluster.lead
    # What else is in a cycle may differ from call to call.
    what = "" if lead.sort is FindingKind.CYCLE else lead.what
    parts = [cause.id if cause else "", lead.sort, what, *(lead.chain[:2])]
    if where is not None:
        parts += [where.file, where.function, where.source]
    else:
        parts += [frame.function for frame in stack[:5]]
    return hashlib.sha256("\n".join(parts).encode(errors="backslashreplace")).hexdigest()[:12]


def _title(cluster: Cluster, cause: Cause | None, where: Frame | None) -> Text:
    what = _what(cluster.lead, cause)
    if where is not None and str(where) != what:
        what = message("attribution.from", "{what}, from {where}", what=what, where=where)
    if cause is None:
        return what
    return message("attribution.known", "{cause}: {what}", cause=title_of(cause), what=what)


def _what(lead: Finding, cause: Cause | None) -> Text:
    """What holds the memory, or where it comes from."""
    if lead.sort is FindingKind.RESOURCE:
        return message(
            "attribution.resource",
            "{what} ({name})",
            what=word(lead.what),
            name=lead.facts.get("name", ""),
        )
    if lead.chain:
        return " -> ".join(lead.chain)
    if lead.stack:
        frame = frame_of(lead.stack, cause) if cause is not None else None
        return _shortened(str(frame or named_frame(past_allocators(lead.stack))))
    return word(lead.what) if lead.sort is FindingKind.GRAPH else lead.what


def _shortened(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _evidence(cluster: Cluster) -> Iterator[Text]:
    lead = cluster.lead
    yield _counted(lead, cluster.retained.per_call, cluster.retained.exact)
    if cluster.sites:
        yield _of_sites(cluster)
    yield from _dominated(cluster)
    yield from _elsewhere(cluster)
    yield from _of_lead(lead)
    for other in cluster.more:
        if other.sort is FindingKind.TYPE:
            gained = (other.counts[-1] - other.counts[0]) / (other.calls[-1] - other.calls[0])
            yield message(
                "attribution.types",
                "types: {gained:.3g} more {what} per call",
                gained=gained,
                what=other.what,
            )
        elif other.instrument is not lead.instrument:
            yield message(
                "attribution.seen-by-another",
                "{instrument} finds it too",
                instrument=other.instrument,
            )


def _of_sites(cluster: Cluster) -> Message:
    """What all stacks of a cluster come to."""
    blocks = sum(per_call for _, per_call in cluster.sites)
    size = sum(site.sizes[-1] - site.sizes[0] for site, _ in cluster.sites)
    first = cluster.sites[0][0]
    return message(
        "attribution.sites",
        "{instrument}: {blocks}, {rate}, on {stacks}",
        instrument=first.instrument,
        blocks=Amount(blocks, Unit.BLOCKS),
        rate=Rate(size / (first.calls[-1] - first.calls[0])),
        stacks=plural_message("attribution.stacks", "{n} stack", "{n} stacks", len(cluster.sites)),
    )


def _of_lead(lead: Finding) -> Iterator[Text]:
    """What the leading finding says by itself."""
    if lead.sort is FindingKind.LOST:
        yield message(
            "attribution.lost",
            "lost reference: after each call of {function} an object of type {what} has one more"
            " reference, and no object refers to it",
            function=lead.stack[0].function,
            what=lead.what,
        )
    if (distribution := distribution_of(lead)) is not None:
        yield message(
            "attribution.distribution",
            "allocated by an extension of {distribution}",
            distribution=str(distribution),
        )
    if lead.facts.get("native_bytes"):
        yield message(
            "attribution.native-items",
            "each item retains {kept_bytes} in tensors or images, which tracemalloc does not see",
            kept_bytes=Amount(lead.facts["native_bytes"]),
        )
    if "pins_bytes" in lead.facts:
        yield message(
            "attribution.view",
            "a view that retains {size}",
            size=Amount(lead.facts["pins_bytes"]),
        )
    if (
        lead.sort is FindingKind.SITE
        and not lead.chain
        and lead.instrument is Instrument.TRACEMALLOC
    ):
        yield message(
            "attribution.no-container",
            "not in a growing container: retained by native code, a chain of objects, or a"
            " lost reference",
        )


def _dominated(cluster: Cluster) -> Iterator[Text]:
    """Of a holder: which part of the new objects it retains, and what else would be suspect."""
    if cluster.lead.sort is not FindingKind.HOLDER:
        return
    yield message(
        "attribution.dominates",
        "retains {share:.0%} of the bytes of all new objects: freed with it, and by nothing else",
        share=cluster.lead.facts.get("owns", 0.0),
    )
    for each in cluster.details[:_MAX_DETAILS]:
        yield message(
            "attribution.detail",
            "part of it: {rate}, {what}",
            rate=Rate(each.bytes_per_call),
            what=_title(each, None, each.where),
        )


def _elsewhere(cluster: Cluster) -> Iterator[Text]:
    """Where blocks of its objects were allocated, for others that were freed."""
    for each in cluster.elsewhere[:_MAX_DETAILS]:
        yield message(
            "attribution.reused",
            "{rate} of its memory is in blocks that were allocated at {what}",
            rate=Rate(each.bytes_per_call),
            what=_title(each, None, each.where),
        )


def _evidence_of_cycle(cluster: Cluster) -> Iterator[Text]:
    """How many cycles there are, and what is in one."""
    lead, per_call = cluster.lead, cluster.retained.per_call
    values = {
        "instrument": lead.instrument,
        "cycles": plural_message(
            "attribution.cycles",
            "{count:.3g} cycle",
            "{count:.3g} cycles",
            1 if f"{per_call:.3g}" == "1" else 2,
            count=per_call,
        ),
        "how": _windows_of(lead),
    }
    if cluster.retained.exact:
        yield message(
            "attribution.cycles-exactly",
            "{instrument}: exactly {cycles} per call {how}",
            **values,
        )
    else:
        yield message(
            "attribution.cycles-counted", "{instrument}: {cycles} per call {how}", **values
        )
    yield message(
        "attribution.cycle-holds",
        "objects per cycle: {objects:.3g} ({what})",
        objects=lead.facts["objects"],
        what=lead.what,
    )
    if lead.facts["native_bytes"]:
        yield message(
            "attribution.cycle-tensors",
            "tensors or images per cycle: {size}",
            size=Amount(lead.facts["native_bytes"]),
        )


def _counted(lead: Finding, per_call: float, exact: bool) -> Text:
    windows = _windows_of(lead)
    if lead.sort is FindingKind.LINE:
        return message(
            "attribution.counted-at-line",
            "{instrument}: {per_call} at this line, {how}",
            instrument=lead.instrument,
            per_call=Rate(per_call),
            how=windows,
        )
    what = _noun(lead, 1 if f"{per_call:.3g}" == "1" else 2)
    if exact:
        return message(
            "attribution.counted-exactly",
            "{instrument}: exactly {per_call:.0f} more {what} per call {how}",
            instrument=lead.instrument,
            per_call=per_call,
            what=what,
            how=windows,
        )
    return message(
        "attribution.counted",
        "{instrument}: {per_call:.3g} more {what} per call {how}",
        instrument=lead.instrument,
        per_call=per_call,
        what=what,
        how=windows,
    )


def _noun(lead: Finding, n: int) -> Message:
    """What a finding counts, in the form that goes with the number `n`."""
    if lead.sort is FindingKind.CONTAINER:
        return plural_message("attribution.items", "item", "items", n)
    if lead.sort is FindingKind.LOST:
        return plural_message("attribution.lost-references", "reference", "references", n)
    if lead.sort is FindingKind.HOLDER:
        return plural_message("attribution.objects", "object", "objects", n)
    if lead.sort is FindingKind.GRAPH:
        return plural_message(
            "attribution.graph-nodes",
            "node of an autograd graph",
            "nodes of an autograd graph",
            n,
        )
    if lead.sort is not FindingKind.RESOURCE:
        return plural_message("attribution.blocks", "block", "blocks", n)
    return _resource(lead.what, n)


def _resource(what: str, n: int) -> Message:
    match what:
        case "descriptor":
            return plural_message(
                "attribution.open-descriptors", "open descriptor", "open descriptors", n
            )
        case "thread":
            return plural_message("attribution.open-threads", "open thread", "open threads", n)
        case "child process":
            return plural_message(
                "attribution.open-child-processes",
                "open child process",
                "open child processes",
                n,
            )
        case "temporary file":
            return plural_message(
                "attribution.open-temporary-files",
                "open temporary file",
                "open temporary files",
                n,
            )
    return plural_message("attribution.open-things", "open resource", "open resources", n)


def _windows_of(lead: Finding) -> Message:
    """Over which calls it was counted, and since when there are any."""
    count, calls = len(lead.calls) - 1, lead.calls[-1] - lead.calls[0]
    since = lead.facts.get("since_call")
    if since:
        return message(
            "attribution.stretches-since",
            "in each of {stretches} windows of {watched:,} calls, from call {since:,} on",
            stretches=count,
            watched=calls,
            since=since,
        )
    return message(
        "attribution.stretches",
        "in each of {stretches} windows of {watched:,} calls",
        stretches=count,
        watched=calls,
    )
