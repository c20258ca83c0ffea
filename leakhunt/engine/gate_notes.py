"""What a gate tells beside its answers: what was left out, or held against nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leakhunt.analysis.gate.decide import unneeded_notes
from leakhunt.engine.baselines import SavedBaseline
from leakhunt.model.gate import GateAnswer, Terms, VariantResult
from leakhunt.model.policy import Policy
from leakhunt.text.message import Text, message


def left_out(unfit: Sequence[tuple[str, str]]) -> Iterator[Text]:
    """Variants that nobody asked for by name, each with a device it makes no sense on."""
    for name, device in unfit:
        yield message(
            "gate.left-out",
            "{name} was skipped: it does not run on {device}",
            name=name,
            device=device,
        )


def not_among(policy: Policy, variants: Sequence[VariantResult]) -> Iterator[Text]:
    """Scenarios of the policy of which there is no run file."""
    there = {each.scenario for each in variants}
    targets = {policy.of(each.scenario, each.variant).target for each in variants}
    for each in policy.scenarios:
        if each.target not in targets if each.names_functions else each.name not in there:
            yield message(
                "gate.not-among",
                "{name} of the policy is not among these run files",
                name=each.target if each.names_functions else each.name,
            )


def not_in_baseline(
    baseline: SavedBaseline | None, variants: Sequence[VariantResult]
) -> Iterator[Text]:
    """Variants that the baseline does not have yet."""
    for each in variants:
        if baseline is not None and each.entries and baseline.lacks(each.entries):
            yield message(
                "gate.not-in-baseline",
                "{name}: not in the baseline; judged without a comparison. Add it with"
                " 'leakhunt baseline update RUN_FOLDER'",
                name=each.name,
            )


def not_there(revision: str | None, names: Sequence[str]) -> Iterator[Text]:
    """Variants that the revision does not have."""
    for name in names:
        yield message(
            "gate.not-in-revision",
            "{name} does not exist in {revision}; judged without a comparison",
            name=name,
            revision=revision,
        )


def fills_limit(variants: Sequence[VariantResult]) -> Iterator[Text]:
    """Variants whose memory fills the limit though they do not leak."""
    for each in variants:
        warned = (entry.verdict.forecast for entry in each.entries if entry.verdict.warns)
        forecast = next(warned, None)
        if forecast is not None:
            yield message(
                "gate.fills-limit",
                "{name}: memory fills the limit. {sentence}",
                name=each.name,
                sentence=forecast.sentence,
            )


def unneeded(
    accepted: Terms, requested: Sequence[str], variants: Sequence[VariantResult]
) -> Sequence[Text]:
    """Acceptances that nothing needs; none where only some of the policy was `requested` for."""
    if requested or any(each.answer is GateAnswer.NOT_MEASURED for each in variants):
        return ()
    return unneeded_notes(accepted, variants)
