"""Guards for a service in production: watermarks, health, recycling, bounds, a log of requests.

What a service imports; nothing but psutil is needed at run time, and no framework is imported.

::

    from leakhunt.guard import Guard, GuardConfig, GuardMiddleware

    guard = Guard(GuardConfig(max_concurrency=8))
    app.add_middleware(GuardMiddleware, guard=guard)          # FastAPI, Starlette
    app.wsgi_app = GuardWsgiMiddleware(app.wsgi_app, guard)   # Flask
"""

from leakhunt.guard.asgi import GuardMiddleware
from leakhunt.guard.breaker import BreakerState, CircuitBreaker
from leakhunt.guard.byte_cache import ByteCache
from leakhunt.guard.config import GuardConfig
from leakhunt.guard.guard import Guard
from leakhunt.guard.jobs import JobCrashed, JobPool, JobPoolConfig, JobsFull, JobTimedOut
from leakhunt.guard.limits import LimitSource, MemoryUse
from leakhunt.guard.recommendation import Recommendation, private_bytes, recommend
from leakhunt.guard.recycling import Recycler, RecyclingConfig
from leakhunt.guard.refusals import Refusal, RequestRefused
from leakhunt.guard.request_log import JsonFormatter, RequestLog, log_requests_to
from leakhunt.guard.status import GuardStatus
from leakhunt.guard.temporary_files import temporary_scope
from leakhunt.guard.ticket import Ticket
from leakhunt.guard.wsgi import GuardWsgiMiddleware

__all__ = [
    "BreakerState",
    "ByteCache",
    "CircuitBreaker",
    "Guard",
    "GuardConfig",
    "GuardMiddleware",
    "GuardStatus",
    "GuardWsgiMiddleware",
    "JobCrashed",
    "JobPool",
    "JobPoolConfig",
    "JobTimedOut",
    "JobsFull",
    "JsonFormatter",
    "LimitSource",
    "MemoryUse",
    "Recommendation",
    "Recycler",
    "RecyclingConfig",
    "Refusal",
    "RequestLog",
    "RequestRefused",
    "Ticket",
    "log_requests_to",
    "private_bytes",
    "recommend",
    "temporary_scope",
]
