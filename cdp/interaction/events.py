"""How the conversation with a customer goes on: contacts are logged, cases opened and moved along."""

from typing import Annotated, Final, Literal

from cdp.changes import NEW, Newest, Put
from cdp.context import Context
from cdp.event import Event, Instant, Lines, Ref, Upper, to_lower, to_upper
from cdp.interaction.tables import case, interaction

TicketType = Annotated[Literal["fault", "complaint", "inquiry", "request"], to_lower]
Severity = Annotated[Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"], to_upper]
CaseStatus = Literal["OPEN", "ACCEPTED", "DIAGNOSED", "RESOLVED", "INFORMED", "CONFIRMED", "CLOSED", "CANCELLED"]

CASE = Newest(
    ("ticket_type", "severity", "region", "channel", "owner", "due_at", "product_id", "description"), "opened_at"
)
CASE_STATUS = Newest(("status",), "status_at")


class InteractionLogged(Event):
    """A contact took place."""

    interaction_ref: Ref
    channel: Upper
    direction: Literal["INBOUND", "OUTBOUND"]
    reason: Ref
    note: Lines | None = None

    def apply(self, context: Context) -> list[Put]:
        row_id = context.row_id("interaction", self.interaction_ref)
        row = {
            "customer_id": context.customer_id,
            "interaction_id": row_id,
            "at": self.at,
            "channel": self.channel,
            "direction": self.direction,
            "reason": self.reason,
            "region": self.region,
            "note": context.seal(interaction.c.note, self.note, row_id),
        }
        return [Put(interaction, row, NEW)]


class CaseOpened(Event):
    """Something is to be done for the customer."""

    case_ref: Ref
    ticket_type: TicketType
    severity: Severity
    channel: Upper
    description: Lines | None = None
    product_ref: Ref | None = None
    owner: Ref | None = None
    due_at: Instant | None = None

    def apply(self, context: Context) -> list[Put]:
        row_id = context.row_id("case", self.case_ref)
        row = {
            "customer_id": context.customer_id,
            "case_id": row_id,
            "case_ref": self.case_ref,
            "ticket_type": self.ticket_type,
            "severity": self.severity,
            "region": self.region,
            "channel": self.channel,
            "owner": self.owner,
            "opened_at": self.at,
            "due_at": self.due_at,
            "description": context.seal(case.c.description, self.description, row_id),
            "product_id": None if self.product_ref is None else context.row_id("product", self.product_ref),
        }
        return [Put(case, row, CASE), _status(context, self, "OPEN")]


class CaseStatusChanged(Event):
    """A case has moved along."""

    case_ref: Ref
    status: CaseStatus

    def apply(self, context: Context) -> list[Put]:
        return [_status(context, self, self.status)]


def _status(context: Context, event: CaseOpened | CaseStatusChanged, status: str) -> Put:
    return Put(
        case,
        {
            "customer_id": context.customer_id,
            "case_id": context.row_id("case", event.case_ref),
            "case_ref": event.case_ref,
            "status": status,
            "status_at": event.at,
        },
        CASE_STATUS,
    )


EVENTS: Final[tuple[type[Event], ...]] = (InteractionLogged, CaseOpened, CaseStatusChanged)
