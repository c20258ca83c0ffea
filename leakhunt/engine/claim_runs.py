"""The runs that claims need: made once each by the engine, each into a folder of its own."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leakhunt.engine.command_line import COMMAND_LINES, CommandLine
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import renderers_named
from leakhunt.environment import sees_gpu
from leakhunt.errors import INTERRUPTED, BadFile, CannotWrite, LeakhuntError, NothingMeasured
from leakhunt.model.claims import ClaimRun, Claims
from leakhunt.model.run import Run
from leakhunt.storage import run_file
from leakhunt.text.message import Text, message
from leakhunt.text.system import system_text

# Beside a run's files once it has ended by itself: which command it was.
MARK = "claim-run.json"
_MARK_FORMAT = 1
_MAX_ASIDE = 1000


@dataclass(frozen=True, slots=True)
class NeededRun:
    """A run that claims need: `base` is the folder of their file, `folder` where the run goes."""

    claims: Claims
    run: ClaimRun
    base: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class ClaimRunResult:
    """What a run left: its run files, or why there is nothing to look at."""

    runs: tuple[Run, ...] = ()
    missing: Text = ""


def folder_name(claims: Claims, run: ClaimRun) -> str:
    """The name of the folder that a run goes to."""
    return f"{claims.scenario}-{run.name}"


def make(
    need: NeededRun,
    events: Events = SILENT,
    command_lines: Mapping[str, CommandLine] = COMMAND_LINES,
) -> ClaimRunResult:
    """Make a run, unless it is there already or cannot be made on this machine.

    Raises:
        KeyboardInterrupt: the user ended it; what there is of it is no evidence.
        CannotWrite: the disk does not take it.
    """
    if need.run.device == "cuda" and not sees_gpu(os.environ):
        return ClaimRunResult(missing=message("claims.needs-gpu", "needs a CUDA GPU"))
    if _is_complete(need):
        events.noted(message("claims.made-already", "  exists already, not repeated"))
        return result_in(need, "")
    _set_aside(need.folder, events)
    code, reason = _carry_out(need, events, command_lines)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    result = result_in(
        need, reason or message("claims.exit-code", "exited with code {code}", code=code)
    )
    if is_whole(code, result):
        _mark(need)
    return result


def is_whole(code: int, result: ClaimRunResult) -> bool:
    """Whether a run need not be made again: it went as it was meant to.

    A load of which too much failed (`NothingMeasured`) is a result too, if every run has calls. One
    whose own code failed, or that lacked something, may do better the next time.
    """
    if code == 0:
        return True
    measured = bool(result.runs) and all(run.calls_done for run in result.runs)
    return code == NothingMeasured.exit_code and measured


def result_in(need: NeededRun, reason: Text) -> ClaimRunResult:
    """What lies in the run's folder; `reason` says why, where nothing does."""
    try:
        files = run_file.find_run_files([str(need.folder)]) if need.folder.is_dir() else []
        runs = tuple(run_file.load(file) for file in files)
    except BadFile as error:
        return ClaimRunResult(missing=error.text)
    if not runs:
        return ClaimRunResult(missing=reason)
    elsewhere = sorted({run.plan.device for run in runs} - {need.run.device})
    is_soak = any(run.plan.load is not None for run in runs)
    if need.run.device and elsewhere and not is_soak:
        return ClaimRunResult(
            missing=message(
                "claims.not-on-gpu",
                "ran on {device}, not on a CUDA GPU",
                device=", ".join(elsewhere),
            )
        )
    return ClaimRunResult(runs)


def _is_complete(need: NeededRun) -> bool:
    """Whether just this run is there and ended by itself."""
    try:
        mark = json.loads((need.folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(mark == _mark_of(need.run))


def _mark_of(run: ClaimRun) -> dict[str, object]:
    return {"format": _MARK_FORMAT, "command": run.command}


def _mark(need: NeededRun) -> None:
    path, fresh = need.folder / MARK, need.folder / f".{MARK}.new"
    try:
        fresh.write_text(json.dumps(_mark_of(need.run)) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise CannotWrite(
            message(
                "file.no-space",
                "{path}: {strerror}. Free some space",
                path=path,
                strerror=system_text(error),
            )
        ) from error


def _set_aside(folder: Path, events: Events) -> None:
    """Give the folder another name if it holds something: nothing is overwritten, nothing lost."""
    try:
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        names = (folder.with_name(f"{folder.name}.aside-{n}") for n in range(1, _MAX_ASIDE))
        aside = next(name for name in names if not name.exists())
        folder.rename(aside)
    except (OSError, StopIteration) as error:
        raise CannotWrite(
            message(
                "claims.cannot-move",
                "{folder}: cannot be moved aside. Choose another folder with --out",
                folder=folder,
            )
        ) from error
    events.noted(
        message(
            "claims.set-aside",
            "  the existing run is incomplete or from another command; moved to {aside}",
            aside=aside.name,
        )
    )


_SUFFIXES = (".py", ".toml")


def _placed(words: Sequence[str], base: Path) -> Iterator[str]:
    """The words, where paths are meant those beside the claims' file, if they are there."""
    for word in words:
        has_variants = any(f"{suffix}:" in word for suffix in _SUFFIXES)
        place, colon, variants = word.partition(":") if has_variants else (word, "", "")
        is_path = not word.startswith("-") and ("/" in place or place.endswith(_SUFFIXES))
        if is_path and not Path(place).is_absolute() and (base / place).exists():
            yield f"{base / place}{colon}{variants}"
        else:
            yield word.replace("{folder}", str(base.resolve()))


def _carry_out(
    need: NeededRun, events: Events, command_lines: Mapping[str, CommandLine]
) -> tuple[int, Text]:
    """Carry out the command of a run into its folder: the exit code, and what failed.

    Raises:
        CannotWrite: so do all that follow.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    verb, *rest = shlex.split(need.run.command)
    words = list(_placed(rest, need.base))
    try:
        result = command_lines[verb](words, need.folder, renderers_named("json"), events)
    except CannotWrite:
        raise
    except LeakhuntError as error:
        return error.exit_code, error.text
    return result.exit_code, ""
