"""The options that pytest in a worker is started with: the parent's own, but for some.

The worker must see the same project, so what the parent has come to is handed over whole: from its
command line, from ``addopts`` and the environment, by whichever plugin or conftest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

# What must not be the parent's: it would select other tests, start workers, open a debugger,
# measure what is being measured, or write over the parent's files. Where no plugin has the option,
# it is not set either.
_OTHERWISE: Mapping[str, Any] = {
    # which tests run: this one
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "maxfail": 0,
    "continue_on_collection_errors": False,
    # in this process (xdist), once (rerunfailures), without a debugger
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "tx": [],
    "looponfail": False,
    "reruns": None,
    "timeout": 0,
    "usepdb": False,
    "trace": False,
    # without what watches every line (pytest-cov)
    "cov_source": [],
    "no_cov": True,
    # prints go to the log as they come; captured ones would pile up
    "capture": "no",
    # the parent's reports
    "xmlpath": None,
    "htmlpath": None,
    "report_log": None,
    "json_report": False,
    "json_report_file": None,
    "allure_report_dir": None,
    "pastebin": None,
    "log_file": os.devnull,  # an ini setting would name the parent's
    "debug": None,
    "durations": None,
    "cacheclear": False,
    "cacheshow": None,
}
_REMOVE_FOLDERS = "tmp_path_retention_policy=failed"
# Subprocesses would be measured for coverage: coverage.py and pytest-cov start with these.
_OF_COVERAGE = (
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
    "COV_CORE_SOURCE",
    "COV_CORE_CONFIG",
    "COV_CORE_DATAFILE",
)


def environment() -> dict[str, str]:
    """Variables that a worker is started with, beside the parent's own."""
    return dict.fromkeys(_OF_COVERAGE, "")


def arguments(config: pytest.Config) -> tuple[str, ...]:
    """The command line: plugins, which must come early, and what tells where the project is.

    ``leakhunt_worker_args`` comes last, so that it counts.
    """
    plugins = [word for name in config.getoption("plugins") for word in ("-p", name)]
    further: list[str] = config.getini("leakhunt_worker_args")
    return (*plugins, *config.args, *further)


def options(
    config: pytest.Config, scratch: Path, mode: str, removes_folders: bool = False
) -> dict[str, Any]:
    """The parent's options as JSON has them; what JSON cannot take is left at its default.

    `scratch` is a folder for what the test writes; `mode` is the value of ``leakhunt``. With
    `removes_folders` the folder of a test goes when the test ends: pytest looks through those that
    are left for a name, and the next repeat would take longer.
    """
    given = vars(config.option)
    changed = {name: value for name, value in _OTHERWISE.items() if name in given}
    own: dict[str, Any] = {
        "plugins": [],
        "rootdir": str(config.rootpath),
        "inifilename": str(config.inipath) if config.inipath else None,
        "basetemp": str(scratch / "tmp"),
        "leakhunt": mode,
        "leakhunt_report": None,
        "leakhunt_all": None,
        "leakhunt_json": None,
    }
    simple = {name: value for name, value in given.items() if _is_simple(value)}
    simple.pop("file_or_dir", None)  # the arguments are parsed anew
    if removes_folders:
        own["override_ini"] = [*(given.get("override_ini") or ()), _REMOVE_FOLDERS]
    return simple | changed | own


def _is_simple(value: object) -> bool:
    """Whether it comes out of JSON as it went in."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
