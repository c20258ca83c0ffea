"""Services that a ``service.toml`` describes: how they are started, and what drives them.

::

    summary = "Speech detection behind FastAPI"
    extra = "fsmn-vad-service"                 # optional: the extra that installs what it needs
    requires = ["fastapi", "uvicorn"]          # optional: the modules that it needs
    locustfile = "load.py"                     # optional: the load; else recordings are uploaded

    [options]                                  # optional: settings with their defaults
    lengths = "varied"

    [[variant]]                                # the first variant is the reference of the others
    name = "naive"
    summary = "as it was"
    command = ["{python}", "app.py", "--port", "{port}", "--lengths", "{lengths}"]
    ready = "/health"                          # optional: the path that answers 2xx when it is up
    facts = "/health"                          # optional: a path that tells texts by JSON
    load = "json"                              # optional: a word for the locustfile

Commands are run in the folder of the file. An option reaches the service and the locustfile as a
variable too: ``LEAKHUNT_LENGTHS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from leakhunt.errors import BadFile, UsageError
from leakhunt.scenario.find import builtin_folder
from leakhunt.scenario.variants import variants_named
from leakhunt.text.message import message
from leakhunt.text.suggest import hint
from leakhunt.text.system import system_text
from leakhunt.toml_file import Table, read_table

FILE_NAME = "service.toml"
_NAME = re.compile(r"\w[\w.-]*")
_KEYS = ("summary", "extra", "requires", "locustfile", "options", "variant")
_VARIANT_KEYS = ("name", "summary", "command", "ready", "facts", "load")


@dataclass(frozen=True, slots=True)
class ServiceVariant:
    """One way to run the service; `load` is a word for the locustfile.

    `facts` is a path that tells texts about it, such as which weights it has loaded.
    """

    name: str
    summary: str
    command: tuple[str, ...]
    ready: str = ""
    facts: str = ""
    load: str = ""


@dataclass(frozen=True, slots=True)
class DescribedService:
    """A service as its file describes it. The first variant is the reference."""

    name: str
    file: Path
    summary: str
    variants: tuple[ServiceVariant, ...]
    options: Mapping[str, str]
    locustfile: Path | None
    extra: str | None
    requires: tuple[str, ...]


def builtin_services() -> Iterator[DescribedService]:
    """Those that come with leakhunt."""
    for file in sorted(builtin_folder().glob(f"*/{FILE_NAME}")):
        yield read_service(file)


def find_service(target: str) -> tuple[DescribedService, tuple[ServiceVariant, ...]]:
    """The service and the variants that ``NAME_OR_FILE[:VARIANT,...]`` names; without: all.

    Raises:
        UsageError: no such service, file or variant.
        BadFile: the file describes no service.
    """
    place, _, names = target.partition(":")
    known = {service.name: service for service in builtin_services()}
    path = Path(place)
    if place in known:
        service = known[place]
    elif (path / FILE_NAME).is_file():
        service = read_service(path / FILE_NAME)
    elif path.is_file() and path.suffix == ".toml":
        service = read_service(path)
    else:
        raise UsageError(
            message(
                "service-file.not-found",
                "service {place!r} not found{hint}. List services with 'leakhunt list', or use"
                " --command, --url or --pid for your own",
                place=place,
                hint=hint(place, known),
            )
        )
    owner = message("service-file.service", "service {name}", name=service.name)
    return service, variants_named(owner, names, service.variants)


def read_service(file: Path) -> DescribedService:
    """The service that a file describes.

    Raises:
        BadFile: it is no TOML, or something in it is missing, unknown or of the wrong kind.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_text(error),
            )
        ) from error
    table = read_table(content, str(file))
    table.only(_KEYS)
    variants = tuple(_read_variant(entry) for entry in table.tables("variant", "variant"))
    if not variants:
        table.bad(
            message(
                "service-file.missing-variant",
                "missing [[variant]]. Add one with a name and a command",
            )
        )
    table.refuse_twice(
        message("service-file.variant", "variant"),
        "variant",
        [variant.name for variant in variants],
    )
    locustfile = table.text("locustfile")
    options = table.items.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(v, str) for v in options.values()):
        table.bad(
            message("service-file.options", "[options]: expected quoted texts"),
            "options",
        )
    return DescribedService(
        name=file.parent.name.replace("_", "-") if file.name == FILE_NAME else file.stem,
        file=file,
        summary=table.text("summary"),
        variants=variants,
        options=options,
        locustfile=file.parent / locustfile if locustfile else None,
        extra=table.text("extra") or None,
        requires=table.texts("requires"),
    )


def _read_variant(entry: Table) -> ServiceVariant:
    name = entry.needed("name")
    if not _NAME.fullmatch(name):
        entry.bad(
            message(
                "service-file.invalid-name",
                "name: invalid name {name!r}. Use letters, digits, '-', '_' and '.'",
                name=name,
            ),
            "name",
        )
    entry = entry.named(message("service-file.variant-named", "variant {name}", name=name))
    entry.only(_VARIANT_KEYS)
    command = entry.texts("command")
    if not command:
        entry.bad(
            message("service-file.missing-command", "missing command. Add it as a list of words")
        )
    return ServiceVariant(
        name=name,
        summary=entry.text("summary"),
        command=command,
        ready=entry.text("ready"),
        facts=entry.text("facts"),
        load=entry.text("load"),
    )
