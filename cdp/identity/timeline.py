"""The life of a number: who held it in which role from when to when, worked out from everything that was ever said.

Facts come late, twice and in any order. The spans are a function of the set of facts alone: whatever the order of
arrival, the same facts give the same spans, and no two of one role ever overlap.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID


class FactKind(StrEnum):
    """What is said of a number; at one instant they are heard in this order."""

    RELEASED = "RELEASED"  # nobody holds it any more
    PORTED_OUT = "PORTED_OUT"  # its holder took it to another operator
    BEGAN = "BEGAN"  # somebody holds it in a role
    CARD = "CARD"  # it is on another SIM
    SUSPENDED = "SUSPENDED"
    RESUMED = "RESUMED"
    QUARANTINED = "QUARANTINED"  # kept back before it is given to anybody else


class HoldingState(StrEnum):
    """What may be done with a number."""

    RESERVED = "RESERVED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    PORTED_OUT = "PORTED_OUT"
    RELEASED = "RELEASED"
    QUARANTINED = "QUARANTINED"


ORDER: Final = {kind: place for place, kind in enumerate(FactKind)}
TENANTS: Final = frozenset({"USER", "REGISTERED_HOLDER"})
"""Whose leaving is the end of everybody's role in the number."""
STATES: Final = {FactKind.SUSPENDED: HoldingState.SUSPENDED, FactKind.RESUMED: HoldingState.ACTIVE}
ENDS: Final = {FactKind.RELEASED: HoldingState.RELEASED, FactKind.PORTED_OUT: HoldingState.PORTED_OUT}


class Fact(NamedTuple):
    """One thing that was said of a number. `customer_id` is whose holding it is about, None: whoever holds it then.

    `role` is given where a holding began, `row_id` there (the holding) and for a card (the SIM).
    """

    kind: FactKind
    at: datetime
    event_id: str
    customer_id: UUID | None
    role: str | None = None
    row_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """One holding: from `valid_from` until just before `valid_to`, in its last state since `state_at`."""

    holding_id: UUID
    customer_id: UUID
    role: str
    valid_from: datetime
    valid_to: datetime | None
    state: HoldingState
    state_at: datetime
    sim_id: UUID | None = None

    def covers(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


class Life(NamedTuple):
    """The spans of a number by their beginning, and since when nobody has held it."""

    spans: tuple[Span, ...]
    free_since: datetime | None


def life_of(facts: Collection[Fact]) -> Life:
    """The life of one number."""
    sweep = _Sweep()
    for fact in sorted(set(facts), key=lambda fact: (fact.at, ORDER[fact.kind], fact.event_id)):
        sweep.hear(fact)
    spans = [*sweep.ended, *sweep.open.values()]
    return Life(tuple(sorted(spans, key=lambda span: (span.valid_from, span.role, span.holding_id))), sweep.free_since)


class _Sweep:
    """Goes through the facts in the order of time: the holdings that are open, by role, and those that have ended.

    `free_since` is when the number was last given back, None while somebody holds it.
    """

    def __init__(self) -> None:
        self._begun: set[UUID] = set()
        self.open: dict[str, Span] = {}
        self.ended: list[Span] = []
        self.free_since: datetime | None = None

    def hear(self, fact: Fact) -> None:
        if fact.kind is FactKind.BEGAN:
            self._begin(fact)
        elif fact.kind in ENDS:
            self._end(fact, ENDS[fact.kind])
        elif fact.kind is FactKind.QUARANTINED:
            self.free_since = None if self.open else fact.at
        else:
            for role, span in self.open.items():
                if span.customer_id == fact.customer_id:
                    self.open[role] = _changed(span, fact)

    def _begin(self, fact: Fact) -> None:
        assert fact.role is not None, "a holding begins in a role"
        assert fact.customer_id is not None, "of a customer"
        assert fact.row_id is not None, "and has an id"
        if fact.row_id in self._begun:  # said by several events
            return
        self._begun.add(fact.row_id)
        if before := self.open.pop(fact.role, None):
            self._close(before, fact.at, HoldingState.RELEASED)
        active = HoldingState.ACTIVE
        self.open[fact.role] = Span(fact.row_id, fact.customer_id, fact.role, fact.at, None, active, fact.at)
        self.free_since = None

    def _end(self, fact: Fact, state: HoldingState) -> None:
        tenants = {span.customer_id for role, span in self.open.items() if role in TENANTS}
        everybody = fact.customer_id is None or fact.customer_id in tenants
        for role, span in list(self.open.items()):
            if everybody or span.customer_id == fact.customer_id:
                self._close(self.open.pop(role), fact.at, state)
        if not self.open and self.free_since is None and everybody:
            self.free_since = fact.at if state is HoldingState.RELEASED else None

    def _close(self, span: Span, at: datetime, state: HoldingState) -> None:
        self.ended.append(replace(span, valid_to=at, state=state, state_at=at))


def _changed(span: Span, fact: Fact) -> Span:
    if fact.kind is FactKind.CARD:
        return replace(span, sim_id=fact.row_id)
    return replace(span, state=STATES[fact.kind], state_at=fact.at)
