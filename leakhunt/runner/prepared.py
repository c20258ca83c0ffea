"""One scenario's plans, carried out: preparing it, and its runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from leakhunt.errors import MissingRequirement
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Outcome, Run
from leakhunt.model.scenario import Variant
from leakhunt.runner.supervisor import Prepared, Progress, measure, prepare
from leakhunt.scenario.contract import Context
from leakhunt.storage import run_file as store
from leakhunt.text.message import message
from leakhunt.worker.protocol import Order

PREPARE_LOG = "prepare.log"


@dataclass(frozen=True, slots=True)
class PreparedScenario:
    """A scenario that is prepared, and where its runs go.

    `interpreter` and `variables` are what its workers are started with where it is another revision
    of the code: another Python, or a path to import from. Neither is part of a plan.
    """

    settings: Settings
    prepared: Prepared
    folder: Path
    scratch: Path
    interpreter: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The device in use."""
        return self.prepared.device

    def carry_out(self, plan: Plan, name: str, progress: Progress) -> Outcome:
        """Carry out a plan of one of the scenario's variants into the run file `name`."""
        run_file = self.folder / f"{name}{store.SUFFIX}"
        variant = next(v for v in self.settings.scenario.variants if v.name == plan.variant)
        settings = replace(self.settings, options=plan.options)
        order = replace(
            order_for(settings, variant, self.prepared.device, self.scratch, run_file),
            instrument=plan.instrument,
            environment={**self.variables, **plan.environment},
            interpreter=self.interpreter,
            takes_peaks=plan.is_measured and plan.calls is None,
        )
        return measure(plan, order, self.folder / f"{name}.log", self.prepared.facts, progress)

    def load(self, name: str) -> Run:
        """The run that was carried out under this name."""
        return store.load(self.folder / f"{name}{store.SUFFIX}")


def needs_preparing(settings: Settings) -> bool:
    """Whether there is anything to settle before the first variant: facts, or the device."""
    choosable = "cuda" in settings.scenario.devices and settings.device != "cpu"
    return settings.scenario.prepares or choosable


def prepared_for(
    settings: Settings,
    folder: Path,
    scratch: Path,
    interpreter: str = "",
    variables: Mapping[str, str] | None = None,
) -> Prepared:
    """What the scenario's ``prepare`` settled, or nothing where there is nothing to settle."""
    if not needs_preparing(settings):
        return Prepared("cpu", {})
    answer = scratch / "prepared.json"
    order = order_for(settings, settings.variants[0], settings.device, scratch, answer)
    order = replace(order, prepare=True, interpreter=interpreter, environment=variables or {})
    return prepare(order, answer, folder / PREPARE_LOG, settings.timeout_seconds)


def variants_for(settings: Settings, device: str) -> list[Variant]:
    """The variants that make sense on the device.

    Raises:
        MissingRequirement: one that was named does not, or none does.
    """
    fit = [variant for variant in settings.variants if device in variant.devices]
    unfit = [variant.name for variant in settings.variants if device not in variant.devices]
    if unfit and (settings.named or not fit):
        raise MissingRequirement(
            message(
                "run.unfit-variant",
                "variant {unfit} does not run on {device}; it needs a CUDA GPU",
                unfit=unfit[0],
                device=device,
            )
        )
    return fit


def order_for(
    settings: Settings, variant: Variant, device: str, scratch: Path, run_file: Path
) -> Order:
    """What a worker is told to measure a variant into `run_file`."""
    own = scratch / variant.name
    own.mkdir(exist_ok=True)
    context = Context(
        variant=variant.name,
        calls=settings.sampling.calls,
        seed=settings.seed,
        threads=settings.threads,
        device=device,
        options=settings.options,
        scratch=scratch,
        folder=own,
    )
    return Order(
        prepare=False,
        supervisor=os.getpid(),
        scenario_file=settings.scenario.file,
        function=variant.function,
        module=settings.scenario.module,
        plain=settings.scenario.plain,
        devices=settings.scenario.devices,
        tells_audio=settings.scenario.tells_audio,
        tells_input=settings.scenario.tells_input and not settings.scenario.tells_audio,
        input_unit=settings.scenario.input_unit,
        run_file=run_file,
        context=context,
    )
