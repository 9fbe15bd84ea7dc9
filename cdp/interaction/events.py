"""How the conversation with a customer goes on: contacts are logged."""

from typing import Final, Literal

from cdp.changes import NEW, Put
from cdp.context import Context
from cdp.event import Event, Lines, Ref, Upper
from cdp.interaction.tables import interaction


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


EVENTS: Final[tuple[type[Event], ...]] = (InteractionLogged,)
