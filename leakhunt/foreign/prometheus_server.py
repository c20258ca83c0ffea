"""The HTTP API of a Prometheus server: asked in plain HTTP or TLS, with credentials or without."""

from __future__ import annotations

import base64
import errno
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

from leakhunt.errors import BadFile, MissingRequirement, UsageError
from leakhunt.foreign.credentials import Credentials
from leakhunt.text.message import message
from leakhunt.text.system import system_text

_MAX_ANSWER_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16


class QueryTooLarge(Exception):
    """The answer to a piece is too slow or too large."""


class PrometheusServer:
    """The HTTP API of a Prometheus server."""

    def __init__(
        self,
        url: str,
        timeout_seconds: float,
        credentials: Credentials,
        ca_file: Path | str | None = None,
    ) -> None:
        parts = _parts(url)
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        port = f":{parts.port}" if parts.port else ""
        # As it is sent: what is no ASCII, and a space, in percent.
        path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%:=+,;~!$&'()*")
        self.place = f"{parts.scheme}://{shown}{port}{path}"
        self._timeout = timeout_seconds
        self._headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if parts.username is not None:
            words = f"{parts.username}:{parts.password or ''}"
            token = base64.b64encode(urllib.parse.unquote(words).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        if credentials and not (credentials.is_ambient and parts.username is not None):
            self._headers["Authorization"] = credentials.header
        self._is_known = "Authorization" in self._headers
        is_near = host in _LOOPBACK
        self.tells_all = self._is_known and parts.scheme == "http" and not is_near
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_trusted(ca_file)), _NoRedirects()
        )
        self.warnings: set[str] = set()

    def ask(self, what: str, **values: object) -> Any:
        """The answer, decoded."""
        data = urllib.parse.urlencode({name: str(value) for name, value in values.items()})
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.place}/api/v1/{what}", data.encode(), self._headers
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as reply:
                body = self._body(reply)
        except urllib.error.HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    raise _moved(self.place, error.headers.get("Location", "")) from None
                self._refused(error.code, _read_of(error), str(values.get("query", "")))
        except TimeoutError as error:
            raise QueryTooLarge from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise QueryTooLarge from error
            if isinstance(reason, ssl.SSLError):
                raise _tls(self.place, reason) from error
            raise _unreachable(self.place, str(reason)) from error
        except http.client.IncompleteRead as error:
            broken = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            raise _unreachable(self.place, str(broken)) from error
        except http.client.HTTPException as error:
            raise _no_prometheus(self.place) from error
        return self._decoded(body)

    def _body(self, reply: Any) -> bytes:
        """Whole, unless it takes too long or is too much."""
        deadline = time.monotonic() + self._timeout
        pieces: list[bytes] = []
        size = 0
        while piece := reply.read1(_CHUNK_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                raise QueryTooLarge
        return b"".join(pieces)

    def _decoded(self, body: bytes) -> Any:
        try:
            answer = json.loads(body)
            if answer["status"] != "success" or "data" not in answer:
                raise ValueError("status")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _no_prometheus(self.place) from error
        self.warnings.update(str(each)[:200] for each in answer.get("warnings") or ())
        return answer

    def _refused(self, code: int, body: bytes, query: str) -> NoReturn:
        if code in (401, 403):
            raise _denied(self.place, code, is_known=self._is_known)
        if code == 400 and b"HTTPS" in body and self.place.startswith("http:"):
            raise _unreachable_by_http(self.place)
        try:
            answer = json.loads(body)
            reason, sort = " ".join(str(answer["error"]).split())[:200], answer.get("errorType")
        except (ValueError, KeyError, TypeError, RecursionError):
            if code >= 500:
                raise _unreachable(self.place, f"HTTP {code}") from None
            raise _no_prometheus(self.place) from None
        if sort == "timeout" or "too many samples" in reason:
            raise QueryTooLarge
        if code >= 500:
            raise _unreachable(self.place, reason)
        raise UsageError(
            message(
                "analyze.bad-query",
                "query {query!r}: {reason}",
                query=query[:120],
                reason=reason,
            )
        )


def _parts(url: str) -> urllib.parse.SplitResult:
    """Of an address.

    A password with a slash or a question mark in it ends the host too early: the rest is no path.
    """
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        host = parts.hostname or ""
        host.encode("idna")
        is_one = parts.scheme in ("http", "https") and host and (parts.port or True)
        if is_one and "@" not in f"{parts.path}{parts.query}{parts.fragment}":
            return parts
    except ValueError:
        pass  # without it: it would have the password in its text
    raise UsageError(
        message(
            "analyze.no-url",
            "--prometheus {url!r}: expected an address such as http://localhost:9090",
            url=url.rpartition("@")[2],
        )
    )


def _read_of(error: urllib.error.HTTPError) -> bytes:
    """What a server says of an error, as far as it comes."""
    try:
        return error.read(1 << 16)
    except (OSError, http.client.HTTPException):
        return b""


def _unreachable(place: str, reason: str) -> MissingRequirement:
    return MissingRequirement(
        message(
            "analyze.unreachable",
            "{place}: {reason}. Check the address, and that the server runs",
            place=place,
            reason=reason,
        )
    )


def _denied(place: str, code: int, *, is_known: bool) -> MissingRequirement:
    if is_known:
        return MissingRequirement(
            message(
                "analyze.denied",
                "{place}: access denied (HTTP {code}). Check the token or the password",
                place=place,
                code=code,
            )
        )
    return MissingRequirement(
        message(
            "analyze.needs-credentials",
            "{place}: access denied (HTTP {code}). Name a token with --token-file, or a user with"
            " --user-file",
            place=place,
            code=code,
        )
    )


def _moved(place: str, target: str) -> MissingRequirement:
    try:
        parts = urllib.parse.urlsplit(target)
    except ValueError:
        shown = target.partition("?")[0].rpartition("@")[2]
    else:
        host = parts.netloc.rpartition("@")[2]
        shown = f"{parts.scheme}://{host}{parts.path}" if host else parts.path
    return MissingRequirement(
        message(
            "analyze.moved",
            "{place}: redirects to {target}. Name that server with --prometheus",
            place=place,
            target=shown[:200],
        )
    )


def _unreachable_by_http(place: str) -> MissingRequirement:
    return MissingRequirement(
        message(
            "analyze.expects-tls",
            "{place}: the server expects TLS. Use https://",
            place=place,
        )
    )


def _tls(place: str, error: ssl.SSLError) -> MissingRequirement:
    """What is wrong with TLS, in one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return MissingRequirement(
            message(
                "analyze.certificate",
                "{place}: TLS certificate not trusted: {reason}. Check the address, or name the"
                " certificate authority with --ca-file",
                place=place,
                reason=error.verify_message.rstrip("."),
            )
        )
    if error.reason in _NOT_TLS:
        return MissingRequirement(
            message(
                "analyze.no-tls",
                "{place}: the server does not use TLS. Use http://",
                place=place,
            )
        )
    return MissingRequirement(
        message(
            "analyze.tls",
            "{place}: TLS failed: {reason}. Check the address, and the TLS settings of the server",
            place=place,
            reason=(error.reason or "unknown").lower().replace("_", " "),
        )
    )


# What OpenSSL finds where somebody answers in plain text.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _trusted(ca_file: Path | str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        is_ssl = isinstance(error, ssl.SSLError)
        raise UsageError(
            message(
                "analyze.ca-file",
                "--ca-file {file}: {reason}. Name a file of certificates in PEM format",
                file=str(ca_file),
                reason=message("analyze.no-certificate", "no certificate found")
                if is_ssl
                else system_text(error),
            )
        ) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Credentials are for the server that was named, and a POST that is led on loses its query."""

    def http_error_302(self, *args: Any, **more: Any) -> None:
        """None: the redirect is an error, wherever it leads."""
        del args, more

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _no_prometheus(place: str) -> BadFile:
    return BadFile(
        message(
            "analyze.no-prometheus",
            "{place}: not the API of a Prometheus server. Check the address and the path before"
            " /api/v1",
            place=place,
        )
    )
