"""What a decision is made from: the request, and what is known of one customer in the snapshot of the data."""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from privacy.vocabulary import (
    ANY,
    NOWHERE,
    SELF,
    Actor,
    ConsentKind,
    ConsentType,
    CustomerState,
    ObjectionKind,
    RecipientClass,
)


class Request(NamedTuple):
    """Who asks, for what, from where and as of when.

    `recipient` is the receiving legal entity, "SELF" for the operator itself. `channel` is the channel the answer is
    used on; for marketing, the one by which the customer would be reached. `origin` and `destination` are
    jurisdictions ("CN", "HK") of the data's store and of the place it is read in. `known_at` limits what was known.
    `exhausted` are the transfer bases over which no further customer's data may leave this year.
    """

    client: str
    recipient: str
    recipient_class: RecipientClass
    purpose: str
    granted: frozenset[str]
    channel: str
    origin: str
    destination: str
    as_of: datetime
    known_at: datetime | None = None
    exhausted: frozenset[str] = frozenset()

    def knows(self, fact: "ConsentFact | ObjectionFact") -> bool:
        """Whether something had happened, and was recorded, by the instants this request looks at."""
        return fact.happened_at <= self.as_of and (self.known_at is None or fact.recorded_at <= self.known_at)


class ConsentFact(NamedTuple):
    """One consent event. Scopes are dotted ids or "*"; `destination` is "NONE", a jurisdiction or "*"."""

    type: ConsentType
    kind: ConsentKind
    purpose: str
    happened_at: datetime
    recorded_at: datetime
    category: str = ANY
    channel: str = ANY
    recipient: str = SELF
    destination: str = NOWHERE
    notice: str | None = None
    expires_at: datetime | None = None
    actor: Actor = Actor.SELF


class ObjectionFact(NamedTuple):
    """One objection against the purposes `scope` covers; it stands until `lifted_at`."""

    kind: ObjectionKind
    scope: str
    happened_at: datetime
    recorded_at: datetime
    lifted_at: datetime | None = None


class Facts(NamedTuple):
    """What is known of one customer, read in the same snapshot as the data. `birth_on` is needed only for minors."""

    customer_id: UUID
    state: CustomerState
    birth_on: date | None
    consents: Collection[ConsentFact]
    objections: Collection[ObjectionFact]

    def aged_on(self, years: int) -> date | None:
        """The day the customer is that old, None where the birth date is not known. 29 February falls on 1 March."""
        if self.birth_on is None:
            return None
        leap = (self.birth_on.month, self.birth_on.day) == (2, 29)
        year = self.birth_on.year + years
        return date(year, 3, 1) if leap else self.birth_on.replace(year=year)
