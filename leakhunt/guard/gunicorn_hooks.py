"""Hooks for ``gunicorn.conf.py``, of which WSGI workers with keep-alive (gthread) need one.

::

    from leakhunt.guard.gunicorn_hooks import pre_request

An application may not set ``Connection`` (PEP 3333), so while a worker drains, this has gunicorn
close each connection after its response. ASGI workers need no hook.
"""

from __future__ import annotations

from typing import Any

from leakhunt.guard.process_guards import is_draining


def pre_request(worker: Any, request: Any) -> None:
    """Close the connection after this request if the worker is about to be replaced."""
    del worker
    close = getattr(request, "force_close", None)
    if close is not None and is_draining():
        close()
