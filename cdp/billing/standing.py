"""Whether a product works, and whether it should: worked out from all that was said of it, in whatever order that came.

A suspension lasts, for its own reason, until something says that the product works or that this reason is gone. It
should end when its cause does: when what the product relies on is back, or what was owed is paid. A product should be
off while anything it relies on should be.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

ACTIVE, SUSPENDED, TERMINATED = "active", "suspended", "terminated"
PAYMENT, RELIANCE = "PAYMENT", "RELIANCE"


class Turn(NamedTuple):
    """One thing that was said; `reason` is empty where none was given."""

    at: datetime
    status: str
    reason: str


class State(NamedTuple):
    """Whether a product works, since when, and for which reasons it does not, each since when; `freed` is when the last
    of other reasons for a suspension went.
    """

    status: str
    since: datetime
    standing: Mapping[str, datetime]
    freed: datetime | None = None


class Expectation(NamedTuple):
    """Whether a product should work, and since when."""

    status: str
    since: datetime


def state_of(turns: Iterable[Turn]) -> State | None:
    """The state of a product after its turns; None where there are none. Of two at one instant, the one that says it
    works goes before a suspension, and an end before both.
    """
    said = sorted(set(turns))
    if not said:
        return None
    working = [turn.at for turn in said if turn.status == ACTIVE and not turn.reason]
    ended = [turn for turn in said if turn.status == TERMINATED and not (working and turn.at < working[-1])]
    if ended:
        return State(TERMINATED, ended[0].at, {ended[0].reason: ended[0].at})
    over = max((turn.at for turn in said if turn.status == TERMINATED), default=None)
    standing: dict[str, datetime] = {}
    back: list[datetime] = []
    for reason in {turn.reason for turn in said if turn.status == SUSPENDED}:
        off = [turn.at for turn in said if turn.status == SUSPENDED and turn.reason == reason]
        on = [turn.at for turn in said if turn.status == ACTIVE and turn.reason in ("", reason)]
        if not on or off[-1] > on[-1]:
            standing[reason] = next(at for at in off if not on or at > on[-1])
        else:
            back.append(next(at for at in on if at >= off[-1]))
    if standing:
        return State(SUSPENDED, min(standing.values()), standing, max(back, default=None))
    begun = [at for at in working if over is None or at > over]
    return State(ACTIVE, max((*begun[:1], *back), default=said[0].at), {})


@dataclass(frozen=True, slots=True)
class Holdings:
    """The products of a customer: what they rely on, what the reasons for a suspension end with, and for each product
    since when nothing is owed, where that is so.
    """

    states: Mapping[UUID, State]
    relies_on: Mapping[UUID, Set[UUID]]
    ends_with: Mapping[str, str]
    paid: Mapping[UUID, datetime]
    found: dict[UUID, Expectation | None] = field(default_factory=dict)

    def expected(self, product: UUID) -> Expectation | None:
        """What should be of a product; None for one of which nothing is known, and inside a circle."""
        if product not in self.found:
            self.found[product] = None
            if (state := self.states.get(product)) is not None:
                self.found[product] = self._expected(product, state)
        return self.found[product]

    def _expected(self, product: UUID, state: State) -> Expectation:
        if state.status == TERMINATED:
            return Expectation(TERMINATED, state.since)
        if own := [since for reason, since in state.standing.items() if self._ends(reason) not in (PAYMENT, RELIANCE)]:
            return Expectation(SUSPENDED, min(own))
        relied = self._relied(product)
        if off := [one.since for _, one in relied if one.status != ACTIVE]:
            return Expectation(SUSPENDED, min(off))
        restored = max((self._restored(other, one) for other, one in relied), default=None)
        gone = [self._gone(product, reason, since, restored) for reason, since in state.standing.items()]
        if None in gone:
            return Expectation(SUSPENDED, state.since)
        return Expectation(ACTIVE, max((at for at in (*gone, state.freed) if at), default=restored or state.since))

    def _ends(self, reason: str) -> str:
        return self.ends_with.get(reason, self.ends_with["*"])

    def _relied(self, product: UUID) -> list[tuple[UUID, Expectation]]:
        pairs = [(other, self.expected(other)) for other in sorted(self.relies_on.get(product, ()))]
        return [(other, one) for other, one in pairs if one is not None]

    def _restored(self, other: UUID, one: Expectation) -> datetime:
        """Since when a product that should work does; one that does not yet, since when it should."""
        state = self.states[other]
        return state.since if state.status == ACTIVE else one.since

    def _gone(self, product: UUID, reason: str, since: datetime, restored: datetime | None) -> datetime | None:
        """When the cause of a suspension went; None while it stands."""
        if restored is not None and restored > since:
            return restored
        paid = self.paid.get(product)
        return paid if self._ends(reason) == PAYMENT and paid is not None and paid > since else None

    def is_astray(self, product: UUID) -> bool:
        """Whether a product is not as it should be."""
        state, one = self.states.get(product), self.expected(product)
        return state is not None and one is not None and state.status != one.status

    def behind(self, product: UUID) -> UUID | None:
        """The first product, from the bottom, that is not as it should be: a product's own id where all below are."""
        if not self.is_astray(product):
            return None
        below = [other for other, _ in self._relied(product) if self.is_astray(other)]
        return self.behind(below[0]) if below else product

    def reason(self, product: UUID) -> str | None:
        """The reason to name for a suspension: one that keeps it off whatever returns, else the oldest."""
        standing = self.states[product].standing
        ranked = ((self._ends(reason) in (PAYMENT, RELIANCE), since, reason) for reason, since in standing.items())
        return min(ranked)[2] or None if standing else None


def has_circle(relies_on: Mapping[UUID, Set[UUID]]) -> bool:
    """Whether products rely on each other in a circle."""
    left = {product: set(others) for product, others in relies_on.items()}
    while free := [product for product, others in left.items() if not others & left.keys()]:
        for product in free:
            del left[product]
    return bool(left)
