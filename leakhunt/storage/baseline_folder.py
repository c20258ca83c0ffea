"""The files of baselines: a folder for each environment, and in it a file for each variant.

Two branches that add or renew different variants then merge without a conflict, which one file for
all of them does not (git's merge of text takes two additions at the same place for a conflict).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from leakhunt.errors import BadFile, CannotWrite
from leakhunt.model.baseline import IDENTITY, SYSTEM, Baseline, BaselineVariant, Environment
from leakhunt.model.comparison import NOT_RECORDED
from leakhunt.storage.baseline_reader import read_variant
from leakhunt.storage.baseline_writer import text_of
from leakhunt.storage.report_files import write_whole
from leakhunt.text.message import message
from leakhunt.text.system import system_text

SUFFIX = ".toml"
DEFAULT_PLACE = Path("leakhunt-baselines")
# So many hexadecimal digits tell the environments of a project apart: two of a hundred of them
# have the same in one project of three thousand, and then the file says so.
_DIGITS = 6
_NO_WORD = re.compile(r"[^a-z0-9._-]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def slug(environment: Environment) -> str:
    """The name of an environment's folder: ``linux-x86_64-cpython3.11-glibc2.36-cpu-3f2a1b``."""
    known = {name: environment[name] for name in IDENTITY if environment[name] != NOT_RECORDED}
    joints = {SYSTEM: "-"}
    words = [value.lower().replace(" ", joints.get(name, "")) for name, value in known.items()]
    return "-".join([*(_NO_WORD.sub("", word) for word in words), _digest(environment)])


def file_name(scenario: str, variant: str) -> str:
    """The name of a variant's file in that folder: ``fsmn-vad.naive.toml``."""
    names = (scenario, variant)
    plain = [_NO_NAME.sub("_", name)[:60] for name in names]
    digest = [] if plain == list(names) else [_digest({"scenario": scenario, "variant": variant})]
    return ".".join([*plain, *digest]) + SUFFIX


def _digest(facts: Mapping[str, str]) -> str:
    return sha256(json.dumps(sorted(facts.items())).encode()).hexdigest()[:_DIGITS]


def path_of(root: Path, variant: BaselineVariant) -> Path:
    """Where a variant is kept below `root`."""
    return root / slug(variant.environment) / file_name(variant.scenario, variant.variant)


def read_file(file: Path) -> BaselineVariant:
    """The variant that is kept in a file.

    Raises:
        BadFile: it cannot be read, or holds no variant.
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
    return read_variant(content, str(file))


def read_baselines(root: Path) -> tuple[Baseline, ...]:
    """What is kept below `root`, which may also be the folder of one environment; maybe nothing.

    Raises:
        BadFile: a file cannot be read, holds no variant, or is not where it belongs.
    """
    own = sorted(root.glob(f"*{SUFFIX}"))
    folders = [root] if own else sorted({file.parent for file in root.glob(f"*/*{SUFFIX}")})
    return tuple(_baseline(folder) for folder in folders)


def _baseline(folder: Path) -> Baseline:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    variants = [read_file(file) for file in files]
    for file, variant in zip(files, variants, strict=True):
        named = Path(folder.resolve().name) / file.name
        if path_of(Path(), variant) != named:
            raise BadFile(
                message(
                    "baseline.belongs",
                    "{file}: belongs in {where}. Move the file there",
                    file=file,
                    where=path_of(Path(), variant),
                )
            )
        if variant.environment != variants[0].environment:
            raise BadFile(
                message(
                    "baseline.other-environment",
                    "{file}: from another environment than {other}. Move one of them to"
                    " another folder",
                    file=file,
                    other=files[0],
                )
            )
    return Baseline(str(folder), variants[0].environment, tuple(variants))


def write_variants(root: Path, variants: Sequence[BaselineVariant]) -> list[Path]:
    """Write each variant's file, whole or not at all; the paths.

    Raises:
        CannotWrite: the disk does not take one; those before it are written.
    """
    written = []
    for variant in variants:
        path = path_of(root, variant)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text_of(variant))
        except OSError as error:
            raise CannotWrite(
                message(
                    "baseline.cannot-write",
                    "{path}: {strerror}. Existing files are unchanged: free some space, or"
                    " choose another folder with --into",
                    path=path,
                    strerror=system_text(error),
                )
            ) from error
        written.append(path)
    return written
