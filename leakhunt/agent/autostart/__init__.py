"""The folder that brings the agent into every Python process of a service: see `sitecustomize`."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
PYTHONPATH = "PYTHONPATH"
# Where what leakhunt needs is installed, for an instrument that is wanted in the service.
_PACKAGES = "LEAKHUNT_PACKAGES"


def variables_for(environment: Mapping[str, str]) -> dict[str, str]:
    """What to set so that Python processes that are started with `environment` have the agent."""
    before = environment.get(PYTHONPATH, "")
    return {
        PYTHONPATH: f"{FOLDER}:{before}" if before else str(FOLDER),
        _PACKAGES: sysconfig.get_path("purelib"),
    }
