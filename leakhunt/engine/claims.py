"""The runs that claims need, made by the verbs themselves: once each, each into a folder."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from leakhunt.environment import sees_gpu
from leakhunt.errors import INTERRUPTED, BadFile, CannotWrite, LeakhuntError, NothingMeasured
from leakhunt.model.claims import ClaimRun, Claims
from leakhunt.model.run import Run
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.storage import run_file
from leakhunt.text.language import tr
from leakhunt.text.message import Text, message

# Beside a run's files once it has ended by itself: which command it was.
MARK = "claim-run.json"
_MARK_FORMAT = 1
_MOST_ASIDE = 1000


@dataclass(frozen=True, slots=True)
class Need:
    """A run that claims need: `base` is the folder of their file, `folder` where the run goes."""

    claims: Claims
    run: ClaimRun
    base: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Left:
    """What a run left: its run files, or why there is nothing to look at."""

    runs: tuple[Run, ...] = ()
    missing: Text = ""


def folder_name(claims: Claims, run: ClaimRun) -> str:
    """The name of the folder that a run goes to."""
    return f"{claims.scenario}-{run.name}"


def make(need: Need, console: Console) -> Left:
    """Make a run, unless it is there already or cannot be made on this machine.

    Raises:
        KeyboardInterrupt: the user ended it; what there is of it is no evidence.
        CannotWrite: the disk does not take it.
    """
    if need.run.device == "cuda" and not sees_gpu(os.environ):
        return Left(missing=message("claims.needs-gpu", "it needs a machine with a CUDA GPU"))
    if _is_complete(need):
        say(console, tr("  is there already, and is not made again"))
        return left_in(need, "")
    _set_aside(need.folder, console)
    code, reason = _carry_out(_words(need))
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    left = left_in(
        need, reason or message("claims.exit-code", "it ended with exit code {code}", code=code)
    )
    if is_whole(code, left):
        _mark(need)
    return left


def is_whole(code: int, left: Left) -> bool:
    """Whether a run need not be made again: it went as it was meant to.

    A load of which too much failed (`NothingMeasured`) is a result too, if every run has calls. One
    whose own code failed, or that lacked something, may do better the next time.
    """
    if code == 0:
        return True
    measured = bool(left.runs) and all(run.calls_done for run in left.runs)
    return code == NothingMeasured.exit_code and measured


def left_in(need: Need, reason: Text) -> Left:
    """What lies in the run's folder; `reason` says why, where nothing does."""
    try:
        files = run_file.find_run_files([str(need.folder)]) if need.folder.is_dir() else []
        runs = tuple(run_file.load(file) for file in files)
    except BadFile as error:
        return Left(missing=error.text)
    if not runs:
        return Left(missing=reason)
    elsewhere = sorted({run.plan.device for run in runs} - {need.run.device})
    is_soak = any(run.plan.load is not None for run in runs)
    if need.run.device and elsewhere and not is_soak:
        return Left(
            missing=message(
                "claims.other-device",
                "it ran on {device}, and not on a CUDA GPU",
                device=tuple(elsewhere),
            )
        )
    return Left(runs)


def say(console: Console, text: str, style: str = "") -> None:
    """A line that steers no terminal, whatever the claims' file holds."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True, style=style or None)


def _is_complete(need: Need) -> bool:
    """Whether just this run is there and ended by itself."""
    try:
        mark = json.loads((need.folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(mark == _mark_of(need.run))


def _mark_of(run: ClaimRun) -> dict[str, object]:
    return {"format": _MARK_FORMAT, "command": run.command}


def _mark(need: Need) -> None:
    path, fresh = need.folder / MARK, need.folder / f".{MARK}.new"
    try:
        fresh.write_text(json.dumps(_mark_of(need.run)) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise CannotWrite(
            tr("{path}: {strerror}; free some space", path=path, strerror=tr(str(error.strerror)))
        ) from error


def _set_aside(folder: Path, console: Console) -> None:
    """Give the folder another name if it holds something: nothing is overwritten, nothing lost."""
    try:
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        names = (folder.with_name(f"{folder.name}.aside-{n}") for n in range(1, _MOST_ASIDE))
        aside = next(name for name in names if not name.exists())
        folder.rename(aside)
    except (OSError, StopIteration) as error:
        raise CannotWrite(
            tr("{folder}: cannot be set aside; name another folder with --out", folder=folder)
        ) from error
    say(
        console,
        tr(
            "  what was there is no whole run of this command: it is in {aside} now",
            aside=aside.name,
        ),
    )


def _words(need: Need) -> list[str]:
    """The command line, with what it leaves where it is to be."""
    verb, *rest = shlex.split(need.run.command)
    return [verb, "--out", str(need.folder), "--format", "json", *_placed(rest, need.base)]


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


def _carry_out(words: list[str]) -> tuple[int, Text]:
    """Carry out a command in this process, as `leakhunt.cli.main` does: exit code, and what failed.

    Raises:
        CannotWrite: so do all that follow.
    """
    from leakhunt.cli.main import cli

    try:
        result = cli.main(args=words, prog_name="leakhunt", standalone_mode=False)
    except CannotWrite:
        raise
    except LeakhuntError as error:
        return error.exit_code, error.text
    except click.ClickException as error:
        return error.exit_code, tr(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED, ""
    return (result, "") if isinstance(result, int) else (0, "")
