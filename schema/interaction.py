"""What was said, as it is asked for."""

from enum import StrEnum

import strawberry

from cdp.interaction.tables import interaction
from schema.fields import column, personal, record, token
from schema.words import Instant, Node, Region

LOG = personal("interaction.log")


@strawberry.enum(description="Who spoke first.")
class Direction(StrEnum):
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


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
