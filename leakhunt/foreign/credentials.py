"""Who asks a server: a bearer token or a user, from a file or the environment. Never told."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from leakhunt.errors import UsageError
from leakhunt.text.message import message
from leakhunt.text.system import system_text

BEARER_VARIABLE = "LEAKHUNT_PROMETHEUS_TOKEN"
USER_VARIABLE = "LEAKHUNT_PROMETHEUS_USER"
_MAX_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """The header that a server is asked with; empty: none. It is no part of any text.

    `is_ambient`: it is of the environment, and not for this server in particular.
    """

    header: str = field(default="", repr=False)
    is_ambient: bool = False

    def __bool__(self) -> bool:
        return bool(self.header)


def credentials(
    token_file: Path | str | None = None,
    user_file: Path | str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Credentials:
    """Those of a file, else of the environment, else none.

    `token_file` holds a bearer token, `user_file` a line ``user:password``.

    Raises:
        UsageError: both are given, or what is given cannot be read or is none.
    """
    if token_file is not None and user_file is not None:
        raise UsageError(
            message(
                "analyze.two-credentials",
                "--token-file and --user-file: use one of the two",
            )
        )
    given = os.environ if variables is None else variables
    if token_file is not None:
        return _bearer(_of_file("--token-file", token_file), f"--token-file {token_file}")
    if user_file is not None:
        return _basic(_of_file("--user-file", user_file), f"--user-file {user_file}")
    token, user = (given.get(name, "").strip() for name in (BEARER_VARIABLE, USER_VARIABLE))
    if token and user:
        raise UsageError(
            message(
                "analyze.two-variables",
                "{one} and {other}: set one of the two",
                one=BEARER_VARIABLE,
                other=USER_VARIABLE,
            )
        )
    if token:
        return replace(_bearer(token, BEARER_VARIABLE), is_ambient=True)
    return replace(_basic(user, USER_VARIABLE), is_ambient=True) if user else Credentials()


def _of_file(option: str, file: Path | str) -> str:
    try:
        with open(file, "rb") as stream:
            data = stream.read(_MAX_BYTES)
    except OSError as error:
        raise UsageError(
            message(
                "analyze.no-credentials",
                "{option} {file}: {reason}. Check the path",
                option=option,
                file=str(file),
                reason=system_text(error),
            )
        ) from error
    return data.decode("utf-8", "replace").strip()


def _bearer(token: str, where: str) -> Credentials:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            message(
                "analyze.invalid-token",
                "{where}: expected a token alone, in one line without spaces",
                where=where,
            )
        )
    return Credentials(f"Bearer {token}")


def _basic(user: str, where: str) -> Credentials:
    if ":" not in user or not user.isprintable():
        raise UsageError(
            message(
                "analyze.invalid-user",
                "{where}: expected one line: user:password",
                where=where,
            )
        )
    return Credentials(f"Basic {base64.b64encode(user.encode()).decode()}")
