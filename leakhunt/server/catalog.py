"""The reports below a folder: found, listed, and handed out file by file.

Nothing else of the folder is handed out, no link is followed, and nothing is written.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from leakhunt.engine.report import rendered, report_of
from leakhunt.errors import BadFile, NothingMeasured, UsageError
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.reporting.index.page import (
    Contents,
    ListedFolder,
    contents_of_headers,
    contents_of_report,
)
from leakhunt.reporting.registry import (
    ANALYZE_RENDERERS,
    ATTACH_RENDERERS,
    BENCHMARK_RENDERERS,
    BISECT_RENDERERS,
    CLAIMS_RENDERERS,
    COMPARISON_RENDERERS,
    GATE_RENDERERS,
    MATRIX_RENDERERS,
    RENDERERS,
    RETAINED_RENDERERS,
)
from leakhunt.storage import run_file
from leakhunt.text.language import tr
from leakhunt.text.message import message
from leakhunt.text.system import system_text

PAGE = "report.html"
SUMMARY = "report.json"
_FILES = {renderer.file_name: renderer for renderer in RENDERERS}
# What verbs write that is no report of runs: handed out as it stands. Its pages come first.
_OTHER_FILES = tuple(
    sorted(
        {
            renderer.file_name
            for renderers in (
                MATRIX_RENDERERS, BISECT_RENDERERS, BENCHMARK_RENDERERS, ANALYZE_RENDERERS,
                ATTACH_RENDERERS, RETAINED_RENDERERS, CLAIMS_RENDERERS, COMPARISON_RENDERERS,
                GATE_RENDERERS,
            )
            for renderer in renderers
        }
        - set(_FILES),
        key=lambda name: (not name.endswith(".html"), name),
    )
)  # fmt: skip
_NAMES = (*_FILES, *_OTHER_FILES)
# A summary of six variants has 100 KiB; what is far larger is not read for a line in a list.
MAX_SUMMARY_BYTES = 32 << 20
# Reports that were made from run files are kept while these do not change.
MAX_CACHED_REPORTS = 4

# Size and time of the last change, of each of some files: the same as long as nobody wrote.
_Stamp = tuple[tuple[str, int, int], ...]


class ReportNotFound(Exception):
    """There is no such report, or it is nobody's business."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder with a report or run files in it, by the names of these."""

    path: Path
    made: tuple[str, ...]
    run_files: tuple[str, ...]


class Shelf:
    """What can be read below `root`.

    Listings and reports that were made on demand are kept as long as their files stay as they are.
    For several threads at once.

    Raises:
        UsageError: there is no such folder, or it cannot be read.
    """

    def __init__(self, root: Path) -> None:
        try:
            self.root = root.resolve(strict=True)
            next(self.root.iterdir(), None)  # whether it is a folder that we may read
        except OSError as error:
            raise UsageError(
                message(
                    "serve.folder",
                    "{root}: {strerror}. Choose a folder with reports",
                    root=root,
                    strerror=system_text(error),
                )
            ) from error
        self._lock = threading.Lock()
        self._listed: dict[Path, tuple[_Stamp, ListedFolder]] = {}
        self._reports: OrderedDict[Path, tuple[_Stamp, Report]] = OrderedDict()

    def listing(self) -> list[ListedFolder]:
        """Every folder with a report or run files, in no order; read again where it changed."""
        with self._lock:
            previous, self._listed = self._listed, {}
            for folder in self._folders():
                stamp = _stamp(folder.path, (*folder.made, *folder.run_files))
                known = previous.get(folder.path)
                made = known[1] if known and known[0] == stamp else self._list(folder)
                self._listed[folder.path] = (stamp, made)
            return [made for _, made in self._listed.values()]

    def read(self, place: Sequence[bytes], name: str) -> bytes:
        """A file of a report: as it stands in its folder, else made from the run files there.

        Raises:
            NotHere: there is neither.
            BadFile: the run files are none.
        """
        if name not in _NAMES or any(_is_refused(part) for part in place):
            raise ReportNotFound(message("serve.report-not-found", "report not found"))
        path = self.root.joinpath(*map(os.fsdecode, place))
        try:
            if path.resolve(strict=True) != path:  # a link on the way: it may lead anywhere
                raise ReportNotFound(message("serve.report-not-found", "report not found"))
            folder = _folder(path)
            if folder is None:
                raise ReportNotFound(message("serve.report-not-found", "report not found"))
            if name in folder.made:
                return (path / name).read_bytes()
        except (OSError, ValueError) as error:
            raise ReportNotFound(message("serve.report-not-found", "report not found")) from error
        if not folder.run_files or name not in _FILES:
            raise ReportNotFound(message("serve.report-not-found", "report not found"))
        renderer = _FILES[name]
        if any(find_spec(module) is None for module in renderer.requires):
            raise ReportNotFound(
                message(
                    "serve.needs-extra",
                    "needs the extra {extra}: pip install 'leakhunt-ml[{extra}]'",
                    extra=renderer.extra,
                )
            )
        with self._lock:  # matplotlib is for one thread at a time
            report = self._report(folder)
            if not renderer.is_of(report):
                raise ReportNotFound(message("serve.report-not-found", "report not found"))
            return rendered(report, renderer.render, renderer.language)

    def _report(self, folder: _Folder) -> Report:
        stamp = _stamp(folder.path, folder.run_files)
        known = self._reports.get(folder.path)
        if known is None or known[0] != stamp:
            known = (stamp, report_of(_runs(folder), folder.path.name))
        self._reports[folder.path] = known
        self._reports.move_to_end(folder.path)
        while len(self._reports) > MAX_CACHED_REPORTS:
            self._reports.popitem(last=False)
        return known[1]

    def _folders(self) -> Iterator[_Folder]:
        for place, below, _ in os.walk(self.root):  # follows no links
            below[:] = [name for name in below if not name.startswith(".")]
            try:
                folder = _folder(Path(place))
            except OSError:  # gone since, or closed to us: there is nothing to list
                continue
            if folder is not None:
                yield folder

    def _list(self, folder: _Folder) -> ListedFolder:
        problems: list[str] = []
        contents = _summary(folder, problems) if SUMMARY in folder.made else None
        if contents is None:
            contents = _headers(folder, problems)
        files = folder.made
        if contents.runs and folder.run_files:
            reports = (
                name
                for name, each in _FILES.items()
                if name in folder.made
                # Whether a figure is of any use is known when it is made: of what was only looked
                # on, those that may be of none are not offered.
                or (each.by_default and (contents.is_timed or each.has_content is None))
            )
            files = (*reports, *(name for name in folder.made if name not in _FILES))
        elif PAGE not in files:
            # A page leads, where figures of the same name as a report's stand beside it.
            files = tuple(sorted(files, key=lambda name: not name.endswith(".html")))
        return ListedFolder(
            place=tuple(map(os.fsencode, folder.path.relative_to(self.root).parts)),
            contents=contents if contents.when else _dated(contents, folder),
            files=files,
            is_on_demand=PAGE not in folder.made and bool(contents.runs),
            problems=tuple(problems),
        )


def _is_refused(part: bytes) -> bool:
    """Whether a part of a path is no plain name, or a hidden one."""
    return part in (b"", b".", b"..") or part.startswith(b".") or b"/" in part or b"\0" in part


def _folder(path: Path) -> _Folder | None:
    """A folder's own reports and run files, links left out; None: it has none."""
    with os.scandir(path) as entries:
        names = sorted(each.name for each in entries if each.is_file(follow_symlinks=False))
    made = tuple(name for name in _NAMES if name in names)
    run_files = tuple(name for name in names if name.endswith(run_file.SUFFIX))
    is_listed = run_files or any(name.endswith(".html") or name == SUMMARY for name in made)
    return _Folder(path, made, run_files) if is_listed else None


def _stamp(path: Path, names: Sequence[str]) -> _Stamp:
    stamps = []
    for name in names:
        try:
            status = (path / name).stat(follow_symlinks=False)
        except OSError:  # it went away since it was listed: that is a change
            stamps.append((name, -1, -1))
        else:
            stamps.append((name, status.st_size, status.st_mtime_ns))
    return tuple(stamps)


def _summary(folder: _Folder, problems: list[str]) -> Contents | None:
    """What the summary says; None, and a problem: it cannot be read."""
    file = folder.path / SUMMARY
    try:
        if file.stat().st_size > MAX_SUMMARY_BYTES:
            raise BadFile(
                message(
                    "serve.summary-too-large",
                    "larger than {most_summary_bytes} MiB; not read",
                    most_summary_bytes=MAX_SUMMARY_BYTES >> 20,
                )
            )
        return contents_of_report(file.read_bytes())
    except OSError as error:
        problems.append(f"{SUMMARY}: {tr(str(error.strerror))}")
    except (BadFile, ValueError) as error:
        problems.append(f"{SUMMARY}: {error}")
    return None


def _headers(folder: _Folder, problems: list[str]) -> Contents:
    """What the run files' first lines say; those that cannot be read are problems."""
    headers = []
    for name in folder.run_files:
        try:
            headers.append(run_file.header(folder.path / name))
        except BadFile as error:
            problems.append(str(error).replace(f"{folder.path}{os.sep}", ""))
    return contents_of_headers(headers)


def _dated(contents: Contents, folder: _Folder) -> Contents:
    """With the time of the last change, where nothing says when it was measured."""
    stamps = _stamp(folder.path, (*folder.made, *folder.run_files))
    latest = max(changed for _, _, changed in stamps) / 1e9
    when = datetime.fromtimestamp(max(latest, 0), UTC).isoformat(timespec="seconds")
    return Contents(
        contents.title, when, contents.variants, contents.weights, contents.device, contents.runs
    )


def _runs(folder: _Folder) -> list[Run]:
    """The runs that can be read.

    Raises:
        BadFile: none can.
        NothingMeasured: there is none that was measured.
    """
    runs, failures = [], []
    for name in folder.run_files:
        try:
            runs.append(run_file.load(folder.path / name))
        except BadFile as error:
            failures.append(error)
    if failures and not runs:
        raise failures[0]
    if not any(run.plan.is_measured for run in runs):
        raise NothingMeasured(
            message("serve.only-instrumented", "no measured run, only instrumented runs of a hunt")
        )
    return runs
