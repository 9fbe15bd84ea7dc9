"""What was said, and the cases that came of it, as they are asked for."""

from enum import StrEnum

import strawberry

from cdp.interaction.tables import case, interaction
from schema.billing import Product
from schema.fields import column, one, personal, record, same, token
from schema.words import Instant, Node, Region

LOG = personal("interaction.log")
CASE = personal("case.record")


@strawberry.enum(description="Who spoke first.")
class Direction(StrEnum):
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


@strawberry.enum(description="What a case is about.")
class TicketType(StrEnum):
    fault = "fault"
    complaint = "complaint"
    inquiry = "inquiry"
    request = "request"


@record(interaction, interaction.c.interaction_id)
class PartyInteraction(Node):
    """A contact between the customer and the operator, in any channel."""

    id: strawberry.ID = token("Its opaque id.")
    at: Instant | None = column(interaction.c.at, LOG, "When it was.")
    channel: str | None = column(interaction.c.channel, LOG, "Where it was: SHOP, APP, HOTLINE, WECHAT ...")
    direction: Direction | None = column(interaction.c.direction, LOG, "Who spoke first.")
    reason: str | None = column(interaction.c.reason, LOG, "What it was about.")
    region: Region | None = column(interaction.c.region, LOG, "The region that answered.")
    note: str | None = column(interaction.c.note, personal("interaction.content"), "What was said.")


@record(case, case.c.case_id)
class Case(Node):
    """Something that somebody owes the customer an answer for."""

    id: strawberry.ID = token("Its opaque id.")
    case_ref: str | None = column(case.c.case_ref, CASE, "The operator's own reference.")
    ticket_type: TicketType | None = column(case.c.ticket_type, CASE, "What it is about.")
    severity: str | None = column(case.c.severity, CASE, "How much it hurts.")
    status: str | None = column(case.c.status, CASE, "How far it has come.")
    status_at: Instant | None = column(case.c.status_at, CASE, "Since when it has that status.")
    owner: str | None = column(case.c.owner, CASE, "The desk that answers for it.")
    region: Region | None = column(case.c.region, CASE, "The region it was opened in.")
    channel: str | None = column(case.c.channel, CASE, "Where it was opened.")
    opened_at: Instant | None = column(case.c.opened_at, CASE, "When it was opened.")
    due: Instant | None = column(case.c.due_at, CASE, "When the customer must have an answer.")
    description: str | None = column(case.c.description, personal("case.content"), "What the customer said.")
    product: Product | None = one(same("product_id"), personal("billing.product"), "The product it is about.")
