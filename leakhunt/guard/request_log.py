"""A line of JSON for each request, by standard logging: sampled, rotated, without a dependency."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from dataclasses import asdict, dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOGGER_NAME = "leakhunt.guard.requests"
_LOG = logging.getLogger(LOGGER_NAME)
_FIELDS = "leakhunt_request"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What is logged of a request; sizes in bytes. `refused` is empty where it was let in."""

    method: str
    path: str
    status: int
    milliseconds: float
    rss_before: int
    rss_after: int
    in_flight: int
    request_id: str = ""
    refused: str = ""


class JsonFormatter(logging.Formatter):
    """Log records as lines of JSON: time, level, logger, process, and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
        }
        request = getattr(record, _FIELDS, None)
        if isinstance(request, RequestRecord):
            fields |= asdict(request)
        else:
            fields["message"] = record.getMessage()
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


class RequestLog:
    """Logs requests to the logger ``leakhunt.guard.requests`` at level INFO.

    Of those that went well, the share `sample` is logged; those that failed or were refused are
    logged always. A status of 500 or more, except a refusal, is an ERROR.
    """

    def __init__(self, sample: float = 1.0) -> None:
        self._sample = sample

    def wants(self, *, is_well: bool) -> bool:
        """Whether this request is logged."""
        if not _LOG.isEnabledFor(logging.INFO):
            return False
        return not is_well or self._sample >= 1 or random.random() < self._sample

    def write(self, record: RequestRecord) -> None:
        """Log it."""
        is_error = record.status >= 500 and not record.refused
        level = logging.ERROR if is_error else logging.INFO
        _LOG.log(
            level,
            "%s %s %d %.1f ms",
            record.method,
            record.path,
            record.status,
            record.milliseconds,
            extra={_FIELDS: record},
        )


def log_requests_to(
    file: str | Path, *, max_bytes: int = 20 << 20, backups: int = 5
) -> RotatingFileHandler:
    """Write the log of requests to `file`, rotated at `max_bytes`; the handler.

    ``{pid}`` in its name becomes the process id: workers that share a file would rotate it under
    one another. Call it in each worker, after the fork.
    """
    path = Path(str(file).replace("{pid}", str(os.getpid())))
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", delay=True
    )
    handler.setFormatter(JsonFormatter())
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    return handler
