"""How the holding of a number changes: activated, suspended, resumed, released."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal
from uuid import UUID

from cdp.changes import KEEP, Earliest, Newest, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Instant, Kind, Ref, Text
from cdp.identity.tables import NUMBER_INDEX, number_holding, number_index, sim
from cdp.numbers import PhoneNumber, facts
from cdp.values import row_id

HOLDING_STATE = Newest(("state",), "state_at", amend=True)
HOLDING = Newest(("issuer", "serving_operator", "sim_id", "state", "region"), "state_at")
END = Earliest(("valid_to",), amend=True)


class _OfNumber(Event):
    """An event about one of the customer's numbers."""

    number: Text

    rank: ClassVar[int] = 1

    def parsed(self) -> PhoneNumber:
        """The number, read in the region of the record; raises InvalidNumber."""
        return PhoneNumber.parse(self.number, self.region)

    def names(self) -> Sequence[tuple[Kind, str]]:
        return (("number", self.number),)


class NumberActivated(_OfNumber):
    """The customer holds a number, in a role, from `validFrom` (or the event) on."""

    role: Literal["REGISTERED_HOLDER", "USER", "PAYER", "GUARDIAN", "ORG_ADMIN"] = "USER"
    sim_ref: Ref | None = None
    iccid: Ref | None = None
    issuer: Ref | None = None
    serving_operator: Ref | None = None
    valid_from: Instant | None = None

    establishes_presence: ClassVar[bool] = True

    @property
    def since(self) -> datetime:
        """From when on the number is held."""
        return self.valid_from or self.at

    def holding_id(self, customer_id: UUID) -> UUID:
        """The holding this event makes: one per number, role and beginning."""
        return row_id(customer_id, "holding", f"{self.parsed().e164} {self.role} {self.since.isoformat()}")

    def apply(self, context: Context) -> list[Put]:
        if self.since > self.at:
            raise EventInvalid("validFrom", "an instant that is not after the event")
        number, holding = self.parsed(), self.holding_id(context.customer_id)
        puts: list[Put] = []
        sim_id = None
        if self.sim_ref is not None:
            sim_id = context.row_id("sim", self.sim_ref)
            iccid = context.seal(sim.c.iccid, self.iccid, sim_id)
            puts.append(Put(sim, {"customer_id": context.customer_id, "sim_id": sim_id, "iccid": iccid}, KEEP))
        span = {"role": self.role, "valid_from": self.since}
        row = {
            "customer_id": context.customer_id,
            "holding_id": holding,
            "number": context.seal(number_holding.c.number, number.e164, holding),
            "region": self.region,
            "issuer": self.issuer or facts(number).issuer,
            "serving_operator": self.serving_operator,
            "sim_id": sim_id,
            "state": "ACTIVE",
            "state_at": self.at,
            "recorded_from": context.recorded_at,
        }
        found = {"number_tag": context.tag(NUMBER_INDEX, number.e164), "holding_id": holding}
        return [
            *puts,
            Put(number_holding, row | span, HOLDING),
            Put(number_index, found | {"customer_id": context.customer_id} | span, KEEP),
        ]


class _NumberChanged(_OfNumber):
    """A holding goes into another state."""

    state: ClassVar[str]

    def apply(self, context: Context) -> list[Put]:
        holding = context.held(self.parsed().e164, self.at)
        row = {"customer_id": context.customer_id, "holding_id": holding, "state": self.state, "state_at": self.at}
        return [Put(number_holding, row, HOLDING_STATE)]


class NumberSuspended(_NumberChanged):
    """The number is out of service for a while."""

    state: ClassVar[str] = "SUSPENDED"


class NumberResumed(_NumberChanged):
    """The number is back in service."""

    state: ClassVar[str] = "ACTIVE"


class NumberReleased(_NumberChanged):
    """The customer no longer holds the number."""

    state: ClassVar[str] = "RELEASED"

    def apply(self, context: Context) -> list[Put]:
        number = self.parsed().e164
        holding, end = context.held(number, self.at), {"valid_to": self.at}
        mine = {"customer_id": context.customer_id, "holding_id": holding}
        found = {"number_tag": context.tag(NUMBER_INDEX, number), "holding_id": holding}
        return [*super().apply(context), Put(number_holding, mine | end, END), Put(number_index, found | end, END)]


HOLDINGS: Final[tuple[type[Event], ...]] = (NumberActivated, NumberSuspended, NumberResumed, NumberReleased)
