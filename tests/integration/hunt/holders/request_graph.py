"""Requests of a service, each a graph of many types from many lines, kept in a module's cache."""

from __future__ import annotations

from typing import Any

from leakhunt import variant

RECENT: dict[str, dict[int, Request]] = {}


class Header:
    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value


class Body:
    def __init__(self, text: str) -> None:
        self.text = text * 3
        self.words = text.split()


class User:
    def __init__(self, number: int) -> None:
        self.name = f"user-{number}"
        self.roles = {f"role-{number}-{each}" for each in range(3)}
        self.session: Session | None = None


class Session:
    def __init__(self, user: User, number: int) -> None:
        self.user = user
        self.token = bytearray(200)
        self.values = {"started": str(number) * 6, "seen": [number, number + 1]}
        user.session = self


class Response:
    def __init__(self, request: Request, number: int) -> None:
        self.request = request
        self.payload = bytes(300)
        self.lines = [f"line {number} {each}" for each in range(5)]


class Request:
    def __init__(self, number: int) -> None:
        self.headers = [Header(f"h{each}", f"{number}:{each}") for each in range(4)]
        self.body = Body(f"text of request {number}")
        self.user = User(number)
        self.session = Session(self.user, number)
        self.response = Response(self, number)


@variant
def leaking(state: Any, number: int) -> int:
    request = Request(number)
    RECENT.setdefault(f"/route{number % 5}", {})[number] = request
    return len(request.headers)
