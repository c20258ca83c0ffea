"""Loaded by every Python process of a service that ``leakhunt soak`` started: the agent listens.

This folder is the first of PYTHONPATH there. Nothing of leakhunt needs to be installed: the agent
is one file beside this one. A ``sitecustomize`` of the service's own is loaded as well. Whatever
goes wrong here is no failure of the service.
"""

import contextlib
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no pathlib here
_AGENT = "leakhunt_guest_agent"
# The agent's file needs this; an older Python goes on without it.
_OLDEST = (3, 11)
# These of ours, which begin with the service's environment, are no part of it.
_OURS = ("leakhunt.service.launcher", "leakhunt.worker")


def _listen() -> None:
    """Load the agent's file as a module of its own, and have it listen."""
    if sys.implementation.name != "cpython" or sys.version_info < _OLDEST:
        return
    if any(word in _OURS for word in sys.orig_argv):
        return
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.dirname(_HERE)  # noqa: PTH120
    spec = spec_from_file_location(_AGENT, os.path.join(folder, "standalone.py"))  # noqa: PTH118
    if spec is None or spec.loader is None:
        return
    sys.modules[_AGENT] = agent = module_from_spec(spec)
    spec.loader.exec_module(agent)
    agent.listen()
    agent.lead_to_leakhunt(os.path.dirname(os.path.dirname(folder)))  # noqa: PTH120


def _load_own() -> None:
    """Load the sitecustomize that would have been found without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    path = [each for each in sys.path if os.path.abspath(each) != _HERE]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = own = module_from_spec(spec)
        spec.loader.exec_module(own)


with contextlib.suppress(Exception):
    _listen()
_load_own()
