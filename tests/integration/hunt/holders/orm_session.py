"""A session as an ORM has it: each entity is in its identity map, its states, and its log."""

from __future__ import annotations

from typing import Any

from leakhunt import variant


class EntityState:
    def __init__(self, entity: Order | Line, session: Session) -> None:
        self.entity = entity
        self.committed = dict(vars(entity))
        self.session = session
        self.callbacks = [self.expire]

    def expire(self) -> object:
        return self.entity


class Order:
    def __init__(self, number: int) -> None:
        self.key = f"order-{number}"
        self.note = f"order {number} " * 4
        self.lines: list[Line] = []


class Line:
    def __init__(self, order: Order, number: int) -> None:
        self.key = f"{order.key}-{number}"
        self.order = order
        self.price = number * 1.5


class Session:
    def __init__(self) -> None:
        self.identity_map: dict[tuple[type, str], Order | Line] = {}
        self.states: dict[int, EntityState] = {}
        self.new: set[Order | Line] = set()
        self.log: list[tuple[Order | Line, EntityState]] = []

    def add(self, entity: Order | Line) -> None:
        state = EntityState(entity, self)
        self.identity_map[type(entity), entity.key] = entity
        self.states[id(entity)] = state
        self.new.add(entity)
        self.log.append((entity, state))


class App:
    def __init__(self) -> None:
        self.session = Session()


def setup(context: Any) -> App:
    del context
    return App()


@variant
def leaking(app: App, number: int) -> int:
    order = Order(number)
    for each in range(3):
        line = Line(order, each)
        order.lines.append(line)
        app.session.add(line)
    app.session.add(order)
    return len(order.lines)
