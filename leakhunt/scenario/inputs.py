"""What users give a scenario: files of their own, and weights. For scenario files to import."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path

from leakhunt.errors import BadFile, MissingRequirement, UsageError
from leakhunt.text.message import message

HUB_TIMEOUT_SECONDS = 10.0

# A model directory, and the facts about it that every report must show.
Weights = tuple[Path, dict[str, str]]


def given_files(
    place: str, option: str, suffixes: Collection[str], check: Callable[[Path], None]
) -> tuple[Path, ...]:
    """The files that `place` (a file or a folder) names, each found good by `check`.

    `option` is how the user gave it, for errors; of a folder, files with one of `suffixes` count.

    Raises:
        UsageError: no such file or folder.
        BadFile: a folder without such files; what `check` raises.
    """
    path = Path(place)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes)
    else:
        raise UsageError(
            message(
                "inputs.no-such-place",
                "{place}: file or folder not found. Check the path",
                place=option,
            )
        )
    if not files:
        raise BadFile(
            message(
                "inputs.no-file",
                "{place}: no {suffixes} file in this folder. Name another folder",
                place=option,
                suffixes=", ".join(suffixes),
            )
        )
    for file in files:
        check(file)
    return tuple(file.resolve() for file in files)


def given_weights(
    choice: str,
    hub: Callable[[], Weights],
    stand_in: Callable[[str], Weights],
    own: Callable[[Path], Weights],
) -> Weights:
    """The weights that `choice` asks for: ``auto``, ``hub``, ``stand-in`` or a directory.

    ``auto`` is the hub, or the stand-in where the hub is out of reach. `stand_in` is told what to
    say of the weights' origin.

    Raises:
        MissingRequirement: ``hub`` was asked for and is out of reach.
        UsageError: `choice` is none of the words above and no directory.
    """
    if choice == "stand-in":
        return stand_in("stand-in weights (asked for)")
    if choice in ("auto", "hub"):
        try:
            return hub()
        except MissingRequirement as error:
            if choice == "hub":
                raise
            return stand_in(f"stand-in weights ({error})")
    directory = Path(choice)
    if not directory.is_dir():
        raise UsageError(
            message(
                "inputs.no-weights",
                "weights={choice!r}: directory not found. Use auto, hub, stand-in or a model"
                " directory",
                choice=choice,
            )
        )
    return own(directory)


def from_modelscope(model_id: str, revision: str | None = None) -> Path:
    """The directory of a model of ModelScope's hub.

    Raises:
        MissingRequirement: the hub is out of reach.
    """
    from modelscope import snapshot_download
    from modelscope.hub.utils.utils import get_endpoint

    # A short probe first: the hub client itself retries for minutes before it gives up.
    try:
        urllib.request.urlopen(get_endpoint(), timeout=HUB_TIMEOUT_SECONDS).close()  # noqa: S310
        return Path(snapshot_download(model_id, revision=revision))
    except Exception as error:  # the client raises anything from OSError to its own types
        raise MissingRequirement(
            message(
                "scenario.hub-out-of-reach",
                "the model hub cannot be reached: {error}",
                error=type(error).__name__,
            )
        ) from error
