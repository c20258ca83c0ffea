"""Where results go: a folder of their own, never one that holds something."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from leakhunt.errors import CannotWrite
from leakhunt.text.message import message
from leakhunt.text.system import system_text


def new_folder(out: Path | None, name: str) -> Path:
    """An empty folder of our own.

    Raises:
        CannotWrite: it cannot be made, or holds something already.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            if any(out.iterdir()):
                raise CannotWrite(
                    message(
                        "file.folder-in-use",
                        "{out}: not empty, and nothing is overwritten. Choose another folder",
                        out=out,
                    )
                )
            return out
        base = Path("reports") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{name}"
        base.parent.mkdir(exist_ok=True)
        for folder in (base, *(base.with_name(f"{base.name}-{count}") for count in range(2, 100))):
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        where = out or Path("reports")
        raise CannotWrite(
            message(
                "file.cannot-make-folder",
                "{where}: {strerror}. Choose another place with --out",
                where=where,
                strerror=system_text(error),
            )
        ) from error
    raise CannotWrite(
        message(
            "file.too-many-folders",
            "{base}: too many runs in one second. Choose a folder with --out",
            base=base,
        )
    )
