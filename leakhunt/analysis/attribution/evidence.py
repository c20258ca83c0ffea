"""What speaks against a suspect, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import Amount, Count, Rate
from leakhunt.analysis.attribution.clusters import Cluster, distribution_of
from leakhunt.analysis.attribution.titles import suspect_title
from leakhunt.model.attribution import Finding, FindingKind, Instrument
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.text.message import Message, Text, message, plural_message

# Of what a holder dominates, so much is listed.
_MAX_DETAILS = 5


def evidence(cluster: Cluster) -> Iterator[Text]:
    """The sentences on a suspect: what was counted, where, and by which instrument."""
    if cluster.in_time:
        return _in_time(cluster)
    is_cycle = cluster.lead.sort is FindingKind.CYCLE
    return _of_cycle(cluster) if is_cycle else _of_cluster(cluster)


def _in_time(cluster: Cluster) -> Iterator[Text]:
    """The sentences on what grows in a process that is watched, whose calls nobody knows."""
    lead = cluster.lead
    seconds = lead.calls[-1] - lead.calls[0]
    watched = Count(seconds, Work.SECOND)
    if lead.sort is FindingKind.CONTAINER:
        yield message(
            "attribution.counted-in-time",
            "{instrument}: from {first:,} to {last:,} items, longer at each of {marks} marks within"
            " {watched}",
            instrument=lead.instrument,
            first=lead.counts[0],
            last=lead.counts[-1],
            marks=len(lead.counts),
            watched=watched,
        )
    else:
        yield message(
            "attribution.more-in-time",
            "{instrument}: {per_second:.3g} more {what} per second, within {watched}",
            instrument=lead.instrument,
            per_second=cluster.retained.per_call,
            what=_noun(lead, 2),
            watched=watched,
        )
        if lead.instrument is Instrument.MEMRAY:  # another says nothing of the containers
            yield from _of_lead(lead)
    for other in cluster.more:
        if other.sort is FindingKind.TYPE:
            yield message(
                "attribution.types-in-time",
                "types: {gained:.3g} more {what} per second",
                gained=(other.counts[-1] - other.counts[0]) / seconds,
                what=other.what,
            )


def _of_cluster(cluster: Cluster) -> Iterator[Text]:
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
            what=suspect_title(each, None, each.where),
        )


def _elsewhere(cluster: Cluster) -> Iterator[Text]:
    """Where blocks of its objects were allocated, for others that were freed."""
    for each in cluster.elsewhere[:_MAX_DETAILS]:
        yield message(
            "attribution.reused",
            "{rate} of its memory is in blocks that were allocated at {what}",
            rate=Rate(each.bytes_per_call),
            what=suspect_title(each, None, each.where),
        )


def _of_cycle(cluster: Cluster) -> Iterator[Text]:
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
