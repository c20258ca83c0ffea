"""What comes after an answer of the gate: the next commands, and how to accept what was found."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from math import ceil

from leakhunt.model.attribution import Suspect
from leakhunt.model.gate import GateAnswer, GateResult, VariantResult
from leakhunt.reporting.gate.suspects import SHOWN_SUSPECTS, until, work_of
from leakhunt.text.language import mark, tr

# In this file the policy is below a table of its own, in every other at the top.
_PYPROJECT = "pyproject.toml"
# An accepted suspect may keep so many times what it keeps now: what instruments are off by.
_ROOM = 1.25
_WHY = mark("reason for accepting it, and where the fix is tracked")


def commands(variant: VariantResult, gated: GateResult) -> Iterator[tuple[str, str]]:
    """What a command is for, and the command."""
    runs = [entry.run for entry in variant.entries if entry.run.file]
    folders = dict.fromkeys(run.file.rpartition("/")[0] or "." for run in runs)
    if folders:
        folder = " ".join(map(shlex.quote, folders))
        yield tr("see the curves"), f"leakhunt report {folder}"
    plan = variant.entries[0].run.plan if variant.entries else None
    # A budget of the command line is no file. And what it was compared with may be a file or a
    # revision: nothing tells which.
    if gated.policy and not gated.policy.startswith("--") and not gated.against:
        command = f"leakhunt gate --policy {shlex.quote(gated.policy)}"
        # A scenario of the user's own goes by its path, which is not known here.
        is_built_in = plan is not None and plan.source == variant.scenario
        one = f" --scenario {shlex.quote(variant.name)}" if is_built_in else ""
        yield tr("measure again"), command + one
    if plan is not None and plan.load is not None:
        return
    is_known = plan is not None and plan.source == variant.scenario
    if is_known and not variant.suspects and variant.answer is GateAnswer.OVER_BUDGET:
        yield tr("find the leak suspects"), f"leakhunt hunt {shlex.quote(variant.name)}"


def policy_name(gated: GateResult) -> str:
    """What the policy is called: its file, if it has one."""
    return gated.policy or tr("the policy")


def acceptances(variant: VariantResult, gated: GateResult) -> Iterator[str]:
    """The lines of the policy that accept the suspects that are shown."""
    for suspect in variant.suspects[:SHOWN_SUSPECTS]:
        yield from _acceptance(suspect, variant, gated)


def _acceptance(suspect: Suspect, variant: VariantResult, gated: GateResult) -> Iterator[str]:
    is_project = gated.policy.rpartition("/")[2] == _PYPROJECT
    yield "[[tool.leakhunt.accept]]" if is_project else "[[accept]]"
    # JSON's strings in ASCII are TOML's as well.
    yield f"fingerprint = {json.dumps(suspect.fingerprint)}"
    yield f"reason = {json.dumps(tr(_WHY), ensure_ascii=False)}"
    yield f"until = {until(variant)}"
    if suspect.bytes_per_call:
        most = ceil(_ROOM * suspect.bytes_per_call)
        yield f'up_to = "{most}/{work_of(variant)}"'
