"""What is done at an alarm: a command, a request to an address that the user has named."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from leakhunt.errors import UsageError
from leakhunt.text.message import Text, message

_SECONDS = 30.0
VARIABLE = "LEAKHUNT_ALERT"


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told of an alarm.

    `command` gets the facts as JSON on standard input, and their sentence in ``LEAKHUNT_ALERT``;
    `webhook` gets them as the body of a POST.
    """

    command: Sequence[str] = ()
    webhook: str = ""

    @classmethod
    def of(cls, command: str | None, webhook: str | None) -> Alerts:
        """As they were given.

        Raises:
            UsageError: the command cannot be split, or the address is none.
        """
        try:
            words = tuple(shlex.split(command or ""))
        except ValueError as error:
            raise UsageError(
                message(
                    "watch.bad-command",
                    "--alert-command {command!r}: {error}; fix the quoting",
                    command=command,
                    error=str(error),
                )
            ) from error
        if webhook:
            parts = urllib.parse.urlsplit(webhook)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise UsageError(
                    message(
                        "watch.bad-webhook",
                        "--webhook {url!r}: expected an address such as"
                        " http://127.0.0.1:9000/alerts",
                        url=webhook,
                    )
                )
        return cls(words, webhook or "")

    def raised(self, sentence: str, facts: Mapping[str, Any]) -> list[Text]:
        """Tell everybody; what went wrong, a line each."""
        body = json.dumps({"text": sentence, **facts}, ensure_ascii=False).encode()
        wrong = [self._run(sentence, body), self._post(body)]
        return [text for text in wrong if text is not None]

    def _run(self, sentence: str, body: bytes) -> Text | None:
        if not self.command:
            return None
        try:
            done = subprocess.run(
                self.command,
                input=body,
                env={**os.environ, VARIABLE: sentence},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return _failed(self.command[0], reason)
        return _failed(self.command[0], f"exit code {done.returncode}") if done.returncode else None

    def _post(self, body: bytes) -> Text | None:
        if not self.webhook:
            return None
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self.webhook, body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS):
                return None
        except (urllib.error.URLError, OSError) as error:
            return _failed(self.webhook, str(getattr(error, "reason", error)))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Nobody but the named address is told."""

    def redirect_request(self, *arguments: Any) -> NoReturn:
        """Refuse."""
        raise urllib.error.URLError("redirected")


def _failed(what: str, reason: str) -> Text:
    return message("watch.alert-failed", "alert {what}: {reason}", what=what, reason=reason)
