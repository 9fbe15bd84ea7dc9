"""What is said of numbers: activated, paired, ported, suspended, released, kept back, given to somebody else.

Each event says facts (`timeline.py`), from which the holdings are worked out anew; what an event puts into rows itself
is what a fact cannot hold: the number, its card, who serves it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal
from uuid import UUID

from cdp.changes import KEEP, Newest, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Instant, Kind, Ref, Text
from cdp.identity.tables import NUMBER_INDEX, known_number, number_holding, sim
from cdp.identity.timeline import Fact, FactKind
from cdp.number_facts import facts
from cdp.numbers import PhoneNumber
from cdp.values import row_id

Role = Literal["REGISTERED_HOLDER", "USER", "PAYER", "GUARDIAN", "ORG_ADMIN"]

HOLDING = Newest(("issuer", "region"), "described_at")
SERVED = Newest(("serving_operator",), "served_at", amend=True)


class NumberEvent(Event):
    """An event about one of the customer's numbers."""

    number: Text

    rank: ClassVar[int] = 1

    def parsed(self) -> PhoneNumber:
        """The number, read in the region of the record; raises InvalidNumber."""
        return PhoneNumber.parse(self.number, self.region)

    def names(self) -> Sequence[tuple[Kind, str]]:
        return (("number", self.number),)

    def facts(self, customer_id: UUID) -> list[Fact]:
        """What it says of the number's life, for this customer."""
        raise NotImplementedError

    def fact(self, kind: FactKind, customer_id: UUID | None, row: UUID | None = None, role: str | None = None) -> Fact:
        """A fact of the event's own instant."""
        return Fact(kind, self.at, self.event_id, customer_id, role, row)

    def check_held(self, context: Context) -> None:
        """Raises EventInvalid where the customer does not hold the number at that time."""
        context.held(self.parsed().e164, self.at)


class _OnCard(NumberEvent):
    """An event that may say which card the number is on."""

    sim_ref: Ref | None = None
    iccid: Ref | None = None

    def card(self, context: Context) -> list[Put]:
        if self.sim_ref is None:
            return []
        sim_id = context.row_id("sim", self.sim_ref)
        iccid = context.seal(sim.c.iccid, self.iccid, sim_id)
        return [Put(sim, {"customer_id": context.customer_id, "sim_id": sim_id, "iccid": iccid}, KEEP)]

    def on_card(self, customer_id: UUID) -> list[Fact]:
        if self.sim_ref is None:
            return []
        return [self.fact(FactKind.CARD, customer_id, row_id(customer_id, "sim", self.sim_ref))]


class _Beginning(_OnCard):
    """An event with which the customer begins to hold a number in a role."""

    role: Role = "USER"
    issuer: Ref | None = None

    establishes_presence: ClassVar[bool] = True

    @property
    def since(self) -> datetime:
        """From when on the number is held."""
        return self.at

    @property
    def country(self) -> str:
        """A number is somebody's in one store alone: there it is looked for, and has one holder at a time."""
        return self.parsed().region

    def holding_id(self, customer_id: UUID) -> UUID:
        """The holding this event makes: one per number, role and beginning."""
        return row_id(customer_id, "holding", f"{self.parsed().e164} {self.role} {self.since.isoformat()}")

    def facts(self, customer_id: UUID) -> list[Fact]:
        began = self.fact(FactKind.BEGAN, customer_id, self.holding_id(customer_id), self.role)
        return [began._replace(at=self.since), *(card._replace(at=self.since) for card in self.on_card(customer_id))]

    def apply(self, context: Context) -> list[Put]:
        number, holding = self.parsed(), self.holding_id(context.customer_id)
        row = {
            "customer_id": context.customer_id,
            "holding_id": holding,
            "number": context.seal(number_holding.c.number, number.e164, holding),
            "region": self.region,
            "issuer": self.issuer or facts(number).issuer,
            "described_at": self.at,
            "role": self.role,
            # Until the number's life is worked out, at the end of the same transaction.
            "state": "ACTIVE",
            "state_at": self.since,
            "valid_from": self.since,
            "recorded_from": context.recorded_at,
        }
        return [*self.card(context), Put(number_holding, row, HOLDING)]

    def serves(self, context: Context, operator: str | None) -> list[Put]:
        """Who serves the number from now on; None says nothing."""
        return [] if operator is None else [_served(context, self, operator)]


class NumberActivated(_Beginning):
    """The customer holds a number, in a role, from `validFrom` (or the event) on."""

    serving_operator: Ref | None = None
    valid_from: Instant | None = None

    @property
    def since(self) -> datetime:
        return self.valid_from or self.at

    def apply(self, context: Context) -> list[Put]:
        if self.since > self.at:
            raise EventInvalid("validFrom", "an instant that is not after the event")
        return [*super().apply(context), *self.serves(context, self.serving_operator)]


class NumberReassigned(_Beginning):
    """A number goes from whoever had it to this customer, who begins at nothing."""

    def facts(self, customer_id: UUID) -> list[Fact]:
        return [self.fact(FactKind.RELEASED, None), *super().facts(customer_id)]


class NumberPortedIn(_Beginning):
    """The customer brings a number along from another operator; nothing agreed to before comes with it."""

    from_operator: Ref
    serving_operator: Ref

    def apply(self, context: Context) -> list[Put]:
        return [*super().apply(context), *self.serves(context, self.serving_operator)]


class NumberPortedOut(NumberEvent):
    """The customer takes a number to another operator: who they are stays known, marketing to it ends."""

    to_operator: Ref

    def facts(self, customer_id: UUID) -> list[Fact]:
        return [self.fact(FactKind.PORTED_OUT, customer_id)]

    def apply(self, context: Context) -> list[Put]:
        self.check_held(context)
        return [_served(context, self, self.to_operator)]


class _Changed(NumberEvent):
    """A number the customer holds is in another state."""

    said: ClassVar[FactKind]

    def facts(self, customer_id: UUID) -> list[Fact]:
        return [self.fact(self.said, customer_id)]

    def apply(self, context: Context) -> list[Put]:
        self.check_held(context)
        return []


class NumberSuspended(_Changed):
    """The number is out of service for a while."""

    said: ClassVar[FactKind] = FactKind.SUSPENDED


class NumberResumed(_Changed):
    """The number is back in service."""

    said: ClassVar[FactKind] = FactKind.RESUMED


class NumberReleased(_Changed):
    """The customer no longer holds the number, and nobody has a role in it any more."""

    said: ClassVar[FactKind] = FactKind.RELEASED


class NumberQuarantined(NumberEvent):
    """A number that was released is kept back from this instant on, before anybody else may have it."""

    def facts(self, customer_id: UUID) -> list[Fact]:
        return [self.fact(FactKind.QUARANTINED, None)]

    def apply(self, context: Context) -> list[Put]:
        return []


class SimSwapped(_OnCard):
    """The number is on another card."""

    sim_ref: Ref

    def facts(self, customer_id: UUID) -> list[Fact]:
        return self.on_card(customer_id)

    def apply(self, context: Context) -> list[Put]:
        self.check_held(context)
        return self.card(context)


class NumberPaired(SimSwapped):
    """The number shares a card with another one of the customer's, in whichever region that is."""


def _served(context: Context, event: NumberEvent, operator: str) -> Put:
    tag = context.tag(NUMBER_INDEX, event.parsed().e164)
    row = {"number_tag": tag, "serving_operator": operator, "served_at": event.at}
    return Put(known_number, row, SERVED)


HOLDINGS: Final[tuple[type[NumberEvent], ...]] = (
    NumberActivated,
    NumberSuspended,
    NumberResumed,
    NumberReleased,
    NumberQuarantined,
    NumberReassigned,
    NumberPortedOut,
    NumberPortedIn,
    SimSwapped,
    NumberPaired,
)
