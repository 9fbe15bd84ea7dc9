"""How a request goes: opened for a customer, verified, worked at, completed or refused."""

from enum import StrEnum
from typing import ClassVar, Final, Literal

from cdp.changes import KEEP, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Id, Ref, Upper
from cdp.rights.tables import privacy_request


class RequestKind(StrEnum):
    """What a person may ask; LIFTING ends a RESTRICTION."""

    ACCESS = "ACCESS"
    PORTABILITY = "PORTABILITY"
    RECTIFICATION = "RECTIFICATION"
    RESTRICTION = "RESTRICTION"
    LIFTING = "LIFTING"
    OBJECTION = "OBJECTION"
    ERASURE = "ERASURE"


class RequestState(StrEnum):
    """How far a request has come."""

    RECEIVED = "RECEIVED"
    VERIFIED = "VERIFIED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    REFUSED = "REFUSED"


class PrivacyRequestOpened(Event):
    """A customer asks for something about their own data."""

    request_ref: Ref
    kind: Literal["ACCESS", "PORTABILITY", "RECTIFICATION", "RESTRICTION", "LIFTING", "OBJECTION", "ERASURE"]

    def apply(self, context: Context) -> list[Put]:
        row = {
            "customer_id": context.customer_id,
            "request_id": context.row_id("privacyRequest", self.request_ref),
            "kind": self.kind,
            "region": self.region,
            "state": RequestState.RECEIVED.value,
            "state_at": self.at,
            "opened_at": self.at,
        }
        return [Put(privacy_request, row, KEEP)]


class PrivacyRequestAdvanced(Event):
    """A request of the customer is in its next state; where it is written, what has to happen by it happens too.

    `evidence` names what was done: the event that corrected the data or raised the objection, or an archive's hash.
    """

    request_id: Id
    state: Literal["VERIFIED", "IN_PROGRESS", "COMPLETED", "REFUSED"]
    reason: Upper | None = None
    evidence: Ref | None = None

    before: ClassVar[dict[str, list[str]]] = {
        "VERIFIED": ["RECEIVED"],
        "IN_PROGRESS": ["VERIFIED"],
        "COMPLETED": ["IN_PROGRESS"],
        "REFUSED": ["RECEIVED", "VERIFIED", "IN_PROGRESS"],
    }
    """In which states it may be before."""

    def apply(self, context: Context) -> list[Put]:
        if (self.state == RequestState.REFUSED) != (self.reason is not None):
            raise EventInvalid("reason", "a reason for REFUSED, and for nothing else")
        return []


EVENTS: Final[tuple[type[Event], ...]] = (PrivacyRequestOpened, PrivacyRequestAdvanced)
