"""What ``soak`` is asked to put under load: described services, a command, or a running process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from leakhunt.config.service_file import DescribedService, ServiceVariant, find_service
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.run import Run
from leakhunt.scenario.find import builtin_folder
from leakhunt.scenario.requirements import install_hint, missing_modules
from leakhunt.service import load_generator
from leakhunt.service.commands import without_secrets
from leakhunt.service.service import PORT, Start, checked_url, words
from leakhunt.text.message import message

_OPTION_VARIABLE = "LEAKHUNT_{name}"


@dataclass(frozen=True, slots=True)
class Target:
    """A service to put under load, checked.

    `start` is None where it runs already, as process `pid`. `url` may hold ``{port}``. `variables`
    are for the load's process. `name`, `variant`, `reference`, `source` and `options` are as in a
    `Plan`.
    """

    name: str
    variant: str
    reference: str
    source: str
    url: str
    locustfile: Path
    start: Start | None = None
    pid: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """How the service came to be, for the report."""
        if self.start is None:
            return f"pid {self.pid}"
        return " ".join(without_secrets(self.start.command))

    @property
    def requests_from(self) -> str:
        """What makes the requests, for the report."""
        return "upload" if self.locustfile == load_generator.UPLOAD else self.locustfile.name


def targets(request: SoakRequest) -> tuple[Target, ...]:
    """What `request` names.

    Raises:
        UsageError: it names nothing, more than one thing, or what is not there.
        MissingRequirement: what a described service needs is not installed.
    """
    if find_spec("locust") is None:
        raise MissingRequirement(
            message(
                "soak.needs-locust",
                "soak needs locust. Install with: pip install 'leakhunt-ml[soak]'",
            )
        )
    named = [request.target, request.command, request.pid]
    if sum(each is not None for each in named) != 1:
        raise UsageError(
            message(
                "soak.one-service",
                "soak needs exactly one service: a name from 'leakhunt list', --command or --pid",
            )
        )
    if request.target is not None:
        return _described(request, request.target)
    if request.url is not None:
        checked_url(request.url)
    locustfile, variables = _requests(request, None)
    if request.pid is not None:
        if request.url is None:
            raise UsageError(
                message(
                    "soak.pid-needs-url",
                    "--pid needs --url with the address of the service",
                )
            )
        return (_own(request, f"pid-{request.pid}", request.url, locustfile, variables, None),)
    assert request.command is not None
    if request.url is None and PORT not in request.command:
        raise UsageError(
            message(
                "soak.missing-port",
                "--command {command!r}: missing {port}. Put {port} where the port belongs, or"
                " add --url with the address",
                command=request.command,
                port=PORT,
            )
        )
    command = words(request.command)
    begun = Start(command, Path.cwd(), request.ready)
    name = Path(command[0]).name
    return (_own(request, name, request.url or _loopback(), locustfile, variables, begun),)


def _own(
    request: SoakRequest,
    name: str,
    url: str,
    locustfile: Path,
    variables: Mapping[str, str],
    begun: Start | None,
) -> Target:
    if request.options:
        raise UsageError(
            message(
                "soak.options-need-description",
                "--option works only for described services. Remove it",
            )
        )
    return Target(
        name=name,
        variant="service",
        reference="service",
        source="",
        url=url,
        locustfile=locustfile,
        start=begun,
        pid=request.pid,
        variables=variables,
    )


def _loopback() -> str:
    return f"http://127.0.0.1:{PORT}"


def _described(request: SoakRequest, named: str) -> tuple[Target, ...]:
    if request.url is not None:
        raise UsageError(
            message(
                "soak.url-of-described",
                "--url works only with --command and --pid; a described service has its own"
                " address",
            )
        )
    service, variants = find_service(named)
    missing = missing_modules(service)
    if missing:
        raise MissingRequirement(
            message(
                "soak.missing-requirement",
                "service {name} needs {missing}; {install_hint}",
                name=service.name,
                missing=", ".join(missing),
                install_hint=install_hint(service),
            )
        )
    options = _options(service, request.options)
    return tuple(_target(request, service, variant, options) for variant in variants)


def _options(service: DescribedService, given: Mapping[str, str]) -> dict[str, str]:
    for name in given:
        if name not in service.options:
            has = ", ".join(service.options) or message("none", "none")
            raise UsageError(
                message(
                    "soak.no-such-option",
                    "service {service} has no option {name!r}. Known options: {has}",
                    service=service.name,
                    name=name,
                    has=has,
                )
            )
    return {**service.options, **given}


def _target(
    request: SoakRequest,
    service: DescribedService,
    variant: ServiceVariant,
    options: Mapping[str, str],
) -> Target:
    environment = {
        _OPTION_VARIABLE.format(name=name.upper().replace("-", "_")): value
        for name, value in options.items()
    }
    locustfile, variables = _requests(request, service.locustfile)
    command = [_filled(word, options) for word in variant.command]
    is_builtin = builtin_folder() in service.file.parents
    return Target(
        name=service.name,
        variant=variant.name,
        reference=service.variants[0].name,
        source=service.name if is_builtin else service.file.name,
        url=_loopback(),
        locustfile=locustfile,
        start=Start(
            command=command,
            folder=service.file.parent.resolve(),
            ready=request.ready or variant.ready,
            facts=variant.facts,
            variables=environment,
        ),
        variables={**environment, **variables, load_generator.KIND: variant.load},
        options=options,
    )


def _filled(word: str, options: Mapping[str, str]) -> str:
    for name, value in options.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _requests(request: SoakRequest, described: Path | None) -> tuple[Path, dict[str, str]]:
    """The locustfile, and what it is told."""
    load = request.load
    variables = {load_generator.SEED: str(request.seed)}
    if load.audio is not None:
        variables[load_generator.AUDIO] = str(_recordings(Path(load.audio)))
    locustfile = Path(load.locustfile) if load.locustfile is not None else described
    if locustfile is None:
        return load_generator.UPLOAD, variables | _upload_variables(load)
    if not locustfile.is_file():
        raise UsageError(
            message(
                "soak.no-locustfile",
                "{locustfile}: locustfile not found. Check the path",
                locustfile=locustfile,
            )
        )
    return locustfile.resolve(), variables


def _recordings(folder: Path) -> Path:
    if not folder.is_dir() or not any(path.is_file() for path in folder.iterdir()):
        raise UsageError(
            message(
                "soak.no-recordings",
                "--audio {audio}: no folder with recordings. Check the path",
                audio=folder,
            )
        )
    return folder.resolve()


def _upload_variables(load: Load) -> dict[str, str]:
    """What the locustfile of ours is told, which uploads recordings."""
    if load.audio is None or load.post is None:
        raise UsageError(
            message(
                "soak.missing-load",
                "missing load. Add --locustfile FILE, or --audio FOLDER with --post PATH to"
                " upload recordings",
            )
        )
    if not load.post.startswith("/"):
        raise UsageError(
            message(
                "soak.invalid-post",
                "--post {post!r}: expected a path that begins with /",
                post=load.post,
            )
        )
    try:
        re.compile(load.expect)
    except re.error as error:
        raise UsageError(
            message(
                "soak.invalid-expect",
                "--expect {expect!r}: invalid pattern ({error})",
                expect=load.expect,
                error=error,
            )
        ) from None
    return {
        load_generator.UPLOAD_PATH: load.post,
        load_generator.UPLOAD_FIELD: load.field,
        load_generator.EXPECT: load.expect,
    }


def target_of(run: Run, request: SoakRequest) -> Target:
    """The target of a soak that is gone on with: its service runs, its load is made anew.

    Raises:
        UsageError: the run was no soak, or its load cannot be made from what is known.
    """
    plan = run.plan
    if plan.load is None:
        raise UsageError(
            message(
                "soak.not-a-soak",
                "{file}: not a soak. --resume needs the run file of a soak",
                file=run.file,
            )
        )
    described, variables = None, dict[str, str]()
    if plan.source == plan.scenario:
        service, (variant,) = find_service(f"{plan.source}:{plan.variant}")
        made = _target(request, service, variant, plan.options)
        described, variables = made.locustfile, dict(made.variables)
    locustfile, environment = _requests(request, described)
    return Target(
        name=plan.scenario,
        variant=plan.variant,
        reference=plan.reference,
        source=plan.source,
        url=plan.load.target,
        locustfile=locustfile,
        variables={**variables, **environment},
        options=plan.options,
    )
