"""Load on six routes; a connection lasts for some three requests: the next is any worker's."""

from __future__ import annotations

import random

from locust import HttpUser, constant, task


class Client(HttpUser):  # type: ignore[misc]
    """Asks for one thing after the other."""

    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def carts(self) -> None:
        """Clean."""
        self._ask("carts")

    @task  # type: ignore[untyped-decorator]
    def items(self) -> None:
        """Clean."""
        self._ask("items")

    @task  # type: ignore[untyped-decorator]
    def offers(self) -> None:
        """Clean."""
        self._ask("offers")

    @task  # type: ignore[untyped-decorator]
    def prices(self) -> None:
        """Clean."""
        self._ask("prices")

    @task  # type: ignore[untyped-decorator]
    def users(self) -> None:
        """Clean."""
        self._ask("users")

    @task  # type: ignore[untyped-decorator]
    def orders(self) -> None:
        """One worker leaks here."""
        self._ask("orders")

    def _ask(self, name: str) -> None:
        headers = {"Connection": "close"} if random.random() < 0.3 else {}
        self.client.get(f"/{name}/{random.randrange(10**6)}", name=f"/{name}", headers=headers)
